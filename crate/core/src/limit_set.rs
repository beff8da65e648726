//! Several limits on the same keys, one table each: all of them are charged, or none.

use crate::algorithm::{Algorithm, AnyAlgorithm};
use crate::atomic::AtomicU64;
use crate::clock::{Clock, FixedTime};
use crate::config::MAX_LIMITS;
use crate::decision::{
    Decision, LimitStatus, NEVER, Reading, admitted, denied, limit_status, with_block,
};
use crate::key::Key;
use crate::limit::Limit;
use crate::table::{Outcome, Receipt, Table};
use std::ops::Deref;

/// The limits of one call, and their tables.
pub(crate) struct LimitSet<'a, M, A: Algorithm = AnyAlgorithm> {
    pub(crate) tables: &'a [(Limit, Table<M, A>)],
    /// The table that holds blocks.
    pub(crate) blocks: Option<&'a Table<M, A>>,
    pub(crate) block_for_ms: u64,
    /// Index of the limit with the shortest window, which sets the pace.
    pub(crate) shortest: usize,
}

/// What a call asks of each limit.
struct Ask<'c, C> {
    key: Key,
    cost: u64,
    clock: &'c C,
}

/// What each limit says, in the order of the limits.
type Readings = [Reading; MAX_LIMITS];

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> LimitSet<'_, M, A> {
    /// Charges `cost` to all of them or to none. A cost of 0 only asks whether 1 would be admitted.
    pub(crate) fn check(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        let at = FixedTime(clock.now());
        self.decide::<false>(key, cost, at, |denied| self.denied_by_limits(key, cost, denied, &at))
    }

    /// As [`Self::check`], but a denial starts no block. `PACED`: admits only while the bucket of the limit
    /// with the shortest window is empty.
    pub(crate) fn take<const PACED: bool>(
        &self,
        key: Key,
        cost: u64,
        clock: &impl Clock,
    ) -> Decision {
        self.decide::<PACED>(key, cost, FixedTime(clock.now()), |denied| denied)
    }

    /// All limits decide at one time, and a block begins then.
    #[inline(always)]
    fn decide<const PACED: bool>(
        &self,
        key: Key,
        cost: u64,
        at: FixedTime,
        after_denial: impl FnOnce(Decision) -> Decision,
    ) -> Decision {
        let clock = &at;
        if cost == 0 {
            return self.peek(key, 1, clock);
        }
        let blocked_us = self.blocked_for_us(key, clock);
        if blocked_us > 0 {
            return self.denied_by_block(key, cost, blocked_us, clock);
        }
        let mut readings = Readings::default();
        if self.charge::<PACED, _>(&Ask { key, cost, clock }, &mut readings) {
            return self.admitted(&readings);
        }
        after_denial(self.denied(&readings))
    }

    /// What [`Self::check`] would answer now. Changes nothing.
    pub(crate) fn peek(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        let cost = cost.max(1);
        let clock = &FixedTime(clock.now());
        let blocked_us = self.blocked_for_us(key, clock);
        if blocked_us > 0 {
            return self.denied_by_block(key, cost, blocked_us, clock);
        }
        let mut readings = Readings::default();
        if self.peek_all::<false, _>(&Ask { key, cost, clock }, &mut readings) {
            return self.admitted(&readings);
        }
        self.denied(&readings)
    }

    /// What the limit of this index alone says about the key; `None` past the last.
    pub(crate) fn limit_status(
        &self,
        key: Key,
        index: usize,
        clock: &impl Clock,
    ) -> Option<LimitStatus> {
        let (_, table) = self.tables.get(index)?;
        let clock = &FixedTime(clock.now());
        let blocked_us = self.blocked_for_us(key, clock);
        Some(limit_status(blocked_us, |cost| table.peek(key, cost, clock)))
    }

    /// Denies the key for `ms` milliseconds from now, whatever its limits say. `false` when the
    /// table has no slot left for it that does not hold another blocked key.
    pub(crate) fn block(&self, key: Key, ms: u64, clock: &impl Clock) -> bool {
        let until_us = clock.now().whole_us().saturating_add(ms.saturating_mul(1_000));
        self.blocks.is_some_and(|table| table.block(key, until_us, clock))
    }

    fn blocked_for_us(&self, key: Key, clock: &impl Clock) -> u64 {
        let table = self.blocks.filter(|table| table.has_blocks());
        table.map_or(0, |table| table.blocked_for_us(key, clock.now()))
    }

    /// Blocks the key after a denial, unless its cost could never have been admitted.
    #[cold]
    pub(crate) fn block_after_denial(&self, key: Key, cost: u64, clock: &impl Clock) {
        if self.tables.iter().all(|(_, table)| cost <= table.max_cost()) {
            self.block(key, self.block_for_ms, clock);
        }
    }

    /// The denial, and the block that starts with it where one is configured.
    #[inline(always)]
    pub(crate) fn denied_by_limits(
        &self,
        key: Key,
        cost: u64,
        denied: Decision,
        clock: &impl Clock,
    ) -> Decision {
        let block_ms = self.block_for_ms;
        if block_ms == 0 || denied.retry_ms == NEVER {
            return denied;
        }
        self.block_after_denial(key, cost, clock);
        with_block(denied, block_ms)
    }

    #[cold]
    fn denied_by_block(&self, key: Key, cost: u64, us: u64, clock: &impl Clock) -> Decision {
        let mut readings = Readings::default();
        self.peek_all::<false, _>(&Ask { key, cost, clock }, &mut readings);
        with_block(self.denied(&readings), us.div_ceil(1_000))
    }

    /// Charges all limits or none; `readings` then say what each holds.
    fn charge<const PACED: bool, C: Clock>(
        &self,
        ask: &Ask<'_, C>,
        readings: &mut Readings,
    ) -> bool {
        if let ([(_, table)], [reading, ..]) = (self.tables, &mut *readings) {
            let outcome = charge_one::<PACED, _, _, _>(table, ask);
            *reading = outcome.reading;
            return outcome.receipt.is_some();
        }
        self.peek_all::<PACED, _>(ask, readings) && self.charge_each::<PACED, _>(ask, readings)
    }

    /// Charges one limit after the other, the likeliest to deny first, and takes everything back on a denial.
    ///
    /// Meanwhile other threads see too much charged: a transient error, and one towards denial.
    fn charge_each<const PACED: bool, C: Clock>(
        &self,
        ask: &Ask<'_, C>,
        readings: &mut Readings,
    ) -> bool {
        let mut receipts = [None; MAX_LIMITS];
        for index in self.order(readings) {
            let (Some((_, table)), Some(reading), Some(receipt)) =
                (self.tables.get(index), readings.get_mut(index), receipts.get_mut(index))
            else {
                break;
            };
            let outcome = if PACED && index == self.shortest {
                charge_one::<true, _, _, _>(table, ask)
            } else {
                charge_one::<false, _, _, _>(table, ask)
            };
            *reading = outcome.reading;
            *receipt = outcome.receipt;
            crate::failpoints::charged_one_of_several();
            if receipt.is_none() {
                self.take_back(ask, &receipts);
                return false;
            }
        }
        true
    }

    /// Indices of the limits, the one with least left first; the unused rest of the array comes last.
    fn order(&self, readings: &Readings) -> [usize; MAX_LIMITS] {
        let mut order: [usize; MAX_LIMITS] = std::array::from_fn(|index| index);
        if let Some(used) = order.get_mut(..self.tables.len()) {
            used.sort_unstable_by_key(|&index| readings.get(index).map(|r| r.remaining));
        }
        order
    }

    #[cold]
    fn take_back<C: Clock>(&self, ask: &Ask<'_, C>, receipts: &[Option<Receipt>; MAX_LIMITS]) {
        for ((_, table), receipt) in self.tables.iter().zip(receipts) {
            if let Some(receipt) = *receipt {
                table.undo(ask.key, ask.cost, receipt, ask.clock);
            }
        }
    }

    /// Whether every limit would admit the cost.
    fn peek_all<const PACED: bool, C: Clock>(
        &self,
        ask: &Ask<'_, C>,
        readings: &mut Readings,
    ) -> bool {
        let mut allowed = true;
        for (index, ((_, table), reading)) in
            self.tables.iter().zip(readings.iter_mut()).enumerate()
        {
            *reading = table.peek(ask.key, ask.cost, ask.clock);
            if PACED && index == self.shortest {
                *reading = reading.paced();
            }
            allowed &= reading.retry_ms == 0;
        }
        allowed
    }

    fn admitted(&self, readings: &Readings) -> Decision {
        admitted(self.each(readings))
    }

    fn denied(&self, readings: &Readings) -> Decision {
        denied(self.each(readings))
    }

    fn each(
        &self,
        readings: &Readings,
    ) -> impl DoubleEndedIterator<Item = (usize, Limit, Reading)> + ExactSizeIterator + Clone {
        let limits = self.tables.iter().map(|(limit, _)| *limit);
        limits.zip(*readings).enumerate().map(|(index, (limit, reading))| (index, limit, reading))
    }
}

/// Charges one table; if paced, only a key that owes nothing.
fn charge_one<const PACED: bool, M: Deref<Target = [AtomicU64]>, A: Algorithm, C: Clock>(
    table: &Table<M, A>,
    &Ask { key, cost, clock }: &Ask<'_, C>,
) -> Outcome {
    if PACED { table.charge_empty(key, cost, clock) } else { table.charge(key, cost, clock, true) }
}
