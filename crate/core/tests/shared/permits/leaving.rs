//! Processes that end with permits: in order, and killed.

use super::{attach, held, of, take};
use crate::child::{Job, start};
use crate::test_dir::TestDir;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A machine with much to do may stop this process for seconds: it is asked again each time it goes on.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const FIGURES: (&str, u64, u64, usize) = ("", 0, 0, 0);

/// A process that has taken `n` permits of the key by the time this returns.
fn holder(place: &TestDir, n: u64) -> Child {
    let mut child = start("permits_holding", place, FIGURES, &[n]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "holding"));
    child
}

pub(crate) fn job(job: &Job) {
    let lane = attach(&job.directory(), &of(4, 6));
    (0..job.number(0)).for_each(|_| _ = take(&lane, "a").unwrap());
    // Started while the file is open here: it must not keep the lock.
    let mut other = Command::new("sleep").arg("3").stdout(Stdio::null()).spawn().unwrap();
    println!("holding");
    std::io::stdout().flush().unwrap();
    let mut ending = String::new();
    std::io::stdin().read_line(&mut ending).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn permits_of_a_killed_process_come_free_for_who_asks() {
    let place = TestDir::new();
    let lane = attach(&place.0, &of(4, 6));
    let mut child = holder(&place, 3);
    let mine = take(&lane, "a").unwrap();
    assert!(take(&lane, "a").is_err(), "the other process lives");
    assert_eq!(lane.reap(), 0);
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    while take(&lane, "a").is_err() {
        assert!(killed.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((held(&lane, "a"), lane.permits().in_use()), (2, (2, 1)));
    assert!(lane.release(mine) && lane.release(mine) && !lane.release(mine));
    assert_eq!(lane.permits().in_use(), (0, 0));
}

#[test]
fn the_lane_of_a_killed_process_is_clean_for_the_next_thread() {
    let place = TestDir::new();
    let lane = attach(&place.0, &of(4, 6));
    for _ in 0..3 {
        let mut child = holder(&place, 4);
        child.kill().unwrap();
        child.wait().unwrap();
        let killed = Instant::now();
        // What the process had just started keeps its files for the instant in which that becomes another program.
        while lane.permits().in_use() != (0, 0) {
            assert!(killed.elapsed() < PATIENCE);
            lane.reap();
        }
    }
    let next = attach(&place.0, &of(4, 6));
    assert_eq!((next.held(), held(&lane, "a")), (0, 0));
}
