//! The generations of each slot renamed to 0, 1, 2 … in their order.
//!
//! The protocol copies generations, compares them for equality, and makes a new one by adding 1 to
//! that of S, which is the highest its slot has had. States that differ only in such names behave
//! alike, so one stands for all of them. That makes the state space finite without any bound on how
//! often an operation may restart.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "ranks in a mask of 16 bits, for three slots"
)]

use crate::actor::Actor;
use crate::config::Config;
use crate::slot::{Tag, Word};
use crate::state::{MAX_SLOTS, State};

/// For each slot, the generations that anything still remembers of it.
#[derive(Default)]
struct Known([u16; MAX_SLOTS as usize]);

pub(crate) fn renamed(config: &Config, mut state: State) -> State {
    let known = Known::of(config, state);
    for slot in 0..config.slot_count() {
        state.set_tag(slot, known.rename_tag(slot, state.tag(slot)));
        state.set_word(slot, known.rename_word(slot, state.word(slot)));
    }
    for index in 0..config.actor_count() {
        state.set_actor(index, known.rename_actor(state.actor(index)));
    }
    state
}

impl Known {
    fn of(config: &Config, state: State) -> Self {
        let mut known = Self::default();
        for slot in 0..config.slot_count() {
            known.add(Some(slot), state.tag(slot).generation());
            known.add(Some(slot), state.word(slot).generation());
        }
        for index in 0..config.actor_count() {
            let actor = state.actor(index);
            known.add(actor.saw(), actor.tag.generation());
            known.add(actor.holds(), actor.mine.generation());
        }
        known
    }

    fn add(&mut self, slot: Option<u8>, generation: u8) {
        if let Some(slot) = slot {
            self.0[usize::from(slot)] |= 1 << generation;
        }
    }

    fn rename(&self, slot: u8, generation: u8) -> u8 {
        let below = (1 << generation) - 1;
        (self.0[usize::from(slot)] & below).count_ones() as u8
    }

    fn rename_tag(&self, slot: u8, tag: Tag) -> Tag {
        Tag::new(tag.key(), self.rename(slot, tag.generation()))
    }

    fn rename_word(&self, slot: u8, word: Word) -> Word {
        Word::new(word.kind(), self.rename(slot, word.generation()))
    }

    fn rename_actor(&self, actor: Actor) -> Actor {
        let tag = actor.saw().map_or(actor.tag, |slot| self.rename_tag(slot, actor.tag));
        let mine = actor.holds().map_or(actor.mine, |slot| self.rename_word(slot, actor.mine));
        Actor { mine, tag, ..actor }
    }
}
