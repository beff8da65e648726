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

/// Every kind and its name. A shared file holds the index: append, and reorder nothing.
const NAMES: [(Kind, &str); 5] = [
    (Kind::TokenBucket, "token-bucket"),
    (Kind::LeakyBucket, "leaky-bucket"),
    (Kind::SlidingWindow, "sliding-window"),
    (Kind::SlidingLog, "sliding-log"),
    (Kind::FixedWindow, "fixed-window"),
];

impl Kind {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |&(_, name)| name)
    }

    /// The kind that people call so, or an error that lists what there is.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let found = NAMES.iter().find(|(_, one)| *one == name);
        found.map(|&(kind, _)| kind).ok_or_else(|| Error::Algorithm {
            got: name.to_owned(),
            accepted: NAMES.map(|(_, name)| name).join(", "),
        })
    }

    /// Its number in a shared file.
    pub(crate) fn index(self) -> Option<usize> {
        NAMES.iter().position(|(kind, _)| *kind == self)
    }

    /// The kind of that number.
    pub(crate) fn at(index: usize) -> Option<Self> {
        NAMES.get(index).map(|&(kind, _)| kind)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_by_its_name_and_its_number() {
        for (index, (_, name)) in NAMES.into_iter().enumerate() {
            let kind = Kind::parse(name).ok();
            assert_eq!(kind.map(Kind::name), Some(name));
            assert_eq!(kind.and_then(Kind::index), Some(index));
            assert_eq!(kind, Kind::at(index));
        }
        assert_eq!(Kind::at(NAMES.len()), None);
    }

    #[test]
    fn no_other_name_is_taken_for_a_kind() {
        for name in ["", "Token-bucket", "token_bucket", "token-bucket ", "gcra"] {
            let refusal = Kind::parse(name).map_err(|error| error.code());
            assert_eq!(refusal, Err("INVALID_OPTION"));
        }
    }
}
