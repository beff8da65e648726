//! What is held against a source: failures, strikes, what it was told, blocks. Words 4 to 7 of a record.

use super::record::{HALF, MS, Now, REQUESTS};

/// Failures are counted in windows of this length; a new window begins with half of what the last one had.
const FAILURE_WINDOW_MS: u64 = 300_000;
/// Blocks are forgotten after this time without one.
const FORGIVEN_AFTER_MS: u64 = 600_000;

/// Failures of a source in the current window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Failures {
    pub(super) count: u64,
    pub(super) requests: u64,
    /// Distinct paths, estimated from a bitmap of 24 by linear counting (Whang et al., 1990).
    pub(super) paths: f64,
}

const COUNT: u64 = 0xfff;
const PATHS: u64 = 24;

const fn window_at(now: Now) -> u64 {
    (now.ms / FAILURE_WINDOW_MS) & 0xff
}

/// One more failure, on a path of this hash, as the `requests`-th request.
pub(super) const fn failures_after(word: u64, now: Now, requests: u64, path: u64) -> u64 {
    let (count, window, began, paths) = failure_fields(word);
    let current = window_at(now);
    let age = current.wrapping_sub(window) & 0xff;
    let (count, began, paths) = match age {
        0 if count < COUNT => (count, began, paths),
        0 | 1 => {
            let made = made_since(began, requests);
            let kept = if age == 0 { paths } else { 0 };
            (count / 2, requests.wrapping_sub(made / 2) & REQUESTS, kept)
        }
        _ => (0, requests.wrapping_sub(1) & REQUESTS, 0),
    };
    let paths = paths | (1 << (path % PATHS));
    (count.wrapping_add(1) << 52) | (current << 44) | (began << 24) | paths
}

/// Requests since there were `began`. The count steps from its end back to the middle.
const fn made_since(began: u64, requests: u64) -> u64 {
    let requests = if requests < began { requests.wrapping_add(HALF) } else { requests };
    requests.saturating_sub(began)
}

const fn failure_fields(word: u64) -> (u64, u64, u64, u64) {
    (word >> 52, (word >> 44) & 0xff, (word >> 24) & REQUESTS, word & ((1 << PATHS) - 1))
}

/// What `failures` says about a source with this many requests.
#[expect(clippy::cast_precision_loss, reason = "a bitmap has 24 bits")]
pub(super) fn failures(word: u64, requests: u64) -> Failures {
    let (count, _, began, paths) = failure_fields(word);
    let zeros = PATHS.saturating_sub(u64::from(paths.count_ones())).max(1);
    let all = PATHS as f64;
    let paths = -all * (zeros as f64 / all).ln();
    Failures { count, requests: made_since(began, requests), paths }
}

/// The part of a word that names the owner of the slot.
#[inline(always)]
pub(super) const fn owner(tag: u64) -> u64 {
    let mixed = tag.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed >> 48
}

/// The word, if the owner wrote it; else as if empty.
#[inline(always)]
pub(super) const fn owned(word: u64, owner: u64) -> u64 {
    if word & 0xffff == owner { word } else { 0 }
}

/// One more strike, unless this second has had one. After `within_ms` they begin again.
pub(super) const fn strike(word: u64, now: Now, within_ms: u64, owner: u64) -> u64 {
    let word = owned(word, owner);
    let (first, count, last) = (word >> 32, (word >> 24) & 0xff, (word >> 16) & 0xff);
    let second = (now.ms / 1_000) & 0xff;
    if count == 0 || now.since(first) > within_ms {
        return (now.tick << 32) | (1 << 24) | (second << 16) | owner;
    }
    if last == second || count == 0xff {
        return word;
    }
    let count = count.wrapping_add(1);
    (first << 32) | (count << 24) | (second << 16) | owner
}

/// How many strikes a word says.
pub(super) const fn strikes(word: u64) -> u64 {
    (word >> 24) & 0xff
}

/// How many there are within `within_ms`.
pub(super) const fn strikes_within(word: u64, now: Now, within_ms: u64, owner: u64) -> u64 {
    let word = owned(word, owner);
    if now.since(word >> 32) > within_ms { 0 } else { strikes(word) }
}

/// Let in under pressure.
const GRANTED: u64 = 1;
/// How often it was told to wait since it was last let in: three bits.
const TRIES: u64 = 0b1110;

/// What a source was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) until_ms: u64,
    pub(super) is_granted: bool,
    pub(super) tries: u64,
}

#[inline(always)]
pub(super) const fn told(word: u64, owner: u64) -> Told {
    let word = owned(word, owner);
    let flags = (word >> 16) & 0xff;
    Told { until_ms: word >> 24, is_granted: flags & GRANTED != 0, tries: (flags & TRIES) >> 1 }
}

pub(super) const fn told_word(told: Told, owner: u64) -> u64 {
    let tries = if told.tries > 7 { 7 } else { told.tries };
    let flags = (tries << 1) | told.is_granted as u64;
    ((told.until_ms & MS) << 24) | (flags << 16) | owner
}

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) until_ms: u64,
    /// 1 for the first block, 2 for the second one, …; a forgiven one does not count.
    pub(super) level: u64,
    pub(super) reason: u64,
}

impl Block {
    pub(super) const fn left_ms(self, now: Now) -> u64 {
        self.until_ms.saturating_sub(now.ms)
    }

    pub(super) const fn is_forgiven(self, now: Now) -> bool {
        self.level == 0 || now.ms > self.until_ms.saturating_add(FORGIVEN_AFTER_MS)
    }
}

#[inline(always)]
pub(super) const fn block(word: u64, owner: u64) -> Block {
    let word = owned(word, owner);
    Block { until_ms: word >> 24, level: (word >> 20) & 0xf, reason: (word >> 16) & 0xf }
}

pub(super) const fn block_word(block: Block, owner: u64) -> u64 {
    let level = if block.level > 15 { 15 } else { block.level };
    ((block.until_ms & MS) << 24) | (level << 20) | ((block.reason & 0xf) << 16) | owner
}
