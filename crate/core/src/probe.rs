//! Counts lost compare-and-swaps in test builds, so that a concurrency test can show that its
//! threads did collide before it believes the count. Compiles to nothing otherwise.

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
