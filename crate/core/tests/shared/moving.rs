//! A process dies after each exchange with which a denied key leaves its slot or comes back: no key is free
//! afterwards that had used up its limit.

use crate::child::{FIXED, Job, start};
use crate::figure;
use crate::test_dir::{KINDS, TestDir, config, kind, open};
use ratethrottle_core::{Encoding, FixedTime, Key, Nanos, RawLimiter, die_after};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;

const COUNT: u64 = 6;
const WINDOW_MS: u64 = 3_600_000;
/// 16 slots, and 56 entries beside them.
const CAPACITY: usize = 8;
const FIRST: u64 = 14;
const KEYS: u64 = 26;
const CLOCK: FixedTime = FixedTime(FIXED);
/// A bucket has one unit again, and not two.
const LATER: FixedTime = FixedTime(Nanos(FIXED.0 + 15 * 60 * 1_000_000_000));

fn numbered(limiter: &RawLimiter, n: u64) -> Key {
    limiter.key(&n.to_le_bytes(), Encoding::Utf8)
}

#[test]
fn whatever_the_exchange_after_which_a_process_dies_no_denied_key_is_set_free() {
    let mut deaths = 0;
    // A log keeps its slot.
    for (name, ..) in KINDS.into_iter().filter(|(name, ..)| *name != "sliding-log") {
        for k in 1.. {
            let place = TestDir::new();
            let held = open(&place.0, &config(kind(name), COUNT, WINDOW_MS, CAPACITY)).unwrap();
            let figures = (name, COUNT, WINDOW_MS, CAPACITY);
            let mut child = start("moving", &place, figures, &[k]);
            let mut out = String::new();
            child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
            let status = child.wait().unwrap();
            check(&held, &out, &format!("{name}, k = {k}"));
            if status.success() {
                // Ten keys have no slot. Two that look alike under the secret of a file may move as one.
                assert!(k > 30 && held.moves() >= 8, "{name}: only {k}, {}", held.moves());
                break;
            }
            assert_eq!(status.signal(), Some(9));
            deaths += 1;
        }
    }
    figure("deaths while denied keys move, every k", deaths);
}

fn check(held: &RawLimiter, out: &str, when: &str) {
    let said = |what: &str, n: u64| out.lines().any(|line| line == format!("{what} {n}"));
    let is_over = said("later", 0);
    for n in (0..KEYS).filter(|&n| !is_over && said("used up", n)) {
        assert!(!held.peek(numbered(held, n), 1, &CLOCK).allowed, "{when}: {n} is free");
    }
    // They owe more than the others, so they are not those whose debt is forgiven for a slot.
    for n in (0..KEYS).filter(|&n| said("came back", n)) {
        let left = held.peek(numbered(held, n), 1, &LATER).remaining;
        assert_eq!(left, 0, "{when}: {n} came back with {left} more");
    }
}

/// Keys use up their limit until they don't fit the slots, and ask again when a unit is back.
pub(crate) fn job(job: &Job) {
    let limiter = job.limiter();
    for n in 0..KEYS {
        if n == FIRST {
            die_after(job.number(0));
        }
        if limiter.allow(numbered(&limiter, n), COUNT, &CLOCK) {
            println!("used up {n}");
        }
    }
    if job.kind().has_burst() {
        println!("later 0");
        for n in 0..4 {
            if limiter.allow(numbered(&limiter, n), 1, &LATER) {
                println!("came back {n}");
            }
        }
    }
    die_after(0);
}
