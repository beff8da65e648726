//! The limiter for Rust programs: keys are text or bytes, durations are [`Duration`]s.

use crate::algorithm::AlgorithmKind;
use crate::clock::{Clock, Monotonic};
use crate::config::LimiterConfig;
use crate::decision::{Decision, NEVER};
use crate::error::Error;
use crate::key::{Encoding, Key};
use crate::limit::Limit;
use crate::raw_limiter::RawLimiter;
use std::fmt;
use std::time::Duration;

const DEFAULT_CAPACITY: usize = 100_000;

/// One or several limits on the same keys.
///
/// All methods take `&self`: share it between threads behind a reference or an `Arc`.
///
/// ```
/// use ratethrottle_core::Limiter;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), ratethrottle_core::Error> {
/// let limiter = Limiter::builder().limit(100, Duration::from_secs(60)).build()?;
/// match limiter.check("user:42") {
///     Ok(admitted) => println!("{} left", admitted.remaining()),
///     Err(denied) => println!("try again in {:?}", denied.retry_after()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Limiter<C = Monotonic> {
    raw: RawLimiter,
    clock: C,
}

impl Limiter {
    /// Starts to configure a limiter.
    pub fn builder() -> LimiterBuilder {
        LimiterBuilder::default()
    }
}

impl<C: Clock> Limiter<C> {
    /// Charges one unit to every limit, or to none.
    ///
    /// # Errors
    ///
    /// [`Denied`] if a limit has no unit left, or if the key is blocked.
    pub fn check(&self, key: impl AsRef<[u8]>) -> Result<Admitted, Denied> {
        self.check_n(key, 1)
    }

    /// Charges `cost` units to every limit, or to none. A cost of 0 asks whether one unit would be admitted.
    ///
    /// # Errors
    ///
    /// [`Denied`] if a limit has too few units left, or if the key is blocked. A cost above a limit is never
    /// admitted: then [`Denied::retry_after`] is `None`.
    pub fn check_n(&self, key: impl AsRef<[u8]>, cost: u64) -> Result<Admitted, Denied> {
        outcome(self.raw.check(self.key(key), cost, &self.clock))
    }

    /// Whether one unit was charged: as [`Self::check`], and faster.
    pub fn allow(&self, key: impl AsRef<[u8]>) -> bool {
        self.raw.allow(self.key(key), 1, &self.clock)
    }

    /// What [`Self::check`] would answer now. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`Denied`] if [`Self::check`] would deny.
    pub fn peek(&self, key: impl AsRef<[u8]>) -> Result<Admitted, Denied> {
        outcome(self.raw.peek(self.key(key), 1, &self.clock))
    }

    /// Gives units back to every limit, never more than the key has used.
    pub fn refund(&self, key: impl AsRef<[u8]>, units: u64) {
        self.raw.refund(self.key(key), units, &self.clock);
    }

    /// Forgets the key, its block included.
    pub fn reset(&self, key: impl AsRef<[u8]>) {
        self.raw.reset(self.key(key));
    }

    /// Denies the key for this long, whatever its limits say. `false` if the table has no slot for it, because
    /// every slot it may use holds another blocked key.
    pub fn block(&self, key: impl AsRef<[u8]>, duration: Duration) -> bool {
        self.raw.block(self.key(key), ceil_ms(duration), &self.clock)
    }

    /// Keys that were evicted before they had recovered, because the table was full.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.raw.evictions()
    }

    /// Decisions made on buckets that several keys share, because every slot of the key held a blocked one.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.raw.overflows()
    }

    /// Denied keys that gave their slots to new keys, because the table was full. They stay denied.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.raw.moves()
    }

    /// The most bytes the limiter can ever occupy. Memory that was never touched costs nothing.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.raw.bytes()
    }

    fn key(&self, key: impl AsRef<[u8]>) -> Key {
        self.raw.key(key.as_ref(), Encoding::Utf8)
    }
}

fn outcome(decision: Decision) -> Result<Admitted, Denied> {
    if decision.allowed { Ok(Admitted(decision)) } else { Err(Denied(decision)) }
}

/// What remains after a key was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted(Decision);

/// Why a key was denied, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied(Decision);

/// What both outcomes say about the key.
macro_rules! readings {
    ($Outcome:ident) => {
        impl $Outcome {
            /// Units that every limit would admit right now.
            #[must_use]
            pub const fn remaining(&self) -> u64 {
                self.0.remaining
            }

            /// The count of the limit that decided: the one that denies, else the one with the least left.
            #[must_use]
            pub const fn limit(&self) -> u64 {
                self.0.limit
            }

            /// The position of that limit in the builder, from 0 on.
            #[must_use]
            pub const fn limit_index(&self) -> usize {
                self.0.policy
            }

            /// How long until the key has recovered completely, under every limit.
            #[must_use]
            pub const fn reset_after(&self) -> Duration {
                Duration::from_millis(self.0.reset_ms)
            }
        }
    };
}

