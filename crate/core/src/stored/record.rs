//! A record as bytes.
//!
//! ```text
//! "rtrec" 5 | format 1 | algorithm 1 | limits 1
//! hash of the config 8 | latest time, ns 8 | blocked until, us 8
//! per limit: its word 8; of a log: units 8, and for each when it was admitted, in ticks 8
//! checksum of all before 8
//! ```
//!
//! Numbers are little-endian. The checksum finds what a store garbles; it does not protect against an attacker, who could
//! reset keys anyway if the store lets them write.

use super::Stored;
use crate::algorithm::{Algorithm as _, VALUE_MASK};
use crate::config::LimiterConfig;
use crate::nanos::Nanos;
use crate::siphash;
use std::fmt;

const MAGIC: [u8; 5] = *b"rtrec";
const FORMAT: u8 = 1;
/// Any two numbers; they are part of the format.
const CHECK_KEY: (u64, u64) = (0x7265_636f_7264_0001, 0x6368_6563_6b00_0001);
const HASH_KEY: (u64, u64) = (0x7265_636f_7264_0002, 0x706f_6c69_6379_0002);
const WORD: usize = size_of::<u64>();

/// Bytes that no version of this library wrote, or that were altered since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the value is no record of a limiter, or it was altered")
    }
}

impl std::error::Error for Damaged {}

/// One limit's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The word; 0 in a log, whose state is all in its times.
    pub(super) value: u64,
    /// When a log's units were admitted, in ticks, the oldest first.
    pub(super) times: Vec<u64>,
}

/// All that is known of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The latest time at which it was written.
    pub(super) last: Nanos,
    /// 0: it is not blocked.
    pub(super) blocked_until_us: u64,
    /// One for each limit.
    pub(super) entries: Vec<Entry>,
}

impl Record {
    pub(super) fn empty(limits: usize) -> Self {
        Self { last: Nanos(0), blocked_until_us: 0, entries: vec![Entry::default(); limits] }
    }
}

/// What stands under a key.
pub(super) enum Found {
    /// No bytes.
    Nothing,
    /// A record of this config.
    Record(Record),
    /// A record of another config or format.
    Foreign,
}

/// The hash of what decides how a record is read: the algorithm, and of each limit count, window and burst.
pub(super) fn hash_of(config: &LimiterConfig) -> u64 {
    let mut words = vec![config.algorithm.index() as u64];
    for limit in &config.limits {
        words.extend([limit.count(), limit.window_ms(), limit.burst()]);
    }
    let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    let [hash, _] = siphash::hash(HASH_KEY.0, HASH_KEY.1, &bytes);
    hash
}

fn checksum(bytes: &[u8]) -> u64 {
    let [sum, _] = siphash::hash(CHECK_KEY.0, CHECK_KEY.1, bytes);
    sum
}

impl Stored {
    /// The first eight bytes of this config's records.
    fn head(&self) -> [u8; WORD] {
        let kind = u8::try_from(self.config.algorithm.index()).unwrap_or(u8::MAX);
        let limits = u8::try_from(self.limits.len()).unwrap_or(u8::MAX);
        let mut head = [0, 0, 0, 0, 0, FORMAT, kind, limits];
        for (byte, magic) in head.iter_mut().zip(MAGIC) {
            *byte = magic;
        }
        head
    }

    /// Longer values need not be read: no record of this config is as long, whatever its format.
    #[must_use]
    pub fn longest(&self) -> usize {
        let units: usize = self.limits.iter().map(|(_, algorithm)| algorithm.ring_words()).sum();
        units.saturating_add(self.limits.len()).saturating_add(16).saturating_mul(2 * WORD)
    }

    pub(super) fn bytes(&self, record: &Record) -> Vec<u8> {
        let mut words = vec![
            u64::from_le_bytes(self.head()),
            self.hash,
            record.last.0,
            record.blocked_until_us,
        ];
        for ((_, algorithm), entry) in self.limits.iter().zip(&record.entries) {
            if algorithm.ring_words() == 0 {
                words.push(entry.value);
            } else {
                words.push(entry.times.len() as u64);
                words.extend_from_slice(&entry.times);
            }
        }
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        let sum = checksum(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    /// What stands under a key. With `is_reset` damaged bytes are like another config's: they are to be replaced.
    pub(super) fn find(&self, bytes: Option<&[u8]>, is_reset: bool) -> Result<Found, Damaged> {
        match bytes.map(|bytes| self.read(bytes)) {
            None => Ok(Found::Nothing),
            Some(Err(Damaged)) if is_reset => Ok(Found::Foreign),
            Some(found) => found,
        }
    }

    fn read(&self, bytes: &[u8]) -> Result<Found, Damaged> {
        let (body, sum) = bytes.split_last_chunk::<WORD>().ok_or(Damaged)?;
        if !body.starts_with(&MAGIC) || checksum(body) != u64::from_le_bytes(*sum) {
            return Err(Damaged);
        }
        let (words, rest) = body.as_chunks::<WORD>();
        let mut words = words.iter();
        if words.next() != Some(&self.head()) || words.next() != Some(&self.hash.to_le_bytes()) {
            return Ok(Found::Foreign);
        }
        let mut words = words.map(|word| u64::from_le_bytes(*word));
        let record = self.record(&mut words).ok_or(Damaged)?;
        if words.next().is_some() || !rest.is_empty() {
            return Err(Damaged);
        }
        Ok(Found::Record(record))
    }

    fn record(&self, words: &mut impl Iterator<Item = u64>) -> Option<Record> {
        let (last, blocked_until_us) = (Nanos(words.next()?), words.next()?);
        let mut entries = Vec::with_capacity(self.limits.len());
        for (_, algorithm) in &self.limits {
            let first = words.next()?;
            if algorithm.ring_words() == 0 {
                entries.push(Entry { value: first & VALUE_MASK, times: Vec::new() });
                continue;
            }
            let units = usize::try_from(first).ok().filter(|&n| n <= algorithm.ring_words())?;
            let times: Vec<u64> = words.take(units).collect();
            if times.len() != units {
                return None;
            }
            entries.push(Entry { value: 0, times });
        }
        Some(Record { last, blocked_until_us, entries })
    }
}
