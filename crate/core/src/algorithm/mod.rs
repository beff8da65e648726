//! The algorithms: pure steps from (state word, now, cost) to (decision, state word).
//!
//! Nothing here reads a clock, looks up a key or writes memory, with one exception that is named:
//! the sliding log keeps its timestamps in a ring beside the word and writes them there.
//!
//! A new algorithm is a file with an [`Algorithm`] and a [`VaryingAlgorithm`] of its own, and its lines
//! in the table below.

mod bits;
#[macro_use]
mod dispatch;
mod fixed_window;
mod gcra;
mod log_ring;
mod log_word;
mod sliding_log;
mod sliding_window;
mod step;
#[cfg(not(loom))]
mod varying;

pub(crate) use bits::distance;
#[cfg(not(loom))]
pub(crate) use bits::mask;
pub use fixed_window::FixedWindow;
pub use gcra::Gcra;
pub use log_ring::Ring;
pub use sliding_log::SlidingLog;
pub use sliding_window::SlidingWindow;
pub use step::{Algorithm, AlgorithmTask, Debt, State, Verdict};
#[cfg(not(loom))]
pub use varying::{Varying, VaryingAlgorithm};

use crate::clock::TimeRange;
use crate::decision::Reading;
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;

/// Width of the state value inside a slot's word; the other ten bits make reclaiming a slot safe.
pub const VALUE_BITS: u32 = 54;
/// All bits of a state value.
pub const VALUE_MASK: u64 = u64::MAX >> (64 - VALUE_BITS);

/// Where limits vary, one bit says whether the key was exhausted when its word was written.
pub(crate) const VARYING_BITS: u32 = VALUE_BITS - 1;

algorithms! {
    // A shared file stores the position of its algorithm in this list: append, never reorder.
    kinds {
        /// Paced, with a burst; the default.
        TokenBucket = "token-bucket", Gcra;
        /// The same meter under its other name; as a queue it releases one caller at a time.
        LeakyBucket = "leaky-bucket", Gcra;
        /// Two buckets, interpolated: about N per window, with a smooth edge.
        SlidingWindow = "sliding-window", SlidingWindow;
        /// Every timestamp: never more than N in any window.
        SlidingLog = "sliding-log", SlidingLog;
        /// A window that opens at the key's first request.
        FixedWindow = "fixed-window", FixedWindow;
    }
    arithmetic {
        /// Token bucket, and leaky bucket as a meter.
        Gcra;
        /// A window that opens at the key's first request.
        FixedWindow;
        /// Two aligned buckets, interpolated.
        SlidingWindow;
        /// The exact log.
        SlidingLog;
    }
}

impl AlgorithmKind {
    /// The algorithm of this name, or an error that lists the names.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|kind| kind.name() == name);
        found.copied().ok_or_else(|| Error::Algorithm(name.to_owned()))
    }

    /// Its number in a shared file.
    #[cfg(not(loom))]
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or(usize::MAX)
    }

    /// The algorithm of that number.
    #[cfg(not(loom))]
    pub(crate) fn at(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Whether a limit may have a burst other than its count.
    #[must_use]
    pub const fn has_burst(self) -> bool {
        matches!(self, Self::TokenBucket | Self::LeakyBucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_by_its_name_and_its_number() {
        for (index, kind) in AlgorithmKind::ALL.iter().enumerate() {
            assert_eq!(AlgorithmKind::parse(kind.name()), Ok(*kind));
            assert_eq!(kind.index(), index);
            assert_eq!(AlgorithmKind::at(index), Some(*kind));
        }
        assert_eq!(AlgorithmKind::at(AlgorithmKind::ALL.len()), None);
    }

    #[test]
    fn no_other_name_is_taken_for_a_kind() {
        for name in ["", "Token-bucket", "token_bucket", "token-bucket ", "gcra"] {
            let refusal = AlgorithmKind::parse(name).map_err(|error| error.code());
            assert_eq!(refusal, Err("INVALID_OPTION"));
        }
    }
}
