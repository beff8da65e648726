//! The algorithms where a key's limit may be another one at the next call.
//!
//! What a key has used stays used. The word says how much in a unit that does not depend on the limit: time
//! owed for a token bucket, so one table serves all limits; units in a window for the others, so one table
//! serves all counts of one window (for a log, those that fit its rings).
//!
//! ```text
//! word = exhausted 1 | the algorithm's own value 53
//! ```
//!
//! Eviction must know from the word alone whether forgetting a key would admit it, because the caller that
//! looks for a slot knows only the limits of another key. So the word carries a mark: one more unit would
//! have been denied when it was written. A log whose word has no room for the mark says it by how full its
//! ring is.

use super::{
    Algorithm, AlgorithmKind, AnyVarying, Debt, Gcra, State, VALUE_BITS, VARYING_BITS, Verdict,
    mask,
};
use crate::clock::TimeRange;
use crate::decision::Reading;
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;

const EXHAUSTED: u64 = 1 << VARYING_BITS;

/// What an algorithm needs besides its steps where limits vary. States here carry no mark.
pub trait VaryingAlgorithm: Algorithm {
    /// What the key has used: ticks that are owed, or units.
    fn used(&self, state: State<'_>, now: Nanos) -> u64;

    /// The value after using `more`, whatever the limit admits.
    fn add_used(&self, state: State<'_>, now: Nanos, more: u64) -> u64;

    /// Whether one more unit would be denied. `logged`: the units in a log, which its word does not say.
    fn is_exhausted(&self, value: u64, now: Nanos, _logged: u64) -> bool {
        self.admit(State::without_ring(value), now, 1).is_none()
    }

    /// Units in a log; 0 for the others, whose word says it.
    fn logged(&self, _state: State<'_>, _now: Nanos) -> u64 {
        0
    }

    /// Whether the word has a bit for the mark.
    fn has_mark(&self) -> bool {
        true
    }

    /// Whether a key without a mark may be exhausted, where the word has no bit for it.
    fn may_be_exhausted(&self, _used: u64) -> bool {
        false
    }

    /// A bucket's value that owes nothing since now, and says when that was; see [`Self::idle_ms`].
    fn stamp(&self, _now: Nanos) -> u64 {
        0
    }

    /// For how long a bucket has owed nothing.
    fn idle_ms(&self, _state: State<'_>, _now: Nanos) -> u64 {
        0
    }

    /// What `units` use up: ticks, or units.
    fn price(&self, units: u64) -> u64 {
        units
    }

    /// The most a key can have used of the limit without being over it.
    fn max_used(&self) -> u64 {
        u64::MAX
    }
}

/// One limit's arithmetic on words that other limits use too.
#[derive(Clone, Debug)]
pub struct Varying(AnyVarying);

impl Varying {
    /// The arithmetic of a limit; a log has rings of `ring` cells.
    pub fn new(kind: AlgorithmKind, limit: Limit, ring: u64) -> Result<Self, Error> {
        kind.varying(limit, ring).map(Self)
    }

    /// What the key has used: ticks that are owed, or units.
    #[must_use]
    pub fn used(&self, state: State<'_>, now: Nanos) -> u64 {
        self.0.used(self.unmarked(state), now)
    }

    /// The value after using `more`, whatever the limit admits. The mark stays: it was set for another limit.
    #[must_use]
    pub fn add_used(&self, state: State<'_>, now: Nanos, more: u64) -> u64 {
        let next = self.0.add_used(self.unmarked(state), now, more);
        if self.0.has_mark() { next | (state.value & EXHAUSTED) } else { next }
    }

    /// The value of a key that has used this much in another table.
    #[must_use]
    pub fn having_used(&self, used: u64, now: Nanos) -> u64 {
        self.marked(self.add_used(State::NEW, now, used), now, used)
    }

    /// A bucket's value that owes nothing since now, and says when that was; see [`Self::idle_ms`].
    #[must_use]
    pub fn stamp(&self, now: Nanos) -> u64 {
        self.0.stamp(now)
    }

    /// For how long a bucket has owed nothing.
    #[must_use]
    pub fn idle_ms(&self, state: State<'_>, now: Nanos) -> u64 {
        self.0.idle_ms(self.unmarked(state), now)
    }

    /// What `units` use up: ticks, or units.
    #[must_use]
    pub fn price(&self, units: u64) -> u64 {
        self.0.price(units)
    }

    /// The most a key can have used of this limit without being over it.
    #[must_use]
    pub fn max_used(&self) -> u64 {
        self.0.max_used()
    }

    /// The value, marked if one more unit would be denied now. `logged`: units in a log.
    fn marked(&self, value: u64, now: Nanos, logged: u64) -> u64 {
        let is_marked = self.0.has_mark() && self.0.is_exhausted(value, now, logged);
        if is_marked { value | EXHAUSTED } else { value }
    }

    /// The state without its mark.
    fn unmarked<'a>(&self, state: State<'a>) -> State<'a> {
        let width = if self.0.has_mark() { VARYING_BITS } else { VALUE_BITS };
        State { value: state.value & mask(width), ring: state.ring }
    }

