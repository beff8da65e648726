//! A limiter whose limits are an argument of each call: one state, whatever limits its keys have.
//!
//! What a key has used stays used when its limits change.
//!
//! - **Buckets**: time is owed, in one table for all limits. Of several limits the one with the longest
//!   window counts there; each of the others in the table of its window.
//! - **Windows and logs**: units are used, in one table for each window. A key that has a slot in several
//!   tables has what it uses recorded in all of them. When it first comes to a table, what it used elsewhere
//!   counts there too, unless that was longer ago than that table's window.

mod call;
mod table_pool;

pub use call::VariableCall;
pub(crate) use call::placed;
pub(crate) use table_pool::TableId;

use crate::algorithm::AlgorithmKind;
use crate::clock::Clock;
use crate::error::Error;
use crate::key::{Encoding, Key, Secret};
use table_pool::{TablePool, VariableTable, View};

/// What stays the same from call to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableConfig {
    /// How requests are counted.
    pub algorithm: AlgorithmKind,
    /// After a denial, deny the key for this many milliseconds; 0 is off.
    pub block_for_ms: u64,
    /// Keys expected to be live at once. `None`: 100,000, or as many as a log has room for.
    pub capacity: Option<usize>,
}

impl VariableConfig {
    pub(crate) const fn is_bucket(&self) -> bool {
        self.algorithm.has_burst()
    }
}

/// A limiter whose limits are an argument of each call; see [`Self::call`].
#[derive(Debug)]
pub struct VariableLimiter {
    config: VariableConfig,
    /// The name under which processes share it.
    name: Option<String>,
    secret: Secret,
    /// Holds blocks; for buckets the debts under the longest limit, for others when a key was last charged.
    base: VariableTable,
    pool: TablePool,
}

impl VariableLimiter {
    /// A limiter in this process, with a hash key of its own.
    pub fn new(config: VariableConfig) -> Result<Self, Error> {
        Self::open(None, config, 0)
    }

    /// The limiter that all processes of this user share under this name.
    ///
    /// `generation`: how many files of this name and configuration there were before, if the caller knows.
    pub fn shared(name: &str, config: VariableConfig, generation: u64) -> Result<Self, Error> {
        Self::open(Some(name), config, generation)
    }

    fn open(name: Option<&str>, config: VariableConfig, generation: u64) -> Result<Self, Error> {
        let base = VariableTable::new(name, &config, TableId::BASE, generation)?;
        let secret = base.segment().map_or_else(Secret::random, |segment| Ok(segment.secret))?;
        let name = name.map(str::to_owned);
        Ok(Self { config, name, secret, base, pool: TablePool::default() })
    }

    /// How many shared tables of the same name are in use with another configuration.
    #[must_use]
    pub fn conflicting(&self) -> usize {
        self.base.segment().map_or(0, |segment| segment.conflicting)
    }

    /// How many shared files of this name and configuration there were before, if known.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.base.segment().map_or(0, |segment| segment.generation)
    }

    /// What the limiter was made from.
    #[must_use]
    pub const fn config(&self) -> &VariableConfig {
        &self.config
    }

    /// Whether other processes would attach to the same files now; always true in memory.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.base.is_current() && self.pool.read().iter().all(|table| table.is_current())
    }

    /// The key of these bytes.
    #[must_use]
    pub fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.secret.key(bytes, encoding)
    }

    /// Forgets the key under all limits, its block included.
    pub fn reset(&self, key: Key) {
        self.each(|table| table.reset(key));
    }

    /// Denies the key for `ms` milliseconds from now, whatever its limits say. `false` when the
    /// table has no slot left for it that does not hold another blocked key.
    pub fn block(&self, key: Key, ms: u64, clock: &impl Clock) -> bool {
        let until_us = clock.now().whole_us().saturating_add(ms.saturating_mul(1_000));
        self.base.any_view(&self.config).is_some_and(|table| table.block(key, until_us, clock))
    }

    /// Keys with debt that were evicted for a new key.
    #[must_use]
    #[expect(clippy::redundant_closure_for_method_calls, reason = "as a path it has one lifetime")]
    pub fn evictions(&self) -> u64 {
        self.sum(|table| table.evictions())
    }

    /// Decisions made on overflow buckets, because every slot held a blocked key.
    #[must_use]
    #[expect(clippy::redundant_closure_for_method_calls, reason = "as a path it has one lifetime")]
    pub fn overflows(&self) -> u64 {
        self.sum(|table| table.overflows())
    }

    /// Keys that were moved out of their slots for a new key, and are remembered beside them.
    #[must_use]
    #[expect(clippy::redundant_closure_for_method_calls, reason = "as a path it has one lifetime")]
    pub fn moves(&self) -> u64 {
        self.sum(|table| table.moves())
    }

    /// Bytes in use once every page of every table there is has been touched.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sum(|table| table.bytes() as u64)
    }

    /// Bytes that this process occupies so far, or `None` where the system does not say.
    #[must_use]
    pub fn resident(&self) -> Option<u64> {
        let mut sum = Some(0_u64);
        self.each(|table| {
            sum = sum.and_then(|sum| Some(sum.saturating_add(table.resident()?)));
        });
        sum
    }

    fn each(&self, mut act: impl FnMut(&View<'_>)) {
        let tables = self.pool.read();
        let all = tables.iter().map(|table| &**table).chain([&self.base]);
        for view in all.filter_map(|table| table.any_view(&self.config)) {
            act(&view);
        }
    }

    fn sum(&self, number: impl Fn(&View<'_>) -> u64) -> u64 {
        let mut sum = 0_u64;
        self.each(|table| sum = sum.saturating_add(number(table)));
        sum
    }
}
