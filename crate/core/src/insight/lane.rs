//! Where one thread counts.

use super::Insight;
use super::keys::ShownKeys;
use super::layout::{COUNTS, FIELDS, LANES, LIMITS, ROUTE_COUNTS, TIME_CELLS, TIME_COUNTS, USED};
use super::space_saving::SpaceSaving;
use crate::atomic::{AtomicU64, Ordering};
use crate::key::Key;
use std::cell::RefCell;
use std::sync::{Arc, PoisonError};

/// The part of an insight that one thread adds to. When it is dropped, what was counted stays, and another thread
/// may go on there.
#[derive(Debug)]
pub struct Lane {
    insight: Arc<Insight>,
    index: usize,
    start: usize,
    /// Whether no other thread counts here. If all lanes are taken, threads have one in common, which has no keys.
    is_alone: bool,
    has_keys: bool,
    asked: RefCell<SpaceSaving>,
    denied: RefCell<SpaceSaving>,
}

/// What a decision was, as it is counted.
#[derive(Clone, Copy, Debug)]
pub enum Counted {
    /// The key was admitted.
    Admitted,
    /// The limit of this index denied it.
    Denied(usize),
    /// A limit denied it, and this is only reported.
    Dry,
}

impl Insight {
    /// A lane for the calling thread.
    #[must_use]
    pub fn lane(self: &Arc<Self>) -> Lane {
        let index = self.take_lane();
        self.word(USED).fetch_max((index as u64).saturating_add(1), Ordering::AcqRel);
        let owner = self.word(self.layout.lane_start(index));
        owner.store(self.owner, Ordering::Relaxed);
        let table = |table| RefCell::new(self.read_keys(index, table));
        Lane {
            start: self.layout.counts_start(index),
            is_alone: index < LANES - 1,
            has_keys: index < LANES - 1 && self.layout.entries > 0,
            asked: table(0),
            denied: table(1),
            insight: Arc::clone(self),
            index,
        }
    }

    /// How many processes have a lane now.
    #[must_use]
    pub fn processes(&self) -> usize {
        let own = *self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_taken = |lane: usize| own >> lane & 1 == 1 || self.attachment.is_held(lane);
        let lanes = (0..self.used()).filter(|&lane| is_taken(lane));
        let owner = |lane| self.word(self.layout.lane_start(lane)).load(Ordering::Relaxed);
        let mut owners: Vec<u64> = lanes.map(owner).collect();
        owners.sort_unstable();
        owners.dedup();
        owners.len()
    }

    fn take_lane(&self) -> usize {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for index in 0..LANES - 1 {
            if *taken >> index & 1 == 0 && self.attachment.hold(index) {
                *taken |= 1 << index;
                return index;
            }
        }
        LANES - 1
    }

    fn leave_lane(&self, index: usize) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if index < LANES - 1 {
            *taken &= !(1 << index);
            self.attachment.release(index);
        }
    }
}

impl Lane {
    /// The insight it belongs to.
    #[must_use]
    pub const fn insight(&self) -> &Arc<Insight> {
        &self.insight
    }

    /// Counts a decision about a key of a limit.
    ///
    /// `name`: the key as text, in case it is to be shown.
    #[inline(always)]
    pub fn decided(
        &self,
        row: usize,
        counted: Counted,
        key: Key,
        name: impl Fn() -> Option<String>,
    ) {
        let field = match counted {
            Counted::Admitted => 0,
            Counted::Dry => 1,
            Counted::Denied(limit) => limit.min(FIELDS / 2 - 1).wrapping_add(FIELDS / 2),
        };
        self.add(limit_count(row, field), 1);
        if !self.has_keys {
            return;
        }
        let hash = key.mixed(row as u64);
        let name = || name().map(|text| self.insight.key_name(&text));
        let shown = |table| ShownKeys::new(&self.insight, self.index, table);
        self.asked.borrow_mut().add(hash, row, &shown(0), name);
        if !matches!(counted, Counted::Admitted) {
            self.denied.borrow_mut().add(hash, row, &shown(1), name);
        }
    }

    /// Adds to one of the counts, of which there are [`COUNTS`].
    #[inline(always)]
    pub fn add(&self, count: usize, n: u64) {
        debug_assert!(count < COUNTS, "a count that there is");
        let word = self.insight.word(self.start.wrapping_add(count));
        self.add_to(word, n);
    }

    /// Counts how long something took: 0 a decision, 1 an answer of a store, 2 a wait.
    pub fn took(&self, times: usize, nanos: u64) {
        self.add(time_count(times, nanos), 1);
    }

    #[inline(always)]
    fn add_to(&self, word: &AtomicU64, n: u64) {
        if self.is_alone {
            // This thread alone writes it: no locked instruction, which would take as long as half a decision.
            word.store(word.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        } else {
            word.fetch_add(n, Ordering::Relaxed);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.insight.leave_lane(self.index);
    }
}

/// Where a limit's count of a field is.
#[must_use]
pub const fn limit_count(row: usize, field: usize) -> usize {
    let row = if row < LIMITS { row } else { LIMITS - 1 };
    row.wrapping_mul(FIELDS).wrapping_add(field)
}

/// The lower bound of the second cell is 64 ns; each two cells double it.
const FIRST_BIT: u32 = 6;

/// Where times of this length are counted: two cells for each power of two, from 64 ns to 275 s.
#[must_use]
pub const fn time_count(times: usize, nanos: u64) -> usize {
    let bit = u64::BITS.wrapping_sub(1).wrapping_sub((nanos | 1).leading_zeros());
    let cell = if bit < FIRST_BIT {
        0
    } else {
        let half = (nanos >> bit.wrapping_sub(1)) & 1;
        let octave = bit.wrapping_sub(FIRST_BIT) as usize;
        octave.wrapping_mul(2).wrapping_add(half as usize).wrapping_add(1)
    };
    let cell = if cell < TIME_CELLS { cell } else { TIME_CELLS - 1 };
    TIME_COUNTS.wrapping_add(times.wrapping_mul(TIME_CELLS)).wrapping_add(cell)
}

const _: () = assert!(ROUTE_COUNTS == LIMITS * FIELDS, "counts of limits come first");
