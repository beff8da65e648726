//! Four processes of two threads each, on one key.

use crate::child::{Job, admits, start};
use crate::test_dir::{KINDS, TestDir};
use crate::{asked, figure};
use std::io::Read;

const PROCESSES: u64 = 4;
const THREADS: u64 = 2;

#[test]
fn four_processes_of_two_threads_admit_exactly_the_limit() {
    let checks = asked("PROVE_EXACT", 20_000);
    let mut decisions = 0;
    for (name, ..) in KINDS {
        let count = if name == "sliding-log" { 1_000 } else { 40_000 };
        // So long that the real clock gives nothing back meanwhile.
        let window_ms = if name == "sliding-log" { 86_400_000 } else { 10 * 86_400_000 };
        for is_fixed in [true, false] {
            let place = TestDir::new();
            let figures = (name, count, window_ms, 1_000);
            let more = [checks, u64::from(is_fixed)];
            let children: Vec<_> =
                (0..PROCESSES).map(|_| start("exact", &place, figures, &more)).collect();
            let mut sums = Vec::new();
            for mut child in children {
                let mut out = String::new();
                child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
                assert!(child.wait().unwrap().success());
                let line = out.lines().find_map(|line| line.split_once("admitted ")).unwrap();
                sums.push(line.1.parse::<u64>().unwrap());
            }
            assert_eq!(sums.iter().sum::<u64>(), count, "{name} fixed={is_fixed} {sums:?}");
            decisions += PROCESSES * THREADS * checks;
        }
    }
    figure("decisions", decisions);
}

pub(crate) fn job(job: &Job) {
    let limiter = job.limiter();
    let (checks, is_fixed) = (job.number(0), job.number(1) == 1);
    let admitted: usize = std::thread::scope(|scope| {
        let check = || (0..checks).filter(|_| admits(&limiter, b"hot", is_fixed)).count();
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(check)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    println!("admitted {admitted}");
}
