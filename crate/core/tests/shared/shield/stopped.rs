//! A process dies or stops after its k-th exchange, for every k there is.

use super::{MINUTE_MS, after, attach, figure, source, usual};
use crate::child::{FIXED, Job, start};
use crate::test_dir::TestDir;
use ratethrottle_core::shield::{Outcome, Shield};
use ratethrottle_core::{die_after, pause_after};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;

const FIGURES: (&str, u64, u64, usize) = ("token-bucket", 1, 1, 1);
/// More than there are slots, so that they make room for one another.
const STRANGERS: std::ops::Range<u64> = 0..24;
const INSISTENT: u64 = 100;
const SCANNER: u64 = 101;
const BLOCKED: u64 = 102;
const PARDONED: u64 = 103;
/// The longest block that the script begins.
const LONGEST_MS: u64 = 10 * MINUTE_MS;

#[test]
fn whatever_the_exchange_after_which_a_process_dies_blocks_hold_and_end() {
    let mut deaths = 0;
    for k in 1.. {
        let place = TestDir::new();
        let held = attach(&place.0, &usual()).unwrap();
        let mut child = start("shield_dying", &place, FIGURES, &[k]);
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let status = child.wait().unwrap();
        check(&held, &out, &format!("k = {k}"));
        if status.success() {
            assert!(k > 200, "only {k} exchanges");
            break;
        }
        assert_eq!(status.signal(), Some(9));
        deaths += 1;
    }
    figure("deaths of a shield's process after the k-th exchange, every k", deaths);
}

fn check(held: &Shield, out: &str, when: &str) {
    let told = |n: u64| out.lines().rev().find_map(|line| line.strip_prefix(&format!("{n} ")));
    for n in [INSISTENT, SCANNER, BLOCKED, PARDONED].into_iter().chain(STRANGERS) {
        let left = held.blocked_ms(source(n), FIXED);
        match told(n).map(|left| left.parse::<u64>().unwrap()) {
            // What was answered holds, and no longer than was told.
            Some(told) => assert_eq!(left, told, "{when}: {n}"),
            None => assert!(left <= LONGEST_MS, "{when}: {n}"),
        }
        assert_eq!(held.blocked_ms(source(n), after(LONGEST_MS)), 0, "{when}: {n}");
        assert!(n >= INSISTENT || left == 0, "{when}: a stranger is blocked");
        held.pardon(source(n), FIXED);
        assert_eq!(held.blocked_ms(source(n), FIXED), 0, "{when}: {n} was pardoned");
    }
    // A claim that was left behind is in the way for a second: then every slot can be blocked.
    let later = after(1_100 + LONGEST_MS * 10);
    for n in 200..216 {
        held.block(source(n), MINUTE_MS, later);
    }
    assert_eq!(held.occupancy(later).claimed, 0, "{when}: a claim was left");
    assert_eq!(held.state(true, later).blocked, 16, "{when}: a slot was lost");
}

/// Claims, evictions, strikes, failures, blocks and a pardon. Says how long each is blocked once it knows.
pub(crate) fn job(job: &Job) {
    let shield = attach(&job.directory(), &usual()).unwrap();
    let k = job.number(0);
    if job.role() == "shield_stopping" {
        pause_after(k, pause);
    } else {
        die_after(k);
    }
    let say = |n: u64| println!("{n} {}", shield.blocked_ms(source(n), FIXED));
    for n in STRANGERS {
        shield.decide(source(n), false, true, FIXED);
    }
    let insists = |_: &u64| shield.decide(source(INSISTENT), false, true, FIXED).level == 4;
    if (0..20).any(|n| insists(&n)) {
        say(INSISTENT);
    }
    let outcome = Outcome { has_failed: true, is_sensitive: true, path: 1 };
    for _ in 0..4 {
        shield.decide(source(SCANNER), true, true, FIXED);
        if shield.settle(source(SCANNER), outcome, FIXED).level == 4 {
            say(SCANNER);
        }
    }
    if shield.block(source(BLOCKED), MINUTE_MS, FIXED) {
        say(BLOCKED);
    }
    shield.block(source(PARDONED), MINUTE_MS, FIXED);
    shield.pardon(source(PARDONED), FIXED);
    say(PARDONED);
    for n in STRANGERS {
        shield.decide(source(n), false, true, FIXED);
    }
    die_after(0);
}

/// As good as stopped: it has one thread, which goes on after a signal.
fn pause() {
    println!("paused");
    std::io::stdin().lines().next();
}

/// While it is stopped for longer than a claim lasts, others block sources, pardon some, and fill every slot.
#[test]
fn whatever_the_exchange_after_which_a_process_stops_it_ends_no_block_and_begins_none_for_another()
{
    let mut stops = 0;
    for k in 1.. {
        let place = TestDir::new();
        let held = attach(&place.0, &usual()).unwrap();
        let mut child = start("shield_stopping", &place, FIGURES, &[k]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if !lines.by_ref().map_while(Result::ok).any(|line| line == "paused") {
            assert!(child.wait().unwrap().success() && k > 200, "only {k} exchanges");
            break;
        }
        let now = after(1_500);
        let ours = 300..340_u64;
        let blocked: Vec<u64> =
            ours.clone().filter(|n| held.block(source(*n), 5_000, now)).collect();
        let (pardoned, kept) = blocked.split_at(blocked.len() / 3);
        for n in pardoned {
            assert!(held.pardon(source(*n), now), "k = {k}");
        }
        child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        assert_eq!(lines.map_while(Result::ok).filter(|line| line.contains("panicked")).count(), 0);
        assert!(child.wait().unwrap().success(), "k = {k}");
        for n in kept {
            assert_eq!(held.blocked_ms(source(*n), now), 5_000, "k = {k}: {n} of {blocked:?}");
        }
        let innocent = pardoned.iter().copied().chain(STRANGERS);
        for n in innocent.chain(ours.filter(|n| !blocked.contains(n))) {
            assert_eq!(held.blocked_ms(source(n), now), 0, "k = {k}: {n} is blocked");
        }
        assert!(kept.len() >= 6, "k = {k}: {blocked:?}");
        stops += 1;
    }
    figure("stops of a shield's process after the k-th exchange, every k", stops);
}
