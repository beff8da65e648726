//! Permits of a key and of all keys together: both, or none.

use super::Refusal;
use super::hand::Hand;
use super::ledger::{LaneWord, Ledger, TOTAL};
use super::word::{Content, MAX_PERMITS};
use crate::atomic::Ordering;
use crate::key::Key;

/// Most permits of a key, and of all keys together; 0 for no limit.
pub(super) type Limits = [u32; 2];

impl Ledger<'_> {
    /// Takes a permit of the key, and one of the total. Answers the key's slot.
    #[inline(always)]
    pub(super) fn acquire(&self, hand: &Hand, key: Key, limits: Limits) -> Result<usize, Refusal> {
        let [per_key, total] = limits;
        let index = self.take(hand, key, if per_key == 0 { u32::MAX } else { per_key })?;
        if total == 0 {
            return Ok(index);
        }
        loop {
            let word = self.read(TOTAL);
            let count = match word.content() {
                Content::Count(count) => count,
                _ => MAX_PERMITS,
            };
            if count >= total {
                self.give_back(hand, index, 1);
                return Err(Refusal::Total);
            }
            if self.add(hand, TOTAL, word, count) {
                return Ok(index);
            }
        }
    }

    /// Gives both back. False if the lane does not hold them.
    #[inline(always)]
    pub(super) fn release(&self, hand: &Hand, index: usize, [_, total]: Limits) -> bool {
        let is_key = index != TOTAL && index <= self.layout.slots();
        if !is_key || self.held(hand.lane, index) == 0 {
            return false;
        }
        if total > 0 {
            self.give_back(hand, TOTAL, 1);
        }
        self.give_back(hand, index, 1)
    }

    /// Leaves nothing in a lane that its user has just taken: the one before may have died. Answers how many permits of
    /// keys came free.
    pub(super) fn settle(&self, hand: &Hand) -> u64 {
        self.recover(hand);
        self.give_all_back(hand)
    }

    /// Gives back all that the lane holds. Answers how many permits of keys that were.
    pub(super) fn give_all_back(&self, hand: &Hand) -> u64 {
        let mut freed = 0_u64;
        for index in self.holdings(hand.lane) {
            let held = self.held(hand.lane, index);
            self.give_back(hand, index, held);
            if index != TOTAL {
                freed = freed.saturating_add(u64::from(held));
            }
        }
        self.lane(hand.lane, LaneWord::Busy).store(0, Ordering::Release);
        hand.stepped();
        freed
    }
}
