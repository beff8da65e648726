//! The tables of a limiter whose limits change: one for each window, as they turn up. Bounded.

use super::VariablePolicy;
use crate::algorithm::{Varying, mask};
use crate::atomic::AtomicU64;
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;
use crate::policy::{Kind, Policy};
use crate::shared::{Here, LABEL_BYTES, Place as Shared, Segment, Wanted};
use crate::table::{Heap, Layout, Memory, Table};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// A table as one limit sees it.
pub(crate) type View<'a> = Table<&'a [AtomicU64], Varying>;

/// The most windows at once; of a log, windows and sizes.
const MOST_PLACES: usize = 64;
const MOST_LOGS: usize = 16;
/// The least places of a log's ring: counts up to it share a table.
const LEAST_RING: u64 = 15;
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
        let ring = if kind == Kind::SlidingLog { ring_of(limit) } else { 0 };
        Self { window_ms: limit.window_ms(), ring }
    }

    /// The base is a table of buckets whatever the kind.
    fn kind(self, policy: &VariablePolicy) -> Kind {
        if self == Self::BASE { Kind::TokenBucket } else { policy.kind }
    }

    /// A policy that says what the table is for.
    fn policy(self, policy: &VariablePolicy) -> Result<Policy, Error> {
        let kind = self.kind(policy);
        let is_log = kind == Kind::SlidingLog;
        let places = if is_log { self.ring } else { 1 };
        let limit = Limit::new(places, self.window_ms.max(1))?;
        let per_key = 2_usize
            .saturating_add(usize::try_from(if is_log { places } else { 0 }).unwrap_or(usize::MAX))
            .saturating_mul(size_of::<[u64; 2]>());
        let room = LOG_BYTES.checked_div(per_key).unwrap_or(1).clamp(1, DEFAULT_CAPACITY);
        let usual = if is_log { room } else { DEFAULT_CAPACITY };
        Ok(Policy {
            limits: vec![limit],
            kind,
            block_for_ms: policy.block_for_ms,
            capacity: policy.capacity.unwrap_or(usual),
        })
    }

    /// The name under which processes share it.
    fn name(self, name: &str, policy: &VariablePolicy) -> String {
        let kind = policy.kind.name();
        match self {
            Self::BASE => format!("{name} (plans, {kind})"),
            Self { window_ms, ring: 0 } => format!("{name} (plans, {kind}, {window_ms} ms)"),
            Self { window_ms, ring } => format!("{name} (plans, {kind}, {window_ms} ms, {ring})"),
        }
    }
}

/// The size of ring that holds the count with others like it, or alone if the window leaves no room.
fn ring_of(limit: Limit) -> u64 {
    let bits = limit.count().checked_ilog2().unwrap_or(0).saturating_add(1);
    let ring = mask(bits).max(LEAST_RING);
    let fits = Varying::of(Kind::SlidingLog, limit, ring).is_ok();
    if fits { ring } else { limit.count() }
}

/// A table's memory.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) what: What,
    memory: Memory,
    layout: Layout,
    /// When a limit last asked here.
    asked_ms: AtomicU64,
    /// What it has in common with other processes.
    share: Option<Segment>,
}

impl Place {
    /// In this process, or what all that share the name have in common.
    pub(crate) fn new(
        name: Option<&str>,
        policy: &VariablePolicy,
        what: What,
        before: u64,
    ) -> Result<Self, Error> {
        let made_for = what.policy(policy)?;
        let wanted_name = name.map(|name| what.name(name, policy));
        let wanted = Wanted::varying(wanted_name.as_deref().unwrap_or("memory"), &made_for)?;
        let layout = wanted.tables.first().map(|(_, layout)| *layout).ok_or(Error::Limits(0))?;
        let asked_ms = AtomicU64::new(0);
        if name.is_none() {
            let memory = Heap::zeroed(layout.words())?.into();
            return Ok(Self { what, memory, layout, asked_ms, share: None });
        }
        let segment = Here::usual()?.attach(&wanted.after(before))?;
        let start = LABEL_BYTES.checked_div(size_of::<u64>()).unwrap_or(0);
        let memory = Memory::mapped(Arc::clone(&segment.mapping), start, layout.words());
        let bytes = layout.words().saturating_mul(size_of::<u64>());
        let memory = memory.ok_or(Error::Memory { bytes })?;
        Ok(Self { what, memory, layout, asked_ms, share: Some(segment) })
    }

    /// Whether it is what other processes find: always so in memory.
    pub(crate) fn is_current(&self) -> bool {
        self.share.as_ref().is_none_or(|share| share.mapping.is_current())
    }

    pub(crate) const fn share(&self) -> Option<&Segment> {
        self.share.as_ref()
    }

    /// The table as a limit sees it. In one for a longer window it is counted for that window.
    pub(crate) fn view(&self, policy: &VariablePolicy, limit: Limit) -> Result<View<'_>, Error> {
        let is_own = policy.is_bucket() || self.what == What::BASE;
        let limit = if is_own { limit } else { Limit::new(limit.count(), self.what.window_ms)? };
        let algorithm = Varying::of(self.what.kind(policy), limit, self.what.ring)?;
        let bytes = self.layout.words().saturating_mul(size_of::<u64>());
        Table::new(&*self.memory, self.layout, algorithm, limit).ok_or(Error::Memory { bytes })
    }

    /// The table for what does not depend on limits.
    pub(crate) fn any(&self, policy: &VariablePolicy) -> Option<View<'_>> {
        let limit = Limit::new(1, self.what.window_ms).or_else(|_| Limit::new(1, 1)).ok()?;
        self.view(policy, limit).ok()
    }

    pub(crate) fn ask(&self, now: Nanos) {
        // Relaxed: it only says which table no caller will miss.
        self.asked_ms.store(now.whole_ms(), Ordering::Relaxed);
    }

    /// Whether what is in it no longer counts for any caller.
    fn is_over(&self, now: Nanos) -> bool {
        let idle = now.whole_ms().saturating_sub(self.asked_ms.load(Ordering::Relaxed));
        idle >= self.what.window_ms.saturating_mul(2)
    }

    /// Whether a limit that belongs into `what` is never laxer here.
    fn holds(&self, what: What) -> bool {
        self.what.window_ms >= what.window_ms && self.what.ring >= what.ring
    }
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
        (name, policy): (Option<&str>, &VariablePolicy),
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
        let place = match Place::new(name, policy, what, 0) {
            Ok(place) => place,
            // No room for one more: a longer window is stricter, and no error.
            Err(_) if nearest(&list, what).is_some() => return Ok(()),
            Err(error) => return Err(error),
        };
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
