//! The shield beside slow models written in another way: floating point, hash maps, no packing.
#![cfg_attr(feature = "probe", expect(clippy::panic, reason = "tests may panic"))]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests may panic, and count in small numbers"
)]

#[path = "../contended/mod.rs"]
mod contended;
mod failures;
mod hostile;
mod misconduct;
mod rates;
mod table;
mod threads;

use ratethrottle_core::shield::{Blocks, Shield, ShieldConfig, Source, Verdict, words};
use ratethrottle_core::table::Heap;
use ratethrottle_core::{Nanos, Secret};

/// Where clocks begin: not at 0, and a whole number of seconds and of failure windows.
const START_MS: u64 = 6_000_000;
const MINUTE_MS: u64 = 60_000;
/// Blocks are forgotten after so long.
const FORGIVEN_AFTER_MS: u64 = 600_000;

const fn blocks(given: &[u64]) -> Blocks {
    let mut blocks = [0; 8];
    let mut i = 0;
    while i < given.len() {
        blocks[i] = given[i];
        i += 1;
    }
    blocks
}

/// The defaults, without prefixes, whose rules are about crowds.
fn config() -> ShieldConfig {
    ShieldConfig {
        sources: 1_024,
        max_rate: f64::INFINITY,
        ceiling: 50.0,
        regular_after_ms: 45_000,
        regular_requests: 12,
        newcomer_rate: 0.75,
        newcomer_burst: 20.0,
        strikes: 8,
        strikes_within_ms: MINUTE_MS,
        insistence_blocks: blocks(&[120_000, 600_000, 3_600_000]),
        failures: 15,
        failure_share: 0.8,
        failure_paths: 16.0,
        failure_blocks: blocks(&[600_000, 3_600_000]),
        v4_prefix: 24,
        v6_prefix: 48,
        prefix_share: 1.0,
    }
}

const fn at(ms: u64) -> Nanos {
    Nanos(ms * 1_000_000)
}

/// The n-th address.
fn source(n: u64) -> Source {
    let text = format!("10.{}.{}.{}", (n >> 16) & 255, (n >> 8) & 255, n & 255);
    Source::parse(text.as_bytes())
}

/// A shield that one thread uses.
fn alone(config: ShieldConfig) -> Shield {
    Shield::new(config, true).unwrap()
}

/// A shield as threads and processes share it.
fn shared(config: ShieldConfig) -> Shield {
    let memory = Heap::zeroed(words(&config)).unwrap().into();
    Shield::over(config, Secret::known(3, 5), memory).unwrap()
}

/// An ordinary request of the source, while clients are told.
fn ask(shield: &Shield, source: Source, ms: u64) -> Verdict {
    shield.decide(source, false, true, at(ms))
}
