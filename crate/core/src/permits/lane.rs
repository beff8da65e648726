//! What one thread holds.

use super::hand::Hand;
use super::ledger::LaneWord;
use super::{LANES, Permits, Refusal};
use crate::atomic::Ordering;
use crate::clock::coarse_now;
use crate::key::Key;
use std::cell::{Cell, OnceCell};
use std::sync::{Arc, PoisonError};

/// How often a thread that is refused looks after lanes whose processes have died.
const LOOK_EVERY_MS: u64 = 100;

/// The part of permits in which one thread counts what it holds. When it is dropped, all of that is given back.
#[derive(Debug)]
pub struct Lane {
    permits: Arc<Permits>,
    /// None while all lanes are other threads'.
    hand: OnceCell<Hand>,
    held: Cell<u32>,
    looked_ms: Cell<u64>,
}

impl Lane {
    /// A lane for the calling thread.
    #[must_use]
    pub fn new(permits: &Arc<Permits>) -> Self {
        let lane = Self {
            permits: Arc::clone(permits),
            hand: OnceCell::new(),
            held: Cell::new(0),
            looked_ms: Cell::new(0),
        };
        lane.take_hand();
        lane
    }

    /// The permits that it is a part of.
    #[must_use]
    pub const fn permits(&self) -> &Arc<Permits> {
        &self.permits
    }

    /// How many permits this thread holds.
    #[must_use]
    pub const fn held(&self) -> u32 {
        self.held.get()
    }

    /// Takes a permit of the key. Answers what [`Self::release`] gives it back by.
    #[inline(always)]
    pub fn acquire(&self, key: Key) -> Result<usize, Refusal> {
        let taken = self.try_acquire(key);
        let taken =
            if taken.is_err() && !self.permits.is_alone { self.refused(key, taken) } else { taken };
        if taken.is_ok() {
            self.held.set(self.held.get().wrapping_add(1));
        }
        taken
    }

    #[inline(always)]
    fn try_acquire(&self, key: Key) -> Result<usize, Refusal> {
        let hand = self.hand.get().ok_or(Refusal::Capacity)?;
        self.permits.ledger().acquire(hand, key, self.permits.limits())
    }

    /// Another try, if permits of a dead process came free.
    #[cold]
    fn refused(&self, key: Key, refused: Result<usize, Refusal>) -> Result<usize, Refusal> {
        let now_ms = coarse_now().whole_ms();
        if now_ms.saturating_sub(self.looked_ms.get()) < LOOK_EVERY_MS {
            return refused;
        }
        self.looked_ms.set(now_ms);
        if self.reap() == 0 && self.hand.get().is_some() { refused } else { self.try_acquire(key) }
    }

    /// Gives a permit back. False if this thread does not hold it.
    #[inline(always)]
    pub fn release(&self, index: usize) -> bool {
        let Some(hand) = self.hand.get() else { return false };
        let is_released = self.permits.ledger().release(hand, index, self.permits.limits());
        self.held.set(self.held.get().saturating_sub(u32::from(is_released)));
        is_released
    }

    /// Gives back the permits of processes that have died. Answers how many permits of keys came free.
    pub fn reap(&self) -> u64 {
        let freed = if self.permits.is_alone { 0 } else { self.permits.reap() };
        self.take_hand();
        freed
    }

    fn take_hand(&self) {
        if self.hand.get().is_none()
            && let Some(hand) = self.permits.take_lane()
        {
            let _ = self.hand.set(hand);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(hand) = self.hand.get() {
            self.permits.leave_lane(hand);
        }
    }
}

impl Permits {
    /// A lane that no thread has: its last user may have died.
    fn take_lane(&self) -> Option<Hand> {
        if self.is_alone {
            return Some(Hand::new(1, true));
        }
        let lane = (1..=LANES).find(|&lane| self.hold_lane(lane))?;
        let hand = Hand::new(lane, false);
        self.ledger().settle(&hand);
        self.ledger().lane(lane, LaneWord::Busy).store(1, Ordering::Release);
        Some(hand)
    }

    fn leave_lane(&self, hand: &Hand) {
        self.ledger().give_all_back(hand);
        if !hand.is_alone {
            self.release_lane(hand.lane);
        }
    }

    /// Locks of one open file do not exclude its own process: that is for `taken`.
    pub(super) fn hold_lane(&self, lane: usize) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = *taken >> lane & 1 == 0 && self.attachment.hold(lane);
        *taken |= u128::from(is_free) << lane;
        is_free
    }

    pub(super) fn release_lane(&self, lane: usize) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken &= !(1 << lane);
        self.attachment.release(lane);
    }
}
