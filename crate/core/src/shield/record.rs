//! What is remembered of a source: eight words, each a pure step from what it was.
//!
//! ```text
//! 0 ceiling   when its bucket is empty again, in microseconds
//! 1 pace      the same for a newcomer's pace, in sixteenths of a millisecond 44 | requests 20
//! 2 recent    requests of the last minute, decayed 32 | tick of the last request 32
//! 3 habit     requests a second over ten minutes 32 | tick of the first request 32
//! 4 failures  count 12 | window 8 | requests when the window began 20 | paths 24
//! 5 strikes   tick of the first 32 | count 8 | second of the last 8 | owner 16
//! 6 told      until when to wait, in milliseconds 40 | flags 8 | owner 16
//! 7 block     until when, in milliseconds 40 | level 4 | reason 4 | owner 16
//! ```
//!
//! The last three punish, so they name the owner of the slot: a process that writes one late, when the slot is
//! another source's, punishes no one. A tick is 64 milliseconds.

use super::config::Bucket;

/// Words to a record.
pub(super) const RECORD: usize = 8;
pub(super) const CEILING: usize = 0;
pub(super) const PACE: usize = 1;
pub(super) const RECENT: usize = 2;
pub(super) const HABIT: usize = 3;
pub(super) const FAILURES: usize = 4;
pub(super) const STRIKES: usize = 5;
pub(super) const TOLD: usize = 6;
pub(super) const BLOCK: usize = 7;

/// Seconds after which a rate of the last minute has decayed to a third.
const RECENT_SECONDS: f32 = 60.0;
/// The same for a habit. Long, so that a flood does not become one.
const HABIT_SECONDS: f32 = 600.0;
const TICK_SECONDS: f32 = 0.064;

pub(super) const MS: u64 = (1 << 40) - 1;
const LOW: u64 = 0xffff_ffff;

/// A time of the caller's clock, in the units of the records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) us: u64,
    pub(super) ms: u64,
    pub(super) tick: u64,
}

impl Now {
    /// From microseconds. One millisecond later than the clock's, so that no time is the zero of an empty record.
    #[inline(always)]
    pub(super) const fn from_us(us: u64) -> Self {
        let ms = (us / 1_000).wrapping_add(1) & MS;
        Self { us: us.wrapping_add(1_000), ms, tick: (ms >> 6) & LOW }
    }

    /// Milliseconds since a tick.
    #[inline(always)]
    pub(super) const fn since(self, tick: u64) -> u64 {
        self.tick.saturating_sub(tick) << 6
    }
}

/// `e^-x`, for x from 0.
#[inline(always)]
fn decay(x: f32) -> f32 {
    if x < 0.1 { 1.0 - x + x * x * 0.5 } else { (-x).exp() }
}

#[inline(always)]
const fn float(word: u64) -> f32 {
    f32::from_bits((word >> 32) as u32)
}

#[inline(always)]
const fn pack(value: f32, low: u64) -> u64 {
    ((value.to_bits() as u64) << 32) | (low & LOW)
}

#[expect(clippy::cast_precision_loss, reason = "a rate is no exact number")]
#[inline(always)]
fn seconds_between(earlier: u64, later: u64) -> f32 {
    later.saturating_sub(earlier) as f32 * TICK_SECONDS
}

/// One more request in `recent`.
#[inline(always)]
pub(super) fn recent_after(word: u64, now: Now) -> u64 {
    let elapsed = seconds_between(word & LOW, now.tick);
    pack(float(word) * decay(elapsed / RECENT_SECONDS) + 1.0, now.tick)
}

/// Requests a second, over the last minute.
#[inline(always)]
pub(super) fn recent_rate(word: u64, now: Now) -> f64 {
    let elapsed = seconds_between(word & LOW, now.tick);
    f64::from(float(word) * decay(elapsed / RECENT_SECONDS) / RECENT_SECONDS)
}

/// Requests before this one a second, as if the source had always been there: one of a few seconds has its true rate.
pub(super) fn mean_rate(recent: u64, habit: u64, now: Now) -> f64 {
    let age = seconds_between(habit & LOW, now.tick).max(1.0);
    let before = recent_rate(recent, now) - 1.0 / f64::from(RECENT_SECONDS);
    before.max(0.0) / f64::from(1.0 - decay(age / RECENT_SECONDS))
}

