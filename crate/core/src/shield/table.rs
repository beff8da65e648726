//! Which record is whose: a fixed table, sets of eight, two sets to a source.
//!
//! ```text
//! set: tags 8 | records 8 x 8
//! claim: exchange the tag for "being claimed" -> has another claimed the same source? then that one is right
//!        -> exchange each word of the record -> exchange the tag for the new one
//! ```
//!
//! A claim whose process died is taken over after a second. A process that was only stopped, and goes on with a
//! claim that was taken over, fails at the next exchange: what it expects there is the old record's.
//!
//! When both sets are full, the source whose loss costs least makes room: one seen once before one seen often, and
//! a regular last. A blocked one never does.

use super::evict::{FREE, Worth};
use super::marks;
use super::record::{self, BLOCK, HABIT, Now, RECENT, RECORD};
use super::source::Source;
use super::words::Word;
use crate::atomic::{AtomicU64, Ordering, fence};
use crate::key::{Encoding, Secret};

/// Slots to a set.
pub(super) const WAYS: usize = 8;
const SET: usize = WAYS * (1 + RECORD);
/// Marks a tag that is being claimed: with eight bits of the source, and the millisecond of the claim, below.
pub(super) const CLAIMED: u64 = 0xff0f << 48;
pub(super) const CLAIMED_MS: u64 = (1 << 40) - 1;
pub(super) const KIND: u64 = 0xffff << 48;
pub(super) const ABANDONED_MS: u64 = 1_000;

/// Some sets of a shield's memory.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    words: &'a [AtomicU64],
    secret: Secret,
    pub(super) is_alone: bool,
}

/// The record of a source.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    words: &'a [AtomicU64],
    tag: u64,
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

    /// Steps a word that names its owner, unless the slot is another source's by now: a stopped process that goes
    /// on ends no one else's block.
    #[inline(always)]
    pub(super) fn step_own(self, index: usize, next: impl Fn(u64) -> u64) -> (u64, u64) {
        let is_others = |word: u64| word != 0 && marks::owned(word, self.owner) == 0;
        self.word(index).step(|word| if is_others(word) { word } else { next(word) })
    }

    /// Its block, if that is this source's.
    #[inline(always)]
    pub(super) fn block(self) -> marks::Block {
        marks::block(self.word(BLOCK).get(), self.owner)
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

/// What another process or thread has made of a source that this one claims.
enum Rival<'a> {
    Absent,
    Claiming,
    Settled(Record<'a>),
}

/// What is in a slot that is not empty.
pub(super) enum Use<'a> {
    Source(Record<'a>),
    Claim,
}

/// How many slots these words hold.
pub(super) fn slots(words: &[AtomicU64]) -> u64 {
    (words.len() / SET).saturating_mul(WAYS) as u64
}

/// How many words a table takes that holds `sources`.
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
    pub(super) fn record(&self, set: &'a [AtomicU64], way: usize, tag: u64) -> Record<'a> {
        let start = WAYS.wrapping_add(way.wrapping_mul(RECORD));
        let words = set.get(start..start.wrapping_add(RECORD)).unwrap_or(&[]);
        Record { words, tag, owner: marks::owner(tag), is_alone: self.is_alone }
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

    /// The same in each slot that has it: more than one for an instant, where a claim was stopped.
    pub(super) fn find_all(&self, source: Source) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let (table, wanted) = (*self, source.word());
        self.sets(source).into_iter().flat_map(move |set| {
            let found = tags(set, table.is_alone).enumerate();
            let found = found.filter(move |(_, tag)| tag.get() == wanted);
            found.map(move |(way, _)| table.record(set, way, wanted))
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
            let claim = CLAIMED | fingerprint(source) | (now.ms & CLAIMED_MS);
            if !tag.exchange(loss.tag, claim) {
                continue;
            }
            match self.rival(source, set, way, now) {
                // It may have been blocked since: a stopped process goes on with what it saw.
                Rival::Absent if self.record(set, way, loss.tag).block().left_ms(now) == 0 => {
                    let record = self.record(set, way, source.word());
                    if prepare(&record, tag, claim, now) && tag.exchange(claim, source.word()) {
                        return Found::New(record, loss.rank > FREE);
                    }
                }
                Rival::Settled(record) => {
                    tag.exchange(claim, loss.tag);
                    return Found::Known(record);
                }
                _ => {
                    tag.exchange(claim, loss.tag);
                    std::hint::spin_loop();
                }
            }
        }
        Found::Untracked
    }

    /// Whether the source is in another slot by now, or about to be: of two that claim it at once, one at least
    /// sees the other and gives way.
    fn rival(&self, source: Source, own: &[AtomicU64], own_way: usize, now: Now) -> Rival<'a> {
        if self.is_alone {
            return Rival::Absent;
        }
        fence(Ordering::SeqCst);
        let mut rival = Rival::Absent;
        for set in self.sets(source) {
            for (way, tag) in tags(set, false).enumerate() {
                let tag = tag.get();
                if way == own_way && std::ptr::eq(set, own) {
                    continue;
                }
                if tag == source.word() {
                    return Rival::Settled(self.record(set, way, tag));
                }
                let is_claimed = tag & !CLAIMED_MS == CLAIMED | fingerprint(source);
                if is_claimed && now.ms.abs_diff(tag & CLAIMED_MS) <= ABANDONED_MS {
                    rival = Rival::Claiming;
                }
            }
        }
        rival
    }

    /// Every slot that is not empty. Takes as long as there are slots.
    pub(super) fn uses(&self) -> impl Iterator<Item = Use<'a>> + use<'a> {
        let table = *self;
        self.words.chunks_exact(SET).flat_map(move |set| {
            tags(set, table.is_alone).enumerate().filter_map(move |(way, tag)| match tag.get() {
                0 => None,
                tag if tag & KIND == CLAIMED => Some(Use::Claim),
                tag => Some(Use::Source(table.record(set, way, tag))),
            })
        })
    }

    /// Every source that is remembered, with its record. Takes as long as there are slots.
    pub(super) fn all(&self) -> impl Iterator<Item = (Source, Record<'a>)> + use<'a> {
        self.uses().filter_map(|slot| match slot {
            Use::Source(record) => Source::of_word(record.tag).map(|source| (source, record)),
            Use::Claim => None,
        })
    }
}

/// Eight bits of the source, where a claim has them.
const fn fingerprint(source: Source) -> u64 {
    (marks::owner(source.word()) & 0xff) << 40
}

/// Makes the record that of a source seen for the first time. `false` if the claim was taken over meanwhile.
fn prepare(record: &Record<'_>, tag: Word<'_>, claim: u64, now: Now) -> bool {
    (0..RECORD).all(|index| {
        let word = record.word(index);
        let wanted = match index {
            HABIT => record::new_habit(now),
            RECENT => now.tick,
            _ => 0,
        };
        let seen = word.get();
        tag.get() == claim && (seen == wanted || word.exchange(seen, wanted))
    })
}

#[inline(always)]
pub(super) fn tags(set: &[AtomicU64], is_alone: bool) -> impl Iterator<Item = Word<'_>> {
    set.iter().take(WAYS).map(move |word| Word::new(word, is_alone))
}
