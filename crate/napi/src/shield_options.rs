//! What a shield is made from.
#![expect(unreachable_pub, reason = "as #[napi] wants its exports")]

use crate::open::whole;
use napi_derive::napi;
use ratethrottle_core::shield::{Blocks, MAX_BLOCKS, ShieldConfig};

/// What a shield is made from. The TypeScript layer has checked and filled in everything.
#[napi(object)]
pub struct ShieldOptions {
    /// Sources that are remembered.
    pub sources: f64,
    /// Requests a second that the service can do; infinite if only its load says.
    pub max_rate: f64,
    /// Requests a second of one source.
    pub ceiling: f64,
    /// Milliseconds after which a source is a regular.
    pub regular_after_ms: f64,
    /// Requests of a regular.
    pub regular_requests: f64,
    /// Requests a second of a newcomer under pressure.
    pub newcomer_rate: f64,
    /// The same at once.
    pub newcomer_burst: f64,
    /// Strikes for a block.
    pub strikes: f64,
    /// Milliseconds within which they count.
    pub strikes_within_ms: f64,
    /// Milliseconds of the first, second … block.
    pub insistence_blocks: Vec<f64>,
    /// Failures for a block.
    pub failures: f64,
    /// Their share of a source's requests.
    pub failure_share: f64,
    /// Their distinct paths.
    pub failure_paths: f64,
    /// Milliseconds of the first, second … block for them.
    pub failure_blocks: Vec<f64>,
    /// Bits of an IPv4 prefix.
    pub v4_prefix: f64,
    /// Bits of an IPv6 prefix.
    pub v6_prefix: f64,
    /// Share of all traffic from which a new prefix is one source.
    pub prefix_share: f64,
    /// Shared by all threads that ask for the same name.
    pub name: Option<String>,
    /// Also by all processes of this user.
    pub shared: Option<bool>,
}

pub(crate) fn config(options: &ShieldOptions) -> ShieldConfig {
    let size = |n: f64| usize::try_from(whole(n)).unwrap_or(usize::MAX);
    ShieldConfig {
        sources: size(options.sources),
        max_rate: options.max_rate,
        ceiling: options.ceiling,
        regular_after_ms: whole(options.regular_after_ms),
        regular_requests: whole(options.regular_requests),
        newcomer_rate: options.newcomer_rate,
        newcomer_burst: options.newcomer_burst,
        strikes: whole(options.strikes),
        strikes_within_ms: whole(options.strikes_within_ms),
        insistence_blocks: blocks(&options.insistence_blocks),
        failures: whole(options.failures),
        failure_share: options.failure_share,
        failure_paths: options.failure_paths,
        failure_blocks: blocks(&options.failure_blocks),
        v4_prefix: whole(options.v4_prefix).min(255) as u8,
        v6_prefix: whole(options.v6_prefix).min(255) as u8,
        prefix_share: options.prefix_share,
    }
}

fn blocks(given: &[f64]) -> Blocks {
    let mut blocks = [0; MAX_BLOCKS];
    for (block, ms) in blocks.iter_mut().zip(given) {
        *block = whole(*ms);
    }
    blocks
}
