//! An explicit-state check of the slot protocol, by itself: no item of the crate is used here.
//!
//! Every interleaving of single atomic accesses, under sequential consistency, with every choice of
//! victim, a TRANS being fair game at any instant. An actor may stop for ever anywhere, so a crash
//! or a pause at any step is covered. Nothing is bounded: an operation may restart as often as it
//! likes, and each exploration that holds is complete (see `renaming.rs` for how that is finite).
//!
//! Not covered: weak memory (loom), a generation that wraps after 256 claims, more than three slots
//! or four operations, a clock that lags behind another's.
#![expect(clippy::print_stdout, reason = "the counts are the result; run with --nocapture")]

mod actor;
mod config;
mod departure;
mod endless;
mod explore;
mod insertion;
mod model;
mod property;
mod renaming;
mod seen;
mod slot;
mod state;
mod trace;

use std::collections::HashSet;

use config::Start::{Empty, Expired, Spent};
use config::{Ageing, Config, Start};
use departure::Departure;
use endless::is_endless;
use explore::{Report, explore, next_level};
use property::Property;
use renaming::renamed;
use seen::Seen;
use slot::Key;
use state::State;
use trace::trace;

const A: Key = 1;
const B: Key = 2;
const C: Key = 3;

const ONE: &[Start] = &[Empty];
const TWO: &[Start] = &[Empty, Empty];
const THREE: &[Start] = &[Empty, Empty, Empty];

#[test]
fn two_slots_hold_one_new_key() {
    holds("2 slots; a a", Config::new(TWO, &[A, A]), 1_279);
    holds("2 slots; a a a", Config::new(TWO, &[A, A, A]), 87_421);
}

#[test]
fn two_slots_hold_an_old_owner_and_a_new_key() {
    holds("2 slots, a expired; a b", Config::new(&[Expired(A), Empty], &[A, B]), 2_334);
    holds("2 slots, a expired; a b b", Config::new(&[Expired(A), Empty], &[A, B, B]), 345_772);
    holds("2 slots, a expired last; a b b", Config::new(&[Empty, Expired(A)], &[A, B, B]), 345_250);
    holds("2 slots, a expired; a a b", Config::new(&[Expired(A), Empty], &[A, A, B]), 344_084);
}

#[test]
fn two_slots_hold_two_new_keys() {
    holds("2 slots; a a b", Config::new(TWO, &[A, A, B]), 424_299);
}

#[test]
fn one_slot_holds_strangers() {
    holds("1 slot; a b c", Config::new(ONE, &[A, B, C]), 45_883);
    holds("1 slot, a expired; a a b", Config::new(&[Expired(A)], &[A, A, B]), 13_825);
}

#[test]
fn three_slots_hold_one_new_key() {
    holds("3 slots; a a", Config::new(THREE, &[A, A]), 9_975);
}

#[test]
fn entries_may_go_at_any_instant() {
    let expiry = |config| Config { ageing: Ageing::Expiry, ..config };
    let eviction = |config| Config { ageing: Ageing::Eviction, ..config };
    let reset = |config| Config { ageing: Ageing::Reset, ..config };
    holds("2 slots, expiry; a a b", expiry(Config::new(TWO, &[A, A, B])), 498_261);
    holds("2 slots, eviction; a a b", eviction(Config::new(TWO, &[A, A, B])), 457_387);
    holds("2 slots, resets; a a a", reset(Config::new(TWO, &[A, A, A])), 343_564);
    let spent = Config::new(&[Spent(A), Empty], &[A, A, B]);
    holds("2 slots, a spent; a a b", spent, 60);
    holds("2 slots, a spent, expiry; a a b", expiry(spent), 403_957);
    holds("2 slots, a spent, eviction; a a b", eviction(spent), 367_712);
}

/// Worlds of a million states and more, apart from the crate as all of them: no change of the crate
/// changes what they find. `npm run test:protocol` and `npm run prove` explore them.
#[test]
#[ignore = "half a minute"]
fn worlds_of_a_million_states() {
    holds("1 slot, a expired; a a b b", Config::new(&[Expired(A)], &[A, A, B, B]), 1_358_220);
    holds("2 slots; a b c", Config::new(TWO, &[A, B, C]), 1_194_928);
    holds("3 slots; a a a", Config::new(THREE, &[A, A, A]), 1_094_425);
    let expiry = Config { ageing: Ageing::Expiry, ..Config::new(THREE, &[A, A, A]) };
    holds("3 slots, expiry; a a a", expiry, 1_244_287);
    let resets = Config { ageing: Ageing::Reset, ..Config::new(TWO, &[A, A, B]) };
    holds("2 slots, resets; a a b", resets, 2_293_845);
}

/// `cargo test --release -p ratethrottle-core --test protocol_model -- --ignored --nocapture`:
/// five to ten minutes and 3.2 GB.
#[test]
#[ignore = "minutes and gigabytes"]
fn larger_worlds() {
    holds("3 slots; a a b", Config::new(THREE, &[A, A, B]), 5_907_187);
    holds("2 slots; a a a a", Config::new(TWO, &[A, A, A, A]), 5_151_955);
    holds("2 slots; a a b b", Config::new(TWO, &[A, A, B, B]), 73_779_062);
}

