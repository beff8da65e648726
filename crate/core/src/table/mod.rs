//! The table: fixed capacity, no pointers, no locks, nothing that grows.
//!
//! ```text
//! charge(key, cost):
//!     find the key's slot                              loads only
//!     step(value, now, cost)                           pure
//!       denied   -> answer                             nothing written
//!       admitted -> exchange the word; lost? start over with a fresh clock reading
//!     no slot? claim one (see claim.rs), with the value after the first charge
//!     nowhere to claim? the word that strangers share
//! ```

#[cfg(not(loom))]
mod carry;
mod census;
mod claim;
mod era;
#[cfg(not(loom))]
mod heap;
#[cfg(not(loom))]
mod memory;
mod overflow;
mod region;
#[cfg(not(loom))]
mod resident;
mod word;

pub use census::Census;
#[cfg(not(loom))]
pub use heap::Heap;
#[cfg(not(loom))]
pub use memory::Memory;
pub use region::{Layout, OVERFLOW, WAYS};

use crate::algorithm::{Algorithm, Ring, State, Steps, Verdict};
use crate::atomic::{AtomicU64, Ordering};
use crate::clock::{Between, Clock};
use crate::decision::Reading;
use crate::key::Key;
use crate::limit::Limit;
use crate::nanos::Nanos;
use claim::{Claim, Holding, exchange, holder, put};
use era::Scope;
use region::{Header, Region, Slot};
use std::ops::Deref;
use word::{Kind, S};

/// A table for one policy; or, as a [`Varying`] limit sees it, one that other limits use too.
///
/// [`Varying`]: crate::algorithm::Varying
#[derive(Debug)]
pub struct Table<M, A: Steps = Algorithm> {
    region: Region<M>,
    algorithm: A,
    strangers: A::Strangers,
    scope: Scope,
}

/// A slot, with the state that was seen in it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    slot: Slot<'a>,
    s: S,
}

/// What a charge left behind, so that exactly that charge can be taken back.
#[derive(Clone, Copy, Debug)]
pub enum Receipt {
    /// The value after the charge.
    Slot(u64),
    /// A charge on the words that strangers share.
    Shared,
}

/// The answer to a charge.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Present if the cost was charged.
    pub receipt: Option<Receipt>,
    /// What the key's state says after it; zeros unless details were asked for.
    pub reading: Reading,
}

/// A key never seen.
const UNSEEN: State<'static> = State { value: 0, ring: Ring::NONE };

impl<M: Deref<Target = [AtomicU64]>, A: Steps> Table<M, A> {
    /// A table over `memory`, which is all zero or was a table of the same policy and layout.
    /// `None` when the memory is too small.
    pub fn new(memory: M, layout: Layout, algorithm: A, limit: Limit) -> Option<Self> {
        let strangers = algorithm.strangers(limit);
        let scope = Scope::of(algorithm.era_ms());
        Some(Self { region: Region::new(memory, layout)?, algorithm, strangers, scope })
    }

    /// The largest cost that can ever be admitted.
    #[inline]
    pub fn most(&self) -> u64 {
        self.algorithm.most()
    }

    /// Charges `cost` to the key, or nothing.
    ///
    /// Nearly as fast as a rough look at the clock where that decides: when the bucket is in use, or
    /// the key is denied for a good while yet.
    #[inline(always)]
    pub fn allow(&self, key: Key, cost: u64, clock: &impl Clock) -> bool {
        if let Some(between) = clock.roughly()
            && let Some(admitted) = self.allow_between(key, cost, between)
        {
            return admitted;
        }
        self.charge(key, cost, clock, false).receipt.is_some()
    }

    #[inline(always)]
    fn allow_between(&self, key: Key, cost: u64, between: Between) -> Option<bool> {
        if !self.in_era(between.earliest) {
            return None;
        }
        let seen = self.find(key).filter(|seen| seen.s.kind() == Kind::Live)?;
        match self.algorithm.admit_between(self.state(seen), between, cost)? {
            Verdict::Denied => Some(false),
            Verdict::Admitted(value) => {
                let holding = Holding { kind: Kind::Live, value };
                (put(seen, holding) == Claim::Done).then_some(true)
            }
        }
    }

    /// As [`Self::allow`]. `detail` asks for the reading.
    #[inline(always)]
    pub fn charge(&self, key: Key, cost: u64, clock: &impl Clock, detail: bool) -> Outcome {
        loop {
            let now = clock.now();
            self.enter_era(key, now);
            let answer = match self.find(key) {
                Some(seen) if seen.s.kind() == Kind::Live => {
                    self.charge_at(seen, now, cost, detail)
                }
                found => self.charge_new(key, found, now, cost, detail),
            };
            if let Some(outcome) = answer {
                return outcome;
            }
        }
    }

