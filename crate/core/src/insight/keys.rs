//! The keys that ask or are denied most, where others can read them.

use super::layout::{ENTRY, LANES};
use super::names::tells_apart;
use super::space_saving::{Shown, SpaceSaving};
use super::{Insight, KeyStyle};
use crate::atomic::{AtomicU64, Ordering, fence};
use std::collections::HashMap;

/// A key that came often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopKey {
    /// The row of its limit.
    pub row: usize,
    /// How often it came, at most.
    pub count: u64,
    /// By how much the count may be too large.
    pub error: u64,
    /// Its name; empty if it came once.
    pub name: String,
}

/// One entry, as it was read.
struct Entry {
    hash: u64,
    key: TopKey,
}

/// A lane's table of keys, in words.
pub(super) struct ShownKeys<'a> {
    words: &'a [AtomicU64],
    width: usize,
}

impl<'a> ShownKeys<'a> {
    pub(super) fn new(insight: &'a Insight, lane: usize, table: usize) -> Self {
        let layout = insight.layout;
        let start = layout.table_start(lane, table);
        let end = layout.table_start(lane, table.saturating_add(1));
        let words = insight.memory.get(start..end).unwrap_or_default();
        Self { words, width: layout.entry_words() }
    }

    fn entry(&self, entry: usize) -> Option<(&[AtomicU64; ENTRY], &[AtomicU64])> {
        let start = entry.saturating_mul(self.width);
        self.words.get(start..start.saturating_add(self.width))?.split_first_chunk()
    }

    fn read(&self) -> impl Iterator<Item = Entry> {
        self.words.chunks(self.width).map_while(read)
    }
}

impl Shown for ShownKeys<'_> {
    #[inline(always)]
    fn count(&self, entry: usize, count: u64) {
        if let Some(([_, word, ..], _)) = self.entry(entry) {
            word.store(count, Ordering::Relaxed);
        }
    }

    fn replace(&self, entry: usize, hash: u64, row: usize, count: u64, error: u64) {
        let Some(([own, counted, wrong, about], _)) = self.entry(entry) else { return };
        own.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        counted.store(count, Ordering::Relaxed);
        wrong.store(error, Ordering::Relaxed);
        about.store(row as u64, Ordering::Relaxed);
        own.store(hash, Ordering::Release);
    }

    fn name(&self, entry: usize, name: &str) {
        let Some(([.., about], words)) = self.entry(entry) else { return };
        let room = words.len().saturating_mul(8).min(name.len());
        let end = (0..=room).rev().find(|&end| name.is_char_boundary(end)).unwrap_or_default();
        let name = name.as_bytes().get(..end).unwrap_or_default();
        for (word, bytes) in words.iter().zip(name.chunks(8)) {
            let mut all = [0; 8];
            for (one, byte) in all.iter_mut().zip(bytes) {
                *one = *byte;
            }
            word.store(u64::from_le_bytes(all), Ordering::Relaxed);
        }
        let row = about.load(Ordering::Relaxed) & ROW;
        about.store(row | (name.len() as u64) << LENGTH, Ordering::Release);
    }
}

/// The lower bits of an entry's fourth word are the row, those from here on the length of the name.
const LENGTH: u32 = 32;
const ROW: u64 = (1 << LENGTH) - 1;

/// `None` for an entry that no key has, from which on there are none.
fn read(words: &[AtomicU64]) -> Option<Entry> {
    let ([own, counted, wrong, about], text) = words.split_first_chunk()?;
    let hash = own.load(Ordering::Acquire);
    let (count, error) = (counted.load(Ordering::Relaxed), wrong.load(Ordering::Relaxed));
    let about = about.load(Ordering::Acquire);
    let bytes = text.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
    let length = usize::try_from(about >> LENGTH).unwrap_or_default();
    let bytes: Vec<u8> = bytes.take(length).collect();
    fence(Ordering::Acquire);
    // Another key's now: without a name it is not mistaken for that of the one before.
    let is_same = own.load(Ordering::Relaxed) == hash;
    let name = if is_same { String::from_utf8_lossy(&bytes).into_owned() } else { String::new() };
    let row = usize::try_from(about & ROW).unwrap_or_default();
    (count > 0).then_some(Entry { hash, key: TopKey { row, count, error, name } })
}

