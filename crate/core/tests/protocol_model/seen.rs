//! The set of states met so far: open addressing over whole states, so nothing is lost to collisions.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a hash is cut short on purpose; positions are masked by the length"
)]

use crate::state::State;

const SMALLEST: usize = 1 << 12;
const NOTHING: u128 = 0;

pub(crate) struct Seen {
    cells: Vec<u128>,
    len: usize,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self { cells: vec![NOTHING; SMALLEST], len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Answers whether the state is new.
    pub(crate) fn insert(&mut self, state: State) -> bool {
        if self.len * 3 > self.cells.len() * 2 {
            self.grow();
        }
        let is_new = place(&mut self.cells, state.bits());
        self.len += usize::from(is_new);
        is_new
    }

    fn grow(&mut self) {
        let mut larger = vec![NOTHING; self.cells.len() * 2];
        for bits in self.cells.drain(..).filter(|bits| *bits != NOTHING) {
            place(&mut larger, bits);
        }
        self.cells = larger;
    }
}

fn place(cells: &mut [u128], bits: u128) -> bool {
    let mask = cells.len() - 1;
    let mut at = hash(bits) as usize & mask;
    while cells[at] != NOTHING {
        if cells[at] == bits {
            return false;
        }
        at = (at + 1) & mask;
    }
    cells[at] = bits;
    true
}

/// A multiply and fold per half. The hasher of std would take longer than the step it stores.
fn hash(bits: u128) -> u64 {
    let (low, high) = (bits as u64, (bits >> 64) as u64);
    let product =
        u128::from(low ^ 0x9e37_79b9_7f4a_7c15) * u128::from(high ^ 0xd6e8_feb8_6659_fd93);
    let folded = (product as u64) ^ (product >> 64) as u64;
    folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}