    fn logged(&self, state: State<'_>, now: Nanos) -> u64 {
        self.0.logged(self.unmarked(state), now)
    }
}

impl Algorithm for Varying {
    type OverflowBucket = Gcra<true>;

    fn overflow_bucket(&self, limit: Limit) -> Gcra<true> {
        self.0.overflow_bucket(limit)
    }

    fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64> {
        let next = self.0.admit(self.unmarked(state), now, cost)?;
        Some(self.marked(next, now, self.logged(state, now).saturating_add(cost)))
    }

    /// Limits that vary are always decided at the exact time.
    fn admit_between(&self, _: State<'_>, _: TimeRange, _: u64) -> Option<Verdict> {
        None
    }

    fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading {
        self.0.read(self.unmarked(state), now, cost)
    }

    fn script_args(&self) -> [u64; 3] {
        self.0.script_args()
    }

    fn read_admitted(&self, before: State<'_>, next: u64, now: Nanos, cost: u64) -> Reading {
        let next = self.unmarked(State::without_ring(next)).value;
        self.0.read_admitted(self.unmarked(before), next, now, cost)
    }

    fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64 {
        let left = self.logged(state, now).saturating_sub(units);
        self.marked(self.0.refund(self.unmarked(state), now, units), now, left)
    }

    fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64 {
        let charged = self.unmarked(State::without_ring(receipt)).value;
        let left = self.logged(state, now).saturating_sub(units);
        self.marked(self.0.undo(self.unmarked(state), now, charged, units), now, left)
    }

    fn flush(&self, state: State<'_>, now: Nanos) {
        self.0.flush(self.unmarked(state), now);
    }

    /// From the word alone: the key's own limit may be another one.
    fn debt(&self, state: State<'_>, now: Nanos) -> Debt {
        let used = self.used(state, now);
        if used == 0 {
            return self.0.debt(self.unmarked(state), now);
        }
        let is_blocked = if self.0.has_mark() {
            state.value & EXHAUSTED != 0
        } else {
            self.0.may_be_exhausted(used)
        };
        if is_blocked { Debt::Blocked } else { Debt::Some(used) }
    }

    /// What buckets owe does not depend on the limit. When a window or a log admits again does, and the caller
    /// that needs the slot does not know the limit of the key that has it.
    fn lasting_us(&self, state: State<'_>, now: Nanos) -> Option<u64> {
        let is_bucket = matches!(self.0, AnyVarying::Gcra(_));
        is_bucket.then(|| self.0.lasting_us(self.unmarked(state), now))?
    }

    fn recalled(&self, now: Nanos, left_us: u64) -> Option<u64> {
        let value = self.0.recalled(now, left_us)?;
        Some(self.marked(value, now, 0))
    }

    fn max_cost(&self) -> u64 {
        self.0.max_cost()
    }

    fn epoch(&self, now: Nanos) -> u64 {
        self.0.epoch(now)
    }

    fn epoch_ms(&self) -> u64 {
        self.0.epoch_ms()
    }

    fn ring_words(&self) -> usize {
        self.0.ring_words()
    }
}
