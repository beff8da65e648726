//! Sliding window from two aligned buckets: `index | previous | current`.
//!
//! With r the part of the current window that is left, P and C the two counts, L per W:
//!
//! ```text
//! admit n    if  P*r + (C + n)*W <= L*W            (integers, no division)
//! remaining  =   L - C - ceil(P*r / W)
//! retry      =   r - floor((L-C-n)*W / P)                   if C + n <= L
//!            =   r + max(0, W - floor((L-n)*W / C))         if n <= L: the boundary, then C's decay
//! reset      =   r + W if C > 0, r if P > 0, else 0
//! ```
//!
//! An estimate, not a log: a burst at the end of one bucket and a paced stream after it can put up
//! to 2L - 1 into one window, and a low limit waits longer than the window (at L = 1 a key that was
//! admitted is denied until the bucket after the next begins).

#[cfg(not(loom))]
use super::VaryingAlgorithm;
use super::bits::{bits, ceil, ceil_ms, distance, mask};
use super::step::denied_us;
use super::{Algorithm, Debt, Gcra, State, VALUE_BITS, VARYING_BITS};
use crate::decision::{NEVER, Reading};
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;
use std::num::NonZeroU64;

/// Two counts of 20 bits leave 14 for the index, which is enough with epochs (see `table/epoch.rs`).
const MAX_COUNT_BITS: u32 = 20;

/// A validated sliding window. `VARYING`: the count may be another one at the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidingWindow<const VARYING: bool = false> {
    count: u64,
    window: NonZeroU64,
    window_ms: u64,
    per_ms: NonZeroU64,
    count_bits: u32,
}

/// The two buckets at one instant.
#[derive(Clone, Copy)]
struct Buckets {
    index: u64,
    rest: u64,
    previous: u64,
    current: u64,
}

impl SlidingWindow {
    /// Fails for counts over 1,048,575: two of them have to fit the word beside the index.
    pub fn new(limit: Limit) -> Result<Self, Error> {
        Self::with_bits(limit, bits(limit.count()))
    }
}

#[cfg(not(loom))]
impl SlidingWindow<true> {
    /// Words for any count; the index gives up a bit for the mark.
    pub(super) fn varying(limit: Limit, _ring: u64) -> Result<Self, Error> {
        if bits(limit.count()) > MAX_COUNT_BITS {
            return Err(limit.too_large("sliding-window"));
        }
        Self::with_bits(limit, MAX_COUNT_BITS)
    }
}

#[cfg(not(loom))]
impl VaryingAlgorithm for SlidingWindow<true> {
    fn used(&self, state: State<'_>, now: Nanos) -> u64 {
        ceil(self.weight(self.at(state.value, now)), self.window)
    }

    fn add_used(&self, state: State<'_>, now: Nanos, more: u64) -> u64 {
        let b = self.at(state.value, now);
        let current = b.current.saturating_add(more).min(mask(self.count_bits));
        self.word(Buckets { current, ..b })
    }
}

impl<const VARYING: bool> SlidingWindow<VARYING> {
    const WIDTH: u32 = if VARYING { VARYING_BITS } else { VALUE_BITS };

    fn with_bits(limit: Limit, count_bits: u32) -> Result<Self, Error> {
        if count_bits > MAX_COUNT_BITS {
            return Err(limit.too_large("sliding-window"));
        }
        // 2 * L * W must stay below 2^63; at one tick a millisecond it does: 2^(1 + 20 + 39).
        let (_, window_ms) = limit.parts();
        let room = 62_u32.saturating_sub(count_bits).saturating_sub(bits(window_ms.get()));
        let per_ms = NonZeroU64::new(1 << room.min(10)).unwrap_or(NonZeroU64::MIN);
        let window = window_ms.saturating_mul(per_ms);
        Ok(Self { count: limit.count(), window, window_ms: window_ms.get(), per_ms, count_bits })
    }

    const fn index_bits(&self) -> u32 {
        Self::WIDTH.wrapping_sub(self.counts_bits())
    }

    const fn counts_bits(&self) -> u32 {
        self.count_bits.wrapping_mul(2)
    }

    #[inline]
    const fn word(&self, buckets: Buckets) -> u64 {
        if buckets.previous == 0 && buckets.current == 0 {
            return 0;
        }
        let counts = (buckets.previous << self.count_bits) | buckets.current;
        ((buckets.index << self.counts_bits()) | counts) & mask(Self::WIDTH)
    }

