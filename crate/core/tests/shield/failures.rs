//! Failures: how many, which share of all requests, on how many paths.

use super::{FORGIVEN_AFTER_MS, START_MS, alone, ask, at, blocks, config, source};
use proptest::prelude::*;
use ratethrottle_core::shield::{Outcome, Shield, ShieldConfig, Verdict, reason};
use std::collections::HashMap;

const LOGIN: Outcome = Outcome { has_failed: true, is_sensitive: true, path: 0 };

const fn failure(path: u64) -> Outcome {
    Outcome { has_failed: true, is_sensitive: false, path }
}

/// One request that fails so, at a pace that no ceiling minds.
fn fail(shield: &Shield, outcome: Outcome, ms: u64) -> Verdict {
    shield.decide(source(1), false, true, at(ms));
    shield.settle(source(1), outcome, at(ms))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    /// At sensitive routes: exactly at the least number that also is the share, per source, within a window.
    #[test]
    fn a_block_begins_where_the_model_says(
        acts in prop::collection::vec((0..3_u64, any::<bool>()), 1..400),
        least in 1..40_u64,
        share in prop_oneof![Just(0.3), Just(0.8), Just(1.0)],
    ) {
        let shield = alone(ShieldConfig { failures: least, failure_share: share, ceiling: 1e6, ..config() });
        let mut made: HashMap<u64, (u64, u64, bool)> = HashMap::new();
        for (i, (who, fails)) in acts.into_iter().enumerate() {
            let now = START_MS + i as u64 * 50;
            let (requests, failures, is_blocked) = made.entry(who).or_default();
            let verdict = ask(&shield, source(who), now);
            prop_assert_eq!(verdict.level, if *is_blocked { 4 } else { 0 });
            if *is_blocked {
                continue;
            }
            *requests += 1;
            let settled = shield.settle(source(who), Outcome { has_failed: fails, ..LOGIN }, at(now));
            if !fails {
                // Only those from the first failure on count.
                *requests -= u64::from(*failures == 0);
                prop_assert_eq!(settled.level, 0);
                continue;
            }
            *failures += 1;
            *is_blocked = *failures >= least && *failures as f64 >= share * *requests as f64;
            prop_assert_eq!(settled.begins_block, *is_blocked, "{} of {}", failures, requests);
            if *is_blocked {
                prop_assert_eq!((settled.level, settled.reasons), (4, reason::FAILURES));
                prop_assert_eq!(settled.retry_ms, 600_000);
            }
        }
    }

    /// The number of paths is an estimate: half as many are never a scan, five times as many always.
    #[test]
    fn distinct_paths_are_told_from_the_same_again(
        seed in any::<u64>(),
        few in 1..8_u64,
        repeats in 20..400_u64,
    ) {
        let path = |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 20;
        let shield = alone(config());
        for n in 0..repeats {
            let settled = fail(&shield, failure(path(n % few)), START_MS + n * 50);
            prop_assert!(!settled.begins_block, "{} paths", few);
        }
        let shield = alone(config());
        let begun = (0..80).find(|&n| fail(&shield, failure(path(n)), START_MS + n * 50).begins_block);
        prop_assert!(begun.is_some_and(|n| n >= 12), "{:?}", begun);
        prop_assert_eq!(ask(&shield, source(1), START_MS + 4_000).reasons, reason::SCAN);
    }

    /// However many requests a source makes, with so few failures among them it is never blocked.
    #[test]
    fn a_large_source_is_never_blocked_for_a_small_share(
        every in 2..60_u64,
        per_second in 1..400_u64,
        is_sensitive in any::<bool>(),
    ) {
        let shield = alone(ShieldConfig { ceiling: 1e6, ..config() });
        for n in 0..40_000 {
            let ms = START_MS + n * 1_000 / per_second;
            let verdict = ask(&shield, source(1), ms);
            prop_assert!(verdict.level < 4, "request {}", n);
            if n % every == 0 {
                let outcome = Outcome { has_failed: true, is_sensitive, path: n / every };
                prop_assert!(!shield.settle(source(1), outcome, at(ms)).begins_block, "request {}", n);
            }
        }
    }
}

/// Failures of long ago don't count: a few a day are never too many.
#[test]
fn failures_are_forgotten() {
    let shield = alone(config());
    for n in 0..2_000 {
        assert!(!fail(&shield, failure(n), START_MS + n * 600_000).begins_block);
        assert!(!fail(&shield, LOGIN, START_MS + n * 600_000 + 60_000).begins_block);
    }
}

/// An attacker who spreads its failures over two windows gains less than twice the number.
#[test]
fn a_window_that_ends_does_not_forgive_all() {
    for offset in (0..300_000).step_by(9_000) {
        let shield = alone(config());
        let begun =
            (0..60).find(|&n| fail(&shield, LOGIN, START_MS + offset + n * 2_000).begins_block);
        assert!(begun.is_some_and(|n| n < 30), "{offset}: {begun:?}");
    }
}

/// Blocks for failures have a list of their own, and the same memory as the others.
#[test]
fn blocks_for_failures_grow_too() {
    let steps = [5_000, 50_000];
    let shield = alone(ShieldConfig { failure_blocks: blocks(&steps), ..config() });
    let mut ms = START_MS;
    let provoke = |ms: &mut u64| {
        loop {
            *ms += 100;
            let verdict = fail(&shield, LOGIN, *ms);
            if verdict.begins_block {
                return verdict.retry_ms;
            }
        }
    };
    for expected in [5_000, 50_000, 50_000] {
        assert_eq!(provoke(&mut ms), expected);
        ms += expected;
        assert_eq!(shield.blocked_ms(source(1), at(ms)), 0);
    }
    ms += FORGIVEN_AFTER_MS + 1;
    assert_eq!(provoke(&mut ms), 5_000);
}

#[test]
fn a_source_that_was_never_seen_has_no_failures() {
    let shield = alone(config());
    for n in 0..100 {
        assert_eq!(shield.settle(source(n), LOGIN, at(START_MS)).level, 0);
    }
    assert!(shield.top(10, at(START_MS)).is_empty());
}
