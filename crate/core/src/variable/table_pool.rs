//! The tables of a limiter whose limits vary: one for each window, opened when it is first used. Bounded.

use super::VariableConfig;
use crate::algorithm::{AlgorithmKind, Varying, mask};
use crate::atomic::AtomicU64;
use crate::config::LimiterConfig;
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;
use crate::shared::{AttachRequest, Memory, Platform, Segment, SystemPlatform};
use crate::table::{Heap, Layout, Table};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// A table as one limit sees it.
pub(super) type View<'a> = Table<&'a [AtomicU64], Varying>;

/// The most windows at once; for a log, the most pairs of window and ring size.
const MAX_TABLES: usize = 64;
const MAX_LOGS: usize = 16;
/// The smallest ring of a log: counts up to it share a table.
const MIN_RING: u64 = 15;
const DEFAULT_CAPACITY: usize = 100_000;
/// The largest log, unless a capacity is given.
const LOG_BYTES: usize = 64 * 1024 * 1024;

/// Which limits a table is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableId {
    /// All limits in it have this window; 0 in the base.
    pub(crate) window_ms: u64,
    /// Cells of its rings, if it is a log. For buckets, which of several limits with that window.
    pub(crate) ring: u64,
}

impl TableId {
    pub(crate) const BASE: Self = Self { window_ms: 0, ring: 0 };

    /// Where a limit is counted, unless it is a bucket's.
    pub(super) fn of(algorithm: AlgorithmKind, limit: Limit) -> Self {
        let ring = if algorithm == AlgorithmKind::SlidingLog { ring_for(limit) } else { 0 };
        Self { window_ms: limit.window_ms(), ring }
    }

    /// The base is a table of buckets, whatever the algorithm.
    fn algorithm(self, config: &VariableConfig) -> AlgorithmKind {
        if self == Self::BASE { AlgorithmKind::TokenBucket } else { config.algorithm }
    }

    /// A configuration that says what the table is for: its limit is the window, and the cells of a ring.
    fn config(self, config: &VariableConfig) -> Result<LimiterConfig, Error> {
        let algorithm = self.algorithm(config);
        let is_log = algorithm == AlgorithmKind::SlidingLog;
        let cells = if is_log { self.ring } else { 1 };
        let limit = Limit::new(cells, self.window_ms.max(1))?;
        let per_key = 2_usize
            .saturating_add(usize::try_from(if is_log { cells } else { 0 }).unwrap_or(usize::MAX))
            .saturating_mul(size_of::<[u64; 2]>());
        let room = LOG_BYTES.checked_div(per_key).unwrap_or(1).clamp(1, DEFAULT_CAPACITY);
        let default = if is_log { room } else { DEFAULT_CAPACITY };
        Ok(LimiterConfig {
            limits: vec![limit],
            algorithm,
            block_for_ms: config.block_for_ms,
            capacity: config.capacity.unwrap_or(default),
        })
    }

    /// The name under which processes share it.
    fn name(self, name: &str, config: &VariableConfig) -> String {
        let kind = config.algorithm.name();
        match self {
            Self::BASE => format!("{name} (plans, {kind})"),
            Self { window_ms, ring: 0 } => format!("{name} (plans, {kind}, {window_ms} ms)"),
            Self { window_ms, ring } => format!("{name} (plans, {kind}, {window_ms} ms, {ring})"),
        }
    }
}

/// The ring size for the count and others near it, or for the count alone if the window leaves no room.
fn ring_for(limit: Limit) -> u64 {
    let bits = limit.count().checked_ilog2().unwrap_or(0).saturating_add(1);
    let ring = mask(bits).max(MIN_RING);
    let fits = Varying::new(AlgorithmKind::SlidingLog, limit, ring).is_ok();
    if fits { ring } else { limit.count() }
}

/// Whether a table of its own could count the same limit with another count.
fn can_count(kind: AlgorithmKind, limit: Limit, count: u64) -> bool {
    limit
        .with_count(count)
        .is_ok_and(|limit| Varying::new(kind, limit, TableId::of(kind, limit).ring).is_ok())
}

/// A table's memory.
#[derive(Debug)]
pub(super) struct VariableTable {
    pub(super) id: TableId,
    memory: Memory,
    layout: Layout,
    /// When a limit last used it.
    used_ms: AtomicU64,
    /// The file that it shares with other processes.
    segment: Option<Segment>,
}

impl VariableTable {
    /// In this process, or in the file that all processes with this name share.
    pub(super) fn new(
        name: Option<&str>,
        config: &VariableConfig,
        id: TableId,
        generation: u64,
    ) -> Result<Self, Error> {
        let table_config = id.config(config)?;
        let table_name = name.map(|name| id.name(name, config));
        let request =
            AttachRequest::varying(table_name.as_deref().unwrap_or("memory"), &table_config)?;
        let layout = table_config.tables()?.first().map(|(.., layout)| *layout);
        let layout = layout.ok_or(Error::Limits(0))?;
        let used_ms = AtomicU64::new(0);
        if name.is_none() {
            let memory = Heap::zeroed(layout.words())?.into();
            return Ok(Self { id, memory, layout, used_ms, segment: None });
        }
        let request = request.after(generation);
        let segment = SystemPlatform::open_default()?.attach(&request)?;
        let memory = segment.memories(&request)?.pop().ok_or(Error::Limits(0))?;
        Ok(Self { id, memory, layout, used_ms, segment: Some(segment) })
    }

