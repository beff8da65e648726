//! What becomes of the permits of a process that has died.
//!
//! Its lanes' locks are free: the kernel sees to that. The thread that takes one is the lane's user from then on, finishes the
//! last change and gives back what the lane holds, one change after the other. If it dies too, the next one finds the
//! lane as it would have been left by its first user.

use super::hand::Hand;
use super::ledger::{LANES, LaneWord};
use super::open::Permits;
use crate::atomic::Ordering;

impl Permits {
    /// Gives back what lanes of processes that have died hold. Answers how many permits of keys came free.
    pub(super) fn reap(&self) -> u64 {
        let ledger = self.ledger();
        let mut freed = 0_u64;
        for lane in 1..=LANES {
            let is_busy = ledger.lane(lane, LaneWord::Busy).load(Ordering::Acquire) != 0;
            if is_busy && self.hold_lane(lane) {
                freed = freed.saturating_add(ledger.settle(&Hand::new(lane, false)));
                self.release_lane(lane);
            }
        }
        freed
    }
}