/// The tick of the last request.
#[inline(always)]
pub(super) const fn last_tick(recent: u64) -> u64 {
    recent & LOW
}

/// Seconds after which a burst has decayed to a third.
const BURST_SECONDS: f32 = 5.0;

/// One more request in a `recent` that forgets within seconds: that of a prefix.
pub(super) fn burst_after(word: u64, now: Now) -> u64 {
    let elapsed = seconds_between(word & LOW, now.tick);
    pack(float(word) * decay(elapsed / BURST_SECONDS) + 1.0, now.tick)
}

/// Requests a second, over the last seconds.
pub(super) fn burst_rate(word: u64, now: Now) -> f64 {
    let elapsed = seconds_between(word & LOW, now.tick);
    f64::from(float(word) * decay(elapsed / BURST_SECONDS) / BURST_SECONDS)
}

/// The habit now, when the last request was at tick `last`; with one more, unless it is refused.
///
/// Learned by time, not by request: a flooder is at a tenth of its rate after a minute. And not from what is
/// refused: what a source is not used to get is no habit.
#[inline(always)]
pub(super) fn habit_after(word: u64, last: u64, is_refused: bool, now: Now) -> u64 {
    let elapsed = seconds_between(last, now.tick);
    let one = if is_refused { 0.0 } else { 1.0 / HABIT_SECONDS };
    pack(float(word) * decay(elapsed / HABIT_SECONDS) + one, word & LOW)
}

/// Requests a second that the source has been used to.
#[inline(always)]
pub(super) fn habit_rate(word: u64) -> f64 {
    f64::from(float(word))
}

/// The tick of the first request.
#[inline(always)]
pub(super) const fn first_tick(habit: u64) -> u64 {
    habit & LOW
}

/// A habit that begins now.
#[inline(always)]
pub(super) const fn new_habit(now: Now) -> u64 {
    pack(1.0 / HABIT_SECONDS, now.tick)
}

/// A bucket of `burst` units, one of which leaks each `interval`: when it is empty again after one unit more,
/// and by how much that is over the brim. Never more than `cap` units over it.
#[inline(always)]
pub(super) const fn fill(
    empty_at: u64,
    now: u64,
    interval: u64,
    burst: u64,
    cap: u64,
) -> (u64, u64) {
    let start = if empty_at > now { empty_at } else { now };
    let most = now.saturating_add(interval.saturating_mul(burst.saturating_add(cap)));
    let filled = start.saturating_add(interval);
    let filled = if filled < most { filled } else { most };
    let brim = now.saturating_add(interval.saturating_mul(burst));
    (filled, filled.saturating_sub(brim))
}

pub(super) const REQUESTS: u64 = (1 << 20) - 1;
/// From its end the count of requests steps back by this.
pub(super) const HALF: u64 = 1 << 19;

/// The number of requests. From 2^20 on it says 2^19 to 2^20.
#[inline(always)]
pub(super) const fn requests(pace: u64) -> u64 {
    pace & REQUESTS
}

/// One request more, with a bucket that is empty at `empty_at`.
#[inline(always)]
pub(super) const fn with_request(pace: u64, empty_at: u64) -> u64 {
    let count = requests(pace).wrapping_add(1);
    let count = if count > REQUESTS { HALF } else { count };
    (empty_at << 20) | count
}

/// One request more in the bucket of the pace, which holds up to two more than its burst.
#[inline(always)]
pub(super) const fn pace_after(pace: u64, now: Now, bucket: Bucket) -> u64 {
    let at = now.ms << 4;
    with_request(pace, fill(pace >> 20, at, bucket.interval, bucket.burst, 2).0)
}

/// By how many milliseconds a source is ahead of its pace.
pub(super) const fn pace_ahead_ms(pace: u64, now: Now, bucket: Bucket) -> u64 {
    let brim = (now.ms << 4).saturating_add(bucket.interval.saturating_mul(bucket.burst));
    (pace >> 20).saturating_sub(brim) >> 4
}
