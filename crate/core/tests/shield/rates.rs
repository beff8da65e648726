//! What is known of a source's rates, beside sums over all its requests.

use super::{MINUTE_MS, START_MS, alone, ask, at, config, source};
use proptest::prelude::*;
use ratethrottle_core::shield::{Shield, ShieldConfig};

/// Requests of the last minute, each counted by how long ago it was.
fn decayed(times: &[u64], now: u64, seconds: f64) -> f64 {
    times.iter().map(|&time| (-((now - time) as f64) / 1_000.0 / seconds).exp()).sum()
}

fn free() -> Shield {
    alone(ShieldConfig { ceiling: 1e9, ..config() })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Also across pauses, bursts and requests of others.
    #[test]
    fn a_rate_is_that_of_the_last_minute(
        gaps in prop::collection::vec(
            prop_oneof![0..20_u64, 0..3_000_u64, 30_000..200_000_u64],
            1..400,
        ),
        pause in 0..90_000_u64,
    ) {
        let shield = free();
        let mut now = START_MS;
        let mut times = Vec::new();
        for gap in gaps {
            now += gap;
            ask(&shield, source(1), now);
            ask(&shield, source(now % 7 + 2), now);
            times.push(now);
        }
        now += pause;
        let top = shield.top(100, at(now));
        let found = top.iter().find(|one| one.source == source(1)).unwrap();
        let expected = decayed(&times, now, 60.0);
        // A tick is 64 ms: each request may be counted so much older or younger.
        prop_assert!((found.per_minute - expected).abs() <= expected * 0.02 + 0.02,
            "{} instead of {}", found.per_minute, expected);
    }

    /// Sorted by that, and no source twice.
    #[test]
    fn the_biggest_come_first(counts in prop::collection::vec(1..200_u64, 1..60), most in 1..70_usize) {
        let shield = free();
        for (i, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                ask(&shield, source(i as u64), START_MS);
            }
        }
        let rates: Vec<f64> =
            shield.top(most, at(START_MS)).iter().map(|one| one.per_minute).collect();
        let mut expected: Vec<u64> = counts;
        expected.sort_unstable_by(|a, b| b.cmp(a));
        expected.truncate(most);
        prop_assert_eq!(rates.len(), expected.len());
        for (rate, count) in rates.iter().zip(expected) {
            prop_assert!((rate - count as f64).abs() < 0.01 * count as f64);
        }
    }
}

/// Sends at an even pace, and returns how many were refused.
fn steady(shield: &Shield, per_second: f64, from: u64, until: u64) -> u64 {
    let mut refused = 0;
    for n in 0.. {
        let ms = from + (f64::from(n) * 1_000.0 / per_second) as u64;
        if ms >= until {
            return refused;
        }
        refused += u64::from(ask(shield, source(1), ms).is_refused);
    }
    refused
}

/// A habit is a mean over ten minutes; the ceiling of who has been there for an hour is eight times that.
#[test]
fn after_an_hour_the_ceiling_is_that_of_the_habit() {
    for per_second in [10.0, 20.0, 45.0] {
        let shield = alone(config());
        let hour = START_MS + 61 * MINUTE_MS;
        assert_eq!(steady(&shield, per_second, START_MS, hour), 0);
        assert_eq!(steady(&shield, per_second * 7.0, hour, hour + MINUTE_MS), 0, "{per_second}");
        let later = hour + 2 * MINUTE_MS;
        assert!(steady(&shield, per_second * 40.0, later, later + MINUTE_MS) > 0);
    }
}

/// Learned by time: requests without time between them teach next to nothing.
#[test]
fn a_burst_is_no_habit() {
    let shield = alone(config());
    let hour = START_MS + 61 * MINUTE_MS;
    assert_eq!(steady(&shield, 0.5, START_MS, hour), 0);
    // Ten seconds of all that is let in.
    steady(&shield, 49.0, hour, hour + 10_000);
    assert!(steady(&shield, 120.0, hour + 10_000, hour + 70_000) > 3_000);
}

#[test]
fn a_regular_has_been_there_for_long_enough_and_often_enough() {
    for (requests, seconds, is_regular) in
        [(12, 46, true), (11, 600, false), (400, 44, false), (2, 4_000, false)]
    {
        let shield = free();
        for n in 0..requests {
            ask(&shield, source(1), START_MS + n * seconds * 1_000 / (requests - 1));
        }
        let top = shield.top(1, at(START_MS + seconds * 1_000));
        assert_eq!(top[0].is_regular, is_regular, "{requests} in {seconds} s");
    }
}
