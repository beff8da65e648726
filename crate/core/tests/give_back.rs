//! What several limits give back when a later one denies. Races decide that, so here another caller is
//! admitted between the two charges. Needs the feature `probe`.
#![cfg(feature = "probe")]

use ratethrottle_core::{
    AlgorithmKind, Encoding, FixedTime, Limit, LimiterConfig, Nanos, RawLimiter,
    meddle_between_limits,
};
use std::sync::Arc;

const START: FixedTime = FixedTime(Nanos(5_000_000_000_000));
const SECOND_LATER: FixedTime = FixedTime(Nanos(5_001_000_000_000));

#[test]
fn a_charge_that_a_later_limit_denies_is_given_back_and_no_other() {
    let limits = vec![Limit::new(4, 4_000).unwrap(), Limit::new(4, 3_600_000).unwrap()];
    let kind = AlgorithmKind::TokenBucket;
    let config = LimiterConfig { limits, algorithm: kind, block_for_ms: 0, capacity: 10 };
    let limiter = Arc::new(RawLimiter::new(config).unwrap());
    let key = limiter.key(b"k", Encoding::Utf8);

    let shared = Arc::clone(&limiter);
    meddle_between_limits(move || {
        assert!(shared.allow(key, 2, &START));
        assert!(shared.allow(key, 1, &SECOND_LATER));
    });
    let decision = limiter.check(key, 2, &START);
    assert!(!decision.allowed);
    assert_eq!(decision.policy, 1);

    // Of the others' three units the first bucket has drained one: two are left of four. What was
    // given back may err towards denial by what has drained of it, not the other way.
    let after = SECOND_LATER;
    limiter.refund(key, 0, &after);
    let first = (1..=4).filter(|&cost| limiter.peek(key, cost, &after).retry_ms < 60_000).count();
    assert_eq!(first, 1, "the second limit has one unit left");
    let left = limiter.peek(key, 1, &after);
    assert!(left.allowed, "nothing was given back: {left:?}");
}