    /// Whether other processes would attach to the same file now; always true in memory.
    pub(super) fn is_current(&self) -> bool {
        self.segment.as_ref().is_none_or(|segment| segment.mapping.is_current())
    }

    pub(super) const fn segment(&self) -> Option<&Segment> {
        self.segment.as_ref()
    }

    /// The table as a limit sees it. In one for a longer window it is counted for that window.
    pub(super) fn view(&self, config: &VariableConfig, limit: Limit) -> Result<View<'_>, Error> {
        let is_own = config.is_bucket() || self.id == TableId::BASE;
        let limit = if is_own { limit } else { Limit::new(limit.count(), self.id.window_ms)? };
        let kind = self.id.algorithm(config);
        let algorithm = Varying::new(kind, limit, self.id.ring)
            .map_err(|error| error.suggesting(|count| can_count(kind, limit, count)))?;
        let bytes = self.layout.words().saturating_mul(size_of::<u64>());
        Table::new(&*self.memory, self.layout, algorithm, limit).ok_or(Error::Memory { bytes })
    }

    /// The table for what does not depend on limits.
    pub(super) fn any_view(&self, config: &VariableConfig) -> Option<View<'_>> {
        let limit = Limit::new(1, self.id.window_ms).or_else(|_| Limit::new(1, 1)).ok()?;
        self.view(config, limit).ok()
    }

    pub(super) fn touch(&self, now: Nanos) {
        // Relaxed: it only says which table can be closed.
        self.used_ms.store(now.whole_ms(), Ordering::Relaxed);
    }

    /// Whether nothing in it counts for any limit now.
    fn is_expired(&self, now: Nanos) -> bool {
        let idle = now.whole_ms().saturating_sub(self.used_ms.load(Ordering::Relaxed));
        idle >= self.id.window_ms.saturating_mul(2)
    }

    /// Whether a limit of the table `id` is never laxer here.
    fn covers(&self, id: TableId) -> bool {
        self.id.window_ms >= id.window_ms && self.id.ring >= id.ring
    }
}

/// The tables beside the base.
#[derive(Debug, Default)]
pub(super) struct TablePool {
    list: RwLock<Vec<Arc<VariableTable>>>,
    /// How many there are: most limiters of buckets have none, and need no lock to know.
    count: AtomicUsize,
}

impl TablePool {
    pub(super) fn is_empty(&self) -> bool {
        // Acquire: pairs with the release in `open`.
        self.count.load(Ordering::Acquire) == 0
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<VariableTable>>> {
        // A thread that panicked while it held the list left it whole: every change is one call.
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the table of this id, if need be in place of one that has expired, or else of the one that was
    /// used longest ago.
    pub(super) fn open(
        &self,
        id: TableId,
        (name, config): (Option<&str>, &VariableConfig),
        now: Nanos,
    ) -> Result<(), Error> {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        if list.iter().any(|table| table.id == id) {
            return Ok(());
        }
        let is_log = config.algorithm == AlgorithmKind::SlidingLog;
        if list.len() >= if is_log { MAX_LOGS } else { MAX_TABLES } {
            let expired = list.iter().position(|table| table.is_expired(now));
            if expired.is_none() && nearest(&list, id).is_some() {
                return Ok(());
            }
            if let Some(index) = expired.or_else(|| oldest(&list)) {
                list.swap_remove(index);
            }
        }
        let table = match VariableTable::new(name, config, id, 0) {
            Ok(table) => table,
            // No room for one more: a longer window is stricter, and no error.
            Err(_) if nearest(&list, id).is_some() => return Ok(()),
            Err(error) => return Err(error),
        };
        table.touch(now);
        list.push(Arc::new(table));
        self.count.store(list.len(), Ordering::Release);
        Ok(())
    }
}

/// The index of the table that was used longest ago.
fn oldest(list: &[Arc<VariableTable>]) -> Option<usize> {
    let used = list.iter().map(|table| table.used_ms.load(Ordering::Relaxed));
    used.enumerate().min_by_key(|&(_, used)| used).map(|(index, _)| index)
}

/// Where a limit is counted: in the table of its window, or if there is none, of the next longer one.
pub(super) fn nearest(list: &[Arc<VariableTable>], id: TableId) -> Option<&Arc<VariableTable>> {
    let covering = list.iter().filter(|table| table.covers(id));
    covering.min_by_key(|table| (table.id.window_ms, table.id.ring))
}
