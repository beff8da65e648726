//! Token bucket as the generic cell rate algorithm: one word, the theoretical arrival time.
//!
//! The word holds the instant at which the bucket is full again (TAT). With T the time one token
//! takes and D = burst * T:
//!
//! ```text
//! admit n    if  max(TAT, now) + n*T <= now + D,   then TAT = max(TAT, now) + n*T
//! remaining  =   floor((now + D - max(TAT, now)) / T)
//! retry      =   max(TAT, now) + n*T - D - now
//! reset      =   TAT - now
//! ```
//!
//! The unit of time is chosen per limit so that a token AND a millisecond are both whole numbers
//! of ticks. "7 a second" is then exact: seven tokens are back after 1000 ms, not after 1001, which
//! is what rounding T to nanoseconds gives.

#[cfg(not(loom))]
use super::VaryingAlgorithm;
use super::bits::{ceil, ceil_ms, distance, epoch_ms, mask};
use super::{Algorithm, Debt, State, VALUE_BITS, VARYING_BITS, Verdict};
use crate::clock::TimeRange;
use crate::decision::{NEVER, Reading};
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;
use std::num::NonZeroU64;

/// More ticks to a millisecond would not fit 64 bits together with the latest time a clock may show.
const MAX_PER_MS: u64 = 1 << 20;
/// The bucket's depth has to fit an eighth of the word's time range.
const MAX_DEPTH: u64 = 1 << (VALUE_BITS - 3);
/// About 15 ns a tick: finer than two calls can be apart, and the word then lasts eight years.
const FINE_PER_MS: u64 = 1 << 16;

/// Ticks to a millisecond where limits vary: a millisecond and the tokens of 1 to 10 a millisecond are
/// whole numbers of them, and with those the tokens of nearly all limits that people write.
const VARYING_PER_MS: NonZeroU64 = match NonZeroU64::new(2_520) {
    Some(per_ms) => per_ms,
    None => NonZeroU64::MIN,
};
/// The most time that can be owed where limits vary: an eighth of what the word holds, 14 years.
const MAX_OWED: u64 = 1 << (VARYING_BITS - 3);

/// A validated token bucket.
///
/// `VARYING`: many limits use one word, see `varying.rs`. Then the unit of time is the same for all limits,
/// and time that is owed stays owed, however much it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gcra<const VARYING: bool = false> {
    per_ms: NonZeroU64,
    token: NonZeroU64,
    depth: u64,
    burst: u64,
}

impl Gcra {
    /// The limit's burst of tokens at most, refilled at its rate.
    pub fn new(limit: Limit) -> Result<Self, Error> {
        Self::exact(limit)
    }
}

#[cfg(not(loom))]
impl Gcra<true> {
    /// The bucket of a limit that may be another one at the next call.
    ///
    /// A token that is no whole number of ticks is rounded down if N of them still take more than the
    /// window less a millisecond, and more than N-1 of the exact ones: then N tokens are back after the
    /// window to the millisecond, and at no whole millisecond before it. Otherwise it is rounded up.
    pub(super) fn varying(limit: Limit, _ring: u64) -> Result<Self, Error> {
        let burst = limit.burst();
        let (count, window_ms) = limit.parts();
        let window = window_ms.saturating_mul(VARYING_PER_MS).get();
        let lost = window % count;
        let is_close =
            lost < VARYING_PER_MS.get() && count.get().saturating_mul(count.get()) <= window;
        let token = if is_close { window / count } else { ceil(window, count) };
        let token = NonZeroU64::new(token).unwrap_or(NonZeroU64::MIN);
        let depth = burst.saturating_mul(token.get());
        if depth > MAX_OWED {
            return Err(limit.too_large("token-bucket"));
        }
        Ok(Self { per_ms: VARYING_PER_MS, token, depth, burst })
    }
}

#[cfg(not(loom))]
impl VaryingAlgorithm for Gcra<true> {
    fn used(&self, state: State<'_>, now: Nanos) -> u64 {
        self.ahead(state.value, now.ticks(self.per_ms.get()))
    }

    fn add_used(&self, state: State<'_>, now: Nanos, more: u64) -> u64 {
        let ticks = now.ticks(self.per_ms.get());
        let after = self.ahead(state.value, ticks).saturating_add(more).min(MAX_OWED);
        if after == 0 { 0 } else { Self::word(ticks, after) }
    }

    fn stamp(&self, now: Nanos) -> u64 {
        Self::word(now.ticks(self.per_ms.get()), 0)
    }

