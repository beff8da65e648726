//! The algorithms: pure steps from (state word, now, cost) to (decision, state word).
//!
//! Nothing here reads a clock, looks up a key or writes memory, with one exception that is named:
//! the sliding log keeps its timestamps in a ring beside the word and settles them there.

mod fixed_window;
mod gcra;
mod ring;
mod sliding_log;
mod sliding_window;
mod steps;
#[cfg(not(loom))]
mod varying;

pub use fixed_window::FixedWindow;
pub use gcra::Gcra;
pub use ring::Ring;
pub use sliding_log::SlidingLog;
pub use sliding_window::SlidingWindow;
pub use steps::{Meter, Steps};
#[cfg(not(loom))]
pub use varying::Varying;

use crate::clock::Between;
use crate::decision::Reading;
use crate::nanos::Nanos;
use std::num::NonZeroU64;

/// Width of the state value inside a slot's word; the other ten bits make reclaiming a slot safe.
pub const VALUE_BITS: u32 = 54;
/// All bits of a state value.
pub const VALUE_MASK: u64 = u64::MAX >> (64 - VALUE_BITS);

/// Where limits change, one bit says whether the key was exhausted when its word was written.
pub(crate) const VARYING_BITS: u32 = VALUE_BITS - 1;

/// The state of one key: its value, and the ring beside it (empty for all but the sliding log).
/// The value 0 always means "never seen".
#[derive(Clone, Copy)]
pub struct State<'a> {
    /// The 54-bit value.
    pub value: u64,
    /// The timestamps of a sliding log.
    pub ring: Ring<'a>,
}

/// How much evicting a key would forgive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debt {
    /// The key is as if never seen, and has been for so long, in a unit that is the same for all keys
    /// of a table. Forgetting it forgives nothing.
    None(u64),
    /// So much in the algorithm's own unit, the same for all keys of a table.
    Some(u64),
    /// The key is denied now: forgetting it would let it in.
    Blocked,
}

/// What came out of a decision that did not need the exact time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Admitted, with the value after it.
    Admitted(u64),
    /// Denied; nothing changes.
    Denied,
}

/// One validated policy's arithmetic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Token bucket, and leaky bucket as a meter.
    Gcra(Gcra),
    /// A window that opens at the key's first request.
    FixedWindow(FixedWindow),
    /// Two aligned buckets, interpolated.
    SlidingWindow(SlidingWindow),
    /// The exact log.
    SlidingLog(SlidingLog),
}

/// Calls the same method on whichever algorithm it is. A predictable branch is cheaper than a
/// virtual call and keeps the whole step visible to the optimiser.
macro_rules! each {
    ($self:ident, $a:ident => $call:expr) => {
        match $self {
            Self::Gcra($a) => $call,
            Self::FixedWindow($a) => $call,
            Self::SlidingWindow($a) => $call,
            Self::SlidingLog($a) => $call,
        }
    };
}

impl Algorithm {
    /// The value after admitting `cost`, or `None` when it is denied. A denial changes nothing.
    #[inline(always)]
    #[must_use]
    pub fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64> {
        match self {
            Self::Gcra(gcra) => gcra.admit(state.value, now, cost),
            Self::FixedWindow(fixed) => fixed.admit(state.value, now, cost),
            Self::SlidingWindow(sliding) => sliding.admit(state.value, now, cost),
            Self::SlidingLog(log) => log.admit(state, now, cost),
        }
    }

    /// As [`Self::admit`], at a time that is only known to lie between two instants. `None` when it
    /// would have to be known exactly.
    ///
    /// Every algorithm admits what it would have admitted earlier. So what comes out alike at the
    /// earliest and at the latest instant comes out alike in between, to the last bit of the word.
    #[inline(always)]
    #[must_use]
    pub fn admit_between(&self, state: State<'_>, between: Between, cost: u64) -> Option<Verdict> {
        match self {
            Self::Gcra(gcra) => gcra.admit_between(state.value, between, cost),
            Self::SlidingLog(_) => None,
            _ => {
                let latest = self.admit(state, between.latest(), cost);
                let alike = latest == self.admit(state, between.earliest, cost);
                alike.then_some(latest.map_or(Verdict::Denied, Verdict::Admitted))
            }
        }
    }

    /// What the state says to somebody who asks for `cost`.
    #[inline(always)]
    #[must_use]
    pub fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading {
        match self {
            Self::Gcra(gcra) => gcra.read(state.value, now, cost),
            Self::FixedWindow(fixed) => fixed.read(state.value, now, cost),
            Self::SlidingWindow(sliding) => sliding.read(state.value, now, cost),
            Self::SlidingLog(log) => log.read(state, now, cost),
        }
    }

    /// What the state says once `admit` has answered `next` for `cost`.
    #[inline(always)]
    #[must_use]
    pub fn read_admitted(&self, before: State<'_>, next: u64, now: Nanos, cost: u64) -> Reading {
        match self {
            Self::SlidingLog(log) => log.read_admitted(before, now, cost),
            _ => self.read(State { value: next, ring: before.ring }, now, 0),
        }
    }

