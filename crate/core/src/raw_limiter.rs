//! The limiter below [`Limiter`](crate::Limiter): keys are hashed beforehand and the clock is passed in.

use crate::algorithm::{AlgorithmKind, AnyAlgorithm};
use crate::clock::Clock;
use crate::config::LimiterConfig;
use crate::decision::{Decision, LimitStatus, Reading};
use crate::error::Error;
use crate::key::{Encoding, Key, Secret};
use crate::limit::Limit;
use crate::limit_set::LimitSet;
use crate::shared::{AttachRequest, Attachment, Memory, Platform, SystemPlatform};
use crate::table::{Heap, Layout, Table};

/// One or several limits on the same keys, one table each.
#[derive(Debug)]
pub struct RawLimiter {
    config: LimiterConfig,
    secret: Secret,
    tables: Vec<(Limit, Table<Memory>)>,
    attachment: Attachment,
}

impl RawLimiter {
    /// A limiter with empty tables and a hash key of its own.
    pub fn new(config: LimiterConfig) -> Result<Self, Error> {
        Self::in_memory(config, |table| table)
    }

    /// As [`Self::new`], for a caller who promises that one thread alone uses it: see
    /// [`Table::for_one_thread`].
    pub fn for_one_thread(config: LimiterConfig) -> Result<Self, Error> {
        Self::in_memory(config, Table::for_one_thread)
    }

    fn in_memory(
        config: LimiterConfig,
        finish: impl Fn(Table<Memory>) -> Table<Memory>,
    ) -> Result<Self, Error> {
        let make = |(limit, algorithm, layout): (Limit, AnyAlgorithm, Layout)| {
            let heap = Heap::zeroed(layout.words())?;
            let bytes = layout.words().saturating_mul(size_of::<u64>());
            let table = Table::new(heap.into(), layout, algorithm, limit);
            Ok((limit, finish(table.ok_or(Error::Memory { bytes })?)))
        };
        let tables = config.tables()?.into_iter().map(make).collect::<Result<_, Error>>()?;
        let attachment = Attachment::default();
        Ok(Self { secret: Secret::random()?, tables, config, attachment })
    }

    /// The limiter that all processes of this user share under this name.
    ///
    /// `generation`: how many files of this name and configuration there were before, if the caller knows.
    pub fn shared(name: &str, config: &LimiterConfig, generation: u64) -> Result<Self, Error> {
        let request = AttachRequest::new(name, config)?.after(generation);
        Self::attach(&SystemPlatform::open_default()?, &request)
    }

    /// The limiter that is shared at this place.
    pub fn attach(platform: &impl Platform, request: &AttachRequest) -> Result<Self, Error> {
        let config = request.purpose.limiter().ok_or(Error::Limits(0))?.clone();
        let segment = platform.attach(request)?;
        let parts = config.tables()?.into_iter().zip(segment.memories(request)?);
        let tables = parts.map(|((limit, algorithm, layout), memory)| {
            let table = Table::new(memory, layout, algorithm, limit);
            Ok((limit, table.ok_or_else(|| Error::Memory { bytes: request.bytes() })?))
        });
        let tables = tables.collect::<Result<_, Error>>()?;
        let secret = segment.secret;
        Ok(Self { config, secret, tables, attachment: Attachment(Some(segment)) })
    }