    fn idle_ms(&self, state: State<'_>, now: Nanos) -> u64 {
        let idle = distance(now.ticks(self.per_ms.get()), state.value, VARYING_BITS);
        u64::try_from(idle).unwrap_or(0) / self.per_ms
    }

    fn price(&self, units: u64) -> u64 {
        units.saturating_mul(self.token.get())
    }

    fn max_used(&self) -> u64 {
        self.depth
    }
}

impl<const VARYING: bool> Gcra<VARYING> {
    const WIDTH: u32 = if VARYING { VARYING_BITS } else { VALUE_BITS };

    fn exact(limit: Limit) -> Result<Self, Error> {
        let burst = limit.burst();
        let (per_ms, token) = lowest_terms(limit);
        let depth = NonZeroU64::new(burst.saturating_mul(token.get()))
            .filter(|depth| depth.get() <= MAX_DEPTH && per_ms.get() <= MAX_PER_MS)
            .ok_or_else(|| limit.too_large("token-bucket"))?;
        let finer = (FINE_PER_MS / per_ms).min(MAX_DEPTH / depth);
        let finer = NonZeroU64::new(finer).unwrap_or(NonZeroU64::MIN);
        Ok(Self {
            per_ms: per_ms.saturating_mul(finer),
            token: token.saturating_mul(finer),
            depth: depth.saturating_mul(finer).get(),
            burst,
        })
    }
    /// A bucket with the limit's rate for the keys that overflow, its token rounded up if need be.
    pub(super) fn for_overflow(limit: Limit) -> Self {
        let exact = if VARYING { None } else { Self::exact(limit).ok() };
        exact.unwrap_or_else(|| {
            let (count, window_ms) = limit.parts();
            let per_ms = if VARYING { VARYING_PER_MS } else { NonZeroU64::MIN };
            let token = ceil(window_ms.saturating_mul(per_ms).get(), count);
            let token = NonZeroU64::new(token).unwrap_or(NonZeroU64::MIN);
            let depth = token.saturating_mul(count).get();
            Self { per_ms, token, depth, burst: count.get() }
        })
    }

    /// Ticks of debt: how far the TAT lies ahead of `now`, at most a full bucket.
    ///
    /// The clamp changes nothing in normal use. It bounds what a wrong word can do. Where limits vary it
    /// is larger than a full bucket: a call with a small limit must not forgive what a large one has charged.
    #[inline(always)]
    fn ahead(&self, value: u64, ticks: u64) -> u64 {
        if value == 0 {
            return 0;
        }
        let ahead = distance(value, ticks, Self::WIDTH);
        let max = if VARYING { MAX_OWED } else { self.depth };
        u64::try_from(ahead).unwrap_or(0).min(max)
    }

    /// The word for a bucket that is full again `ahead` ticks from now. 0 is reserved for a new key.
    #[inline]
    const fn word(ticks: u64, ahead: u64) -> u64 {
        match ticks.wrapping_add(ahead) & mask(Self::WIDTH) {
            0 => 1,
            value => value,
        }
    }

    fn relieved(&self, value: u64, ticks: u64, relief: u64) -> u64 {
        match self.ahead(value, ticks).saturating_sub(relief) {
            0 => 0,
            left => Self::word(ticks, left),
        }
    }
}

impl<const VARYING: bool> Algorithm for Gcra<VARYING> {
    type OverflowBucket = Self;

    fn overflow_bucket(&self, _: Limit) -> Self {
        self.clone()
    }

    #[inline(always)]
    fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64> {
        if cost > self.burst {
            return None;
        }
        let ticks = now.ticks(self.per_ms.get());
        let after =
            self.ahead(state.value, ticks).wrapping_add(cost.wrapping_mul(self.token.get()));
        (after <= self.depth).then(|| Self::word(ticks, after))
    }

    /// While the bucket is in use its TAT does not depend on the time, only the decision does.
    #[inline(always)]
    fn admit_between(&self, state: State<'_>, range: TimeRange, cost: u64) -> Option<Verdict> {
        if cost > self.burst {
            return Some(Verdict::Denied);
        }
        let ticks = range.earliest.ticks(self.per_ms.get());
        let slack = range.slack_ms.wrapping_mul(self.per_ms.get());
        let ahead = u64::try_from(distance(state.value, ticks, Self::WIDTH)).unwrap_or(0);
        if state.value == 0 || ahead <= slack || ahead > self.depth {
            return None;
        }
        let charge = cost.wrapping_mul(self.token.get());
        let after = ahead.wrapping_add(charge);
        if after <= self.depth {
            return Some(Verdict::Admitted(Self::word(ticks, after)));
        }
        (after.wrapping_sub(slack) > self.depth).then_some(Verdict::Denied)
    }

