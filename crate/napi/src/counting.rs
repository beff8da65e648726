//! What a limiter has done: always how often it admitted and denied, and for an insight by which limit, which keys
//! and when.

#![expect(unreachable_pub, reason = "as #[napi] wants its exports")]

use crate::arguments::{Call, Time};
use crate::key::read_text;
use crate::recorder::Recorder;
use napi_derive::napi;
use ratethrottle_core::insight::{Counted, limit_count};
use ratethrottle_core::{Clock, Key, Monotonic, coarse_now};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// How many decisions pass for each one that is timed.
const TIMED: u32 = 256;
/// Of a limit's counts, that of refunds.
const REFUNDED: usize = 2;

/// Where a limiter counts.
#[napi(object)]
pub struct CounterPlace {
    /// The number of an insight of this thread.
    pub insight: u32,
    /// The row in it.
    pub row: u32,
    /// Whether denials are only reported.
    pub dry: bool,
}

/// Where a limiter counts, if it has an insight.
pub(crate) struct Counter {
    recorder: Arc<Recorder>,
    row: Rc<Cell<usize>>,
    is_dry: bool,
    calls: Cell<u32>,
}

/// How often a limiter of one thread has admitted and denied.
#[derive(Default)]
pub(crate) struct Tally {
    admitted: Cell<u64>,
    denied: Cell<u64>,
}

impl Tally {
    #[inline(always)]
    pub(crate) fn add(&self, is_allowed: bool) {
        let count = if is_allowed { &self.admitted } else { &self.denied };
        count.set(count.get().wrapping_add(1));
    }

    pub(crate) const fn counts(&self) -> [u64; 2] {
        [self.admitted.get(), self.denied.get()]
    }
}

impl Counter {
    /// `None` for an insight that this thread does not have.
    pub(crate) fn find(place: &CounterPlace) -> Option<Self> {
        let recorder = Recorder::find(place.insight)?;
        let row = recorder.row_cell(usize::try_from(place.row).ok()?)?;
        Some(Self { recorder, row, is_dry: place.dry, calls: Cell::new(0) })
    }

    pub(crate) fn refunded(&self) {
        self.recorder.add(limit_count(self.row.get(), REFUNDED), 1);
    }

    /// The time, now and then; also when the series go on, so that a loop which lets no timer run has one.
    #[inline(always)]
    fn begin(&self, time: Option<&Time>) -> Option<u64> {
        let call = self.calls.get();
        self.calls.set(call.wrapping_add(1));
        if let Some(Time::Injected(at)) = time {
            self.recorder.tick_injected(at.now());
            return None;
        }
        call.is_multiple_of(TIMED).then(|| self.begin_timed())
    }

    #[cold]
    fn begin_timed(&self) -> u64 {
        self.recorder.tick(coarse_now());
        Monotonic.now().0
    }

    #[inline(always)]
    fn end<L>(&self, call: &Call<'_, L>, key: Key, counted: Counted, began: Option<u64>) {
        self.recorder.decided(self.row.get(), counted, key, || {
            // The key of the call before: it has its name.
            if call.arguments.given == 0 {
                None
            } else {
                read_text(call.env, call.arguments.values[0])
            }
        });
        if let Some(began) = began {
            self.recorder.took(Monotonic.now().0.saturating_sub(began));
        }
    }

    #[inline(always)]
    const fn denial(&self, policy: usize) -> Counted {
        if self.is_dry { Counted::Dry } else { Counted::Denied(policy) }
    }
}

/// Which decisions count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    All,
    /// Of a caller who waits: that it has to go on waiting is no denial.
    Admissions,
    /// It changes nothing.
    None,
}

impl<L> Call<'_, L> {
    /// Counts a denial by the limit of this index.
    pub(crate) fn denied(&self, key: Key, policy: u64, time: &Time) {
        let policy = usize::try_from(policy).unwrap_or_default();
        self.counted(Counts::All, key, Some(time), || {}, |()| Some((false, policy)));
    }

    /// Counts what `decide` decides: whether it admitted, and else which limit denied; `None` for a call that failed.
    #[inline(always)]
    pub(crate) fn counted<T>(
        &self,
        counts: Counts,
        key: Key,
        time: Option<&Time>,
        decide: impl FnOnce() -> T,
        outcome: impl FnOnce(&T) -> Option<(bool, usize)>,
    ) -> T {
        let counter = self.handle.counter();
        let began = counter.and_then(|counter| counter.begin(time));
        let decision = decide();
        let Some((is_allowed, policy)) = outcome(&decision) else { return decision };
        if counts == Counts::All || (counts == Counts::Admissions && is_allowed) {
            self.handle.tally().add(is_allowed);
            if let Some(counter) = counter {
                let kind = if is_allowed { Counted::Admitted } else { counter.denial(policy) };
                counter.end(self, key, kind, began);
            }
        }
        decision
    }
}
