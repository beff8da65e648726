//! One operation under way: its next access, and the few registers that are still alive.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "shifts by constants; four bits index sixteen names"
)]

use crate::slot::{HALF_BITS, Tag, Word};

/// The next access to shared memory. One access is one step of the model.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Pc {
    /// Decided. A crashed actor needs no mark: it is one that never moves again.
    #[default]
    Done,
    /// 1: load F of the slot at the cursor.
    LookTag,
    /// 1: load its S, the fingerprint having matched.
    LookWord,
    /// 2: compare-and-swap one's own expired entry.
    Update,
    /// 4: load F of any slot as the victim.
    VictimTag,
    /// 4: load S of the victim.
    VictimWord,
    /// 4a: compare-and-swap S of the victim to TRANS.
    Claim,
    /// 4b: compare-and-swap F of the victim.
    WriteTag,
    /// 4c: load F of another slot.
    PassTag,
    /// 4c: load its S, the fingerprint having matched.
    PassWord,
    /// 4c: compare-and-swap a rival insertion at a higher index to FREE.
    Kill,
    /// 4d: compare-and-swap TRANS to LIVE, which inserts and admits at once.
    Promote,
    /// 4b, 4c: compare-and-swap one's own TRANS to FREE, and restart.
    Release,
    /// A departure only: load F of another slot before 4b.
    EarlyPass,
    /// A departure only: load F of the victim after its S.
    LateTag,
}

/// By number. The last name fills up the four bits and is never met.
const PCS: [Pc; 16] = [
    Pc::Done,
    Pc::LookTag,
    Pc::LookWord,
    Pc::Update,
    Pc::VictimTag,
    Pc::VictimWord,
    Pc::Claim,
    Pc::WriteTag,
    Pc::PassTag,
    Pc::PassWord,
    Pc::Kill,
    Pc::Promote,
    Pc::Release,
    Pc::EarlyPass,
    Pc::LateTag,
    Pc::Done,
];

/// A register that is dead is kept at zero, so that states which behave alike are equal.
#[derive(Clone, Copy, Default)]
pub(crate) struct Actor {
    pub(crate) pc: Pc,
    /// The slot to work on.
    pub(crate) slot: u8,
    /// The slot to look at, in the lookup and in the uniqueness pass.
    pub(crate) cursor: u8,
    /// What S of `slot` is expected to say; from 4a on, this insertion's TRANS.
    pub(crate) mine: Word,
    /// What F said: of `slot` while claiming it, of `cursor` otherwise.
    pub(crate) tag: Tag,
}

impl Actor {
    pub(crate) const BITS: u32 = TAG_AT + HALF_BITS;

    pub(crate) fn to_bits(self) -> u32 {
        self.pc as u32
            | u32::from(self.slot) << SLOT_AT
            | u32::from(self.cursor) << CURSOR_AT
            | u32::from(self.mine.bits()) << MINE_AT
            | u32::from(self.tag.bits()) << TAG_AT
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        let field = |at: u32, width: u32| (bits >> at & ((1 << width) - 1)) as u8;
        Self {
            pc: PCS[usize::from(field(0, SLOT_AT))],
            slot: field(SLOT_AT, 2),
            cursor: field(CURSOR_AT, 2),
            mine: Word::from_bits(field(MINE_AT, HALF_BITS)),
            tag: Tag::from_bits(field(TAG_AT, HALF_BITS)),
        }
    }

    /// The slot whose S is remembered in `mine`.
    pub(crate) fn holds(self) -> Option<u8> {
        let dead = matches!(
            self.pc,
            Pc::Done | Pc::LookTag | Pc::LookWord | Pc::VictimTag | Pc::VictimWord
        );
        (!dead).then_some(self.slot)
    }

    /// The slot whose F is remembered in `tag`.
    pub(crate) fn saw(self) -> Option<u8> {
        match self.pc {
            Pc::LookWord | Pc::PassWord | Pc::Kill => Some(self.cursor),
            Pc::VictimWord | Pc::Claim | Pc::WriteTag | Pc::EarlyPass => Some(self.slot),
            _ => None,
        }
    }
}

const SLOT_AT: u32 = 4;
const CURSOR_AT: u32 = SLOT_AT + 2;
const MINE_AT: u32 = CURSOR_AT + 2;
const TAG_AT: u32 = MINE_AT + HALF_BITS;
