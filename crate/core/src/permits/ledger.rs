//! Where things are in the memory of permits. All zero is one in which no permit is held.
//!
//! ```text
//! total 16 | sets: (tag 8, word 8) each | lanes: (busy, announced, intended, …: 8 | permits held of each slot, 2 a word) each
//! ```
//!
//! Slot 0 is that of the total over all keys; those of keys come after it.

use super::word::{Content, Word, fingerprint_of, tag};
use crate::atomic::{AtomicU64, Ordering};
use crate::key::Key;

/// Slots of a set. (One under loom: a key has two sets.)
pub(super) const WAYS: usize = if cfg!(loom) { 1 } else { 8 };
/// Threads that can hold permits at once.
pub const LANES: usize = if cfg!(loom) { 3 } else { 127 };
/// The slot of the total.
pub(super) const TOTAL: usize = 0;

const HEADER: usize = if cfg!(loom) { 1 } else { 16 };
const SET: usize = 2 * WAYS;
const LANE_HEADER: usize = if cfg!(loom) { 3 } else { 8 };
/// Words of a cache line.
const LINE: usize = if cfg!(loom) { 1 } else { 8 };

/// How much there is of what, and where: worked out once, as every change asks for it several times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) sets: usize,
    pub(super) lanes: usize,
    lanes_start: usize,
    lane_words: usize,
}

impl Layout {
    /// Room for `capacity` keys that hold permits at once: at two thirds of the slots, two sets of eight are hardly ever full.
    pub(super) const fn new(capacity: usize, lanes: usize) -> Self {
        let wanted = capacity.saturating_add(capacity / 2).div_ceil(WAYS);
        let sets = if wanted < 2 { 2 } else { wanted };
        let lanes_start = HEADER.saturating_add(sets.saturating_mul(SET));
        // Whole cache lines, so that no two lanes have one in common.
        let held = sets.saturating_mul(WAYS).saturating_add(1).div_ceil(2);
        let lane_words = LANE_HEADER.saturating_add(held.div_ceil(LINE).saturating_mul(LINE));
        Self { sets, lanes, lanes_start, lane_words }
    }

    /// Slots of keys.
    pub(super) const fn slots(&self) -> usize {
        self.sets.saturating_mul(WAYS)
    }

    #[inline(always)]
    const fn lane_start(&self, lane: usize) -> usize {
        self.lanes_start.saturating_add(lane.saturating_sub(1).saturating_mul(self.lane_words))
    }

    pub(super) const fn words(&self) -> usize {
        self.lane_start(self.lanes.saturating_add(1))
    }
}

/// The first words of a lane.
#[derive(Clone, Copy)]
pub(super) enum LaneWord {
    /// Whether a thread has used it and not left it clean.
    Busy = 0,
    /// The change under way: taken place 1 | slot 31 | mark 32.
    Announced = 1,
    /// What the lane holds after it: count 32 | mark 32.
    Intended = 2,
}

/// The memory, as all see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ledger<'a> {
    pub(super) words: &'a [AtomicU64],
    pub(super) layout: Layout,
}

