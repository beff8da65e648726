//! What a limiter is made from, checked once.

use crate::algorithm::{Algorithm, FixedWindow, Gcra, SlidingLog, SlidingWindow};
use crate::error::Error;
use crate::limit::Limit;

/// Limits one limiter takes.
pub const MAX_LIMITS: usize = 16;
/// Keys one limiter can be made for: 4 GiB of slots.
pub const MAX_CAPACITY: usize = 1 << 27;

/// How requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Paced, with a burst; the default.
    TokenBucket,
    /// The same meter under its other name.
    LeakyBucket,
    /// Two buckets, interpolated.
    SlidingWindow,
    /// Every timestamp.
    SlidingLog,
    /// A window from the first request on.
    FixedWindow,
}

/// Everything that decides how a limiter answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// 1 to 16 limits; a cost is charged to all of them or to none.
    pub limits: Vec<Limit>,
    /// How requests are counted.
    pub kind: Kind,
    /// After a denial, deny the key for so many milliseconds; 0 is off.
    pub block_for_ms: u64,
    /// Keys expected to be live at once.
    pub capacity: usize,
}

impl Policy {
    /// One algorithm per limit, or what is wrong with the policy.
    pub(crate) fn algorithms(&self) -> Result<Vec<(Limit, Algorithm)>, Error> {
        if self.limits.is_empty() || self.limits.len() > MAX_LIMITS {
            return Err(Error::Limits(self.limits.len()));
        }
        if self.capacity == 0 || self.capacity > MAX_CAPACITY {
            return Err(Error::Capacity(self.capacity as u64));
        }
        self.limits.iter().map(|&limit| Ok((limit, self.algorithm(limit)?))).collect()
    }

    fn algorithm(&self, limit: Limit) -> Result<Algorithm, Error> {
        if limit.burst() != limit.count() && !self.bursts() {
            return Err(Error::Burst(limit.burst()));
        }
        Ok(match self.kind {
            Kind::TokenBucket | Kind::LeakyBucket => Algorithm::Gcra(Gcra::new(limit)?),
            Kind::SlidingWindow => Algorithm::SlidingWindow(SlidingWindow::new(limit)?),
            Kind::SlidingLog => Algorithm::SlidingLog(SlidingLog::new(limit)?),
            Kind::FixedWindow => Algorithm::FixedWindow(FixedWindow::new(limit)?),
        })
    }

    const fn bursts(&self) -> bool {
        matches!(self.kind, Kind::TokenBucket | Kind::LeakyBucket)
    }

    pub(crate) fn shortest(&self) -> usize {
        let windows = self.limits.iter().map(|limit| limit.window_ms());
        windows.enumerate().min_by_key(|&(_, window)| window).map_or(0, |(index, _)| index)
    }
}
