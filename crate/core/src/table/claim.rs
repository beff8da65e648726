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
//! 1. Anybody who finds a claim of its own key under way performs c and d on it with its own cost,
//!    so nobody ever waits for somebody who may have died.
//! 2. A claim may be taken over by anybody at any time. The 20 ms before that happens are a courtesy.
//! 3. b and c are a handshake (each side writes its own F, then reads the others'), which needs
//!    store-to-load ordering: one `SeqCst` fence, also for helpers, who wrote no F themselves but must
//!    not read the other F words earlier than the one that made them help.
//! 4. Each tempting simplification was shown to admit twice; `tests/protocol_model` keeps them.

use super::region::{Header, Slot, WAYS};
use super::word::{Kind, S, tag};
use super::{Seen, Table};
use crate::algorithm::{Debt, Steps};
use crate::atomic::{AtomicU64, Ordering, fence};
use crate::key::Key;
use crate::nanos::Nanos;
use crate::probe;
use std::cmp::Reverse;
use std::ops::Deref;

/// After this many milliseconds a claim counts as abandoned.
const ABANDONED_MS: u64 = 20;

/// A key goes to the second of its sets, whose lookup costs another cache miss, only when the first
/// has more than this many slots in use and the second fewer. That keeps sets from filling up: made for a million
/// keys, a table holds a million without evicting one.
const ROOMY: usize = 5;

/// How an attempt to give a key a slot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The key has its slot, with the value.
    Done,
    /// Somebody else moved first: look the key up again.
    Lost,
    /// Every slot the key may use holds a blocked key.
    Full,
}

/// What a claimed slot is to hold.
#[derive(Clone, Copy)]
pub(super) struct Holding {
    pub(super) kind: Kind,
    pub(super) value: u64,
}

/// The slot to take, as it was seen.
struct Victim<'a> {
    seen: Seen<'a>,
    f: u64,
    loss: Loss,
    /// Slots of its set that can't be had for nothing.
    crowd: usize,
}

impl Victim<'_> {
    /// Nothing is lost, and its set is not about to fill up.
    fn is_easy(&self) -> bool {
        self.loss < Loss::Claim && self.crowd <= ROOMY
    }

    /// Of two sets, the one where nothing is lost, or less; else the emptier one.
    fn rank(&self) -> (u64, u64) {
        match self.loss {
            Loss::Nothing | Loss::Place(_) => (0, self.crowd as u64),
            Loss::Claim => (1, 0),
            Loss::Debt(debt) => (2, debt),
        }
    }
}

/// What is lost with a slot, from least to most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    /// Nobody's, or a block that has ended.
    Nothing,
    /// An expired key's place. Longest idle first: a key that comes back finds its slot again, while
    /// taking any expired slot would have the keys of a set chase each other out of it.
    Place(Reverse<u64>),
    /// A claim that looks abandoned.
    Claim,
    /// So much debt, forgiven.
    Debt(u64),
}

/// Exchanges a word. `AcqRel`: publishes what the winner wrote before, to whoever reads the word next.
///
/// A table that only one thread uses could do without the locked instruction; that saves 1 to 2 ns of 78.
pub(super) fn exchange(word: &AtomicU64, from: S, to: S) -> bool {
    let won = word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if won {
        probe::exchanged(word, from.0, to.0);
    } else {
        probe::lost();
    }
    won
}

/// Gives a claimed or held slot its new content.
pub(super) fn put(seen: Seen<'_>, holding: Holding) -> Claim {
    let word = seen.s.holding(holding.kind, holding.value);
    if exchange(seen.slot.s, seen.s, word) { Claim::Done } else { Claim::Lost }
}

