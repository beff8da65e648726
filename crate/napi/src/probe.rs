//! What only a test build has: lost exchanges are counted, and the next call can be made to panic.

#![cfg_attr(
    feature = "probe",
    expect(unreachable_pub, clippy::cast_precision_loss, reason = "exports for tests")
)]

#[cfg(feature = "probe")]
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "probe")]
static ARMED: AtomicBool = AtomicBool::new(false);

/// Panics once after `panicNext`. Nothing in a release build.
#[inline]
pub(crate) fn panic_if_armed() {
    #[cfg(feature = "probe")]
    assert!(!ARMED.swap(false, Ordering::Relaxed), "armed by a test");
}

/// Makes the next call of any limiter's function panic inside.
#[cfg(feature = "probe")]
#[napi_derive::napi]
pub fn panic_next() {
    ARMED.store(true, Ordering::Relaxed);
}

/// Lost compare-and-swaps in this process so far.
#[cfg(feature = "probe")]
#[napi_derive::napi]
#[must_use]
pub fn lost_exchanges() -> f64 {
    ratethrottle_core::lost_exchanges() as f64
}

/// How often this process has read the exact clock and the rough one so far.
#[cfg(feature = "probe")]
#[napi_derive::napi]
#[must_use]
pub fn clock_reads() -> Vec<f64> {
    ratethrottle_core::clock_reads().map(|count| count as f64).into()
}
