//! Charging for callers who wait: a denial is no offence, and a leaky bucket lets one after the other leave.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests may panic")]

use ratethrottle_core::{
    AlgorithmKind, Encoding, FixedTime, Key, Limit, LimiterConfig, Nanos, RawLimiter,
};

const START: u64 = 5_000_000_000_000;
const MS: u64 = 1_000_000;

fn limiter(kind: AlgorithmKind, limits: &[(u64, u64)], block_for_ms: u64) -> RawLimiter {
    let limits = limits.iter().map(|&(count, window)| Limit::new(count, window).unwrap()).collect();
    RawLimiter::new(LimiterConfig { limits, algorithm: kind, block_for_ms, capacity: 10 }).unwrap()
}

const fn at(ms: u64) -> FixedTime {
    FixedTime(Nanos(START + ms * MS))
}

fn key(limiter: &RawLimiter) -> Key {
    limiter.key(b"k", Encoding::Utf8)
}

#[test]
fn a_denial_of_one_who_waits_begins_no_block() {
    let limiter = limiter(AlgorithmKind::FixedWindow, &[(1, 1_000)], 60_000);
    let key = key(&limiter);
    assert!(limiter.take(key, 1, &at(0)).allowed);
    let denied = limiter.take(key, 1, &at(10));
    assert_eq!((denied.allowed, denied.retry_ms), (false, 990));
    assert!(limiter.take(key, 1, &at(1_000)).allowed, "no block has begun");
    assert_eq!(limiter.check(key, 1, &at(1_001)).retry_ms, 60_000);
    let blocked = limiter.take(key, 1, &at(2_001));
    assert_eq!(
        (blocked.allowed, blocked.retry_ms),
        (false, 59_000),
        "a block that has begun holds"
    );
}

#[test]
fn a_paced_leaky_bucket_admits_once_it_is_empty() {
    let limiter = limiter(AlgorithmKind::LeakyBucket, &[(100, 60_000), (10, 1_000)], 0);
    let key = key(&limiter);
    assert!(limiter.pace(key, 1, &at(0)).allowed);
    let denied = limiter.pace(key, 1, &at(40));
    assert_eq!((denied.allowed, denied.retry_ms, denied.policy), (false, 60, 1));
    assert!(limiter.check(key, 1, &at(40)).allowed, "a check has the whole burst");
    assert_eq!(limiter.pace(key, 1, &at(100)).retry_ms, 100);
    assert!(limiter.pace(key, 5, &at(200)).allowed);
    assert_eq!(limiter.pace(key, 1, &at(200)).retry_ms, 500);
    assert_eq!(limiter.pace(key, 11, &at(900)).retry_ms, u64::MAX);
}

#[test]
fn other_buckets_are_not_paced() {
    for kind in [AlgorithmKind::TokenBucket, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingLog]
    {
        let limiter = limiter(kind, &[(2, 1_000)], 0);
        let key = key(&limiter);
        assert!(limiter.pace(key, 1, &at(0)).allowed);
        assert!(limiter.pace(key, 1, &at(0)).allowed);
        assert!(!limiter.pace(key, 1, &at(0)).allowed);
    }
}