readings!(Admitted);
readings!(Denied);

impl Denied {
    /// How long to wait until the same cost is admitted, unless other calls use it up. `None`: never, because
    /// the cost is above a limit.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.0.retry_ms != NEVER).then(|| Duration::from_millis(self.0.retry_ms))
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_after() {
            Some(wait) => write!(f, "rate limit exceeded, try again in {wait:?}"),
            None => write!(f, "the cost is above the limit of {}", self.limit()),
        }
    }
}

impl std::error::Error for Denied {}

/// Configures a [`Limiter`]: at least one [`limit`](Self::limit), everything else has a default.
#[derive(Clone, Debug)]
#[must_use]
pub struct LimiterBuilder {
    limits: Vec<Result<Limit, Error>>,
    algorithm: AlgorithmKind,
    block_for: Duration,
    capacity: usize,
}

impl Default for LimiterBuilder {
    fn default() -> Self {
        Self {
            limits: Vec::new(),
            algorithm: AlgorithmKind::TokenBucket,
            block_for: Duration::ZERO,
            capacity: DEFAULT_CAPACITY,
        }
    }
}

impl LimiterBuilder {
    /// Adds a limit: `count` units per `window`, a whole number of milliseconds up to ten years.
    ///
    /// With several limits a cost is charged to all of them or to none.
    pub fn limit(mut self, count: u64, window: Duration) -> Self {
        self.limits.push(whole_ms(window).and_then(|window_ms| Limit::new(count, window_ms)));
        self
    }

    /// The burst of the limit that was added last: the units its bucket holds. Default: its count.
    ///
    /// Only [`AlgorithmKind::TokenBucket`] and [`AlgorithmKind::LeakyBucket`] have a burst.
    pub fn burst(mut self, units: u64) -> Self {
        let last = self.limits.pop().unwrap_or(Err(Error::Burst(units)));
        self.limits.push(last.and_then(|limit| limit.with_burst(units)));
        self
    }

    /// How requests are counted. Default: [`AlgorithmKind::TokenBucket`].
    pub const fn algorithm(mut self, algorithm: AlgorithmKind) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Keys expected to be live at once. Memory is reserved for them and never grows. Default: 100,000.
    ///
    /// When more keys are live, those that owe least are evicted; a key that is denied never is.
    pub const fn capacity(mut self, keys: usize) -> Self {
        self.capacity = keys;
        self
    }

    /// After a denial, deny the key for this long. Default: off.
    pub const fn block_for(mut self, duration: Duration) -> Self {
        self.block_for = duration;
        self
    }

    /// Makes the limiter.
    ///
    /// # Errors
    ///
    /// An [`Error`] that says which setting is wrong, or that there is no memory.
    pub fn build(self) -> Result<Limiter, Error> {
        self.build_with_clock(Monotonic)
    }

    /// Makes the limiter with another clock, for tests.
    ///
    /// # Errors
    ///
    /// As [`Self::build`].
    pub fn build_with_clock<C: Clock>(self, clock: C) -> Result<Limiter<C>, Error> {
        Ok(Limiter { raw: RawLimiter::new(self.config()?)?, clock })
    }

    /// Attaches to the limiter that all processes of this user share under this name, and makes it if need be
    /// (Linux only: a file in `/dev/shm`). Limiters with other settings are other limiters.
    ///
    /// # Errors
    ///
    /// As [`Self::build`], and [`Error::Shared`].
    #[cfg(feature = "shared")]
    pub fn build_shared(self, name: &str) -> Result<Limiter, Error> {
        let raw = RawLimiter::shared(name, &self.config()?, 0)?;
        Ok(Limiter { raw, clock: Monotonic })
    }

    fn config(self) -> Result<LimiterConfig, Error> {
        Ok(LimiterConfig {
            limits: self.limits.into_iter().collect::<Result<_, _>>()?,
            algorithm: self.algorithm,
            block_for_ms: ceil_ms(self.block_for),
            capacity: self.capacity,
        })
    }
}

/// Whole milliseconds, rounded up.
fn ceil_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn whole_ms(window: Duration) -> Result<u64, Error> {
    if window.subsec_nanos().is_multiple_of(1_000_000) {
        return Ok(u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
    }
    Err(Error::Resolution(window))
}
