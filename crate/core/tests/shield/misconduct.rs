//! The ceiling, what a source is told, strikes and blocks, beside a model that keeps every request.

use super::{FORGIVEN_AFTER_MS, START_MS, alone, ask, at, blocks, config, source};
use proptest::prelude::*;
use ratethrottle_core::shield::{Shield, ShieldConfig, reason};
use std::collections::BTreeSet;

/// How many requests come at once before the first is refused.
fn burst(shield: &Shield) -> u64 {
    (0..100_000).take_while(|_| !ask(shield, source(9), START_MS).is_refused).count() as u64
}

/// By how many requests a source is at most over what its rate allows, over all times until now.
fn excess(times: &[u64], now: u64, per_second: f64) -> f64 {
    let mut most = 0.0_f64;
    for (i, &time) in times.iter().enumerate() {
        let made = (times.len() - i) as f64;
        most = most.max(made - (now - time) as f64 / 1_000.0 * per_second);
    }
    most
}

#[derive(Default)]
struct Model {
    /// Of all requests that fill its bucket, refused or not.
    times: Vec<u64>,
    admitted: Vec<u64>,
    told_until: u64,
    /// Seconds in which it came back early, since the first of them.
    early: BTreeSet<u64>,
    first_early: u64,
    blocked_until: u64,
    level: usize,
}

