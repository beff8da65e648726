//! What a limiter is made from, checked once.

use crate::algorithm::{Algorithm, AlgorithmKind, AnyAlgorithm};
use crate::error::Error;
use crate::limit::Limit;
use crate::table::Layout;

/// The most limits of one limiter.
pub const MAX_LIMITS: usize = 16;
/// The most keys one limiter can be made for: 4 GiB of slots.
pub const MAX_CAPACITY: usize = 1 << 27;

/// Everything that determines how a limiter decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimiterConfig {
    /// 1 to 16 limits; a cost is charged to all of them or to none.
    pub limits: Vec<Limit>,
    /// How requests are counted.
    pub algorithm: AlgorithmKind,
    /// After a denial, deny the key for this many milliseconds; 0 is off.
    pub block_for_ms: u64,
    /// Keys expected to be live at once.
    pub capacity: usize,
}

impl LimiterConfig {
    /// The arithmetic of each limit, or what is wrong with the configuration.
    pub(crate) fn algorithms(&self) -> Result<Vec<(Limit, AnyAlgorithm)>, Error> {
        if self.limits.is_empty() || self.limits.len() > MAX_LIMITS {
            return Err(Error::Limits(self.limits.len()));
        }
        if self.capacity == 0 || self.capacity > MAX_CAPACITY {
            return Err(Error::Capacity(self.capacity as u64));
        }
        self.limits.iter().map(|&limit| Ok((limit, arithmetic(self.algorithm, limit)?))).collect()
    }

    /// The same, and the layout of each limit's table.
    pub(crate) fn tables(&self) -> Result<Vec<(Limit, AnyAlgorithm, Layout)>, Error> {
        let tables = self.algorithms()?.into_iter().map(|(limit, algorithm)| {
            let layout = Layout::for_keys(self.capacity, algorithm.ring_words());
            (limit, algorithm, layout)
        });
        Ok(tables.collect())
    }

    /// The index of the limit with the shortest window.
    pub(crate) fn shortest(&self) -> usize {
        let windows = self.limits.iter().map(|limit| limit.window_ms());
        windows.enumerate().min_by_key(|&(_, window)| window).map_or(0, |(index, _)| index)
    }
}

/// The arithmetic of one limit, or why it can't be counted.
fn arithmetic(algorithm: AlgorithmKind, limit: Limit) -> Result<AnyAlgorithm, Error> {
    if limit.burst() != limit.count() && !algorithm.has_burst() {
        return Err(Error::Burst(limit.burst()));
    }
    algorithm.arithmetic(limit).map_err(|error| {
        error.suggesting(|count| {
            let smaller = limit.with_count(count);
            smaller.is_ok_and(|limit| algorithm.arithmetic(limit).is_ok())
        })
    })
}
