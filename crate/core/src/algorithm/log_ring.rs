//! The timestamps of one key's sliding log.
//!
//! ```text
//! cell = generation 8 | refunds 4 | used 1 | time 51
//! ```
//!
//! A cell counts only if it carries the generation of the slot's present owner, so a new owner starts with
//! an empty ring and no thread has to clear it. The refund counter changes with every refund: a thread that
//! was stopped in the middle of writing can't mistake a rewritten cell for the old one.

use super::bits::distance;
use crate::atomic::{AtomicU64, Ordering};

const TIME_BITS: u32 = 51;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const USED: u64 = 1 << TIME_BITS;
const SEQ_SHIFT: u32 = 52;
const GENERATION_SHIFT: u32 = 56;

/// The ring beside a slot, seen by the owner of one generation.
#[derive(Clone, Copy)]
pub struct Ring<'a> {
    cells: &'a [AtomicU64],
    generation: u8,
    word: Option<(&'a AtomicU64, u64)>,
}

impl<'a> Ring<'a> {
    /// No ring: the state is all in its word.
    pub const NONE: Self = Self { cells: &[], generation: 0, word: None };

    /// The ring of a slot whose state word was seen as `seen`.
    #[inline]
    #[must_use]
    pub const fn new(
        cells: &'a [AtomicU64],
        generation: u8,
        word: &'a AtomicU64,
        seen: u64,
    ) -> Self {
        Self { cells, generation, word: Some((word, seen)) }
    }

    /// A ring that is only read, of cells made by [`Self::cell`].
    #[cfg(not(loom))]
    pub(crate) const fn read_only(cells: &'a [AtomicU64]) -> Self {
        Self { cells, generation: 0, word: None }
    }

    /// The cell of a unit admitted at `ticks`, in a ring that is only read.
    #[cfg(not(loom))]
    pub(crate) fn cell(ticks: u64) -> AtomicU64 {
        AtomicU64::new(Self::NONE.unit(0, ticks))
    }

    /// Ticks since the unit in cell `index` was admitted, or `None` when there is none.
    pub(super) fn age(&self, index: usize, ticks: u64) -> Option<u64> {
        let cell = self.cells.get(index)?.load(Ordering::Acquire);
        let owned = (cell >> GENERATION_SHIFT) == u64::from(self.generation);
        let age = distance(ticks & TIME_MASK, cell & TIME_MASK, TIME_BITS);
        (owned && cell & USED != 0).then(|| u64::try_from(age).unwrap_or(0))
    }

    /// The cell that says "admitted at `ticks`".
    pub(super) const fn unit(&self, refund_seq: u64, ticks: u64) -> u64 {
        self.cleared(refund_seq, ticks) | USED
    }

    /// The cell that says "taken back at `ticks`".
    pub(super) const fn cleared(&self, refund_seq: u64, ticks: u64) -> u64 {
        let owner = (self.generation as u64) << GENERATION_SHIFT;
        owner | ((refund_seq & 15) << SEQ_SHIFT) | (ticks & TIME_MASK)
    }

    /// Writes `target` into cell `index`, unless another thread that saw the same state word already has,
    /// or the state word has changed.
    ///
    /// The order is what makes this safe: cell, then word, then exchange. A cell read before the
    /// word was seen unchanged can't belong to a later state, so a late thread never overwrites one.
    pub(super) fn write(&self, index: usize, target: u64, same: fn(u64, u64) -> bool) {
        let (Some(cell), Some((word, seen))) = (self.cells.get(index), self.word) else { return };
        loop {
            // Acquire on both: pairs with the exchanges here and of the state word, so that a cell
            // is at least as new as the word seen before it.
            let old = cell.load(Ordering::Acquire);
            if same(old, target) || word.load(Ordering::Acquire) != seen {
                return;
            }
            let won = cell.compare_exchange(old, target, Ordering::AcqRel, Ordering::Acquire);
            crate::failpoints::after_step();
            if won.is_ok() {
                return;
            }
        }
    }
}

/// Whether two cells are the same, owner and refund counter included.
pub(super) const fn equal(a: u64, b: u64) -> bool {
    a == b
}

/// Whether a cell has been cleared for this refund already, at whatever instant.
pub(super) const fn cleared_alike(a: u64, b: u64) -> bool {
    a >> TIME_BITS == b >> TIME_BITS
}
