//! A limit: a number of units per window.

use crate::error::Error;
use std::num::NonZeroU64;

/// The largest count. Every algorithm's arithmetic is safe up to here; most words hold less.
pub const MAX_COUNT: u64 = 1_000_000_000;
/// The longest window: ten years of 365 days.
pub const MAX_WINDOW_MS: u64 = 10 * 365 * 86_400_000;

/// `count` units per `window_ms` milliseconds, and the burst of a bucket; all within range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    count: NonZeroU64,
    window_ms: NonZeroU64,
    burst: NonZeroU64,
}

impl Limit {
    /// A limit whose burst is its count. Fails with the number that is out of range.
    pub const fn new(count: u64, window_ms: u64) -> Result<Self, Error> {
        let (Some(count), ..=MAX_COUNT) = (NonZeroU64::new(count), count) else {
            return Err(Error::Count(count));
        };
        let (Some(window_ms), ..=MAX_WINDOW_MS) = (NonZeroU64::new(window_ms), window_ms) else {
            return Err(Error::Window(window_ms));
        };
        Ok(Self { count, window_ms, burst: count })
    }

    /// The same limit with a bucket of `burst` units. Only token bucket and leaky bucket have a burst.
    pub const fn with_burst(self, burst: u64) -> Result<Self, Error> {
        let (Some(burst), ..=MAX_COUNT) = (NonZeroU64::new(burst), burst) else {
            return Err(Error::Burst(burst));
        };
        Ok(Self { burst, ..self })
    }

    /// Units per window.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.count.get()
    }

    /// Units that a bucket holds: the count, unless [`Self::with_burst`] has changed it.
    #[must_use]
    pub const fn burst(self) -> u64 {
        self.burst.get()
    }

    /// The window's length in milliseconds.
    #[must_use]
    pub const fn window_ms(self) -> u64 {
        self.window_ms.get()
    }

    /// Both numbers as divisors.
    pub(crate) const fn parts(self) -> (NonZeroU64, NonZeroU64) {
        (self.count, self.window_ms)
    }

    /// The same window and, unless it is the count, the same burst, for another count.
    #[cfg(not(loom))]
    pub(crate) fn with_count(self, count: u64) -> Result<Self, Error> {
        let burst = if self.burst == self.count { count } else { self.burst() };
        Self::new(count, self.window_ms())?.with_burst(burst)
    }

    pub(crate) const fn too_large(self, algorithm: &'static str) -> Error {
        let (count, window_ms) = (self.count(), self.window_ms());
        Error::TooLarge { algorithm, count, window_ms, suggested: None }
    }
}
