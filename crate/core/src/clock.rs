//! Where the time comes from. The core never reads a wall clock: it steps.

use crate::nanos::Nanos;
use std::cell::Cell;

/// Something that tells the time. Read once per decision, and again after a lost compare-and-swap.
pub trait Clock {
    /// The time now, from the same zero for every thread that shares a limiter.
    fn now(&self) -> Nanos;
}

/// The system's monotonic clock: one zero for all threads and processes of a boot, no steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonic;

#[cfg(unix)]
impl Clock for Monotonic {
    #[inline]
    fn now(&self) -> Nanos {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Nanos(seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos))
    }
}

#[cfg(not(unix))]
impl Clock for Monotonic {
    fn now(&self) -> Nanos {
        static ZERO: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let elapsed = ZERO.get_or_init(std::time::Instant::now).elapsed().as_nanos();
        Nanos(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

/// One instant, read beforehand by the caller.
#[derive(Clone, Copy, Debug)]
pub struct At(pub Nanos);

impl Clock for At {
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
pub struct Ratchet {
    last: Cell<u64>,
    offset: Cell<u64>,
}

impl Ratchet {
    /// The time to decide with, given what the injected clock shows.
    pub fn at(&self, shown: Nanos) -> At {
        let now = shown.0.saturating_add(self.offset.get());
        let behind = self.last.get().saturating_sub(now);
        self.offset.set(self.offset.get().saturating_add(behind));
        let now = now.saturating_add(behind);
        self.last.set(now);
        At(Nanos(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_stops_time_for_an_instant_only() {
        let ratchet = Ratchet::default();
        let seen: Vec<u64> = [100, 160, 10, 20, 25].map(|ns| ratchet.at(Nanos(ns)).now().0).into();
        assert_eq!(seen, [100, 160, 160, 170, 175]);
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = Monotonic.now();
        assert!(Monotonic.now() >= first);
    }
}
