//! The atomics the table is built on: the standard ones, or loom's where the protocol is being explored.

use crate::failpoints;

#[cfg(loom)]
pub use loom::sync::atomic::AtomicU64;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::atomic::AtomicU64;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{Ordering, fence};

/// Exchanges a word that threads meet at. `AcqRel`: publishes what the winner wrote before to the next reader of it.
#[inline(always)]
pub(crate) fn exchange(word: &AtomicU64, from: u64, to: u64) -> bool {
    let won = word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if won {
        failpoints::exchanged(word, from, to);
    } else {
        failpoints::lost_exchange();
    }
    won
}
