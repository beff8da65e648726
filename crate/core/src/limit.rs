//! A limit: so many units per window.

use crate::error::Error;

/// The largest count. Every algorithm's arithmetic is safe up to here; most words hold less.
pub const MAX_COUNT: u64 = 1_000_000_000;
/// The longest window: ten years of 365 days.
pub const MAX_WINDOW_MS: u64 = 10 * 365 * 86_400_000;

/// `count` units per `window_ms` milliseconds, both within range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    count: u64,
    window_ms: u64,
}

impl Limit {
    /// A limit, or which of the two numbers is out of range.
    pub const fn new(count: u64, window_ms: u64) -> Result<Self, Error> {
        if count == 0 || count > MAX_COUNT {
            return Err(Error::Count(count));
        }
        if window_ms == 0 || window_ms > MAX_WINDOW_MS {
            return Err(Error::Window(window_ms));
        }
        Ok(Self { count, window_ms })
    }

    /// Units per window.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.count
    }

    /// The window's length in milliseconds.
    #[must_use]
    pub const fn window_ms(self) -> u64 {
        self.window_ms
    }

    pub(crate) const fn too_large(self, algorithm: &'static str) -> Error {
        Error::TooLarge { algorithm, count: self.count, window_ms: self.window_ms }
    }
}
