//! Where a newcomer goes when every slot it may use holds a blocked key.
//!
//! 4,096 bare words, each a token bucket with the limiter's own rate, shared by the strangers that
//! hash to it. Neither open (an attacker would fill the table first) nor closed (he could lock
//! everybody out): constant memory, and it is counted, so it never happens in silence.

use super::region::{Header, OVERFLOW};
use super::{Outcome, Receipt, Table};
use crate::algorithm::{Meter, Steps};
use crate::atomic::{AtomicU64, Ordering};
use crate::decision::Reading;
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

impl<M: Deref<Target = [AtomicU64]>, A: Steps> Table<M, A> {
    #[cold]
    pub(super) fn charge_shared(&self, key: Key, now: Nanos, cost: u64) -> Outcome {
        self.count(Header::Overflows);
        let admitted = self.exchange_shared(key, |value| self.strangers.admit(value, now, cost));
        Outcome {
            receipt: admitted.map(|_| Receipt::Shared),
            reading: match admitted {
                Some(value) => self.strangers.read(value, now, 0),
                None => self.peek_shared(key, now, cost),
            },
        }
    }

    pub(super) fn refund_shared(&self, key: Key, units: u64, now: Nanos) {
        self.exchange_shared(key, |value| Some(self.strangers.refund(value, now, units)));
    }

    pub(super) fn peek_shared(&self, key: Key, now: Nanos, cost: u64) -> Reading {
        let value = self.shared(key).map_or(0, |word| word.load(Ordering::Acquire));
        self.strangers.read(value, now, cost)
    }

    /// The new value, or `None` when `next` denies.
    fn exchange_shared(&self, key: Key, next: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let word = self.shared(key)?;
        let before = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, &next).ok();
        crate::probe::stepped();
        before.and_then(&next)
    }

    #[expect(clippy::cast_possible_truncation, reason = "below OVERFLOW")]
    fn shared(&self, key: Key) -> Option<&AtomicU64> {
        self.region.overflow(key.among(OVERFLOW as u64) as usize)
    }
}
