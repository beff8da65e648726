//! What only test builds do, at the places where threads meet: count lost compare-and-swaps, so that a
//! concurrency test can show that its threads did collide; count readings of the clock, for a benchmark;
//! kill or pause the process after the k-th exchange; and record each exchange, for a checker. Compiles to
//! nothing without the feature `probe`.

#[cfg(feature = "probe")]
use std::sync::PoisonError;
#[cfg(feature = "probe")]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[cfg(feature = "probe")]
static LOST: AtomicU64 = AtomicU64::new(0);
#[cfg(feature = "probe")]
static EXACT_READS: AtomicU64 = AtomicU64::new(0);
#[cfg(feature = "probe")]
static COARSE_READS: AtomicU64 = AtomicU64::new(0);
#[cfg(feature = "probe")]
static COUNTDOWN: AtomicU64 = AtomicU64::new(0);
#[cfg(feature = "probe")]
static PAUSE: std::sync::OnceLock<fn()> = std::sync::OnceLock::new();
#[cfg(feature = "probe")]
thread_local! {
    static MEDDLE: std::cell::Cell<Option<Box<dyn FnOnce()>>> = const { std::cell::Cell::new(None) };
}
#[cfg(feature = "probe")]
static IS_RECORDING: AtomicBool = AtomicBool::new(false);
#[cfg(feature = "probe")]
static RECORDED: std::sync::Mutex<Vec<[u64; 3]>> = std::sync::Mutex::new(Vec::new());

/// Another thread was faster.
#[cold]
pub(crate) fn lost_exchange() {
    // Relaxed: a statistic, read after the threads have been joined.
    #[cfg(feature = "probe")]
    LOST.fetch_add(1, Ordering::Relaxed);
}

/// Lost compare-and-swaps in this process so far.
#[cfg(feature = "probe")]
#[must_use]
pub fn lost_exchanges() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// The system's clock is read: the exact one, or the coarse one of the last tick.
#[inline(always)]
#[cfg_attr(
    not(feature = "probe"),
    expect(unused_variables, reason = "a release build has no failpoints")
)]
pub(crate) fn clock_read(is_exact: bool) {
    #[cfg(feature = "probe")]
    if is_exact { &EXACT_READS } else { &COARSE_READS }.fetch_add(1, Ordering::Relaxed);
}

/// How often this process has read the exact clock and the coarse one so far.
#[cfg(feature = "probe")]
#[must_use]
pub fn clock_reads() -> [u64; 2] {
    [&EXACT_READS, &COARSE_READS].map(|count| count.load(Ordering::Relaxed))
}

/// Runs `meddle` on this thread, once, when the first of several limits has been charged.
#[cfg(feature = "probe")]
pub fn meddle_between_limits(meddle: impl FnOnce() + 'static) {
    MEDDLE.set(Some(Box::new(meddle)));
}

/// One of several limits was charged, or has denied.
#[inline(always)]
pub(crate) fn charged_one_of_several() {
    #[cfg(feature = "probe")]
    if let Some(meddle) = MEDDLE.take() {
        meddle();
    }
}

/// Kills this process, as SIGKILL does, right after its k-th exchange from now on. 0 is never.
#[cfg(all(feature = "probe", target_os = "linux"))]
pub fn die_after(exchanges: u64) {
    COUNTDOWN.store(exchanges, Ordering::SeqCst);
}

/// Calls `pause` there instead, once: it returns when the process is to go on.
#[cfg(all(feature = "probe", target_os = "linux"))]
pub fn pause_after(exchanges: u64, pause: fn()) {
    let _ = PAUSE.set(pause);
    COUNTDOWN.store(exchanges, Ordering::SeqCst);
}

/// From now on records each exchange of a state word that succeeds.
#[cfg(feature = "probe")]
pub fn record_exchanges() {
    IS_RECORDING.store(true, Ordering::SeqCst);
}

/// What has been recorded: where in its page the word lies, what it was, and what it became.
#[cfg(feature = "probe")]
#[must_use]
pub fn recorded_exchanges() -> Vec<[u64; 3]> {
    std::mem::take(&mut RECORDED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A state word was exchanged.
#[inline(always)]
#[cfg_attr(
    not(feature = "probe"),
    expect(unused_variables, reason = "a release build has no failpoints")
)]
pub(crate) fn exchanged(word: &crate::atomic::AtomicU64, from: u64, to: u64) {
    #[cfg(feature = "probe")]
    if IS_RECORDING.load(Ordering::Relaxed) {
        let offset = std::ptr::from_ref(word).addr() as u64 & 4095;
        RECORDED.lock().unwrap_or_else(PoisonError::into_inner).push([offset, from, to]);
    }
    after_step();
}

/// A word was exchanged, or not.
#[inline(always)]
pub(crate) fn after_step() {
    #[cfg(all(feature = "probe", target_os = "linux"))]
    {
        let left = COUNTDOWN.load(Ordering::Relaxed);
        if left > 0 {
            COUNTDOWN.store(left.wrapping_sub(1), Ordering::Relaxed);
            if left == 1 {
                trigger();
            }
        }
    }
}

#[cold]
#[cfg(all(feature = "probe", target_os = "linux"))]
fn trigger() {
    use rustix::process::{Signal, getpid, kill_process};
    match PAUSE.get() {
        Some(pause) => pause(),
        None => _ = kill_process(getpid(), Signal::KILL),
    }
}
