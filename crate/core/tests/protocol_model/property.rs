//! What must hold in every state that can be reached.

use crate::actor::{Actor, Pc};
use crate::config::Config;
use crate::model;
use crate::slot::{Key, Kind, Tag, Word};
use crate::state::State;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Property {
    /// A key gets no more than its budget: 1, or none if its old entry is in force from the start.
    /// A budget comes back only when the entry that holds the debt expires or is evicted.
    AdmittedOnce,
    /// At the moment a key is denied, its budget is gone: somebody was admitted for it, or its old
    /// entry is in force. An old entry that has expired denies nobody, to the owner least of all.
    DeniedOnlyAfter,
    /// An admission is on record: exactly one slot says, to a lookup now, that the budget is gone.
    EntryFindable,
    /// The first slot that a lookup reads as this key's, in any kind, is the one that has its record.
    /// This is *not* so, which is why whoever only reads has to look past an insertion.
    EntryFoundFirst,
    /// Nobody waits: an operation left alone decides, whatever the others left behind. It may only
    /// find no slot to claim, and then the answer is not the table's to give.
    NobodyStuck,
}

impl Property {
    /// What a caller can see go wrong.
    pub(crate) const SAFETY: [Self; 2] = [Self::AdmittedOnce, Self::DeniedOnlyAfter];
    /// What the protocol promises.
    pub(crate) const ALL: [Self; 4] =
        [Self::AdmittedOnce, Self::DeniedOnlyAfter, Self::EntryFindable, Self::NobodyStuck];

    pub(crate) fn holds(self, config: &Config, state: State) -> bool {
        let mut keys = config.keys.iter();
        match self {
            Self::AdmittedOnce => keys.all(|key| state.admitted(*key) <= 1),
            Self::DeniedOnlyAfter => !state.denied_early(),
            Self::EntryFindable => {
                keys.all(|key| records(config, state, *key) == state.admitted(*key))
            }
            Self::EntryFoundFirst => keys.all(|key| is_found_first(config, state, *key)),
            Self::NobodyStuck => {
                (0..config.actor_count()).all(|index| decides(config, state, index))
            }
        }
    }
}

/// How many slots a lookup would read as this key's entry with nothing left.
fn records(config: &Config, state: State, key: Key) -> u8 {
    let is_record = |kind: &Kind| *kind == Kind::Spent;
    kinds(config, state, key).filter(is_record).fold(0, |count, _| count.saturating_add(1))
}

fn is_found_first(config: &Config, state: State, key: Key) -> bool {
    let first = kinds(config, state, key).find(|kind| *kind != Kind::Free);
    records(config, state, key) == 0 || first == Some(Kind::Spent)
}

/// What the slots that belong to the key say, in the order of the lookup.
fn kinds(config: &Config, state: State, key: Key) -> impl Iterator<Item = Kind> {
    let belongs =
        move |(tag, word): &(Tag, Word)| tag.key() == key && tag.generation() == word.generation();
    let slots = (0..config.slot_count()).map(move |slot| (state.tag(slot), state.word(slot)));
    slots.filter(belongs).map(|(_, word)| word.kind())
}

/// More steps than any operation takes that nobody disturbs, so more of them is a loop.
const ALONE: u8 = 60;

fn decides(config: &Config, mut state: State, index: u8) -> bool {
    for _ in 0..ALONE {
        let actor = state.actor(index);
        let Some(choice) = choice(config, state, actor).filter(|_| actor.pc != Pc::Done) else {
            return true;
        };
        state = model::step(config, state, index, choice);
    }
    false
}

fn choice(config: &Config, state: State, actor: Actor) -> Option<u8> {
    if actor.pc != Pc::VictimTag {
        return Some(0);
    }
    (0..config.slot_count()).find(|slot| config.is_claimable(state.word(*slot)))
}
