//! The protocol alone, for loom: lanes, their locks aside, and users that die after a given number of steps.

use super::Refusal;
use super::hand::Hand;
use super::ledger::{LANES, Layout, Ledger};
use crate::atomic::AtomicU64;
use crate::key::Key;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Memory of permits: two slots, which every key may have.
#[derive(Debug)]
pub struct Trial {
    words: Vec<AtomicU64>,
    layout: Layout,
    limits: [u32; 2],
}

/// The user of a lane.
#[derive(Debug)]
pub struct User(Hand);

impl User {
    /// Of this lane.
    #[must_use]
    pub const fn of(lane: usize) -> Self {
        Self(Hand::new(lane, false))
    }

    /// Runs `act`, unless the user dies in it after a given number of steps.
    pub fn dies_after<T>(&self, steps: u32, act: impl FnOnce(&Self) -> T) -> Option<T> {
        self.0.life.set(steps);
        let done = catch_unwind(AssertUnwindSafe(|| act(self))).ok();
        self.0.life.set(u32::MAX);
        done
    }
}

impl Trial {
    /// With these limits: of a key, and of all keys.
    #[must_use]
    pub fn new(limits: [u32; 2]) -> Self {
        let layout = Layout::new(1, LANES);
        let words = (0..layout.words()).map(|_| AtomicU64::new(0)).collect();
        Self { words, layout, limits }
    }

    fn ledger(&self) -> Ledger<'_> {
        Ledger { words: &self.words, layout: self.layout }
    }

    /// Takes a permit.
    pub fn acquire(&self, user: &User, key: Key) -> Result<usize, Refusal> {
        self.ledger().acquire(&user.0, key, self.limits)
    }

    /// Gives it back.
    pub fn release(&self, user: &User, index: usize) -> bool {
        self.ledger().release(&user.0, index, self.limits)
    }

    /// Reaps the lane, as the thread that has found it dead.
    pub fn settle(&self, lane: usize) -> u64 {
        self.settle_as(&User::of(lane))
    }

    /// The same, of the lane that this user now has.
    pub fn settle_as(&self, user: &User) -> u64 {
        self.ledger().settle(&user.0)
    }

    /// Permits of the key.
    #[must_use]
    pub fn held(&self, key: Key) -> u32 {
        self.ledger().held_by(key)
    }
}