    /// As [`Self::charge`] with details, but only a key that owes nothing: it admits one after the other.
    pub fn charge_empty(&self, key: Key, cost: u64, clock: &impl Clock) -> Outcome {
        loop {
            let now = clock.now();
            self.enter_era(key, now);
            let found = self.find(key);
            if let Some(seen) = found.filter(|seen| seen.s.kind() == Kind::Live) {
                let reading = self.algorithm.read(self.state(seen), now, cost);
                if reading.reset_ms > 0 {
                    return Outcome { receipt: None, reading: reading.paced() };
                }
            }
            let answer = match found {
                Some(seen) if seen.s.kind() == Kind::Live => self.charge_at(seen, now, cost, true),
                found => self.charge_new(key, found, now, cost, true),
            };
            if let Some(outcome) = answer {
                return outcome;
            }
        }
    }

    /// Charges a key that has a slot. `None`: somebody else was faster.
    #[inline(always)]
    fn charge_at(&self, seen: Seen<'_>, now: Nanos, cost: u64, detail: bool) -> Option<Outcome> {
        let state = self.state(seen);
        let Some(next) = self.algorithm.admit(state, now, cost) else {
            let reading = told(detail, || self.algorithm.read(state, now, cost));
            return self.unmoved(seen).then_some(Outcome { receipt: None, reading });
        };
        let reading = told(detail, || self.algorithm.read_admitted(state, next, now, cost));
        self.algorithm.settle(state, now);
        exchange(seen.slot.s, seen.s, seen.s.holding(Kind::Live, next))
            .then_some(Outcome { receipt: Some(Receipt::Slot(next)), reading })
    }

    /// Charges a key that has no slot, or whose slot is just being claimed.
    #[cold]
    fn charge_new(
        &self,
        key: Key,
        found: Option<Seen<'_>>,
        now: Nanos,
        cost: u64,
        detail: bool,
    ) -> Option<Outcome> {
        let Some(value) = self.algorithm.admit(UNSEEN, now, cost) else {
            let reading = told(detail, || self.algorithm.read(UNSEEN, now, cost));
            return Some(Outcome { receipt: None, reading });
        };
        let holding = Holding { kind: Kind::Live, value };
        let claim = match found {
            Some(seen) => self.promote(key, seen, holding),
            None => self.claim(key, now, holding),
        };
        match claim {
            Claim::Done => Some(Outcome {
                receipt: Some(Receipt::Slot(value)),
                reading: told(detail, || self.algorithm.read_admitted(UNSEEN, value, now, cost)),
            }),
            Claim::Lost => None,
            Claim::Full => Some(self.charge_shared(key, now, cost)),
        }
    }

    /// What the key's state says now to somebody who asks for `cost`. Changes nothing.
    pub fn peek(&self, key: Key, cost: u64, clock: &impl Clock) -> Reading {
        loop {
            let now = clock.now();
            self.enter_era(key, now);
            let Some(seen) = self.find_held(key) else {
                return self.peek_new(key, now, cost);
            };
            let reading = self.algorithm.read(self.state(seen), now, cost);
            if self.unmoved(seen) {
                return reading;
            }
        }
    }

    fn peek_new(&self, key: Key, now: Nanos, cost: u64) -> Reading {
        if self.has_room(key, now) {
            return self.algorithm.read(UNSEEN, now, cost);
        }
        self.peek_shared(key, now, cost)
    }

    /// Gives `units` back to the key. Nothing happens when it owes none.
    pub fn refund(&self, key: Key, units: u64, clock: &impl Clock) {
        self.change(key, clock, |state, now| self.algorithm.refund(state, now, units));
    }

    /// Takes back the charge that the receipt is for.
    pub fn undo(&self, key: Key, units: u64, receipt: Receipt, clock: &impl Clock) {
        match receipt {
            Receipt::Shared => self.refund_shared(key, units, clock.now()),
            Receipt::Slot(value) => {
                self.change(key, clock, |state, now| self.algorithm.undo(state, now, value, units));
            }
        }
    }

