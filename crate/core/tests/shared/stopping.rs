//! A process stops after its k-th exchange, for every k there is; others use what it was about to use; then
//! it goes on. What it still does then must fail, or be right.

use crate::child::{FIXED, Job, start};
use crate::figure;
use crate::test_dir::{KINDS, TestDir, config, kind, open};
use ratethrottle_core::{Encoding, FixedTime, RawLimiter, pause_after};
use std::io::{BufRead, BufReader, Write};

const COUNT: u64 = 4;
const WINDOW_MS: u64 = 3_600_000;
/// Sixteen slots.
const CAPACITY: usize = 1;
const CLOCK: FixedTime = FixedTime(FIXED);
/// Those that are there before the process begins: as many as there are slots, so it has to evict.
const OLD: std::ops::Range<u64> = 0..16;
const NEW: std::ops::Range<u64> = 100..112;

#[test]
fn whatever_the_exchange_after_which_a_process_stops_nobody_is_charged_for_another() {
    let mut stops = 0;
    for (name, ..) in KINDS {
        for k in 1.. {
            let place = TestDir::new();
            let held = open(&place.0, &config(kind(name), COUNT, WINDOW_MS, CAPACITY)).unwrap();
            OLD.for_each(|n| _ = charge(&held, n));
            let mut child = start("stopping", &place, (name, COUNT, WINDOW_MS, CAPACITY), &[k]);
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut reported = || lines.find_map(|line| line.ok().filter(|line| !line.is_empty()));
            if !std::iter::from_fn(&mut reported).any(|line| line == "paused") {
                assert!(child.wait().unwrap().success() && k > 20, "{name}: only {k} exchanges");
                break;
            }
            // Each is there with one unit, or was evicted: two more never meet the limit.
            for n in OLD {
                let left = charge(&held, n);
                assert!(left.is_some_and(|left| left + 2 >= COUNT), "{name}, k = {k}: {left:?}");
            }
            child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
            let wrong: Vec<_> =
                std::iter::from_fn(reported).filter(|line| line.starts_with("wrong")).collect();
            assert_eq!(wrong, Vec::<String>::new(), "{name}, k = {k}");
            assert!(child.wait().unwrap().success());
            stops += 1;
        }
    }
    figure("stops after the k-th exchange, every k", stops);
}

/// As good as stopped: it has one thread, which goes on after a signal.
fn pause() {
    println!("paused");
    std::io::stdin().lines().next();
}

/// What is left after one more unit; `None` when it is denied.
fn charge(limiter: &RawLimiter, n: u64) -> Option<u64> {
    let key = limiter.key(&n.to_le_bytes(), Encoding::Utf8);
    let decision = limiter.check(key, 1, &CLOCK);
    decision.allowed.then_some(decision.remaining)
}

/// Asks for new keys: each has all but this one unit left.
pub(crate) fn job(job: &Job) {
    let limiter = job.limiter();
    pause_after(job.number(0), pause);
    for n in NEW {
        let left = charge(&limiter, n);
        if left != Some(COUNT - 1) {
            println!("wrong: {n} has {left:?} left");
        }
    }
    pause_after(0, pause);
}
