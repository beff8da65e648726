//! Processes that are killed, and stopped for longer than the window, at random instants, while the others
//! go on; and what an independent log says of it.

use crate::child::{Job, admits, now, start};
use crate::log::{Log, Record, length, most_in_a_window, read};
use crate::test_dir::{KINDS, TestDir, config, kind, open};
use crate::{asked, figure};
use ratethrottle_core::{Encoding, Monotonic};
use rustix::process::{Pid, Signal, getppid, kill_process};
use rustix::time::{ClockId, clock_gettime};
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

const WORKERS: usize = 4;
const COUNT: u64 = 50;
const WINDOW_MS: u64 = 100;
/// What the log looks for too many in. Instants are counted in ticks, for these figures of 1/1024 ms at the
/// coarsest, and rounded down: what is admitted W after what it replaces may come by one tick too early.
const WINDOW_NS: u64 = WINDOW_MS * 1_000_000 - 1_000_000 / 1_024 - 1;
/// More than the keys there are: a key that has to make room forgets what it owed, by design.
const CAPACITY: usize = 1_000;
/// No process may wait longer for another one, dead or alive. In processor time: on a machine with more to do
/// than it has cores, every process waits.
const MOST_NS: u64 = 50_000_000;
/// Decisions between two records of progress.
const STRIDE: u64 = 1_024;

#[derive(Clone, Copy)]
enum Blow {
    Kill,
    Stop,
}

struct Outcome {
    records: Vec<Record>,
    kills: u64,
}

fn kills() -> u64 {
    asked("PROVE_KILLS", 100)
}

#[test]
fn no_window_holds_more_than_it_may_while_processes_are_killed() {
    let share = kills() / KINDS.len() as u64;
    let (mut killed, mut decided, mut admitted) = (0, 0, 0);
    for (name, _, bound) in KINDS {
        let place = TestDir::new();
        let held = open(&place.0, &config(kind(name), COUNT, WINDOW_MS, CAPACITY)).unwrap();
        let outcome = storm(&place, (name, COUNT, WINDOW_MS, CAPACITY), share, Blow::Kill);
        let most = most_in_a_window(&outcome.records, WINDOW_NS);
        println!("{name}: at most {most} in a window, {} may be", bound(COUNT));
        assert!(most <= bound(COUNT), "{name}: {most} admitted in one window");
        assert!(most >= COUNT / 2, "{name}: only {most}");
        still_claims(&held);
        killed += outcome.kills;
        decided += decisions(&outcome.records);
        admitted += admissions(&outcome.records);
    }
    figure("kills", killed);
    figure("decisions", decided);
    figure("admissions in the log", admitted);
}

#[test]
fn nothing_is_admitted_twice_while_processes_are_killed() {
    // So many that they last for most of the storm, in so long a time that nothing comes back.
    let count = 600 * kills();
    let window_ms = 365 * 86_400_000;
    let place = TestDir::new();
    let held = open(&place.0, &config(kind("token-bucket"), count, window_ms, CAPACITY)).unwrap();
    let outcome =
        storm(&place, ("token-bucket", count, window_ms, CAPACITY), kills() / 4, Blow::Kill);
    let logged = admissions(&outcome.records);
    let key = held.key(b"hot", Encoding::Utf8);
    let left = (0..=count).filter(|_| held.allow(key, 1, &Monotonic)).count() as u64;
    // Who was killed between a decision and its record took one unit along, for each of its threads.
    assert!(logged + left <= count, "{logged} and {left}");
    assert!(logged + left + 2 * outcome.kills >= count, "{logged} and {left}");
    figure("kills", outcome.kills);
    figure("decisions", decisions(&outcome.records));
    figure("admissions in the log", logged);
}

#[test]
fn who_was_stopped_for_longer_than_the_window_does_no_harm() {
    for (name, _, bound) in KINDS {
        let place = TestDir::new();
        let held = open(&place.0, &config(kind(name), COUNT, WINDOW_MS, CAPACITY)).unwrap();
        let outcome = storm(&place, (name, COUNT, WINDOW_MS, CAPACITY), kills() / 50, Blow::Stop);
        let most = most_in_a_window(&outcome.records, WINDOW_NS);
        assert!(most <= bound(COUNT), "{name}: {most} admitted in one window");
        still_claims(&held);
    }
}

