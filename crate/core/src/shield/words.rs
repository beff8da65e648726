//! Words that threads and processes share, each valid at every instant.

use crate::atomic::{AtomicU64, Ordering};
use crate::failpoints;

/// A word, and whether this thread alone uses it: then it takes no locked instruction.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    word: &'a AtomicU64,
    is_alone: bool,
}

impl<'a> Word<'a> {
    #[inline(always)]
    pub(super) const fn new(word: &'a AtomicU64, is_alone: bool) -> Self {
        Self { word, is_alone }
    }

    #[inline(always)]
    pub(super) fn get(self) -> u64 {
        self.word.load(Ordering::Acquire)
    }

    #[inline(always)]
    pub(super) fn set(self, value: u64) {
        self.word.store(value, Ordering::Release);
        failpoints::after_step();
    }

    /// Adds to a count, and returns the sum.
    #[inline(always)]
    pub(super) fn add(self, n: u64) -> u64 {
        if self.is_alone {
            let sum = self.get().wrapping_add(n);
            self.set(sum);
            return sum;
        }
        let sum = self.word.fetch_add(n, Ordering::AcqRel).wrapping_add(n);
        failpoints::after_step();
        sum
    }

    /// Steps from the value that is there to the next one, and returns both.
    #[inline(always)]
    pub(super) fn step(self, next: impl Fn(u64) -> u64) -> (u64, u64) {
        let mut seen = self.get();
        loop {
            let value = next(seen);
            if self.is_alone || value == seen {
                if value != seen {
                    self.set(value);
                }
                return (seen, value);
            }
            match self.word.compare_exchange_weak(seen, value, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => {
                    failpoints::after_step();
                    return (seen, value);
                }
                Err(now) => {
                    failpoints::lost_exchange();
                    seen = now;
                }
            }
        }
    }

    /// Whether this thread was the one that exchanged `seen` for `value`.
    #[inline]
    pub(super) fn exchange(self, seen: u64, value: u64) -> bool {
        let outcome = self.word.compare_exchange(seen, value, Ordering::AcqRel, Ordering::Acquire);
        failpoints::after_step();
        if outcome.is_err() {
            failpoints::lost_exchange();
        }
        outcome.is_ok()
    }

    /// A number from 0 on: whatever else is there, as in memory that another program has written to, is 0.
    #[inline(always)]
    pub(super) fn number(self) -> f64 {
        f64::from_bits(self.get()).max(0.0)
    }

    #[inline(always)]
    pub(super) fn set_number(self, value: f64) {
        self.set(value.to_bits());
    }
}