    /// The value after giving back `units` to whoever was charged last.
    #[must_use]
    pub fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64 {
        match self {
            Self::Gcra(gcra) => gcra.refund(state.value, now, units),
            Self::FixedWindow(fixed) => fixed.refund(state.value, now, units),
            Self::SlidingWindow(sliding) => sliding.refund(state.value, now, units),
            Self::SlidingLog(log) => log.refund(state, now, units),
        }
    }

    /// The value after taking back exactly the charge that left the value `receipt`.
    ///
    /// Nothing is taken back once that charge no longer counts (its window is over).
    #[must_use]
    pub fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64 {
        match self {
            Self::Gcra(gcra) => gcra.undo(state.value, now, receipt, units),
            Self::FixedWindow(fixed) => fixed.undo(state.value, now, receipt, units),
            Self::SlidingWindow(sliding) => sliding.undo(state.value, now, receipt, units),
            Self::SlidingLog(log) => log.undo(state, now, receipt, units),
        }
    }

    /// Writes what the word still owes to the ring. Must precede any exchange of the word.
    #[inline(always)]
    pub fn settle(&self, state: State<'_>, now: Nanos) {
        if let Self::SlidingLog(log) = self {
            log.settle(state, now);
        }
    }

    /// When the units of a log that still count were admitted, the oldest first; empty for all other algorithms.
    #[cfg(not(loom))]
    #[must_use]
    pub fn times(&self, state: State<'_>, now: Nanos) -> Vec<u64> {
        match self {
            Self::SlidingLog(log) => log.times(state, now),
            _ => Vec::new(),
        }
    }

    /// The value of a log whose units stand in the first cells of its ring; 0 for all other algorithms.
    #[cfg(not(loom))]
    #[must_use]
    pub fn settled(&self, units: u64) -> u64 {
        match self {
            Self::SlidingLog(log) => log.settled(units),
            _ => 0,
        }
    }

    /// What forgetting the key would forgive.
    #[must_use]
    pub fn debt(&self, state: State<'_>, now: Nanos) -> Debt {
        match self {
            Self::Gcra(gcra) => gcra.debt(state.value, now),
            Self::FixedWindow(fixed) => fixed.debt(state.value, now),
            Self::SlidingWindow(sliding) => sliding.debt(state.value, now),
            Self::SlidingLog(log) => log.debt(state, now),
        }
    }

    /// The largest cost that can ever be admitted.
    #[inline]
    #[must_use]
    pub fn most(&self) -> u64 {
        each!(self, algorithm => algorithm.most())
    }

    /// Which eighth of the state word's time range `now` lies in, counted from the clock's zero.
    ///
    /// Times inside a word are counted modulo its range. An entry left alone for half of it can
    /// no longer be told from one in the future, so the table clears entries of earlier eras.
    #[inline(always)]
    #[must_use]
    pub fn era(&self, now: Nanos) -> u64 {
        each!(self, algorithm => algorithm.era(now))
    }

    /// How long an era lasts in milliseconds, rounded down.
    #[must_use]
    pub fn era_ms(&self) -> u64 {
        each!(self, algorithm => algorithm.era_ms())
    }

    /// Words of ring beside each slot.
    #[must_use]
    pub const fn ring_words(&self) -> usize {
        match self {
            Self::SlidingLog(log) => log.ring_words(),
            _ => 0,
        }
    }
}

/// Bits needed to write `n`.
pub(crate) const fn bits(n: u64) -> u32 {
    u64::BITS.wrapping_sub(n.leading_zeros())
}

/// The distance from `earlier` to `later`, both counted modulo 2^`width`, as a signed number.
#[inline]
pub(crate) const fn distance(later: u64, earlier: u64, width: u32) -> i64 {
    let shift = u64::BITS.wrapping_sub(width);
    (later.wrapping_sub(earlier) << shift).cast_signed() >> shift
}

/// Ticks to milliseconds, rounded up: waiting that long is never too short.
#[inline]
pub(crate) fn ceil_ms(ticks: u64, per_ms: NonZeroU64) -> u64 {
    ceil(ticks, per_ms)
}

/// Division, rounded up.
#[inline]
pub(crate) fn ceil(n: u64, by: NonZeroU64) -> u64 {
    (n / by).saturating_add(u64::from(n % by != 0))
}

/// The finest resolution, as a power of two up to 1024 ticks per millisecond, at which
/// `eight_windows_ms` milliseconds fit into `width` bits.
pub(crate) fn finest(eight_windows_ms: u64, width: u32) -> Option<NonZeroU64> {
    let room = width.checked_sub(bits(eight_windows_ms))?;
    NonZeroU64::new(1 << room.min(10))
}

/// The lowest `n` bits.
#[inline]
pub(crate) const fn mask(n: u32) -> u64 {
    (1_u64 << n).wrapping_sub(1)
}