/// One line for each name. Limiters of one name that count apart, such as those of several processes or of before and
/// after a restart, hash a key in different ways.
fn by_name(keys: impl Iterator<Item = TopKey>, style: KeyStyle) -> Vec<TopKey> {
    let (named, others): (Vec<_>, Vec<_>) = keys.partition(|key| tells_apart(&key.name, style));
    let mut sums: HashMap<(usize, String), TopKey> = HashMap::new();
    for key in named {
        let (count, error) = (key.count, key.error);
        let sum = |sum: &mut TopKey| {
            sum.count = sum.count.saturating_add(count);
            sum.error = sum.error.saturating_add(error);
        };
        sums.entry((key.row, key.name.clone())).and_modify(sum).or_insert(key);
    }
    sums.into_values().chain(others).collect()
}

impl Insight {
    /// The keys that asked (0) or were denied (1) most, of all lanes, most first.
    ///
    /// A key that is not in the full table of a lane may have come there as often as the least of that table.
    #[must_use]
    pub fn top(&self, table: usize) -> Vec<TopKey> {
        let other_names = self.names_by_hash(1_usize.wrapping_sub(table));
        let mut keys: HashMap<u64, (TopKey, u64)> = HashMap::new();
        let mut all_least = 0_u64;
        for lane in 0..self.used().min(LANES - 1) {
            let entries: Vec<Entry> = ShownKeys::new(self, lane, table).read().collect();
            let is_full = entries.len() >= self.layout.entries;
            let least = entries.iter().map(|entry| entry.key.count).min().filter(|_| is_full);
            let least = least.unwrap_or_default();
            all_least = all_least.saturating_add(least);
            for Entry { hash, key } in entries {
                let none = TopKey { count: 0, error: 0, name: String::new(), ..key };
                let (sum, counted) = keys.entry(hash).or_insert((none, 0));
                sum.count = sum.count.saturating_add(key.count);
                sum.error = sum.error.saturating_add(key.error);
                *counted = counted.saturating_add(least);
                if sum.name.is_empty() {
                    sum.name = key.name;
                }
            }
        }
        let complete = |(hash, (key, counted)): (u64, (TopKey, u64))| {
            let missing = all_least.saturating_sub(counted);
            let known = other_names.get(&hash).filter(|_| key.name.is_empty());
            TopKey {
                count: key.count.saturating_add(missing),
                error: key.error.saturating_add(missing),
                name: known.cloned().unwrap_or(key.name),
                row: key.row,
            }
        };
        let mut top = by_name(keys.into_iter().map(complete), self.config.keys);
        top.sort_by(|a, b| {
            b.count
                .cmp(&a.count)
                .then_with(|| a.error.cmp(&b.error))
                .then_with(|| a.name.cmp(&b.name))
        });
        top.truncate(self.config.top);
        top
    }

    /// The names in a table. A key that calls twice in a row is named in one of them alone.
    fn names_by_hash(&self, table: usize) -> HashMap<u64, String> {
        let lanes = 0..self.used().min(LANES - 1);
        let entries = lanes.flat_map(|lane| {
            let shown = ShownKeys::new(self, lane, table);
            shown.read().collect::<Vec<Entry>>()
        });
        entries
            .map(|Entry { hash, key }| (hash, key.name))
            .filter(|(_, name)| !name.is_empty())
            .collect()
    }

    /// A lane's table, as the thread before has left it.
    pub(super) fn read_keys(&self, lane: usize, table: usize) -> SpaceSaving {
        let shown = ShownKeys::new(self, lane, table);
        let entries =
            shown.read().map(|Entry { hash, key }| (hash, key.count, !key.name.is_empty()));
        SpaceSaving::with(self.layout.entries, entries)
    }
}
