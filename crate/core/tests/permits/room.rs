//! As many keys as there may be, and a flood of others.

use super::{held, make, take};
use ratethrottle_core::permits::{Lane, Refusal};

#[test]
fn as_many_keys_as_there_may_be_hold_permits_with_hardly_a_refusal() {
    let (mut refused, mut asked) = (0, 0);
    for _ in 0..20 {
        let permits = make(1, 0, 10_000, true);
        let lane = Lane::new(&permits);
        let outcomes = (0..10_000).map(|key| take(&lane, key));
        refused += outcomes.filter(|outcome| *outcome == Err(Refusal::Capacity)).count();
        asked += 10_000;
    }
    println!("{refused} of {asked} refused for lack of a slot");
    assert!(refused * 100_000 <= asked * 5, "{refused} of {asked}");
}

/// A key that holds nothing costs nothing: its slot is the next one's.
#[test]
fn a_million_keys_that_come_and_go_find_a_slot_each_and_leave_nothing() {
    let permits = make(1, 3, 100, false);
    let lane = Lane::new(&permits);
    let stays = take(&lane, u64::MAX).unwrap();
    for key in 0..1_000_000 {
        let index = take(&lane, key).unwrap();
        assert!(lane.release(index));
    }
    assert_eq!((permits.in_use(), held(&lane, u64::MAX)), ((1, 1), 1));
    assert!(lane.release(stays));
    assert!(permits.bytes() < 200_000, "{}", permits.bytes());
}

/// Never silently unlimited: a key without a slot is refused.
#[test]
fn keys_that_find_no_slot_are_refused() {
    let permits = make(1, 0, 1, false);
    let lane = Lane::new(&permits);
    let taken: Vec<_> = (0..64).map(|key| take(&lane, key)).collect();
    assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 16);
    assert!(taken.iter().all(|taken| matches!(taken, Ok(_) | Err(Refusal::Capacity))));
}
