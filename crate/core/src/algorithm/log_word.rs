//! The state word of a sliding log.
//!
//! ```text
//! word = refunds 3 | is refund 1 | position | units | time
//! ```

use super::bits::{bits, mask};
use std::num::NonZeroU64;

/// Bits of the refund counter and of the flag beside it.
const FLAG_BITS: u32 = 4;

/// The newest batch of units, or the newest refund.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    /// Counts refunds, so that a ring cell written before one differs from the same cell after it.
    pub(super) refund_seq: u64,
    /// `units` were taken back, and their cells from `position` on are to be cleared.
    pub(super) is_refund: bool,
    /// Where in the ring the batch begins.
    pub(super) position: u64,
    pub(super) units: u64,
    pub(super) time: u64,
}

impl Batch {
    /// Units that are admitted and not yet in the ring.
    pub(super) const fn pending(self) -> u64 {
        if self.is_refund { 0 } else { self.units }
    }
}

/// How wide the fields of a word are, and how many cells its ring has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogWord {
    pub(super) width: u32,
    pub(super) cells: NonZeroU64,
    position_bits: u32,
    units_bits: u32,
}

impl LogWord {
    /// The word of `width` bits for a ring of `cells` cells.
    pub(super) fn new(width: u32, cells: NonZeroU64) -> Self {
        let position_bits = bits(cells.get().wrapping_sub(1));
        Self { width, cells, position_bits, units_bits: bits(cells.get()) }
    }

    /// The index of the cell `offset` places after `position`.
    #[expect(clippy::cast_possible_truncation, reason = "below the count, which is far below 2^32")]
    pub(super) fn cell(&self, position: u64, offset: u64) -> usize {
        (position.wrapping_add(offset) % self.cells) as usize
    }

    /// The position of the next unit.
    pub(super) fn end(&self, batch: Batch) -> u64 {
        if batch.is_refund {
            return batch.position;
        }
        batch.position.wrapping_add(batch.units) % self.cells
    }

    /// Bits that are left for the time; `None` when the other fields need more than the word has.
    pub(super) fn room(&self) -> Option<u32> {
        self.width.checked_sub(self.other_bits())
    }

    pub(super) const fn time_bits(&self) -> u32 {
        self.width.wrapping_sub(self.other_bits())
    }

    const fn other_bits(&self) -> u32 {
        FLAG_BITS.wrapping_add(self.position_bits).wrapping_add(self.units_bits)
    }

    pub(super) const fn unpack(&self, value: u64) -> Batch {
        let units = value >> self.time_bits();
        let position = units >> self.units_bits;
        let flags = position >> self.position_bits;
        Batch {
            refund_seq: flags >> 1,
            is_refund: flags & 1 == 1,
            position: position & mask(self.position_bits),
            units: units & mask(self.units_bits),
            time: value & mask(self.time_bits()),
        }
    }

    pub(super) const fn pack(&self, batch: Batch) -> u64 {
        let flags = ((batch.refund_seq & 7) << 1) | batch.is_refund as u64;
        let position = (flags << self.position_bits) | batch.position;
        let units = (position << self.units_bits) | batch.units;
        let time = batch.time & mask(self.time_bits());
        ((units << self.time_bits()) | time) & mask(self.width)
    }
}
