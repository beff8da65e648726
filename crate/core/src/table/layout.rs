//! How a table lies in its memory: a run of `AtomicU64`, borrowed from the owner of the bytes.
//!
//! ```text
//! header 32 | slots: sets * WAYS * 2 | epochs: sets | overflow 4096 | rings: slots * N | memo: lines * 8
//! ```
//!
//! No pointers, and all zero is an empty table: the same bytes work in the heap, in an anonymous
//! mapping, and in a mapping that processes share. Untouched pages cost nothing.

use crate::atomic::{AtomicU64, Ordering};
use std::hint::black_box;
use std::ops::Deref;

/// Slots to a set: 128 bytes, a cache line of F words and one of S words. A thread that looks for a key
/// reads a line that is hardly ever written, and only one line, not two, that other threads write all the
/// time. (Two slots under loom, which visits every interleaving.)
pub const WAYS: usize = if cfg!(loom) { 2 } else { 8 };
/// Overflow buckets: for keys whose every slot holds a blocked key.
pub const OVERFLOW: usize = if cfg!(loom) { 1 } else { 4096 };
/// Slots per expected key. At half load and two choices every live key finds a slot.
const SLOTS_PER_KEY: usize = 2;
/// Words to a line of the memo: a cache line. (Three under loom.)
pub(super) const LINE: usize = if cfg!(loom) { 3 } else { 8 };
/// Lines of the memo to a set, which make the memo as large as the slots.
const LINES_PER_SET: usize = if cfg!(loom) { 1 } else { 2 };
const HEADER: usize = 32;
const SLOT: usize = 2;

/// The header's words. The first line is read on every call and almost never written; the counters
/// are on a line of their own.
#[derive(Clone, Copy)]
pub(crate) enum HeaderWord {
    /// 0 while no key of this table was ever blocked.
    Blocks = 0,
    /// The epoch up to which the whole table has been cleared, plus one.
    Epoch = 1,
    /// The microsecond at which the last entry of the memo ends; 0 while there was none.
    Remembered = 2,
    /// Keys with debt that were evicted for a new key.
    Evictions = 16,
    /// Decisions made on overflow buckets.
    Overflows = 17,
    /// Keys that were moved to the memo for a new key.
    Moves = 18,
}

/// Where things lie in a region.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    sets: usize,
    ring: usize,
}

impl Layout {
    /// For `capacity` keys, each with `ring` words beside its slot. At least two sets.
    #[must_use]
    pub fn for_keys(capacity: usize, ring: usize) -> Self {
        let slots = capacity.saturating_mul(SLOTS_PER_KEY);
        Self { sets: slots.div_ceil(WAYS).max(2), ring }
    }

    /// Exactly this many sets, for tests.
    #[must_use]
    pub const fn for_sets(sets: usize, ring: usize) -> Self {
        Self { sets, ring }
    }

    /// Words the region needs.
    #[must_use]
    pub const fn words(&self) -> usize {
        self.memo_start().saturating_add(self.lines().saturating_mul(LINE))
    }

    /// Slots in all.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.sets.saturating_mul(WAYS)
    }

    pub(crate) const fn sets(&self) -> usize {
        self.sets
    }

    /// Lines of the memo.
    pub(crate) const fn lines(&self) -> usize {
        self.sets.saturating_mul(LINES_PER_SET)
    }

    const fn epoch_start(&self) -> usize {
        HEADER.saturating_add(self.slots().saturating_mul(SLOT))
    }

    const fn overflow_start(&self) -> usize {
        self.epoch_start().saturating_add(self.sets)
    }

    const fn ring_start(&self) -> usize {
        self.overflow_start().saturating_add(OVERFLOW)
    }

    /// At the beginning of a cache line.
    const fn memo_start(&self) -> usize {
        let end = self.ring_start().saturating_add(self.slots().saturating_mul(self.ring));
        end.div_ceil(LINE).saturating_mul(LINE)
    }
}

/// A slot: where it is, and its two words.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) set: usize,
    pub(crate) way: usize,
    pub(crate) f: &'a AtomicU64,
    pub(crate) s: &'a AtomicU64,
}

