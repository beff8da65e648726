//! Keys that had to give their slots to others: what the memo still knows of them.
//!
//! ```text
//! move(key):   memo: its entry    then    S: as seen -> claimed by the newcomer
//! return(key): S: claimed -> live, with what is left of its debt    then    memo: no entry
//! ```
//!
//! 1. At any instant the key is in its slot, in the memo, or in both; then the slot is right. So a process that
//!    dies at any instruction sets no key free.
//! 2. Before a claimed slot goes live, its claimer looks for rivals in the other slots and then into the memo
//!    (`promote` in `claim.rs`). A key that was moved meanwhile is found in one of the two.
//! 3. A denial loads only, and so does a look.

use super::claim::{Claim, Content};
use super::evict::Victim;
use super::layout::HeaderWord;
use super::memo::{Found, Placed};
use super::memo_entry::Entry;
use super::slot::{SlotState, tag};
use super::{Seen, Table};
use crate::algorithm::{Algorithm, Debt, State};
use crate::atomic::{AtomicU64, Ordering};
use crate::decision::{NEVER, Reading};
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

/// How many of the keys in a newcomer's slots the table tries to move.
const TRIES: usize = 4;

/// A key that could give up its slot, and for how long it would have to be remembered.
#[derive(Clone, Copy)]
struct Leaving<'a> {
    seen: Seen<'a>,
    f: u64,
    left_us: u64,
}

/// What is known of a key that has no slot.
#[derive(Clone, Copy)]
pub(super) enum Known<'a> {
    /// Nothing: it is new.
    New,
    /// What it owes, in a word.
    Owes(Found<'a>, u64),
    /// It is denied for this many microseconds.
    Denied(u64),
}