    /// Whether other processes would attach to the same file now; always true in memory.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.attachment.is_current()
    }

    /// How many shared tables of the same name are in use with another configuration.
    #[must_use]
    pub fn conflicting(&self) -> usize {
        self.attachment.conflicting()
    }

    /// How many shared files of this name and configuration there were before, if known.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.attachment.generation()
    }

    /// What the limiter was made from.
    #[must_use]
    pub const fn config(&self) -> &LimiterConfig {
        &self.config
    }

    /// The key of these bytes.
    #[inline]
    #[must_use]
    pub fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.secret.key(bytes, encoding)
    }

    /// Whether there is one limit, which then decides.
    #[inline(always)]
    #[must_use]
    pub const fn has_one_limit(&self) -> bool {
        self.tables.len() == 1
    }

    /// Charges `cost` to every limit, or to none. A cost of 0 only asks whether 1 would be admitted.
    #[inline(always)]
    pub fn allow(&self, key: Key, cost: u64, clock: &impl Clock) -> bool {
        match self.tables.as_slice() {
            [(_, table)] if cost > 0 && !table.has_blocks() => {
                table.allow(key, cost, clock) || self.deny(key, cost, clock)
            }
            _ => self.check(key, cost, clock).allowed,
        }
    }

    /// After a denial: blocks the key, where a block is configured.
    #[inline]
    fn deny(&self, key: Key, cost: u64, clock: &impl Clock) -> bool {
        if self.config.block_for_ms > 0 {
            self.limit_set().block_after_denial(key, cost, clock);
        }
        false
    }

    /// As [`Self::allow`], and says what the key's state is afterwards.
    #[inline(always)]
    pub fn check(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        match self.tables.as_slice() {
            [(limit, table)] if cost > 0 && !table.has_blocks() => {
                let outcome = table.charge(key, cost, clock, true);
                let decision = one(*limit, outcome.reading, outcome.receipt.is_some());
                if decision.allowed || self.config.block_for_ms == 0 {
                    decision
                } else {
                    self.limit_set().denied_by_limits(key, cost, decision, clock)
                }
            }
            _ => self.check_all(key, cost, clock),
        }
    }

    fn check_all(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        self.limit_set().check(key, cost, clock)
    }

    /// As [`Self::check`], but a denial starts no block: for callers that wait until they are admitted.
    pub fn take(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        self.limit_set().take::<false>(key, cost, clock)
    }

    /// As [`Self::take`]; a leaky bucket admits only while the bucket of the limit with the shortest window
    /// is empty, so that callers leave one after the other at that limit's rate.
    pub fn pace(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        match self.config.algorithm {
            AlgorithmKind::LeakyBucket => self.limit_set().take::<true>(key, cost, clock),
            _ => self.take(key, cost, clock),
        }
    }

    /// What [`Self::check`] would answer now. Changes nothing.
    pub fn peek(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        self.limit_set().peek(key, cost, clock)
    }

    /// What the limit of this index alone says about the key; `None` past the last.
    pub fn limit_status(&self, key: Key, index: usize, clock: &impl Clock) -> Option<LimitStatus> {
        self.limit_set().limit_status(key, index, clock)
    }

    /// Gives `units` back to every limit. Nothing is given back beyond what is owed.
    pub fn refund(&self, key: Key, units: u64, clock: &impl Clock) {
        for (_, table) in &self.tables {
            table.refund(key, units, clock);
        }
    }

    /// Forgets the key, its block included.
    pub fn reset(&self, key: Key) {
        for (_, table) in &self.tables {
            table.reset(key);
        }
    }

    /// Denies the key for `ms` milliseconds from now, whatever its limits say. `false` when the
    /// table has no slot left for it that does not hold another blocked key.
    pub fn block(&self, key: Key, ms: u64, clock: &impl Clock) -> bool {
        self.limit_set().block(key, ms, clock)
    }

    /// Keys with debt that were evicted for a new key.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.evictions()).sum()
    }

    /// Decisions made on overflow buckets, because every slot held a blocked key.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.overflows()).sum()
    }

    /// Keys that were moved out of their slots for a new key, and are remembered beside them.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.moves()).sum()
    }

    /// Keys that owe something, are denied or blocked: of the limit that has most. An estimate for large tables.
    #[must_use]
    pub fn live_keys(&self, clock: &impl Clock) -> u64 {
        let now = clock.now();
        self.tables.iter().map(|(_, table)| table.live_keys(now)).max().unwrap_or_default()
    }

    /// Bytes in use once every page has been touched: the most this limiter can ever occupy.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.bytes() as u64).sum()
    }

    /// Bytes that this process occupies so far, or `None` where the system does not say.
    #[must_use]
    pub fn resident(&self) -> Option<u64> {
        let mut parts = self.tables.iter().map(|(_, table)| table.resident());
        parts.try_fold(0_u64, |sum, part| Some(sum.saturating_add(part?)))
    }

    fn limit_set(&self) -> LimitSet<'_, Memory> {
        let tables = self.tables.as_slice();
        let blocks = tables.first().map(|(_, table)| table);
        let (block_for_ms, shortest) = (self.config.block_for_ms, self.config.shortest());
        LimitSet { tables, blocks, block_for_ms, shortest }
    }
}

/// The decision of a limiter with one limit.
#[inline(always)]
const fn one(limit: Limit, reading: Reading, allowed: bool) -> Decision {
    Decision {
        allowed,
        limit: limit.count(),
        remaining: reading.remaining,
        reset_ms: reading.reset_ms,
        limit_reset_ms: reading.reset_ms,
        retry_ms: if allowed { 0 } else { reading.retry_ms },
        policy: 0,
    }
}
