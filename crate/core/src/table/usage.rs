//! What a key has used under other limits: written into tables where it has no slot yet, and kept up to
//! date in those where it has one.

use super::claim::{Claim, Content, store_state};
use super::recall::Known;
use super::{Seen, Table};
use crate::algorithm::{State, Varying};
use crate::atomic::AtomicU64;
use crate::clock::Clock;
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

impl<M: Deref<Target = [AtomicU64]>> Table<M, Varying> {
    /// What `units` use up here: ticks, or units.
    pub fn price(&self, units: u64) -> u64 {
        self.algorithm.price(units)
    }

    /// The most a key can have used of the limit without being over it.
    pub fn max_used(&self) -> u64 {
        self.algorithm.max_used()
    }

    /// What the key has used, in ticks or units; `None` if it has no slot here.
    pub fn used(&self, key: Key, clock: &impl Clock) -> Option<u64> {
        let now = clock.now();
        self.enter_epoch(key, now);
        let Some(seen) = self.find_held(key) else {
            let Known::Owes(_, value) = self.known(key, now) else { return None };
            return Some(self.algorithm.used(State::without_ring(value), now));
        };
        Some(self.algorithm.used(self.state(seen), now))
    }

    /// Records that the key has used `more`, if it has a slot here.
    pub fn record_used(&self, key: Key, more: u64, clock: &impl Clock) {
        self.change(key, clock, |state, now| self.algorithm.add_used(state, now, more));
    }

    /// Gives the key a slot here that says what it has used elsewhere. Does nothing if it has one.
    pub fn carry_over(&self, key: Key, used: u64, clock: &impl Clock) {
        self.insert(key, clock, |now| self.algorithm.having_used(used, now), |_| true);
    }

    /// In a table of buckets that owe nothing: records that the key was charged now.
    pub fn stamp(&self, key: Key, clock: &impl Clock) {
        let stamp = |now| self.algorithm.stamp(now);
        let renew = |seen| store_state(seen, Content::live(stamp(clock.now()))) == Claim::Done;
        self.insert(key, clock, stamp, renew);
    }

    /// How long ago the key was stamped; `None` if that is not known.
    pub fn idle_ms(&self, key: Key, clock: &impl Clock) -> Option<u64> {
        let now = clock.now();
        self.enter_epoch(key, now);
        let seen = self.find_held(key)?;
        Some(self.algorithm.idle_ms(self.state(seen), now))
    }

    /// Gives the key a slot with this value. If it has one, calls `update` on it until that succeeds.
    fn insert<'a>(
        &'a self,
        key: Key,
        clock: &impl Clock,
        value: impl Fn(Nanos) -> u64,
        update: impl Fn(Seen<'a>) -> bool,
    ) {
        loop {
            let now = clock.now();
            self.enter_epoch(key, now);
            let claim = match self.find(key) {
                Some(seen) if seen.is_live() && update(seen) => Claim::Done,
                Some(seen) if seen.is_live() => Claim::Lost,
                Some(seen) => self.promote(key, seen, Content::live(value(now))),
                None => self.claim(key, now, Content::live(value(now))),
            };
            // Where there is no slot for it, the overflow bucket decides.
            if claim != Claim::Lost {
                return;
            }
        }
    }
}