    fn change(&self, key: Key, clock: &impl Clock, next: impl Fn(State<'_>, Nanos) -> u64) {
        loop {
            let now = clock.now();
            self.enter_era(key, now);
            let Some(seen) = self.find_held(key) else {
                return;
            };
            let state = self.state(seen);
            let value = next(state, now);
            if value == state.value {
                return;
            }
            self.algorithm.settle(state, now);
            if put(seen, Holding { kind: Kind::Live, value }) == Claim::Done {
                return;
            }
        }
    }

    /// Forgets the key and its block.
    pub fn reset(&self, key: Key) {
        for key in [key, key.block()] {
            while let Some(Seen { slot, s }) = self.find(key) {
                exchange(slot.s, s, s.freed());
            }
        }
    }

    /// Denies the key until `until_us`. `false` when every slot it may use holds a blocked key.
    pub fn block(&self, key: Key, until_us: u64, clock: &impl Clock) -> bool {
        let holding = Holding { kind: Kind::Blocked, value: until_us };
        let key = key.block();
        if let Some(flag) = self.region.header(Header::Blocks) {
            // Release: whoever sees the block's slot sees the flag.
            flag.store(1, Ordering::Release);
        }
        loop {
            let claim = match self.find(key) {
                Some(seen) if seen.s.kind() == Kind::Blocked => put(seen, holding),
                Some(seen) => self.promote(key, seen, holding),
                None => self.claim(key, clock.now(), holding),
            };
            match claim {
                Claim::Done => return true,
                Claim::Full => return false,
                Claim::Lost => {}
            }
        }
    }

    /// Whether any key of this table was ever blocked by hand or by `blockFor`.
    #[inline(always)]
    pub fn has_blocks(&self) -> bool {
        // Acquire: pairs with the release in `block`.
        let flag = self.region.header(Header::Blocks);
        flag.is_some_and(|flag| flag.load(Ordering::Acquire) != 0)
    }

    /// Microseconds from `now` for which the key is blocked; 0 when it is not.
    pub fn blocked_for_us(&self, key: Key, now: Nanos) -> u64 {
        self.find_held(key.block()).map_or(0, |seen| seen.s.value().saturating_sub(now.whole_us()))
    }

    /// Live keys that had to go for a newcomer, since the table was made.
    pub fn evictions(&self) -> u64 {
        self.counted(Header::Evictions)
    }

    /// Decisions taken on the shared words, since the table was made.
    pub fn overflows(&self) -> u64 {
        self.counted(Header::Overflows)
    }

    /// Bytes the table occupies if every page of it is used.
    pub const fn bytes(&self) -> usize {
        self.region.layout().words().saturating_mul(size_of::<u64>())
    }

    /// Bytes of it that this process has touched so far, or `None` where the system does not say.
    #[cfg(not(loom))]
    pub fn resident(&self) -> Option<u64> {
        resident::resident(self.region.memory())
    }

    /// The key's slot, or the claim of one that is under way.
    #[inline(always)]
    fn find(&self, key: Key) -> Option<Seen<'_>> {
        let [first, second] = self.sets(key);
        let fingerprint = key.fingerprint();
        match self.find_in(first?, fingerprint) {
            None => self.find_second(second?, fingerprint),
            found => found,
        }
    }

    #[inline(always)]
    fn find_in(&self, set: usize, fingerprint: u64) -> Option<Seen<'_>> {
        let mut hits = self.region.hits(set, fingerprint);
        while hits != 0 {
            let slot = self.region.slot(set, hits.trailing_zeros() as usize)?;
            if let Some(s) = holder(slot, fingerprint) {
                return Some(Seen { slot, s });
            }
            hits &= hits.wrapping_sub(1);
        }
        None
    }

    #[inline(never)]
    fn find_second(&self, set: usize, fingerprint: u64) -> Option<Seen<'_>> {
        self.find_in(set, fingerprint)
    }

    /// The key's slot, for those who only look. A claim of the same key may stand before it (one that
    /// came too late, or whose process died): whoever charges clears it away, others look past it.
    fn find_held(&self, key: Key) -> Option<Seen<'_>> {
        let held = |slot| holder(slot, key.fingerprint()).map(|s| Seen { slot, s });
        self.places(key).filter_map(held).find(|seen| seen.s.kind() != Kind::Claimed)
    }

    /// The sets a key may live in: two, or the only one there is.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "below the number of sets, a usize")]
    fn sets(&self, key: Key) -> [Option<usize>; 2] {
        match self.region.layout().sets() {
            1 => [Some(0), None],
            sets => key.sets(sets as u64).map(|set| Some(set as usize)),
        }
    }

    #[inline(always)]
    fn state<'a>(&'a self, seen: Seen<'a>) -> State<'a> {
        let (value, generation) = (seen.s.value(), seen.s.generation());
        match self.region.ring(seen.slot) {
            [] => State { value, ring: Ring::NONE },
            cells => State { value, ring: Ring::new(cells, generation, seen.slot.s, seen.s.0) },
        }
    }

    /// Whether what was read from word and ring belongs together. A word alone always does.
    #[inline(always)]
    fn unmoved(&self, seen: Seen<'_>) -> bool {
        self.algorithm.ring_words() == 0 || seen.slot.s.load(Ordering::Acquire) == seen.s.0
    }

    fn count(&self, counter: Header) {
        // Relaxed: a statistic. Off the hot path, and on a cache line of its own.
        if let Some(counter) = self.region.header(counter) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted(&self, counter: Header) -> u64 {
        self.region.header(counter).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

/// The reading, if anybody wants it.
#[inline]
fn told(detail: bool, read: impl FnOnce() -> Reading) -> Reading {
    if detail { read() } else { Reading::default() }
}
