//! Threads on one key: exactly the limit is admitted, however the threads collide.
//!
//! Run with `--features ratethrottle-core/probe` to have it proved that they do collide.
#![cfg_attr(feature = "probe", expect(clippy::panic, reason = "tests may panic"))]
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests may panic")]

mod contended;

use contended::until_contended;
use ratethrottle_core::{
    AlgorithmKind, Encoding, FixedTime, Limit, LimiterConfig, Nanos, RawLimiter,
};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const THREADS: u64 = 8;
const CHECKS: u64 = 250_000;
const NOW: FixedTime = FixedTime(Nanos(5_000_000_000_000));
const KINDS: [AlgorithmKind; 4] = [
    AlgorithmKind::TokenBucket,
    AlgorithmKind::SlidingWindow,
    AlgorithmKind::SlidingLog,
    AlgorithmKind::FixedWindow,
];

fn limiter(kind: AlgorithmKind, counts: &[u64], capacity: usize) -> RawLimiter {
    let limits = counts.iter().map(|&count| Limit::new(count, 3_600_000).unwrap()).collect();
    RawLimiter::new(LimiterConfig { limits, algorithm: kind, block_for_ms: 0, capacity }).unwrap()
}

fn units(limiter: &RawLimiter, key: &[u8], checks: u64, barrier: &Barrier) -> u64 {
    let key = limiter.key(key, Encoding::Utf8);
    barrier.wait();
    (0..checks).filter(|_| limiter.allow(key, 1, &NOW)).count() as u64
}

fn admitted(limiter: &RawLimiter, checks: u64, beside: impl Fn(u64) + Sync) -> u64 {
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap());
    let total = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (barrier, total, beside) = (&barrier, &total, &beside);
            scope.spawn(move || {
                let mine = if thread % 2 == 1 { checks } else { checks / 2 };
                total.fetch_add(units(limiter, b"hot", mine, barrier), Ordering::Relaxed);
                beside(thread);
                total.fetch_add(
                    (0..checks - mine)
                        .filter(|_| limiter.allow(limiter.key(b"hot", Encoding::Utf8), 1, &NOW))
                        .count() as u64,
                    Ordering::Relaxed,
                );
            });
        }
    });
    total.load(Ordering::Relaxed)
}

#[test]
fn eight_threads_admit_exactly_the_limit() {
    for kind in KINDS {
        let count = if kind == AlgorithmKind::SlidingLog { 4_000 } else { 1_000_000 };
        until_contended(|| {
            let limiter = limiter(kind, &[count], 100);
            assert_eq!(admitted(&limiter, CHECKS, |_| ()), count.min(THREADS * CHECKS), "{kind:?}");
        });
    }
}

#[test]
fn two_limits_admit_exactly_the_tighter_and_charge_the_other_no_more() {
    for kind in KINDS {
        until_contended(|| {
            let limiter = limiter(kind, &[4_000, 3_000], 100);
            assert_eq!(admitted(&limiter, 10_000, |_| ()), 3_000, "{kind:?}");
            // What is denied by one leaves nothing charged in the other.
            limiter.refund(limiter.key(b"hot", Encoding::Utf8), 3_000, &NOW);
            let left = limiter.peek(limiter.key(b"hot", Encoding::Utf8), 1, &NOW);
            assert_eq!((left.remaining, left.reset_ms), (3_000, 0), "{kind:?}");
        });
    }
}

#[test]
fn a_flood_of_other_keys_changes_nothing_for_a_key_with_debt() {
    for kind in KINDS {
        let count = if kind == AlgorithmKind::SlidingLog { 500 } else { 100_000 };
        let limiter = limiter(kind, &[count], 1_000);
        let hot = limiter.key(b"hot", Encoding::Utf8);
        // More debt than the one unit of a passer-by, so it is never the least.
        assert!(limiter.check(hot, 10, &NOW).allowed);
        let passers_by = |thread: u64| {
            for n in 0..12_500_u64 {
                let key = limiter.key(&(thread * 1_000_000 + n).to_le_bytes(), Encoding::Utf8);
                limiter.allow(key, 1, &NOW);
            }
        };
        assert_eq!(admitted(&limiter, CHECKS / 10, passers_by), count - 10, "{kind:?}");
        assert!(limiter.evictions() > 1_000, "{kind:?}: {}", limiter.evictions());
    }
}

#[test]
fn the_first_contact_of_eight_threads_with_a_fresh_key_admits_one() {
    let limiter = limiter(AlgorithmKind::TokenBucket, &[1], 40_000);
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap());
    let total = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for n in 0_u64..20_000 {
                    if n % 100 == 0 {
                        barrier.wait();
                    }
                    let key = limiter.key(&n.to_le_bytes(), Encoding::Utf8);
                    total.fetch_add(u64::from(limiter.allow(key, 1, &NOW)), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(total.load(Ordering::Relaxed), 20_000);
    assert_eq!(limiter.overflows(), 0);
}

#[test]
fn charges_and_refunds_at_once_never_exceed_the_limit() {
    for kind in KINDS {
        let limiter = limiter(kind, &[64], 100);
        let key = limiter.key(b"hot", Encoding::Utf8);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..50_000 {
                        if limiter.allow(key, 3, &NOW) {
                            most.fetch_max(
                                held.fetch_add(3, Ordering::SeqCst) + 3,
                                Ordering::SeqCst,
                            );
                            held.fetch_sub(3, Ordering::SeqCst);
                            limiter.refund(key, 3, &NOW);
                        }
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 64, "{kind:?}: {}", most.load(Ordering::SeqCst));
        assert_eq!(limiter.peek(key, 1, &NOW).remaining, 64, "{kind:?}");
    }
}
