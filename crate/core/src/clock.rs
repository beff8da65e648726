//! Where the time comes from. The core never reads the wall clock, because that one can be set back.

use crate::nanos::Nanos;
use std::cell::Cell;

/// A source of time. Read once per decision, and again after a lost compare-and-swap.
pub trait Clock {
    /// The time now, from the same zero for every thread that shares a limiter.
    fn now(&self) -> Nanos;

    /// Two instants between which the time now lies, if they cost much less than the exact time.
    fn coarse(&self) -> Option<TimeRange> {
        None
    }
}

impl<C: Clock + ?Sized> Clock for &C {
    #[inline(always)]
    fn now(&self) -> Nanos {
        (**self).now()
    }

    #[inline(always)]
    fn coarse(&self) -> Option<TimeRange> {
        (**self).coarse()
    }
}

/// Two instants, and a time somewhere between them.
#[derive(Clone, Copy, Debug)]
pub struct TimeRange {
    /// The time is this or later.
    pub earliest: Nanos,
    /// The time is at most this many milliseconds later.
    pub slack_ms: u64,
}

impl TimeRange {
    /// The time is this or earlier.
    #[inline(always)]
    #[must_use]
    pub const fn latest(self) -> Nanos {
        Nanos(self.earliest.0.wrapping_add(self.slack_ms.wrapping_mul(1_000_000)))
    }
}

/// The system's monotonic clock: one zero for all threads and processes of a boot, no steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonic;

#[cfg(unix)]
impl Clock for Monotonic {
    #[inline(always)]
    fn now(&self) -> Nanos {
        read(libc::CLOCK_MONOTONIC)
    }

    /// The kernel's time of the last tick: 1 ns to read where the exact time takes 15 to 20.
    ///
    /// Ticks are 1 to 10 ms apart. The slack is ten times that, for a machine that is late with one.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[inline(always)]
    fn coarse(&self) -> Option<TimeRange> {
        Some(TimeRange { earliest: read(libc::CLOCK_MONOTONIC_COARSE), slack_ms: 100 })
    }
}

/// Reads through libc, which asks the kernel where there is no vDSO: under valgrind, say.
/// (rustix 1.1 looks for the vDSO by itself and calls through a null pointer if there is none.)
#[cfg(unix)]
#[inline(always)]
#[expect(unsafe_code, reason = "libc's clock_gettime writes to a timespec of ours")]
fn read(clock: libc::clockid_t) -> Nanos {
    crate::failpoints::clock_read(clock == libc::CLOCK_MONOTONIC);
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call, which writes to nothing else. It can't fail: both clocks
    // exist in every kernel that Node runs on.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) };
    debug_assert_eq!(failed, 0, "the monotonic clock can be read");
    let seconds = time.tv_sec.cast_unsigned();
    Nanos(seconds.wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec.cast_unsigned()))
}

#[cfg(not(unix))]
impl Clock for Monotonic {
    fn now(&self) -> Nanos {
        static ZERO: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let elapsed = ZERO.get_or_init(std::time::Instant::now).elapsed().as_nanos();
        Nanos(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

/// A clock that stands still at one instant, which the caller has read beforehand.
#[derive(Clone, Copy, Debug)]
pub struct FixedTime(pub Nanos);

impl Clock for FixedTime {
    #[inline]
    fn now(&self) -> Nanos {
        self.0
    }
}

/// Makes an injected clock monotonic: a step back counts as no time passed.
///
/// Without this, state written before the step lies in the future and a denied key stays denied
/// until the clock has caught up, which after a wrong date can be years.
#[derive(Debug, Default)]
pub struct MonotonicAdapter {
    last: Cell<u64>,
    offset: Cell<u64>,
}

impl MonotonicAdapter {
    /// The time to decide with, given what the injected clock shows.
    pub fn at(&self, shown: Nanos) -> FixedTime {
        let now = shown.0.saturating_add(self.offset.get());
        let behind = self.last.get().saturating_sub(now);
        self.offset.set(self.offset.get().saturating_add(behind));
        let now = now.saturating_add(behind);
        self.last.set(now);
        FixedTime(Nanos(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_stops_time_for_an_instant_only() {
        let adapter = MonotonicAdapter::default();
        let seen: Vec<u64> = [100, 160, 10, 20, 25].map(|ns| adapter.at(Nanos(ns)).now().0).into();
        assert_eq!(seen, [100, 160, 160, 170, 175]);
    }

    #[test]
    fn the_time_lies_within_the_coarse_range() {
        for _ in 0..100_000 {
            let before = Monotonic.now();
            let Some(range) = Monotonic.coarse() else { return };
            assert!(range.earliest <= Monotonic.now() && before <= range.latest());
        }
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = Monotonic.now();
        assert!(Monotonic.now() >= first);
    }
}
