//! Fixed window: `start | count`, opened by the key's first request.
//!
//! Not aligned to the clock: denied clients do not all retry at :00, and each window starts with the key's
//! own first request. Two windows can touch, so up to 2N pass within one window's length; that is a property
//! of the algorithm, not of this code.

#[cfg(not(loom))]
use super::VaryingAlgorithm;
use super::bits::{bits, ceil_ms, distance, epoch_ms, finest, mask};
use super::step::denied_us;
use super::{Algorithm, Debt, Error, Gcra, Limit, Nanos, Reading, State, VALUE_BITS, VARYING_BITS};
use crate::decision::NEVER;
use std::num::NonZeroU64;

/// Bits for the count where it may be another one at the next call, if the window leaves room for them.
#[cfg(not(loom))]
const VARYING_COUNT_BITS: u32 = 30;

/// A validated fixed window. `VARYING`: the count may be another one at the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedWindow<const VARYING: bool = false> {
    count: u64,
    window: u64,
    per_ms: NonZeroU64,
    count_bits: u32,
}

/// A window: when it opened (modulo the word's range), and the units it has admitted.
#[derive(Clone, Copy)]
struct Open {
    start: u64,
    /// Ticks until it ends, from now.
    rest: u64,
    used: u64,
}

impl FixedWindow {
    /// Fails when count and window together need more than the word's 54 bits.
    pub fn new(limit: Limit) -> Result<Self, Error> {
        let count_bits = bits(limit.count());
        let eight_windows = limit.window_ms().saturating_mul(8);
        let per_ms = finest(eight_windows, VALUE_BITS.wrapping_sub(count_bits))
            .ok_or_else(|| limit.too_large("fixed-window"))?;
        let window = limit.window_ms().wrapping_mul(per_ms.get());
        Ok(Self { count: limit.count(), window, per_ms, count_bits })
    }
}

#[cfg(not(loom))]
impl FixedWindow<true> {
    /// Words for any count up to what the window leaves room for: 268,435,455 for an hour, 32,767 for a year.
    ///
    /// A tick is a millisecond then, so a window begins with the next one: it may end late, never early.
    pub(super) fn varying(limit: Limit, _ring: u64) -> Result<Self, Error> {
        let eight_windows = limit.window_ms().saturating_mul(8);
        let count_bits = VARYING_BITS.saturating_sub(bits(eight_windows)).min(VARYING_COUNT_BITS);
        if limit.count() > mask(count_bits) {
            return Err(limit.too_large("fixed-window"));
        }
        let (count, window, per_ms) = (limit.count(), limit.window_ms(), NonZeroU64::MIN);
        Ok(Self { count, window, per_ms, count_bits })
    }
}

#[cfg(not(loom))]
impl VaryingAlgorithm for FixedWindow<true> {
    fn used(&self, state: State<'_>, now: Nanos) -> u64 {
        self.open(state.value, now).used
    }

    fn add_used(&self, state: State<'_>, now: Nanos, more: u64) -> u64 {
        let open = self.open(state.value, now);
        self.word(open.start, open.used.saturating_add(more).min(mask(self.count_bits)))
    }
}

impl<const VARYING: bool> FixedWindow<VARYING> {
    const WIDTH: u32 = if VARYING { VARYING_BITS } else { VALUE_BITS };

    const fn time_bits(&self) -> u32 {
        Self::WIDTH.wrapping_sub(self.count_bits)
    }

    /// The key's window at `now`: the one in the word, or a new one that opens now.
    #[inline]
    fn open(&self, value: u64, now: Nanos) -> Open {
        let ticks = now.ticks(self.per_ms.get());
        let (start, used) = (value >> self.count_bits, value & mask(self.count_bits));
        let age = distance(ticks, start, self.time_bits());
        if used == 0 || u64::try_from(age).is_ok_and(|age| age >= self.window) {
            let next = u64::from(VARYING && !now.is_whole(self.per_ms.get()));
            let rest = self.window.wrapping_add(next);
            return Open { start: ticks.wrapping_add(next), rest, used: 0 };
        }
        // Begins after now: another thread read its clock later, or it begins with the next tick.
        let age = if VARYING { age.max(-1) } else { age.max(0) };
        Open { start, rest: self.window.wrapping_sub(age.cast_unsigned()), used }
    }

    /// An empty window is the same as none.
    #[inline]
    const fn word(&self, start: u64, used: u64) -> u64 {
        if used == 0 {
            return 0;
        }
        ((start << self.count_bits) | used) & mask(Self::WIDTH)
    }
}

impl<const VARYING: bool> Algorithm for FixedWindow<VARYING> {
    type OverflowBucket = Gcra<VARYING>;

    fn overflow_bucket(&self, limit: Limit) -> Self::OverflowBucket {
        Gcra::for_overflow(limit)
    }

    #[inline]
    fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64> {
        let open = self.open(state.value, now);
        let used = open.used.saturating_add(cost);
        (used <= self.count).then(|| self.word(open.start, used))
    }

    fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading {
        let open = self.open(state.value, now);
        let left = self.count.saturating_sub(open.used);
        let rest_ms = ceil_ms(open.rest, self.per_ms);
        let retry_ms = match cost {
            cost if cost > self.count => NEVER,
            cost if cost > left => rest_ms,
            _ => 0,
        };
        Reading { remaining: left, retry_ms, reset_ms: if open.used > 0 { rest_ms } else { 0 } }
    }

    fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64 {
        let open = self.open(state.value, now);
        self.word(open.start, open.used.saturating_sub(units))
    }

    fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64 {
        if state.value >> self.count_bits == receipt >> self.count_bits {
            return self.refund(state, now, units);
        }
        state.value
    }

    fn debt(&self, state: State<'_>, now: Nanos) -> Debt {
        let (ticks, start) = (now.ticks(self.per_ms.get()), state.value >> self.count_bits);
        match self.open(state.value, now).used {
            0 => Debt::None(distance(ticks, start, self.time_bits()).unsigned_abs()),
            used if used >= self.count => Debt::Blocked,
            used => Debt::Some(used),
        }
    }

    /// Nothing of a window that begins later, by a clock that is ahead: what this one would note is too little for it.
    fn lasting_us(&self, state: State<'_>, now: Nanos) -> Option<u64> {
        let start = state.value >> self.count_bits;
        let is_ahead = distance(start, now.ticks(self.per_ms.get()), self.time_bits()) > 0;
        if is_ahead { None } else { denied_us(self.read(state, now, 1)) }
    }

    /// A key that is denied has used up its window: when that ends says all.
    fn recalled(&self, now: Nanos, left_us: u64) -> Option<u64> {
        let ticks = now.ticks(self.per_ms.get());
        let left = left_us.saturating_mul(self.per_ms.get()).div_ceil(1_000).min(self.window);
        let start = ticks.wrapping_add(left).wrapping_sub(self.window);
        Some(self.word(start, self.count))
    }

    fn max_cost(&self) -> u64 {
        self.count
    }

    #[inline]
    fn epoch(&self, now: Nanos) -> u64 {
        now.ticks(self.per_ms.get()) >> self.time_bits().wrapping_sub(3)
    }

    fn epoch_ms(&self) -> u64 {
        epoch_ms(self.time_bits(), self.per_ms)
    }

    fn script_args(&self) -> [u64; 3] {
        [self.count, self.window / self.per_ms, self.per_ms.get()]
    }
}
