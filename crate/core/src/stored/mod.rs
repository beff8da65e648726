//! The state of one key as bytes, for a store that keeps them: any store that can compare and set.
//!
//! ```text
//! caller:  bytes <- get(key)
//!          step(bytes, now, operation) -> decision, bytes to write or none
//!          compareAndSet(key, bytes)      lost? get again, and step again
//! ```
//!
//! The steps are those of the tables ([`crate::algorithm`]), so a decision here is the decision of a
//! [`RawLimiter`](crate::RawLimiter) in memory, field by field. All limits of a config stand in one record, so all of
//! them are charged or none. A denial or a peek writes nothing, except the block that a denial starts.
//!
//! Time comes from the caller, usually a wall clock, and never steps back: a record remembers the latest time it
//! was written at. Where clocks differ, that of the writer who is ahead counts. A record that has expired
//! in the store equals one whose limits have all recovered.

mod record;

use crate::algorithm::{Algorithm as _, AlgorithmKind, AnyAlgorithm, Debt, Ring, State};
use crate::atomic::AtomicU64;
use crate::config::LimiterConfig;
use crate::decision::{
    Decision, LimitStatus, NEVER, Reading, admitted, denied, limit_status, with_block,
};
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;
use record::{Entry, Found, Record};

pub use record::Damaged;

/// What is asked of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Charges a cost to every limit, or to none. A denial starts the block of `block_for_ms`.
    Check(u64),
    /// As `Check`, but a denial starts no block.
    Take(u64),
    /// As `Take`; a leaky bucket admits only while the bucket of its shortest limit is empty.
    Pace(u64),
    /// What `Check` would answer now. Changes nothing.
    Peek(u64),
    /// Gives units back to every limit, never more than is owed.
    Refund(u64),
    /// Forgets the key, its block included.
    Reset,
    /// Denies the key for this many milliseconds, whatever its limits say.
    Block(u64),
}

/// The bytes to write, and for how long they are of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The record.
    pub bytes: Vec<u8>,
    /// After this many milliseconds the record equals an absent one; at least 1.
    pub ttl_ms: u64,
}

/// What a step answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The decision; after a refund, a reset or a block what a peek for one unit would answer.
    pub decision: Decision,
    /// What each limit alone says after the step, in the order of the limits.
    pub statuses: Vec<LimitStatus>,
    /// Milliseconds for which the key stays blocked after the step, whatever its limits say; 0 when it is not.
    pub blocked_ms: u64,
    /// Absent when nothing changed.
    pub write: Option<Write>,
    /// The bytes were a record of another config or format. It counts as absent.
    pub is_foreign: bool,
}

/// One config's steps on records.
#[derive(Clone, Debug)]
pub struct Stored {
    config: LimiterConfig,
    limits: Vec<(Limit, AnyAlgorithm)>,
    hash: u64,
}

impl Stored {
    /// Fails as [`RawLimiter::new`](crate::RawLimiter::new) does for limits that can't be counted exactly.
    pub fn new(config: LimiterConfig) -> Result<Self, Error> {
        let limits = config.algorithms()?;
        let hash = record::hash_of(&config);
        Ok(Self { config, limits, hash })
    }

    /// Tells the records of this config from those of all others: equal limits, bursts and algorithm, equal hash.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// One operation on the record in `bytes` (`None`: the store holds none) at the time `now`.
    ///
    /// Fails for bytes that no version of this library wrote. They are neither trusted nor taken for an absent
    /// record: a store that garbles what it keeps would admit without a bound. Only a reset replaces them.
    pub fn step(
        &self,
        bytes: Option<&[u8]>,
        now: Nanos,
        operation: Operation,
    ) -> Result<Step, Damaged> {
        let found = self.find(bytes, operation == Operation::Reset)?;
        let is_foreign = matches!(found, Found::Foreign);
        let record = match found {
            Found::Record(record) => record,
            Found::Foreign | Found::Nothing => Record::empty(self.limits.len()),
        };
        let now = Nanos(now.0.max(record.last.0));
        let mut account = Account { stored: self, now, record: self.aged(record, now) };
        let before = account.record.clone();
        let decision = account.apply(operation);
        let is_changed = account.record != before || (is_foreign && operation == Operation::Reset);
        Ok(Step {
            decision,
            statuses: account.statuses(),
            blocked_ms: account.blocked_us().div_ceil(1_000),
            write: is_changed.then(|| account.write()),
            is_foreign,
        })
    }

    /// The record as it is at `now`: what has recovered by then is gone.
    fn aged(&self, record: Record, now: Nanos) -> Record {
        let idle_ms = now.whole_ms().saturating_sub(record.last.whole_ms());
        let aged = |((_, algorithm), entry): (&(Limit, AnyAlgorithm), Entry)| {
            // Times in a word are counted modulo its range: after an epoch it has recovered, and may look unlike it.
            if idle_ms > algorithm.epoch_ms() {
                return Entry::default();
            }
            entry.with(algorithm, |state| kept(algorithm, state, now))
        };
        let entries = self.limits.iter().zip(record.entries).map(aged).collect();
        let blocked_until_us = match record.blocked_until_us {
            until if until > now.whole_us() => until,
            _ => 0,
        };
        Record { last: record.last, blocked_until_us, entries }
    }
}

/// What has to be kept of a state: nothing of one that has recovered, and of a log the units in its window.
fn kept(algorithm: &AnyAlgorithm, state: State<'_>, now: Nanos) -> Entry {
    if matches!(algorithm.debt(state, now), Debt::None(_)) {
        return Entry::default();
    }
    match algorithm.ring_words() {
        0 => Entry { value: state.value, times: Vec::new() },
        _ => Entry { value: 0, times: algorithm.log_times(state, now) },
    }
}

