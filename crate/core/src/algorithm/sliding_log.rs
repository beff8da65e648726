//! The exact log: N timestamps per key, never more than N units in any window.
//!
//! The state word (see `log_word.rs`) holds the newest batch: `units` admitted at `time`, which belong into
//! the ring from `position` on. The ring holds the batches before it. Before the word is changed, that batch
//! is written to the ring. So one exchange of the word is one decision, a thread that dies leaves nothing
//! half done, and threads that write the same cell write the same value.
//!
//! After a refund of k units the k cells from `position` on are to be cleared, and no batch is pending.
//!
//! Admitting n more displaces the n oldest of the last N units, so n are admitted exactly when the
//! n-th oldest has left the window. One look at the ring decides; counting takes log2(N) looks.

use super::bits::{bisect, ceil_ms, distance, epoch_ms, finest};
use super::log_ring::{cleared_alike, equal};
use super::log_word::{Batch, LogWord};

use super::{
    Algorithm, Debt, Error, Gcra, Limit, Nanos, Reading, State, TimeRange, VALUE_BITS, Verdict,
};
#[cfg(not(loom))]
use super::{VARYING_BITS, VaryingAlgorithm};
use crate::decision::NEVER;
use std::num::NonZeroU64;

/// A validated sliding log. `VARYING`: the count may be another one at the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidingLog<const VARYING: bool = false> {
    /// The number of ring cells that are older than the last N units; 0 unless the limit varies.
    skip: u64,
    window: u64,
    per_ms: NonZeroU64,
    word: LogWord,
}

impl SlidingLog {
    /// Fails when count and window together need more than the word's 54 bits.
    pub fn new(limit: Limit) -> Result<Self, Error> {
        Self::in_bits(limit, limit.parts().0, VALUE_BITS)
    }
}

#[cfg(not(loom))]
impl SlidingLog<true> {
    /// A ring that serves any count up to its size.
    pub(super) fn varying(limit: Limit, ring: u64) -> Result<Self, Error> {
        let cells = NonZeroU64::new(ring).filter(|cells| cells.get() >= limit.count());
        let cells = cells.ok_or_else(|| limit.too_large("sliding-log"))?;
        Self::in_bits(limit, cells, VARYING_BITS)
            .or_else(|_| Self::in_bits(limit, cells, VALUE_BITS))
    }
}

#[cfg(not(loom))]
impl VaryingAlgorithm for SlidingLog<true> {
    fn used(&self, state: State<'_>, now: Nanos) -> u64 {
        let (batch, ticks) = self.unpack(state, now);
        self.in_window(state, batch, ticks)
    }

    fn add_used(&self, state: State<'_>, now: Nanos, more: u64) -> u64 {
        match more.min(self.cells()) {
            0 => state.value,
            more => self.next(self.word.unpack(state.value), now.ticks(self.per_ms.get()), more),
        }
    }

    fn is_exhausted(&self, _: u64, _: Nanos, logged: u64) -> bool {
        logged >= self.max_cost()
    }

    fn logged(&self, state: State<'_>, now: Nanos) -> u64 {
        self.used(state, now)
    }

    fn has_mark(&self) -> bool {
        self.word.width == VARYING_BITS
    }

    /// More than half of the ring is in use.
    fn may_be_exhausted(&self, used: u64) -> bool {
        used > self.cells() / 2
    }
}

impl<const VARYING: bool> SlidingLog<VARYING> {
    fn in_bits(limit: Limit, cells: NonZeroU64, width: u32) -> Result<Self, Error> {
        let word = LogWord::new(width, cells);
        let eight_windows = limit.window_ms().saturating_mul(8);
        let per_ms = word.room().and_then(|width| finest(eight_windows, width));
        let per_ms = per_ms.ok_or_else(|| limit.too_large("sliding-log"))?;
        let window = limit.window_ms().wrapping_mul(per_ms.get());
        let skip = cells.get().wrapping_sub(limit.count());
        Ok(Self { skip, window, per_ms, word })
    }

    const fn cells(&self) -> u64 {
        self.word.cells.get()
    }

    /// The newest batch, and now in ticks.
    fn unpack(&self, state: State<'_>, now: Nanos) -> (Batch, u64) {
        (self.word.unpack(state.value), now.ticks(self.per_ms.get()))
    }

