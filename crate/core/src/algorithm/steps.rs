//! What a table asks of the arithmetic of its words, whichever it is.

use super::{Algorithm, Debt, Gcra, State, Verdict};
use crate::clock::Between;
use crate::decision::Reading;
use crate::limit::Limit;
use crate::nanos::Nanos;

/// Steps from one word to the next. [`Algorithm`] says what each is for.
#[expect(missing_docs, reason = "they are those of Algorithm")]
pub trait Steps {
    /// The meter of the bare words that strangers share.
    type Strangers: Meter;

    fn strangers(&self, limit: Limit) -> Self::Strangers;
    fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64>;
    fn admit_between(&self, state: State<'_>, between: Between, cost: u64) -> Option<Verdict>;
    fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading;
    fn read_admitted(&self, before: State<'_>, next: u64, now: Nanos, cost: u64) -> Reading;
    fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64;
    fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64;
    fn settle(&self, state: State<'_>, now: Nanos);
    fn debt(&self, state: State<'_>, now: Nanos) -> Debt;
    fn most(&self) -> u64;
    fn era(&self, now: Nanos) -> u64;
    fn era_ms(&self) -> u64;
    fn ring_words(&self) -> usize;
}

/// A meter in one bare word.
#[expect(missing_docs, reason = "they are those of Algorithm")]
pub trait Meter {
    fn admit(&self, value: u64, now: Nanos, cost: u64) -> Option<u64>;
    fn read(&self, value: u64, now: Nanos, cost: u64) -> Reading;
    fn refund(&self, value: u64, now: Nanos, units: u64) -> u64;
}

impl<const VARYING: bool> Meter for Gcra<VARYING> {
    #[inline(always)]
    fn admit(&self, value: u64, now: Nanos, cost: u64) -> Option<u64> {
        Self::admit(self, value, now, cost)
    }

    #[inline(always)]
    fn read(&self, value: u64, now: Nanos, cost: u64) -> Reading {
        Self::read(self, value, now, cost)
    }

    fn refund(&self, value: u64, now: Nanos, units: u64) -> u64 {
        Self::refund(self, value, now, units)
    }
}

impl Steps for Algorithm {
    type Strangers = Gcra;

    fn strangers(&self, limit: Limit) -> Gcra {
        match self {
            Self::Gcra(gcra) => gcra.clone(),
            _ => Gcra::coarse(limit),
        }
    }

    #[inline(always)]
    fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64> {
        Self::admit(self, state, now, cost)
    }

    #[inline(always)]
    fn admit_between(&self, state: State<'_>, between: Between, cost: u64) -> Option<Verdict> {
        Self::admit_between(self, state, between, cost)
    }

    #[inline(always)]
    fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading {
        Self::read(self, state, now, cost)
    }

    #[inline(always)]
    fn read_admitted(&self, before: State<'_>, next: u64, now: Nanos, cost: u64) -> Reading {
        Self::read_admitted(self, before, next, now, cost)
    }

    fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64 {
        Self::refund(self, state, now, units)
    }

    fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64 {
        Self::undo(self, state, now, receipt, units)
    }

    #[inline(always)]
    fn settle(&self, state: State<'_>, now: Nanos) {
        Self::settle(self, state, now);
    }

    fn debt(&self, state: State<'_>, now: Nanos) -> Debt {
        Self::debt(self, state, now)
    }

    #[inline]
    fn most(&self) -> u64 {
        Self::most(self)
    }

    #[inline(always)]
    fn era(&self, now: Nanos) -> u64 {
        Self::era(self, now)
    }

    fn era_ms(&self) -> u64 {
        Self::era_ms(self)
    }

    #[inline(always)]
    fn ring_words(&self) -> usize {
        Self::ring_words(self)
    }
}
