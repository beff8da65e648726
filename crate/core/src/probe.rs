//! What only test builds do: count lost compare-and-swaps, so that a concurrency test can show that its
//! threads did collide before it believes the count; count readings of the clock, for a benchmark; die or pause
//! after the k-th exchange; and write down each exchange, for a checker. Compiles to nothing otherwise.

#[cfg(feature = "probe")]
static LOST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Somebody else was faster.
#[cold]
pub(crate) fn lost() {
    // Relaxed: a statistic, read after the threads have been joined.
    #[cfg(feature = "probe")]
    LOST.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

/// Lost compare-and-swaps in this process so far.
#[cfg(feature = "probe")]
#[must_use]
pub fn lost_exchanges() -> u64 {
    LOST.load(std::sync::atomic::Ordering::Relaxed)
}

#[cfg(feature = "probe")]
static EXACT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
#[cfg(feature = "probe")]
static ROUGH: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// The system's clock is read: the exact one, or the rough one of the last tick.
#[inline(always)]
#[cfg_attr(
    not(feature = "probe"),
    expect(unused_variables, reason = "a release build has no probe")
)]
pub(crate) fn read_clock(is_exact: bool) {
    #[cfg(feature = "probe")]
    if is_exact { &EXACT } else { &ROUGH }.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

/// How often this process has read the exact clock and the rough one so far.
#[cfg(feature = "probe")]
#[must_use]
pub fn clock_reads() -> [u64; 2] {
    [&EXACT, &ROUGH].map(|count| count.load(std::sync::atomic::Ordering::Relaxed))
}

#[cfg(feature = "probe")]
static FUSE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[cfg(feature = "probe")]
static PAUSE: std::sync::OnceLock<fn()> = std::sync::OnceLock::new();

/// Kills this process, as SIGKILL does, right after its k-th exchange from now on. 0 is never.
#[cfg(all(feature = "probe", target_os = "linux"))]
pub fn die_after(exchanges: u64) {
    FUSE.store(exchanges, std::sync::atomic::Ordering::SeqCst);
}

/// Calls `pause` there instead, once: it returns when the process is to go on.
#[cfg(all(feature = "probe", target_os = "linux"))]
pub fn pause_after(exchanges: u64, pause: fn()) {
    let _ = PAUSE.set(pause);
    FUSE.store(exchanges, std::sync::atomic::Ordering::SeqCst);
}

#[cfg(feature = "probe")]
static IS_WRITING: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
#[cfg(feature = "probe")]
static WRITTEN: std::sync::Mutex<Vec<[u64; 3]>> = std::sync::Mutex::new(Vec::new());

/// From now on writes down each exchange of a state word that succeeds.
#[cfg(feature = "probe")]
pub fn write_down() {
    IS_WRITING.store(true, std::sync::atomic::Ordering::SeqCst);
}

/// What has been written down: where in its page the word lies, what it was, and what it became.
#[cfg(feature = "probe")]
#[must_use]
pub fn written_down() -> Vec<[u64; 3]> {
    std::mem::take(&mut WRITTEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// A state word was exchanged.
#[inline(always)]
#[cfg_attr(
    not(feature = "probe"),
    expect(unused_variables, reason = "a release build has no probe")
)]
pub(crate) fn exchanged(word: &crate::atomic::AtomicU64, from: u64, to: u64) {
    #[cfg(feature = "probe")]
    if IS_WRITING.load(std::sync::atomic::Ordering::Relaxed) {
        let place = std::ptr::from_ref(word).addr() as u64 & 4095;
        let mut written = WRITTEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        written.push([place, from, to]);
    }
    stepped();
}

/// Some word was exchanged, or not.
#[inline(always)]
pub(crate) fn stepped() {
    #[cfg(all(feature = "probe", target_os = "linux"))]
    {
        use std::sync::atomic::Ordering;
        let left = FUSE.load(Ordering::Relaxed);
        if left > 0 {
            FUSE.store(left.wrapping_sub(1), Ordering::Relaxed);
            if left == 1 {
                burn();
            }
        }
    }
}

#[cold]
#[cfg(all(feature = "probe", target_os = "linux"))]
fn burn() {
    use rustix::process::{Signal, getpid, kill_process};
    match PAUSE.get() {
        Some(pause) => pause(),
        None => _ = kill_process(getpid(), Signal::KILL),
    }
}
