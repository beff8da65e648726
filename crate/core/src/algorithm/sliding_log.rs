//! The exact log: N timestamps per key, never more than N units in any window.
//!
//! ```text
//! word = turn 3 | taken back 1 | position | units | time
//! ```
//!
//! The word holds the newest batch (`units` admitted at `time`, to stand in the ring from
//! `position` on); the ring holds the batches before it. Whoever wants to change the word first
//! settles that batch into the ring. So one exchange of the word is one decision, a thread that
//! dies leaves nothing half done, and cells written twice are written alike.
//!
//! After a refund of k units the word says "taken back": the k cells from `position` on are to be
//! cleared, and no batch is pending.
//!
//! Admitting n more displaces the n oldest of the last N units, so n are admitted exactly when the
//! n-th oldest has left the window. One look at the ring decides; counting takes log2(N) looks.

use super::ring::{cleared_alike, equal};
use super::{Debt, Ring, State, VALUE_BITS, VARYING_BITS, bits, ceil_ms, distance, finest, mask};
use crate::decision::{NEVER, Reading};
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;
use std::num::NonZeroU64;

const FLAG_BITS: u32 = 4;

/// A validated sliding log. `VARYING`: the count may be another one at the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidingLog<const VARYING: bool = false> {
    /// Places in the ring.
    count: NonZeroU64,
    /// The number of them that are older than the last N units; 0 unless the limit may change from call to call.
    skip: u64,
    window: u64,
    per_ms: NonZeroU64,
    position_bits: u32,
    units_bits: u32,
    /// Whether there is room for the bit that says "exhausted", where the count may change.
    is_marked: bool,
}

/// The word, unpacked.
#[derive(Clone, Copy)]
struct Batch {
    turn: u64,
    taken_back: bool,
    position: u64,
    units: u64,
    time: u64,
}

impl SlidingLog {
    /// Fails when count and window together need more than the word's 54 bits.
    pub fn new(limit: Limit) -> Result<Self, Error> {
        Self::in_bits(limit, limit.parts().0, VALUE_BITS)
    }
}

impl SlidingLog<true> {
    /// A ring that serves any count up to its size.
    pub(super) fn varying(limit: Limit, places: u64) -> Result<Self, Error> {
        let places = NonZeroU64::new(places).filter(|places| places.get() >= limit.count());
        let places = places.ok_or_else(|| limit.too_large("sliding-log"))?;
        Self::in_bits(limit, places, VARYING_BITS)
            .or_else(|_| Self::in_bits(limit, places, VALUE_BITS))
    }

    /// Whether the word has a bit for the mark.
    pub(super) const fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// Whether a key without a mark may be exhausted: more than half of the ring is.
    pub(super) const fn is_nearly_full(&self, used: u64) -> bool {
        used > self.count.get() / 2
    }

    pub(super) fn owed(&self, state: State<'_>, now: Nanos) -> u64 {
        self.used(state, self.unpack(state.value), now.ticks(self.per_ms.get()))
    }

    /// The word after these further units, whatever the limit admits.
    pub(super) fn owing(&self, state: State<'_>, now: Nanos, more: u64) -> u64 {
        match more.min(self.count.get()) {
            0 => state.value,
            more => self.next(self.unpack(state.value), now.ticks(self.per_ms.get()), more),
        }
    }
}

impl<const VARYING: bool> SlidingLog<VARYING> {
    const fn width(&self) -> u32 {
        if VARYING && self.is_marked { VARYING_BITS } else { VALUE_BITS }
    }

    fn in_bits(limit: Limit, count: NonZeroU64, width: u32) -> Result<Self, Error> {
        let units_bits = bits(count.get());
        let position_bits = bits(count.get().wrapping_sub(1));
        let eight_windows = limit.window_ms().saturating_mul(8);
        let per_ms = width
            .checked_sub(FLAG_BITS.wrapping_add(position_bits).wrapping_add(units_bits))
            .and_then(|width| finest(eight_windows, width))
            .ok_or_else(|| limit.too_large("sliding-log"))?;
        let window = limit.window_ms().wrapping_mul(per_ms.get());
        let skip = count.get().wrapping_sub(limit.count());
        let is_marked = width == VARYING_BITS;
        Ok(Self { count, skip, window, per_ms, position_bits, units_bits, is_marked })
    }

    const fn time_bits(&self) -> u32 {
        let rest = FLAG_BITS.wrapping_add(self.position_bits).wrapping_add(self.units_bits);
        self.width().wrapping_sub(rest)
    }

    const fn unpack(&self, value: u64) -> Batch {
        let units = value >> self.time_bits();
        let position = units >> self.units_bits;
        let flags = position >> self.position_bits;
        Batch {
            turn: flags >> 1,
            taken_back: flags & 1 == 1,
            position: position & mask(self.position_bits),
            units: units & mask(self.units_bits),
            time: value & mask(self.time_bits()),
        }
    }

