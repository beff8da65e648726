//! Giving a key a slot: the part that must not be improvised.
//!
//! ```text
//! a. S[v]: seen -> claimed | generation + 1 | now     old-owner operations fail from here on
//! b. F[v]: seen -> fingerprint | generation + 1       on failure free S[v], start over
//! c. look at every other slot the key may use, in the one order fixed for the key:
//!      the key, live             -> free mine, start over
//!      the key, claimed, before  -> free mine, start over (and help that one)
//!      the key, claimed, behind  -> free that one, look again
//! d. S[v]: claimed -> live | value after the first charge
//! ```
//!
//! 1. A thread that finds a claim of its own key under way performs c and d on it with its own cost,
//!    so no thread ever waits for another one that may have died.
//! 2. Any thread may take over a claim at any time. The 20 ms before that happens are a courtesy.
//! 3. b and c are a handshake (each side writes its own F, then reads the others'), which needs
//!    store-to-load ordering: one `SeqCst` fence, also for helpers, who wrote no F themselves but must
//!    not read the other F words earlier than the one that made them help.
//! 4. Each tempting simplification was shown to admit twice; `tests/protocol_model` keeps them.

use super::evict::{Loss, Victim};
use super::layout::{HeaderWord, Slot};
use super::memo::Placed;
use super::memo_entry::Entry;
use super::slot::{SlotState, StateWord, tag};
use super::{Seen, Table};
use crate::algorithm::Algorithm;
use crate::atomic::{self, AtomicU64, Ordering, fence};
use crate::failpoints;
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

/// How an attempt to give a key a slot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The key has its slot, with the value.
    Done,
    /// Another thread moved first: look the key up again.
    Lost,
    /// Every slot the key may use holds a blocked key.
    Full,
}

/// What a claimed slot is to hold.
#[derive(Clone, Copy)]
pub(super) struct Content {
    pub(super) kind: SlotState,
    pub(super) value: u64,
    /// When the memo was asked about the key, and what it knew, if the value depends on that.
    pub(super) known: Option<(Nanos, Entry)>,
}

impl Content {
    /// A key's state.
    pub(super) const fn live(value: u64) -> Self {
        Self { kind: SlotState::Live, value, known: None }
    }
}

/// Exchanges a state word.
pub(super) fn exchange(word: &AtomicU64, from: StateWord, to: StateWord) -> bool {
    atomic::exchange(word, from.0, to.0)
}

/// As [`exchange`], in a table that only this thread uses.
#[inline(always)]
pub(super) fn exchange_alone(word: &AtomicU64, from: StateWord, to: StateWord) -> bool {
    let won = word.load(Ordering::Relaxed) == from.0;
    if won {
        word.store(to.0, Ordering::Relaxed);
        failpoints::exchanged(word, from.0, to.0);
    }
    won
}

/// Gives a claimed or held slot its new content.
pub(super) fn store_state(seen: Seen<'_>, content: Content) -> Claim {
    let word = seen.s.holding(content.kind, content.value);
    if exchange(seen.slot.s, seen.s, word) { Claim::Done } else { Claim::Lost }
}

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    /// Steps a and b, then c and d.
    #[cold]
    pub(super) fn claim(&self, key: Key, now: Nanos, content: Content) -> Claim {
        let Some((victim, moved)) = self.vacate(key, now) else { return Claim::Full };
        let Victim { seen, f, loss, .. } = victim;
        let claimed = seen.s.claimed(now.whole_ms());
        if !exchange(seen.slot.s, seen.s, claimed) {
            if let Some(placed) = moved {
                Self::withdraw(&victim, placed);
            }
            return Claim::Lost;
        }
        if let Some(placed) = moved {
            self.confirm(&victim, placed, now);
            self.count(HeaderWord::Moves);
        } else if matches!(loss, Loss::Debt(_)) {
            self.count(HeaderWord::Evictions);
        }
        let ours = tag(key.fingerprint(), claimed.generation());
        // SeqCst: with the fence in `promote` this is the handshake of note 3.
        let is_marked =
            seen.slot.f.compare_exchange(f, ours, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        failpoints::after_step();
        if !is_marked {
            exchange(seen.slot.s, claimed, claimed.freed());
            return Claim::Lost;
        }
        self.promote(key, Seen { s: claimed, ..seen }, content)
    }

    /// The slot to take: where nothing is lost, else that of a denied key that can be moved to the memo. A debt is
    /// forgiven only where there is no such key.
    fn vacate(&self, key: Key, now: Nanos) -> Option<(Victim<'_>, Option<Placed<'_>>)> {
        let victim = self.victim(key, now);
        if victim.as_ref().is_some_and(|victim| !matches!(victim.loss, Loss::Debt(_))) {
            return victim.map(|victim| (victim, None));
        }
        let moved = self.move_denied(key, now).map(|(victim, placed)| (victim, Some(placed)));
        moved.or_else(|| victim.map(|victim| (victim, None)))
    }

    /// Steps c and d, for this thread's own claim or another thread's claim of the same key.
    #[cold]
    pub(super) fn promote(&self, key: Key, mine: Seen<'_>, content: Content) -> Claim {
        fence(Ordering::SeqCst);
        if !self.has_no_rival(key, mine.slot) || !self.is_known(key, content) {
            exchange(mine.slot.s, mine.s, mine.s.freed());
            return Claim::Lost;
        }
        store_state(mine, content)
    }

    /// Whether the memo still knows of the key what it did. Asked after the slots: a key that was moved meanwhile
    /// was in the memo before it left its slot.
    fn is_known(&self, key: Key, content: Content) -> bool {
        content.known.is_none_or(|(now, entry)| {
            self.recollect(key.fingerprint(), now).map_or(Entry::NONE, |found| found.entry) == entry
        })
    }

    /// Step c: whether no other slot has a better right to the key.
    fn has_no_rival(&self, key: Key, mine: Slot<'_>) -> bool {
        let mut before = true;
        for slot in self.slots_of(key) {
            if (slot.set, slot.way) == (mine.set, mine.way) {
                before = false;
                continue;
            }
            while let Some(rival) = owner_of(slot, key.fingerprint()) {
                if rival.kind() != SlotState::Claimed || before {
                    return false;
                }
                exchange(slot.s, rival, rival.freed());
            }
        }
        true
    }
}

/// The slot's state if it belongs to the key: live, blocked or being claimed.
#[inline(always)]
pub(super) fn owner_of(slot: Slot<'_>, fingerprint: u64) -> Option<StateWord> {
    // Acquire: an S that matches the tag is at least as new as the tag.
    let seen = slot.f.load(Ordering::Acquire);
    if seen >> 8 != fingerprint {
        return None;
    }
    let s = StateWord(slot.s.load(Ordering::Acquire));
    (tag(fingerprint, s.generation()) == seen && s.kind() != SlotState::Free).then_some(s)
}
