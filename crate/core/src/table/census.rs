//! What a table holds, as counts. Keys are never stored, so there is nothing else to tell.

use super::word::{Kind, S};
use super::{Seen, Table};
use crate::algorithm::{Debt, Steps};
use crate::atomic::{AtomicU64, Ordering};
use crate::nanos::Nanos;
use std::ops::Deref;

/// How many slots of a table are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Slots in all.
    pub slots: u64,
    /// Keys that owe something and would still be admitted.
    pub owing: u64,
    /// Keys that their limit denies now.
    pub denied: u64,
    /// Keys blocked by hand or by `blockFor`.
    pub blocked: u64,
    /// Places of keys that are as if never seen.
    pub expired: u64,
    /// Claims under way, or left behind by a process that died: anybody may take them over.
    pub claimed: u64,
}

impl<M: Deref<Target = [AtomicU64]>, A: Steps> Table<M, A> {
    /// Counts every slot. Takes as long as reading the whole table does.
    pub fn census(&self, now: Nanos) -> Census {
        let layout = self.region.layout();
        let mut census = Census { slots: layout.slots() as u64, ..Census::default() };
        for set in 0..layout.sets() {
            for slot in self.region.slots(set) {
                let s = S(slot.s.load(Ordering::Acquire));
                self.count_slot(&mut census, Seen { slot, s }, now);
            }
        }
        census
    }

    fn count_slot(&self, census: &mut Census, seen: Seen<'_>, now: Nanos) {
        let count = match seen.s.kind() {
            Kind::Free => return,
            Kind::Claimed => &mut census.claimed,
            Kind::Blocked if seen.s.value() <= now.whole_us() => &mut census.expired,
            Kind::Blocked => &mut census.blocked,
            Kind::Live => match self.algorithm.debt(self.state(seen), now) {
                Debt::None(_) => &mut census.expired,
                Debt::Some(_) => &mut census.owing,
                Debt::Blocked => &mut census.denied,
            },
        };
        *count = count.saturating_add(1);
    }
}
