//! Who was told to wait, of those that were never let in: two of them to a word.
//!
//! A flood of new sources fills this and not the table of those that are known. An entry is a part of the source's
//! hash and the time until which it waits, in quarter seconds; sets of sixteen, the oldest goes first.

use super::record::Now;
use crate::atomic::{AtomicU64, Ordering};
use crate::failpoints;
use crate::key::Key;

const SET_WORDS: usize = 8;
const ENTRIES: usize = 2 * SET_WORDS;
/// A source is early by at most what it can be told, about a minute; and one that is an hour late was told nothing.
/// Without these bounds a time of hours ago would seem to lie ahead, because the counter comes round.
const EARLIEST: i16 = 300;
const LATEST: i16 = 16_384;

/// Unused for longer, it is cleared.
pub(super) const LONGEST_MS: u64 = 7_200_000;
/// How exactly is known when it was used.
pub(super) const REFRESH_MS: u64 = 60_000;

/// The waiting room.
#[derive(Clone, Copy)]
pub(super) struct Waiting<'a>(&'a [AtomicU64]);

/// Words for the sources of a shield.
pub(super) fn words(sources: usize) -> usize {
    sources.div_ceil(SET_WORDS).saturating_mul(SET_WORDS)
}

const fn quarter(ms: u64) -> u16 {
    ((ms >> 8) & 0xffff) as u16
}

impl<'a> Waiting<'a> {
    #[inline(always)]
    pub(super) const fn new(words: &'a [AtomicU64]) -> Self {
        Self(words)
    }

    #[expect(clippy::cast_possible_truncation, reason = "below the number of sets")]
    fn set(&self, key: Key) -> &'a [AtomicU64] {
        let sets = self.0.len() / SET_WORDS;
        let [set, _] = key.sets(sets as u64);
        let start = (set as usize).wrapping_mul(SET_WORDS);
        self.0.get(start..start.wrapping_add(SET_WORDS)).unwrap_or(&[])
    }

    /// By how many milliseconds the source returns late; negative if it returns early; `None` if it was told nothing.
    pub(super) fn find(&self, key: Key, now: Now) -> Option<i64> {
        let tag = tag(key);
        let now = quarter(now.ms);
        let late = |until: u16| now.wrapping_sub(until).cast_signed();
        let found = self.set(key).iter().find_map(|word| {
            let entries = entries(word.load(Ordering::Acquire)).into_iter();
            entries.filter(|entry| entry.0 == tag && entry.1 != 0).find_map(|(_, until)| {
                Some(late(until)).filter(|late| (-EARLIEST..LATEST).contains(late))
            })
        });
        found.map(|late| i64::from(late).saturating_mul(256))
    }

    /// Forgets all: of entries that are hours old the time can't be told from one to come.
    pub(super) fn clear(&self) {
        for word in self.0 {
            if word.load(Ordering::Relaxed) != 0 {
                word.store(0, Ordering::Release);
            }
        }
    }

    /// Remembers that the source was told to wait until then.
    pub(super) fn tell(&self, key: Key, until_ms: u64, now: Now) {
        let tag = tag(key);
        let until = quarter(until_ms).max(1);
        let at = quarter(now.ms);
        let set = self.set(key);
        let age = |(_, until): (u16, u16)| {
            if until == 0 {
                u16::MAX
            } else {
                at.wrapping_sub(until).wrapping_add(LATEST.unsigned_abs())
            }
        };
        let places = (0..ENTRIES).filter_map(|i| {
            let word = set.get(i / 2)?.load(Ordering::Acquire);
            let entry = *entries(word).get(i % 2)?;
            Some((age(entry), i, word))
        });
        let Some((_, place, seen)) = places.max_by_key(|(age, ..)| *age) else { return };
        let Some(word) = set.get(place / 2) else { return };
        let shift = if place.is_multiple_of(2) { 0 } else { 32 };
        let entry = (u64::from(tag) << 16) | u64::from(until);
        let value = (seen & !(0xffff_ffff << shift)) | (entry << shift);
        // Another thread was faster: one of both is not remembered, and waits again.
        let _ = word.compare_exchange(seen, value, Ordering::AcqRel, Ordering::Acquire);
        failpoints::after_step();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "16 of the bits are the tag")]
fn tag(key: Key) -> u16 {
    (key.fingerprint() >> 8) as u16
}

/// Tag and time of both.
#[expect(clippy::cast_possible_truncation, reason = "taken apart into 16 bits")]
const fn entries(word: u64) -> [(u16, u16); 2] {
    [((word >> 16) as u16, word as u16), ((word >> 48) as u16, (word >> 32) as u16)]
}
