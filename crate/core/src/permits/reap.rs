//! What becomes of the permits of a process that has died.
//!
//! Its lanes' locks are free: the kernel sees to that. Whoever takes one is the lane's user from then on, finishes the
//! last change and gives back what the lane holds, one change after the other. If it dies too, the next one finds the
//! lane as it would have been left by its first user.

use super::ledger::{Hand, LANES, LaneWord, TOTAL};
use super::open::Permits;
use crate::atomic::Ordering;
use crate::failpoints;

impl Permits {
    /// Gives back what lanes of processes that have died hold. Answers how many permits of keys came free.
    pub(super) fn reap(&self) -> u64 {
        let ledger = self.ledger();
        let mut freed = 0_u64;
        for lane in 1..=LANES {
            let is_busy = ledger.lane(lane, LaneWord::Busy).load(Ordering::Acquire) != 0;
            if is_busy && self.hold_lane(lane) {
                freed = freed.saturating_add(self.settle_lane(lane).1);
                self.release_lane(lane);
            }
        }
        freed
    }

    /// Leaves nothing in a lane that this thread has taken.
    pub(super) fn settle_lane(&self, lane: usize) -> (Hand, u64) {
        let sequence = self.ledger().recover(lane);
        let hand = Hand::new(lane, false, sequence);
        let freed = self.give_all_back(&hand);
        (hand, freed)
    }

    /// Gives back all that the lane holds. Answers how many permits of keys that were.
    pub(super) fn give_all_back(&self, hand: &Hand) -> u64 {
        let ledger = self.ledger();
        let mut freed = 0_u64;
        for index in ledger.holdings(hand.lane) {
            let held = ledger.held(hand.lane, index);
            ledger.give_back(hand, index, held);
            if index != TOTAL {
                freed = freed.saturating_add(u64::from(held));
            }
        }
        ledger.lane(hand.lane, LaneWord::Busy).store(0, Ordering::Release);
        failpoints::after_step();
        freed
    }
}
