//! Limits that change between calls, against a twin that keeps everything that ever happened. It counts in
//! fractions with the denominator 2,520, of which every count up to 10 is a divisor: no words, no ticks.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests may panic")]

use crate::ask::Ask as _;
use crate::twin::Event;
use crate::{Act, START_MS, at, config};
use proptest::prelude::*;
use ratethrottle_core::{
    AlgorithmKind, Decision, Encoding, Key, Limit, NEVER, VariableConfig, VariableLimiter,
};

/// The largest count in a schedule.
const MOST: u64 = 10;
const PARTS: u64 = 2_520;

/// A request for `cost` units under a limit of `count`, so many milliseconds after the one before.
#[derive(Clone, Copy, Debug)]
struct Ask {
    pause: u64,
    count: u64,
    cost: u64,
}

#[derive(Clone, Debug)]
struct Schedule {
    kind: AlgorithmKind,
    window_ms: u64,
    asks: Vec<Ask>,
}

impl Schedule {
    fn timed(&self) -> impl Iterator<Item = (u64, Ask)> {
        self.asks.iter().scan(START_MS, |now, &ask| {
            *now += ask.pause;
            Some((*now, ask))
        })
    }

    fn rate(&self, count: u64) -> [Limit; 1] {
        [Limit::new(count, self.window_ms).unwrap()]
    }

    /// What section 4 of the design promises of the largest limit.
    const fn promise(&self) -> u64 {
        match self.kind {
            AlgorithmKind::SlidingLog => MOST,
            AlgorithmKind::FixedWindow => 2 * MOST,
            _ => 2 * MOST - 1,
        }
    }
}

pub(crate) fn limiter(kind: AlgorithmKind) -> VariableLimiter {
    let config = VariableConfig { algorithm: kind, block_for_ms: 0, capacity: Some(100) };
    VariableLimiter::new(config).unwrap()
}

pub(crate) fn key(limiter: &VariableLimiter) -> Key {
    limiter.key(b"one key", Encoding::Utf8)
}

/// What was admitted: when, how much, and the count of the limit that admitted it.
type Admitted = Vec<(u64, u64, u64)>;

/// The most units a limit of `count` still admits, worked out from everything that was admitted.
fn free(kind: AlgorithmKind, window_ms: u64, admitted: &Admitted, at: u64, count: u64) -> u64 {
    match kind {
        AlgorithmKind::TokenBucket | AlgorithmKind::LeakyBucket => {
            // Time is owed: a unit under a limit of n costs an n-th of the window, whatever is asked later.
            let (mut owed, mut since) = (0_u64, 0);
            for &(time, units, by) in admitted {
                owed = owed.saturating_sub((time - since) * PARTS);
                owed += units * window_ms * PARTS / by;
                since = time;
            }
            owed = owed.saturating_sub((at - since) * PARTS);
            (window_ms * PARTS).saturating_sub(owed) / (window_ms * PARTS / count)
        }
        AlgorithmKind::FixedWindow => {
            let (mut opened, mut used) = (0, 0);
            for &(time, units, _) in admitted {
                if used == 0 || time >= opened + window_ms {
                    (opened, used) = (time, 0);
                }
                used += units;
            }
            if at < opened + window_ms { count.saturating_sub(used) } else { count }
        }
        AlgorithmKind::SlidingWindow => {
            let of = |index: u64| -> u64 {
                let inside = admitted.iter().filter(|(time, ..)| time / window_ms == index);
                inside.map(|(_, units, _)| units).sum()
            };
            let (index, rest) = (at / window_ms, window_ms - at % window_ms);
            let used = of(index - 1) * rest + of(index) * window_ms;
            (count * window_ms).saturating_sub(used) / window_ms
        }
        AlgorithmKind::SlidingLog => {
            let inside = admitted.iter().filter(|(time, ..)| at < time + window_ms);
            count.saturating_sub(inside.map(|(_, units, _)| units).sum())
        }
    }
}

