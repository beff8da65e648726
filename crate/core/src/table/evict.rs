//! Which slot a new key is given: eviction, by least debt. A key that is denied now is never evicted.

use super::layout::WAYS;
use super::slot::{SlotState, StateWord};
use super::{Seen, Table};
use crate::algorithm::{Algorithm, Debt};
use crate::atomic::{AtomicU64, Ordering};
use crate::key::Key;
use crate::nanos::Nanos;
use std::cmp::Reverse;
use std::ops::Deref;

/// After this many milliseconds a claim counts as abandoned.
const ABANDONED_MS: u64 = 20;

/// A key goes to the second of its sets, whose lookup costs another cache miss, only when the first
/// has more than this many slots in use and the second fewer. That keeps sets from filling up: a table made
/// for a million keys holds a million without evicting one.
const RELIEF_THRESHOLD: usize = 5;

/// The slot to take, as it was seen.
pub(super) struct Victim<'a> {
    pub(super) seen: Seen<'a>,
    pub(super) f: u64,
    pub(super) loss: Loss,
    /// Slots of its set that hold something.
    occupied: usize,
}

impl<'a> Victim<'a> {
    /// The slot of a denied key that the memo remembers.
    pub(super) const fn moved(seen: Seen<'a>, f: u64) -> Self {
        Self { seen, f, loss: Loss::Nothing, occupied: WAYS }
    }
}

impl Victim<'_> {
    /// Nothing is lost, and its set is not about to fill up.
    fn is_free(&self) -> bool {
        self.loss < Loss::Claim && self.occupied <= RELIEF_THRESHOLD
    }

    /// Of two sets, the one where nothing is lost, or less; else the emptier one.
    fn rank(&self) -> (u64, u64) {
        match self.loss {
            Loss::Nothing | Loss::Expired(_) => (0, self.occupied as u64),
            Loss::Claim => (1, 0),
            Loss::Debt(debt) => (2, debt),
        }
    }
}

/// What is lost with a slot, from least to most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// Free, or a block that has ended.
    Nothing,
    /// The slot of an expired key. Longest idle first: a key that returns finds its slot again, while
    /// taking any expired slot would make the keys of a set push each other out of it.
    Expired(Reverse<u64>),
    /// A claim that looks abandoned.
    Claim,
    /// This much debt, forgiven.
    Debt(u64),
}

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    /// The slot to take: the one whose loss costs least, in the set with more room.
    pub(super) fn victim(&self, key: Key, now: Nanos) -> Option<Victim<'_>> {
        let [first, second] = self.sets(key);
        let first = self.victim_in(first?, now);
        if first.as_ref().is_some_and(Victim::is_free) {
            return first;
        }
        let second = second.and_then(|set| self.victim_in(set, now));
        [first, second].into_iter().flatten().min_by_key(Victim::rank)
    }

    /// Whether the key has a slot or could be given one.
    pub(super) fn has_room(&self, key: Key, now: Nanos) -> bool {
        self.victim(key, now).is_some() || self.can_move(key, now)
    }

    fn victim_in(&self, set: usize, now: Nanos) -> Option<Victim<'_>> {
        let mut best: Option<Victim<'_>> = None;
        let mut occupied = WAYS;
        for slot in self.region.slots(set) {
            // Acquire, S before F: the F seen is at least as new as the claim that S tells of.
            let s = StateWord(slot.s.load(Ordering::Acquire));
            let f = slot.f.load(Ordering::Acquire);
            let seen = Seen { slot, s };
            let Some(loss) = self.loss(seen, now) else { continue };
            occupied = occupied.wrapping_sub(usize::from(loss < Loss::Claim));
            if best.as_ref().is_none_or(|best| loss < best.loss) {
                best = Some(Victim { seen, f, loss, occupied });
            }
        }
        best.map(|best| Victim { occupied, ..best })
    }

    /// What taking the slot would cost; `None` if it must not be taken.
    ///
    /// A flood of fresh keys brings one unit of debt each, so while a set holds one of them no key
    /// with more debt goes. A key that is denied now never goes: forgetting it would admit it.
    fn loss(&self, seen: Seen<'_>, now: Nanos) -> Option<Loss> {
        let s = seen.s;
        match s.kind() {
            SlotState::Free => Some(Loss::Nothing),
            SlotState::Blocked => (s.value() <= now.whole_us()).then_some(Loss::Nothing),
            SlotState::Claimed => {
                let age = now.whole_ms().abs_diff(s.value());
                (age > ABANDONED_MS).then_some(Loss::Claim)
            }
            SlotState::Live => match self.algorithm.debt(self.state(seen), now) {
                Debt::None(idle) => Some(Loss::Expired(Reverse(idle))),
                Debt::Some(debt) => Some(Loss::Debt(debt)),
                Debt::Blocked => None,
            },
        }
    }
}