impl<M: Deref<Target = [AtomicU64]>, A: Steps> Table<M, A> {
    /// Steps a and b, then c and d.
    #[cold]
    pub(super) fn claim(&self, key: Key, now: Nanos, holding: Holding) -> Claim {
        let Some(Victim { seen, f, loss, .. }) = self.victim(key, now) else { return Claim::Full };
        let claimed = seen.s.claimed(now.whole_ms());
        if !exchange(seen.slot.s, seen.s, claimed) {
            return Claim::Lost;
        }
        if matches!(loss, Loss::Debt(_)) {
            self.count(Header::Evictions);
        }
        let ours = tag(key.fingerprint(), claimed.generation());
        // SeqCst: with the fence in `promote` this is the handshake of note 3.
        let is_marked =
            seen.slot.f.compare_exchange(f, ours, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        probe::stepped();
        if !is_marked {
            exchange(seen.slot.s, claimed, claimed.freed());
            return Claim::Lost;
        }
        self.promote(key, Seen { s: claimed, ..seen }, holding)
    }

    /// Steps c and d, for a claim of one's own or of somebody else's on the same key.
    #[cold]
    pub(super) fn promote(&self, key: Key, mine: Seen<'_>, holding: Holding) -> Claim {
        fence(Ordering::SeqCst);
        if !self.alone(key, mine.slot) {
            exchange(mine.slot.s, mine.s, mine.s.freed());
            return Claim::Lost;
        }
        put(mine, holding)
    }

    /// Step c: whether no other slot has a better right to the key.
    fn alone(&self, key: Key, mine: Slot<'_>) -> bool {
        let mut before = true;
        for slot in self.places(key) {
            if (slot.set, slot.way) == (mine.set, mine.way) {
                before = false;
                continue;
            }
            while let Some(rival) = holder(slot, key.fingerprint()) {
                if rival.kind() != Kind::Claimed || before {
                    return false;
                }
                exchange(slot.s, rival, rival.freed());
            }
        }
        true
    }

    /// The slot to take: the one whose loss costs least, in the set with more room.
    fn victim(&self, key: Key, now: Nanos) -> Option<Victim<'_>> {
        let [first, second] = self.sets(key);
        let first = self.victim_in(first?, now);
        if first.as_ref().is_some_and(Victim::is_easy) {
            return first;
        }
        let second = second.and_then(|set| self.victim_in(set, now));
        [first, second].into_iter().flatten().min_by_key(Victim::rank)
    }

    fn victim_in(&self, set: usize, now: Nanos) -> Option<Victim<'_>> {
        let mut best: Option<Victim<'_>> = None;
        let mut crowd = WAYS;
        for slot in self.region.slots(set) {
            // Acquire, S before F: the F seen is at least as new as the claim that S tells of.
            let s = S(slot.s.load(Ordering::Acquire));
            let f = slot.f.load(Ordering::Acquire);
            let seen = Seen { slot, s };
            let Some(loss) = self.loss(seen, now) else { continue };
            crowd = crowd.wrapping_sub(usize::from(loss < Loss::Claim));
            if best.as_ref().is_none_or(|best| loss < best.loss) {
                best = Some(Victim { seen, f, loss, crowd });
            }
        }
        best.map(|best| Victim { crowd, ..best })
    }

    /// What taking the slot would cost; `None` if it is not to be taken.
    ///
    /// A flood of fresh keys brings one unit of debt each, so while a set holds one of them no key
    /// with more debt goes. A key that is denied now never goes: forgetting it would let it in.
    fn loss(&self, seen: Seen<'_>, now: Nanos) -> Option<Loss> {
        let s = seen.s;
        match s.kind() {
            Kind::Free => Some(Loss::Nothing),
            Kind::Blocked => (s.value() <= now.whole_us()).then_some(Loss::Nothing),
            Kind::Claimed => {
                let age = now.whole_ms().abs_diff(s.value());
                (age > ABANDONED_MS).then_some(Loss::Claim)
            }
            Kind::Live => match self.algorithm.debt(self.state(seen), now) {
                Debt::None(idle) => Some(Loss::Place(Reverse(idle))),
                Debt::Some(debt) => Some(Loss::Debt(debt)),
                Debt::Blocked => None,
            },
        }
    }

    /// Whether the key has a place or could be given one.
    pub(super) fn has_room(&self, key: Key, now: Nanos) -> bool {
        self.victim(key, now).is_some()
    }

    /// Every slot the key may use, in the one order that all threads agree on.
    pub(super) fn places(&self, key: Key) -> impl Iterator<Item = Slot<'_>> {
        self.sets(key).into_iter().flatten().flat_map(|set| self.region.slots(set))
    }
}

/// The slot's state if it is the key's, live, blocked or being claimed.
#[inline(always)]
pub(super) fn holder(slot: Slot<'_>, fingerprint: u64) -> Option<S> {
    // Acquire: an S that matches the tag is at least as new as the tag.
    let seen = slot.f.load(Ordering::Acquire);
    if seen >> 8 != fingerprint {
        return None;
    }
    let s = S(slot.s.load(Ordering::Acquire));
    (tag(fingerprint, s.generation()) == seen && s.kind() != Kind::Free).then_some(s)
}
