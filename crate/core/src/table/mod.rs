//! The table: fixed capacity, no pointers, no locks, nothing that grows.
//!
//! ```text
//! charge(key, cost):
//!     find the key's slot                              loads only
//!     step(value, now, cost)                           pure
//!       denied   -> answer                             nothing written
//!       admitted -> exchange the word; lost? start over with a fresh clock reading
//!     no slot? claim one (see claim.rs), with the value after the first charge
//!     no slot to claim? the overflow bucket (see overflow.rs)
//! ```

mod change;
mod claim;
mod epoch;
mod evict;
#[cfg(not(loom))]
mod heap;
mod layout;
mod lookup;
mod occupancy;
mod overflow;
#[cfg(not(loom))]
mod resident_memory;
mod slot;
#[cfg(not(loom))]
mod usage;

#[cfg(not(loom))]
pub use heap::Heap;
pub use layout::{Layout, OVERFLOW, WAYS};
pub use occupancy::Occupancy;

use crate::algorithm::{Algorithm, AnyAlgorithm, State, Verdict};
use crate::atomic::AtomicU64;
use crate::clock::{Clock, TimeRange};
use crate::decision::Reading;
use crate::key::Key;
use crate::limit::Limit;
use crate::nanos::Nanos;
use claim::{Claim, Content, exchange, store_state};
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

/// One attempt to charge: when, how much, and whether the reading is wanted.
#[derive(Clone, Copy)]
struct Attempt {
    now: Nanos,
    cost: u64,
    detail: bool,
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
        Some(Self { region: Region::new(memory, layout)?, algorithm, overflow_bucket, scope })
    }

    /// The largest cost that can ever be admitted.
    #[inline]
    pub fn max_cost(&self) -> u64 {
        self.algorithm.max_cost()
    }

    /// Charges `cost` to the key, or nothing.
    ///
    /// The coarse clock decides where its error makes no difference: while the bucket is in use, and when
    /// the key stays denied for a good while yet. That is nearly as fast as reading it.
    #[inline(always)]
    pub fn allow(&self, key: Key, cost: u64, clock: &impl Clock) -> bool {
        if let Some(range) = clock.coarse()
            && let Some(admitted) = self.allow_between(key, cost, range)
        {
            return admitted;
        }
        self.charge(key, cost, clock, false).receipt.is_some()
    }

    #[inline(always)]
    fn allow_between(&self, key: Key, cost: u64, range: TimeRange) -> Option<bool> {
        if !self.in_epoch(range.earliest) {
            return None;
        }
        let seen = self.find(key).filter(Seen::is_live)?;
        match self.algorithm.admit_between(self.state(seen), range, cost)? {
            Verdict::Denied => Some(false),
            Verdict::Admitted(value) => {
                (store_state(seen, Content::live(value)) == Claim::Done).then_some(true)
            }
        }
    }

    /// As [`Self::allow`]. `detail` asks for the reading.
    #[inline(always)]
    pub fn charge(&self, key: Key, cost: u64, clock: &impl Clock, detail: bool) -> Outcome {
        loop {
            let now = clock.now();
            self.enter_epoch(key, now);
            let found = self.find(key);
            if let Some(outcome) = self.charge_found(key, found, Attempt { now, cost, detail }) {
                return outcome;
            }
        }
    }

    /// As [`Self::charge`] with details, but denies a key that owes anything, so that callers leave one
    /// after the other.
    pub fn charge_empty(&self, key: Key, cost: u64, clock: &impl Clock) -> Outcome {
        loop {
            let now = clock.now();
            self.enter_epoch(key, now);
            let found = self.find(key);
            if let Some(seen) = found.filter(Seen::is_live) {
                let reading = self.algorithm.read(self.state(seen), now, cost);
                if reading.reset_ms > 0 {
                    return Outcome { receipt: None, reading: reading.paced() };
                }
            }
            if let Some(outcome) =
                self.charge_found(key, found, Attempt { now, cost, detail: true })
            {
                return outcome;
            }
        }
    }

    /// Charges the key where it was found, or gives it a slot. `None`: another thread was faster.
    #[inline(always)]
    fn charge_found(&self, key: Key, found: Option<Seen<'_>>, attempt: Attempt) -> Option<Outcome> {
        match found {
            Some(seen) if seen.is_live() => self.charge_at(seen, attempt),
            found => self.charge_new(key, found, attempt),
        }
    }

    /// Charges a key that has a slot. `None`: another thread was faster.
    #[inline(always)]
    fn charge_at(&self, seen: Seen<'_>, attempt: Attempt) -> Option<Outcome> {
        let Attempt { now, cost, detail } = attempt;
        let state = self.state(seen);
        let Some(next) = self.algorithm.admit(state, now, cost) else {
            let reading = read_if(detail, || self.algorithm.read(state, now, cost));
            return self.is_current(seen).then_some(Outcome { receipt: None, reading });
        };
        let reading = read_if(detail, || self.algorithm.read_admitted(state, next, now, cost));
        self.algorithm.flush(state, now);
        exchange(seen.slot.s, seen.s, seen.s.holding(SlotState::Live, next))
            .then_some(Outcome { receipt: Some(Receipt::Slot(next)), reading })
    }

    /// Charges a key that has no slot, or whose slot is just being claimed.
    #[cold]
    fn charge_new(&self, key: Key, found: Option<Seen<'_>>, attempt: Attempt) -> Option<Outcome> {
        let Attempt { now, cost, detail } = attempt;
        let Some(value) = self.algorithm.admit(State::NEW, now, cost) else {
            let reading = read_if(detail, || self.algorithm.read(State::NEW, now, cost));
            return Some(Outcome { receipt: None, reading });
        };
        let content = Content::live(value);
        let claim = match found {
            Some(seen) => self.promote(key, seen, content),
            None => self.claim(key, now, content),
        };
        match claim {
            Claim::Done => {
                let read = || self.algorithm.read_admitted(State::NEW, value, now, cost);
                let reading = read_if(detail, read);
                Some(Outcome { receipt: Some(Receipt::Slot(value)), reading })
            }
            Claim::Lost => None,
            Claim::Full => Some(self.charge_overflow(key, now, cost)),
        }
    }

    /// What the key's state says now to a caller that asks for `cost`. Changes nothing.
    pub fn peek(&self, key: Key, cost: u64, clock: &impl Clock) -> Reading {
        loop {
            let now = clock.now();
            self.enter_epoch(key, now);
            let Some(seen) = self.find_held(key) else {
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

/// The reading, if the caller asked for details.
#[inline]
fn read_if(detail: bool, read: impl FnOnce() -> Reading) -> Reading {
    if detail { read() } else { Reading::default() }
}