#[test]
fn harmless_departures_hold() {
    for departure in [Departure::TagReadAfterWord, Departure::NextVictimAtOnce] {
        for (slots, keys) in [(TWO, [A, A, A].as_slice()), (TWO, &[A, A, B])] {
            let config = Config { departure: Some(departure), ..Config::new(slots, keys) };
            let report = explore(&config, &Property::ALL);
            tell(&config, &format!("{departure:?}"), &report);
            assert!(report.breach.is_none(), "{departure:?} was thought harmless");
        }
    }
}

/// Found by this check: an insertion that came too late may stand before the entry, until it is
/// given up, and for ever if its process died. A peek that stops there reports an untouched budget,
/// a refund is lost, and a block is not seen.
#[test]
fn an_insertion_may_stand_before_the_entry_of_its_key() {
    let config = Config::new(TWO, &[A, A]);
    let report = explore(&config, &[Property::EntryFoundFirst]);
    tell(&config, "2 slots; a a", &report);
    assert!(report.breach.is_some(), "then reading could stop at the first match after all");
}

#[test]
fn departures_that_break_a_limit_are_caught() {
    let same = Config::new(TWO, &[A, A]);
    let thrice = Config::new(TWO, &[A, A, A]);
    let thief = Config::new(&[Expired(A)], &[A, B]);
    for (departure, config, property) in [
        (Departure::GenerationFromTag, thrice, Property::AdmittedOnce),
        (Departure::UncheckedGeneration, thief, Property::DeniedOnlyAfter),
        (Departure::NoUniquenessPass, same, Property::AdmittedOnce),
        (Departure::TagFirst, same, Property::AdmittedOnce),
        (Departure::TagFirst, thief, Property::DeniedOnlyAfter),
        (Departure::RivalLeftAlive, same, Property::AdmittedOnce),
        (Departure::NoSecondLook, same, Property::AdmittedOnce),
        (Departure::TagReadAfterClaim, same, Property::AdmittedOnce),
        (Departure::PassBeforeTag, same, Property::AdmittedOnce),
        (Departure::AdoptWithoutPass, thrice, Property::AdmittedOnce),
        (Departure::PassIgnoresSpent, same, Property::AdmittedOnce),
        (Departure::FreeForgetsGeneration, same, Property::AdmittedOnce),
        (Departure::FreeForgetsGeneration, thief, Property::DeniedOnlyAfter),
        (Departure::OneBitGeneration, same, Property::AdmittedOnce),
    ] {
        breaks(departure, config, &Property::SAFETY, property);
    }
}

#[test]
fn departures_that_wait_for_a_crashed_process_are_caught() {
    let same = Config::new(TWO, &[A, A]);
    for departure in [Departure::TornPairRestarts, Departure::PassFearsTornPair] {
        breaks(departure, same, &Property::ALL, Property::NobodyStuck);
    }
}

#[test]
fn no_run_is_endless_while_a_young_insertion_is_left_alone() {
    for config in [
        Config::new(ONE, &[A, B, C]),
        Config::new(TWO, &[A, A, B]),
        Config::new(THREE, &[A, A, A]),
        Config::new(&[Expired(A), Empty], &[A, A, B, B]),
    ] {
        let config = Config { patient: true, ..config };
        assert!(!is_endless(&config));
        let departure = Some(Departure::RivalsKillEachOther);
        assert_eq!(is_endless(&Config { departure, ..config }), config.slots.len() > 1);
    }
}

/// The one reduction that needs an argument, checked against the search that does without.
#[test]
fn renaming_generations_loses_no_state() {
    for config in [
        Config::new(&[Expired(A), Empty], &[A, B, B]),
        Config { ageing: Ageing::Expiry, ..Config::new(THREE, &[A, A, A]) },
    ] {
        let exact = up_to(20, &Config { renaming: false, ..config });
        let renamed = exact.iter().map(|state| renamed(&config, *state).sorted(config.keys));
        assert!(renamed.collect::<HashSet<_>>() == up_to(20, &config));
    }
}

fn holds(name: &str, config: Config, states: usize) {
    let report = explore(&config, &Property::ALL);
    tell(&config, name, &report);
    assert!(report.breach.is_none(), "{name}");
    // A count that changes means that the model did, which nobody should do unawares.
    assert_eq!(report.states, states, "{name}");
}

/// Without renaming: a departure may make its argument false.
fn breaks(departure: Departure, config: Config, checked: &[Property], expected: Property) {
    let config = Config { departure: Some(departure), renaming: false, ..config };
    let report = explore(&config, checked);
    let broken = report.breach.map(|(property, _)| property);
    tell(&config, &format!("{departure:?}"), &report);
    assert_eq!(broken, Some(expected), "{departure:?}");
}

fn tell(config: &Config, name: &str, report: &Report) {
    println!("{name:<36} {:>10} states", report.states);
    if let Some((property, state)) = report.breach {
        println!("{property:?} is broken:\n{}", trace(config, state));
    }
}

/// The states within so many steps of the start.
fn up_to(steps: usize, config: &Config) -> HashSet<State> {
    let mut seen = Seen::new();
    let mut level = vec![config.start()];
    let mut all: HashSet<State> = level.iter().copied().collect();
    for _ in 0..steps {
        level = next_level(config, &level, &mut seen);
        all.extend(&level);
    }
    all
}
