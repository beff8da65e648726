//! Charging a key: the way of every request.

use super::claim::{Claim, Content, exchange, exchange_alone};
use super::recall::Known;
use super::slot::SlotState;
use super::{Outcome, Receipt, Seen, Table};
use crate::algorithm::{Algorithm, AlgorithmTask, State, Verdict};
use crate::atomic::AtomicU64;
use crate::clock::{Clock, ClockMemory};
use crate::decision::Reading;
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

/// One attempt to charge: when, how much, and whether the reading is wanted.
#[derive(Clone, Copy)]
struct Attempt {
    now: Nanos,
    cost: u64,
    detail: bool,
}

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    /// Charges `cost` to the key, or nothing.
    #[inline(always)]
    pub fn allow(&self, key: Key, cost: u64, clock: &impl Clock) -> bool {
        self.algorithm.with(Allow { table: self, key, cost, clock })
    }

    /// As [`Self::allow`]. `detail` asks for the reading.
    #[inline(always)]
    pub fn charge(&self, key: Key, cost: u64, clock: &impl Clock, detail: bool) -> Outcome {
        self.algorithm.with(Charge { table: self, key, cost, clock, detail })
    }

    /// As [`Self::charge`] with details, but denies a key that owes anything, so that callers leave one
    /// after the other.
    pub fn charge_empty(&self, key: Key, cost: u64, clock: &impl Clock) -> Outcome {
        loop {
            let now = clock.now();
            self.enter_epoch(key, now);
            let found = self.find(key);
            let reading = match found.filter(Seen::is_live) {
                Some(seen) => Some(self.algorithm.read(self.state(seen), now, cost)),
                None => self.peek_known(key, now, cost),
            };
            if let Some(reading) = reading.filter(|reading| reading.reset_ms > 0) {
                return Outcome { receipt: None, reading: reading.paced() };
            }
            let attempt = Attempt { now, cost, detail: true };
            if let Some(outcome) = self.charge_found(&self.algorithm, key, found, attempt) {
                return outcome;
            }
        }
    }

    /// Charges at the exact time, and starts over as long as another thread is faster. `done` is told when that was,
    /// and where the key had been found.
    #[inline(always)]
    fn charge_until_done(
        &self,
        algorithm: &impl Algorithm,
        key: Key,
        clock: &impl Clock,
        (cost, detail): (u64, bool),
        done: impl FnOnce(Nanos, Option<Seen<'_>>),
    ) -> Outcome {
        loop {
            let now = clock.now();
            self.enter_epoch_of(algorithm, key, now);
            let found = self.find(key);
            let attempt = Attempt { now, cost, detail };
            if let Some(outcome) = self.charge_found(algorithm, key, found, attempt) {
                done(now, found);
                return outcome;
            }
        }
    }

    /// Charges the key where it was found, or gives it a slot. `None`: another thread was faster.
    #[inline(always)]
    fn charge_found(
        &self,
        algorithm: &impl Algorithm,
        key: Key,
        found: Option<Seen<'_>>,
        attempt: Attempt,
    ) -> Option<Outcome> {
        match found {
            Some(seen) if seen.is_live() => self.charge_at(algorithm, seen, attempt),
            found => self.charge_new(key, found, attempt),
        }
    }

    /// Charges a key that has a slot. `None`: another thread was faster.
    #[inline(always)]
    fn charge_at(
        &self,
        algorithm: &impl Algorithm,
        seen: Seen<'_>,
        attempt: Attempt,
    ) -> Option<Outcome> {
        let Attempt { now, cost, detail } = attempt;
        let state = self.state(seen);
        let Some(next) = algorithm.admit(state, now, cost) else {
            let reading = read_if(detail, || algorithm.read(state, now, cost));
            return self.is_current(seen).then_some(Outcome { receipt: None, reading });
        };
        let reading = read_if(detail, || algorithm.read_admitted(state, next, now, cost));
        algorithm.flush(state, now);
        self.store_value(seen, next)
            .then_some(Outcome { receipt: Some(Receipt::Slot(next)), reading })
    }

    /// Gives a live slot its next value. `false`: another thread was faster.
    #[inline(always)]
    fn store_value(&self, seen: Seen<'_>, value: u64) -> bool {
        let next = seen.s.holding(SlotState::Live, value);
        if self.has_one_user {
            return exchange_alone(seen.slot.s, seen.s, next);
        }
        exchange(seen.slot.s, seen.s, next)
    }

    /// Charges a key that has no slot, or whose slot is just being claimed.
    #[cold]
    fn charge_new(&self, key: Key, found: Option<Seen<'_>>, attempt: Attempt) -> Option<Outcome> {
        let Attempt { now, cost, detail } = attempt;
        let known = self.known(key, now);
        let before = match known {
            Known::New => State::NEW,
            Known::Owes(_, value) => State::without_ring(value),
            Known::Denied(left_us) => {
                return Some(Outcome { receipt: None, reading: self.read_denied(left_us, cost) });
            }
        };
        let Some(value) = self.algorithm.admit(before, now, cost) else {
            let reading = read_if(detail, || self.algorithm.read(before, now, cost));
            return Some(Outcome { receipt: None, reading });
        };
        let content = Content { known: Some((now, known.entry())), ..Content::live(value) };
        let claim = match found {
            Some(seen) => self.promote(key, seen, content),
            None => self.claim(key, now, content),
        };
        match claim {
            Claim::Done => {
                if let Known::Owes(found, _) = known {
                    // Its slot says it now. Lost: then the entry ends by itself.
                    found.remove();
                }
                let read = || self.algorithm.read_admitted(before, value, now, cost);
                let reading = read_if(detail, read);
                Some(Outcome { receipt: Some(Receipt::Slot(value)), reading })
            }
            Claim::Lost => None,
            Claim::Full => Some(self.charge_overflow(key, now, cost)),
        }
    }
}

