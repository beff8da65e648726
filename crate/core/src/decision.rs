//! What a limiter answers.

#[cfg(not(loom))]
use crate::limit::Limit;

/// The time that means "never": waiting will not help.
pub const NEVER: u64 = u64::MAX;

/// What one limit says about one key at one instant. Times are whole milliseconds, rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Units that would be admitted right now, one by one.
    pub remaining: u64,
    /// How long to wait until the cost is admitted; 0 now, [`NEVER`] when it exceeds the limit.
    pub retry_ms: u64,
    /// How long until the key has recovered completely.
    pub reset_ms: u64,
}

impl Reading {
    /// The same for a caller that is only admitted once the key owes nothing.
    pub(crate) const fn paced(mut self) -> Self {
        if self.retry_ms < self.reset_ms {
            self.retry_ms = self.reset_ms;
        }
        self
    }
}

/// What a limiter says about one key: the reading of the limit that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the cost was (or, for a peek, would be) admitted.
    pub allowed: bool,
    /// The count of the deciding limit.
    pub limit: u64,
    /// Units that every limit would admit right now.
    pub remaining: u64,
    /// Milliseconds until the key has recovered completely, under every limit.
    pub reset_ms: u64,
    /// Milliseconds until the deciding limit alone has; not less than a finite `retry_ms`.
    pub limit_reset_ms: u64,
    /// Milliseconds after which the same cost is admitted, unless other calls use it up; [`NEVER`] if it can't be.
    pub retry_ms: u64,
    /// Index of the deciding limit.
    pub policy: usize,
}

impl Decision {
    /// Whole seconds, rounded up, as the header `Retry-After` states them: waiting that long is enough. `None`
    /// when no waiting is.
    #[inline(always)]
    #[must_use]
    pub const fn retry_after_seconds(&self) -> Option<u64> {
        if self.retry_ms == NEVER { None } else { Some(self.retry_ms.div_ceil(1_000)) }
    }
}

/// What one of several limits says about a key, whichever of them decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitStatus {
    /// Units that this limit alone would admit right now.
    pub remaining: u64,
    /// Milliseconds until it would admit one more than that, blocks included; [`NEVER`] when it is full.
    pub next_unit_ms: u64,
}

/// The decision when every limit admits: the limit with the least left decides.
#[cfg(not(loom))]
pub(crate) fn admitted(
    readings: impl DoubleEndedIterator<Item = (usize, Limit, Reading)> + Clone,
) -> Decision {
    let least = readings.clone().min_by_key(|(_, _, reading)| reading.remaining);
    decided(true, least, readings)
}

/// The decision when a limit denies: the limit that denies longest decides.
#[cfg(not(loom))]
pub(crate) fn denied(
    readings: impl DoubleEndedIterator<Item = (usize, Limit, Reading)> + Clone,
) -> Decision {
    // `max_by_key` takes the last of equals; the first denying limit is the better name for it.
    let longest = readings.clone().rev().max_by_key(|(_, _, reading)| reading.retry_ms);
    decided(false, longest, readings)
}

#[cfg(not(loom))]
fn decided(
    allowed: bool,
    deciding: Option<(usize, Limit, Reading)>,
    readings: impl Iterator<Item = (usize, Limit, Reading)> + Clone,
) -> Decision {
    let least = readings.clone().map(|(_, _, reading)| reading.remaining).min();
    let longest = readings.map(|(_, _, reading)| reading.reset_ms).max();
    Decision {
        allowed,
        limit: deciding.map_or(0, |(_, limit, _)| limit.count()),
        remaining: least.unwrap_or(0),
        reset_ms: longest.unwrap_or(0),
        limit_reset_ms: deciding.map_or(0, |(_, _, reading)| reading.reset_ms),
        retry_ms: if allowed { 0 } else { deciding.map_or(0, |(_, _, r)| r.retry_ms) },
        policy: deciding.map_or(0, |(index, _, _)| index),
    }
}

/// What one limit alone says. `read`: its answer to a caller that asks for a cost.
#[cfg(not(loom))]
pub(crate) fn limit_status(blocked_us: u64, read: impl Fn(u64) -> Reading) -> LimitStatus {
    let Reading { remaining, retry_ms, .. } = read(1);
    if blocked_us > 0 {
        // The block may end before the limit itself admits a unit again.
        let next_unit_ms = blocked_us.div_ceil(1_000).max(retry_ms);
        return LimitStatus { remaining: 0, next_unit_ms };
    }
    LimitStatus { remaining, next_unit_ms: read(remaining.saturating_add(1)).retry_ms }
}

/// A denial that lasts for at least `block_ms`, whatever is left.
#[cfg(not(loom))]
pub(crate) fn with_block(denied: Decision, block_ms: u64) -> Decision {
    Decision {
        remaining: 0,
        retry_ms: denied.retry_ms.max(block_ms),
        reset_ms: denied.reset_ms.max(block_ms),
        limit_reset_ms: denied.limit_reset_ms.max(block_ms),
        ..denied
    }
}
