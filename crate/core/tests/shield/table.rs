//! Who is remembered: fixed memory, one record to a source, and what is forgotten first.

use super::{MINUTE_MS, START_MS, alone, ask, at, config, source};
use proptest::prelude::*;
use ratethrottle_core::shield::{Shield, ShieldConfig, Source, words};
use std::collections::HashSet;

fn small(sources: usize) -> Shield {
    alone(ShieldConfig { sources, ceiling: 1e6, ..config() })
}

fn remembered(shield: &Shield, ms: u64) -> Vec<Source> {
    shield.top(10_000, at(ms)).iter().map(|one| one.source).collect()
}

/// A key that tells sources apart: a source is shown by its address.
fn names(sources: &[Source]) -> HashSet<String> {
    sources.iter().map(ToString::to_string).collect()
}

#[test]
fn a_new_shield_knows_and_blocks_no_one() {
    let shield = super::shared(config());
    let state = shield.state(true, at(START_MS));
    assert!(!state.pressure && !state.alarm);
    assert_eq!([state.admitted, state.refused, state.blocked, state.evictions], [0; 4]);
    assert!(remembered(&shield, START_MS).is_empty());
    for n in 0..1_000 {
        assert_eq!(shield.blocked_ms(source(n), at(START_MS)), 0);
        assert!(!shield.pardon(source(n), at(START_MS)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

    /// Whatever comes: no source twice, and never more than there is room for.
    #[test]
    fn a_source_has_one_record(
        asks in prop::collection::vec((0..400_u64, 0..4_000_u64), 1..3_000),
        sources in prop_oneof![Just(64_usize), Just(200), Just(1_024)],
    ) {
        let shield = small(sources);
        let mut now = START_MS;
        for (who, gap) in asks {
            now += gap;
            ask(&shield, source(who), now);
            if who % 50 == 0 {
                shield.block(source(who), 5_000, at(now));
            }
        }
        let all = remembered(&shield, now);
        prop_assert_eq!(names(&all).len(), all.len());
        prop_assert!(all.len() <= words(shield.config()) / 9);
    }

    /// A table is as large as asked for: two sets of it are rarely full before it is.
    #[test]
    fn half_full_it_forgets_hardly_any(sources in 64..2_000_usize) {
        let shield = small(sources);
        for n in 0..sources as u64 / 2 {
            ask(&shield, source(n), START_MS);
        }
        let kept = remembered(&shield, START_MS).len();
        prop_assert!(kept >= sources / 2 - sources / 50, "{} of {}", kept, sources / 2);
        prop_assert_eq!(shield.state(false, at(START_MS)).evictions, (sources / 2 - kept) as u64);
    }
}

#[test]
fn a_blocked_source_is_never_forgotten() {
    let shield = small(256);
    let blocked: Vec<u64> = (0..100).collect();
    for &n in &blocked {
        assert!(shield.block(source(n), 30 * MINUTE_MS, at(START_MS)));
    }
    for n in 0..200_000 {
        ask(&shield, source(1_000 + n), START_MS + n / 200);
    }
    let later = START_MS + 30 * MINUTE_MS;
    for &n in &blocked {
        assert_eq!(shield.blocked_ms(source(n), at(later - 1)), 1);
        assert_eq!(shield.blocked_ms(source(n), at(later)), 0);
    }
    assert_eq!(shield.state(true, at(later - 1)).blocked, 100);
    assert!(shield.state(true, at(later)).evictions > 100_000);
}

#[test]
fn a_table_full_of_blocked_sources_says_so() {
    let shield = small(64);
    let done = (0..400).filter(|&n| shield.block(source(n), MINUTE_MS, at(START_MS))).count();
    assert!((64..400).contains(&done));
    assert_eq!(shield.state(true, at(START_MS)).blocked, done as u64);
    // They make room when they have ended.
    assert!(shield.block(source(500), MINUTE_MS, at(START_MS + 2 * MINUTE_MS)));
}

/// A flood of sources that are seen once passes by those that are seen often.
#[test]
fn who_was_seen_often_outlasts_who_was_seen_once() {
    let shield = small(512);
    let known: Vec<u64> = (0..100).collect();
    for round in 0..5 {
        for &n in &known {
            ask(&shield, source(n), START_MS + round * 1_000);
        }
    }
    for n in 0..100_000 {
        ask(&shield, source(10_000 + n), START_MS + 5_000 + n / 20);
    }
    let names = names(&remembered(&shield, START_MS + 10_000));
    let kept = known.iter().filter(|&&n| names.contains(&source(n).to_string())).count();
    assert_eq!(kept, 100);
}

/// Regulars stay through a flood of sources that each come a few times.
#[test]
fn regulars_outlast_those_seen_a_few_times() {
    let shield = small(512);
    for second in 0..60 {
        for n in 0..100 {
            ask(&shield, source(n), START_MS + second * 1_000);
        }
    }
    for n in 0..50_000 {
        for _ in 0..3 {
            ask(&shield, source(10_000 + n), START_MS + 60_000 + n / 10);
        }
    }
    let top = shield.top(10_000, at(START_MS + 66_000));
    let names: HashSet<String> =
        top.iter().filter(|one| one.is_regular).map(|one| one.source.to_string()).collect();
    assert!((0..100).all(|n| names.contains(&source(n).to_string())));
}

/// What has been idle for long makes room, however often it was seen.
#[test]
fn a_table_of_sources_that_have_gone_takes_new_ones() {
    let shield = small(256);
    for n in 0..256 {
        for _ in 0..5 {
            ask(&shield, source(n), START_MS);
        }
    }
    let later = START_MS + 3 * 60 * MINUTE_MS;
    for n in 1_000..1_100 {
        ask(&shield, source(n), later);
    }
    let names = names(&remembered(&shield, later));
    assert!((1_000..1_100).all(|n| names.contains(&source(n).to_string())));
}

#[test]
fn memory_is_what_the_configuration_says() {
    for sources in [1, 64, 1_000, 65_536] {
        let shield = small(sources);
        let before = shield.bytes();
        for n in 0..20_000 {
            ask(&shield, source(n), START_MS + n);
        }
        assert_eq!(shield.bytes(), before);
        assert!(before < 4_096 + 120 * (sources as u64 + 16), "{sources}: {before}");
    }
}
