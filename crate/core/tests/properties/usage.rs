//! What a key has used under one window counts under another.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use crate::ask::Ask as _;
use crate::at;
use ratethrottle_core::{
    AlgorithmKind, Decision, Encoding, FixedTime, Key, Limit, Nanos, VariableConfig,
    VariableLimiter,
};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// Where both an hour and a minute begin.
const START: u64 = 1_000 * HOUR;
const WINDOWS: [AlgorithmKind; 3] =
    [AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow, AlgorithmKind::SlidingLog];

fn limiter(kind: AlgorithmKind, capacity: usize) -> VariableLimiter {
    let config = VariableConfig { algorithm: kind, block_for_ms: 0, capacity: Some(capacity) };
    VariableLimiter::new(config).unwrap()
}

fn key(limiter: &VariableLimiter, name: u64) -> Key {
    limiter.key(&name.to_le_bytes(), Encoding::Utf8)
}

fn limits<const N: usize>(pairs: [(u64, u64); N]) -> [Limit; N] {
    pairs.map(|(count, window_ms)| Limit::new(count, window_ms).unwrap())
}

fn check(limiter: &VariableLimiter, limits: &[Limit], cost: u64, now: u64) -> Decision {
    limiter.check(limits, key(limiter, 0), cost, &at(now)).unwrap()
}

fn left(limiter: &VariableLimiter, limits: &[Limit], now: u64) -> u64 {
    limiter.peek(limits, key(limiter, 0), 1, &at(now)).unwrap().remaining
}

#[test]
fn a_window_that_has_met_the_key_notes_what_it_uses_under_another() {
    for kind in WINDOWS {
        let limiter = limiter(kind, 100);
        let (minute, hour) = (limits([(10, MINUTE)]), limits([(100, HOUR)]));
        assert!(check(&limiter, &minute, 3, START).allowed);
        assert!(check(&limiter, &hour, 5, START).allowed);
        assert_eq!(left(&limiter, &hour, START), 92, "{kind:?}");
        assert_eq!(left(&limiter, &minute, START), 2, "{kind:?}");
        limiter.refund(&hour, key(&limiter, 0), 4, &at(START)).unwrap();
        assert_eq!(left(&limiter, &minute, START), 6, "{kind:?}");
    }
}

#[test]
fn a_limit_beside_a_longer_one_that_holds_what_was_used_begins_empty() {
    for kind in WINDOWS {
        let limiter = limiter(kind, 100);
        assert!(check(&limiter, &limits([(100, HOUR)]), 50, START).allowed);
        let both = limits([(10, 1_000), (100, HOUR)]);
        assert_eq!(left(&limiter, &both, START), 10, "{kind:?}");
        assert_eq!(left(&limiter, &limits([(100, HOUR)]), START), 50, "{kind:?}");
        let longer = limits([(100, HOUR), (200, 24 * HOUR)]);
        assert!(check(&limiter, &longer, 1, START).allowed);
        assert_eq!(left(&limiter, &limits([(200, 24 * HOUR)]), START), 149, "{kind:?}");
    }
}

/// 1,024 windows of 700 ms are an epoch of a sliding window: the first call in a new one clears what is over.
#[test]
fn a_place_that_was_lost_because_its_window_was_over_begins_empty() {
    let limiter = limiter(AlgorithmKind::SlidingWindow, 100);
    let (short, long) = (limits([(1, 700)]), limits([(2, 100_000)]));
    let epoch = 7 * 1_024 * 700;
    assert_eq!(left(&limiter, &long, epoch - 1_400), 2);
    assert!(check(&limiter, &short, 1, epoch - 1_400).allowed);
    assert_eq!(left(&limiter, &long, epoch - 1_400), 1);
    assert_eq!(check(&limiter, &short, 1, epoch - 1_400).retry_ms, 1_400);
    assert!(check(&limiter, &short, 1, epoch).allowed);
}

