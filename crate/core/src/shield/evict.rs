//! Which source is forgotten for another, where both sets are full.

use super::record::{self, HABIT, Now, PACE, RECENT};
use super::table::{ABANDONED_MS, CLAIMED, CLAIMED_MS, KIND, Table, tags};
use crate::atomic::AtomicU64;

const DAY_MS: u64 = 86_400_000;
const IDLE_MS: u64 = 600_000;

/// What tells a source that matters from one that does not.
#[derive(Clone, Copy)]
pub(super) struct Worth {
    pub(super) regular_after_ms: u64,
    pub(super) regular_requests: u64,
}

/// The rank of what may be forgotten at once.
pub(super) const FREE: u8 = 1;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Loss {
    pub(super) rank: u8,
    /// The higher, the shorter ago it was seen.
    stay: u64,
    pub(super) tag: u64,
}

impl<'a> Table<'a> {
    /// What it would cost to forget what is there; `None` if that must not be.
    pub(super) fn loss(
        &self,
        set: &'a [AtomicU64],
        way: usize,
        worth: Worth,
        now: Now,
    ) -> Option<Loss> {
        let tag = tags(set, self.is_alone).nth(way)?.get();
        if tag == 0 {
            return Some(Loss { rank: FREE, stay: 0, tag });
        }
        if tag & KIND == CLAIMED {
            let age = now.ms.abs_diff(tag & CLAIMED_MS);
            return (age > ABANDONED_MS).then_some(Loss { rank: FREE, stay: 1, tag });
        }
        let record = self.record(set, way, tag);
        let idle = now.since(record::last_tick(record.word(RECENT).get()));
        let block = record.block();
        if block.left_ms(now) > 0 {
            return None;
        }
        let requests = record::requests(record.word(PACE).get());
        let age = now.since(record::first_tick(record.word(HABIT).get()));
        let is_regular = requests >= worth.regular_requests && age >= worth.regular_after_ms;
        let rank = match () {
            () if !block.is_forgiven(now) => 4,
            () if is_regular && idle < DAY_MS => 5,
            () if idle > IDLE_MS => FREE,
            () if requests <= 1 => 2,
            () => 3,
        };
        Some(Loss { rank, stay: u64::MAX.wrapping_sub(idle), tag })
    }
}
