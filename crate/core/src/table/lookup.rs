//! Finding a key's slot: loads only.

use super::claim::owner_of;
use super::layout::Slot;
use super::slot::SlotState;
use super::{Seen, Table};
use crate::algorithm::{Algorithm, Ring, State};
use crate::atomic::{AtomicU64, Ordering};
use crate::key::Key;
use std::ops::Deref;

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    /// The key's slot, or the claim of one that is under way.
    #[inline(always)]
    pub(super) fn find(&self, key: Key) -> Option<Seen<'_>> {
        let [first, second] = self.sets(key);
        let fingerprint = key.fingerprint();
        match self.find_in(first?, fingerprint) {
            None => self.find_second(second?, fingerprint),
            found => found,
        }
    }

    #[inline(always)]
    fn find_in(&self, set: usize, fingerprint: u64) -> Option<Seen<'_>> {
        let mut hits = self.region.hits(set, fingerprint);
        while hits != 0 {
            let slot = self.region.slot(set, hits.trailing_zeros() as usize)?;
            if let Some(s) = owner_of(slot, fingerprint) {
                return Some(Seen { slot, s });
            }
            hits &= hits.wrapping_sub(1);
        }
        None
    }

    #[inline(never)]
    fn find_second(&self, set: usize, fingerprint: u64) -> Option<Seen<'_>> {
        self.find_in(set, fingerprint)
    }

    /// The key's slot, for callers that only look.
    ///
    /// A claim of the same key may stand before it: one that came too late, or whose process died. A charge
    /// clears that claim away; a look passes over it.
    pub(super) fn find_held(&self, key: Key) -> Option<Seen<'_>> {
        let held = |slot| owner_of(slot, key.fingerprint()).map(|s| Seen { slot, s });
        self.slots_of(key).filter_map(held).find(|seen| seen.s.kind() != SlotState::Claimed)
    }

    /// Every slot the key may use, in the one order that all threads agree on.
    pub(super) fn slots_of(&self, key: Key) -> impl Iterator<Item = Slot<'_>> {
        self.sets(key).into_iter().flatten().flat_map(|set| self.region.slots(set))
    }

    /// The sets a key may live in: two, or the only one there is.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "below the number of sets, a usize")]
    pub(super) fn sets(&self, key: Key) -> [Option<usize>; 2] {
        match self.region.layout().sets() {
            1 => [Some(0), None],
            sets => key.sets(sets as u64).map(|set| Some(set as usize)),
        }
    }

    #[inline(always)]
    pub(super) fn state<'a>(&'a self, seen: Seen<'a>) -> State<'a> {
        let (value, generation) = (seen.s.value(), seen.s.generation());
        match self.region.ring(seen.slot) {
            [] => State { value, ring: Ring::NONE },
            cells => State { value, ring: Ring::new(cells, generation, seen.slot.s, seen.s.0) },
        }
    }

    /// Whether what was read from word and ring belongs together. A word alone always does.
    #[inline(always)]
    pub(super) fn is_current(&self, seen: Seen<'_>) -> bool {
        self.algorithm.ring_words() == 0 || seen.slot.s.load(Ordering::Acquire) == seen.s.0
    }
}