    #[inline(always)]
    fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading {
        let ahead = self.ahead(state.value, now.ticks(self.per_ms.get()));
        let left = self.depth.saturating_sub(ahead);
        // Where limits vary, a key may owe more than this limit's full bucket.
        let over = if VARYING { ahead.saturating_sub(self.depth) } else { 0 };
        let wait = cost.saturating_mul(self.token.get()).saturating_sub(left).saturating_add(over);
        let retry_ms = if cost > self.burst { NEVER } else { ceil_ms(wait, self.per_ms) };
        Reading { remaining: left / self.token, retry_ms, reset_ms: ceil_ms(ahead, self.per_ms) }
    }

    /// As the default, less a division: who was admitted has nothing to wait for.
    #[inline(always)]
    fn read_admitted(&self, _: State<'_>, next: u64, now: Nanos, _: u64) -> Reading {
        let ahead = self.ahead(next, now.ticks(self.per_ms.get()));
        let left = self.depth.saturating_sub(ahead);
        Reading { remaining: left / self.token, retry_ms: 0, reset_ms: ceil_ms(ahead, self.per_ms) }
    }

    fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64 {
        let ticks = now.ticks(self.per_ms.get());
        self.relieved(state.value, ticks, units.saturating_mul(self.token.get()))
    }

    /// Takes back no more than is left of the bucket as the charge left it: what has drained since then is
    /// gone, and other callers' tokens must not pay for it.
    fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64 {
        let ticks = now.ticks(self.per_ms.get());
        let charge = units.saturating_mul(self.token.get());
        self.relieved(state.value, ticks, charge.min(self.ahead(receipt, ticks)))
    }

    fn debt(&self, state: State<'_>, now: Nanos) -> Debt {
        let ticks = now.ticks(self.per_ms.get());
        match self.ahead(state.value, ticks) {
            0 => Debt::None(distance(ticks, state.value, Self::WIDTH).unsigned_abs()),
            ahead if ahead.saturating_add(self.token.get()) > self.depth => Debt::Blocked,
            ahead => Debt::Some(ahead),
        }
    }

    /// All that is owed: the key is denied, and owes afterwards, as if it had kept its slot.
    fn lasting_us(&self, state: State<'_>, now: Nanos) -> Option<u64> {
        let ticks = now.ticks(self.per_ms.get());
        let ahead = self.ahead(state.value, ticks);
        // A state further ahead is one of a clock that is: what this one would note is too little for it.
        let is_whole = distance(state.value, ticks, Self::WIDTH) == ahead.cast_signed();
        (ahead > 0 && is_whole).then(|| ceil(ahead.saturating_mul(1_000), self.per_ms))
    }

    fn recalled(&self, now: Nanos, left_us: u64) -> Option<u64> {
        let max = if VARYING { MAX_OWED } else { self.depth };
        let ahead = left_us.saturating_mul(self.per_ms.get()).div_ceil(1_000).min(max);
        Some(Self::word(now.ticks(self.per_ms.get()), ahead))
    }

    #[inline(always)]
    fn max_cost(&self) -> u64 {
        self.burst
    }

    #[inline(always)]
    fn epoch(&self, now: Nanos) -> u64 {
        now.ticks(self.per_ms.get()) >> Self::WIDTH.wrapping_sub(3)
    }

    fn epoch_ms(&self) -> u64 {
        epoch_ms(Self::WIDTH, self.per_ms)
    }

    fn script_args(&self) -> [u64; 3] {
        [self.per_ms.get(), self.token.get(), self.depth]
    }
}

/// Ticks to a millisecond and ticks to a token, the smallest whole numbers that give the rate.
fn lowest_terms(limit: Limit) -> (NonZeroU64, NonZeroU64) {
    let (count, window_ms) = limit.parts();
    let (mut a, mut b) = (count, window_ms.get());
    while let Some(divisor) = NonZeroU64::new(b) {
        (a, b) = (divisor, a.get() % divisor);
    }
    let divided = |n: NonZeroU64| NonZeroU64::new(n.get() / a).unwrap_or(NonZeroU64::MIN);
    (divided(count), divided(window_ms))
}
