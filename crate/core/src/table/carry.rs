//! What a key has used under other limits: carried into a table that has not met it, and kept up to date in
//! one that has.

use super::claim::{Claim, Holding, put};
use super::word::Kind;
use super::{Seen, Table};
use crate::algorithm::Varying;
use crate::atomic::AtomicU64;
use crate::clock::Clock;
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

impl<M: Deref<Target = [AtomicU64]>> Table<M, Varying> {
    /// What `units` use up here: ticks, or units.
    pub const fn price(&self, units: u64) -> u64 {
        self.algorithm.price(units)
    }

    /// The most a key can have used of the limit while it is not over it.
    pub const fn full(&self) -> u64 {
        self.algorithm.full()
    }

    /// What the key has used, in ticks or units; `None` if it has no place here.
    pub fn owed(&self, key: Key, clock: &impl Clock) -> Option<u64> {
        let now = clock.now();
        self.enter_era(key, now);
        let seen = self.find_held(key)?;
        Some(self.algorithm.owed(self.state(seen), now))
    }

    /// Notes that the key has used so much more, if it has a place here.
    pub fn note(&self, key: Key, more: u64, clock: &impl Clock) {
        self.change(key, clock, |state, now| self.algorithm.owing(state, now, more));
    }

    /// Gives the key a place here that says what it has used elsewhere. Does nothing if it has one.
    pub fn carry(&self, key: Key, used: u64, clock: &impl Clock) {
        self.hold(key, clock, |now| self.algorithm.having_used(used, now), |_| true);
    }

    /// In a table of buckets that owe nothing: notes that the key was charged now.
    pub fn stamp(&self, key: Key, clock: &impl Clock) {
        let write = |seen| put(seen, live(self.algorithm.stamp(clock.now()))) == Claim::Done;
        self.hold(key, clock, |now| self.algorithm.stamp(now), write);
    }

    /// How long ago the key was stamped; `None` if that is not known.
    pub fn idle_ms(&self, key: Key, clock: &impl Clock) -> Option<u64> {
        let now = clock.now();
        self.enter_era(key, now);
        let seen = self.find_held(key)?;
        Some(self.algorithm.idle_ms(self.state(seen), now))
    }

    /// Gives the key a place with this value, or has `met` see to the one it has, again if that was lost.
    fn hold<'a>(
        &'a self,
        key: Key,
        clock: &impl Clock,
        value: impl Fn(Nanos) -> u64,
        met: impl Fn(Seen<'a>) -> bool,
    ) {
        loop {
            let now = clock.now();
            self.enter_era(key, now);
            let claim = match self.find(key) {
                Some(seen) if seen.s.kind() == Kind::Live => {
                    if met(seen) {
                        Claim::Done
                    } else {
                        Claim::Lost
                    }
                }
                Some(seen) => self.promote(key, seen, live(value(now))),
                None => self.claim(key, now, live(value(now))),
            };
            // Where there is no place for it, strangers' words decide.
            if claim != Claim::Lost {
                return;
            }
        }
    }
}

const fn live(value: u64) -> Holding {
    Holding { kind: Kind::Live, value }
}
