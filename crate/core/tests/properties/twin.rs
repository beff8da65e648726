//! The slow twin: it keeps everything that ever happened and works out from the start, at each question, how
//! many units are free. Waits are found by trying. No words, no ticks, no closed forms.
#![expect(clippy::arithmetic_side_effects, reason = "tests may panic")]

use ratethrottle_core::{AlgorithmKind, Decision, NEVER};

/// Something that changed a key's account, at a whole millisecond.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Charge(u64),
    Refund(u64),
}

/// One limit's account of one key.
#[derive(Clone, Debug)]
pub(crate) struct Twin {
    pub(crate) kind: AlgorithmKind,
    pub(crate) count: u64,
    pub(crate) window_ms: u64,
    /// Equal to the count but for a token bucket with a burst.
    pub(crate) most: u64,
    pub(crate) history: Vec<(u64, Event)>,
}

impl Twin {
    /// What a limiter has to answer to a caller that asks for `cost`, and what it is to charge if `charges`.
    pub(crate) fn ask(&mut self, at: u64, cost: u64, charges: bool) -> Decision {
        let allowed = cost <= self.free(at);
        if allowed && charges {
            self.history.push((at, Event::Charge(cost)));
        }
        let retry_ms = match cost {
            _ if allowed => 0,
            cost if cost > self.most => NEVER,
            cost => self.wait(at, cost),
        };
        Decision {
            allowed,
            limit: self.count,
            remaining: self.free(at),
            reset_ms: self.wait(at, self.most),
            limit_reset_ms: self.wait(at, self.most),
            retry_ms,
            policy: 0,
        }
    }

    /// The first whole millisecond from `at` on at which these units are free. No call comes meanwhile, so
    /// what is free never becomes less, and halving finds it.
    fn wait(&self, at: u64, units: u64) -> u64 {
        let (mut short, mut long) = (0, 2 * self.most * self.window_ms + 1);
        while short < long {
            let middle = u64::midpoint(short, long);
            if self.free(at + middle) >= units {
                long = middle;
            } else {
                short = middle + 1;
            }
        }
        short
    }

    fn free(&self, at: u64) -> u64 {
        match self.kind {
            AlgorithmKind::TokenBucket | AlgorithmKind::LeakyBucket => self.in_bucket(at),
            AlgorithmKind::FixedWindow => self.in_window(at),
            AlgorithmKind::SlidingWindow => self.in_two_buckets(at),
            AlgorithmKind::SlidingLog => self.in_log(at),
        }
    }

    /// A token is `window_ms` parts, and each millisecond brings `count` of them.
    fn in_bucket(&self, at: u64) -> u64 {
        let (mut missing, mut since) = (0, 0);
        for &(time, event) in &self.history {
            missing = missing_after(missing, (time - since) * self.count);
            match event {
                Event::Charge(units) => missing += units * self.window_ms,
                Event::Refund(units) => missing = missing_after(missing, units * self.window_ms),
            }
            since = time;
        }
        missing = missing_after(missing, (at - since) * self.count);
        (self.most * self.window_ms - missing) / self.window_ms
    }

    fn in_window(&self, at: u64) -> u64 {
        let (mut opened, mut used) = (0, 0);
        for &(time, event) in &self.history {
            if time >= opened + self.window_ms {
                used = 0;
            }
            match event {
                Event::Charge(units) => {
                    opened = if used == 0 { time } else { opened };
                    used += units;
                }
                Event::Refund(units) => used = missing_after(used, units),
            }
        }
        if at < opened + self.window_ms { self.most - used } else { self.most }
    }

    /// The bucket before the current one counts by the part of it that one window back still covers.
    fn in_two_buckets(&self, at: u64) -> u64 {
        let index = at / self.window_ms;
        let covered = (index + 1) * self.window_ms - at;
        let [previous, current] = [index - 1, index].map(|index| self.in_bucket_of(index));
        (self.count * self.window_ms).saturating_sub(current * self.window_ms + previous * covered)
            / self.window_ms
    }

    /// Units in one aligned bucket. What is given back comes out of the bucket of that moment, and then of
    /// the one before.
    fn in_bucket_of(&self, wanted: u64) -> u64 {
        let mut units = std::collections::HashMap::new();
        for &(time, event) in &self.history {
            let index = time / self.window_ms;
            match event {
                Event::Charge(n) => *units.entry(index).or_insert(0) += n,
                Event::Refund(n) => {
                    let mut left = n;
                    for index in [index, index - 1] {
                        let held: &mut u64 = units.entry(index).or_insert(0);
                        let taken = left.min(*held);
                        *held -= taken;
                        left -= taken;
                    }
                }
            }
        }
        units.get(&wanted).copied().unwrap_or(0)
    }

    fn in_log(&self, at: u64) -> u64 {
        let mut times: Vec<u64> = Vec::new();
        for &(now, event) in &self.history {
            times.retain(|time| now < time + self.window_ms);
            match event {
                Event::Charge(units) => times.extend((0..units).map(|_| now)),
                Event::Refund(units) => (0..units).for_each(|_| {
                    times.pop();
                }),
            }
        }
        times.retain(|time| at < time + self.window_ms);
        self.count - times.len() as u64
    }
}

fn missing_after(missing: u64, brought: u64) -> u64 {
    missing.saturating_sub(brought)
}
