//! Processes that take and give back permits while they are killed, at any instruction, and what a witness says.

use super::leaving::FIGURES;
use super::witness::{Sum, Witness};
use super::{attach, held, of, take};
use crate::child::{Job, start};
use crate::test_dir::TestDir;
use crate::{asked, figure};
use ratethrottle_core::die_after;
use ratethrottle_core::permits::{Lane, Refusal};
use std::process::Child;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::sleep;
use std::time::Duration;

const WORKERS: usize = 4;
const PER_KEY: u32 = 2;
const TOTAL: u32 = 7;
/// More than the slots: they take them from one another.
const KEYS: u32 = 24;
/// The witness' group of the total.
const ALL: usize = KEYS as usize;
/// After how many steps a process dies by itself, at most; every second one is killed at any time.
const LIFE: u64 = 20_000;

#[test]
fn never_more_than_there_are_while_processes_are_killed() {
    let place = TestDir::new();
    let seen = TestDir(place.0.with_extension("witness"));
    let witness = Witness::open(&seen.0);
    let lane = attach(&place.0, &of(PER_KEY, TOTAL));
    let wanted = asked("PROVE_PERMIT_STEPS", 300_000);
    let (mut kills, mut turn) = (0, u64::from(std::process::id()));
    let worker = |turn: u64| {
        let life = if turn.is_multiple_of(2) { 0 } else { 1 + (turn >> 20) % LIFE };
        start("permits_storm", &place, FIGURES, &[turn, life])
    };
    let mut workers: Vec<Child> = (0..WORKERS as u64).map(|n| worker(n << 20)).collect();
    let mut seen = 0;
    while seen < wanted {
        // On a machine with much to do processes start slowly: none that is killed before has done anything.
        for _ in 0..100 {
            if witness.sum(Sum::Steps).load(SeqCst) > seen {
                break;
            }
            sleep(Duration::from_millis(1));
        }
        seen = witness.sum(Sum::Steps).load(SeqCst);
        turn = turn.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        sleep(Duration::from_micros(1_000 + (turn >> 40) % 8_000));
        let victim = usize::try_from(turn >> 33).unwrap() % WORKERS;
        workers[victim].kill().unwrap();
        workers[victim].wait().unwrap();
        workers[victim] = worker(turn >> 8);
        kills += 1;
    }
    for mut worker in workers {
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    assert_eq!(witness.sum(Sum::TooMany).load(SeqCst), 0);
    all_come_free(&lane);
    figure("permits: kills", kills);
    figure("permits: steps", witness.sum(Sum::Steps).load(SeqCst));
    figure("permits: taken", witness.sum(Sum::Admitted).load(SeqCst));
    assert!(witness.sum(Sum::Admitted).load(SeqCst) > wanted / 16);
}

/// None is lost and none is doubled.
fn all_come_free(lane: &Lane) {
    lane.reap();
    assert_eq!(lane.permits().in_use(), (0, 0));
    let mut taken = Vec::new();
    for key in ["0", "0", "1", "1", "2", "2", "3"] {
        taken.push(take(lane, key).unwrap());
    }
    assert_eq!((take(lane, "0"), take(lane, "3")), (Err(Refusal::PerKey), Err(Refusal::Total)));
    assert_eq!(held(lane, "3"), 1);
    assert!(taken.into_iter().all(|index| lane.release(index)));
}

/// One thread, which holds up to three permits at a time, until it is killed.
pub(crate) fn job(job: &Job) {
    let lane = attach(&job.directory(), &of(PER_KEY, TOTAL));
    let mut turn = job.number(0);
    let witness = Witness::open(&job.witness());
    die_after(job.number(1));
    let parent = rustix::process::getppid();
    let mut inside = Vec::new();
    loop {
        for _ in 0..256 {
            turn = turn.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let key = if turn >> 63 == 0 { 0 } else { (turn >> 40) % u64::from(KEYS) };
            step(&lane, &witness, &mut inside, key, turn >> 34 & 3);
            witness.sum(Sum::Steps).fetch_add(1, SeqCst);
        }
        // No process is left to kill this one if the test itself has ended.
        if rustix::process::getppid() != parent {
            return;
        }
    }
}

type Inside = Vec<(usize, [Option<usize>; 2])>;

fn step(lane: &Lane, witness: &Witness, inside: &mut Inside, key: u64, most: u64) {
    if inside.len() as u64 >= most
        && let Some((index, cells)) = inside.pop()
    {
        cells.into_iter().flatten().for_each(|cell| witness.leave(cell));
        assert!(lane.release(index));
        return;
    }
    if let Ok(index) = take(lane, &key.to_string()) {
        let group = usize::try_from(key).unwrap();
        let cells = [witness.enter(group, PER_KEY as usize), witness.enter(ALL, TOTAL as usize)];
        inside.push((index, cells));
        witness.sum(Sum::Admitted).fetch_add(1, SeqCst);
    }
}