/// What a limit that never changes can count, one that may change can count, too.
#[test]
fn no_limit_is_refused_because_it_may_change() {
    for (kind, count, window_ms) in [
        (AlgorithmKind::SlidingLog, 1_000, 24 * HOUR),
        (AlgorithmKind::SlidingLog, 1_024, 12 * HOUR),
        (AlgorithmKind::SlidingLog, 5, 365 * 24 * HOUR),
        (AlgorithmKind::FixedWindow, 10_000_000, HOUR),
        (AlgorithmKind::FixedWindow, 1_000_000, 7 * 24 * HOUR),
        (AlgorithmKind::FixedWindow, 10_000, 365 * 24 * HOUR),
        (AlgorithmKind::SlidingWindow, 1_048_575, 365 * 24 * HOUR),
        (AlgorithmKind::TokenBucket, 1_000_000_000, 10 * 365 * 24 * HOUR),
        (AlgorithmKind::TokenBucket, 1_000_000_000, 1),
    ] {
        let limiter = limiter(kind, 10);
        let both = limits([(count, window_ms), (1, 1_000)]);
        for limits in [&both[..1], &both] {
            assert!(check(&limiter, limits, 1, START).allowed, "{kind:?} {count} {window_ms}");
            limiter.reset(key(&limiter, 0));
        }
    }
}

/// A window may end late by part of a millisecond, never early; what `retry_ms` says is true nevertheless.
#[test]
fn a_fixed_window_is_never_shorter_than_it_is() {
    let limiter = limiter(AlgorithmKind::FixedWindow, 10);
    let minute = limits([(1, MINUTE)]);
    let after = |us: u64| FixedTime(Nanos(START * 1_000_000 + us * 1_000));
    let ask = |us: u64| limiter.check(&minute, key(&limiter, 0), 1, &after(us)).unwrap();
    assert!(ask(400).allowed);
    for us in [400, 1_000, 1_001, 59_999_000, 60_000_000, 60_000_399] {
        let retry_us = ask(us).retry_ms * 1_000;
        assert!(retry_us > 0 && us + retry_us >= 60_000_400, "{us}: {retry_us}");
        let seen = limiter.peek(&minute, key(&limiter, 0), 1, &after(us + retry_us)).unwrap();
        assert!(seen.allowed, "{us}: {retry_us}");
    }
}

#[test]
fn of_several_limits_of_buckets_the_longest_holds_what_is_owed() {
    let limiter = limiter(AlgorithmKind::TokenBucket, 100);
    let hour = limits([(1_000, HOUR)]);
    assert!(check(&limiter, &hour, 500, START).allowed);
    let both = limits([(10, 1_000), (1_000, HOUR)]);
    assert_eq!(check(&limiter, &both, 1, START).retry_ms, 100);
    assert!(check(&limiter, &both, 1, START + 1_000).allowed);
    assert_eq!(left(&limiter, &hour, START + 1_000), 499);
    let day = limits([(1_000, HOUR), (10_000, 24 * HOUR)]);
    assert_eq!(left(&limiter, &day, START + 1_000), 499);
    assert!(check(&limiter, &day, 100, START + 1_000).allowed);
    // Noted where the hour is counted beside the day.
    assert!(check(&limiter, &hour, 100, START + 1_000).allowed);
    assert!(left(&limiter, &day, START + 1_000) <= 300);
}

#[test]
fn a_block_and_a_reset_are_for_all_limits() {
    for kind in [
        AlgorithmKind::TokenBucket,
        AlgorithmKind::FixedWindow,
        AlgorithmKind::SlidingWindow,
        AlgorithmKind::SlidingLog,
    ] {
        let limiter = limiter(kind, 100);
        let (minute, hour) = (limits([(10, MINUTE)]), limits([(10, HOUR)]));
        assert!(check(&limiter, &minute, 10, START).allowed);
        assert_eq!(left(&limiter, &minute, START), 0);
        assert!(left(&limiter, &hour, START) < 10);
        assert!(limiter.block(key(&limiter, 0), 5_000, &at(START)));
        limiter.reset(key(&limiter, 0));
        assert_eq!(left(&limiter, &minute, START), 10);
        assert_eq!(left(&limiter, &hour, START), 10);
        assert!(limiter.block(key(&limiter, 0), 5_000, &at(START)));
        assert_eq!(check(&limiter, &hour, 1, START).retry_ms, 5_000);
        assert_eq!(check(&limiter, &minute, 1, START + 4_999).retry_ms, 1);
    }
}