impl Entry {
    /// Runs `act` on the entry as the algorithm's steps see it.
    fn with<T>(&self, algorithm: &AnyAlgorithm, act: impl FnOnce(State<'_>) -> T) -> T {
        let cells: Vec<AtomicU64> = self.times.iter().map(|&ticks| Ring::cell(ticks)).collect();
        let value = match algorithm.ring_words() {
            0 => self.value,
            _ => algorithm.log_value(cells.len() as u64),
        };
        act(State { value, ring: Ring::read_only(&cells) })
    }
}

/// A record during a step.
struct Account<'a> {
    stored: &'a Stored,
    now: Nanos,
    record: Record,
}

impl Account<'_> {
    fn apply(&mut self, operation: Operation) -> Decision {
        match operation {
            Operation::Check(0) | Operation::Take(0) | Operation::Pace(0) => return self.peek(1),
            Operation::Check(cost) => return self.check(cost),
            Operation::Take(cost) => return self.charge(cost, false),
            Operation::Pace(cost) => {
                return self
                    .charge(cost, self.stored.config.algorithm == AlgorithmKind::LeakyBucket);
            }
            Operation::Peek(cost) => return self.peek(cost.max(1)),
            Operation::Refund(units) => {
                self.change(|algorithm, state, now| algorithm.refund(state, now, units));
            }
            Operation::Reset => {
                self.record =
                    Record { last: self.record.last, ..Record::empty(self.stored.limits.len()) };
            }
            Operation::Block(ms) => self.block(ms),
        }
        self.peek(1)
    }

    fn check(&mut self, cost: u64) -> Decision {
        let is_blocked = self.blocked_us() > 0;
        let decision = self.charge(cost, false);
        let block_ms = self.stored.config.block_for_ms;
        let is_left = decision.allowed || is_blocked || decision.retry_ms == NEVER;
        if is_left || block_ms == 0 {
            return decision;
        }
        self.block(block_ms);
        with_block(decision, block_ms)
    }

    /// Charges all limits or none. `paced`: the limit with the shortest window has to owe nothing.
    fn charge(&mut self, cost: u64, paced: bool) -> Decision {
        if self.blocked_us() > 0 {
            return self.peek(cost);
        }
        let asked = self.readings(cost, paced);
        if asked.iter().any(|reading| reading.retry_ms > 0) {
            return denied(self.each(&asked));
        }
        let now = self.now;
        let charged = self.map(|algorithm, state| {
            let next = algorithm.admit(state, now, cost)?;
            let reading = algorithm.read_admitted(state, next, now, cost);
            Some((reading, kept(algorithm, State { value: next, ring: state.ring }, now)))
        });
        let Some(charged) = charged.into_iter().collect::<Option<Vec<_>>>() else {
            return denied(self.each(&asked));
        };
        let (readings, entries): (Vec<Reading>, Vec<Entry>) = charged.into_iter().unzip();
        self.record.entries = entries;
        admitted(self.each(&readings))
    }

    fn peek(&self, cost: u64) -> Decision {
        let readings = self.readings(cost, false);
        let blocked_us = self.blocked_us();
        if blocked_us > 0 {
            return with_block(denied(self.each(&readings)), blocked_us.div_ceil(1_000));
        }
        if readings.iter().all(|reading| reading.retry_ms == 0) {
            return admitted(self.each(&readings));
        }
        denied(self.each(&readings))
    }

    fn block(&mut self, ms: u64) {
        self.record.blocked_until_us = self.now.whole_us().saturating_add(ms.saturating_mul(1_000));
    }

    fn blocked_us(&self) -> u64 {
        self.record.blocked_until_us.saturating_sub(self.now.whole_us())
    }

    fn change(&mut self, next: impl Fn(&AnyAlgorithm, State<'_>, Nanos) -> u64) {
        let now = self.now;
        self.record.entries = self.map(|algorithm, state| {
            let value = next(algorithm, state, now);
            kept(algorithm, State { value, ring: state.ring }, now)
        });
    }

    /// What `act` makes of each limit's state.
    fn map<T>(&self, act: impl Fn(&AnyAlgorithm, State<'_>) -> T) -> Vec<T> {
        let entries = self.stored.limits.iter().zip(&self.record.entries);
        entries.map(|((_, a), entry)| entry.with(a, |state| act(a, state))).collect()
    }

    fn readings(&self, cost: u64, paced: bool) -> Vec<Reading> {
        let now = self.now;
        let mut readings = self.map(|algorithm, state| algorithm.read(state, now, cost));
        if let Some(reading) = readings.get_mut(self.stored.config.shortest()).filter(|_| paced) {
            *reading = reading.paced();
        }
        readings
    }

    fn each<'r>(
        &self,
        readings: &'r [Reading],
    ) -> impl DoubleEndedIterator<Item = (usize, Limit, Reading)> + ExactSizeIterator + Clone + use<'_, 'r>
    {
        let limits = self.stored.limits.iter().zip(readings).enumerate();
        limits.map(|(index, ((limit, _), reading))| (index, *limit, *reading))
    }

    fn statuses(&self) -> Vec<LimitStatus> {
        let (now, blocked_us) = (self.now, self.blocked_us());
        self.map(|algorithm, state| {
            limit_status(blocked_us, |cost| algorithm.read(state, now, cost))
        })
    }

    fn write(&self) -> Write {
        let resets = self.readings(1, false).into_iter().map(|reading| reading.reset_ms);
        let blocked_ms = self.blocked_us().div_ceil(1_000);
        let ttl_ms = resets.max().unwrap_or(0).max(blocked_ms).max(1);
        let record = Record { last: self.now, ..self.record.clone() };
        Write { bytes: self.stored.bytes(&record), ttl_ms }
    }
}
