//! What only a test build has: lost exchanges are counted, and the next call can be made to panic.

#![cfg_attr(
    feature = "probe",
    expect(unreachable_pub, clippy::cast_precision_loss, reason = "exports for tests")
)]

#[cfg(feature = "probe")]
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[cfg(feature = "probe")]
static ARMED: AtomicBool = AtomicBool::new(false);

#[cfg(feature = "probe")]
static TOLD: AtomicI64 = AtomicI64::new(0);

/// The bytes that V8 has been told of. It has no way to be asked.
#[cfg_attr(
    not(feature = "probe"),
    expect(unused_variables, reason = "a release build has no probe")
)]
pub(crate) fn told(change: i64) {
    #[cfg(feature = "probe")]
    TOLD.fetch_add(change, Ordering::Relaxed);
}

/// Bytes that V8 has been told of, and not yet that they are gone.
#[cfg(feature = "probe")]
#[napi_derive::napi]
#[must_use]
pub fn told_bytes() -> f64 {
    TOLD.load(Ordering::Relaxed) as f64
}

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
