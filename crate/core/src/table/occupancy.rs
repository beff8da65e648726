//! What a table holds, as counts. Keys are never stored, so nothing else can be reported.

use super::layout::HeaderWord;
use super::slot::{SlotState, StateWord};
use super::{Seen, Table};
use crate::algorithm::{Algorithm, Debt};
use crate::atomic::{AtomicU64, Ordering};
use crate::nanos::Nanos;
use std::ops::Deref;

/// How many slots of a table are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Slots in all.
    pub slots: u64,
    /// Keys that owe something and would still be admitted.
    pub owing: u64,
    /// Keys that their limit denies now.
    pub denied: u64,
    /// Keys blocked by a call or after a denial.
    pub blocked: u64,
    /// Slots of keys that have recovered completely.
    pub expired: u64,
    /// Claims under way, or left behind by a process that died: any thread may take them over.
    pub claimed: u64,
}

/// Sets that are looked at where the keys of a table are estimated: as many as the default capacity has.
#[cfg(not(loom))]
const SAMPLED_SETS: usize = 25_000;

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    /// Counts every slot. Takes as long as reading the whole table does.
    pub fn occupancy(&self, now: Nanos) -> Occupancy {
        self.occupancy_of(1, now)
    }

    /// Keys that owe something, are denied or blocked. Looks at a part of a large table, and infers the rest.
    #[cfg(not(loom))]
    pub fn live_keys(&self, now: Nanos) -> u64 {
        let every = self.region.layout().sets().div_ceil(SAMPLED_SETS).max(1);
        let Occupancy { owing, denied, blocked, .. } = self.occupancy_of(every, now);
        let seen = owing.saturating_add(denied).saturating_add(blocked);
        seen.saturating_mul(every as u64)
    }

    /// Counts the slots of every n-th set.
    fn occupancy_of(&self, every: usize, now: Nanos) -> Occupancy {
        let layout = self.region.layout();
        let mut occupancy = Occupancy { slots: layout.slots() as u64, ..Occupancy::default() };
        for set in (0..layout.sets()).step_by(every) {
            for slot in self.region.slots(set) {
                let s = StateWord(slot.s.load(Ordering::Acquire));
                self.count_slot(&mut occupancy, Seen { slot, s }, now);
            }
        }
        occupancy
    }

    fn count_slot(&self, occupancy: &mut Occupancy, seen: Seen<'_>, now: Nanos) {
        let count = match seen.s.kind() {
            SlotState::Free => return,
            SlotState::Claimed => &mut occupancy.claimed,
            SlotState::Blocked if seen.s.value() <= now.whole_us() => &mut occupancy.expired,
            SlotState::Blocked => &mut occupancy.blocked,
            SlotState::Live => match self.algorithm.debt(self.state(seen), now) {
                Debt::None(_) => &mut occupancy.expired,
                Debt::Some(_) => &mut occupancy.owing,
                Debt::Blocked => &mut occupancy.denied,
            },
        };
        *count = count.saturating_add(1);
    }

    /// Keys with debt that were evicted for a new key, since the table was made.
    pub fn evictions(&self) -> u64 {
        self.counted(HeaderWord::Evictions)
    }

    /// Decisions made on overflow buckets, since the table was made.
    pub fn overflows(&self) -> u64 {
        self.counted(HeaderWord::Overflows)
    }

    /// Keys that were moved to the memo for a new key, since the table was made.
    pub fn moves(&self) -> u64 {
        self.counted(HeaderWord::Moves)
    }

    /// Bytes the table occupies if every page of it is used.
    pub const fn bytes(&self) -> usize {
        self.region.layout().words().saturating_mul(size_of::<u64>())
    }

    /// Bytes of it that this process has touched so far, or `None` where the system does not say.
    #[cfg(not(loom))]
    pub fn resident(&self) -> Option<u64> {
        super::resident_memory::resident(self.region.memory())
    }

    pub(super) fn count(&self, counter: HeaderWord) {
        // Relaxed: a statistic. Off the hot path, and on a cache line of its own.
        if let Some(counter) = self.region.header(counter) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted(&self, counter: HeaderWord) -> u64 {
        self.region.header(counter).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
