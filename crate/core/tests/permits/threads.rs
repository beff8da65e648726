//! Threads that collide.

use super::{held, make, take};
use ratethrottle_core::lost_exchanges;
use ratethrottle_core::permits::{Lane, Permits};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const THREADS: u64 = 4;
const PER_KEY: u32 = 2;
const TOTAL: u32 = 5;
/// More than the sixteen slots, so that keys take them from one another.
const KEYS: usize = 24;
const STEPS: u64 = 20_000;
/// Exchanges that were lost to another thread: then they have met.
const ENOUGH: u64 = 20;

/// How many are inside, counted apart.
#[derive(Default)]
struct Inside {
    keys: [AtomicU32; KEYS],
    all: AtomicU32,
}

impl Inside {
    fn enter(&self, key: usize) {
        assert!(self.keys[key].fetch_add(1, SeqCst) < PER_KEY, "key {key}");
        assert!(self.all.fetch_add(1, SeqCst) < TOTAL, "all keys");
    }

    fn leave(&self, key: usize) {
        self.all.fetch_sub(1, SeqCst);
        self.keys[key].fetch_sub(1, SeqCst);
    }
}

/// One thread, which holds up to two permits and comes back with another lane now and then.
fn worker(permits: &Arc<Permits>, inside: &Inside, mut turn: u64) -> u64 {
    let mut admitted = 0;
    for _ in 0..8 {
        let lane = Lane::new(permits);
        let mut taken = Vec::new();
        for _ in 0..STEPS / 8 {
            turn = turn.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            if taken.len() as u64 > turn >> 40 & 1 {
                let (key, index) = taken.swap_remove(0);
                inside.leave(key);
                assert!(lane.release(index));
                continue;
            }
            let key = if turn >> 63 == 0 { 0 } else { (turn >> 33) as usize % KEYS };
            if let Ok(index) = take(&lane, key as u64) {
                inside.enter(key);
                taken.push((key, index));
                admitted += 1;
            }
        }
        for (key, _) in taken {
            inside.leave(key);
        }
    }
    admitted
}

fn round(permits: &Arc<Permits>, inside: &Inside, turn: u64) -> u64 {
    std::thread::scope(|scope| {
        let start = |n| scope.spawn(move || worker(permits, inside, n << 40 | turn));
        let workers: Vec<_> = (0..THREADS).map(start).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}

#[test]
fn never_more_are_inside_than_may_be_while_threads_collide() {
    let permits = make(PER_KEY, TOTAL, 1, false);
    let inside = Inside::default();
    let before = lost_exchanges();
    let (mut admitted, mut rounds) = (0, 0);
    // On a machine with more to do than it has cores, threads may run one after the other.
    while lost_exchanges() - before < ENOUGH {
        rounds += 1;
        assert!(rounds < 1_000, "the threads do not collide");
        admitted += round(&permits, &inside, rounds);
    }
    println!("{admitted} admitted, {} exchanges lost", lost_exchanges() - before);
    assert!(admitted > rounds * THREADS * STEPS / 16, "only {admitted}");
    assert_eq!(permits.in_use(), (0, 0));
    let lane = Lane::new(&permits);
    let taken = [0, 0, 1, 1, 2].map(|key| take(&lane, key).unwrap());
    assert!(take(&lane, 0).is_err() && take(&lane, 2).is_err());
    assert!(taken.into_iter().all(|index| lane.release(index)));
    assert_eq!(held(&lane, 2), 0);
}