fn gaps() -> impl Strategy<Value = Vec<u64>> {
    let gap =
        prop_oneof![8 => 0..30_u64, 4 => 0..600_u64, 2 => 900..5_000_u64, 1 => 60_000..900_000_u64];
    // Now and then a run of equal gaps, as a program makes them.
    let run = (0..40_u64, 1..400_usize).prop_map(|(gap, count)| vec![gap; count]);
    let mixed = prop::collection::vec(gap, 1..60);
    prop::collection::vec(prop_oneof![run, mixed], 1..12).prop_map(|runs| runs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_source_is_refused_as_the_model_says(
        gaps in gaps(),
        ceiling in prop_oneof![Just(5.0), Just(20.0), Just(50.0)],
        strikes in 1..12_u64,
        within_ms in prop_oneof![Just(10_000_u64), Just(60_000)],
    ) {
        let steps = [3_000_u64, 20_000, 90_000];
        let insistence_blocks = blocks(&steps);
        let config =
            ShieldConfig { ceiling, strikes, strikes_within_ms: within_ms, insistence_blocks, ..config() };
        let shield = alone(config);
        let burst = burst(&shield) as f64;
        // Some seconds' worth, so that a page is never over it.
        prop_assert!(burst >= ceiling && burst <= ceiling * 5.0);
        let mut model = Model::default();
        let mut now = START_MS;
        for gap in gaps {
            now += gap;
            if model.blocked_until <= now {
                model.times.push(now);
            }
            let verdict = ask(&shield, source(1), now);
            check(&mut model, &verdict, now, (ceiling, burst), (strikes, within_ms), &steps)?;
        }
    }
}

fn check(
    model: &mut Model,
    verdict: &ratethrottle_core::shield::Verdict,
    now: u64,
    (ceiling, burst): (f64, f64),
    (strikes, within_ms): (u64, u64),
    steps: &[u64],
) -> Result<(), TestCaseError> {
    if model.blocked_until > now {
        prop_assert_eq!((verdict.level, verdict.retry_ms), (4, model.blocked_until - now));
        prop_assert!(!verdict.begins_block);
        return Ok(());
    }
    let is_early = model.told_until > now;
    let excess = excess(&model.times, now, ceiling);
    if is_early {
        prop_assert!(verdict.is_refused, "back {} ms too early", model.told_until - now);
    } else if excess <= burst - 0.5 {
        prop_assert!(!verdict.is_refused, "{} over, {} allowed", excess, burst);
    }
    if !verdict.is_refused {
        model.admitted.push(now);
        // What is let in is never more than the ceiling and the burst, over any time.
        let bound = burst + 1.0 + (now - model.admitted[0]) as f64 / 1_000.0 * ceiling;
        prop_assert!(model.admitted.len() as f64 <= bound);
        return Ok(());
    }
    if is_early {
        if model.early.is_empty() || now > model.first_early + within_ms + 64 {
            model.early.clear();
            model.first_early = now;
        }
        // The shield's seconds begin a millisecond earlier than the clock's.
        model.early.insert((now + 1) / 1_000);
    }
    if verdict.begins_block {
        prop_assert!(is_early && model.early.len() as u64 >= strikes, "{:?}", model.early);
        prop_assert_eq!(verdict.reasons, reason::INSISTENT);
        let is_forgiven = now > model.blocked_until + FORGIVEN_AFTER_MS;
        model.level = if is_forgiven { 1 } else { model.level + 1 };
        let ms = steps[(model.level - 1).min(steps.len() - 1)];
        prop_assert_eq!((verdict.level, verdict.retry_ms), (4, ms));
        model.blocked_until = now + ms;
        // It comes back with its bucket three quarters full.
        model.times = vec![model.blocked_until; (burst * 0.75) as usize];
        model.told_until = 0;
        model.early.clear();
        return Ok(());
    }
    prop_assert!(verdict.level < 4 && verdict.retry_ms > 0);
    // Never a shorter wait than the one told before.
    prop_assert!(now + verdict.retry_ms >= model.told_until);
    model.told_until = now + verdict.retry_ms;
    Ok(())
}

/// One that never waits: a strike each second, a block for the last of them.
#[test]
fn who_goes_on_is_blocked_at_the_last_strike() {
    for strikes in [1, 3, 8, 20] {
        let shield = alone(ShieldConfig { strikes, ..config() });
        let mut seconds = BTreeSet::new();
        let mut told = false;
        for ms in (START_MS..).step_by(5) {
            let verdict = ask(&shield, source(1), ms);
            if told {
                seconds.insert((ms + 1) / 1_000);
            }
            told |= verdict.is_refused;
            if verdict.begins_block {
                break;
            }
            assert!((seconds.len() as u64) < strikes);
        }
        assert_eq!(seconds.len() as u64, strikes);
    }
}

/// Each list of blocks, up to the longest: one step longer each time, then the last again; forgotten after ten
/// quiet minutes, not a millisecond before.
#[test]
fn blocks_go_through_their_list() {
    for count in 1..=8_u64 {
        let steps: Vec<u64> = (1..=count).map(|n| n * 7_000).collect();
        let shield = alone(ShieldConfig { insistence_blocks: blocks(&steps), ..config() });
        let mut ms = START_MS;
        let provoke = |ms: &mut u64| {
            loop {
                *ms += 5;
                let verdict = ask(&shield, source(1), *ms);
                if verdict.begins_block {
                    return verdict.retry_ms;
                }
            }
        };
        for n in 1..=count + 3 {
            let given = provoke(&mut ms);
            assert_eq!(given, n.min(count) * 7_000);
            assert_eq!(shield.blocked_ms(source(1), at(ms)), given);
            assert_eq!(shield.blocked_ms(source(1), at(ms + given - 1)), 1);
            ms += given;
            assert_eq!(shield.blocked_ms(source(1), at(ms)), 0);
        }
        ms += FORGIVEN_AFTER_MS + 1;
        assert_eq!(provoke(&mut ms), 7_000);
    }
}

/// While watching nothing is held against a source that was never told.
#[test]
fn no_one_is_blocked_for_what_it_was_not_told() {
    let shield = alone(config());
    for ms in (START_MS..START_MS + 600_000).step_by(5) {
        let verdict = shield.decide(source(1), false, false, at(ms));
        assert!(verdict.level < 4 && !verdict.begins_block);
    }
    assert_eq!(shield.blocked_ms(source(1), at(START_MS + 600_000)), 0);
}
