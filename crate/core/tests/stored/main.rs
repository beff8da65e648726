//! Steps on a record of bytes decide as a limiter in memory does, and no bytes are trusted that are no record.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

mod hostile;
mod walk;

use ratethrottle_core::stored::{Operation, Step, Stored};
use ratethrottle_core::{AlgorithmKind, Limit, LimiterConfig, Nanos};

/// A wall clock of 2026.
const START: Nanos = Nanos(1_796_000_000_000_000_000);

const KINDS: [AlgorithmKind; 5] = [
    AlgorithmKind::TokenBucket,
    AlgorithmKind::LeakyBucket,
    AlgorithmKind::SlidingWindow,
    AlgorithmKind::SlidingLog,
    AlgorithmKind::FixedWindow,
];

fn config(kind: AlgorithmKind, limits: &[(u64, u64)], block_for_ms: u64) -> LimiterConfig {
    let limits = limits.iter().map(|&(count, window_ms)| Limit::new(count, window_ms).unwrap());
    LimiterConfig { limits: limits.collect(), algorithm: kind, block_for_ms, capacity: 100 }
}

/// What a store would hold.
struct Kept {
    stored: Stored,
    bytes: Option<Vec<u8>>,
}

impl Kept {
    fn new(config: LimiterConfig) -> Self {
        Self { stored: Stored::new(config).unwrap(), bytes: None }
    }

    fn step(&mut self, now: Nanos, operation: Operation) -> Step {
        let step = self.stored.step(self.bytes.as_deref(), now, operation).unwrap();
        if let Some(write) = &step.write {
            self.bytes = Some(write.bytes.clone());
        }
        step
    }

    fn allows(&mut self, ms: u64, cost: u64) -> bool {
        self.step(later(ms), Operation::Check(cost)).decision.allowed
    }
}

fn later(ms: u64) -> Nanos {
    Nanos(START.0 + ms * 1_000_000)
}

#[test]
fn exactly_the_limit_is_admitted_and_denials_write_nothing() {
    for kind in KINDS {
        let mut kept = Kept::new(config(kind, &[(5, 60_000)], 0));
        let admitted = (0..20).filter(|_| kept.allows(0, 1)).count();
        assert_eq!(admitted, 5, "{kind:?}");
        let denied = kept.step(START, Operation::Check(1));
        assert_eq!((denied.decision.allowed, denied.write), (false, None), "{kind:?}");
    }
}

#[test]
fn a_limit_that_denies_keeps_the_others_from_being_charged() {
    for kind in KINDS {
        let mut kept = Kept::new(config(kind, &[(2, 1_000), (100, 60_000)], 0));
        assert!(kept.allows(0, 2));
        for _ in 0..10 {
            assert!(!kept.allows(0, 1));
        }
        let statuses = kept.step(START, Operation::Peek(1)).statuses;
        assert_eq!((statuses[0].remaining, statuses[1].remaining), (0, 98), "{kind:?}");
    }
}

#[test]
fn time_never_steps_back() {
    for kind in KINDS {
        let mut kept = Kept::new(config(kind, &[(3, 10_000)], 0));
        assert!(kept.allows(100_000, 1));
        for ms in [99_999, 50_000, 0] {
            let back = kept.step(later(ms), Operation::Peek(1)).decision;
            assert_eq!(
                back,
                kept.step(later(100_000), Operation::Peek(1)).decision,
                "{kind:?} {ms}"
            );
        }
        assert!(kept.allows(0, 2) && !kept.allows(99_999, 1), "{kind:?}");
        let as_before = kept.step(later(100_000), Operation::Peek(1)).decision;
        assert_eq!(kept.step(later(7), Operation::Peek(1)).decision, as_before, "{kind:?}");
    }
}

#[test]
fn a_record_that_expired_in_the_store_equals_one_that_recovered() {
    for kind in KINDS {
        let mut kept = Kept::new(config(kind, &[(5, 1_000), (20, 7_000)], 0));
        let write = kept.step(START, Operation::Check(3)).write.unwrap();
        let then = later(write.ttl_ms);
        let mut expired = Kept::new(config(kind, &[(5, 1_000), (20, 7_000)], 0));
        assert_eq!(kept.step(then, Operation::Peek(1)), expired.step(then, Operation::Peek(1)));
        assert_eq!(
            kept.step(then, Operation::Check(2)).write,
            expired.step(then, Operation::Check(2)).write,
            "{kind:?}"
        );
    }
}

#[test]
fn a_block_outlives_the_limits_and_is_lifted_by_a_reset() {
    for kind in KINDS {
        let mut kept = Kept::new(config(kind, &[(5, 1_000)], 0));
        let write = kept.step(START, Operation::Block(90_000)).write.unwrap();
        assert_eq!(write.ttl_ms, 90_000, "{kind:?}");
        let denied = kept.step(later(1), Operation::Check(1)).decision;
        assert_eq!((denied.allowed, denied.remaining, denied.retry_ms), (false, 0, 89_999));
        kept.step(later(2), Operation::Reset);
        assert!(kept.allows(3, 1));
    }
}

#[test]
fn a_denial_begins_the_block_of_block_for_once() {
    let mut kept = Kept::new(config(AlgorithmKind::FixedWindow, &[(1, 1_000)], 60_000));
    assert!(kept.allows(0, 1));
    let denied = kept.step(START, Operation::Check(1));
    assert_eq!((denied.decision.retry_ms, denied.blocked_ms), (60_000, 60_000));
    assert!(denied.write.is_some());
    let again = kept.step(later(59_999), Operation::Check(1));
    assert_eq!((again.decision.retry_ms, again.write), (1, None));
    assert!(kept.allows(60_000, 1));
    let waits = kept.step(later(60_000), Operation::Take(1));
    assert_eq!((waits.decision.retry_ms, waits.write), (1_000, None));
}

#[test]
fn a_cost_above_the_limit_is_never_admitted_and_begins_no_block() {
    for kind in KINDS {
        let mut kept = Kept::new(config(kind, &[(5, 1_000)], 60_000));
        let never = kept.step(START, Operation::Check(6));
        assert_eq!(never.decision.retry_ms, ratethrottle_core::NEVER);
        assert_eq!(never.write, None);
        assert!(kept.allows(0, 5));
    }
}

#[test]
fn a_log_keeps_no_more_times_than_its_limit_and_few_for_few_units() {
    let mut kept = Kept::new(config(AlgorithmKind::SlidingLog, &[(1_000, 1_000)], 0));
    let few = kept.step(START, Operation::Check(3)).write.unwrap().bytes.len();
    assert_eq!(few, 8 * (4 + 1 + 3 + 1));
    for ms in 0..3_000 {
        kept.allows(ms, 1);
    }
    assert!(kept.bytes.unwrap().len() <= 8 * (4 + 1 + 1_000 + 1));
}
