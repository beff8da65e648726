//! Permits in memory: as a slow model counts them, with threads that collide, and with as many keys as there may be.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

mod room;
#[cfg(feature = "probe")]
mod threads;
mod twin;

use ratethrottle_core::Encoding;
use ratethrottle_core::permits::{Lane, Permits, PermitsConfig, Refusal};
use std::sync::Arc;

fn make(per_key: u32, total: u32, capacity: usize, is_alone: bool) -> Arc<Permits> {
    Arc::new(Permits::new(PermitsConfig { per_key, total, capacity }, is_alone).unwrap())
}

fn take(lane: &Lane, key: u64) -> Result<usize, Refusal> {
    lane.acquire(lane.permits().key(&key.to_le_bytes(), Encoding::Utf8))
}

fn held(lane: &Lane, key: u64) -> u32 {
    lane.permits().held(lane.permits().key(&key.to_le_bytes(), Encoding::Utf8))
}
