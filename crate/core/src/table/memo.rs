//! The memo: who was denied and for how long, in a quarter of the bytes of a slot, for keys that had to give
//! their slots to others.
//!
//! A key may stand in two lines of 14 entries (see `memo_entry.rs`), which its fingerprint chooses. Words are
//! exchanged whole, so a process that dies leaves an entry there or not. Looking only loads.

use super::layout::{LINE, Region};
use super::memo_entry::{Entry, mark_of};
use crate::atomic::{AtomicU64, Ordering};
use crate::failpoints;
use std::ops::Deref;

/// Entries to a line.
const PER_LINE: usize = 2 * (LINE - 1);

/// An entry, where it stands, and how long it lasts.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    word: &'a AtomicU64,
    seen: u64,
    pub(super) entry: Entry,
    pub(super) left_us: u64,
}

/// A word that an entry was put into.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    word: &'a AtomicU64,
    before: u64,
    after: u64,
}

impl Placed<'_> {
    /// Whether another entry served already, which another thread may withdraw.
    pub(super) const fn is_borrowed(&self) -> bool {
        self.before == self.after
    }

    /// Takes the entry out again, unless the word has changed since.
    pub(super) fn withdraw(self) {
        if !self.is_borrowed() {
            exchange(self.word, self.after, self.before);
        }
    }
}

impl Found<'_> {
    /// Removes the entry. `false`: another thread changed the word.
    pub(super) fn remove(self) -> bool {
        self.replace(Entry::NONE)
    }

    /// Puts another entry in its place. `false`: another thread changed the word.
    pub(super) fn replace(self, by: Entry) -> bool {
        let pair = Entry::pair(self.seen).map(|half| if half == self.entry { by } else { half });
        exchange(self.word, self.seen, Entry::word(pair))
    }
}

/// Exchanges a word. `AcqRel`: what its finder does next comes after what its writer did before.
fn exchange(word: &AtomicU64, from: u64, to: u64) -> bool {
    let won = word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if won {
        failpoints::after_step();
    } else {
        failpoints::lost_exchange();
    }
    won
}

type Line<'a> = (&'a AtomicU64, &'a [AtomicU64; LINE - 1]);

impl<M: Deref<Target = [AtomicU64]>> Region<M> {
    /// The entry of this fingerprint, or of one with the same mark and a common line: of several the one that
    /// lasts longest.
    pub(super) fn recollect(&self, fingerprint: u64, now_us: u64) -> Option<Found<'_>> {
        let mark = mark_of(fingerprint);
        let lines = self.lines_of(fingerprint).into_iter().flatten();
        let words =
            lines.flat_map(|(written, words)| words.iter().map(move |word| (written, word)));
        let found = words.flat_map(|(written, word)| find(word, written, mark, now_us));
        found.flatten().max_by_key(|found| found.left_us)
    }

    /// Removes every entry with the fingerprint's mark from its lines.
    pub(super) fn forget(&self, fingerprint: u64) {
        let mark = mark_of(fingerprint);
        for (_, words) in self.lines_of(fingerprint).into_iter().flatten() {
            while put_in(words, |half| half.mark() == mark, |_| Entry::NONE).is_some() {}
        }
    }

    /// Remembers the fingerprint for this long, if one of its lines has room.
    pub(super) fn put(
        &self,
        fingerprint: u64,
        (now_us, left_us): (u64, u64),
    ) -> Option<Placed<'_>> {
        let entry = Entry::new(mark_of(fingerprint), now_us, left_us)?;
        let line = self.line_for(fingerprint, now_us)?;
        clear(line, now_us);
        let (written, words) = line;
        // Before the entry: who sees the entry sees a time that is not older. After the clearing: who sees the
        // time finds no entry that ended long before.
        written.fetch_max(now_us, Ordering::AcqRel);
        failpoints::after_step();
        let longer = |half: Entry| half.left_us(now_us, now_us) >= left_us;
        let same = |half: Entry| half.mark() == entry.mark();
        let renewed = |half| if longer(half) { half } else { entry };
        put_in(words, same, renewed).or_else(|| put_in(words, Entry::is_none, |_| entry))
    }

    /// Whether [`Self::put`] would find room.
    pub(super) fn has_line_for(&self, fingerprint: u64, now_us: u64) -> bool {
        self.line_for(fingerprint, now_us).is_some()
    }

    /// The line that has the mark, else the emptier one.
    fn line_for(&self, fingerprint: u64, now_us: u64) -> Option<Line<'_>> {
        let mark = mark_of(fingerprint);
        let used = |(written, words): Line<'_>| {
            let left = |half: Entry| half.left_us(now_us, written.load(Ordering::Acquire));
            let halves = words.iter().flat_map(|word| Entry::pair(word.load(Ordering::Acquire)));
            halves.filter(|half| left(*half) > 0).fold((true, 0_usize), |(is_new, used), half| {
                (is_new && half.mark() != mark, used.wrapping_add(1))
            })
        };
        let lines = self.lines_of(fingerprint).into_iter().flatten();
        let ranked = lines.map(|line| (used(line), line));
        let fitting = ranked.filter(|((is_new, used), _)| !is_new || *used < PER_LINE);
        fitting.min_by_key(|(rank, _)| *rank).map(|(_, line)| line)
    }

    /// The two lines of a fingerprint, by other bits of it than the mark; the same for a key and its block.
    fn lines_of(&self, fingerprint: u64) -> [Option<Line<'_>>; 2] {
        /// The golden ratio: the second line depends on all bits.
        const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
        let lines = self.layout().lines() as u64;
        let among = |hash: u64| self.line((hash.wrapping_mul(lines) >> 32) as usize);
        [among(fingerprint >> 24), among((fingerprint >> 1).wrapping_mul(MIX) >> 32)]
    }
}