fn storm(place: &TestDir, figures: (&str, u64, u64, usize), blows: u64, blow: Blow) -> Outcome {
    drop(Log::open(&place.0));
    let worker = || start("storm", place, figures, &[]);
    let mut workers: Vec<Child> = (0..WORKERS).map(|_| worker()).collect();
    until_more_is_logged(place);
    let (mut kills, mut turn) = (0, now() | 1);
    for _ in 0..blows {
        turn = turn.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        sleep(Duration::from_micros(2_000 + turn % 8_000));
        let victim = usize::try_from(turn >> 33).unwrap() % WORKERS;
        match blow {
            Blow::Kill => {
                workers[victim].kill().unwrap();
                workers[victim].wait().unwrap();
                workers[victim] = worker();
                kills += 1;
            }
            Blow::Stop => pause(&workers[victim]),
        }
    }
    until_more_is_logged(place);
    sleep(Duration::from_millis(3 * WINDOW_MS));
    for mut worker in workers {
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    let records = read(&place.0);
    let slow = records.iter().filter(|record| matches!(record, Record::Slow(_))).count();
    assert_eq!(slow, 0, "{:?}", records.iter().find(|record| matches!(record, Record::Slow(_))));
    Outcome { records, kills }
}

/// Until processes have started, which takes long on a machine with much to do: one that is killed before does nothing.
fn until_more_is_logged(place: &TestDir) {
    let before = length(&place.0);
    for _ in 0..6_000 {
        if length(&place.0) > before {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("no process decides anything");
}

fn pause(worker: &Child) {
    let pid = Pid::from_child(worker);
    kill_process(pid, Signal::STOP).unwrap();
    sleep(Duration::from_millis(WINDOW_MS * 3 / 2));
    kill_process(pid, Signal::CONT).unwrap();
}

/// New keys get a slot, whatever killed processes left behind.
fn still_claims(held: &ratethrottle_core::RawLimiter) {
    let before = held.overflows();
    sleep(Duration::from_millis(25));
    // None of the storm's own, which may be denied.
    let keys = (1..=100_u64).map(|n| held.key(&(n << 32).to_le_bytes(), Encoding::Utf8));
    let begun = now();
    assert!(keys.into_iter().all(|key| held.check(key, 1, &Monotonic).allowed));
    assert!(now() - begun < 20_000_000_000);
    assert_eq!(held.evictions(), 0);
    assert_eq!(held.overflows(), before);
}

fn admissions(records: &[Record]) -> u64 {
    records.iter().filter(|record| matches!(record, Record::Admitted { .. })).count() as u64
}

fn decisions(records: &[Record]) -> u64 {
    let counts = records.iter().map(|record| match record {
        Record::Decided(count) => *count,
        _ => 0,
    });
    counts.sum()
}

/// Two threads that ask for the hot key, and now and then for one that comes and goes, until killed.
pub(crate) fn job(job: &Job) {
    let limiter = job.limiter();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| worker(&limiter, &mut Log::open(&job.directory())));
        }
    });
}

fn worker(limiter: &ratethrottle_core::RawLimiter, log: &mut Log) {
    let parent = getppid();
    for turn in 1_u64.. {
        if turn % 8 == 0 {
            admits(limiter, &(now() % 200).to_le_bytes(), false);
        }
        let used = cpu_ns();
        let start = now();
        let is_admitted = admits(limiter, b"hot", false);
        let end = now();
        let used = cpu_ns() - used;
        if is_admitted {
            log.write(Record::Admitted { start, end });
        }
        if used > MOST_NS {
            log.write(Record::Slow(used));
        }
        if turn % STRIDE == 0 {
            log.write(Record::Decided(STRIDE));
            // No process is left to kill this one if the test itself has ended.
            if getppid() != parent {
                return;
            }
        }
    }
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
