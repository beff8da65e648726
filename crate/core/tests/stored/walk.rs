//! A long walk of operations, on bytes and in memory at once.

use super::{KINDS, Kept, START};
use ratethrottle_core::stored::Operation;
use ratethrottle_core::{
    AlgorithmKind, Decision, Encoding, FixedTime, Key, Limit, LimiterConfig, Nanos, RawLimiter,
};

const STEPS: u64 = 100_000;
/// Steps after which the walk goes on with other limits.
const LEG: u64 = 400;

/// Numbers that look random and are the same at every run (xorshift).
struct Dice(u64);

impl Dice {
    const fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }

    fn config(&mut self, kind: AlgorithmKind) -> LimiterConfig {
        let is_bucket = matches!(kind, AlgorithmKind::TokenBucket | AlgorithmKind::LeakyBucket);
        let limits = (0..=self.below(3)).map(|_| {
            let (count, window_ms) = (1 + self.below(12), self.one_of(&[1, 7, 50, 999, 60_000]));
            let burst = if is_bucket { 1 + self.below(20) } else { count };
            Limit::new(count, window_ms).unwrap().with_burst(burst).unwrap()
        });
        let limits = limits.collect();
        LimiterConfig {
            limits,
            algorithm: kind,
            block_for_ms: self.one_of(&[0, 0, 0, 700]),
            capacity: 100,
        }
    }

    /// Nanoseconds until the next operation: mostly within a window, now and then past an epoch.
    fn pause(&mut self, window_ms: u64) -> u64 {
        const MS: u64 = 1_000_000;
        match self.below(20) {
            0..=7 => 0,
            8..=12 => self.below(window_ms * MS / 4 + 1),
            13..=15 => self.one_of(&[1, window_ms.max(2) - 1, window_ms, window_ms + 1]) * MS,
            16..=18 => self.below(3 * window_ms * MS),
            _ => self.below(200) * window_ms * MS,
        }
    }

    fn operation(&mut self) -> Operation {
        let units = self.below(4);
        match self.below(40) {
            0..=18 => Operation::Check(units),
            19..=22 => Operation::Take(units),
            23..=26 => Operation::Pace(units),
            27 => Operation::Check(units * 9),
            28..=33 => Operation::Peek(units * 2),
            34..=37 => Operation::Refund(units),
            38 => Operation::Block(1 + self.below(500)),
            _ => Operation::Reset,
        }
    }
}

fn in_memory(limiter: &RawLimiter, key: Key, now: Nanos, operation: Operation) -> Decision {
    let clock = FixedTime(now);
    match operation {
        Operation::Check(cost) => return limiter.check(key, cost, &clock),
        Operation::Take(cost) => return limiter.take(key, cost, &clock),
        Operation::Pace(cost) => return limiter.pace(key, cost, &clock),
        Operation::Peek(cost) => return limiter.peek(key, cost, &clock),
        Operation::Refund(units) => limiter.refund(key, units, &clock),
        Operation::Reset => limiter.reset(key),
        Operation::Block(ms) => assert!(limiter.block(key, ms, &clock)),
    }
    limiter.peek(key, 1, &clock)
}

#[test]
fn every_field_of_every_decision_is_that_of_a_limiter_in_memory() {
    for kind in KINDS {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ kind as u64);
        let mut admitted = 0_u64;
        for _ in 0..STEPS / LEG {
            let config = dice.config(kind);
            let window_ms = dice.one_of(&config.limits).window_ms();
            let limiter = RawLimiter::new(config.clone()).unwrap();
            let key = limiter.key(b"one", Encoding::Utf8);
            let mut kept = Kept::new(config.clone());
            let mut now = START.0 + dice.below(1 << 50);
            let mut expires = u64::MAX;
            for _ in 0..LEG {
                now += dice.pause(window_ms);
                if now >= expires {
                    // As a store does that lets go of what means nothing any more.
                    kept.bytes = None;
                }
                let operation = dice.operation();
                let step = kept.step(Nanos(now), operation);
                if let Some(write) = &step.write {
                    expires = now + write.ttl_ms * 1_000_000 + dice.below(2) * (1 << 40);
                }
                let expected = in_memory(&limiter, key, Nanos(now), operation);
                assert_eq!(step.decision, expected, "{operation:?} at {now} of {config:?}");
                for (index, standing) in step.statuses.iter().enumerate() {
                    let expected = limiter.limit_status(key, index, &FixedTime(Nanos(now)));
                    assert_eq!(Some(*standing), expected, "{operation:?} of {config:?}");
                }
                admitted += u64::from(step.decision.allowed);
            }
        }
        assert!((STEPS / 10..STEPS * 9 / 10).contains(&admitted), "{kind:?}: {admitted} admitted");
    }
}
