//! Which record is whose: a fixed table, sets of eight, two sets to a source.
//!
//! ```text
//! set: tags 8 | records 8 x 8
//! claim: exchange the tag for "being claimed" -> write the record -> write the new tag
//! ```
//!
//! A claim whose process died is taken over after a second. When both sets are full, the source whose loss costs
//! least makes room: one seen once before one seen often, and never a blocked one or a regular of this hour.

use super::record::{self, BLOCK, HABIT, Now, PACE, RECENT, RECORD};
use super::source::Source;
use super::words::Word;
use crate::atomic::AtomicU64;
use crate::key::{Encoding, Secret};

/// Slots to a set.
pub(super) const WAYS: usize = 8;
const SET: usize = WAYS * (1 + RECORD);
/// Marks a tag that is being claimed: with the millisecond of the claim below.
const CLAIMED: u64 = 0xff0f << 48;
const KIND: u64 = 0xffff << 48;
const ABANDONED_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600_000;
const IDLE_MS: u64 = 600_000;

/// What tells a source that matters from one that does not.
#[derive(Clone, Copy)]
pub(super) struct Worth {
    pub(super) regular_after_ms: u64,
    pub(super) regular_requests: u64,
}

/// Some sets of a shield's memory.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    words: &'a [AtomicU64],
    secret: Secret,
    is_alone: bool,
}

/// The record of a source.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    words: &'a [AtomicU64],
    pub(super) owner: u64,
    is_alone: bool,
}

impl<'a> Record<'a> {
    /// One of its words; past the end there is none.
    #[inline(always)]
    pub(super) fn word(self, index: usize) -> Word<'a> {
        static NONE: AtomicU64 = AtomicU64::new(0);
        Word::new(self.words.get(index).unwrap_or(&NONE), self.is_alone)
    }
}

/// What became of a search.
pub(super) enum Found<'a> {
    Known(Record<'a>),
    /// Seen for the first time, or forgotten; whether another was forgotten for it.
    New(Record<'a>, bool),
    /// There is no room for it.
    Untracked,
}

/// Words of a table for so many sources.
pub(super) fn words(sources: usize) -> usize {
    sources.div_ceil(WAYS).max(2).saturating_mul(SET)
}

impl<'a> Table<'a> {
    #[inline(always)]
    pub(super) const fn new(words: &'a [AtomicU64], secret: Secret, is_alone: bool) -> Self {
        Self { words, secret, is_alone }
    }

    /// The hash of a source, for its sets and for its lot.
    #[inline(always)]
    pub(super) fn key(&self, source: Source) -> crate::key::Key {
        self.secret.key(&source.word().to_le_bytes(), Encoding::Utf8)
    }

    #[inline(always)]
    fn sets(&self, source: Source) -> [&'a [AtomicU64]; 2] {
        let count = self.words.len() / SET;
        self.key(source).sets(count as u64).map(|set| self.set(set))
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "below the number of sets")]
    fn set(&self, index: u64) -> &'a [AtomicU64] {
        let start = (index as usize).wrapping_mul(SET);
        self.words.get(start..start.wrapping_add(SET)).unwrap_or(&[])
    }

    #[inline(always)]
    fn record(&self, set: &'a [AtomicU64], way: usize, tag: u64) -> Record<'a> {
        let start = WAYS.wrapping_add(way.wrapping_mul(RECORD));
        let words = set.get(start..start.wrapping_add(RECORD)).unwrap_or(&[]);
        Record { words, owner: record::owner(tag), is_alone: self.is_alone }
    }

    /// The record, if the source is remembered. Changes nothing.
    #[inline(always)]
    pub(super) fn find(&self, source: Source) -> Option<Record<'a>> {
        let tag = source.word();
        self.sets(source).into_iter().find_map(|set| {
            let way = tags(set, self.is_alone).position(|seen| seen.get() == tag)?;
            Some(self.record(set, way, tag))
        })
    }

    /// The record, made if need be.
    #[inline(always)]
    pub(super) fn find_or_claim(&self, source: Source, worth: Worth, now: Now) -> Found<'a> {
        match self.find(source) {
            Some(record) => Found::Known(record),
            None => self.claim(source, worth, now),
        }
    }

    #[cold]
    fn claim(&self, source: Source, worth: Worth, now: Now) -> Found<'a> {
        // Another thread may be faster, a few times.
        for _ in 0..4 {
            let candidates = self.sets(source).into_iter().flat_map(|set| {
                (0..WAYS)
                    .filter_map(move |way| self.loss(set, way, worth, now).map(|l| (l, set, way)))
            });
            let Some((loss, set, way)) = candidates.min_by_key(|(loss, ..)| *loss) else { break };
            let Some(tag) = tags(set, self.is_alone).nth(way) else { break };
            let seen = loss.tag;
            if !tag.exchange(seen, CLAIMED | (now.ms & !KIND)) {
                continue;
            }
            let record = self.record(set, way, source.word());
            for index in 0..RECORD {
                record.word(index).set(0);
            }
            record.word(HABIT).set(record::new_habit(now));
            record.word(RECENT).set(now.tick);
            tag.set(source.word());
            return Found::New(record, loss.rank > FREE);
        }
        Found::Untracked
    }

    /// What it would cost to forget what is there; `None` if that must not be.
    fn loss(&self, set: &'a [AtomicU64], way: usize, worth: Worth, now: Now) -> Option<Loss> {
        let tag = tags(set, self.is_alone).nth(way)?.get();
        if tag == 0 {
            return Some(Loss { rank: FREE, stay: 0, tag });
        }
        if tag & KIND == CLAIMED {
            let age = now.ms.abs_diff(tag & !KIND);
            return (age > ABANDONED_MS).then_some(Loss { rank: FREE, stay: 1, tag });
        }
        let record = self.record(set, way, tag);
        let idle = now.since(record::last_tick(record.word(RECENT).get()));
        let block = record::block(record.word(BLOCK).get(), record.owner);
        if block.left_ms(now) > 0 {
            return None;
        }
        let requests = record::requests(record.word(PACE).get());
        let age = now.since(record::first_tick(record.word(HABIT).get()));
        let is_regular = requests >= worth.regular_requests && age >= worth.regular_after_ms;
        let rank = match () {
            () if !block.is_forgiven(now) => 4,
            () if is_regular && idle < HOUR_MS => return None,
            () if is_regular && idle < HOUR_MS.saturating_mul(24) => 5,
            () if idle > IDLE_MS => FREE,
            () if requests <= 1 => 2,
            () => 3,
        };
        Some(Loss { rank, stay: u64::MAX.wrapping_sub(idle), tag })
    }

    /// Every source that is remembered, with its record. Takes as long as there are slots.
    pub(super) fn all(&self) -> impl Iterator<Item = (Source, Record<'a>)> + use<'a> {
        let table = *self;
        self.words.chunks_exact(SET).flat_map(move |set| {
            (0..WAYS).filter_map(move |way| {
                let tag = set.get(way)?.load(crate::atomic::Ordering::Acquire);
                let source = Source::of_word(tag).filter(|_| tag & KIND != CLAIMED)?;
                Some((source, table.record(set, way, tag)))
            })
        })
    }
}

#[inline(always)]
fn tags(set: &[AtomicU64], is_alone: bool) -> impl Iterator<Item = Word<'_>> {
    set.iter().take(WAYS).map(move |word| Word::new(word, is_alone))
}

/// The rank of what nobody misses.
const FREE: u8 = 1;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Loss {
    rank: u8,
    /// The higher, the shorter ago it was seen.
    stay: u64,
    tag: u64,
}
