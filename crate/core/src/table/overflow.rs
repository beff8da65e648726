//! Overflow buckets: where a new key is counted when every slot it may use holds a blocked key.
//!
//! 4,096 bare words, each a token bucket with the limiter's own rate, shared by the keys that hash to it.
//! Admitting such keys freely would reward an attacker who fills the table first; denying them would let
//! the attacker lock out every new client. Buckets need constant memory, and each use is counted, so it
//! shows in the statistics.

use super::layout::{HeaderWord, OVERFLOW};
use super::{Outcome, Receipt, Table};
use crate::algorithm::{Algorithm, State};
use crate::atomic::{AtomicU64, Ordering};
use crate::decision::Reading;
use crate::failpoints;
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    #[cold]
    pub(super) fn charge_overflow(&self, key: Key, now: Nanos, cost: u64) -> Outcome {
        self.count(HeaderWord::Overflows);
        let bucket = &self.overflow_bucket;
        let admit = |value| bucket.admit(State::without_ring(value), now, cost);
        let admitted = self.exchange_overflow(key, admit);
        Outcome {
            receipt: admitted.map(|_| Receipt::Overflow),
            reading: match admitted {
                Some(value) => bucket.read(State::without_ring(value), now, 0),
                None => self.peek_overflow(key, now, cost),
            },
        }
    }

    pub(super) fn refund_overflow(&self, key: Key, units: u64, now: Nanos) {
        let refund = |value| self.overflow_bucket.refund(State::without_ring(value), now, units);
        self.exchange_overflow(key, |value| Some(refund(value)));
    }

    pub(super) fn peek_overflow(&self, key: Key, now: Nanos, cost: u64) -> Reading {
        let value = self.overflow_word(key).map_or(0, |word| word.load(Ordering::Acquire));
        self.overflow_bucket.read(State::without_ring(value), now, cost)
    }

    /// The new value, or `None` when `next` denies.
    fn exchange_overflow(&self, key: Key, next: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let word = self.overflow_word(key)?;
        let before = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, &next).ok();
        failpoints::after_step();
        before.and_then(&next)
    }

    #[expect(clippy::cast_possible_truncation, reason = "below OVERFLOW")]
    fn overflow_word(&self, key: Key) -> Option<&AtomicU64> {
        self.region.overflow(key.among(OVERFLOW as u64) as usize)
    }
}
