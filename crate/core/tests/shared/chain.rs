//! The chain checker. A state word never recurs in a short run, so the exchanges that every process has
//! written down must form one path per slot, from the empty word to the one that is there at the end: each
//! was made on what the one before it left. That is linearizability, without a search.

use crate::child::{FIXED, Job, start};
use crate::figure;
use crate::test_dir::{KINDS, TestDir, config, kind, open};
use ratethrottle_core::{Encoding, FixedTime, record_exchanges, recorded_exchanges};
use std::collections::HashMap;
use std::io::Read;

const COUNT: u64 = 900;
const WINDOW_MS: u64 = 3_600_000;
const CAPACITY: usize = 1;
const PROCESSES: u64 = 4;
const THREADS: u64 = 2;
/// Few keys that are charged often, and more keys than there are slots, claimed again and again: but no
/// slot 256 times, or its words would recur.
const HISTORIES: [(u64, u64); 7] =
    [(3, 1_000), (40, 30), (40, 30), (40, 30), (40, 30), (40, 30), (40, 30)];

/// An exchange of the word at `place`.
#[derive(Clone, Copy, Debug)]
struct Edge {
    place: u64,
    from: u64,
    to: u64,
}

#[test]
fn the_exchanges_of_all_processes_form_one_path_for_each_slot() {
    let mut checked = 0;
    for (name, ..) in KINDS {
        for (keys, checks) in HISTORIES {
            let place = TestDir::new();
            let _held = open(&place.0, &config(kind(name), COUNT, WINDOW_MS, CAPACITY)).unwrap();
            let figures = (name, COUNT, WINDOW_MS, CAPACITY);
            let children: Vec<_> =
                (0..PROCESSES).map(|_| start("chain", &place, figures, &[keys, checks])).collect();
            let (mut edges, mut admitted) = (Vec::new(), 0);
            for mut child in children {
                let mut out = String::new();
                child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
                assert!(child.wait().unwrap().success());
                let numbers = |line: &str| -> Vec<u64> {
                    line.split(' ').skip(1).map(|word| word.parse().unwrap()).collect()
                };
                for line in out.lines() {
                    match line.split(' ').next() {
                        Some("edge") => {
                            let [place, from, to] = numbers(line)[..] else { panic!("{line}") };
                            edges.push(Edge { place, from, to });
                        }
                        Some("sum") => admitted += numbers(line)[0],
                        _ => {}
                    }
                }
            }
            assert_eq!(flaw(&edges), None, "{name}");
            // Conservation: as many exchanges to a live word as admissions were answered.
            let charges = edges.iter().filter(|edge| edge.to >> 62 == 1).count() as u64;
            assert_eq!(charges, admitted, "{name}");
            checked += edges.len();
        }
    }
    figure("exchanges that form one path for each slot", checked as u64);
}

/// What is wrong with the edges, if they are not one path for each place.
fn flaw(edges: &[Edge]) -> Option<String> {
    let mut places: HashMap<u64, HashMap<u64, u64>> = HashMap::new();
    for edge in edges {
        let earlier = places.entry(edge.place).or_default().insert(edge.from, edge.to);
        if earlier.is_some() {
            return Some(format!("two exchanges were made on the same word: {edge:?}"));
        }
    }
    for (place, mut next) in places {
        let mut word = 0;
        while let Some(to) = next.remove(&word) {
            word = to;
        }
        if !next.is_empty() {
            return Some(format!("{} exchanges at {place} are on no path", next.len()));
        }
    }
    None
}

#[test]
fn the_chain_checker_finds_a_lost_update_and_a_word_from_nowhere() {
    let edge = |from, to| Edge { place: 8, from, to };
    assert_eq!(flaw(&[edge(1, 2), edge(0, 1), edge(2, 3)]), None);
    assert!(flaw(&[edge(0, 1), edge(1, 2), edge(1, 3)]).is_some());
    assert!(flaw(&[edge(0, 1), edge(5, 6)]).is_some());
}

pub(crate) fn job(job: &Job) {
    let limiter = job.limiter();
    let (keys, checks) = (job.number(0), job.number(1));
    record_exchanges();
    let admitted: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let limiter = &limiter;
                scope.spawn(move || {
                    let key = |n: u64| limiter.key(&(n % keys).to_le_bytes(), Encoding::Utf8);
                    let ask = |n: u64| limiter.allow(key(n * 7 + thread), 1, &FixedTime(FIXED));
                    (0..checks).filter(|n| ask(*n)).count() as u64
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    for [place, from, to] in recorded_exchanges() {
        println!("edge {place} {from} {to}");
    }
    println!("sum {admitted}");
}
