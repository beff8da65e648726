//! V8 is told how much memory its limiters hold, so that it collects those that are dropped before they fill
//! the machine. What counts is what has been touched: a table is reserved whole and costs nothing until used,
//! and fifty limiters that did as if they were full would have V8 collect all the time.
#![expect(unsafe_code, reason = "raw N-API")]

use napi::sys;
use ratethrottle_core::Limiter;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// Calls before the first look; each touches a page at most, or one for each limit.
const FIRST_LOOK: u32 = 256;
/// Looks become rarer by this factor, down to one in this many calls.
const RARER: u32 = 4;
const RAREST: u32 = 1 << 16;
/// Changes below this are not worth telling.
const STEP: i64 = 128 << 10;
/// What a call can have touched where the system does not say what was.
const PAGE: u64 = 4096;
/// Limiters to look at when another one is made.
const LOOKS: usize = 8;

/// A limiter of some kind, as far as its memory goes.
pub(crate) trait Weighs {
    /// The most that it can ever occupy.
    fn bytes(&self) -> u64;
    /// What it occupies so far, or `None` where the system does not say.
    fn resident(&self) -> Option<u64>;
    /// Tables in which one call leaves something.
    fn tables(&self) -> u64;
    /// Those who share it, in this process.
    fn holders(this: &Arc<Self>) -> usize {
        Arc::strong_count(this)
    }
}

impl Weighs for Limiter {
    fn bytes(&self) -> u64 {
        self.bytes()
    }

    fn resident(&self) -> Option<u64> {
        self.resident()
    }

    fn tables(&self) -> u64 {
        self.policy().limits.len() as u64
    }
}

/// What can be looked at: a handle of either kind.
pub(crate) trait Looked {
    /// Looks only if it was called since the last look.
    fn look_again(&self);
}

/// What one limiter object has told V8 so far.
pub(crate) struct Burden {
    env: sys::napi_env,
    told: Cell<i64>,
    /// Calls until the next look, of this many in all.
    left: Cell<u32>,
    interval: Cell<u32>,
    calls: Cell<u64>,
}

impl Burden {
    pub(crate) fn new(env: sys::napi_env) -> Self {
        Self {
            env,
            told: Cell::new(0),
            left: Cell::new(FIRST_LOOK),
            interval: Cell::new(FIRST_LOOK),
            calls: Cell::new(0),
        }
    }

    /// A call is about to be answered. True once in a while: [`Self::look`] then.
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.wrapping_sub(1));
        left == 0
    }

    /// Looks how much is resident now, and tells V8 what has changed.
    #[cold]
    pub(crate) fn look<L: Weighs>(&self, limiter: &Arc<L>) {
        let made = self.interval.get().wrapping_sub(self.left.get());
        self.calls.set(self.calls.get().saturating_add(u64::from(made)));
        let interval = self.interval.get().saturating_mul(RARER).min(RAREST);
        self.interval.set(interval);
        self.left.set(interval);
        let most = limiter.bytes();
        let resident = limiter.resident().unwrap_or_else(|| {
            let touched = self.calls.get().saturating_mul(limiter.tables());
            most.min(touched.saturating_mul(PAGE))
        });
        let share = resident.checked_div(L::holders(limiter).max(1) as u64).unwrap_or(resident);
        let change = share.cast_signed().saturating_sub(self.told.get());
        if change.abs() >= STEP {
            self.tell(change);
        }
    }

    /// The limiter was let go.
    pub(crate) fn lift(&self) {
        self.tell(self.told.get().saturating_neg());
    }

    pub(crate) fn was_called(&self) -> bool {
        self.left.get() != self.interval.get()
    }

    fn tell(&self, change: i64) {
        if change == 0 {
            return;
        }
        self.told.set(self.told.get().saturating_add(change));
        crate::probe::told(change);
        let mut total = 0;
        // SAFETY: this thread's own env, which lives as long as its handles do. May collect garbage, which
        // runs no finalizer of ours at once: Node queues them.
        let _ = unsafe { sys::napi_adjust_external_memory(self.env, change, &raw mut total) };
    }
}

impl Drop for Burden {
    fn drop(&mut self) {
        self.lift();
    }
}

thread_local! {
    /// The limiters of this thread: the newest first, then those at which nothing looked for longest.
    static LIMITERS: RefCell<VecDeque<Weak<dyn Looked>>> = const { RefCell::new(VecDeque::new()) };
}

/// A limiter was made. Looks at some of the others: what was made just before, used little and dropped
/// would never come to a look of its own.
pub(crate) fn look_around(made: &Rc<impl Looked + 'static>) {
    for _ in 0..LOOKS {
        // Not borrowed while V8 is told: whatever that runs may make limiters too.
        let Some(next) = LIMITERS.with_borrow_mut(VecDeque::pop_front) else { break };
        if let Some(handle) = next.upgrade() {
            handle.look_again();
            LIMITERS.with_borrow_mut(|all| all.push_back(next));
        }
    }
    let made: Rc<dyn Looked> = Rc::clone(made) as _;
    LIMITERS.with_borrow_mut(|all| all.push_front(Rc::downgrade(&made)));
}
