//! The algorithms where the limit may be another one at the next call.
//!
//! What a key has used stays used: the word says so in a unit that does not depend on the limit. That is
//! time owed for a token bucket, so one table serves all limits; units in a window for the others, so
//! one table serves all counts of one window (of the log those that fit its rings).
//!
//! ```text
//! word = exhausted 1 | what the algorithm keeps 53
//! ```
//!
//! Whether forgetting a key would let it in has to be known from the word alone, because the caller that looks
//! for a place knows only the limits of another key. So the word says whether one more unit would have been
//! denied when it was written. A log whose word has no room for that says it by its use of the ring.

use super::steps::Steps;
use super::{
    Debt, FixedWindow, Gcra, Ring, SlidingLog, SlidingWindow, State, VALUE_BITS, VARYING_BITS,
    Verdict, mask,
};
use crate::clock::Between;
use crate::decision::Reading;
use crate::error::Error;
use crate::limit::Limit;
use crate::nanos::Nanos;
use crate::policy::Kind;

const EXHAUSTED: u64 = 1 << VARYING_BITS;

/// One limit's arithmetic on words that other limits share.
#[derive(Clone, Debug)]
pub enum Varying {
    /// Token bucket, and leaky bucket as a meter.
    Gcra(Gcra<true>),
    /// A window that opens at the key's first request.
    FixedWindow(FixedWindow<true>),
    /// Two aligned buckets, interpolated.
    SlidingWindow(SlidingWindow<true>),
    /// The exact log.
    SlidingLog(SlidingLog<true>),
}

impl Varying {
    /// The arithmetic of a limit; of a log in rings of `places` places.
    pub fn of(kind: Kind, limit: Limit, places: u64) -> Result<Self, Error> {
        Ok(match kind {
            Kind::TokenBucket | Kind::LeakyBucket => Self::Gcra(Gcra::varying(limit)?),
            Kind::FixedWindow => Self::FixedWindow(FixedWindow::varying(limit)?),
            Kind::SlidingWindow => Self::SlidingWindow(SlidingWindow::varying(limit)?),
            Kind::SlidingLog => Self::SlidingLog(SlidingLog::varying(limit, places)?),
        })
    }

    /// What the key has used: ticks that are owed, or units.
    #[must_use]
    pub fn owed(&self, state: State<'_>, now: Nanos) -> u64 {
        let bare = self.bare(state);
        match self {
            Self::Gcra(gcra) => gcra.owed(bare.value, now),
            Self::FixedWindow(fixed) => fixed.owed(bare.value, now),
            Self::SlidingWindow(sliding) => sliding.owed(bare.value, now),
            Self::SlidingLog(log) => log.owed(bare, now),
        }
    }

    /// The value after using so much more, whatever the limit admits. Its mark stays: the limit that it was
    /// set for is another one.
    #[must_use]
    pub fn owing(&self, state: State<'_>, now: Nanos, more: u64) -> u64 {
        let bare = self.bare(state);
        let next = match self {
            Self::Gcra(gcra) => gcra.owing(bare.value, now, more),
            Self::FixedWindow(fixed) => fixed.owing(bare.value, now, more),
            Self::SlidingWindow(sliding) => sliding.owing(bare.value, now, more),
            Self::SlidingLog(log) => log.owing(bare, now, more),
        };
        if self.is_marked() { next | (state.value & EXHAUSTED) } else { next }
    }

    /// The value of a key that has used so much elsewhere.
    #[must_use]
    pub fn having_used(&self, used: u64, now: Nanos) -> u64 {
        let unseen = State { value: 0, ring: Ring::NONE };
        self.marked(self.owing(unseen, now, used), now, used)
    }

    /// A bucket's value that owes nothing since now, and says when that was; see [`Self::idle_ms`].
    #[must_use]
    pub const fn stamp(&self, now: Nanos) -> u64 {
        match self {
            Self::Gcra(gcra) => gcra.since(now),
            _ => 0,
        }
    }

    /// For how long a bucket has owed nothing.
    #[must_use]
    pub fn idle_ms(&self, state: State<'_>, now: Nanos) -> u64 {
        match self {
            Self::Gcra(gcra) => gcra.idle_ms(self.bare(state).value, now),
            _ => 0,
        }
    }

    /// What `units` use up: ticks, or units.
    #[must_use]
    pub const fn price(&self, units: u64) -> u64 {
        match self {
            Self::Gcra(gcra) => gcra.price(units),
            _ => units,
        }
    }

    /// The most a key can have used of this limit while it is not over it.
    #[must_use]
    pub const fn full(&self) -> u64 {
        match self {
            Self::Gcra(gcra) => gcra.depth(),
            _ => u64::MAX,
        }
    }

