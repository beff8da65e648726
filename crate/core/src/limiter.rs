//! A limiter: one or several limits on the same keys, one table each.

use crate::clock::Clock;
use crate::decision::{Decision, NEVER, Reading, Standing};
use crate::error::Error;
use crate::key::{Encoding, Key, Secret};
use crate::limit::Limit;
use crate::policy::{Kind, MAX_LIMITS, Policy};
use crate::shared::{Here, Mapping, Place, Segment, Wanted};
use crate::table::{Heap, Layout, Memory, Outcome, Receipt, Table};
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

/// What each limit says, in the order of the limits.
type Readings = [Reading; MAX_LIMITS];

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
        let make = |((limit, algorithm, layout), start): (&(Limit, _, Layout), usize)| {
            let memory = Memory::mapped(Arc::clone(&mapping), start, layout.words());
            let memory = memory.ok_or_else(short)?;
            let table = Table::new(memory, *layout, Clone::clone(algorithm), *limit);
            Ok((*limit, table.ok_or_else(short)?))
        };
        let tables = wanted.tables.iter().zip(starts).map(make).collect::<Result<_, Error>>()?;
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
        if cost == 0 {
            return self.peek(key, 1, clock);
        }
        let blocked_us = self.blocked_for_us(key, clock);
        if blocked_us > 0 {
            return self.blocked(key, cost, blocked_us, clock);
        }
        let mut readings = Readings::default();
        if self.charge::<false>(key, cost, clock, &mut readings) {
            return self.admitted(&readings);
        }
        let decision = self.denied(&readings);
        self.denied_by_limits(key, cost, decision, clock)
    }

    /// As [`Self::check`], but a denial begins no block: for callers who wait for their turn.
    pub fn take(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        self.take_as::<false>(key, cost, clock)
    }

    /// As [`Self::take`]; a leaky bucket admits only while the bucket of its shortest limit is empty, so that
    /// one caller after the other leaves at that limit's rate.
    pub fn pace(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        match self.policy.kind {
            Kind::LeakyBucket => self.take_as::<true>(key, cost, clock),
            _ => self.take_as::<false>(key, cost, clock),
        }
    }

    fn take_as<const PACED: bool>(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        if cost == 0 {
            return self.peek(key, 1, clock);
        }
        let blocked_us = self.blocked_for_us(key, clock);
        if blocked_us > 0 {
            return self.blocked(key, cost, blocked_us, clock);
        }
        let mut readings = Readings::default();
        if self.charge::<PACED>(key, cost, clock, &mut readings) {
            return self.admitted(&readings);
        }
        self.denied(&readings)
    }

    /// What [`Self::check`] would answer now. Changes nothing.
    pub fn peek(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        let cost = cost.max(1);
        let blocked_us = self.blocked_for_us(key, clock);
        if blocked_us > 0 {
            return self.blocked(key, cost, blocked_us, clock);
        }
        let mut readings = Readings::default();
        if self.peek_all::<false>(key, cost, clock, &mut readings) {
            return self.admitted(&readings);
        }
        self.denied(&readings)
    }

    /// How the limit of this index stands for the key, apart from all others; `None` past the last.
    pub fn standing(&self, key: Key, index: usize, clock: &impl Clock) -> Option<Standing> {
        let (_, table) = self.tables.get(index)?;
        let blocked_us = self.blocked_for_us(key, clock);
        if blocked_us > 0 {
            // The block may end before the limit itself admits a unit again.
            let own_ms = table.peek(key, 1, clock).retry_ms;
            return Some(Standing {
                remaining: 0,
                more_ms: blocked_us.div_ceil(1_000).max(own_ms),
            });
        }
        let remaining = table.peek(key, 1, clock).remaining;
        let more_ms = table.peek(key, remaining.saturating_add(1), clock).retry_ms;
        Some(Standing { remaining, more_ms })
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
        let until_us = clock.now().whole_us().saturating_add(ms.saturating_mul(1_000));
        self.tables.first().is_some_and(|(_, table)| table.block(key, until_us, clock))
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

    fn blocked_for_us(&self, key: Key, clock: &impl Clock) -> u64 {
        let table = self.tables.first().map(|(_, table)| table).filter(|table| table.has_blocks());
        table.map_or(0, |table| table.blocked_for_us(key, clock.now()))
    }

    /// After a denial: blocks the key, where the policy says so and waiting could have helped.
    #[cold]
    fn punish(&self, key: Key, cost: u64, clock: &impl Clock) {
        if self.tables.iter().all(|(_, table)| cost <= table.most()) {
            self.block(key, self.policy.block_for_ms, clock);
        }
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

    #[cold]
    fn blocked(&self, key: Key, cost: u64, us: u64, clock: &impl Clock) -> Decision {
        let mut readings = Readings::default();
        self.peek_all::<false>(key, cost, clock, &mut readings);
        extended(self.denied(&readings), us.div_ceil(1_000))
    }

    /// Charges all limits or none; `readings` then say what each holds.
    fn charge<const PACED: bool>(
        &self,
        key: Key,
        cost: u64,
        clock: &impl Clock,
        readings: &mut Readings,
    ) -> bool {
        if let ([(_, table)], [reading, ..]) = (self.tables.as_slice(), &mut *readings) {
            let outcome = charge_one::<PACED>(table, key, cost, clock);
            *reading = outcome.reading;
            return outcome.receipt.is_some();
        }
        self.peek_all::<PACED>(key, cost, clock, readings)
            && self.charge_each::<PACED>(key, cost, clock, readings)
    }

    /// Charges one limit after the other, the likeliest to deny first, and gives back on a denial.
    ///
    /// For the time between, others see too much charged: what is transient errs towards denial.
    fn charge_each<const PACED: bool>(
        &self,
        key: Key,
        cost: u64,
        clock: &impl Clock,
        readings: &mut Readings,
    ) -> bool {
        let mut receipts = [None; MAX_LIMITS];
        for index in self.order(readings) {
            let (Some((_, table)), Some(reading), Some(receipt)) =
                (self.tables.get(index), readings.get_mut(index), receipts.get_mut(index))
            else {
                break;
            };
            let outcome = if PACED && index == self.policy.shortest() {
                charge_one::<true>(table, key, cost, clock)
            } else {
                charge_one::<false>(table, key, cost, clock)
            };
            *reading = outcome.reading;
            *receipt = outcome.receipt;
            if receipt.is_none() {
                self.take_back(key, cost, &receipts, clock);
                return false;
            }
        }
        true
    }

    /// Indices of the limits, the one with least left first; what lies beyond them comes last.
    fn order(&self, readings: &Readings) -> [usize; MAX_LIMITS] {
        let mut order: [usize; MAX_LIMITS] = std::array::from_fn(|index| index);
        if let Some(used) = order.get_mut(..self.tables.len()) {
            used.sort_unstable_by_key(|&index| readings.get(index).map(|r| r.remaining));
        }
        order
    }

    #[cold]
    fn take_back(
        &self,
        key: Key,
        cost: u64,
        receipts: &[Option<Receipt>; MAX_LIMITS],
        clock: &impl Clock,
    ) {
        for ((_, table), receipt) in self.tables.iter().zip(receipts) {
            if let Some(receipt) = *receipt {
                table.undo(key, cost, receipt, clock);
            }
        }
    }

    /// Whether every limit would admit `cost`.
    fn peek_all<const PACED: bool>(
        &self,
        key: Key,
        cost: u64,
        clock: &impl Clock,
        readings: &mut Readings,
    ) -> bool {
        let mut allowed = true;
        for (index, ((_, table), reading)) in
            self.tables.iter().zip(readings.iter_mut()).enumerate()
        {
            *reading = table.peek(key, cost, clock);
            if PACED && index == self.policy.shortest() {
                *reading = reading.paced();
            }
            allowed &= reading.retry_ms == 0;
        }
        allowed
    }

    fn admitted(&self, readings: &Readings) -> Decision {
        let least = self.each(readings).min_by_key(|(_, _, reading)| reading.remaining);
        self.decision(true, least, readings)
    }

    fn denied(&self, readings: &Readings) -> Decision {
        // `max_by_key` takes the last of equals; the first denying limit is the better name for it.
        let longest = self.each(readings).rev().max_by_key(|(_, _, reading)| reading.retry_ms);
        self.decision(false, longest, readings)
    }

    fn decision(
        &self,
        allowed: bool,
        deciding: Option<(usize, Limit, Reading)>,
        readings: &Readings,
    ) -> Decision {
        let all = || self.each(readings).map(|(_, _, reading)| reading);
        Decision {
            allowed,
            limit: deciding.map_or(0, |(_, limit, _)| limit.count()),
            remaining: all().map(|reading| reading.remaining).min().unwrap_or(0),
            reset_ms: all().map(|reading| reading.reset_ms).max().unwrap_or(0),
            limit_reset_ms: deciding.map_or(0, |(_, _, reading)| reading.reset_ms),
            retry_ms: if allowed { 0 } else { deciding.map_or(0, |(_, _, r)| r.retry_ms) },
            policy: deciding.map_or(0, |(index, _, _)| index),
        }
    }

    fn each(
        &self,
        readings: &Readings,
    ) -> impl DoubleEndedIterator<Item = (usize, Limit, Reading)> + ExactSizeIterator {
        let limits = self.tables.iter().map(|(limit, _)| *limit);
        limits.zip(*readings).enumerate().map(|(index, (limit, reading))| (index, limit, reading))
    }
}

/// Charges one table; where the key is paced, only if it owes nothing.
fn charge_one<const PACED: bool>(
    table: &Table<Memory>,
    key: Key,
    cost: u64,
    clock: &impl Clock,
) -> Outcome {
    if PACED { table.charge_empty(key, cost, clock) } else { table.charge(key, cost, clock, true) }
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

/// A denial that lasts for at least `block_ms`, whatever is left.
fn extended(denied: Decision, block_ms: u64) -> Decision {
    Decision {
        remaining: 0,
        retry_ms: denied.retry_ms.max(block_ms),
        reset_ms: denied.reset_ms.max(block_ms),
        limit_reset_ms: denied.limit_reset_ms.max(block_ms),
        ..denied
    }
}
