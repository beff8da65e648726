//! What a flood of fresh keys can't do: grow the table, free a blocked key, or admit new keys for free.
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests may panic")]

use ratethrottle_core::{
    AlgorithmKind, Encoding, FixedTime, Key, Limit, LimiterConfig, Nanos, RawLimiter,
};

const NOW: FixedTime = FixedTime(Nanos(5_000_000_000_000));
const CAPACITY: usize = 1_000;

fn limiter(count: u64, block_for_ms: u64, capacity: usize) -> RawLimiter {
    let limits = vec![Limit::new(count, 3_600_000).unwrap()];
    let kind = AlgorithmKind::TokenBucket;
    RawLimiter::new(LimiterConfig { limits, algorithm: kind, block_for_ms, capacity }).unwrap()
}

fn fresh(limiter: &RawLimiter, n: u64) -> Key {
    limiter.key(&n.to_le_bytes(), Encoding::Utf8)
}

fn flood(limiter: &RawLimiter) -> u64 {
    let keys = 0..100 * CAPACITY as u64;
    keys.filter(|&n| limiter.allow(fresh(limiter, n), 1, &NOW)).count() as u64
}

#[test]
fn a_key_blocked_by_hand_is_denied_after_the_flood() {
    let limiter = limiter(5, 0, CAPACITY);
    let key = limiter.key(b"blocked", Encoding::Utf8);
    assert!(limiter.block(key, 60_000, &NOW));
    flood(&limiter);
    assert!(limiter.evictions() > 0);
    assert!(!limiter.allow(key, 1, &NOW));
    // The end of a key that was moved out of its slot is rounded up.
    assert!((60_000..=60_500).contains(&limiter.peek(key, 1, &NOW).retry_ms));
}

#[test]
fn a_key_blocked_after_a_denial_is_denied_after_the_flood() {
    let limiter = limiter(5, 600_000, CAPACITY);
    let key = limiter.key(b"greedy", Encoding::Utf8);
    assert!(limiter.allow(key, 5, &NOW) && !limiter.allow(key, 1, &NOW));
    flood(&limiter);
    assert_eq!(limiter.peek(key, 1, &NOW).retry_ms, 720_000);
    limiter.reset(key);
    assert!(limiter.allow(key, 1, &NOW));
}

#[test]
fn an_exhausted_key_is_denied_after_the_flood() {
    let limiter = limiter(5, 0, CAPACITY);
    let key = limiter.key(b"exhausted", Encoding::Utf8);
    assert!(limiter.allow(key, 5, &NOW));
    flood(&limiter);
    assert!(!limiter.allow(key, 1, &NOW));
}

#[test]
fn with_nothing_but_blocked_keys_new_keys_share_a_bucket_and_it_is_counted() {
    // At a limit of 1 every key that was seen is blocked, so no key may be evicted.
    let limiter = limiter(1, 0, CAPACITY);
    let admitted = flood(&limiter);
    assert_eq!(limiter.evictions(), 0);
    assert!(limiter.overflows() > 0);
    // 2,000 slots and 7,000 entries, and at most one unit on each of the 4,096 shared words.
    assert!((8_900..=2_000 + 7_000 + 4_096).contains(&admitted), "{admitted}");
    assert!((6_900..=7_000).contains(&limiter.moves()), "{}", limiter.moves());
}

#[test]
fn keys_within_the_capacity_are_all_remembered() {
    let limiter = limiter(2, 0, 200_000);
    let keys = || (0..200_000).map(|n| fresh(&limiter, n));
    assert!(keys().all(|key| limiter.check(key, 1, &NOW).remaining == 1));
    assert!(keys().all(|key| limiter.check(key, 1, &NOW).remaining == 0));
    assert!(keys().all(|key| !limiter.allow(key, 1, &NOW)));
    assert_eq!((limiter.evictions(), limiter.overflows()), (0, 0));
}

#[test]
fn the_place_of_an_expired_key_is_taken_without_calling_it_an_eviction() {
    let limiter = limiter(5, 0, CAPACITY);
    for hour in 0..100_u64 {
        let later = FixedTime(Nanos((5_000 + 3_600 * hour) * 1_000_000_000));
        for n in 0..CAPACITY as u64 {
            assert!(limiter.allow(fresh(&limiter, hour * 1_000_000 + n), 1, &later));
        }
    }
    assert_eq!((limiter.evictions(), limiter.overflows()), (0, 0));
}

#[test]
fn a_key_left_alone_for_as_long_as_the_index_counts_is_as_never_seen() {
    let limits = vec![Limit::new(1_000_000, 1_000).unwrap()];
    let kind = AlgorithmKind::SlidingWindow;
    let config = LimiterConfig { limits, algorithm: kind, block_for_ms: 0, capacity: 10 };
    let limiter = RawLimiter::new(config).unwrap();
    let key = limiter.key(b"k", Encoding::Utf8);
    let mut second = 77;
    for wraps in 1..4 {
        for around in [16_383, 16_384, 16_385] {
            let at = |second: u64| FixedTime(Nanos(second * 1_000_000_000));
            assert!(limiter.allow(key, 1_000_000, &at(second)));
            second += wraps * 16_384 + around - 16_384;
            assert_eq!(limiter.peek(key, 1, &at(second)).remaining, 1_000_000, "{wraps} {around}");
        }
    }
}