    /// Ticks from a time in the word to now; negative for a time of another thread's later clock reading.
    const fn since(&self, ticks: u64, time: u64) -> i64 {
        distance(ticks, time, self.word.time_bits())
    }

    /// Ticks since the `offset`-th oldest of the last N units was admitted; `None` for "no unit".
    fn age(&self, state: State<'_>, batch: Batch, ticks: u64, offset: u64) -> Option<u64> {
        if !batch.is_refund && offset >= self.cells().wrapping_sub(batch.units) {
            return Some(u64::try_from(self.since(ticks, batch.time)).unwrap_or(0));
        }
        if batch.is_refund && offset < batch.units {
            return None;
        }
        state.ring.age(self.word.cell(self.word.end(batch), offset), ticks)
    }

    fn has_left(&self, age: Option<u64>) -> bool {
        age.is_none_or(|age| age >= self.window)
    }

    /// How many of the last N units have left the window. They are the oldest, so bisect.
    fn remaining(&self, state: State<'_>, batch: Batch, ticks: u64) -> u64 {
        self.first_in_window(state, batch, ticks, self.skip).wrapping_sub(self.skip)
    }

    /// Offset of the oldest unit that is still in the window, at least `first`.
    fn first_in_window(&self, state: State<'_>, batch: Batch, ticks: u64, first: u64) -> u64 {
        bisect(first, self.cells(), |offset| self.has_left(self.age(state, batch, ticks, offset)))
    }

    /// Units in the window, however many the limit admits.
    fn in_window(&self, state: State<'_>, batch: Batch, ticks: u64) -> u64 {
        self.cells().wrapping_sub(self.first_in_window(state, batch, ticks, 0))
    }

    /// Now, or the newest unit's time if another thread's clock reading was later.
    fn stamp(&self, batch: Batch, ticks: u64) -> u64 {
        let later = distance(batch.time, ticks, self.word.time_bits());
        let is_late = batch.pending() > 0 && later > 0;
        if is_late { ticks.wrapping_add(later.unsigned_abs()) } else { ticks }
    }

    fn next(&self, batch: Batch, ticks: u64, units: u64) -> u64 {
        let (position, time) = (self.word.end(batch), self.stamp(batch, ticks));
        self.word.pack(Batch { is_refund: false, position, units, time, ..batch })
    }

    fn take_back(&self, batch: Batch, units: u64) -> u64 {
        let end = self.word.end(batch).wrapping_add(self.cells());
        let position = end.wrapping_sub(units) % self.word.cells;
        let refund_seq = batch.refund_seq.wrapping_add(1);
        self.word.pack(Batch { refund_seq, is_refund: true, position, units, time: 0 })
    }
}

impl<const VARYING: bool> Algorithm for SlidingLog<VARYING> {
    type OverflowBucket = Gcra<VARYING>;

    fn overflow_bucket(&self, limit: Limit) -> Self::OverflowBucket {
        Gcra::for_overflow(limit)
    }

    fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64> {
        let oldest = cost.checked_sub(1).filter(|_| cost <= self.max_cost())?;
        let (batch, ticks) = self.unpack(state, now);
        self.has_left(self.age(state, batch, ticks, oldest.wrapping_add(self.skip)))
            .then(|| self.next(batch, ticks, cost))
    }

    /// Every admitted unit carries its exact time.
    fn admit_between(&self, _: State<'_>, _: TimeRange, _: u64) -> Option<Verdict> {
        None
    }

    fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading {
        let (batch, ticks) = self.unpack(state, now);
        let wait = |offset: Option<u64>| {
            let age = offset.and_then(|offset| self.age(state, batch, ticks, offset));
            ceil_ms(age.map_or(0, |age| self.window.saturating_sub(age)), self.per_ms)
        };
        let oldest = cost.checked_sub(1).map(|oldest| oldest.wrapping_add(self.skip));
        Reading {
            remaining: self.remaining(state, batch, ticks),
            retry_ms: if cost > self.max_cost() { NEVER } else { wait(oldest) },
            reset_ms: wait(self.cells().checked_sub(1)),
        }
    }

