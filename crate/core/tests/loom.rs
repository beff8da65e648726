//! loom on the real table: every interleaving of two threads, with C11's weak memory.
//!
//! `npm run test:loom` (two preemptions, the short bound of CI), `node scripts/loom.mjs 3` for more. Under
//! loom a set has two slots and the table one set.
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "tests may panic")]

#[path = "loom/permits.rs"]
mod permits;

use loom::sync::Arc;
use loom::thread;
use ratethrottle_core::algorithm::{Algorithm as _, AnyAlgorithm, Gcra, SlidingLog};
use ratethrottle_core::table::{Layout, Table};
use ratethrottle_core::{AtomicU64, Encoding, FixedTime, Key, Limit, Nanos, Secret};

type Real = Table<Vec<AtomicU64>>;

const NOW: FixedTime = FixedTime(Nanos(5_000_000_000_000));
const LATER: FixedTime = FixedTime(Nanos(9_000_000_000_000));

fn table(algorithm: AnyAlgorithm, limit: Limit) -> Arc<Real> {
    let layout = Layout::for_sets(1, algorithm.ring_words());
    let memory = (0..layout.words()).map(|_| AtomicU64::new(0)).collect();
    Arc::new(Table::new(memory, layout, algorithm, limit).unwrap())
}

fn bucket(count: u64) -> Arc<Real> {
    let limit = Limit::new(count, 3_600_000).unwrap();
    table(AnyAlgorithm::Gcra(Gcra::new(limit).unwrap()), limit)
}

fn log(count: u64) -> Arc<Real> {
    let limit = Limit::new(count, 3_600_000).unwrap();
    table(AnyAlgorithm::SlidingLog(SlidingLog::new(limit).unwrap()), limit)
}

fn key(name: &str) -> Key {
    Secret::known(1, 2).key(name.as_bytes(), Encoding::Utf8)
}

fn admits(table: &Real, name: &str, at: FixedTime) -> u32 {
    u32::from(table.allow(key(name), 1, &at))
}

/// Runs both at once and adds up what was admitted.
fn both(
    table: &Arc<Real>,
    one: impl FnOnce(&Real) -> u32 + 'static,
    other: impl FnOnce(&Real) -> u32,
) -> u32 {
    let theirs = Arc::clone(table);
    let thread = thread::spawn(move || one(&theirs));
    let mine = other(table);
    mine + thread.join().unwrap()
}

#[test]
fn a_new_key_with_limit_1_is_admitted_once() {
    loom::model(|| {
        let table = bucket(1);
        assert_eq!(both(&table, |t| admits(t, "a", NOW), |t| admits(t, "a", NOW)), 1);
    });
}

#[test]
fn two_new_keys_are_both_admitted() {
    loom::model(|| {
        let table = bucket(1);
        assert_eq!(both(&table, |t| admits(t, "a", NOW), |t| admits(t, "b", NOW)), 2);
    });
}

#[test]
fn an_expired_owner_and_a_newcomer_are_each_admitted_once() {
    loom::model(|| {
        let table = bucket(1);
        admits(&table, "a", NOW);
        assert_eq!(both(&table, |t| admits(t, "a", LATER), |t| admits(t, "b", LATER)), 2);
        assert_eq!(admits(&table, "a", LATER) + admits(&table, "b", LATER), 0);
    });
}

#[test]
fn a_newcomer_that_evicts_and_the_evicted_key_never_share_a_budget() {
    loom::model(|| {
        let table = bucket(3);
        table.charge(key("a"), 1, &NOW, false);
        table.charge(key("b"), 2, &NOW, false);
        // c takes a's slot or b's; the key that stays keeps what it owes.
        let sum = both(&table, |t| admits(t, "c", NOW), |t| admits(t, "b", NOW));
        assert_eq!(sum, 2);
    });
}

#[test]
fn the_last_unit_goes_to_one_of_two() {
    loom::model(|| {
        let table = bucket(2);
        admits(&table, "a", NOW);
        assert_eq!(both(&table, |t| admits(t, "a", NOW), |t| admits(t, "a", NOW)), 1);
    });
}

#[test]
fn a_refund_beside_a_charge_is_neither_lost_nor_doubled() {
    loom::model(|| {
        let table = bucket(2);
        table.charge(key("a"), 1, &NOW, false);
        let refund = |t: &Real| {
            t.refund(key("a"), 1, &NOW);
            0
        };
        assert_eq!(both(&table, refund, |t| admits(t, "a", NOW)), 1);
        // 1 + 1 - 1 units are owed, unless the refund came when there was nothing but its own unit.
        assert_eq!(table.peek(key("a"), 1, &NOW).remaining, 1);
    });
}

