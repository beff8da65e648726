//! One call of a variable limiter: its limits, each with its table.

use super::table_pool::{TableId, VariableTable, View, nearest};
use super::{VariableConfig, VariableLimiter};
use crate::algorithm::{AlgorithmKind, Varying};
use crate::atomic::AtomicU64;
use crate::clock::Clock;
use crate::config::MAX_LIMITS;
use crate::decision::{Decision, LimitStatus};
use crate::error::Error;
use crate::key::Key;
use crate::limit::Limit;
use crate::limit_set::LimitSet;
use std::sync::{Arc, RwLockReadGuard};

/// What can be asked under the limits of one call.
#[derive(Debug)]
pub struct VariableCall<'a, C> {
    key: Key,
    clock: &'a C,
    algorithm: AlgorithmKind,
    block_for_ms: u64,
    /// The limits from the longest window to the shortest.
    tables: Vec<(Limit, View<'a>)>,
    /// Which of the caller's limits each is.
    indices: Vec<usize>,
    /// Tables of other limits, in which charges are recorded, as they see them.
    others: Vec<View<'a>>,
    blocks: &'a View<'a>,
}

/// One of the caller's limits and its index, and the table where it is counted; `None` is the base.
pub(crate) type Placed = (usize, Limit, Option<TableId>);

impl VariableLimiter {
    /// Does something with a key under these limits. Fails for limits that can't be counted.
    pub fn call<T, C: Clock>(
        &self,
        limits: &[Limit],
        key: Key,
        clock: &C,
        act: impl FnOnce(&VariableCall<'_, C>) -> T,
    ) -> Result<T, Error> {
        let placed = placed(&self.config, limits)?;
        let is_base_only = placed.iter().all(|(_, _, id)| id.is_none()) && self.pool.is_empty();
        let list = if is_base_only { None } else { Some(self.opened(&placed, clock)?) };
        let list: &[Arc<VariableTable>] = list.as_deref().map_or(&[], Vec::as_slice);
        let blocks = self.base.any_view(&self.config).ok_or(Error::Limits(0))?;
        let call = self.prepare(&placed, (list, &blocks), key, clock)?;
        call.carry_over(&placed);
        Ok(act(&call))
    }

    /// All tables beside the base, those of these limits among them.
    fn opened(
        &self,
        placed: &[Placed],
        clock: &impl Clock,
    ) -> Result<RwLockReadGuard<'_, Vec<Arc<VariableTable>>>, Error> {
        let list = self.pool.read();
        let wanted = placed.iter().filter_map(|(_, _, id)| *id);
        let missing: Vec<TableId> =
            wanted.filter(|id| !list.iter().any(|table| table.id == *id)).collect();
        if missing.is_empty() {
            return Ok(list);
        }
        drop(list);
        for id in missing {
            self.pool.open(id, (self.name.as_deref(), &self.config), clock.now())?;
        }
        Ok(self.pool.read())
    }

    fn prepare<'a, C: Clock>(
        &'a self,
        placed: &[Placed],
        (list, blocks): (&'a [Arc<VariableTable>], &'a View<'a>),
        key: Key,
        clock: &'a C,
    ) -> Result<VariableCall<'a, C>, Error> {
        let mut tables = Vec::with_capacity(placed.len());
        let mut taken: Vec<TableId> = Vec::new();
        for &(_, limit, id) in placed {
            let table = match id {
                None => &self.base,
                Some(id) => &**nearest(list, id).ok_or(Error::Limits(0))?,
            };
            if id.is_some() {
                taken.push(table.id);
                table.touch(clock.now());
            }
            tables.push((limit, table.view(&self.config, limit)?));
        }
        let others = list.iter().filter(|table| !taken.contains(&table.id));
        let longest = placed.first().map(|&(_, limit, _)| limit);
        Ok(VariableCall {
            key,
            clock,
            algorithm: self.config.algorithm,
            block_for_ms: self.config.block_for_ms,
            tables,
            indices: placed.iter().map(|&(index, _, _)| index).collect(),
            others: others.filter_map(|table| self.other_view(table, longest)).collect(),
            blocks,
        })
    }

    /// A table of other limits. A bucket's units cost time, so only a limit of the same window can say how
    /// much they cost there.
    fn other_view<'a>(&self, table: &'a VariableTable, longest: Option<Limit>) -> Option<View<'a>> {
        match longest.filter(|_| self.config.is_bucket()) {
            Some(limit) if limit.window_ms() != table.id.window_ms => None,
            Some(limit) => table.view(&self.config, limit).ok(),
            None => table.any_view(&self.config),
        }
    }
}

/// The limits from the longest window to the shortest. Of windows and logs only the lowest count of each
/// window: it is used up no later than the others.
pub(crate) fn placed(config: &VariableConfig, limits: &[Limit]) -> Result<Vec<Placed>, Error> {
    if limits.is_empty() || limits.len() > MAX_LIMITS {
        return Err(Error::Limits(limits.len()));
    }
    let mut order: Vec<(usize, Limit)> = limits.iter().copied().enumerate().collect();
    order.sort_by_key(|(_, limit)| (u64::MAX.wrapping_sub(limit.window_ms()), limit.count()));
    let mut placed: Vec<Placed> = Vec::with_capacity(order.len());
    for (index, limit) in order {
        let window_ms = limit.window_ms();
        let has_window = |id: Option<TableId>| id.is_some_and(|id| id.window_ms == window_ms);
        let same = placed.iter().filter(|&&(_, _, id)| has_window(id)).count();
        let id = match config.is_bucket() {
            true if placed.is_empty() => None,
            true => Some(TableId { window_ms, ring: same as u64 }),
            false if same > 0 => continue,
            false => Some(TableId::of(config.algorithm, limit)),
        };
        placed.push((index, limit, id));
    }
    Ok(placed)
}

