//! What several limits give back when a later one denies. Races decide that, so here the clock meddles:
//! it is read between the charges, and admits another caller then.
#![expect(clippy::arithmetic_side_effects, reason = "tests may panic")]

use ratethrottle_core::{
    AlgorithmKind, Clock, Encoding, FixedTime, Key, Limit, LimiterConfig, Nanos, RawLimiter,
};
use std::cell::Cell;

const START: u64 = 5_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// Shows START; from its fourth reading on a second later, after another caller was admitted.
struct Meddler<'a> {
    limiter: &'a RawLimiter,
    key: Key,
    readings: Cell<u32>,
}

impl Clock for Meddler<'_> {
    fn now(&self) -> Nanos {
        self.readings.set(self.readings.get() + 1);
        if self.readings.get() == 4 {
            // Two peeks and the charge of the first limit are done; the second is about to be charged.
            assert!(self.limiter.allow(self.key, 2, &FixedTime(Nanos(START))));
            assert!(self.limiter.allow(self.key, 1, &FixedTime(Nanos(START + SECOND))));
        }
        Nanos(if self.readings.get() < 4 { START } else { START + SECOND })
    }
}

#[test]
fn a_charge_that_a_later_limit_denies_is_given_back_and_no_other() {
    let limits = vec![Limit::new(4, 4_000).unwrap(), Limit::new(4, 3_600_000).unwrap()];
    let kind = AlgorithmKind::TokenBucket;
    let config = LimiterConfig { limits, algorithm: kind, block_for_ms: 0, capacity: 10 };
    let limiter = RawLimiter::new(config).unwrap();
    let key = limiter.key(b"k", Encoding::Utf8);

    let decision =
        limiter.check(key, 2, &Meddler { limiter: &limiter, key, readings: Cell::new(0) });
    assert!(!decision.allowed);
    assert_eq!(decision.policy, 1);

    // Of the others' three units the first bucket has drained one: two are left of four. What was
    // given back may err towards denial by what has drained of it, not the other way.
    let after = FixedTime(Nanos(START + SECOND));
    limiter.refund(key, 0, &after);
    let first = (1..=4).filter(|&cost| limiter.peek(key, cost, &after).retry_ms < 60_000).count();
    assert_eq!(first, 1, "the second limit has one unit left");
    let left = limiter.peek(key, 1, &after);
    assert!(left.allowed, "nothing was given back: {left:?}");
}
