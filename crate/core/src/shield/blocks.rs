//! Blocks that a program asks for, and pardons.
#![expect(clippy::must_use_candidate, reason = "both are asked for what they do")]

use super::Shield;
use super::marks;
use super::record::{self, BLOCK, Now, TOLD};
use super::source::Source;
use super::table::Found;
use crate::nanos::Nanos;

/// How often to start over while another thread claims or forgets the same source.
const TRIES: u32 = 64;
/// The reason of a block that a program asked for: none of the bits.
const BY_HAND: u64 = 0xf;

impl Shield {
    /// Blocks a source for this long, or until its block ends if that is later. `false` if there is no room for it.
    pub fn block(&self, source: Source, ms: u64, at: Nanos) -> bool {
        let now = Now::from_us(at.whole_us());
        let until_ms = now.ms.saturating_add(ms);
        // Wherever the source is. Where it is not yet, or no longer, another thread claims or forgets it.
        for _ in 0..TRIES {
            if matches!(self.sources().find_or_claim(source, self.worth(), now), Found::Untracked) {
                std::thread::yield_now();
                continue;
            }
            for record in self.sources().find_all(source) {
                record.step_own(BLOCK, |word| {
                    let before = marks::block(word, record.owner);
                    let level = if before.is_forgiven(now) { 1 } else { before.level };
                    let until_ms = before.until_ms.max(until_ms);
                    let block = marks::Block { until_ms, level, reason: BY_HAND };
                    marks::block_word(block, record.owner)
                });
                // The block's end is what it is told now.
                record.word(TOLD).set(0);
            }
            let found = self.sources().find(source);
            if found.is_some_and(|found| found.block().until_ms >= until_ms) {
                return true;
            }
        }
        false
    }

    /// Ends a source's block, and forgets its strikes, its failures and what it was told. Whether it was blocked.
    pub fn pardon(&self, source: Source, at: Nanos) -> bool {
        let now = Now::from_us(at.whole_us());
        let mut was_blocked = false;
        for record in self.sources().find_all(source) {
            let (block, _) = record.step_own(BLOCK, |_| 0);
            record.word(record::STRIKES).set(0);
            record.word(record::FAILURES).set(0);
            record.word(record::CEILING).set(0);
            let granted = marks::Told { until_ms: 0, is_granted: true, tries: 0 };
            record.word(TOLD).set(marks::told_word(granted, record.owner));
            was_blocked |= marks::block(block, record.owner).left_ms(now) > 0;
        }
        was_blocked
    }

    /// How long a source is still blocked, 0 if it is not. Counts nothing.
    #[must_use]
    pub fn blocked_ms(&self, source: Source, at: Nanos) -> u64 {
        let now = Now::from_us(at.whole_us());
        self.sources().find(source).map_or(0, |record| record.block().left_ms(now))
    }
}
