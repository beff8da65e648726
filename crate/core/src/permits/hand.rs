//! Who changes the memory: the user of a lane, of which there is one at a time.

use super::word::{Mark, Word};
use std::cell::Cell;

/// A lane, as its user has it.
#[derive(Debug)]
pub(super) struct Hand {
    pub(super) lane: usize,
    /// Whether no other thread or process uses the memory.
    pub(super) is_alone: bool,
    sequence: Cell<u32>,
    /// Under loom: how many steps it lives for.
    #[cfg(loom)]
    pub(super) life: Cell<u32>,
}

impl Hand {
    pub(super) const fn new(lane: usize, is_alone: bool) -> Self {
        Self {
            lane,
            is_alone,
            sequence: Cell::new(0),
            #[cfg(loom)]
            life: Cell::new(u32::MAX),
        }
    }

    /// Follows the last change of the lane's user before.
    pub(super) fn go_on_after(&self, mark: Mark) {
        self.sequence.set(mark.sequence());
    }

    /// A mark that no change of this lane has yet, and certainly not the one that wrote `over`.
    #[inline(always)]
    pub(super) fn next(&self, over: Word) -> Mark {
        let sequence = self.sequence.get().wrapping_add(1);
        let mark = Mark::new(self.lane, sequence);
        let is_worn = mark == over.mark();
        self.sequence.set(sequence.wrapping_add(u32::from(is_worn)));
        if is_worn { Mark::new(self.lane, self.sequence.get()) } else { mark }
    }

    /// A word was written. Test builds may end here, as a process that is killed does.
    #[inline(always)]
    #[cfg_attr(
        not(loom),
        expect(clippy::unused_self, reason = "under loom each has a life of its own")
    )]
    pub(super) fn stepped(&self) {
        #[cfg(not(loom))]
        crate::failpoints::after_step();
        #[cfg(loom)]
        match self.life.get() {
            0 => std::panic::resume_unwind(Box::new(())),
            left => self.life.set(left - 1),
        }
    }
}
