//! What the functions of one limiter share: the limiter, its clock, and where details are written.

use crate::counting::{Counter, Tally};
use crate::details::{DETAILS, Details};
use crate::external_memory::{ExternalMemory, MemoryUse, Remeasure};
use crate::registry::{Registered, reattach};
use ratethrottle_core::{
    Decision, FixedTime, Key, LimitStatus, MonotonicAdapter, NEVER, Nanos, OwnedMonotonic,
    RawLimiter,
};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// What became of the file that a limiter shares with other processes.
#[derive(Clone, Copy)]
pub(crate) enum Attachment {
    /// It is the same file.
    Current,
    /// The file was removed; all processes share a new one now.
    Reattached,
    /// The file was removed and can't be made again: this process counts for itself.
    Detached,
}

/// One `RateLimiter` object of one thread. Lives as long as any of its functions.
pub(crate) struct Handle<L = RawLimiter> {
    limiter: RefCell<Option<Arc<L>>>,
    /// The name under which processes share it.
    shared: Option<String>,
    clock: MonotonicAdapter,
    native_clock: OwnedMonotonic,
    last_key: Cell<Option<Key>>,
    memory: ExternalMemory,
    details: Details,
    tally: Tally,
    counter: Option<Counter>,
}

impl<L> Handle<L> {
    pub(crate) fn new(limiter: Arc<L>, shared: Option<String>, details: Details) -> Self {
        Self {
            limiter: RefCell::new(Some(limiter)),
            shared,
            clock: MonotonicAdapter::default(),
            native_clock: OwnedMonotonic::default(),
            last_key: Cell::new(None),
            memory: ExternalMemory::new(details.env()),
            details,
            tally: Tally::default(),
            counter: None,
        }
    }

    /// With an insight to count in, if there is one.
    pub(crate) fn counting(self, counter: Option<Counter>) -> Self {
        Self { counter, ..self }
    }

    #[inline(always)]
    pub(crate) const fn tally(&self) -> &Tally {
        &self.tally
    }

    #[inline(always)]
    pub(crate) const fn counter(&self) -> Option<&Counter> {
        self.counter.as_ref()
    }

    /// The key of the last `allow` or `check`, hashed.
    #[inline(always)]
    pub(crate) fn last_key(&self) -> Option<Key> {
        self.last_key.get()
    }

    #[inline(always)]
    pub(crate) const fn native_clock(&self) -> &OwnedMonotonic {
        &self.native_clock
    }

    #[inline(always)]
    pub(crate) fn remember_key(&self, key: Key) {
        self.last_key.set(Some(key));
    }

    pub(crate) const fn memory(&self) -> &ExternalMemory {
        &self.memory
    }

    /// Reports to V8 how much memory the limiter holds by now.
    #[cold]
    pub(crate) fn measure(&self)
    where
        L: MemoryUse,
    {
        if let Some(limiter) = self.limiter.borrow().as_ref() {
            self.memory.measure(limiter);
        }
    }

    /// Runs `act` on the limiter, or answers `None` after `close`.
    #[inline]
    pub(crate) fn with<T>(&self, act: impl FnOnce(&L) -> T) -> Option<T> {
        self.limiter.borrow().as_deref().map(act)
    }

    pub(crate) fn write_attachment(&self, attachment: Attachment) {
        self.write_first([f64::from(attachment as u8)]);
    }

    /// Drops the limiter. Its memory is freed when no other handle holds it.
    pub(crate) fn close(&self) {
        if self.limiter.take().is_some() {
            self.memory.release();
        }
    }

    /// The instant to decide with when the caller's own clock shows `ms`.
    pub(crate) fn at(&self, ms: f64) -> Option<FixedTime> {
        Nanos::from_ms(ms).map(|shown| self.clock.at(shown))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "below 2^31, as just checked; there are 16 limits at most"
    )]
    #[inline(always)]
    pub(crate) fn write_decision(&self, decision: &Decision) {
        let Decision { limit, remaining, reset_ms, limit_reset_ms, retry_ms, policy, .. } =
            *decision;
        // The limit's own reset is part of the whole one, and never greater.
        if (limit | remaining | reset_ms | retry_ms) >> 31 != 0 {
            return self.write_wide(decision);
        }
        self.details.write_small([
            limit as i32,
            remaining as i32,
            reset_ms as i32,
            limit_reset_ms as i32,
            retry_ms as i32,
            // Less than 2^31 milliseconds: there is a time to wait.
            decision.retry_after_seconds().unwrap_or_default() as i32,
            policy as i32,
            0,
        ]);
    }

    #[cold]
    fn write_wide(&self, decision: &Decision) {
        self.details.write_wide([
            number(decision.limit),
            number(decision.remaining),
            milliseconds(decision.reset_ms),
            milliseconds(decision.limit_reset_ms),
            milliseconds(decision.retry_ms),
            decision.retry_after_seconds().map_or(f64::INFINITY, number),
            number(decision.policy as u64),
        ]);
        self.details.write_small([0, 0, 0, 0, 0, 0, 0, 1]);
    }

    pub(crate) fn write_status(&self, status: LimitStatus) {
        self.write_first([number(status.remaining), milliseconds(status.next_unit_ms)]);
    }

    pub(crate) fn write_counts<const N: usize>(&self, counts: [u64; N]) {
        self.write_first(counts.map(number));
    }

    /// Eight integers as they are.
    #[inline(always)]
    pub(crate) fn write_small(&self, numbers: [i32; DETAILS + 1]) {
        self.details.write_small(numbers);
    }

    /// Writes the first numbers and leaves the rest 0.
    pub(crate) fn write_first<const N: usize>(&self, first: [f64; N]) {
        let mut numbers = [0.0; DETAILS];
        for (number, value) in numbers.iter_mut().zip(first) {
            *number = value;
        }
        self.details.write_wide(numbers);
    }
}

impl<L: MemoryUse> Remeasure for Handle<L> {
    fn measure_again(&self) {
        if self.memory.was_called() {
            self.measure();
        }
    }
}

impl<L: Registered> Handle<L> {
    /// Attaches to the new file if the one that processes share has been removed.
    pub(crate) fn renew(&self) -> Option<Attachment> {
        let limiter = self.limiter.borrow().clone()?;
        match reattach(&*limiter, self.shared.as_deref()) {
            Ok(None) => Some(Attachment::Current),
            Err(_) => Some(Attachment::Detached),
            Ok(Some(limiter)) => {
                self.limiter.replace(Some(limiter));
                // It was hashed with the secret of the old file.
                self.last_key.set(None);
                Some(Attachment::Reattached)
            }
        }
    }
}

/// Through a signed number: the processor has an instruction for that one.
#[expect(clippy::cast_precision_loss, reason = "counts and bytes lie below 2^53")]
#[inline(always)]
pub(crate) const fn number(n: u64) -> f64 {
    n.cast_signed() as f64
}

#[inline(always)]
pub(crate) const fn milliseconds(ms: u64) -> f64 {
    if ms == NEVER { f64::INFINITY } else { number(ms) }
}
