//! Many threads: each in a lane of its own while there are any, and no count is lost or made twice.

use super::{ask, plain};
use ratethrottle_core::insight::{COUNTS, LANES, limit_count};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

const EACH: u64 = 20_000;

#[test]
fn no_count_is_lost_with_more_threads_than_lanes() {
    let insight = plain(2);
    let threads = LANES + 8;
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let lane = insight.lane();
                // All lanes are taken before any is given back.
                start.wait();
                for turn in 0..EACH {
                    ask(&lane, turn % 3);
                    lane.add(limit_count(1, 2), 2);
                }
                start.wait();
            });
        }
    });
    let sums = insight.sums();
    assert_eq!(sums[limit_count(0, 0)], threads as u64 * EACH);
    assert_eq!(sums[limit_count(1, 2)], threads as u64 * EACH * 2);
    assert_eq!(sums.iter().sum::<u64>(), threads as u64 * EACH * 3);
}

#[test]
fn a_lane_outlives_its_thread_and_the_next_one_goes_on_there() {
    let insight = plain(2);
    for _ in 0..LANES * 3 {
        let lane = insight.lane();
        ask(&lane, 1);
        assert_eq!(insight.processes(), 1);
    }
    assert_eq!(insight.processes(), 0);
    assert_eq!(insight.sums()[0], LANES as u64 * 3);
    let top = insight.top(0);
    assert_eq!((top.len(), top[0].count, top[0].error), (1, LANES as u64 * 3, 0));
}

#[test]
fn readers_see_sums_that_only_grow_and_names_that_are_whole() {
    let insight = plain(2);
    let is_done = AtomicBool::new(false);
    let taken = Arc::new(Barrier::new(3));
    thread::scope(|scope| {
        for _ in 0..2 {
            let (taken, is_done) = (Arc::clone(&taken), &is_done);
            let insight = &insight;
            scope.spawn(move || {
                let lane = insight.lane();
                taken.wait();
                let mut turn = 0;
                while !is_done.load(Ordering::Relaxed) {
                    // Long numbers, so that a name takes several words; each twice, so that it is named.
                    ask(&lane, 1_000_000_000_000_000_000 + turn / 2 % 4_096);
                    insight.tick(turn / 1_000);
                    turn += 1;
                }
            });
        }
        taken.wait();
        let mut before = vec![0; COUNTS];
        // Readings between which something was written: without them nothing would be proved.
        let mut met = 0;
        for reading in 0..1_000_000 {
            let sums = insight.sums();
            assert!(sums.iter().zip(&before).all(|(now, before)| now >= before), "at {reading}");
            met += u32::from(sums[0] > before[0]);
            before = sums;
            for one in insight.top(0).iter().filter(|one| !one.name.is_empty()) {
                let number: u64 = one.name.parse().unwrap();
                assert!(number >= 1_000_000_000_000_000_000, "half a name: {}", one.name);
                assert!(one.count >= one.error);
            }
            if met == 200 {
                break;
            }
            thread::yield_now();
        }
        assert_eq!(met, 200, "the readers and the writers met");
        is_done.store(true, Ordering::Relaxed);
    });
}
