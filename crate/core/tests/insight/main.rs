//! The insight beside slow models: every occurrence in a map, every event in a list.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests may panic, and count in small numbers"
)]

mod keys;
mod rows;
mod series;
mod threads;

use ratethrottle_core::insight::{Counted, Insight, InsightConfig, KeyStyle, Lane};
use ratethrottle_core::{Encoding, Key};
use std::sync::Arc;

fn plain(top: usize) -> Arc<Insight> {
    Arc::new(Insight::new(InsightConfig { keys: KeyStyle::Plain, top }).unwrap())
}

fn key(insight: &Insight, name: &str) -> Key {
    insight.key(name.as_bytes(), Encoding::Utf8)
}

/// The key of this number asks and is admitted.
fn ask(lane: &Lane, number: u64) {
    let name = number.to_string();
    let key = key(lane.insight(), &name);
    lane.decided(0, Counted::Admitted, key, || Some(name.clone()));
}

/// A generator without state in the system: the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
