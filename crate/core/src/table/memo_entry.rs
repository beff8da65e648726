//! An entry of the memo: half a word.
//!
//! ```text
//! entry = mark 18 | scale 3 | end 11
//! ```
//!
//! The mark is a part of the key's fingerprint. The end is counted modulo 2048 in units of 4.096 ms * 8^scale;
//! the scale is the finest one in which the entry ends within 1,000 units. So an entry ends less than a unit
//! late and never early: 4 ms, or less than 1/124 of the time it lasts.
//!
//! An end that passed long ago would look like one to come. So each line says when it was last written, and who
//! writes to it clears it first: what ended then is gone, and no entry of a scale outlives the longest time of
//! that scale.

use crate::algorithm::distance;

const END_BITS: u32 = 11;
const SCALE_BITS: u32 = 3;
const MARK_BITS: u32 = 18;
const SCALES: u32 = 1 << SCALE_BITS;
/// The finest unit is 2^12 microseconds, and each scale has eight times the unit of the one before.
const UNIT_SHIFT: u32 = 12;
const SCALE_SHIFT: u32 = 3;
/// An entry lasts for at most this many units. 24 fewer than the distance that can be told from a past one: two
/// threads' clocks may differ.
const LONGEST: u64 = 1_000;
/// What tells the mark of a key's block from that of the key.
const OF_BLOCK: u64 = 0x2_aaaa;

/// A mark and an end; all zero is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

/// A position on a scale: how many bits shift a microsecond to its unit.
const fn shift_of(scale: u32) -> u32 {
    UNIT_SHIFT.wrapping_add(scale.wrapping_mul(SCALE_SHIFT))
}

/// The mark of a fingerprint. Never 0.
pub(super) const fn mark_of(fingerprint: u64) -> u32 {
    let of_block = if fingerprint & 1 == 0 { 0 } else { OF_BLOCK };
    let mark = ((fingerprint >> 1) ^ of_block) & ((1 << MARK_BITS) - 1);
    if mark == 0 { 1 } else { mark as u32 }
}

impl Entry {
    pub(super) const NONE: Self = Self(0);

    /// An entry that ends `left_us` from now, or less than a unit later. `None` for a time that no scale holds:
    /// 99 days.
    #[expect(clippy::cast_possible_truncation, reason = "masked")]
    pub(super) fn new(mark: u32, now_us: u64, left_us: u64) -> Option<Self> {
        let end_us = now_us.saturating_add(left_us);
        (0..SCALES).find_map(|scale| {
            let shift = shift_of(scale);
            let end = end_us.div_ceil(1 << shift);
            if end.wrapping_sub(now_us >> shift) > LONGEST {
                return None;
            }
            let end = end as u32 & ((1 << END_BITS) - 1);
            Some(Self((mark << (END_BITS + SCALE_BITS)) | (scale << END_BITS) | end))
        })
    }

    /// By how much an entry ends late at most.
    pub(super) const fn latest_us(left_us: u64) -> u64 {
        match left_us / 124 {
            part if part > 1 << UNIT_SHIFT => part,
            _ => 1 << UNIT_SHIFT,
        }
    }

    /// The two entries of a word.
    #[expect(clippy::cast_possible_truncation, reason = "one half after the other")]
    pub(super) const fn pair(word: u64) -> [Self; 2] {
        [Self(word as u32), Self((word >> 32) as u32)]
    }

    pub(super) const fn word([low, high]: [Self; 2]) -> u64 {
        (low.0 as u64) | ((high.0 as u64) << 32)
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub(super) const fn mark(self) -> u32 {
        self.0 >> (END_BITS + SCALE_BITS)
    }

    /// Microseconds from now until it ends; 0 once it has. `written_us`: when its line was last written.
    pub(super) fn left_us(self, now_us: u64, written_us: u64) -> u64 {
        let scale = (self.0 >> END_BITS) & (SCALES - 1);
        let (shift, end) = (shift_of(scale), u64::from(self.0) & ((1 << END_BITS) - 1));
        let (now, written) = (now_us >> shift, written_us >> shift);
        if self.is_none() || now.saturating_sub(written) > LONGEST {
            return 0;
        }
        // No entry ended before its line was written: a clock behind that must not count further ahead.
        let from = now.max(written);
        let ahead = distance(end, from, END_BITS);
        let end_us = from.saturating_add_signed(ahead).saturating_mul(1 << shift);
        end_us.saturating_sub(now_us)
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;

    /// Times from milliseconds to a month, and now and then one at a unit's edge.
    fn times() -> impl Iterator<Item = (u64, u64)> {
        let mut seed = 1_u64;
        let mut next = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 20) % below
        };
        (0..200_000).map(move |_| {
            let scale = next(32);
            let now = next(1 << 50) >> next(8) << next(13);
            (now, 1 + next(1_u64 << (10 + scale)))
        })
    }

    #[test]
    fn an_entry_ends_less_than_its_rounding_late_and_never_early() {
        for (now, left) in times() {
            let entry = Entry::new(1, now, left).unwrap();
            let told = entry.left_us(now, now);
            assert!(told >= left, "{now} {left} {told}");
            assert!(told - left <= Entry::latest_us(left), "{now} {left} {told}");
            for part in [1, 2, 3] {
                let later = now + left * part / 4;
                assert_eq!(later + entry.left_us(later, now), now + told, "{now} {left} {part}");
            }
            assert_eq!(entry.left_us(now + told, now), 0, "{now} {left}");
        }
    }

    #[test]
    fn an_entry_that_ended_never_comes_back_however_long_ago_its_line_was_written() {
        for (now, left) in times() {
            let entry = Entry::new(1, now, left).unwrap();
            let end = now + entry.left_us(now, now);
            for doubled in 0..45 {
                let later = end + (3_u64 << doubled) / 2;
                assert_eq!(entry.left_us(later, now), 0, "{now} {left} {later}");
            }
        }
    }

    #[test]
    fn a_clock_that_is_a_little_behind_sees_the_entry_too() {
        for (now, left) in times() {
            let entry = Entry::new(1, now, left).unwrap();
            let behind = now.saturating_sub(3_000);
            let told = entry.left_us(behind, now);
            assert_eq!(told, now - behind + entry.left_us(now, now), "{now} {left}");
        }
    }

    #[test]
    fn a_time_that_no_scale_holds_is_refused() {
        let day = 86_400_000_000;
        assert!(Entry::new(1, 12_345, 99 * day).is_some());
        assert!(Entry::new(1, 12_345, 100 * day).is_none());
    }

    #[test]
    fn two_entries_share_a_word_and_none_is_zero() {
        let pair = [Entry::new(7, 5, 9).unwrap(), Entry::new(0x3_ffff, 5, 1 << 40).unwrap()];
        assert_eq!(Entry::pair(Entry::word(pair)), pair);
        assert_eq!(Entry::word([Entry::NONE; 2]), 0);
        assert_eq!(pair.map(Entry::mark), [7, 0x3_ffff]);
        assert!((0..1_u64 << 20).all(|fingerprint| mark_of(fingerprint) != 0));
    }

    #[test]
    fn a_key_and_its_block_have_different_marks() {
        let same = (0..1_u64 << 20).filter(|key| mark_of(key << 1) == mark_of((key << 1) | 1));
        assert_eq!(same.count(), 0);
    }
}
