//! A process dies after its k-th step, for every k there is: what it held comes free, once.

use super::leaving::FIGURES;
use super::{attach, held, of, take};
use crate::child::{Job, start};
use crate::figure;
use crate::test_dir::TestDir;
use ratethrottle_core::die_after;
use ratethrottle_core::permits::{Lane, Refusal};
use std::os::unix::process::ExitStatusExt;

const PER_KEY: u32 = 2;
const TOTAL: u32 = 5;

fn limits() -> ratethrottle_core::permits::PermitsConfig {
    of(PER_KEY, TOTAL)
}

/// Runs the role until it is no longer killed, and `after` each time.
fn every_step(role: &str, least: u64, before: impl Fn(&TestDir), after: impl Fn(&Lane, &str)) {
    let mut deaths = 0;
    for k in 1.. {
        let place = TestDir::new();
        let lane = attach(&place.0, &limits());
        take(&lane, "a").unwrap();
        before(&place);
        let status = start(role, &place, FIGURES, &[k]).wait().unwrap();
        let when = format!("{role}, k = {k}");
        after(&lane, &when);
        check(&lane, &when);
        if status.success() {
            assert!(k > least, "{role}: only {k} steps");
            break;
        }
        assert_eq!(status.signal(), Some(9), "{when}");
        deaths += 1;
    }
    figure("deaths with permits after the k-th step, every k", deaths);
}

/// One permit of `a` is held here, and no other process lives.
fn check(lane: &Lane, when: &str) {
    lane.reap();
    assert_eq!(lane.permits().in_use(), (1, 1), "{when}");
    assert_eq!(held(lane, "a"), 1, "{when}");
    let mut taken = Vec::new();
    for key in ["a", "b", "b", "c"] {
        taken.push(take(lane, key).unwrap_or_else(|why| panic!("{when}: {key} {why:?}")));
        let is_full = key == "a" || (key == "b" && taken.len() == 3);
        assert!(!is_full || take(lane, key) == Err(Refusal::PerKey), "{when}: {key}");
    }
    assert_eq!(take(lane, "c"), Err(Refusal::Total), "{when}");
    assert!(taken.into_iter().all(|index| lane.release(index)), "{when}");
    assert_eq!(lane.permits().in_use(), (1, 1), "{when}");
}

#[test]
fn whatever_the_step_after_which_a_process_dies_its_permits_come_free_once() {
    every_step("permits_dying", 300, |_| {}, |_, _| {});
}

/// The words that the dead process wrote are written over before its lane is looked after.
#[test]
fn nothing_is_lost_if_others_go_on_before_the_dead_are_looked_after() {
    let go_on = |lane: &Lane, when: &str| {
        for key in ["a", "b", "c", "d"] {
            // Refused at times, which looks after the dead: then the next check is the usual one.
            for _ in 0..2 {
                if let Ok(index) = take(lane, key) {
                    assert!(lane.release(index), "{when}");
                }
            }
        }
    };
    every_step("permits_dying", 300, |_| {}, go_on);
}

/// Reapers die while they reap.
#[test]
fn whatever_the_step_after_which_a_reaper_dies_the_next_one_gives_back_the_rest() {
    let leave_some = |place: &TestDir| {
        let status = start("permits_dying", place, FIGURES, &[40]).wait().unwrap();
        assert_eq!(status.signal(), Some(9));
    };
    every_step("permits_reaping", 10, leave_some, |_, _| {});
}

/// Every kind of call: first and last permits of keys, refusals by each limit, keys that take the slots of others.
pub(crate) fn job(job: &Job) {
    let lane = attach(&job.directory(), &limits());
    let permit = |key: &str| take(&lane, key);
    die_after(job.number(0));
    let taken = ["b", "c", "c", "a"].map(|key| permit(key).unwrap());
    assert_eq!((permit("d"), permit("c")), (Err(Refusal::Total), Err(Refusal::PerKey)));
    assert!(taken.into_iter().all(|index| lane.release(index)));
    let mut kept = Vec::new();
    for n in 0..24 {
        kept.push(permit(&format!("{n}")).unwrap());
        if kept.len() == 4 {
            assert!(kept.drain(..3).all(|index| lane.release(index)));
        }
    }
    die_after(0);
    // Ends without giving back what it holds.
    std::process::exit(0);
}

pub(crate) fn reaping_job(job: &Job) {
    // Takes the lane of the dead process: a thread that comes looks after its predecessor as a reaper does.
    die_after(job.number(0));
    let lane = attach(&job.directory(), &limits());
    lane.reap();
    die_after(0);
    std::process::exit(0);
}
