//! Properties of every algorithm, on random limits and schedules. A failure prints the smallest schedule that
//! shows it.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests may panic")]

mod ask;
mod plans;
mod twin;
mod usage;
mod varying;

use proptest::prelude::*;
use ratethrottle_core::{
    AlgorithmKind, Encoding, FixedTime, Key, Limit, LimiterConfig, NEVER, Nanos, RawLimiter,
};
use twin::{Event, Twin};

/// Far enough from 0 for a window to lie before it.
const START_MS: u64 = 5_000_000;

#[derive(Clone, Copy, Debug)]
enum Act {
    Check(u64),
    Peek(u64),
    Refund(u64),
}

impl Act {
    const fn units(self) -> u64 {
        let (Self::Check(units) | Self::Peek(units) | Self::Refund(units)) = self;
        units
    }
}

/// A limit, and acts with the milliseconds that pass before each.
#[derive(Clone, Debug)]
struct Schedule {
    kind: AlgorithmKind,
    count: u64,
    window_ms: u64,
    burst: Option<u64>,
    acts: Vec<(u64, Act)>,
}

impl Schedule {
    fn limit(&self) -> Limit {
        let limit = Limit::new(self.count, self.window_ms).unwrap();
        limit.with_burst(self.most()).unwrap()
    }

    fn limiter(&self) -> RawLimiter {
        let limits = vec![self.limit()];
        let kind = self.kind;
        RawLimiter::new(LimiterConfig { limits, algorithm: kind, block_for_ms: 0, capacity: 100 })
            .unwrap()
    }

    fn twin(&self) -> Twin {
        let (kind, count, window_ms) = (self.kind, self.count, self.window_ms);
        Twin { kind, count, window_ms, most: self.most(), history: Vec::new() }
    }

    fn most(&self) -> u64 {
        self.burst.unwrap_or(self.count)
    }

    /// Every act with the millisecond it falls on.
    fn timed(&self) -> impl Iterator<Item = (u64, Act)> {
        self.acts.iter().scan(START_MS, |now, &(pause, act)| {
            *now += pause;
            Some((*now, act))
        })
    }

    /// The most that may be admitted in any window, in the words of the README.
    fn promise(&self) -> u64 {
        match self.kind {
            AlgorithmKind::TokenBucket | AlgorithmKind::LeakyBucket => self.most() + self.count - 1,
            AlgorithmKind::SlidingWindow => 2 * self.count - 1,
            AlgorithmKind::FixedWindow => 2 * self.count,
            AlgorithmKind::SlidingLog => self.count,
        }
    }
}

fn kinds() -> impl Strategy<Value = AlgorithmKind> {
    use AlgorithmKind::{FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket};
    prop::sample::select(vec![TokenBucket, LeakyBucket, SlidingWindow, SlidingLog, FixedWindow])
}

/// Pauses of all sizes, the window's own among them: edges are where limiters go wrong.
fn pauses(window_ms: u64) -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0),
        4 => 0..=window_ms / 4,
        1 => 0..=3 * window_ms,
        1 => prop::sample::select(vec![1, window_ms - 1, window_ms, window_ms + 1]),
    ]
}

fn acts(count: u64) -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..=count.min(3)).prop_map(Act::Check),
        1 => (1..=2 * count + 1).prop_map(Act::Check),
        1 => (1..=2 * count + 1).prop_map(Act::Peek),
        1 => (1..=count).prop_map(Act::Refund),
    ]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    (kinds(), 1_u64..=12, 2_u64..=3_000, prop::option::of(1_u64..=24)).prop_flat_map(
        |(kind, count, window_ms, burst)| {
            let bursts = matches!(kind, AlgorithmKind::TokenBucket | AlgorithmKind::LeakyBucket);
            let burst = burst.filter(|_| bursts);
            let acts = prop::collection::vec((pauses(window_ms), acts(count)), 1..120);
            acts.prop_map(move |acts| Schedule { kind, count, window_ms, burst, acts })
        },
    )
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }
}

const fn at(ms: u64) -> FixedTime {
    FixedTime(Nanos(ms * 1_000_000))
}

fn key(limiter: &RawLimiter) -> Key {
    limiter.key(b"one key", Encoding::Utf8)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_field_of_every_decision_is_the_twins(schedule in schedules()) {
        let (limiter, mut twin) = (schedule.limiter(), schedule.twin());
        let key = key(&limiter);
        for (now, act) in schedule.timed() {
            match act {
                Act::Check(cost) => {
                    prop_assert_eq!(limiter.check(key, cost, &at(now)), twin.ask(now, cost, true));
                }
                Act::Peek(cost) => {
                    prop_assert_eq!(limiter.peek(key, cost, &at(now)), twin.ask(now, cost, false));
                }
                Act::Refund(units) => {
                    limiter.refund(key, units, &at(now));
                    twin.history.push((now, Event::Refund(units)));
                }
            }
        }
    }

    #[test]
    fn no_window_admits_more_than_promised(schedule in schedules()) {
        let limiter = schedule.limiter();
        let key = key(&limiter);
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        for (now, act) in schedule.timed() {
            let cost = act.units();
            if limiter.allow(key, cost, &at(now)) {
                admitted.push((now, cost));
            }
            let in_sight = admitted.iter().filter(|(time, _)| now < time + schedule.window_ms);
            let units: u64 = in_sight.map(|(_, units)| units).sum();
            prop_assert!(units <= schedule.promise(), "{units} in one window");
        }
    }

    #[test]
    fn waiting_exactly_the_retry_time_is_admitted_and_a_millisecond_less_is_not(
        schedule in schedules()
    ) {
        let limiter = schedule.limiter();
        let key = key(&limiter);
        for (now, act) in schedule.timed() {
            let cost = act.units();
            let denied = limiter.check(key, cost, &at(now));
            if !denied.allowed && denied.retry_ms != NEVER {
                let then = now + denied.retry_ms;
                prop_assert!(!limiter.peek(key, cost, &at(then - 1)).allowed);
                prop_assert!(limiter.peek(key, cost, &at(then)).allowed);
            }
        }
    }

    #[test]
    fn a_refund_at_once_undoes_a_charge(schedule in schedules()) {
        let limiter = schedule.limiter();
        let key = key(&limiter);
        for (now, act) in schedule.timed() {
            let cost = act.units();
            let before = limiter.peek(key, 1, &at(now));
            if limiter.allow(key, cost, &at(now)) && !matches!(act, Act::Check(_)) {
                limiter.refund(key, cost, &at(now));
                prop_assert_eq!(limiter.peek(key, 1, &at(now)), before);
            }
        }
    }
}
