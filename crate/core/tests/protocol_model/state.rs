//! One state of the whole model in 128 bits, so that tens of millions of them fit in memory.
//!
//! From bit 0: three slots (F and S, 12 bits each), four actors (20 bits each), for each of three
//! keys how much of its budget is gone (2 bits each), whether somebody was denied too early, and a
//! bit that is always set.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "shifts by constants, pairs of two, fields of a few bits"
)]

use crate::actor::Actor;
use crate::slot::{HALF_BITS, Key, Tag, Word};

pub(crate) const MAX_SLOTS: u8 = 3;
pub(crate) const MAX_ACTORS: u8 = 4;

const MAX_KEYS: u8 = 3;
const SLOT_BITS: u32 = 2 * HALF_BITS;
const ACTORS_AT: u32 = SLOT_BITS * MAX_SLOTS as u32;
const ADMITTED_AT: u32 = ACTORS_AT + Actor::BITS * MAX_ACTORS as u32;
const DENIED_EARLY_AT: u32 = ADMITTED_AT + 2 * MAX_KEYS as u32;
const PRESENT_AT: u32 = DENIED_EARLY_AT + 1;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State(u128);

impl State {
    /// An empty table and nobody at work.
    pub(crate) const EMPTY: Self = Self(1 << PRESENT_AT);

    /// Never zero: a zero cell of the hash set means that nothing is stored there.
    pub(crate) fn bits(self) -> u128 {
        self.0
    }

    pub(crate) fn tag(self, slot: u8) -> Tag {
        Tag::from_bits(self.byte(tag_at(slot), HALF_BITS))
    }

    pub(crate) fn word(self, slot: u8) -> Word {
        Word::from_bits(self.byte(word_at(slot), HALF_BITS))
    }

    pub(crate) fn set_tag(&mut self, slot: u8, tag: Tag) {
        self.set(tag_at(slot), HALF_BITS, tag.bits().into());
    }

    pub(crate) fn set_word(&mut self, slot: u8, word: Word) {
        self.set(word_at(slot), HALF_BITS, word.bits().into());
    }

    pub(crate) fn actor(self, index: u8) -> Actor {
        Actor::from_bits(self.actor_bits(index))
    }

    pub(crate) fn set_actor(&mut self, index: u8, actor: Actor) {
        self.set(actor_at(index), Actor::BITS, actor.to_bits());
    }

    /// How much of the key's budget of 1 is gone.
    pub(crate) fn admitted(self, key: Key) -> u8 {
        self.byte(admitted_at(key), 2)
    }

    pub(crate) fn set_admitted(&mut self, key: Key, times: u8) {
        self.set(admitted_at(key), 2, times.into());
    }

    pub(crate) fn denied_early(self) -> bool {
        self.byte(DENIED_EARLY_AT, 1) == 1
    }

    pub(crate) fn set_denied_early(&mut self) {
        self.set(DENIED_EARLY_AT, 1, 1);
    }

    /// Two actors of one key are interchangeable, so they are kept in ascending order: a bubble sort
    /// that never crosses keys, which is enough because actors of one key stand side by side.
    pub(crate) fn sorted(mut self, keys: &[Key]) -> Self {
        for _ in 1..keys.len() {
            for (index, pair) in (0..).zip(keys.windows(2)) {
                if pair[0] == pair[1] {
                    self.sort_pair(index);
                }
            }
        }
        self
    }

    fn sort_pair(&mut self, index: u8) {
        let (lower, upper) = (self.actor_bits(index), self.actor_bits(index + 1));
        if lower > upper {
            self.set(actor_at(index), Actor::BITS, upper);
            self.set(actor_at(index + 1), Actor::BITS, lower);
        }
    }

    fn actor_bits(self, index: u8) -> u32 {
        self.get(actor_at(index), Actor::BITS)
    }

    fn byte(self, at: u32, width: u32) -> u8 {
        self.get(at, width) as u8
    }

    fn get(self, at: u32, width: u32) -> u32 {
        (self.0 >> at) as u32 & ((1 << width) - 1)
    }

    fn set(&mut self, at: u32, width: u32, value: u32) {
        let mask = ((1 << width) - 1) << at;
        self.0 = self.0 & !mask | u128::from(value) << at;
    }
}

fn tag_at(slot: u8) -> u32 {
    SLOT_BITS * u32::from(slot)
}

fn word_at(slot: u8) -> u32 {
    tag_at(slot) + HALF_BITS
}

fn actor_at(index: u8) -> u32 {
    ACTORS_AT + Actor::BITS * u32::from(index)
}

fn admitted_at(key: Key) -> u32 {
    ADMITTED_AT + 2 * u32::from(key - 1)
}
