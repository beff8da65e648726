//! The words of a slot: how many permits its key holds, and who changed that last.
//!
//! ```text
//! word: count 20 | generation 12 | lane 7 | sequence 25        tag: fingerprint 52 | generation 12
//! ```
//!
//! 1. A tag is its slot's only if the generations are equal. Every claim of the slot begins a new one.
//! 2. Lane and sequence are the mark of the change that wrote the word: no two changes of a slot have the same,
//!    so an exchange that succeeds shows that nothing has happened since the word was read. A sequence comes back
//!    after 2^25 changes of one lane; a thread would have to stand still for exactly as long.
//! 3. All zero is a slot that no key ever had.

use crate::key::Key;

/// Most permits of a key, or of all keys together.
pub const MAX_PERMITS: u32 = 1_000_000;

const CLAIMED: u64 = (1 << 20) - 1;
const FREE: u64 = CLAIMED - 1;
const COUNT: u32 = 44;
const GENERATION: u32 = 32;
const GENERATIONS: u64 = (1 << 12) - 1;
const LANE: u32 = 25;
const SEQUENCES: u32 = (1 << LANE) - 1;

/// A slot's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// Which change of which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) u32);

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// How many permits its key has. With 0 it is still the key's, until another claims it.
    Count(u32),
    /// It is being given to a key.
    Claimed,
    /// It is no key's.
    Free,
}

impl Word {
    pub(super) const fn new(content: Content, generation: u64, mark: Mark) -> Self {
        let count = match content {
            Content::Count(count) => count as u64,
            Content::Claimed => CLAIMED,
            Content::Free => FREE,
        };
        Self(count << COUNT | (generation & GENERATIONS) << GENERATION | mark.0 as u64)
    }

    #[inline(always)]
    pub(super) const fn content(self) -> Content {
        match self.0 >> COUNT {
            CLAIMED => Content::Claimed,
            FREE => Content::Free,
            #[expect(clippy::cast_possible_truncation, reason = "20 bits")]
            count => Content::Count(count as u32),
        }
    }

    #[inline(always)]
    pub(super) const fn generation(self) -> u64 {
        self.0 >> GENERATION & GENERATIONS
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    #[inline(always)]
    pub(super) const fn mark(self) -> Mark {
        Mark(self.0 as u32)
    }
}

impl Mark {
    #[expect(clippy::cast_possible_truncation, reason = "a lane has 7 bits")]
    pub(super) const fn new(lane: usize, sequence: u32) -> Self {
        Self((lane as u32) << LANE | sequence & SEQUENCES)
    }

    pub(super) const fn lane(self) -> usize {
        (self.0 >> LANE) as usize
    }

    pub(super) const fn sequence(self) -> u32 {
        self.0 & SEQUENCES
    }
}

/// What a key's slot has as its tag, but for the generation. Never 0, which is no key's.
#[inline(always)]
pub(super) const fn fingerprint(key: Key) -> u64 {
    match key.fingerprint() >> 4 {
        0 => 1,
        fingerprint => fingerprint,
    }
}

/// A key's tag in a generation of its slot.
#[inline(always)]
pub(super) const fn tag(fingerprint: u64, generation: u64) -> u64 {
    fingerprint << 12 | generation & GENERATIONS
}

/// The fingerprint in a tag.
#[inline(always)]
pub(super) const fn fingerprint_of(tag: u64) -> u64 {
    tag >> 12
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_was_put_in() {
        for content in
            [Content::Count(0), Content::Count(MAX_PERMITS), Content::Claimed, Content::Free]
        {
            for (generation, lane, sequence) in [(0, 0, 0), (4_095, 127, SEQUENCES), (7, 1, 9)] {
                let mark = Mark::new(lane, sequence);
                let word = Word::new(content, generation, mark);
                assert_eq!(
                    (word.content(), word.generation(), word.mark()),
                    (content, generation, mark)
                );
                assert_eq!((mark.lane(), mark.sequence()), (lane, sequence));
            }
        }
        assert_eq!(Word(0).content(), Content::Count(0));
    }
}
