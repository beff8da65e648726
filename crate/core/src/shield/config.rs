//! What a shield is made from, checked once.

use crate::error::Error;

/// The longest list of blocks, each longer than the one before.
pub const MAX_BLOCKS: usize = 8;
/// The most sources of one shield: about 1.4 GB.
pub const MAX_SOURCES: usize = 1 << 24;

/// Durations of the first, second … block in milliseconds; zeros after the last.
pub type Blocks = [u64; MAX_BLOCKS];

/// Everything that determines how a shield decides. Rates are per second.
#[derive(Clone, Debug, PartialEq)]
pub struct ShieldConfig {
    /// Sources that are remembered.
    pub sources: usize,
    /// What the service can do; infinite: there is never pressure, unless a capacity is set later.
    pub max_rate: f64,
    /// What one source may send, ever.
    pub ceiling: f64,
    /// A source is a regular after this time …
    pub regular_after_ms: u64,
    /// … and this many requests.
    pub regular_requests: u64,
    /// What a newcomer may send under pressure …
    pub newcomer_rate: f64,
    /// … and at once.
    pub newcomer_burst: f64,
    /// Returns before the time told, for a block.
    pub strikes: u64,
    /// The time within which they count.
    pub strikes_within_ms: u64,
    /// Blocks of the insistent.
    pub insistence_blocks: Blocks,
    /// Failures for a block …
    pub failures: u64,
    /// … if they are this share of a source's requests …
    pub failure_share: f64,
    /// … and on this many paths, unless the route is sensitive.
    pub failure_paths: f64,
    /// Blocks for failures.
    pub failure_blocks: Blocks,
    /// Bits of an IPv4 prefix.
    pub v4_prefix: u8,
    /// Bits of an IPv6 prefix.
    pub v6_prefix: u8,
    /// A new prefix with more than this share of all traffic is one source.
    pub prefix_share: f64,
}

/// A bucket: how long a unit takes to leak, and how many it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    pub(super) interval: u64,
    pub(super) burst: u64,
}

impl Bucket {
    /// A bucket from which `per_second` units leak; its times are counted in `ticks` a second.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub(super) fn new(per_second: f64, burst: f64, ticks: f64) -> Self {
        let interval = ((ticks / per_second) as u64).max(1);
        Self { interval, burst: (burst as u64).max(1) }
    }
}

/// A source may send what its ceiling allows in this many seconds at once.
pub(super) const CEILING_SECONDS: f64 = 2.4;

impl ShieldConfig {
    /// What one source may send, in microseconds.
    pub(super) fn ceiling_bucket(per_second: f64) -> Bucket {
        Bucket::new(per_second, per_second * CEILING_SECONDS, 1e6)
    }

    /// A newcomer's pace, in sixteenths of a millisecond.
    pub(super) fn pace_bucket(&self) -> Bucket {
        Bucket::new(self.newcomer_rate, self.newcomer_burst, 16e3)
    }
    /// Whether the table can be made and the arithmetic can't fail.
    pub fn check(&self) -> Result<(), Error> {
        let rates = [self.max_rate, self.ceiling, self.newcomer_rate, self.newcomer_burst];
        let shares = [self.failure_share, self.prefix_share];
        let is_right = (1..=MAX_SOURCES).contains(&self.sources)
            && rates.iter().all(|rate| *rate > 0.0)
            && shares.iter().all(|share| (0.0..=1.0).contains(share))
            && self.v4_prefix <= 32
            && self.v6_prefix <= 64;
        if is_right { Ok(()) } else { Err(Error::Capacity(self.sources as u64)) }
    }
}
