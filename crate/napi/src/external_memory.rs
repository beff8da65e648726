//! Reports to V8 how much memory its limiters hold, so that it collects dropped limiters before they fill the
//! machine. Only memory that has been touched is reported: a table is reserved whole and costs nothing until
//! used, and if fifty limiters were reported as full, V8 would collect garbage all the time.
#![expect(unsafe_code, reason = "raw N-API")]

use napi::sys;
use ratethrottle_core::RawLimiter;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// Calls before the first measurement; each touches a page at most, or one for each limit.
const FIRST_INTERVAL: u32 = 256;
/// The interval grows by this factor with each measurement, up to this many calls.
const BACKOFF: u32 = 4;
const MAX_INTERVAL: u32 = 1 << 16;
/// Smaller changes are not reported.
const STEP: i64 = 128 << 10;
/// What a call can have touched, where the system does not say how much was.
const PAGE: u64 = 4096;
/// Limiters that are measured when another one is made.
const OTHERS: usize = 8;

/// A limiter of some kind, as far as its memory goes.
pub(crate) trait MemoryUse {
    /// The most bytes it can ever occupy.
    fn bytes(&self) -> u64;
    /// The bytes it occupies so far, or `None` where the system does not say.
    fn resident(&self) -> Option<u64>;
    /// Tables in which one call leaves something.
    fn tables(&self) -> u64;
    /// The objects that share it, in this process.
    fn holders(this: &Arc<Self>) -> usize {
        Arc::strong_count(this)
    }
}

impl MemoryUse for RawLimiter {
    fn bytes(&self) -> u64 {
        self.bytes()
    }

    fn resident(&self) -> Option<u64> {
        self.resident()
    }

    fn tables(&self) -> u64 {
        self.config().limits.len() as u64
    }
}

/// A handle of either kind, as far as it can be measured.
pub(crate) trait Remeasure {
    /// Measures if it was called since the last measurement.
    fn measure_again(&self);
}

/// What one limiter object has reported to V8 so far.
pub(crate) struct ExternalMemory {
    env: sys::napi_env,
    reported: Cell<i64>,
    /// Calls until the next measurement, of this many in all.
    left: Cell<u32>,
    interval: Cell<u32>,
    calls: Cell<u64>,
}

impl ExternalMemory {
    pub(crate) fn new(env: sys::napi_env) -> Self {
        Self {
            env,
            reported: Cell::new(0),
            left: Cell::new(FIRST_INTERVAL),
            interval: Cell::new(FIRST_INTERVAL),
            calls: Cell::new(0),
        }
    }

    /// Counts a call. True once in a while: then the caller should [`Self::measure`].
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.wrapping_sub(1));
        left == 0
    }

    /// Measures how much is resident now, and reports the change to V8.
    #[cold]
    pub(crate) fn measure<L: MemoryUse>(&self, limiter: &Arc<L>) {
        let made = self.interval.get().wrapping_sub(self.left.get());
        self.calls.set(self.calls.get().saturating_add(u64::from(made)));
        let interval = self.interval.get().saturating_mul(BACKOFF).min(MAX_INTERVAL);
        self.interval.set(interval);
        self.left.set(interval);
        let most = limiter.bytes();
        let resident = limiter.resident().unwrap_or_else(|| {
            let touched = self.calls.get().saturating_mul(limiter.tables());
            most.min(touched.saturating_mul(PAGE))
        });
        let share = resident.checked_div(L::holders(limiter).max(1) as u64).unwrap_or(resident);
        let change = share.cast_signed().saturating_sub(self.reported.get());
        if change.abs() >= STEP {
            self.report(change);
        }
    }

    /// The limiter was closed or dropped: reports that its memory is gone.
    pub(crate) fn release(&self) {
        self.report(self.reported.get().saturating_neg());
    }

    pub(crate) fn was_called(&self) -> bool {
        self.left.get() != self.interval.get()
    }

    fn report(&self, change: i64) {
        if change == 0 {
            return;
        }
        self.reported.set(self.reported.get().saturating_add(change));
        crate::failpoints::reported(change);
        let mut total = 0;
        // SAFETY: this thread's own env, which lives as long as its handles do. May collect garbage, which
        // runs no finalizer of ours at once: Node queues them.
        let _ = unsafe { sys::napi_adjust_external_memory(self.env, change, &raw mut total) };
    }
}

impl Drop for ExternalMemory {
    fn drop(&mut self) {
        self.release();
    }
}

thread_local! {
    /// The limiters of this thread: the newest first, then those that were measured longest ago.
    static LIMITERS: RefCell<VecDeque<Weak<dyn Remeasure>>> = const { RefCell::new(VecDeque::new()) };
}

/// Called when a limiter has been made. Measures some of the others: one that was made just before, used
/// little and dropped would never reach its first measurement.
pub(crate) fn measure_others(made: &Rc<impl Remeasure + 'static>) {
    for _ in 0..OTHERS {
        // Not borrowed during a report to V8: what that runs may make limiters too.
        let Some(next) = LIMITERS.with_borrow_mut(VecDeque::pop_front) else { break };
        if let Some(handle) = next.upgrade() {
            handle.measure_again();
            LIMITERS.with_borrow_mut(|all| all.push_back(next));
        }
    }
    let made: Rc<dyn Remeasure> = Rc::clone(made) as _;
    LIMITERS.with_borrow_mut(|all| all.push_front(Rc::downgrade(&made)));
}
