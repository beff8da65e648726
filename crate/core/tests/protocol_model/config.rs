//! A world to explore: what the table holds, who is at work, and what is done otherwise.
#![expect(clippy::cast_possible_truncation, reason = "three slots and four actors at most")]

use crate::actor::{Actor, Pc};
use crate::departure::Departure;
use crate::slot::{Key, Kind, Tag, Word};
use crate::state::State;

/// What one slot holds at the start.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    Empty,
    /// An old owner's entry that has expired: a budget of 1, in a slot that anybody may claim.
    Expired(Key),
    /// An old owner's entry in force: no budget, in a slot that nobody may claim.
    Spent(Key),
}

/// What may happen to slots while the operations run, at any instant and any number of times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ageing {
    /// Nothing: time stands still.
    Never,
    /// An entry in force expires, which gives its key a new budget. A refund looks the same.
    Expiry,
    /// An entry in force is claimed by a stranger, which forgives its key what it spent.
    Eviction,
    /// A slot is freed, whatever it holds: a key is reset, or an old era cleared away.
    Reset,
}

#[derive(Clone, Copy)]
pub(crate) struct Config {
    pub(crate) slots: &'static [Start],
    /// One operation of cost 1 each; those of the same key stand side by side.
    pub(crate) keys: &'static [Key],
    pub(crate) ageing: Ageing,
    /// Whether a TRANS is left alone, as it is while it is young. An operation that set its mind on a
    /// slot it may not have then leaves the table without an answer.
    pub(crate) patient: bool,
    pub(crate) departure: Option<Departure>,
    /// Whether states that differ only in the names of generations count as one. A search that is to
    /// be complete needs it; it is sound only as long as every claim takes a new generation.
    pub(crate) renaming: bool,
}

impl Config {
    /// The protocol as it is, with time standing still.
    pub(crate) fn new(slots: &'static [Start], keys: &'static [Key]) -> Self {
        let (ageing, patient) = (Ageing::Never, false);
        Self { slots, keys, ageing, patient, departure: None, renaming: true }
    }

    pub(crate) fn start(&self) -> State {
        let mut state = State::EMPTY;
        for (slot, start) in (0..).zip(self.slots) {
            furnish(&mut state, slot, *start);
        }
        for index in 0..self.actor_count() {
            state.set_actor(index, Actor { pc: Pc::LookTag, ..Actor::default() });
        }
        state
    }

    pub(crate) fn slot_count(&self) -> u8 {
        self.slots.len() as u8
    }

    pub(crate) fn actor_count(&self) -> u8 {
        self.keys.len() as u8
    }

    pub(crate) fn key(&self, index: u8) -> Key {
        self.keys.get(usize::from(index)).copied().unwrap_or_default()
    }

    pub(crate) fn is(&self, departure: Departure) -> bool {
        self.departure == Some(departure)
    }

    /// Whether a stranger may take a slot that says this; a TRANS at any instant (6).
    pub(crate) fn is_claimable(&self, word: Word) -> bool {
        match word.kind() {
            Kind::Free | Kind::Expired => true,
            Kind::Spent => self.ageing == Ageing::Eviction,
            Kind::Trans => !self.patient,
        }
    }
}

fn furnish(state: &mut State, slot: u8, start: Start) {
    let (key, kind) = match start {
        Start::Empty => return,
        Start::Expired(key) => (key, Kind::Expired),
        Start::Spent(key) => (key, Kind::Spent),
    };
    state.set_tag(slot, Tag::new(key, 0));
    state.set_word(slot, Word::new(kind, 0));
    state.set_admitted(key, u8::from(kind == Kind::Spent));
}
