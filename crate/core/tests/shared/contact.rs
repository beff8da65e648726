//! First contact: a new key is claimed by several at once, or among other new keys that push
//! one another out.

use crate::child::{FIXED, Job, start};
use crate::test_dir::{KINDS, TestDir, config, kind, open};
use crate::{asked, figure};
use ratethrottle_core::{Encoding, FixedTime};
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

const PROCESSES: u64 = 4;
const THREADS: u64 = 2;
const HOUR_MS: u64 = 3_600_000;

fn keys() -> u64 {
    asked("PROVE_CONTACT", 4_000)
}

/// What all processes of a job printed, added up.
fn sum(place: &TestDir, role: &str, figures: (&str, u64, u64, usize)) -> u64 {
    let children: Vec<_> =
        (0..PROCESSES).map(|process| start(role, place, figures, &[process])).collect();
    let admitted = children.into_iter().map(|mut child| {
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(child.wait().unwrap().success());
        let line = out.lines().find_map(|line| line.strip_prefix("admitted ")).unwrap();
        line.parse::<u64>().unwrap()
    });
    admitted.sum()
}

#[test]
fn a_key_that_several_see_first_is_admitted_once() {
    for (name, ..) in KINDS {
        let place = TestDir::new();
        let capacity = 4 * usize::try_from(keys()).unwrap();
        let held = open(&place.0, &config(kind(name), 1, HOUR_MS, capacity)).unwrap();
        assert_eq!(sum(&place, "contact", (name, 1, HOUR_MS, capacity)), keys(), "{name}");
        assert_eq!((held.evictions(), held.overflows()), (0, 0));
    }
    figure("decisions", KINDS.len() as u64 * PROCESSES * THREADS * keys());
}

#[test]
fn a_key_that_nobody_has_seen_is_never_denied_for_what_another_owes() {
    for (name, ..) in KINDS {
        let place = TestDir::new();
        let held = open(&place.0, &config(kind(name), 3, HOUR_MS, 1)).unwrap();
        let asked = PROCESSES * THREADS * keys();
        assert_eq!(sum(&place, "fresh", (name, 3, HOUR_MS, 1)), asked, "{name}");
        assert!(held.evictions() > asked / 2);
    }
    figure("decisions", KINDS.len() as u64 * PROCESSES * THREADS * keys());
}

/// The threads of all processes ask for the same keys; those of one process in step.
pub(crate) fn contact(job: &Job) {
    let limiter = job.limiter();
    let (keys, arrived) = (keys(), AtomicU64::new(0));
    let race = || {
        let mut admitted = 0;
        for n in 0..keys {
            arrived.fetch_add(1, Ordering::SeqCst);
            // Only for so long: on a busy machine the other may not be running.
            let mut spins = 0;
            while arrived.load(Ordering::SeqCst) < (n + 1) * THREADS && spins < 5_000 {
                spins += 1;
                std::hint::spin_loop();
            }
            let key = limiter.key(&n.to_le_bytes(), Encoding::Utf8);
            admitted += u64::from(limiter.allow(key, 1, &FixedTime(FIXED)));
        }
        admitted
    };
    println!("admitted {}", on_threads(|_| race()));
}

/// Each thread asks for keys of its own, in a table that has no room for them: once before any thread has seen
/// them, which must leave all but one unit, and once more while others are pushing them out.
pub(crate) fn fresh(job: &Job) {
    let limiter = job.limiter();
    let (keys, process) = (keys(), job.number(0));
    let ask = |thread: u64| {
        let first = ((process * THREADS + thread) << 32) + 8;
        let key = |n: u64| limiter.key(&n.to_le_bytes(), Encoding::Utf8);
        let is_right = |n: &u64| {
            let decision = limiter.check(key(*n), 1, &FixedTime(FIXED));
            limiter.allow(key(*n - 3), 1, &FixedTime(FIXED));
            decision.allowed && decision.remaining == 2
        };
        (first..first + keys).filter(is_right).count() as u64
    };
    println!("admitted {}", on_threads(ask));
}

fn on_threads(work: impl Fn(u64) -> u64 + Sync) -> u64 {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}