#[test]
fn a_blocked_key_is_denied_beside_whatever_else_happens() {
    loom::model(|| {
        let table = bucket(3);
        let block = |t: &Real| u32::from(t.block(key("a"), u64::MAX >> 11, &NOW));
        let sum = both(&table, block, |t| u32::from(t.block(key("a"), u64::MAX >> 11, &NOW)));
        assert_eq!(sum, 2);
        assert!(table.blocked_for_us(key("a"), NOW.0) > 0);
    });
}

#[test]
fn a_log_of_1_admits_one_of_two_on_a_fresh_key() {
    loom::model(|| {
        let table = log(1);
        assert_eq!(both(&table, |t| admits(t, "a", NOW), |t| admits(t, "a", NOW)), 1);
    });
}

#[test]
fn a_log_of_2_with_one_unit_in_it_admits_one_of_two() {
    loom::model(|| {
        let table = log(2);
        admits(&table, "a", NOW);
        assert_eq!(both(&table, |t| admits(t, "a", NOW), |t| admits(t, "a", NOW)), 1);
        assert_eq!(table.peek(key("a"), 1, &NOW).remaining, 0);
    });
}

#[test]
fn a_log_gives_back_beside_a_charge_and_forgets_no_unit() {
    loom::model(|| {
        let table = log(2);
        table.charge(key("a"), 2, &NOW, false);
        let refund = |t: &Real| {
            t.refund(key("a"), 1, &NOW);
            0
        };
        let sum = both(&table, refund, |t| admits(t, "a", NOW));
        assert_eq!(u64::from(sum) + table.peek(key("a"), 1, &NOW).remaining, 1);
    });
}

/// A table whose two slots hold denied keys.
fn full_of_denied(count: u64) -> Arc<Real> {
    let table = bucket(count);
    for name in ["a", "b"] {
        assert!(table.allow(key(name), count, &NOW));
    }
    table
}

#[test]
fn a_denied_key_stays_denied_while_a_newcomer_takes_its_slot() {
    loom::model(|| {
        let table = full_of_denied(1);
        let denied = |t: &Real| admits(t, "a", NOW) + admits(t, "b", NOW);
        assert_eq!(both(&table, |t| admits(t, "c", NOW), denied), 1);
        assert_eq!(table.moves(), 1);
        assert_eq!(denied(&table) + admits(&table, "c", NOW), 0);
    });
}

#[test]
fn a_newcomer_that_two_threads_see_gets_one_slot_of_a_denied_key() {
    loom::model(|| {
        let table = full_of_denied(1);
        let sum = both(&table, |t| admits(t, "c", NOW), |t| admits(t, "c", NOW));
        assert_eq!((sum, table.overflows()), (1, 0));
        assert_eq!(admits(&table, "a", NOW) + admits(&table, "b", NOW), 0);
    });
}

#[test]
fn two_newcomers_move_denied_keys_and_free_none() {
    loom::model(|| {
        let table = full_of_denied(1);
        assert_eq!(both(&table, |t| admits(t, "c", NOW), |t| admits(t, "d", NOW)), 2);
        let denied = ["a", "b", "c", "d"].map(|name| admits(&table, name, NOW));
        assert_eq!(denied, [0; 4]);
    });
}

#[test]
fn a_moved_key_that_may_have_one_unit_again_gets_one() {
    /// One of two units of an hour is back.
    const HALF: FixedTime = FixedTime(Nanos(5_000_000_000_000 + 1_900_000_000_000));
    loom::model(|| {
        let table = full_of_denied(2);
        assert_eq!(admits(&table, "c", NOW), 1);
        assert_eq!(table.moves(), 1);
        let sum = both(&table, |t| admits(t, "a", HALF), |t| admits(t, "a", HALF));
        assert_eq!(sum, 1);
        assert_eq!(admits(&table, "a", HALF), 0);
    });
}

#[test]
fn a_moved_key_that_is_reset_while_others_move_is_admitted_once() {
    loom::model(|| {
        let table = full_of_denied(1);
        let reset = |t: &Real| {
            t.reset(key("a"));
            0
        };
        assert_eq!(both(&table, reset, |t| admits(t, "c", NOW)), 1);
        assert_eq!(admits(&table, "a", NOW), 1);
        assert_eq!(admits(&table, "a", NOW), 0);
    });
}