/// [`Table::allow`], for the algorithm that it is.
struct Allow<'a, M, A: Algorithm, C> {
    table: &'a Table<M, A>,
    key: Key,
    cost: u64,
    clock: &'a C,
}

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm, C: Clock> AlgorithmTask for Allow<'_, M, A, C> {
    type Output = bool;

    #[inline(always)]
    fn run<B: Algorithm>(self, algorithm: &B) -> bool {
        self.clock.with_memory(|memory| {
            let memory = memory.filter(|_| self.table.has_one_epoch());
            if let Some(memory) = memory
                && memory.guesses_coarse(self.key)
                && let Some(is_admitted) = self.by_coarse_clock(algorithm, memory)
            {
                return is_admitted;
            }
            self.by_exact_clock(algorithm, memory)
        })
    }
}

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm, C: Clock> Allow<'_, M, A, C> {
    /// `None` where the coarse clock's error could make a difference, or where another thread was faster.
    #[inline(always)]
    fn by_coarse_clock(&self, algorithm: &impl Algorithm, memory: &ClockMemory) -> Option<bool> {
        let table = self.table;
        let seen = table.find(self.key).filter(Seen::is_live)?;
        let verdict = memory.decide_coarsely(|range| {
            let is_current = table.in_epoch(algorithm, range.earliest);
            is_current.then(|| algorithm.admit_between(table.state(seen), range, self.cost))?
        })?;
        match verdict {
            Verdict::Denied => Some(false),
            Verdict::Admitted(value) => table.store_value(seen, value).then_some(true),
        }
    }

    /// Not inlined: with both ways in one function the processor's registers do not suffice for either.
    #[inline(never)]
    fn by_exact_clock(&self, algorithm: &impl Algorithm, memory: Option<&ClockMemory>) -> bool {
        let Self { table, key, cost, clock } = *self;
        let outcome =
            table.charge_until_done(algorithm, key, clock, (cost, false), |now, found| {
                if let (Some(memory), Some(seen)) = (memory, found) {
                    // After the exchange, which would wait for what is written before it.
                    memory.learn(key, now, |range| {
                        algorithm.admit_between(table.state(seen), range, cost).is_some()
                    });
                }
            });
        outcome.receipt.is_some()
    }
}

/// [`Table::charge`], for the algorithm that it is.
struct Charge<'a, M, A: Algorithm, C> {
    table: &'a Table<M, A>,
    key: Key,
    cost: u64,
    clock: &'a C,
    detail: bool,
}

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm, C: Clock> AlgorithmTask for Charge<'_, M, A, C> {
    type Output = Outcome;

    #[inline(always)]
    fn run<B: Algorithm>(self, algorithm: &B) -> Outcome {
        let Self { table, key, cost, clock, detail } = self;
        table.charge_until_done(algorithm, key, clock, (cost, detail), |_, _| {})
    }
}

/// The reading, if the caller asked for details.
#[inline]
fn read_if(detail: bool, read: impl FnOnce() -> Reading) -> Reading {
    if detail { read() } else { Reading::default() }
}
