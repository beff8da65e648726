//! Threads on one shield, as processes are.

use super::contended::until_contended;
use super::{MINUTE_MS, START_MS, ask, at, config, shared, source};
use ratethrottle_core::shield::{Outcome, Shield, ShieldConfig};
use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const THREADS: u64 = 8;

/// Runs this on all threads at once.
fn together(act: impl Fn(u64) + Sync) {
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap());
    thread::scope(|scope| {
        for n in 0..THREADS {
            let (barrier, act) = (&barrier, &act);
            scope.spawn(move || {
                barrier.wait();
                act(n);
            });
        }
    });
}

/// No request is lost or counted twice.
#[test]
fn all_requests_are_counted() {
    until_contended(|| {
        let shield = shared(ShieldConfig { ceiling: 1e9, ..config() });
        together(|_| {
            for n in 0..50_000 {
                ask(&shield, source(n % 3), START_MS);
            }
        });
        assert_eq!(shield.state(false, at(START_MS)).admitted, THREADS * 50_000);
        let top = shield.top(10, at(START_MS));
        assert_eq!(top.len(), 3);
        // Within the precision of a rate that was added up in another order.
        let sum: f64 = top.iter().map(|one| one.per_minute).sum();
        assert!((sum / (THREADS * 50_000) as f64 - 1.0).abs() < 0.001, "{sum}");
    });
}

/// Together they are let in no more often than one thread would be.
#[test]
fn the_ceiling_holds_over_all_threads() {
    let alone = shared(config());
    let most = (0..1_000).filter(|_| !ask(&alone, source(1), START_MS).is_refused).count() as u64;
    until_contended(|| {
        let shield = shared(config());
        let admitted = AtomicU64::new(0);
        together(|_| {
            let mine = (0..5_000).filter(|_| !ask(&shield, source(1), START_MS).is_refused).count();
            admitted.fetch_add(mine as u64, Ordering::Relaxed);
        });
        let admitted = admitted.into_inner();
        // Each thread may have been past the look at the bucket when another filled it.
        assert!(admitted >= most && admitted <= most + THREADS, "{admitted} of {most}");
    });
}

/// A strike a second, however many threads see the source come back.
#[test]
fn threads_do_not_add_up_strikes() {
    until_contended(|| {
        let shield = shared(config());
        together(|_| {
            for n in 0..10_000 {
                assert!(ask(&shield, source(1), START_MS + n % 900).level < 4);
            }
        });
    });
}

/// While a table turns over, an offender's marks reach no one who comes to its slot: they name their owner by 16 bits.
/// Without a name they would reach thousands here.
#[test]
fn what_is_held_against_one_source_reaches_no_other() {
    until_contended(|| {
        let shield = shared(ShieldConfig {
            sources: 16,
            ceiling: 5.0,
            strikes: 1,
            failures: 1,
            insistence_blocks: super::blocks(&[1]),
            failure_blocks: super::blocks(&[1]),
            ..config()
        });
        let harmed = AtomicU64::new(0);
        together(|thread| {
            if thread % 2 == 0 {
                offend(&shield, thread);
            } else {
                harmed.fetch_add(pass_by(&shield, thread), Ordering::Relaxed);
            }
        });
        // Of 800,000 passers-by about 10,000 come to a slot that is being written to.
        assert!(harmed.into_inner() <= 5);
    });
}

/// Sources that misbehave in every way, and are forgotten at once: a block of a millisecond, then another source.
fn offend(shield: &Shield, thread: u64) {
    let outcome = Outcome { has_failed: true, is_sensitive: true, path: thread };
    for n in 0..20_000 {
        let who = source((thread << 12) + n % 64);
        let ms = START_MS + n / 2;
        for _ in 0..30 {
            shield.decide(who, true, true, at(ms));
        }
        shield.settle(who, outcome, at(ms));
    }
}

/// Each comes once and does nothing wrong. Returns how many are blocked all the same.
fn pass_by(shield: &Shield, thread: u64) -> u64 {
    let blocked = |&n: &u64| {
        let who = source((thread << 20) + (1 << 19) + n);
        let ms = START_MS + n / 20;
        let verdict = ask(shield, who, ms);
        verdict.level == 4 || shield.blocked_ms(who, at(ms)) > 0
    };
    (0..200_000).filter(blocked).count() as u64
}

/// A block is seen by all threads at once, and so is its end.
#[test]
fn blocks_and_pardons_hold_for_all_threads() {
    let shield = shared(config());
    for round in 0..200 {
        let who = source(round);
        shield.block(who, MINUTE_MS, at(START_MS));
        together(|_| assert_eq!(ask(&shield, who, START_MS).level, 4));
        assert!(shield.pardon(who, at(START_MS)));
        together(|_| assert_eq!(ask(&shield, who, START_MS).level, 0));
    }
}

/// Threads that meet a new source at the same instant make one record of it.
#[test]
fn a_source_has_one_record_whichever_thread_made_it() {
    let shield = shared(ShieldConfig { sources: 4_096, ..config() });
    for round in 0..1_000 {
        together(|_| {
            ask(&shield, source(round), START_MS);
        });
    }
    let all = shield.top(10_000, at(START_MS));
    let names: HashSet<String> = all.iter().map(|one| one.source.to_string()).collect();
    assert_eq!((all.len(), names.len()), (1_000, 1_000));
}
/// No two blocks for one offence, whichever thread saw it.
#[test]
fn threads_do_not_block_twice_for_one_offence() {
    until_contended(|| {
        let shield = shared(ShieldConfig { ceiling: 1.0, ..config() });
        let begun = AtomicU64::new(0);
        together(|_| {
            for n in 0..20_000 {
                let verdict = ask(&shield, source(1), START_MS + n);
                if verdict.begins_block {
                    begun.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let blocked = shield.blocked_ms(source(1), at(START_MS + 20_000));
        assert!(blocked > 0 && blocked <= 120_000, "{blocked}");
        assert!(begun.into_inner() >= 1);
    });
}
