//! An insight as one thread uses it: a lane to count in, and the memory through which JavaScript adds and reads.
#![expect(unsafe_code, reason = "memory shared with typed arrays")]

use crate::details::{Buffer, PlainNumbers, view};
use crate::external_memory::MemoryUse;
use crate::handle::{Attachment, number};
use crate::open::whole;
use crate::registry::reattach;
use napi::sys;
use ratethrottle_core::insight::{COUNTS, Counted, Insight, Lane, time_count};
use ratethrottle_core::{Key, Nanos};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};

/// As many numbers as an insight counts.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Counts([f64; COUNTS]);

// SAFETY: nothing but floats.
unsafe impl PlainNumbers for Counts {}

/// An insight, and this thread's part in it.
pub(crate) struct Recorder {
    lane: RefCell<Lane>,
    /// The name under which processes share it.
    shared: Option<String>,
    /// Whether its time is that of an injected clock.
    is_injected: bool,
    /// The names of limits, and their rows: other rows, if the file is another.
    rows: RefCell<Vec<(String, Rc<Cell<usize>>)>>,
    /// What JavaScript has counted since the last flush.
    added: Buffer<Counts>,
    /// The sums, as JavaScript reads them.
    sums: Buffer<Counts>,
}

thread_local! {
    static RECORDERS: RefCell<Vec<(u32, Weak<Recorder>)>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
}

/// The numbers that JavaScript adds, and those that it reads.
type Arrays = [sys::napi_value; 2];

impl Recorder {
    pub(crate) fn new(
        env: sys::napi_env,
        insight: &Arc<Insight>,
        shared: Option<String>,
        is_injected: bool,
    ) -> Option<(Self, Arrays)> {
        let (added, added_value) = Buffer::new(env)?;
        let (sums, sums_value) = Buffer::new(env)?;
        let array = |value| view(env, value, sys::TypedarrayType::float64_array, COUNTS, 0);
        let arrays = [array(added_value)?, array(sums_value)?];
        let lane = RefCell::new(insight.lane());
        let rows = RefCell::default();
        Some((Self { lane, shared, is_injected, rows, added, sums }, arrays))
    }

    /// Gives it a number by which limiters of this thread find it.
    pub(crate) fn register(recorder: &Arc<Self>) -> u32 {
        let number = NEXT.replace(NEXT.get().wrapping_add(1));
        RECORDERS.with_borrow_mut(|all| {
            all.retain(|(_, one)| one.strong_count() > 0);
            all.push((number, Arc::downgrade(recorder)));
        });
        number
    }

    pub(crate) fn find(number: u32) -> Option<Arc<Self>> {
        RECORDERS.with_borrow(|all| {
            let found = all.iter().find(|(one, _)| *one == number);
            found.and_then(|(_, recorder)| recorder.upgrade())
        })
    }

    pub(crate) fn insight(&self) -> Arc<Insight> {
        Arc::clone(self.lane.borrow().insight())
    }

    /// The row of a limit of this name.
    pub(crate) fn limit_row(&self, name: &str) -> usize {
        let row = self.insight().limit_row(name);
        let mut rows = self.rows.borrow_mut();
        // The names that share the last row have one cell.
        if !rows.iter().any(|(known, cell)| known == name || cell.get() == row) {
            rows.push((name.to_owned(), Rc::new(Cell::new(row))));
        }
        row
    }

    /// Where the row of a limit stands, for a limiter that counts there.
    pub(crate) fn row_cell(&self, row: usize) -> Option<Rc<Cell<usize>>> {
        let rows = self.rows.borrow();
        rows.iter().find(|(_, cell)| cell.get() == row).map(|(_, cell)| Rc::clone(cell))
    }

    #[inline(always)]
    pub(crate) fn decided(
        &self,
        row: usize,
        counted: Counted,
        key: Key,
        name: impl Fn() -> Option<String>,
    ) {
        self.lane.borrow().decided(row, counted, key, name);
    }

    pub(crate) fn add(&self, count: usize, n: u64) {
        self.lane.borrow().add(count, n);
    }

    /// A decision took so long.
    pub(crate) fn took(&self, nanos: u64) {
        self.add(time_count(0, nanos), 1);
    }

    pub(crate) fn tick(&self, now: Nanos) {
        if !self.is_injected {
            self.lane.borrow().insight().tick(seconds(now));
        }
    }

    /// At the time of a limiter's injected clock, if that is this insight's too.
    #[inline]
    pub(crate) fn tick_injected(&self, now: Nanos) {
        if self.is_injected {
            self.lane.borrow().insight().tick(seconds(now));
        }
    }

    /// Adds what JavaScript has counted, and ends the seconds before this one.
    pub(crate) fn flush(&self, second: u64) {
        let lane = self.lane.borrow();
        lane.insight().tick(second);
        self.added.change(|Counts(added)| {
            for (count, n) in added.iter_mut().enumerate().filter(|(_, n)| **n > 0.0) {
                lane.add(count, whole(*n));
                *n = 0.0;
            }
        });
    }

    /// Writes the sums to where JavaScript reads them.
    pub(crate) fn write_sums(&self) {
        let sums = self.insight().sums();
        self.sums.change(|Counts(shown)| {
            for (shown, sum) in shown.iter_mut().zip(sums) {
                *shown = number(sum);
            }
        });
    }

    /// Attaches to the new file if the one that processes share has been removed.
    pub(crate) fn renew(&self) -> Attachment {
        match reattach(&*self.insight(), self.shared.as_deref()) {
            Ok(None) => Attachment::Current,
            Err(_) => Attachment::Detached,
            Ok(Some(insight)) => {
                self.lane.replace(insight.lane());
                for (name, row) in self.rows.borrow().iter() {
                    row.set(insight.limit_row(name));
                }
                Attachment::Reattached
            }
        }
    }
}

impl MemoryUse for Recorder {
    fn bytes(&self) -> u64 {
        self.insight().bytes()
    }

    fn resident(&self) -> Option<u64> {
        None
    }

    fn tables(&self) -> u64 {
        1
    }
}

/// Whole seconds of a clock.
pub(crate) const fn seconds(now: Nanos) -> u64 {
    now.0 / 1_000_000_000
}
