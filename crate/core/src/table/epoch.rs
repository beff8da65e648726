//! Clearing entries that nothing has touched for too long.
//!
//! Times inside a state word are counted modulo its range, and a key left untouched for half of that can be
//! mistaken for one from the future. So the range is cut into eight epochs, none shorter than a window,
//! and the first thread that decides in a new epoch clears: the whole table where an epoch lasts a week or
//! more, else the sets it is about to look at.
//!
//! - Last cleared in the epoch before: expired keys are freed. The keys that stayed then were younger than
//!   an epoch, so now they are younger than three, which is less than half.
//! - Earlier than that: every entry was left untouched for more than an epoch, so all are freed.
//!
//! There is no sweeper thread and no timer.

use super::claim::exchange;
use super::layout::HeaderWord;
use super::slot::StateWord;
use super::{Seen, Table};
use crate::algorithm::{Algorithm, Debt};
use crate::atomic::{AtomicU64, Ordering};
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

/// From this length of an epoch on, a table is cleared as a whole: a few milliseconds, once in that time.
const WHOLE_TABLE_MS: u64 = 7 * 86_400_000;

/// What is cleared together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All sets at once.
    Table,
    /// Each set when it is looked at.
    Set,
}

impl Scope {
    pub(super) const fn of(epoch_ms: u64) -> Self {
        if epoch_ms >= WHOLE_TABLE_MS { Self::Table } else { Self::Set }
    }
}

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    /// Clears the key's sets if they may hold entries whose epoch is ambiguous by now.
    #[inline(always)]
    pub(super) fn enter_epoch(&self, key: Key, now: Nanos) {
        self.enter_epoch_of(&self.algorithm, key, now);
    }

    /// As [`Self::enter_epoch`], for a caller that knows which algorithm it is.
    #[inline(always)]
    pub(super) fn enter_epoch_of(&self, algorithm: &impl Algorithm, key: Key, now: Nanos) {
        if self.scope == Scope::Set {
            self.enter_sets(key, now);
        } else if !self.in_epoch(algorithm, now) {
            self.clear_table(now);
        }
    }

    /// Whether the table is cleared as a whole: only then the table knows its epoch.
    #[inline(always)]
    pub(super) fn has_one_epoch(&self) -> bool {
        self.scope == Scope::Table
    }

    /// Whether the table is known to hold nothing from an epoch before that of `now`.
    #[inline(always)]
    pub(super) fn in_epoch(&self, algorithm: &impl Algorithm, now: Nanos) -> bool {
        // Relaxed: a stale mark only means clearing again.
        let mark = self.region.header(HeaderWord::Epoch);
        let marked = algorithm.epoch(now).wrapping_add(1);
        mark.is_some_and(|mark| mark.load(Ordering::Relaxed) == marked)
    }

    fn enter_sets(&self, key: Key, now: Nanos) {
        let epoch = self.algorithm.epoch(now);
        for set in self.sets(key).into_iter().flatten() {
            let Some(mark) = self.region.epoch(set) else { continue };
            if mark.load(Ordering::Relaxed) != epoch.wrapping_add(1) {
                self.clear(mark, set..set.wrapping_add(1), epoch, now);
            }
        }
    }

    #[cold]
    fn clear_table(&self, now: Nanos) {
        let epoch = self.algorithm.epoch(now);
        if let Some(mark) = self.region.header(HeaderWord::Epoch) {
            self.clear(mark, 0..self.region.layout().sets(), epoch, now);
        }
    }

    #[cold]
    fn clear(&self, mark: &AtomicU64, sets: std::ops::Range<usize>, epoch: u64, now: Nanos) {
        let seen = mark.load(Ordering::Relaxed);
        let Some(gap) = epoch.wrapping_add(1).checked_sub(seen) else {
            // Another thread read its clock later and is an epoch ahead.
            return;
        };
        if seen != 0 {
            for set in sets {
                // Checked per set: once another thread has finished, new entries may already stand here.
                if mark.load(Ordering::Relaxed) != seen {
                    return;
                }
                self.clear_set(set, gap >= 2, now);
            }
        }
        // Lost only to a thread that has cleared for the same epoch.
        let _ =
            mark.compare_exchange(seen, epoch.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed);
        crate::failpoints::after_step();
    }

    fn clear_set(&self, set: usize, all: bool, now: Nanos) {
        for slot in self.region.slots(set) {
            let seen = Seen { slot, s: StateWord(slot.s.load(Ordering::Acquire)) };
            if !seen.is_live() {
                continue;
            }
            let expired = || matches!(self.algorithm.debt(self.state(seen), now), Debt::None(_));
            if all || expired() {
                exchange(slot.s, seen.s, seen.s.freed());
            }
        }
    }
}
