//! loom on permits: every interleaving of two threads, of which one dies after any of its steps.

use super::key;
use loom::sync::Arc;
use loom::thread;
use ratethrottle_core::permits::{Refusal, Trial, User};

/// Runs both at once.
fn both<T: 'static, U>(
    trial: &Arc<Trial>,
    one: impl FnOnce(&Trial) -> T + 'static,
    other: impl FnOnce(&Trial) -> U,
) -> (T, U) {
    let theirs = Arc::clone(trial);
    let thread = thread::spawn(move || one(&theirs));
    let mine = other(trial);
    (thread.join().unwrap(), mine)
}

/// The keys' permits are all free: each of two keys can have its own again.
fn all_are_free(trial: &Trial, per_key: u32) {
    let user = User::of(3);
    for name in ["a", "b"] {
        assert_eq!(trial.held(key(name)), 0, "{name}");
        (0..per_key).for_each(|_| assert!(trial.acquire(&user, key(name)).is_ok(), "{name}"));
        assert_eq!(trial.acquire(&user, key(name)), Err(Refusal::PerKey), "{name}");
    }
    assert_eq!(trial.settle_as(&user), u64::from(2 * per_key));
}

#[test]
fn a_new_key_with_one_permit_has_it_once() {
    loom::model(|| {
        let trial = Arc::new(Trial::new([1, 0]));
        let take = |lane| move |t: &Trial| t.acquire(&User::of(lane), key("a")).is_ok();
        let (one, other) = both(&trial, take(1), take(2));
        assert!(one ^ other, "{one} {other}");
    });
}

#[test]
fn two_keys_that_take_the_slots_of_others_have_a_permit_each() {
    loom::model(|| {
        let trial = Arc::new(Trial::new([1, 0]));
        let before = User::of(3);
        for name in ["a", "b"] {
            let index = trial.acquire(&before, key(name)).unwrap();
            trial.release(&before, index);
        }
        let take = |lane, name| move |t: &Trial| t.acquire(&User::of(lane), key(name)).is_ok();
        let (one, other) = both(&trial, take(1, "a"), take(2, "c"));
        assert!(one && other, "{one} {other}");
        assert_eq!((trial.held(key("a")), trial.held(key("c"))), (1, 1));
    });
}

/// One of two whose slot is claimed for the first time dies after each step. The other goes on meanwhile, and what the
/// dead one held comes free afterwards.
#[test]
fn who_dies_in_a_claim_leaves_nothing_that_its_lane_does_not_say() {
    for steps in 0..7 {
        loom::model(move || {
            let trial = Arc::new(Trial::new([2, 0]));
            let die = move |t: &Trial| {
                User::of(1).dies_after(steps, |user| t.acquire(user, key("a"))).is_some()
            };
            let user = User::of(2);
            let (_, taken) = both(&trial, die, |t| t.acquire(&user, key("a")));
            trial.settle(1);
            assert_eq!(trial.held(key("a")), 1);
            assert!(trial.release(&user, taken.unwrap()));
            all_are_free(&trial, 2);
        });
    }
}

/// The word that carries the dead one's mark is written over before and after its death.
#[test]
fn a_user_that_dies_in_a_change_is_reaped_whichever_lane_wrote_over_its_mark() {
    for steps in 0..8 {
        loom::model(move || {
            let trial = Arc::new(Trial::new([3, 0]));
            let user = User::of(2);
            let first = trial.acquire(&user, key("a")).unwrap();
            let die = move |t: &Trial| {
                User::of(1).dies_after(steps, |user| {
                    let index = t.acquire(user, key("a")).unwrap();
                    t.release(user, index)
                });
            };
            both(&trial, die, |t| {
                assert!(t.release(&user, first));
                t.acquire(&user, key("a")).unwrap();
            });
            trial.settle(1);
            assert_eq!(trial.held(key("a")), 1);
            trial.settle_as(&user);
            all_are_free(&trial, 3);
        });
    }
}

/// Who looks after a dead one dies doing so, beside a third.
#[test]
fn a_reaper_that_dies_is_looked_after_too() {
    for steps in 0..5 {
        loom::model(move || {
            let trial = Arc::new(Trial::new([3, 0]));
            let (dead, user) = (User::of(1), User::of(2));
            trial.acquire(&dead, key("a")).unwrap();
            // Two permits, of which the lane itself knows one.
            dead.dies_after(2, |dead| trial.acquire(dead, key("a")));
            let reap = move |t: &Trial| _ = User::of(1).dies_after(steps, |user| t.settle_as(user));
            let (_, taken) = both(&trial, reap, |t| t.acquire(&user, key("a")).is_ok());
            trial.settle(1);
            assert_eq!(trial.held(key("a")), u32::from(taken));
            trial.settle_as(&user);
            all_are_free(&trial, 3);
        });
    }
}

/// The total beside the key's own.
#[test]
fn the_last_permit_of_all_goes_to_one_of_two_keys() {
    loom::model(|| {
        let trial = Arc::new(Trial::new([1, 1]));
        let take = |lane, name| move |t: &Trial| t.acquire(&User::of(lane), key(name));
        let (one, other) = both(&trial, take(1, "a"), take(2, "b"));
        assert!(one.is_ok() ^ other.is_ok(), "{one:?} {other:?}");
        assert_eq!(trial.held(key("a")) + trial.held(key("b")), 1);
    });
}

/// Two claim a slot for the same key while a third dies doing so. Three threads: one preemption takes long enough.
#[test]
fn a_claim_that_is_left_behind_gives_no_key_two_slots() {
    let mut few = loom::model::Builder::new();
    few.preemption_bound = Some(1);
    for steps in 0..3 {
        few.check(move || {
            let trial = Arc::new(Trial::new([1, 0]));
            let (first, second) = (Arc::clone(&trial), Arc::clone(&trial));
            let die =
                move || _ = User::of(1).dies_after(steps, |user| first.acquire(user, key("a")));
            let dying = thread::spawn(die);
            let other = thread::spawn(move || {
                let user = User::of(2);
                second.acquire(&user, key("a")).is_ok()
            });
            let user = User::of(3);
            let mine = trial.acquire(&user, key("a")).is_ok();
            dying.join().unwrap();
            let theirs = other.join().unwrap();
            assert!(!(mine && theirs), "both have the one permit");
            trial.settle(1);
            trial.settle(2);
            trial.settle_as(&user);
            all_are_free(&trial, 1);
        });
    }
}

/// Who dies between the key's permit and that of the total.
#[test]
fn who_dies_with_a_permit_of_the_key_alone_holds_none_of_the_total() {
    for steps in 3..12 {
        loom::model(move || {
            let trial = Arc::new(Trial::new([2, 2]));
            let before = User::of(3);
            let index = trial.acquire(&before, key("a")).unwrap();
            trial.release(&before, index);
            let die =
                move |t: &Trial| _ = User::of(1).dies_after(steps, |u| t.acquire(u, key("a")));
            let user = User::of(2);
            let (_, taken) = both(&trial, die, |t| t.acquire(&user, key("a")));
            trial.settle(1);
            assert!(trial.release(&user, taken.unwrap()));
            let two = ["a", "b"].map(|name| trial.acquire(&user, key(name)));
            assert!(two.iter().all(Result::is_ok), "{two:?}");
            assert_eq!(trial.acquire(&user, key("a")), Err(Refusal::Total));
        });
    }
}