impl Known<'_> {
    pub(super) const fn entry(&self) -> Entry {
        match self {
            Self::Owes(found, _) => found.entry,
            Self::New | Self::Denied(_) => Entry::NONE,
        }
    }
}

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    /// What the memo knows of the fingerprint.
    pub(super) fn recollect(&self, fingerprint: u64, now: Nanos) -> Option<Found<'_>> {
        let now_us = now.whole_us();
        // Acquire: pairs with the release in `remember`.
        let last = self.region.header(HeaderWord::Remembered)?.load(Ordering::Acquire);
        if last <= now_us { None } else { self.region.recollect(fingerprint, now_us) }
    }

    /// What is known of a key that was not found in a slot.
    pub(super) fn known(&self, key: Key, now: Nanos) -> Known<'_> {
        let Some(found) = self.recollect(key.fingerprint(), now) else { return Known::New };
        match self.algorithm.recalled(now, found.left_us) {
            Some(value) => Known::Owes(found, value),
            None => Known::Denied(found.left_us),
        }
    }

    /// What the memo has to say to a key that has no slot; `None` if it does not know it.
    pub(super) fn peek_known(&self, key: Key, now: Nanos, cost: u64) -> Option<Reading> {
        match self.known(key, now) {
            Known::New => None,
            Known::Owes(_, value) => {
                Some(self.algorithm.read(State::without_ring(value), now, cost))
            }
            Known::Denied(left_us) => Some(self.read_denied(left_us, cost)),
        }
    }

    /// What is said to a key that is denied for so long, whatever it asks for.
    pub(super) fn read_denied(&self, left_us: u64, cost: u64) -> Reading {
        let wait_ms = left_us.div_ceil(1_000);
        let retry_ms = if cost > self.max_cost() { NEVER } else { wait_ms };
        Reading { remaining: 0, retry_ms, reset_ms: wait_ms }
    }

    /// Changes what a moved key owes, and gives it a slot again, unless it owes nothing then. `false`: another
    /// thread was faster.
    pub(super) fn change_known(
        &self,
        key: Key,
        now: Nanos,
        next: impl Fn(State<'_>, Nanos) -> u64,
    ) -> bool {
        let Known::Owes(found, value) = self.known(key, now) else { return true };
        let after = next(State::without_ring(value), now);
        if after == value {
            return true;
        }
        if after == 0 {
            return found.remove();
        }
        let content = Content { known: Some((now, found.entry)), ..Content::live(after) };
        match self.claim(key, now, content) {
            Claim::Done => {
                found.remove();
                true
            }
            Claim::Lost => false,
            // Nothing is given back: the memo has no room for less.
            Claim::Full => true,
        }
    }

    /// Removes whatever the memo knows of the fingerprint.
    pub(super) fn forget(&self, fingerprint: u64) {
        let is_empty = |last: &AtomicU64| last.load(Ordering::Acquire) == 0;
        if !self.region.header(HeaderWord::Remembered).is_none_or(is_empty) {
            self.region.forget(fingerprint);
        }
    }

    /// Remembers a fingerprint beside the slots.
    pub(super) fn remember(
        &self,
        fingerprint: u64,
        (now, left_us): (Nanos, u64),
    ) -> Option<Placed<'_>> {
        let now_us = now.whole_us();
        self.extend(now_us, left_us);
        self.region.put(fingerprint, (now_us, left_us))
    }

    /// From now on the memo is looked at until an entry that is put there now has ended.
    fn extend(&self, now_us: u64, left_us: u64) {
        if let Some(last) = self.region.header(HeaderWord::Remembered) {
            let end_us = now_us.saturating_add(left_us).saturating_add(Entry::latest_us(left_us));
            if last.load(Ordering::Acquire) < end_us {
                last.fetch_max(end_us, Ordering::AcqRel);
            }
        }
    }

    /// Moves a denied key out of a slot that the key may use: of those that can be moved, one whose denial ends
    /// soon.
    pub(super) fn move_denied(&self, key: Key, now: Nanos) -> Option<(Victim<'_>, Placed<'_>)> {
        self.each_leaving(key, now, |Leaving { seen, f, left_us }| {
            let placed = self.remember(f >> 8, (now, left_us))?;
            Some((Victim::moved(seen, f), placed))
        })
    }

    /// Whether a denied key could be moved out of a slot that the key may use.
    pub(super) fn can_move(&self, key: Key, now: Nanos) -> bool {
        let has_line = |Leaving { f, .. }: Leaving<'_>| {
            self.region.has_line_for(f >> 8, now.whole_us()).then_some(())
        };
        self.each_leaving(key, now, has_line).is_some()
    }

    fn each_leaving<'a, T>(
        &'a self,
        key: Key,
        now: Nanos,
        act: impl Fn(Leaving<'a>) -> Option<T>,
    ) -> Option<T> {
        let mut tried = 0_u32;
        for _ in 0..TRIES {
            let slots = self.slots_of(key).enumerate();
            let untried = slots.filter(|(index, _)| (tried >> index) & 1 == 0);
            let leaving = untried.filter_map(|(index, slot)| {
                // Acquire, S before F: see `victim_in`.
                let s = super::StateWord(slot.s.load(Ordering::Acquire));
                let f = slot.f.load(Ordering::Acquire);
                Some((index, self.leaving(Seen { slot, s }, f, now)?))
            });
            let (index, leaving) = leaving.min_by_key(|(_, leaving)| leaving.left_us)?;
            if let Some(done) = act(leaving) {
                return Some(done);
            }
            tried |= 1 << index;
        }
        None
    }

    /// How long the slot's key would have to be remembered; `None` unless it is denied, or if it can't be.
    fn leaving<'a>(&self, seen: Seen<'a>, f: u64, now: Nanos) -> Option<Leaving<'a>> {
        let left_us = match seen.s.kind() {
            SlotState::Blocked => Some(seen.s.value().saturating_sub(now.whole_us())),
            SlotState::Live => {
                let state = self.state(seen);
                let is_denied = self.algorithm.debt(state, now) == Debt::Blocked;
                let lasting_us =
                    if is_denied { self.algorithm.lasting_us(state, now) } else { None };
                // A longer one is seen by a clock that is behind: what it would note is wrong for the others.
                lasting_us.filter(|lasting_us| *lasting_us <= self.longest_us)
            }
            SlotState::Free | SlotState::Claimed => None,
        };
        let is_whole = f == tag(f >> 8, seen.s.generation());
        left_us.filter(|left_us| is_whole && *left_us > 0).map(|left_us| Leaving {
            seen,
            f,
            left_us,
        })
    }

    /// After the slot of a moved key was taken: makes sure that the entry is there, if it was another thread's.
    pub(super) fn confirm(&self, victim: &Victim<'_>, placed: Placed<'_>, now: Nanos) {
        let fingerprint = victim.f >> 8;
        if placed.is_borrowed()
            && self.recollect(fingerprint, now).is_none()
            && let Some(Leaving { left_us, .. }) = self.leaving(victim.seen, victim.f, now)
        {
            self.remember(fingerprint, (now, left_us));
        }
    }

    /// After the slot could not be taken: takes the entry out again, unless the slot went to another newcomer,
    /// who may count on it.
    pub(super) fn withdraw(victim: &Victim<'_>, placed: Placed<'_>) {
        let s = super::StateWord(victim.seen.slot.s.load(Ordering::Acquire));
        if s.generation() == victim.seen.s.generation() {
            placed.withdraw();
        }
    }
}