fn schedules() -> impl Strategy<Value = Schedule> {
    use AlgorithmKind::{FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket};
    let kinds = vec![TokenBucket, LeakyBucket, SlidingWindow, SlidingLog, FixedWindow];
    (prop::sample::select(kinds), 2_u64..=3_000).prop_flat_map(|(kind, window_ms)| {
        let pauses = prop_oneof![
            4 => Just(0),
            4 => 0..=window_ms / 4,
            1 => 0..=3 * window_ms,
            1 => prop::sample::select(vec![1, window_ms - 1, window_ms, window_ms + 1]),
        ];
        let counts = prop_oneof![1..=MOST, prop::sample::select(vec![1, MOST])];
        let ask = (pauses, counts, prop_oneof![4 => 1_u64..=3, 1 => 1..=MOST + 1])
            .prop_map(|(pause, count, cost)| Ask { pause, count, cost });
        let asks = prop::collection::vec(ask, 1..120);
        asks.prop_map(move |asks| Schedule { kind, window_ms, asks })
    })
}

fn check(limiter: &VariableLimiter, schedule: &Schedule, now: u64, ask: Ask) -> Decision {
    limiter.check(&schedule.rate(ask.count), key(limiter), ask.cost, &at(now)).unwrap()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_used_stays_used_when_limits_change(schedule in schedules()) {
        let limiter = limiter(schedule.kind);
        let mut admitted = Admitted::new();
        for (now, ask) in schedule.timed() {
            let left = free(schedule.kind, schedule.window_ms, &admitted, now, ask.count);
            let decision = check(&limiter, &schedule, now, ask);
            prop_assert_eq!(decision.allowed, ask.cost <= left, "{} left of {}", left, ask.count);
            if decision.allowed {
                admitted.push((now, ask.cost, ask.count));
            }
            let left = free(schedule.kind, schedule.window_ms, &admitted, now, ask.count);
            prop_assert_eq!(decision.remaining, left);
            prop_assert_eq!(decision.limit, ask.count);
        }
    }

    #[test]
    fn limits_that_change_admit_no_more_than_the_largest(schedule in schedules()) {
        let limiter = limiter(schedule.kind);
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        for (now, ask) in schedule.timed() {
            if check(&limiter, &schedule, now, ask).allowed {
                admitted.push((now, ask.cost));
            }
            let in_sight = admitted.iter().filter(|(time, _)| now < time + schedule.window_ms);
            let units: u64 = in_sight.map(|(_, units)| units).sum();
            prop_assert!(units <= schedule.promise(), "{units} in one window");
        }
    }

    #[test]
    fn under_any_limit_waiting_exactly_the_retry_time_is_admitted(schedule in schedules()) {
        let limiter = limiter(schedule.kind);
        for (now, ask) in schedule.timed() {
            let denied = check(&limiter, &schedule, now, ask);
            if denied.allowed || denied.retry_ms == NEVER {
                prop_assert_eq!(denied.retry_ms == NEVER, ask.cost > ask.count);
                continue;
            }
            for (rate, then) in [(ask.count, denied.retry_ms - 1), (ask.count, denied.retry_ms)] {
                let rates = schedule.rate(rate);
                let later = at(now + then);
                let seen = limiter.peek(&rates, key(&limiter), ask.cost, &later).unwrap();
                prop_assert_eq!(seen.allowed, then == denied.retry_ms);
            }
        }
    }

    #[test]
    fn a_denial_under_one_limit_changes_nothing_under_another(schedule in schedules()) {
        let limiter = limiter(schedule.kind);
        for (now, ask) in schedule.timed() {
            let all = || (1..=MOST).map(|count| {
                limiter.peek(&schedule.rate(count), key(&limiter), 1, &at(now)).unwrap()
            });
            let before: Vec<Decision> = all().collect();
            if !check(&limiter, &schedule, now, ask).allowed {
                prop_assert_eq!(all().collect::<Vec<_>>(), before);
            }
        }
    }

    #[test]
    fn a_refund_at_once_undoes_a_charge_under_limits_that_change(schedule in schedules()) {
        let limiter = limiter(schedule.kind);
        for (now, ask) in schedule.timed() {
            let rates = schedule.rate(ask.count);
            let seen = || limiter.peek(&schedule.rate(MOST), key(&limiter), 1, &at(now)).unwrap();
            let before = seen();
            if check(&limiter, &schedule, now, ask).allowed && ask.pause % 2 == 1 {
                limiter.refund(&rates, key(&limiter), ask.cost, &at(now)).unwrap();
                prop_assert_eq!(seen(), before);
            }
        }
    }
}

