//! One call: the limits in it, each with its table.

use super::place::{Place, View, What, nearest};
use super::{VariableLimiter, VariablePolicy};
use crate::algorithm::Varying;
use crate::atomic::AtomicU64;
use crate::clock::Clock;
use crate::decision::{Decision, Standing};
use crate::error::Error;
use crate::key::Key;
use crate::limit::Limit;
use crate::policy::MAX_LIMITS;
use crate::together::Together;
use std::sync::Arc;

/// The limits of a call in the order in which they count, and the tables beside theirs.
pub(super) struct Call<'a> {
    tables: Vec<(Limit, View<'a>)>,
    /// Which of the caller's limits each is.
    indices: Vec<usize>,
    /// Tables of other limits, which have what is used noted, as they see it.
    others: Vec<(What, View<'a>)>,
    blocks: &'a View<'a>,
    block_for_ms: u64,
    is_bucket: bool,
}

/// A limit of the caller's, and where it is counted; `None` is the base.
type Placed = (usize, Limit, Option<What>);

impl VariableLimiter {
    pub(super) fn call<T>(
        &self,
        limits: &[Limit],
        key: Key,
        clock: &impl Clock,
        act: impl FnOnce(&Call<'_>) -> T,
    ) -> Result<T, Error> {
        let placed = placed(&self.policy, limits)?;
        let is_alone = placed.iter().all(|(_, _, what)| what.is_none()) && self.places.is_empty();
        let list = if is_alone { None } else { Some(self.opened(&placed, clock)?) };
        let list: &[Arc<Place>] = list.as_deref().map_or(&[], Vec::as_slice);
        let blocks = self.base.any(&self.policy).ok_or(Error::Limits(0))?;
        let call = Call::new(self, &placed, list, &blocks, clock)?;
        call.carry(&placed, key, clock);
        Ok(act(&call))
    }

    /// The tables there are, those of these limits among them.
    fn opened(
        &self,
        placed: &[Placed],
        clock: &impl Clock,
    ) -> Result<std::sync::RwLockReadGuard<'_, Vec<Arc<Place>>>, Error> {
        let list = self.places.read();
        let wanted = || placed.iter().filter_map(|(_, _, what)| *what);
        let missing: Vec<What> =
            wanted().filter(|what| !list.iter().any(|place| place.what == *what)).collect();
        if missing.is_empty() {
            return Ok(list);
        }
        drop(list);
        for what in missing {
            self.places.open(what, (self.name.as_deref(), &self.policy), clock.now())?;
        }
        Ok(self.places.read())
    }
}

/// The limits from the longest window to the shortest. Of windows and logs only the lowest count of each
/// window: it is over no later than the others.
fn placed(policy: &VariablePolicy, limits: &[Limit]) -> Result<Vec<Placed>, Error> {
    if limits.is_empty() || limits.len() > MAX_LIMITS {
        return Err(Error::Limits(limits.len()));
    }
    let mut order: Vec<(usize, Limit)> = limits.iter().copied().enumerate().collect();
    order.sort_by_key(|(_, limit)| (u64::MAX.wrapping_sub(limit.window_ms()), limit.count()));
    let mut placed: Vec<Placed> = Vec::with_capacity(order.len());
    for (index, limit) in order {
        let window_ms = limit.window_ms();
        let alike = placed
            .iter()
            .filter(|(_, _, what)| what.is_some_and(|what| what.window_ms == window_ms));
        let alike = alike.count();
        let what = match policy.is_bucket() {
            true if placed.is_empty() => None,
            true => Some(What { window_ms, ring: alike as u64 }),
            false if alike > 0 => continue,
            false => Some(What::of(policy.kind, limit)),
        };
        placed.push((index, limit, what));
    }
    Ok(placed)
}

impl<'a> Call<'a> {
    fn new(
        limiter: &'a VariableLimiter,
        placed: &[Placed],
        list: &'a [Arc<Place>],
        blocks: &'a View<'a>,
        clock: &impl Clock,
    ) -> Result<Self, Error> {
        let policy = &limiter.policy;
        let mut tables = Vec::with_capacity(placed.len());
        let mut taken: Vec<What> = Vec::new();
        for &(_, limit, what) in placed {
            let place = match what {
                None => &limiter.base,
                Some(what) => &**nearest(list, what).ok_or(Error::Limits(0))?,
            };
            if what.is_some() {
                taken.push(place.what);
                place.ask(clock.now());
            }
            tables.push((limit, place.view(policy, limit)?));
        }
        let beside = list.iter().filter(|place| !taken.contains(&place.what));
        let first = placed.first().map(|&(_, limit, _)| limit);
        let seen = |place: &'a Arc<Place>| {
            // A bucket's units cost time, so only a limit of the same window can say how much.
            match first.filter(|_| policy.is_bucket()) {
                Some(limit) if limit.window_ms() != place.what.window_ms => None,
                Some(limit) => Some((place.what, place.view(policy, limit).ok()?)),
                None => Some((place.what, place.any(policy)?)),
            }
        };
        Ok(Self {
            tables,
            indices: placed.iter().map(|&(index, _, _)| index).collect(),
            others: beside.filter_map(seen).collect(),
            blocks,
            block_for_ms: policy.block_for_ms,
            is_bucket: policy.is_bucket(),
        })
    }

    /// What the key has used under other limits counts in tables that have not met it.
    fn carry(&self, placed: &[Placed], key: Key, clock: &impl Clock) {
        if self.tables.len() == 1 && self.others.is_empty() {
            return;
        }
        for (index, (limit, table)) in self.tables.iter().enumerate() {
            let is_base = placed.get(index).is_none_or(|(_, _, what)| what.is_none());
            if is_base || table.owed(key, clock).is_some() {
                continue;
            }
            let used = self.used_elsewhere(*limit, key, clock).min(table.full());
            if used > 0 && !self.was_idle(*limit, key, clock) {
                table.carry(key, used, clock);
                if !self.is_bucket && self.blocks.idle_ms(key, clock).is_none() {
                    // No later than now: should the place be lost once it is over, nothing is carried again.
                    self.blocks.stamp(key, clock);
                }
            }
        }
    }

    /// Whether the key is known to have used nothing for the whole window: its place was lost because it was over.
    fn was_idle(&self, limit: Limit, key: Key, clock: &impl Clock) -> bool {
        let idle_ms = if self.is_bucket { None } else { self.blocks.idle_ms(key, clock) };
        idle_ms.is_some_and(|idle_ms| idle_ms >= limit.window_ms())
    }

    /// The most that the key has used in any table. A limit of this call with a longer window speaks for itself.
    fn used_elsewhere(&self, limit: Limit, key: Key, clock: &impl Clock) -> u64 {
        let is_bucket = self.is_bucket;
        let own = self.tables.iter().enumerate().filter(|(index, (other, _))| {
            if is_bucket { *index == 0 } else { other.window_ms() < limit.window_ms() }
        });
        let own = own.filter_map(|(_, (_, table))| table.owed(key, clock));
        let others = self.others.iter().filter(|_| !is_bucket);
        own.chain(others.filter_map(|(_, table)| table.owed(key, clock))).max().unwrap_or(0)
    }

    fn together(&self) -> Together<'_, &'a [AtomicU64], Varying> {
        Together {
            tables: self.tables.as_slice(),
            blocks: Some(self.blocks),
            block_for_ms: self.block_for_ms,
            shortest: self.tables.len().saturating_sub(1),
        }
    }

    pub(super) fn check(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        self.noted(self.together().check(key, cost, clock), key, cost, clock)
    }

    pub(super) fn take(&self, paced: bool, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        let decision = if paced {
            self.together().take_as::<true>(key, cost, clock)
        } else {
            self.together().take_as::<false>(key, cost, clock)
        };
        self.noted(decision, key, cost, clock)
    }

    /// Notes in the other tables what was charged.
    fn noted(&self, decision: Decision, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        if decision.allowed && cost > 0 {
            for (_, table) in &self.others {
                table.note(key, table.price(cost), clock);
            }
            if !self.is_bucket && (self.tables.len() > 1 || !self.others.is_empty()) {
                self.blocks.stamp(key, clock);
            }
        }
        self.named(decision)
    }

    pub(super) fn peek(&self, key: Key, cost: u64, clock: &impl Clock) -> Decision {
        self.named(self.together().peek(key, cost, clock))
    }

    /// A limit that says no more than another of the same window stands as that one does.
    pub(super) fn standing(&self, key: Key, index: usize, clock: &impl Clock) -> Standing {
        let own = self.indices.iter().position(|&own| own == index).unwrap_or(0);
        self.together().standing(key, own, clock).unwrap_or_default()
    }

    pub(super) fn refund(&self, key: Key, units: u64, clock: &impl Clock) {
        let others = self.others.iter().map(|(_, table)| table);
        for table in self.tables.iter().map(|(_, table)| table).chain(others) {
            table.refund(key, units, clock);
        }
    }

    /// The decision in the caller's order of limits.
    fn named(&self, decision: Decision) -> Decision {
        let policy = self.indices.get(decision.policy).copied().unwrap_or(0);
        Decision { policy, ..decision }
    }
}
