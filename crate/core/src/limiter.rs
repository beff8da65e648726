//! A limiter: one or several limits on the same keys, one table each.

use crate::clock::Clock;
use crate::decision::{Decision, NEVER, Reading, Standing};
use crate::error::Error;
use crate::key::{Encoding, Key, Secret};
use crate::limit::Limit;
use crate::policy::{Kind, Policy};
use crate::shared::{Here, Mapping, Place, Segment, Wanted};
use crate::table::{Heap, Layout, Memory, Table};
use crate::together::{Together, extended};
use std::sync::Arc;

/// One or several limits on the same keys.
#[derive(Debug)]
pub struct Limiter {
    policy: Policy,
    secret: Secret,
    tables: Vec<(Limit, Table<Memory>)>,
    share: Option<Share>,
}

/// What a limiter has in common with other processes.
#[derive(Debug)]
struct Share {
    mapping: Arc<Mapping>,
    generation: u64,
    rivals: usize,
}

impl Limiter {
    /// A limiter with empty tables and a secret of its own.
    pub fn new(policy: Policy) -> Result<Self, Error> {
        let make = |(limit, algorithm): (Limit, crate::algorithm::Algorithm)| {
            let layout = Layout::for_keys(policy.capacity, algorithm.ring_words());
            let heap = Heap::zeroed(layout.words())?;
            let bytes = layout.words().saturating_mul(size_of::<u64>());
            let table = Table::new(heap.into(), layout, algorithm, limit);
            Ok((limit, table.ok_or(Error::Memory { bytes })?))
        };
        let tables = policy.algorithms()?.into_iter().map(make).collect::<Result<_, Error>>()?;
        Ok(Self { secret: Secret::random()?, tables, policy, share: None })
    }

    /// The limiter that all processes of this user share under this name.
    ///
    /// `before`: how many there were before, as far as whoever asks knows.
    pub fn shared(name: &str, policy: &Policy, before: u64) -> Result<Self, Error> {
        Self::attached(&Here::usual()?, &Wanted::new(name, policy)?.after(before))
    }

    /// The limiter that is shared at this place.
    pub fn attached(place: &impl Place, wanted: &Wanted) -> Result<Self, Error> {
        let Segment { mapping, secret, generation, rivals } = place.attach(wanted)?;
        let starts: Vec<usize> = wanted.starts().collect();
        let short = || Error::Memory { bytes: wanted.bytes() };
        let make =
            |((&(limit, layout), (_, algorithm)), start): ((&(Limit, Layout), (_, _)), usize)| {
                let memory = Memory::mapped(Arc::clone(&mapping), start, layout.words());
                let memory = memory.ok_or_else(short)?;
                Ok((limit, Table::new(memory, layout, algorithm, limit).ok_or_else(short)?))
            };
        let algorithms = wanted.policy.algorithms()?;
        let tables = wanted.tables.iter().zip(algorithms).zip(starts).map(make);
        let tables = tables.collect::<Result<_, Error>>()?;
        let share = Some(Share { mapping, generation, rivals });
        Ok(Self { policy: wanted.policy.clone(), secret, tables, share })
    }

    /// Whether what this limiter counts on is what other processes find: always so for one in memory.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.share.as_ref().is_none_or(|share| share.mapping.is_current())
    }

    /// How many shared tables of the same name are in use with other settings.
    #[must_use]
    pub fn rivals(&self) -> usize {
        self.share.as_ref().map_or(0, |share| share.rivals)
    }

    /// How many shared tables of this name and policy there were before, as far as is known.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.share.as_ref().map_or(0, |share| share.generation)
    }

    /// What the limiter was made from.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The key of these bytes.
    #[inline]
    #[must_use]
    pub fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.secret.key(bytes, encoding)
    }

    /// Charges `cost` to every limit, or to none. A cost of 0 only asks whether 1 would be admitted.
    #[inline(always)]
    pub fn allow(&self, key: Key, cost: u64, clock: &impl Clock) -> bool {
        match self.tables.as_slice() {
            [(_, table)] if cost > 0 && !table.has_blocks() => {
                table.allow(key, cost, clock) || self.refuse(key, cost, clock)
            }
            _ => self.check(key, cost, clock).allowed,
        }
    }

    /// After a denial: blocks the key, where the policy says so.
    #[inline]
    fn refuse(&self, key: Key, cost: u64, clock: &impl Clock) -> bool {
        if self.policy.block_for_ms > 0 {
            self.punish(key, cost, clock);
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
                if decision.allowed {
                    decision
                } else {
                    self.denied_by_limits(key, cost, decision, clock)
                }
            }
            _ => self.check_all(key, cost, clock),
        }
    }

    fn check_all(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        self.together().check(key, cost, clock)
    }

    /// As [`Self::check`], but a denial begins no block: for callers who wait for their turn.
    pub fn take(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        self.together().take_as::<false>(key, cost, clock)
    }

    /// As [`Self::take`]; a leaky bucket admits only while the bucket of its shortest limit is empty, so that
    /// one caller after the other leaves at that limit's rate.
    pub fn pace(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        match self.policy.kind {
            Kind::LeakyBucket => self.together().take_as::<true>(key, cost, clock),
            _ => self.take(key, cost, clock),
        }
    }

    /// What [`Self::check`] would answer now. Changes nothing.
    pub fn peek(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        self.together().peek(key, cost, clock)
    }

    /// How the limit of this index stands for the key, apart from all others; `None` past the last.
    pub fn standing(&self, key: Key, index: usize, clock: &impl Clock) -> Option<Standing> {
        self.together().standing(key, index, clock)
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
        self.together().block(key, ms, clock)
    }

    /// Live keys that had to go for a newcomer.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.evictions()).sum()
    }

    /// Decisions taken on the words that strangers share, because no slot was left.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.overflows()).sum()
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

    /// After a denial: blocks the key, where the policy says so and waiting could have helped.
    #[cold]
    fn punish(&self, key: Key, cost: u64, clock: &impl Clock) {
        self.together().punish(key, cost, clock);
    }

    /// The denial, and the block that the policy puts on top of it.
    #[inline(always)]
    fn denied_by_limits(
        &self,
        key: Key,
        cost: u64,
        denied: Decision,
        clock: &impl Clock,
    ) -> Decision {
        let block_ms = self.policy.block_for_ms;
        if block_ms == 0 || denied.retry_ms == NEVER {
            return denied;
        }
        self.punish(key, cost, clock);
        extended(denied, block_ms)
    }

    /// All of them, and where blocks are.
    fn together(&self) -> Together<'_, Memory> {
        let tables = self.tables.as_slice();
        let blocks = tables.first().map(|(_, table)| table);
        let shortest = self.policy.shortest();
        Together { tables, blocks, block_for_ms: self.policy.block_for_ms, shortest }
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