    /// The buckets at `now`, rolled on from where the word left them.
    ///
    /// A word from a bucket that begins after `now` (another thread read its clock later) is judged
    /// at that bucket's beginning, where the estimate is highest.
    #[inline]
    fn at(&self, value: u64, now: Nanos) -> Buckets {
        let ticks = now.ticks(self.per_ms.get());
        let (index, past) = (ticks / self.window, ticks % self.window);
        let mask = mask(self.count_bits);
        let (previous, current) = ((value >> self.count_bits) & mask, value & mask);
        let then = value >> self.counts_bits();
        let rest = self.window.get().wrapping_sub(past);
        match if value == 0 { 2 } else { distance(index, then, self.index_bits()) } {
            0 => Buckets { index, rest, previous, current },
            1 => Buckets { index, rest, previous: current, current: 0 },
            2.. => Buckets { index, rest, previous: 0, current: 0 },
            _ => Buckets { index: then, rest: self.window.get(), previous, current },
        }
    }

    /// Units in the sliding window, times W: the estimate without its division.
    #[inline]
    const fn weight(&self, buckets: Buckets) -> u64 {
        let previous = buckets.previous.wrapping_mul(buckets.rest);
        previous.wrapping_add(buckets.current.wrapping_mul(self.window.get()))
    }

    fn retry(&self, b: Buckets, cost: u64) -> u64 {
        let Some(others) = self.count.checked_sub(cost) else { return NEVER };
        let window = self.window.get();
        let ticks = if let Some(spare) = others.checked_sub(b.current) {
            let decayed = spare.wrapping_mul(window).checked_div(b.previous);
            decayed.map_or(0, |decayed| b.rest.saturating_sub(decayed))
        } else {
            let decayed = others.wrapping_mul(window).checked_div(b.current).unwrap_or(0);
            b.rest.saturating_add(window.saturating_sub(decayed))
        };
        ceil_ms(ticks, self.per_ms)
    }
}

impl<const VARYING: bool> Algorithm for SlidingWindow<VARYING> {
    type OverflowBucket = Gcra<VARYING>;

    fn overflow_bucket(&self, limit: Limit) -> Self::OverflowBucket {
        Gcra::for_overflow(limit)
    }

    fn max_cost(&self) -> u64 {
        self.count
    }

    #[inline]
    fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64> {
        if cost > self.count {
            return None;
        }
        let buckets = self.at(state.value, now);
        let after = self.weight(buckets).wrapping_add(cost.wrapping_mul(self.window.get()));
        let current = buckets.current.wrapping_add(cost);
        (after <= self.count.wrapping_mul(self.window.get()))
            .then(|| self.word(Buckets { current, ..buckets }))
    }

    fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading {
        let buckets = self.at(state.value, now);
        let used = ceil(self.weight(buckets), self.window);
        let reset = match (buckets.current, buckets.previous) {
            (0, 0) => 0,
            (0, _) => buckets.rest,
            _ => buckets.rest.wrapping_add(self.window.get()),
        };
        Reading {
            remaining: self.count.saturating_sub(used),
            retry_ms: self.retry(buckets, cost),
            reset_ms: ceil_ms(reset, self.per_ms),
        }
    }

    /// Gives back to the current bucket first, then to the previous one.
    fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64 {
        let b = self.at(state.value, now);
        let rest = units.saturating_sub(b.current);
        let (previous, current) =
            (b.previous.saturating_sub(rest), b.current.saturating_sub(units));
        self.word(Buckets { previous, current, ..b })
    }

    /// Gives back to the bucket that the receipt charged, wherever that one is by now.
    fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64 {
        let b = self.at(state.value, now);
        let charged = receipt >> self.counts_bits();
        match distance(b.index, charged, self.index_bits()) {
            0 => self.word(Buckets { current: b.current.saturating_sub(units), ..b }),
            1 => self.word(Buckets { previous: b.previous.saturating_sub(units), ..b }),
            _ => state.value,
        }
    }

    fn debt(&self, state: State<'_>, now: Nanos) -> Debt {
        let buckets = self.at(state.value, now);
        match ceil(self.weight(buckets), self.window) {
            0 => {
                let then = state.value >> self.counts_bits();
                Debt::None(distance(buckets.index, then, self.index_bits()).unsigned_abs())
            }
            used if used >= self.count => Debt::Blocked,
            used => Debt::Some(used),
        }
    }

    /// Nothing of buckets that lie later, by a clock that is ahead: what this one would note is too little for it.
    fn lasting_us(&self, state: State<'_>, now: Nanos) -> Option<u64> {
        let then = state.value >> self.counts_bits();
        let index = now.ticks(self.per_ms.get()) / self.window;
        let is_ahead = distance(then, index & mask(self.index_bits()), self.index_bits()) > 0;
        if is_ahead { None } else { denied_us(self.read(state, now, 1)) }
    }

    #[inline]
    fn epoch(&self, now: Nanos) -> u64 {
        (now.ticks(self.per_ms.get()) / self.window) >> self.index_bits().wrapping_sub(3)
    }

    fn epoch_ms(&self) -> u64 {
        self.window_ms.saturating_mul(1 << self.index_bits().wrapping_sub(3))
    }

    fn script_args(&self) -> [u64; 3] {
        [self.count, self.window_ms, self.per_ms.get()]
    }
}