proptest! {
    #![proptest_config(config())]

    /// Counts that are no divisors, and bursts, refunds and looks between.
    #[test]
    fn limits_that_could_change_but_do_not_answer_as_those_that_can_not(
        schedule in crate::schedules()
    ) {
        let (limiter, mut twin) = (limiter(schedule.kind), schedule.twin());
        let limits = [schedule.limit()];
        let key = key(&limiter);
        for (now, act) in schedule.timed() {
            match act {
                Act::Check(cost) => {
                    let decision = limiter.check(&limits, key, cost, &at(now)).unwrap();
                    prop_assert_eq!(decision, twin.ask(now, cost, true));
                }
                Act::Peek(cost) => {
                    let decision = limiter.peek(&limits, key, cost, &at(now)).unwrap();
                    prop_assert_eq!(decision, twin.ask(now, cost, false));
                }
                Act::Refund(units) => {
                    limiter.refund(&limits, key, units, &at(now)).unwrap();
                    twin.history.push((now, Event::Refund(units)));
                }
            }
        }
    }

    #[test]
    fn a_bucket_of_any_count_keeps_its_bound_and_is_full_again_after_its_window(
        count in 1_u64..=2_000,
        window_ms in 1_u64..=5_000,
        pauses in prop::collection::vec(0_u64..=50, 1..60),
    ) {
        let limiter = limiter(AlgorithmKind::TokenBucket);
        let limits = [Limit::new(count, window_ms).unwrap()];
        let key = key(&limiter);
        let (mut now, mut admitted) = (START_MS, Vec::<(u64, u64)>::new());
        for pause in pauses {
            now += pause;
            let left = limiter.peek(&limits, key, 1, &at(now)).unwrap().remaining;
            if left > 0 && limiter.check(&limits, key, left, &at(now)).unwrap().allowed {
                admitted.push((now, left));
            }
            let in_sight = admitted.iter().filter(|(time, _)| now < time + window_ms);
            prop_assert!(in_sight.map(|(_, units)| units).sum::<u64>() < 2 * count);
        }
        if count * count <= window_ms * PARTS {
            let later = limiter.peek(&limits, key, 1, &at(now + window_ms)).unwrap();
            prop_assert_eq!(later.remaining, count);
        }
    }
}

/// A key that is denied now keeps its place, whatever limits the keys have that want one.
#[test]
fn a_flood_under_other_limits_does_not_wash_a_denied_key_away() {
    use AlgorithmKind::{FixedWindow, SlidingLog, SlidingWindow, TokenBucket};
    for kind in [TokenBucket, FixedWindow, SlidingWindow, SlidingLog] {
        let config = VariableConfig { algorithm: kind, block_for_ms: 0, capacity: Some(8) };
        let limiter = VariableLimiter::new(config).unwrap();
        let (mine, hours) =
            ([Limit::new(10, 3_600_000).unwrap()], u64::from(kind == TokenBucket) + 1);
        let theirs = [Limit::new(16, 3_600_000 * hours).unwrap()];
        let start = at(3_600_000 * 1_000);
        assert!(limiter.check(&mine, key(&limiter), 10, &start).unwrap().allowed);
        for flood in 0..10_000_u64 {
            let other = limiter.key(&flood.to_le_bytes(), Encoding::Utf8);
            limiter.check(&theirs, other, 12, &start).unwrap();
        }
        assert!(!limiter.check(&mine, key(&limiter), 1, &start).unwrap().allowed, "{kind:?}");
    }
}
