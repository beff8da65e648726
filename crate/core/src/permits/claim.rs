//! Which slot is a key's, and how a key gets one. The protocol is that of `table/claim.rs`, whose notes say why it
//! must be this one; here a slot is free for other keys when its key holds no permit, and never before.
//!
//! ```text
//! a. word[v]: count 0, free or claimed -> claimed | generation + 1
//! b. tag[v]:  as it was -> fingerprint | generation + 1       on failure free word[v], start over
//! c. look at every other slot that the key may have, in the key's own order:
//!      the key's, counting          -> free mine, start over
//!      the key's, claimed, before   -> free mine, start over (and help that one)
//!      the key's, claimed, behind   -> free that one, look again
//! d. word[v]: claimed -> count 1                              announced, as every change of a count
//! ```

use super::Refusal;
use super::hand::Hand;
use super::ledger::{Ledger, WAYS};
use super::word::{Content, MAX_PERMITS, Word, fingerprint, tag};
use crate::atomic::{Ordering, fence};
use crate::key::Key;

/// How often to start over before there is no slot for the key. Only claims of the same slots make one start over.
const TRIES: u32 = 1_000;

impl Ledger<'_> {
    /// Takes a permit of the key. Answers its slot.
    #[inline(always)]
    pub(super) fn take(&self, hand: &Hand, key: Key, limit: u32) -> Result<usize, Refusal> {
        for _ in 0..TRIES {
            let Some((index, word)) = self.find(key) else {
                match self.claim(hand, key)? {
                    Some(index) => return Ok(index),
                    None => continue,
                }
            };
            let taken = match word.content() {
                // The slot was the key's when the word was read: it had as many then.
                Content::Count(count) if count >= limit => return Err(Refusal::PerKey),
                Content::Count(count) if count >= MAX_PERMITS => return Err(Refusal::Capacity),
                Content::Count(count) => self.add(hand, index, word, count),
                _ => self.promote(hand, key, index, word),
            };
            if taken {
                return Ok(index);
            }
        }
        Err(Refusal::Capacity)
    }

    /// One permit more.
    #[inline(always)]
    pub(super) fn add(&self, hand: &Hand, index: usize, word: Word, count: u32) -> bool {
        let held = self.held(hand.lane, index);
        self.set_count(hand, index, word, (count.wrapping_add(1), held.wrapping_add(1)))
    }

    /// Gives back `n` permits that the lane holds. False if it does not hold them.
    #[inline(always)]
    pub(super) fn give_back(&self, hand: &Hand, index: usize, n: u32) -> bool {
        let Some(held) = self.held(hand.lane, index).checked_sub(n) else { return false };
        loop {
            let word = self.read(index);
            let count = match word.content() {
                Content::Count(count) => count.checked_sub(n),
                _ => None,
            };
            // Only in memory that others have written wrong bytes to.
            let Some(count) = count else {
                self.set_held(hand.lane, index, held);
                return false;
            };
            if self.set_count(hand, index, word, (count, held)) {
                return true;
            }
        }
    }

    /// The key's slot, and its word.
    #[inline(always)]
    pub(super) fn find(&self, key: Key) -> Option<(usize, Word)> {
        let fingerprint = fingerprint(key);
        self.slots_of(key)
            .find_map(|index| self.owned(index, fingerprint).map(|word| (index, word)))
    }

    /// How many permits the key holds. A claim of its that was left behind in another slot counts nothing.
    pub(super) fn held_by(&self, key: Key) -> u32 {
        let fingerprint = fingerprint(key);
        let counts = self.slots_of(key).filter_map(|index| {
            match self.owned(index, fingerprint)?.content() {
                Content::Count(count) => Some(count),
                _ => None,
            }
        });
        counts.max().unwrap_or_default()
    }

    /// Steps a and b, then c and d. Refuses if each slot that the key may have is one of a key that holds permits.
    #[cold]
    fn claim(&self, hand: &Hand, key: Key) -> Result<Option<usize>, Refusal> {
        let (index, seen) = self.victim(key).ok_or(Refusal::Capacity)?;
        let generation = seen.generation().wrapping_add(1);
        let before = self.tag(index).load(Ordering::Acquire);
        if hand.is_alone {
            self.tag(index).store(tag(fingerprint(key), generation), Ordering::Relaxed);
            let word = Word::new(Content::Count(0), generation, seen.mark());
            return Ok(self.add(hand, index, word, 0).then_some(index));
        }
        let claimed = self.set_content(hand, index, seen, (Content::Claimed, generation));
        let Some(claimed) = claimed else { return Ok(None) };
        let ours = tag(fingerprint(key), generation);
        // SeqCst: with the fence in `promote`, each of two who claim for one key writes before it looks.
        let marked =
            self.tag(index).compare_exchange(before, ours, Ordering::SeqCst, Ordering::Relaxed);
        hand.stepped();
        if marked.is_err() {
            self.set_content(hand, index, claimed, (Content::Free, generation));
            return Ok(None);
        }
        Ok(self.promote(hand, key, index, claimed).then_some(index))
    }

    /// A slot without permits, in the set that has more of them. Else one that is being claimed: who claims it may
    /// have died.
    fn victim(&self, key: Key) -> Option<(usize, Word)> {
        let sets = self.sets_of(key).map(|first| {
            let slots = first..first.wrapping_add(WAYS);
            let mut idle = slots
                .map(|index| (index, self.read(index)))
                .filter(|(_, word)| matches!(word.content(), Content::Count(0) | Content::Free));
            let found = idle.next();
            (found, idle.count())
        });
        let [(first, more), (second, others)] = sets;
        let best = if others > more { second.or(first) } else { first.or(second) };
        best.or_else(|| {
            let slots = self.slots_of(key).map(|index| (index, self.read(index)));
            let mut claimed = slots.filter(|(_, word)| word.content() == Content::Claimed);
            claimed.next()
        })
    }

    /// Steps c and d, for a claim of this thread or another thread's claim for the same key.
    #[cold]
    fn promote(&self, hand: &Hand, key: Key, index: usize, claimed: Word) -> bool {
        fence(Ordering::SeqCst);
        if !self.has_no_rival(hand, key, index) {
            self.set_content(hand, index, claimed, (Content::Free, claimed.generation()));
            return false;
        }
        self.add(hand, index, claimed, 0)
    }

    /// Step c: whether no other slot has a better right to the key.
    fn has_no_rival(&self, hand: &Hand, key: Key, mine: usize) -> bool {
        let fingerprint = fingerprint(key);
        let mut before = true;
        for index in self.slots_of(key) {
            if index == mine {
                before = false;
                continue;
            }
            while let Some(rival) = self.owned(index, fingerprint) {
                if rival.content() != Content::Claimed || before {
                    return false;
                }
                self.set_content(hand, index, rival, (Content::Free, rival.generation()));
            }
        }
        true
    }
}
