//! Plans of several limits each, on one key: each keeps the bounds of its own calls.
#![expect(clippy::arithmetic_side_effects, reason = "tests may panic")]

use crate::ask::Ask as _;
use crate::varying::{key, limiter};
use crate::{START_MS, at, config};
use proptest::prelude::*;
use ratethrottle_core::{AlgorithmKind, Limit};

/// Any window and several limits at once: what holds whatever changes.
#[derive(Clone, Debug)]
struct Plans {
    kind: AlgorithmKind,
    limits: Vec<Vec<(u64, u64)>>,
    asks: Vec<(u64, usize)>,
}

fn plans() -> impl Strategy<Value = Plans> {
    use AlgorithmKind::{FixedWindow, SlidingLog, SlidingWindow, TokenBucket};
    let kinds = vec![TokenBucket, SlidingWindow, SlidingLog, FixedWindow];
    let limit = (1_u64..=9, prop::sample::select(vec![100_u64, 700, 1_000, 5_000]));
    let plans = prop::collection::vec(prop::collection::vec(limit, 1..4), 1..4);
    let asks = prop::collection::vec((prop_oneof![Just(0_u64), 0_u64..900], 0_usize..4), 1..150);
    (prop::sample::select(kinds), plans, asks).prop_map(|(kind, plans, asks)| Plans {
        kind,
        limits: plans,
        asks,
    })
}

proptest! {
    #![proptest_config(config())]

    /// A plan that is the only one that asks keeps its own bounds, whatever else was asked under other plans.
    #[test]
    fn each_limit_of_a_plan_bounds_what_its_own_calls_admit(given in plans()) {
        let limiter = limiter(given.kind);
        let (mut now, mut admitted) = (START_MS, Vec::<(u64, usize)>::new());
        for (index, &(pause, plan)) in given.asks.iter().enumerate() {
            now += pause;
            let plan = plan % given.limits.len();
            let rates: Vec<Limit> = given.limits[plan]
                .iter()
                .map(|&(count, window_ms)| Limit::new(count, window_ms).unwrap())
                .collect();
            let decision = limiter.check(&rates, key(&limiter), 1, &at(now)).unwrap();
            prop_assert!(decision.policy < rates.len());
            prop_assert_eq!(decision.limit, rates[decision.policy].count());
            if !decision.allowed {
                // Only at the end: a look into the future may enter an epoch that a step back can't leave.
                if index + 1 == given.asks.len() {
                    let then = at(now + decision.retry_ms);
                    let seen = limiter.peek(&rates, key(&limiter), 1, &then).unwrap();
                    prop_assert!(seen.allowed, "{now}: {plan} {decision:?} then {seen:?}");
                }
                continue;
            }
            admitted.push((now, plan));
            for &(count, window_ms) in &given.limits[plan] {
                let mine = admitted.iter().filter(|&&(time, by)| by == plan && now < time + window_ms);
                let most = match given.kind {
                    AlgorithmKind::SlidingLog => count,
                    AlgorithmKind::FixedWindow => 2 * count,
                    _ => 2 * count - 1,
                };
                prop_assert!(mine.count() as u64 <= most);
            }
        }
    }
}