    fn read_admitted(&self, before: State<'_>, _: u64, now: Nanos, cost: u64) -> Reading {
        let (batch, ticks) = self.unpack(before, now);
        let late = self.stamp(batch, ticks).wrapping_sub(ticks);
        Reading {
            remaining: self.remaining(before, batch, ticks).saturating_sub(cost),
            retry_ms: 0,
            reset_ms: ceil_ms(self.window.saturating_add(late), self.per_ms),
        }
    }

    /// Removes the newest units, at most as many as are in the window.
    fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64 {
        let (batch, ticks) = self.unpack(state, now);
        match units.min(self.in_window(state, batch, ticks)) {
            0 => state.value,
            units => self.take_back(batch, units),
        }
    }

    /// Removes the receipt's own units, wherever they stand by now.
    ///
    /// When other units were admitted after them, the newest are removed and those that stay are given
    /// the newest's time: what is left never counts for less than what was admitted.
    fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64 {
        let ((batch, ticks), charged) = (self.unpack(state, now), self.word.unpack(receipt));
        let since = self.word.end(batch).wrapping_add(self.cells()).wrapping_sub(charged.position);
        let stay = match since % self.word.cells {
            0 => self.cells().saturating_sub(units),
            since => since.saturating_sub(units),
        };
        if u64::try_from(self.since(ticks, charged.time)).is_ok_and(|age| age >= self.window) {
            return state.value;
        }
        if stay > 0 {
            self.flush(state, now);
            let age = self.age(state, batch, ticks, self.cells().saturating_sub(1)).unwrap_or(0);
            let newest = state.ring.unit(batch.refund_seq, ticks.wrapping_sub(age));
            for offset in 0..stay {
                state.ring.write(self.word.cell(charged.position, offset), newest, equal);
            }
        }
        self.take_back(batch, units)
    }

    /// Writes the pending batch into the ring, or clears the cells that were taken back.
    fn flush(&self, state: State<'_>, now: Nanos) {
        let (batch, ticks) = self.unpack(state, now);
        let (ring, seq) = (state.ring, batch.refund_seq);
        let age = self.since(ticks, batch.time);
        let (target, same): (_, fn(u64, u64) -> bool) = if batch.is_refund {
            (ring.cleared(seq, ticks), cleared_alike)
        } else {
            (ring.unit(seq, ticks.wrapping_add_signed(age.wrapping_neg())), equal)
        };
        for offset in 0..batch.units {
            ring.write(self.word.cell(batch.position, offset), target, same);
        }
    }

    fn log_times(&self, state: State<'_>, now: Nanos) -> Vec<u64> {
        let (batch, ticks) = self.unpack(state, now);
        let offsets = self.first_in_window(state, batch, ticks, 0)..self.cells();
        let ages = offsets.filter_map(|offset| self.age(state, batch, ticks, offset));
        ages.map(|age| ticks.wrapping_sub(age)).collect()
    }

    /// No batch is pending.
    fn log_value(&self, units: u64) -> u64 {
        let position = units % self.word.cells;
        self.word.pack(Batch { refund_seq: 0, is_refund: false, position, units: 0, time: 0 })
    }

    fn debt(&self, state: State<'_>, now: Nanos) -> Debt {
        let (batch, ticks) = self.unpack(state, now);
        match self.remaining(state, batch, ticks) {
            0 => Debt::Blocked,
            all if all == self.max_cost() => {
                Debt::None(self.since(ticks, batch.time).unsigned_abs())
            }
            left => Debt::Some(self.max_cost().saturating_sub(left)),
        }
    }

    /// A log keeps its slot: the time of its oldest unit says nothing of the others, which would be forgiven.
    fn lasting_us(&self, _: State<'_>, _: Nanos) -> Option<u64> {
        None
    }

    fn max_cost(&self) -> u64 {
        self.cells().wrapping_sub(self.skip)
    }

    fn epoch(&self, now: Nanos) -> u64 {
        now.ticks(self.per_ms.get()) >> self.word.time_bits().wrapping_sub(3)
    }

    fn epoch_ms(&self) -> u64 {
        epoch_ms(self.word.time_bits(), self.per_ms)
    }

    fn script_args(&self) -> [u64; 3] {
        [self.max_cost(), self.window / self.per_ms, self.per_ms.get()]
    }

    #[expect(clippy::cast_possible_truncation, reason = "below 2^21: two of it fit the word")]
    fn ring_words(&self) -> usize {
        self.cells() as usize
    }
}
