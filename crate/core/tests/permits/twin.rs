//! Beside a map that counts the same.

use super::{held, make, take};
use proptest::prelude::*;
use ratethrottle_core::permits::{Lane, Refusal};
use std::collections::HashMap;

/// What is done: by which of two threads, for which key; or which permit is given back.
#[derive(Clone, Debug)]
enum Step {
    Take(usize, u64),
    GiveBack(usize, usize),
    /// A thread ends, and another comes.
    Leave(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2_usize, 0..6_u64).prop_map(|(lane, key)| Step::Take(lane, key)),
        5 => (0..2_usize, 0..16_usize).prop_map(|(lane, which)| Step::GiveBack(lane, which)),
        1 => (0..2_usize).prop_map(Step::Leave),
    ];
    prop::collection::vec(step, 1..120)
}

fn expected(counts: &HashMap<u64, u32>, key: u64, [per_key, total]: [u32; 2]) -> Option<Refusal> {
    let count = counts.get(&key).copied().unwrap_or_default();
    if per_key > 0 && count >= per_key {
        return Some(Refusal::PerKey);
    }
    (total > 0 && counts.values().sum::<u32>() >= total).then_some(Refusal::Total)
}

fn same_as_a_map(limits: [u32; 2], is_alone: bool, steps: Vec<Step>) {
    let permits = make(limits[0], limits[1], 64, is_alone);
    // Memory of one thread has one lane.
    let lane_of = |lane: usize| if is_alone { 0 } else { lane };
    let mut lanes: Vec<Lane> =
        (0..2 - usize::from(is_alone)).map(|_| Lane::new(&permits)).collect();
    let mut counts = HashMap::new();
    let mut taken: Vec<Vec<(u64, usize)>> = vec![Vec::new(); 2];
    for step in steps {
        match step {
            Step::Take(lane, key) => {
                let lane = lane_of(lane);
                let got = take(&lanes[lane], key);
                assert_eq!(got.err(), expected(&counts, key, limits));
                if let Ok(index) = got {
                    taken[lane].push((key, index));
                    *counts.entry(key).or_insert(0) += 1;
                }
            }
            Step::GiveBack(lane, which) => {
                let lane = lane_of(lane);
                if which < taken[lane].len() {
                    let (key, index) = taken[lane].swap_remove(which);
                    assert!(lanes[lane].release(index));
                    *counts.get_mut(&key).unwrap() -= 1;
                }
            }
            Step::Leave(lane) => {
                let lane = lane_of(lane);
                lanes[lane] = Lane::new(&permits);
                // Memory of one thread has one lane: what the last user held goes when it does.
                for (key, _) in taken[lane].drain(..) {
                    *counts.get_mut(&key).unwrap() -= 1;
                }
            }
        }
        for key in 0..6 {
            assert_eq!(held(&lanes[0], key), counts.get(&key).copied().unwrap_or_default());
        }
        assert_eq!(permits.in_use().0, u64::from(counts.values().sum::<u32>()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn permits_are_counted_as_in_a_map(
        per_key in 0..4_u32,
        total in 0..7_u32,
        is_alone: bool,
        steps in steps(),
    ) {
        prop_assume!(per_key + total > 0);
        same_as_a_map([per_key, total], is_alone, steps);
    }
}

#[test]
fn a_permit_is_given_back_by_who_has_it_and_once() {
    for is_alone in [false, true] {
        let permits = make(2, 0, 64, is_alone);
        let lane = Lane::new(&permits);
        let index = take(&lane, 1).unwrap();
        for wrong in [0, index + 1, 1 << 20, usize::MAX] {
            assert!(!lane.release(wrong), "{wrong}");
        }
        assert!(lane.release(index) && !lane.release(index));
        assert_eq!((held(&lane, 1), lane.held()), (0, 0));
    }
}