/// A table's memory, and where things lie in it.
#[derive(Debug)]
pub(crate) struct Region<M> {
    memory: M,
    layout: Layout,
}

impl<M: Deref<Target = [AtomicU64]>> Region<M> {
    /// `None` when the memory is smaller than the layout needs.
    pub(crate) fn new(memory: M, layout: Layout) -> Option<Self> {
        (memory.len() >= layout.words()).then_some(Self { memory, layout })
    }

    #[cfg(not(loom))]
    pub(crate) fn memory(&self) -> &[AtomicU64] {
        &self.memory
    }

    pub(crate) const fn layout(&self) -> Layout {
        self.layout
    }

    // The lookups below can't fail: `new` has checked the length and every index is below the
    // layout's own bounds. They still go through checked slices, because a check that is never
    // taken costs less than an unsafe block that every reader has to check.

    #[inline(always)]
    pub(crate) fn header(&self, word: HeaderWord) -> Option<&AtomicU64> {
        self.memory.get(word as usize)
    }

    /// The slots of a set.
    #[inline(always)]
    pub(crate) fn slots(&self, set: usize) -> impl Iterator<Item = Slot<'_>> {
        let words = self.set(set).map_or(&[][..], |words| words);
        let (tags, states) = words.split_at(words.len() / SLOT);
        let pairs = tags.iter().zip(states).enumerate();
        pairs.map(move |(way, (f, s))| Slot { set, way, f, s })
    }

    /// A bit for each slot of a set whose tag carries the fingerprint.
    ///
    /// Looks at all of them: a branch predictor can't guess where a key stands in its set, and a wrong
    /// guess costs the processor more than eight loads.
    #[inline(always)]
    pub(crate) fn hits(&self, set: usize, fingerprint: u64) -> u32 {
        let mut hits = 0;
        let words = self.set(set);
        // Fetches the line of the S words meanwhile: in a large table both lines are cache misses.
        black_box(words.map(|words| words[WAYS].load(Ordering::Relaxed)));
        for (way, f) in words.into_iter().flatten().take(WAYS).enumerate() {
            // Acquire: the S read next is at least as new as the tag that led to it.
            hits |= u32::from(f.load(Ordering::Acquire) >> 8 == fingerprint) << way;
        }
        hits
    }

    /// One slot of a set.
    #[inline(always)]
    pub(crate) fn slot(&self, set: usize, way: usize) -> Option<Slot<'_>> {
        let words = self.set(set)?;
        Some(Slot { set, way, f: words.get(way)?, s: words.get(way.wrapping_add(WAYS))? })
    }

    /// The words of a set: the F of every slot, then the S of every slot.
    #[inline(always)]
    fn set(&self, set: usize) -> Option<&[AtomicU64; WAYS * SLOT]> {
        self.memory.get(HEADER.wrapping_add(set.wrapping_mul(WAYS * SLOT))..)?.first_chunk()
    }

    /// The timestamps beside a slot; none unless the algorithm keeps a log.
    #[inline(always)]
    pub(crate) fn ring(&self, slot: Slot<'_>) -> &[AtomicU64] {
        if self.layout.ring == 0 {
            return &[];
        }
        let index = slot.set.wrapping_mul(WAYS).wrapping_add(slot.way);
        let start = self.layout.ring_start().wrapping_add(index.wrapping_mul(self.layout.ring));
        self.memory.get(start..start.wrapping_add(self.layout.ring)).unwrap_or(&[])
    }

    pub(crate) fn epoch(&self, set: usize) -> Option<&AtomicU64> {
        self.memory.get(self.layout.epoch_start().wrapping_add(set))
    }

    /// A line of the memo: a word that says when it was last written, then the words of entries.
    pub(crate) fn line(&self, line: usize) -> Option<(&AtomicU64, &[AtomicU64; LINE - 1])> {
        let start = self.layout.memo_start().wrapping_add(line.wrapping_mul(LINE));
        let (written, entries) = self.memory.get(start..)?.split_first()?;
        Some((written, entries.first_chunk()?))
    }

    pub(crate) fn overflow(&self, index: usize) -> Option<&AtomicU64> {
        self.memory.get(self.layout.overflow_start().wrapping_add(index % OVERFLOW))
    }
}
