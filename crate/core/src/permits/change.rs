//! One change of a slot's count, such that another can finish it if the process dies at any instruction.
//!
//! ```text
//! 1. intended  = what the lane will hold | mark      then
//!    announced = slot | mark                         in the lane's own line
//! 2. if another lane wrote the word: say in that lane's `announced` that its change has taken place
//! 3. exchange the word: count | generation | mark    this is when the permit is taken or given back
//! 4. held[slot] = what was intended
//! ```
//!
//! Who finds the lane dead knows from its last announcement whether 3 happened: the word carries the mark, or who
//! wrote over it has said so before (2). If it did, 4 is done again, which changes nothing if it was done already.
//! `announced` without its `intended` is a change before, which was finished.

use super::hand::Hand;
use super::ledger::{LaneWord, Ledger};
use super::word::{Content, Mark, Word};
use crate::atomic::{Ordering, exchange};

/// The change that was announced has taken place.
const TAKEN: u64 = 1 << 63;

const fn announcement(index: usize, mark: Mark) -> u64 {
    (index as u64) << 32 | mark.0 as u64
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
const fn mark_in(word: u64) -> Mark {
    Mark(word as u32)
}

impl Ledger<'_> {
    /// Sets a slot's count; the lane then holds `held` of its permits. False if another was faster.
    #[inline(always)]
    pub(super) fn set_count(
        &self,
        hand: &Hand,
        index: usize,
        from: Word,
        (count, held): (u32, u32),
    ) -> bool {
        if hand.is_alone {
            let to = Word::new(Content::Count(count), from.generation(), Mark(0));
            self.word(index).store(to.0, Ordering::Relaxed);
            self.set_held(hand.lane, index, held);
            return true;
        }
        let mark = hand.next(from);
        let intended = u64::from(held) << 32 | u64::from(mark.0);
        // Release: in this order also to the compiler. Who has acquired the word sees both.
        self.lane(hand.lane, LaneWord::Intended).store(intended, Ordering::Release);
        hand.stepped();
        self.announce(hand, announcement(index, mark));
        let to = Word::new(Content::Count(count), from.generation(), mark);
        let won = self.exchange(hand, index, from, to);
        if won {
            self.set_held(hand.lane, index, held);
            hand.stepped();
        }
        won
    }

    /// Others exchange this word too, but only from the announcement before: a word's changes have one order, in which
    /// this one follows theirs. Loom orders plain stores less than that.
    #[inline(always)]
    fn announce(&self, hand: &Hand, announced: u64) {
        let word = self.lane(hand.lane, LaneWord::Announced);
        #[cfg(not(loom))]
        word.store(announced, Ordering::Release);
        #[cfg(loom)]
        word.swap(announced, Ordering::Release);
        hand.stepped();
    }

    /// Makes a slot claimed or free.
    pub(super) fn set_content(
        &self,
        hand: &Hand,
        index: usize,
        from: Word,
        (content, generation): (Content, u64),
    ) -> Option<Word> {
        let to = Word::new(content, generation, hand.next(from));
        self.exchange(hand, index, from, to).then_some(to)
    }

    #[inline(always)]
    fn exchange(&self, hand: &Hand, index: usize, from: Word, to: Word) -> bool {
        if from.mark().lane() != hand.lane && matches!(from.content(), Content::Count(_)) {
            self.acknowledge(hand, index, from.mark());
        }
        let won = exchange(self.word(index), from.0, to.0);
        hand.stepped();
        won
    }

    /// Marks in the other lane's announcement that its change has taken place, for its reaper: the word is about to lose
    /// its mark.
    #[inline(always)]
    fn acknowledge(&self, hand: &Hand, index: usize, mark: Mark) {
        let lane = mark.lane();
        if lane == 0 || lane > self.layout.lanes {
            return;
        }
        let word = self.lane(lane, LaneWord::Announced);
        let announced = announcement(index, mark);
        // Acquire: at least as new as the word that has the mark.
        if word.load(Ordering::Acquire) == announced {
            // If it fails, the lane is at its next change, and has finished this one.
            let _ = word.compare_exchange(
                announced,
                announced | TAKEN,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            hand.stepped();
        }
    }

    /// Finishes the last change of a lane whose user has died. Its next user goes on after the last mark.
    pub(super) fn recover(&self, hand: &Hand) {
        let lane = hand.lane;
        let intended = self.lane(lane, LaneWord::Intended).load(Ordering::Acquire);
        let mark = mark_in(intended);
        let announced = self.lane(lane, LaneWord::Announced).load(Ordering::Acquire);
        if mark_in(announced) == mark && mark.lane() == lane {
            let index = usize::try_from(announced & !TAKEN).unwrap_or_default() >> 32;
            if index <= self.layout.slots() && self.has_taken_place(lane, index, mark) {
                self.set_held(lane, index, u32::try_from(intended >> 32).unwrap_or_default());
                hand.stepped();
            }
        }
        hand.go_on_after(mark);
    }

    fn has_taken_place(&self, lane: usize, index: usize, mark: Mark) -> bool {
        let word = self.read(index);
        let has_mark = word.mark() == mark && matches!(word.content(), Content::Count(_));
        // After the word: who wrote over the mark has said so before.
        has_mark || self.lane(lane, LaneWord::Announced).load(Ordering::Acquire) & TAKEN != 0
    }
}