    const fn pack(&self, batch: Batch) -> u64 {
        let flags = ((batch.turn & 7) << 1) | batch.taken_back as u64;
        let position = (flags << self.position_bits) | batch.position;
        let units = (position << self.units_bits) | batch.units;
        let time = batch.time & mask(self.time_bits());
        ((units << self.time_bits()) | time) & mask(self.width())
    }

    /// The cell `offset` places after `position`.
    #[expect(clippy::cast_possible_truncation, reason = "below the count, which is far below 2^32")]
    fn cell(&self, position: u64, offset: u64) -> usize {
        (position.wrapping_add(offset) % self.count) as usize
    }

    /// Position of the next unit.
    fn end(&self, batch: Batch) -> u64 {
        if batch.taken_back {
            return batch.position;
        }
        batch.position.wrapping_add(batch.units) % self.count
    }

    /// Ticks since the `offset`-th oldest of the last N units was admitted; `None` for "no unit".
    fn age(&self, state: State<'_>, batch: Batch, ticks: u64, offset: u64) -> Option<u64> {
        let pending = !batch.taken_back && offset >= self.count.get().wrapping_sub(batch.units);
        if pending {
            let age = distance(ticks, batch.time, self.time_bits());
            return Some(u64::try_from(age).unwrap_or(0));
        }
        if batch.taken_back && offset < batch.units {
            return None;
        }
        state.ring.age(self.cell(self.end(batch), offset), ticks)
    }

    fn left(&self, age: Option<u64>) -> bool {
        age.is_none_or(|age| age >= self.window)
    }

    /// How many of the last N units have left the window. They are the oldest, so bisect.
    fn remaining(&self, state: State<'_>, batch: Batch, ticks: u64) -> u64 {
        self.left_since(state, batch, ticks, self.skip).wrapping_sub(self.skip)
    }

    /// Places up to the oldest unit in the window, from this one on.
    fn left_since(&self, state: State<'_>, batch: Batch, ticks: u64, first: u64) -> u64 {
        let (mut low, mut high) = (first, self.count.get());
        while low < high {
            let middle = low.midpoint(high);
            if self.left(self.age(state, batch, ticks, middle)) {
                low = middle.wrapping_add(1);
            } else {
                high = middle;
            }
        }
        low
    }

    /// Units in the window, however many the limit admits.
    fn used(&self, state: State<'_>, batch: Batch, ticks: u64) -> u64 {
        self.count.get().wrapping_sub(self.left_since(state, batch, ticks, 0))
    }

    /// When the units in the window were admitted, in ticks, the oldest first.
    #[cfg(not(loom))]
    pub(super) fn times(&self, state: State<'_>, now: Nanos) -> Vec<u64> {
        let (batch, ticks) = (self.unpack(state.value), now.ticks(self.per_ms.get()));
        let offsets = self.left_since(state, batch, ticks, 0)..self.count.get();
        let ages = offsets.filter_map(|offset| self.age(state, batch, ticks, offset));
        ages.map(|age| ticks.wrapping_sub(age)).collect()
    }

    /// The word of a log whose units stand in the first cells of its ring, with no batch pending.
    #[cfg(not(loom))]
    pub(super) fn settled(&self, units: u64) -> u64 {
        let position = units % self.count;
        self.pack(Batch { turn: 0, taken_back: false, position, units: 0, time: 0 })
    }

    /// Now, or the newest unit's time should another thread's clock reading be later.
    fn stamp(&self, batch: Batch, ticks: u64) -> u64 {
        let later = distance(batch.time, ticks, self.time_bits());
        let pending = !batch.taken_back && batch.units > 0;
        if pending && later > 0 { ticks.wrapping_add(later.unsigned_abs()) } else { ticks }
    }

    pub(super) fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64> {
        let oldest = cost.checked_sub(1).filter(|_| cost <= self.most())?;
        let (batch, ticks) = (self.unpack(state.value), now.ticks(self.per_ms.get()));
        self.left(self.age(state, batch, ticks, oldest.wrapping_add(self.skip)))
            .then(|| self.next(batch, ticks, cost))
    }

    fn next(&self, batch: Batch, ticks: u64, units: u64) -> u64 {
        self.pack(Batch {
            turn: batch.turn,
            taken_back: false,
            position: self.end(batch),
            units,
            time: self.stamp(batch, ticks),
        })
    }

    pub(super) fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading {
        let (batch, ticks) = (self.unpack(state.value), now.ticks(self.per_ms.get()));
        let wait = |offset: Option<u64>| {
            let age = offset.and_then(|offset| self.age(state, batch, ticks, offset));
            ceil_ms(age.map_or(0, |age| self.window.saturating_sub(age)), self.per_ms)
        };
        Reading {
            remaining: self.remaining(state, batch, ticks),
            retry_ms: if cost > self.most() {
                NEVER
            } else {
                wait(cost.checked_sub(1).map(|oldest| oldest.wrapping_add(self.skip)))
            },
            reset_ms: wait(self.count.get().checked_sub(1)),
        }
    }

