//! The rings beside a list of all events.

use super::plain;
use proptest::prelude::*;
use ratethrottle_core::insight::{Counted, Insight, Lane, STEP_SECONDS, STEPS, limit_count};
use ratethrottle_core::{Encoding, Key};

/// A second, and how many calls were admitted and denied in it.
type Event = (u64, u64, u64);

fn events() -> impl Strategy<Value = Vec<Event>> {
    let step =
        prop_oneof![4 => 0..3_u64, 2 => 3..90_u64, 1 => 90..4_000_u64, 1 => 4_000..100_000_u64];
    prop::collection::vec((step, 0..5_u64, 0..5_u64), 1..80)
}

fn count(lane: &Lane, key: Key, (admitted, denied): (u64, u64)) {
    for _ in 0..admitted {
        lane.decided(3, Counted::Admitted, key, || None);
    }
    for limit in 0..denied {
        lane.decided(3, Counted::Denied(limit as usize), key, || None);
    }
}

/// What the events of a step have added, for each of the last `steps` steps of a ring up to `second`.
fn slow(events: &[Event], ring: usize, steps: usize, second: u64) -> Vec<[u64; 2]> {
    let length = STEP_SECONDS[ring];
    let newest = second / length;
    (0..steps as u64)
        .map(|back| {
            let Some(step) = (newest + back + 1).checked_sub(steps as u64) else { return [0; 2] };
            let of_step = events.iter().filter(|(at, ..)| at / length == step);
            of_step.fold([0; 2], |[a, b], (_, admitted, denied)| [a + admitted, b + denied])
        })
        .collect()
}

fn fast(insight: &Insight, ring: usize, steps: usize, second: u64) -> Vec<[u64; 2]> {
    let sums = insight.series(3, ring, steps, second);
    assert_eq!(sums.len(), steps + 1);
    sums.windows(2).map(|pair| [pair[1][0] - pair[0][0], pair[1][1] - pair[0][1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every call ticks before it counts, as with an injected clock: then each step has what happened in it.
    #[test]
    fn steps_have_what_happened_in_them(steps in events(), start in 0..200_000_u64) {
        let insight = plain(1);
        let lane = insight.lane();
        let key = insight.key(b"k", Encoding::Utf8);
        let mut second = start;
        let mut happened = Vec::new();
        for (step, admitted, denied) in steps {
            second += step;
            insight.tick(second);
            count(&lane, key, (admitted, denied));
            happened.push((second, admitted, denied));
            for (ring, steps) in STEPS.into_iter().enumerate() {
                let steps = (steps - 1).min(70);
                prop_assert_eq!(
                    fast(&insight, ring, steps, second),
                    slow(&happened, ring, steps, second),
                    "ring {} at {}", ring, second
                );
            }
        }
    }
}

#[test]
fn a_ring_goes_back_as_far_as_it_says_and_no_further() {
    let insight = plain(1);
    let lane = insight.lane();
    for (ring, steps) in STEPS.into_iter().enumerate() {
        let most = steps - 1;
        assert_eq!(insight.series(0, ring, usize::MAX, 1 << 30).len(), most + 1);
    }
    for second in 0..10_000 {
        insight.tick(second);
        lane.add(limit_count(0, 0), 1);
    }
    let series = insight.series(0, 0, 599, 9_999);
    assert_eq!(series.first().unwrap()[0], 9_401);
    assert!(series.windows(2).all(|pair| pair[1][0] - pair[0][0] == 1));
}

#[test]
fn rows_that_count_nothing_have_no_memory_written() {
    let insight = plain(1);
    let _lane = insight.lane();
    for second in 0..5_000 {
        insight.tick(second);
    }
    assert!(insight.series(64, 0, 599, 5_000).iter().all(|step| step == &[0; 4]));
    assert_eq!(insight.began(), Some(0));
}
