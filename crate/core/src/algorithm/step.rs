//! What a table needs of an algorithm: pure steps from (state, now, cost) to (decision, next state word).

use super::Ring;
use crate::clock::TimeRange;
use crate::decision::{NEVER, Reading};
use crate::limit::Limit;
use crate::nanos::Nanos;

/// The state of one key: its value, and the ring beside it (empty for all but the sliding log).
/// The value 0 always means a key that owes nothing.
#[derive(Clone, Copy)]
pub struct State<'a> {
    /// The 54-bit value.
    pub value: u64,
    /// The timestamps of a sliding log.
    pub ring: Ring<'a>,
}

impl State<'static> {
    /// The state of a key that has no slot.
    pub const NEW: Self = Self::without_ring(0);

    /// A value with no ring beside it.
    #[inline(always)]
    #[must_use]
    pub const fn without_ring(value: u64) -> Self {
        Self { value, ring: Ring::NONE }
    }
}

/// What a key would be forgiven if its slot were given to another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debt {
    /// Nothing. The key has owed nothing for this long, in a unit that is the same for all keys of a table.
    None(u64),
    /// This much, in the algorithm's own unit, which is the same for all keys of a table.
    Some(u64),
    /// The key is denied now: forgetting it would admit it.
    Blocked,
}

/// A decision made without the exact time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Admitted, with the value after it.
    Admitted(u64),
    /// Denied; nothing changes.
    Denied,
}

/// Several steps of one algorithm.
pub trait AlgorithmTask {
    /// What comes of them.
    type Output;

    /// Takes the steps.
    fn run<A: Algorithm>(self, algorithm: &A) -> Self::Output;
}

/// The arithmetic of one validated limit on one state word.
///
/// Every algorithm admits at a later time whatever it admits at an earlier one.
pub trait Algorithm {
    /// The bucket that keys share when the table has no slot for them.
    type OverflowBucket: Algorithm;

    /// A bucket with the limit's rate, in one bare word.
    fn overflow_bucket(&self, limit: Limit) -> Self::OverflowBucket;

    /// Runs `task` with the algorithm that this is: an enum then branches once, and not at each step.
    #[inline(always)]
    fn with<T: AlgorithmTask>(&self, task: T) -> T::Output
    where
        Self: Sized,
    {
        task.run(self)
    }

    /// The value after admitting `cost`, or `None` when it is denied. A denial changes nothing.
    fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64>;

    /// As [`Self::admit`], at a time that is only known to lie in `range`. `None` when the exact time
    /// is needed.
    ///
    /// If the earliest and the latest instant give the same word, every instant between them does.
    #[inline(always)]
    fn admit_between(&self, state: State<'_>, range: TimeRange, cost: u64) -> Option<Verdict> {
        let latest = self.admit(state, range.latest(), cost);
        let is_same = latest == self.admit(state, range.earliest, cost);
        is_same.then_some(latest.map_or(Verdict::Denied, Verdict::Admitted))
    }

    /// What the state says to a caller that asks for `cost`.
    fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading;

    /// What the state says once [`Self::admit`] has answered `next` for `cost`.
    #[inline(always)]
    fn read_admitted(&self, before: State<'_>, next: u64, now: Nanos, _cost: u64) -> Reading {
        self.read(State { value: next, ring: before.ring }, now, 0)
    }

    /// The value after giving back the `units` that were charged last.
    fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64;

    /// The value after taking back exactly the charge of `units` that left the value `receipt`.
    ///
    /// Nothing is taken back once that charge no longer counts (its window is over).
    fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64;

    /// Writes the changes that are recorded in the word to the ring. Must precede any exchange of the word.
    #[inline(always)]
    fn flush(&self, _state: State<'_>, _now: Nanos) {}

    /// When the units of a log that still count were admitted, the oldest first; empty without a log.
    fn log_times(&self, _state: State<'_>, _now: Nanos) -> Vec<u64> {
        Vec::new()
    }

    /// The value of a log whose units are the first cells of its ring; 0 without a log.
    fn log_value(&self, _units: u64) -> u64 {
        0
    }

    /// What forgetting the key would forgive.
    fn debt(&self, state: State<'_>, now: Nanos) -> Debt;

    /// For how many microseconds a key has to be remembered once its slot is given away, so that it is denied
    /// for as long as the state says, and as far as possible owes afterwards what it owes by the state. `None`
    /// for a state that this says too little of.
    ///
    /// By default the time of the denial: what is owed after it is forgiven.
    fn lasting_us(&self, state: State<'_>, now: Nanos) -> Option<u64> {
        denied_us(self.read(state, now, 1))
    }

    /// The value of a key that is remembered for `left_us` more, see [`Self::lasting_us`]. `None`: all that is
    /// known is that the key is denied for so long.
    fn recalled(&self, _now: Nanos, _left_us: u64) -> Option<u64> {
        None
    }

    /// The largest cost that can ever be admitted.
    fn max_cost(&self) -> u64;

    /// The epoch of `now`: which eighth of the state word's time range it lies in, counted from the
    /// clock's zero.
    ///
    /// Times inside a word are counted modulo its range. An entry left untouched for half of it
    /// looks like one from the future, so the table clears entries of earlier epochs.
    fn epoch(&self, now: Nanos) -> u64;

    /// How long an epoch lasts in milliseconds, rounded down.
    fn epoch_ms(&self) -> u64;

    /// The three numbers with which a script in a store counts the limit: for a bucket ticks to a
    /// millisecond, ticks to a token and ticks in a full bucket; for the others the count, the window in
    /// milliseconds and ticks to a millisecond.
    fn script_args(&self) -> [u64; 3];

    /// Words of ring beside each slot.
    #[inline(always)]
    fn ring_words(&self) -> usize {
        0
    }
}

/// For how long a reading for one unit denies; `None` if it does not.
pub(super) fn denied_us(reading: Reading) -> Option<u64> {
    (1..NEVER).contains(&reading.retry_ms).then(|| reading.retry_ms.saturating_mul(1_000))
}
