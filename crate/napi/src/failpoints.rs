//! Exports of test builds: counts of lost exchanges, clock readings and reported memory, and a panic on demand.

#![cfg_attr(
    feature = "probe",
    expect(unreachable_pub, clippy::cast_precision_loss, reason = "exports for tests")
)]

#[cfg(feature = "probe")]
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[cfg(feature = "probe")]
static ARMED: AtomicBool = AtomicBool::new(false);

#[cfg(feature = "probe")]
static REPORTED: AtomicI64 = AtomicI64::new(0);

/// Counts the bytes that were reported to V8, which offers no way to read them.
#[cfg_attr(
    not(feature = "probe"),
    expect(unused_variables, reason = "a release build has no failpoints")
)]
pub(crate) fn reported(change: i64) {
    #[cfg(feature = "probe")]
    REPORTED.fetch_add(change, Ordering::Relaxed);
}

/// Bytes that are reported to V8 as in use now.
#[cfg(feature = "probe")]
#[napi_derive::napi]
#[must_use]
pub fn reported_bytes() -> f64 {
    REPORTED.load(Ordering::Relaxed) as f64
}

/// Panics once after `panicNext`. Every export begins with it. Nothing in a release build.
#[inline]
pub(crate) fn panic_if_armed() {
    #[cfg(feature = "probe")]
    assert!(!ARMED.swap(false, Ordering::Relaxed), "armed by a test");
}

/// Makes the next call of a native function panic inside.
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

/// How often this process has read the exact clock and the coarse one so far.
#[cfg(feature = "probe")]
#[napi_derive::napi]
#[must_use]
pub fn clock_reads() -> Vec<f64> {
    ratethrottle_core::clock_reads().map(|count| count as f64).into()
}