impl<'a> Ledger<'a> {
    /// A word of the memory. Never past its end: places come from the layout, as its length does.
    #[inline(always)]
    fn at(&self, place: usize) -> &'a AtomicU64 {
        #[cfg(not(loom))]
        static NONE: AtomicU64 = AtomicU64::new(0);
        #[cfg(not(loom))]
        let word = self.words.get(place).unwrap_or(&NONE);
        #[cfg(loom)]
        let word = &self.words[place];
        word
    }

    /// Where the tag of a slot is; its word comes [`WAYS`] later.
    #[inline(always)]
    const fn place(index: usize) -> usize {
        let slot = index.wrapping_sub(1);
        HEADER.wrapping_add((slot / WAYS).wrapping_mul(SET)).wrapping_add(slot % WAYS)
    }

    #[inline(always)]
    pub(super) fn tag(&self, index: usize) -> &'a AtomicU64 {
        self.at(Self::place(index))
    }

    #[inline(always)]
    pub(super) fn word(&self, index: usize) -> &'a AtomicU64 {
        self.at(if index == TOTAL { 0 } else { Self::place(index).wrapping_add(WAYS) })
    }

    /// Acquire: what was written before the word was exchanged is seen too.
    #[inline(always)]
    pub(super) fn read(&self, index: usize) -> Word {
        Word(self.word(index).load(Ordering::Acquire))
    }

    /// The slots that a key may have, in the one order that is fixed for it.
    #[inline(always)]
    pub(super) fn slots_of(&self, key: Key) -> impl Iterator<Item = usize> + use<> {
        self.sets_of(key).into_iter().flat_map(|first| first..first.wrapping_add(WAYS))
    }

    /// The first slots of its two sets.
    #[inline(always)]
    pub(super) fn sets_of(&self, key: Key) -> [usize; 2] {
        key.sets(self.layout.sets as u64)
            .map(|set| usize::try_from(set).unwrap_or_default().wrapping_mul(WAYS).wrapping_add(1))
    }

    /// What the slot holds, if it is the key's: a count, or claimed for it.
    #[inline(always)]
    pub(super) fn owned(&self, index: usize, fingerprint: u64) -> Option<Word> {
        // Acquire: a word that matches the tag is at least as new as the tag.
        let seen = self.tag(index).load(Ordering::Acquire);
        if fingerprint_of(seen) != fingerprint {
            return None;
        }
        let word = self.read(index);
        let is_mine = tag(fingerprint, word.generation()) == seen;
        // Again: generations come back, and the slot may have been claimed so often since the tag was read.
        let is_still = is_mine && self.tag(index).load(Ordering::Acquire) == seen;
        (is_still && word.content() != Content::Free).then_some(word)
    }

    #[inline(always)]
    pub(super) fn lane(&self, lane: usize, word: LaneWord) -> &'a AtomicU64 {
        self.at(self.layout.lane_start(lane).wrapping_add(word as usize))
    }

    /// How many permits of the slot the lane holds.
    #[inline(always)]
    pub(super) fn held(&self, lane: usize, index: usize) -> u32 {
        let pair = self.held_pair(lane, index).load(Ordering::Acquire);
        half(pair, index)
    }

    /// Only the lane's user calls it. Release: comes after the exchange that it follows, also to the compiler.
    #[inline(always)]
    pub(super) fn set_held(&self, lane: usize, index: usize, count: u32) {
        let pair = self.held_pair(lane, index);
        let shift = shift(index);
        let others = pair.load(Ordering::Relaxed) & !(u64::from(u32::MAX) << shift);
        pair.store(others | u64::from(count) << shift, Ordering::Release);
    }

    /// The slots of which the lane holds permits.
    pub(super) fn holdings(&self, lane: usize) -> impl Iterator<Item = usize> {
        let ledger = *self;
        let slots = 0..=self.layout.slots();
        slots
            .step_by(2)
            .filter_map(move |index| {
                let pair = ledger.held_pair(lane, index).load(Ordering::Acquire);
                (pair != 0).then_some((index, pair))
            })
            .flat_map(|(index, pair)| {
                [index, index.wrapping_add(1)]
                    .into_iter()
                    .filter(move |&index| half(pair, index) > 0)
            })
    }

    #[inline(always)]
    fn held_pair(&self, lane: usize, index: usize) -> &'a AtomicU64 {
        let start = self.layout.lane_start(lane).wrapping_add(LANE_HEADER);
        self.at(start.wrapping_add(index / 2))
    }
}

#[inline(always)]
const fn shift(index: usize) -> u32 {
    if index.is_multiple_of(2) { 0 } else { 32 }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half of what was shifted there")]
#[inline(always)]
const fn half(pair: u64, index: usize) -> u32 {
    (pair >> shift(index)) as u32
}
