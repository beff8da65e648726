//! The tables of a limiter whose limits change: one for each window, as they turn up. Bounded.

use super::VariablePolicy;
use crate::algorithm::Varying;
use crate::atomic::AtomicU64;
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;
use crate::policy::Kind;
use crate::table::{Heap, Layout, Memory, Table};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// A table as one limit sees it.
pub(crate) type View<'a> = Table<&'a [AtomicU64], Varying>;

/// So many windows at once; of a log, windows and sizes.
const MOST_PLACES: usize = 64;
const MOST_LOGS: usize = 16;
/// Rings of a log have at least so many places: counts up to it share a table.
const LEAST_RING: u64 = 16;
const DEFAULT_CAPACITY: usize = 100_000;
/// A log of so many bytes at most, unless a capacity is asked for.
const LOG_BYTES: usize = 64 * 1024 * 1024;

/// What a table is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct What {
    /// All limits in it have this window; 0 in the base.
    pub(crate) window_ms: u64,
    /// Places of its rings, if it is a log. For buckets, which of several limits with that window.
    pub(crate) ring: u64,
}

impl What {
    pub(crate) const BASE: Self = Self { window_ms: 0, ring: 0 };

    /// Where a limit is counted, unless it is a bucket's.
    pub(crate) fn of(kind: Kind, limit: Limit) -> Self {
        let is_log = kind == Kind::SlidingLog;
        let ring = if is_log { limit.count().next_power_of_two().max(LEAST_RING) } else { 0 };
        Self { window_ms: limit.window_ms(), ring }
    }
}

/// A table's memory.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) what: What,
    memory: Memory,
    layout: Layout,
    /// When a limit last asked here.
    asked_ms: AtomicU64,
}

impl Place {
    pub(crate) fn new(policy: &VariablePolicy, what: What) -> Result<Self, Error> {
        let layout = layout(policy, what);
        let memory = Heap::zeroed(layout.words())?.into();
        Ok(Self { what, memory, layout, asked_ms: AtomicU64::new(0) })
    }

    /// The table as a limit sees it. In one for a longer window it is counted for that window.
    pub(crate) fn view(&self, policy: &VariablePolicy, limit: Limit) -> Result<View<'_>, Error> {
        let is_own = policy.is_bucket() || self.what == What::BASE;
        let limit = if is_own { limit } else { Limit::new(limit.count(), self.what.window_ms)? };
        let algorithm = match policy.kind {
            _ if self.what == What::BASE => Varying::bucket(limit)?,
            Kind::TokenBucket | Kind::LeakyBucket => Varying::bucket(limit)?,
            Kind::FixedWindow => Varying::fixed_window(limit)?,
            Kind::SlidingWindow => Varying::sliding_window(limit)?,
            Kind::SlidingLog => Varying::sliding_log(limit, self.what.ring)?,
        };
        let bytes = self.layout.words().saturating_mul(size_of::<u64>());
        Table::new(&*self.memory, self.layout, algorithm, limit).ok_or(Error::Memory { bytes })
    }

    /// The table for what does not depend on limits.
    pub(crate) fn any(&self, policy: &VariablePolicy) -> Option<View<'_>> {
        let limit = Limit::new(1, self.what.window_ms).or_else(|_| Limit::new(1, 1)).ok()?;
        self.view(policy, limit).ok()
    }

    pub(crate) fn ask(&self, now: Nanos) {
        // Relaxed: it only says which table nobody will miss.
        self.asked_ms.store(now.whole_ms(), Ordering::Relaxed);
    }

    /// Whether what is in it no longer counts for anybody.
    fn is_over(&self, now: Nanos) -> bool {
        let idle = now.whole_ms().saturating_sub(self.asked_ms.load(Ordering::Relaxed));
        idle >= self.what.window_ms.saturating_mul(2)
    }

    /// Whether a limit that belongs into `what` is never laxer here.
    fn holds(&self, what: What) -> bool {
        self.what.window_ms >= what.window_ms && self.what.ring >= what.ring
    }
}

fn layout(policy: &VariablePolicy, what: What) -> Layout {
    let is_log = policy.kind == Kind::SlidingLog && what != What::BASE;
    let ring = if is_log { usize::try_from(what.ring).unwrap_or(usize::MAX) } else { 0 };
    let per_key = ring.saturating_add(2).saturating_mul(size_of::<[u64; 2]>());
    let room = LOG_BYTES.checked_div(per_key).unwrap_or(1).clamp(1, DEFAULT_CAPACITY);
    let usual = if is_log { room } else { DEFAULT_CAPACITY };
    Layout::for_keys(policy.capacity.unwrap_or(usual), ring)
}

/// The tables there are beside the base.
#[derive(Debug, Default)]
pub(crate) struct Places {
    list: RwLock<Vec<Arc<Place>>>,
    /// How many there are: most limiters of buckets have none, and need no lock to know.
    count: AtomicUsize,
}

impl Places {
    pub(crate) fn is_empty(&self) -> bool {
        // Acquire: pairs with the release in `open`.
        self.count.load(Ordering::Acquire) == 0
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<Place>>> {
        // A thread that panicked while it held the list left it whole: every change is one call.
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that there is a table for a limit: a new one, if need be in place of one that is over.
    pub(crate) fn open(
        &self,
        what: What,
        policy: &VariablePolicy,
        now: Nanos,
    ) -> Result<(), Error> {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        if list.iter().any(|place| place.what == what) {
            return Ok(());
        }
        let most = if policy.kind == Kind::SlidingLog { MOST_LOGS } else { MOST_PLACES };
        if list.len() >= most {
            let over = list.iter().position(|place| place.is_over(now));
            if over.is_none() && nearest(&list, what).is_some() {
                return Ok(());
            }
            let oldest = || {
                let ages = list.iter().map(|place| place.asked_ms.load(Ordering::Relaxed));
                ages.enumerate().min_by_key(|&(_, asked)| asked).map(|(index, _)| index)
            };
            if let Some(index) = over.or_else(oldest) {
                list.swap_remove(index);
            }
        }
        let place = Place::new(policy, what)?;
        place.ask(now);
        list.push(Arc::new(place));
        self.count.store(list.len(), Ordering::Release);
        Ok(())
    }
}

/// Where a limit is counted: in the table of its window, or where there is none, of the next longer one.
pub(crate) fn nearest(list: &[Arc<Place>], what: What) -> Option<&Arc<Place>> {
    let holding = list.iter().filter(|place| place.holds(what));
    holding.min_by_key(|place| (place.what.window_ms, place.what.ring))
}
