//! What a limiter answers.

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

/// What one of several limits says about a key, whichever of them decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitStatus {
    /// Units that this limit alone would admit right now.
    pub remaining: u64,
    /// Milliseconds until it would admit one more than that, blocks included; [`NEVER`] when it is full.
    pub next_unit_ms: u64,
}