impl<'a, C: Clock> VariableCall<'a, C> {
    /// Charges `cost` to every limit, or to none, and says what the key's state is afterwards.
    #[must_use]
    pub fn check(&self, cost: u64) -> Decision {
        self.recorded(self.limit_set().check(self.key, cost, self.clock), cost)
    }

    /// As [`Self::check`], but a denial starts no block: for callers that wait until they are admitted.
    /// `paced`: a leaky bucket admits only while the bucket of the limit with the shortest window is empty.
    #[must_use]
    pub fn take(&self, paced: bool, cost: u64) -> Decision {
        let limits = self.limit_set();
        let decision = if paced && self.algorithm == AlgorithmKind::LeakyBucket {
            limits.take::<true>(self.key, cost, self.clock)
        } else {
            limits.take::<false>(self.key, cost, self.clock)
        };
        self.recorded(decision, cost)
    }

    /// What [`Self::check`] would answer now. Changes nothing.
    #[must_use]
    pub fn peek(&self, cost: u64) -> Decision {
        self.in_callers_order(self.limit_set().peek(self.key, cost, self.clock))
    }

    /// What the limit of this index alone says about the key; zeros past the last.
    ///
    /// Of two limits with the same window only the lower one is counted, and answers for both.
    #[must_use]
    pub fn limit_status(&self, index: usize) -> LimitStatus {
        let own = self.indices.iter().position(|&own| own == index).unwrap_or(0);
        self.limit_set().limit_status(self.key, own, self.clock).unwrap_or_default()
    }

    /// Gives back `units` that were charged under these limits. Nothing beyond what is owed.
    pub fn refund(&self, units: u64) {
        for table in self.tables.iter().map(|(_, table)| table).chain(&self.others) {
            table.refund(self.key, units, self.clock);
        }
    }

    fn is_bucket(&self) -> bool {
        self.algorithm.has_burst()
    }

    fn limit_set(&self) -> LimitSet<'_, &'a [AtomicU64], Varying> {
        LimitSet {
            tables: self.tables.as_slice(),
            blocks: Some(self.blocks),
            block_for_ms: self.block_for_ms,
            shortest: self.tables.len().saturating_sub(1),
        }
    }

    /// Writes what the key has used under other limits into the tables where it has no slot yet.
    fn carry_over(&self, placed: &[Placed]) {
        let (key, clock) = (self.key, self.clock);
        if self.tables.len() == 1 && self.others.is_empty() {
            return;
        }
        for (index, (limit, table)) in self.tables.iter().enumerate() {
            let is_base = placed.get(index).is_none_or(|(_, _, id)| id.is_none());
            if is_base || table.used(key, clock).is_some() {
                continue;
            }
            let used = self.used_elsewhere(*limit).min(table.max_used());
            if used > 0 && !self.was_idle(*limit) {
                table.carry_over(key, used, clock);
                if !self.is_bucket() && self.blocks.idle_ms(key, clock).is_none() {
                    // No later than now: if the slot is evicted once it has expired, nothing is carried again.
                    self.blocks.stamp(key, clock);
                }
            }
        }
    }

    /// Whether the key is known to have used nothing for the whole window: its slot was evicted when it had
    /// expired.
    fn was_idle(&self, limit: Limit) -> bool {
        let idle_ms =
            if self.is_bucket() { None } else { self.blocks.idle_ms(self.key, self.clock) };
        idle_ms.is_some_and(|idle_ms| idle_ms >= limit.window_ms())
    }

    /// The most that the key has used in any table. A limit of this call with a longer window is left out:
    /// it denies by itself.
    fn used_elsewhere(&self, limit: Limit) -> u64 {
        let is_bucket = self.is_bucket();
        let own = self.tables.iter().enumerate().filter(|(index, (other, _))| {
            if is_bucket { *index == 0 } else { other.window_ms() < limit.window_ms() }
        });
        let own = own.map(|(_, (_, table))| table);
        let others = self.others.iter().filter(|_| !is_bucket);
        let used = own.chain(others).filter_map(|table| table.used(self.key, self.clock));
        used.max().unwrap_or(0)
    }

    /// The decision, after what was charged has been recorded in the other tables.
    fn recorded(&self, decision: Decision, cost: u64) -> Decision {
        if decision.allowed && cost > 0 {
            for table in &self.others {
                table.record_used(self.key, table.price(cost), self.clock);
            }
            if !self.is_bucket() && (self.tables.len() > 1 || !self.others.is_empty()) {
                self.blocks.stamp(self.key, self.clock);
            }
        }
        self.in_callers_order(decision)
    }

    /// The decision with the index that the deciding limit has for the caller.
    fn in_callers_order(&self, decision: Decision) -> Decision {
        let policy = self.indices.get(decision.policy).copied().unwrap_or(0);
        Decision { policy, ..decision }
    }
}