    /// The word without its mark, with it if one more unit would be denied now.
    ///
    /// `used`: units that are in a log. Its word alone does not tell.
    fn marked(&self, value: u64, now: Nanos, used: u64) -> u64 {
        let is_exhausted = match self {
            Self::Gcra(gcra) => gcra.admit(value, now, 1).is_none(),
            Self::FixedWindow(fixed) => fixed.admit(value, now, 1).is_none(),
            Self::SlidingWindow(sliding) => sliding.admit(value, now, 1).is_none(),
            Self::SlidingLog(log) => used >= log.most(),
        };
        if is_exhausted && self.is_marked() { value | EXHAUSTED } else { value }
    }

    const fn is_marked(&self) -> bool {
        !matches!(self, Self::SlidingLog(log) if !log.is_marked())
    }

    /// The state without its mark.
    const fn bare<'a>(&self, state: State<'a>) -> State<'a> {
        let width = if self.is_marked() { VARYING_BITS } else { VALUE_BITS };
        State { value: state.value & mask(width), ring: state.ring }
    }

    /// Units in a log; of the others the word tells.
    fn logged(&self, state: State<'_>, now: Nanos) -> u64 {
        match self {
            Self::SlidingLog(log) => log.owed(self.bare(state), now),
            _ => 0,
        }
    }
}

/// Calls the same method on whichever algorithm it is: on the word without its mark, or on the whole state.
macro_rules! step {
    ($self:ident, $state:ident, $method:ident ( $($argument:expr),* )) => {{
        let bare = $self.bare($state);
        match $self {
            Self::Gcra(gcra) => gcra.$method(bare.value, $($argument),*),
            Self::FixedWindow(fixed) => fixed.$method(bare.value, $($argument),*),
            Self::SlidingWindow(sliding) => sliding.$method(bare.value, $($argument),*),
            Self::SlidingLog(log) => log.$method(bare, $($argument),*),
        }
    }};
}

macro_rules! each {
    ($self:ident, $a:ident => $call:expr) => {
        match $self {
            Self::Gcra($a) => $call,
            Self::FixedWindow($a) => $call,
            Self::SlidingWindow($a) => $call,
            Self::SlidingLog($a) => $call,
        }
    };
}

impl Steps for Varying {
    type Strangers = Gcra<true>;

    fn strangers(&self, limit: Limit) -> Gcra<true> {
        match self {
            Self::Gcra(gcra) => gcra.clone(),
            _ => Gcra::varying_coarse(limit),
        }
    }

    fn admit(&self, state: State<'_>, now: Nanos, cost: u64) -> Option<u64> {
        let next = step!(self, state, admit(now, cost))?;
        Some(self.marked(next, now, self.logged(state, now).saturating_add(cost)))
    }

    /// Limits that change are always decided about at the exact time.
    fn admit_between(&self, _: State<'_>, _: Between, _: u64) -> Option<Verdict> {
        None
    }

    fn read(&self, state: State<'_>, now: Nanos, cost: u64) -> Reading {
        step!(self, state, read(now, cost))
    }

    fn read_admitted(&self, before: State<'_>, next: u64, now: Nanos, cost: u64) -> Reading {
        match self {
            Self::SlidingLog(log) => log.read_admitted(self.bare(before), now, cost),
            _ => self.read(State { value: next, ring: before.ring }, now, 0),
        }
    }

    fn refund(&self, state: State<'_>, now: Nanos, units: u64) -> u64 {
        let left = self.logged(state, now).saturating_sub(units);
        self.marked(step!(self, state, refund(now, units)), now, left)
    }

    fn undo(&self, state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64 {
        let charged = self.bare(State { value: receipt, ring: Ring::NONE }).value;
        let left = self.logged(state, now).saturating_sub(units);
        self.marked(step!(self, state, undo(now, charged, units)), now, left)
    }

    fn settle(&self, state: State<'_>, now: Nanos) {
        if let Self::SlidingLog(log) = self {
            log.settle(self.bare(state), now);
        }
    }

    /// From the word alone: the key may be one whose limit is another.
    fn debt(&self, state: State<'_>, now: Nanos) -> Debt {
        match self.owed(state, now) {
            0 => step!(self, state, debt(now)),
            owed => match self {
                Self::SlidingLog(log) if !log.is_marked() && log.is_nearly_full(owed) => {
                    Debt::Blocked
                }
                _ if self.is_marked() && state.value & EXHAUSTED != 0 => Debt::Blocked,
                _ => Debt::Some(owed),
            },
        }
    }

    fn most(&self) -> u64 {
        each!(self, algorithm => algorithm.most())
    }

    fn era(&self, now: Nanos) -> u64 {
        each!(self, algorithm => algorithm.era(now))
    }

    fn era_ms(&self) -> u64 {
        each!(self, algorithm => algorithm.era_ms())
    }

    fn ring_words(&self) -> usize {
        match self {
            Self::SlidingLog(log) => log.ring_words(),
            _ => 0,
        }
    }
}
