//! The two words of a slot.
//!
//! ```text
//! F = fingerprint 56 | generation 8
//! S = kind 2 | generation 8 | value 54
//! ```
//!
//! A slot belongs to key K if F holds K's fingerprint, S is live or blocked, and both carry the same
//! generation. All-zero memory is an empty table. The generation in S is the authority: every claim
//! increments it, freeing keeps it, so no S recurs within 256 claims of a slot.

use crate::algorithm::{VALUE_BITS, VALUE_MASK};

const KIND_SHIFT: u32 = 62;

/// What a slot is being used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// No key's.
    Free,
    /// A key's state.
    Live,
    /// Being claimed; the value is the millisecond at which the claim began.
    Claimed,
    /// A key's block; the value is the microsecond at which it ends.
    Blocked,
}

/// A slot's state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateWord(pub(crate) u64);

impl StateWord {
    #[inline]
    pub(crate) const fn new(kind: SlotState, generation: u8, value: u64) -> Self {
        let kind = (kind as u64) << KIND_SHIFT;
        Self(kind | ((generation as u64) << VALUE_BITS) | (value & VALUE_MASK))
    }

    #[inline]
    pub(crate) const fn kind(self) -> SlotState {
        match self.0 >> KIND_SHIFT {
            0 => SlotState::Free,
            1 => SlotState::Live,
            2 => SlotState::Claimed,
            _ => SlotState::Blocked,
        }
    }

    #[inline]
    pub(crate) const fn generation(self) -> u8 {
        ((self.0 >> VALUE_BITS) & 0xff) as u8
    }

    #[inline]
    pub(crate) const fn value(self) -> u64 {
        self.0 & VALUE_MASK
    }

    /// The word a claim at `ms` puts here: the next generation.
    pub(crate) const fn claimed(self, ms: u64) -> Self {
        Self::new(SlotState::Claimed, self.generation().wrapping_add(1), ms)
    }

    /// The same generation with nothing in it.
    pub(crate) const fn freed(self) -> Self {
        Self::new(SlotState::Free, self.generation(), 0)
    }

    /// The same generation, live or blocked, with a value.
    #[inline]
    pub(crate) const fn holding(self, kind: SlotState, value: u64) -> Self {
        Self::new(kind, self.generation(), value)
    }
}

/// The F word of a fingerprint in a generation.
#[inline]
pub(crate) const fn tag(fingerprint: u64, generation: u8) -> u64 {
    (fingerprint << 8) | generation as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_was_put_in() {
        for kind in [SlotState::Free, SlotState::Live, SlotState::Claimed, SlotState::Blocked] {
            for generation in [0, 1, 127, 255] {
                for value in [0, 1, VALUE_MASK] {
                    let s = StateWord::new(kind, generation, value);
                    assert_eq!((s.kind(), s.generation(), s.value()), (kind, generation, value));
                }
            }
        }
    }

    #[test]
    fn zero_is_free() {
        assert_eq!(StateWord(0).kind(), SlotState::Free);
        assert_eq!(StateWord(0).claimed(5).generation(), 1);
    }
}