    pub(super) fn read_admitted(&self, before: State<'_>, now: Nanos, cost: u64) -> Reading {
        let (batch, ticks) = (self.unpack(before.value), now.ticks(self.per_ms.get()));
        let late = self.stamp(batch, ticks).wrapping_sub(ticks);
        Reading {
            remaining: self.remaining(before, batch, ticks).saturating_sub(cost),
            retry_ms: 0,
            reset_ms: ceil_ms(self.window.saturating_add(late), self.per_ms),
        }
    }

    /// Removes the newest units, at most as many as are in the window.
    pub(super) fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64 {
        let (batch, ticks) = (self.unpack(state.value), now.ticks(self.per_ms.get()));
        let used = self.used(state, batch, ticks);
        match units.min(used) {
            0 => state.value,
            units => self.take_back(batch, units),
        }
    }

    fn take_back(&self, batch: Batch, units: u64) -> u64 {
        let position =
            self.end(batch).wrapping_add(self.count.get()).wrapping_sub(units) % self.count;
        let turn = batch.turn.wrapping_add(1);
        self.pack(Batch { turn, taken_back: true, position, units, time: 0 })
    }

    /// Removes the receipt's own units, wherever they stand by now.
    ///
    /// When others were admitted after them, the newest are removed and those that stay are given
    /// the newest's time: what is left never counts for less than what was admitted.
    pub(super) fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64 {
        let (batch, charged) = (self.unpack(state.value), self.unpack(receipt));
        let ticks = now.ticks(self.per_ms.get());
        let age = distance(ticks, charged.time, self.time_bits());
        let since = self.end(batch).wrapping_add(self.count.get()).wrapping_sub(charged.position);
        let stay = match since % self.count {
            0 => self.count.get().saturating_sub(units),
            since => since.saturating_sub(units),
        };
        if u64::try_from(age).is_ok_and(|age| age >= self.window) {
            return state.value;
        }
        if stay > 0 {
            self.settle(state, now);
            let newest = ticks.wrapping_sub(self.newest_age(state, batch, ticks));
            self.raise(state.ring, batch, charged.position, stay, newest);
        }
        self.take_back(batch, units)
    }

    fn newest_age(&self, state: State<'_>, batch: Batch, ticks: u64) -> u64 {
        self.age(state, batch, ticks, self.count.get().saturating_sub(1)).unwrap_or(0)
    }

    fn raise(&self, ring: Ring<'_>, batch: Batch, from: u64, cells: u64, ticks: u64) {
        for offset in 0..cells {
            ring.write(self.cell(from, offset), ring.unit(batch.turn, ticks), equal);
        }
    }

    /// Writes the pending batch into the ring, or clears the cells that were taken back.
    pub(super) fn settle(&self, state: State<'_>, now: Nanos) {
        let (batch, ticks) = (self.unpack(state.value), now.ticks(self.per_ms.get()));
        let (ring, turn) = (state.ring, batch.turn);
        let age = distance(ticks, batch.time, self.time_bits());
        let (target, same): (_, fn(u64, u64) -> bool) = if batch.taken_back {
            (ring.cleared(turn, ticks), cleared_alike)
        } else {
            (ring.unit(turn, ticks.wrapping_add_signed(age.wrapping_neg())), equal)
        };
        for offset in 0..batch.units {
            ring.write(self.cell(batch.position, offset), target, same);
        }
    }

    pub(super) fn debt(&self, state: State<'_>, now: Nanos) -> Debt {
        let (batch, ticks) = (self.unpack(state.value), now.ticks(self.per_ms.get()));
        match self.remaining(state, batch, ticks) {
            0 => Debt::Blocked,
            all if all == self.most() => {
                Debt::None(distance(ticks, batch.time, self.time_bits()).unsigned_abs())
            }
            left => Debt::Some(self.most().saturating_sub(left)),
        }
    }

    pub(super) const fn most(&self) -> u64 {
        self.count.get().wrapping_sub(self.skip)
    }

    pub(super) const fn era(&self, now: Nanos) -> u64 {
        now.ticks(self.per_ms.get()) >> self.time_bits().wrapping_sub(3)
    }

    pub(super) fn era_ms(&self) -> u64 {
        (1_u64 << self.time_bits().wrapping_sub(3)) / self.per_ms
    }

    #[expect(clippy::cast_possible_truncation, reason = "below 2^21: two of it fit the word")]
    pub(super) const fn ring_words(&self) -> usize {
        self.count.get() as usize
    }
}
