//! Where the time comes from. The core never reads the wall clock, because that one can be set back.
//!
//! `allow` reads one clock of two. The exact clock takes 20 ns. The coarse one takes 2, and suffices for keys
//! that are in debt and stay so for a while. Which of them to read is guessed by what sufficed for the key before
//! ([`ClockMemory`]), and checked against the key's state: a wrong guess costs time, never a wrong decision.

use crate::key::Key;
use crate::nanos::Nanos;
use std::cell::Cell;

/// A source of time. Read once per decision, and again after a lost compare-and-swap.
pub trait Clock {
    /// The time now, from the same zero for every thread that shares a limiter.
    fn now(&self) -> Nanos;

    /// Runs `act` with what this thread remembers of a clock that has a coarse reading; `None`: it has none.
    #[inline(always)]
    fn with_memory<R>(&self, act: impl FnOnce(Option<&ClockMemory>) -> R) -> R {
        act(None)
    }
}

impl<C: Clock> Clock for &C {
    #[inline(always)]
    fn now(&self) -> Nanos {
        (**self).now()
    }

    #[inline(always)]
    fn with_memory<R>(&self, act: impl FnOnce(Option<&ClockMemory>) -> R) -> R {
        (**self).with_memory(act)
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

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[inline(always)]
    fn with_memory<R>(&self, act: impl FnOnce(Option<&ClockMemory>) -> R) -> R {
        thread_local! {
            static MEMORY: ClockMemory = const { ClockMemory::new() };
        }
        MEMORY.with(|memory| act(Some(memory)))
    }
}

/// The system's monotonic clock for one owner of one thread, who keeps the memory. A thread's own, as
/// [`Monotonic`] has it, takes some nanoseconds to find in a shared library.
#[derive(Debug, Default)]
pub struct OwnedMonotonic(ClockMemory);

impl Clock for OwnedMonotonic {
    #[inline(always)]
    fn now(&self) -> Nanos {
        Monotonic.now()
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[inline(always)]
    fn with_memory<R>(&self, act: impl FnOnce(Option<&ClockMemory>) -> R) -> R {
        act(Some(&self.0))
    }
}

/// By how much the coarse clock may be late. Ticks are 1 to 10 ms apart; this is ten times that, for a machine
/// that is late with one.
const SLACK_MS: u64 = 100;
/// Guesses that are kept, in words of 64. Keys that have one in common cost each other time, no more.
const GUESSES: u64 = 512;
const GUESS_WORDS: usize = 8;

/// What one thread remembers of a clock: the last reading, and for which keys the coarse one sufficed.
#[derive(Debug)]
pub struct ClockMemory {
    last: Cell<u64>,
    guesses: [Cell<u64>; GUESS_WORDS],
}

impl Default for ClockMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl ClockMemory {
    /// No reading yet, and the exact clock for every key.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: Cell::new(0), guesses: [const { Cell::new(0) }; GUESS_WORDS] }
    }

    /// Whether the coarse clock is likely to suffice for the key.
    #[inline(always)]
    pub(crate) fn guesses_coarse(&self, key: Key) -> bool {
        let (word, bit) = self.guess_of(key);
        word.is_some_and(|word| word.get() & bit != 0)
    }

    /// Reads the coarse clock, if `decide` comes to a decision for a range of time that begins with the last
    /// reading, and answers it if the time does lie there.
    ///
    /// It does not after a pause of the thread. So at most one call in 100 ms reads the coarse clock in vain.
    #[inline(always)]
    pub(crate) fn decide_coarsely<D>(
        &self,
        decide: impl FnOnce(TimeRange) -> Option<D>,
    ) -> Option<D> {
        let earliest = Nanos(self.last.get());
        let decision = decide(TimeRange { earliest, slack_ms: 2 * SLACK_MS })?;
        let coarse = coarse();
        self.last.set(coarse.0);
        // It may be earlier than the last reading, if that was an exact one.
        (coarse.0.saturating_sub(earliest.0) <= SLACK_MS * 1_000_000).then_some(decision)
    }

    /// Remembers an exact reading, and whether a coarse one would have sufficed for the key.
    #[inline(always)]
    pub(crate) fn learn(&self, key: Key, now: Nanos, suffices: impl FnOnce(TimeRange) -> bool) {
        self.last.set(now.0);
        let (word, bit) = self.guess_of(key);
        let Some(word) = word else { return };
        let others = word.get() & !bit;
        let suffices = suffices(TimeRange { earliest: now, slack_ms: 2 * SLACK_MS });
        word.set(if suffices { others | bit } else { others });
    }

    #[inline(always)]
    fn guess_of(&self, key: Key) -> (Option<&Cell<u64>>, u64) {
        let index = key.spread(GUESSES);
        (self.guesses.get((index / 64) as usize), 1 << (index % 64))
    }
}

/// The kernel's time of the last tick.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline(always)]
fn coarse() -> Nanos {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn coarse() -> Nanos {
    Monotonic.now()
}

/// By how many milliseconds [`coarse_now`] may be late.
pub const COARSE_MS: u64 = 16;

/// The time of the system's last tick: a quarter of the cost, for what needs no more than that.
#[inline(always)]
#[must_use]
pub fn coarse_now() -> Nanos {
    coarse()
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
    use crate::key::{Encoding, Secret};

    #[test]
    fn a_step_back_stops_time_for_an_instant_only() {
        let adapter = MonotonicAdapter::default();
        let seen: Vec<u64> = [100, 160, 10, 20, 25].map(|ns| adapter.at(Nanos(ns)).now().0).into();
        assert_eq!(seen, [100, 160, 160, 170, 175]);
    }

    #[test]
    fn the_coarse_time_is_late_by_less_than_the_slack() {
        for _ in 0..100_000 {
            let before = Monotonic.now();
            let coarse = coarse();
            assert!(coarse <= Monotonic.now());
            assert!(before.0.saturating_sub(coarse.0) <= SLACK_MS * 1_000_000);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_coarse_decision_holds_only_near_the_last_reading() {
        let memory = ClockMemory::new();
        let key = Secret::known(1, 2).key(b"k", Encoding::Utf8);
        let decide = || memory.decide_coarsely(|range| Some(range.earliest));
        assert_eq!(decide(), None, "nothing was read before");

        let now = Monotonic.now();
        memory.learn(key, now, |range| range.earliest == now);
        assert!(memory.guesses_coarse(key));
        assert_eq!(decide(), Some(now));

        let long_ago = Nanos(now.0 - (SLACK_MS + 50) * 1_000_000);
        memory.learn(key, long_ago, |_| false);
        assert!(!memory.guesses_coarse(key));
        assert_eq!(decide(), None, "the thread may have paused");
        assert!(decide().is_some(), "the coarse reading is the last one now");
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = Monotonic.now();
        assert!(Monotonic.now() >= first);
    }
}
