//! The table: fixed capacity, no pointers, no locks, nothing that grows.
//!
//! ```text
//! charge(key, cost):
//!     find the key's slot                              loads only
//!     step(value, now, cost)                           pure
//!       denied   -> answer                             nothing written
//!       admitted -> exchange the word; lost? start over with a fresh clock reading
//!     no slot? claim one (see claim.rs), with the value after the first charge
//!     no slot? what the memo knows of the key counts (see recall.rs), and keys move there to make room
//!     no slot to claim? the overflow bucket (see overflow.rs)
//! ```

mod change;
mod charge;
mod claim;
mod epoch;
mod evict;
#[cfg(not(loom))]
mod heap;
mod layout;
mod lookup;
mod memo;
mod memo_entry;
mod occupancy;
mod overflow;
mod recall;
#[cfg(not(loom))]
mod resident_memory;
mod slot;
#[cfg(not(loom))]
mod usage;

#[cfg(not(loom))]
pub use heap::Heap;
pub use layout::{Layout, OVERFLOW, WAYS};
pub use occupancy::Occupancy;

use crate::algorithm::{Algorithm, AnyAlgorithm, State};
use crate::atomic::AtomicU64;
use crate::clock::Clock;
use crate::decision::Reading;
use crate::key::Key;
use crate::limit::Limit;
use crate::nanos::Nanos;
use epoch::Scope;
use layout::{Region, Slot};
use slot::{SlotState, StateWord};
use std::ops::Deref;

/// A table for one limit; or, as a [`Varying`] limit sees it, one that other limits use too.
///
/// [`Varying`]: crate::algorithm::Varying
#[derive(Debug)]
pub struct Table<M, A: Algorithm = AnyAlgorithm> {
    region: Region<M>,
    algorithm: A,
    overflow_bucket: A::OverflowBucket,
    scope: Scope,
    /// No denial of the limit's lasts longer.
    longest_us: u64,
    /// Whether only one thread uses the table, ever.
    has_one_user: bool,
}

/// A slot, with the state word that was read from it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    slot: Slot<'a>,
    s: StateWord,
}

impl Seen<'_> {
    /// Whether it holds a key's state, and not a block or an unfinished claim.
    #[inline(always)]
    fn is_live(&self) -> bool {
        self.s.kind() == SlotState::Live
    }
}

/// What a charge left behind, so that exactly that charge can be taken back.
#[derive(Clone, Copy, Debug)]
pub enum Receipt {
    /// The value after the charge.
    Slot(u64),
    /// A charge on an overflow bucket.
    Overflow,
}

/// The answer to a charge.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Present if the cost was charged.
    pub receipt: Option<Receipt>,
    /// What the key's state says after it; zeros unless details were asked for.
    pub reading: Reading,
}

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    /// A table over `memory`, which is all zero or was a table of the same limit and layout.
    /// `None` when the memory is too small.
    pub fn new(memory: M, layout: Layout, algorithm: A, limit: Limit) -> Option<Self> {
        let overflow_bucket = algorithm.overflow_bucket(limit);
        let scope = Scope::of(algorithm.epoch_ms());
        let windows = limit.burst().div_ceil(limit.count()).saturating_add(1);
        let longest_us = limit.window_ms().saturating_mul(windows).saturating_mul(1_000);
        let region = Region::new(memory, layout)?;
        Some(Self { region, algorithm, overflow_bucket, scope, longest_us, has_one_user: false })
    }

    /// The same, for a caller who promises that one thread alone uses the table: charges then take no locked
    /// instruction, which is 2 ns of 80. If the promise is broken, charges are lost.
    #[cfg(not(loom))]
    #[must_use]
    pub fn for_one_thread(self) -> Self {
        Self { has_one_user: true, ..self }
    }

    /// The largest cost that can ever be admitted.
    #[inline]
    pub fn max_cost(&self) -> u64 {
        self.algorithm.max_cost()
    }

    /// What the key's state says now to a caller that asks for `cost`. Changes nothing.
    pub fn peek(&self, key: Key, cost: u64, clock: &impl Clock) -> Reading {
        loop {
            let now = clock.now();
            self.enter_epoch(key, now);
            let Some(seen) = self.find_held(key) else {
                if let Some(reading) = self.peek_known(key, now, cost) {
                    return reading;
                }
                if self.find_held(key).is_some() {
                    // It has just returned from the memo.
                    continue;
                }
                return self.peek_new(key, now, cost);
            };
            let reading = self.algorithm.read(self.state(seen), now, cost);
            if self.is_current(seen) {
                return reading;
            }
        }
    }

    fn peek_new(&self, key: Key, now: Nanos, cost: u64) -> Reading {
        if self.has_room(key, now) {
            return self.algorithm.read(State::NEW, now, cost);
        }
        self.peek_overflow(key, now, cost)
    }
}
