//! Clearing what has been left alone for too long.
//!
//! Times inside a state word are counted modulo its range, and a key left alone for half of that can be
//! mistaken for one from the future. So the range is cut into eight eras, none shorter than a window,
//! and whoever first decides in a new era clears: of the whole table where an era lasts a week or more,
//! else of the sets it is about to look at.
//!
//! - Last cleared in the era before: what is expired goes. What stayed then was younger than an era, so
//!   now it is younger than three, which is less than half.
//! - Earlier than that: all of it was left alone for more than an era, so all of it goes.
//!
//! There is no sweeper thread and no timer.

use super::claim::exchange;
use super::region::Header;
use super::word::{Kind, S};
use super::{Seen, Table};
use crate::algorithm::{Debt, Steps};
use crate::atomic::{AtomicU64, Ordering};
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

/// From here on a table is cleared as a whole: a few milliseconds, once in so long a time.
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
    pub(super) const fn of(era_ms: u64) -> Self {
        if era_ms >= WHOLE_TABLE_MS { Self::Table } else { Self::Set }
    }
}

impl<M: Deref<Target = [AtomicU64]>, A: Steps> Table<M, A> {
    /// Sees to it that the key's sets hold nothing from an era that can't be told apart any more.
    #[inline(always)]
    pub(super) fn enter_era(&self, key: Key, now: Nanos) {
        if self.scope == Scope::Set {
            self.enter_sets(key, now);
        } else if !self.in_era(now) {
            self.clear_table(now);
        }
    }

    /// Whether the table is known to hold nothing from an era before that of `now`.
    #[inline(always)]
    pub(super) fn in_era(&self, now: Nanos) -> bool {
        // Relaxed: a stale mark only means clearing again.
        let mark = self.region.header(Header::Era);
        let marked = self.algorithm.era(now).wrapping_add(1);
        mark.is_some_and(|mark| mark.load(Ordering::Relaxed) == marked)
    }

    fn enter_sets(&self, key: Key, now: Nanos) {
        let era = self.algorithm.era(now);
        for set in self.sets(key).into_iter().flatten() {
            let Some(mark) = self.region.era(set) else { continue };
            if mark.load(Ordering::Relaxed) != era.wrapping_add(1) {
                self.clear(mark, set..set.wrapping_add(1), era, now);
            }
        }
    }

    #[cold]
    fn clear_table(&self, now: Nanos) {
        let era = self.algorithm.era(now);
        if let Some(mark) = self.region.header(Header::Era) {
            self.clear(mark, 0..self.region.layout().sets(), era, now);
        }
    }

    #[cold]
    fn clear(&self, mark: &AtomicU64, sets: std::ops::Range<usize>, era: u64, now: Nanos) {
        let seen = mark.load(Ordering::Relaxed);
        let Some(gap) = era.wrapping_add(1).checked_sub(seen) else {
            // Another thread read its clock later and is an era ahead.
            return;
        };
        if seen != 0 {
            for set in sets {
                // Checked per set: once somebody has finished, new entries may already stand here.
                if mark.load(Ordering::Relaxed) != seen {
                    return;
                }
                self.clear_set(set, gap >= 2, now);
            }
        }
        // Lost only to somebody who has cleared for the same era.
        let _ =
            mark.compare_exchange(seen, era.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed);
        crate::probe::stepped();
    }

    fn clear_set(&self, set: usize, all: bool, now: Nanos) {
        for slot in self.region.slots(set) {
            let seen = Seen { slot, s: S(slot.s.load(Ordering::Acquire)) };
            if seen.s.kind() != Kind::Live {
                continue;
            }
            let expired = || matches!(self.algorithm.debt(self.state(seen), now), Debt::None(_));
            if all || expired() {
                exchange(slot.s, seen.s, seen.s.freed());
            }
        }
    }
}