/// The entries of a word with this mark.
fn find<'a>(
    word: &'a AtomicU64,
    written: &AtomicU64,
    mark: u32,
    now_us: u64,
) -> [Option<Found<'a>>; 2] {
    // Acquire: the time read next is at least as new as the entry.
    let mut seen = word.load(Ordering::Acquire);
    loop {
        let pair = Entry::pair(seen);
        if pair.iter().all(|half| half.mark() != mark) {
            return [None, None];
        }
        let written_us = written.load(Ordering::Acquire);
        // Read twice: with a time from after the word was cleared, an entry that ended long ago could look as
        // if it was to come.
        let again = word.load(Ordering::Acquire);
        if again == seen {
            return pair.map(|entry| {
                let left_us = entry.left_us(now_us, written_us);
                let is_found = entry.mark() == mark && left_us > 0;
                is_found.then_some(Found { word, seen, entry, left_us })
            });
        }
        seen = again;
    }
}

/// Removes what has ended.
fn clear((written, words): Line<'_>, now_us: u64) {
    let written_us = written.load(Ordering::Acquire);
    for word in words {
        let kept =
            |half: Entry| if half.left_us(now_us, written_us) > 0 { half } else { Entry::NONE };
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let next = Entry::word(Entry::pair(seen).map(kept));
            if next == seen || exchange(word, seen, next) {
                break;
            }
            seen = word.load(Ordering::Acquire);
        }
    }
}

/// Puts an entry in place of the first half that is `right`.
fn put_in(
    words: &[AtomicU64],
    right: impl Fn(Entry) -> bool,
    next: impl Fn(Entry) -> Entry,
) -> Option<Placed<'_>> {
    for word in words {
        let mut before = word.load(Ordering::Acquire);
        while let Some(after) = with_next(before, &right, &next) {
            if after == before || exchange(word, before, after) {
                return Some(Placed { word, before, after });
            }
            before = word.load(Ordering::Acquire);
        }
    }
    None
}

fn with_next(
    word: u64,
    right: impl Fn(Entry) -> bool,
    next: impl Fn(Entry) -> Entry,
) -> Option<u64> {
    match Entry::pair(word) {
        [low, high] if right(low) => Some(Entry::word([next(low), high])),
        [low, high] if right(high) => Some(Entry::word([low, next(high)])),
        _ => None,
    }
}
