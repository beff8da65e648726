//! Memory that another process of the user has written nonsense into, and figures at their ends.
#![expect(unsafe_code, reason = "the words of a shield are written to beside it")]

use super::{START_MS, at, blocks, config, source};
use proptest::prelude::*;
use ratethrottle_core::shield::{Outcome, Shield, ShieldConfig, Source, words};
use ratethrottle_core::table::Heap;
use ratethrottle_core::{AtomicU64, Nanos, Secret};
use std::sync::atomic::Ordering;

/// The words of times hold 40 bits of milliseconds.
const LONGEST_MS: u64 = 1 << 40;

/// A shield, and its words, which live as long.
fn open(config: ShieldConfig) -> (Shield, &'static [AtomicU64]) {
    let heap = Heap::zeroed(words(&config)).unwrap();
    let (first, length) = (heap.as_ptr(), heap.len());
    let shield = Shield::over(config, Secret::known(1, 2), heap.into()).unwrap();
    // SAFETY: the shield keeps the heap, which never moves its words; each test keeps the shield longer.
    (shield, unsafe { std::slice::from_raw_parts(first, length) })
}

/// xorshift: proptest would shrink a million words for long.
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A time: mostly now, also at the ends.
fn time(random: &mut Random, now: u64) -> Nanos {
    match random.next() % 40 {
        0 => Nanos(0),
        1 => Nanos(u64::MAX),
        2 => Nanos(random.next()),
        3 => at((1 << 40) + random.next() % 1_000 - 500),
        _ => at(now),
    }
}

/// Every call once, with answers that make sense.
fn call(shield: &Shield, random: &mut Random, now: u64) {
    let who = source(random.next() % 300);
    let at = time(random, now);
    let [is_sensitive, enforces, has_failed] = [1, 2, 4].map(|bit| random.next() & bit != 0);
    let verdict = shield.decide(who, is_sensitive, enforces, at);
    assert!(verdict.level <= 4 && verdict.retry_ms <= LONGEST_MS, "{verdict:?}");
    // Refused exactly from level 2 on, and never without an end.
    assert_eq!(verdict.is_refused, verdict.level >= 2, "{verdict:?}");
    let outcome = Outcome { has_failed, is_sensitive, path: random.next() };
    let settled = shield.settle(who, outcome, at);
    assert!(settled.level == 0 || (settled.begins_block && settled.retry_ms <= LONGEST_MS));
    assert!(shield.blocked_ms(who, at) <= LONGEST_MS);
    match random.next() % 200 {
        0 => assert!(!shield.pardon(who, at) || shield.blocked_ms(who, at) == 0),
        1 => _ = shield.block(who, random.next() % 100_000, at),
        2 => _ = shield.state(true, at),
        3 => assert!(shield.top(20, at).len() <= 20),
        4 => shield.tick(at),
        5 => shield.set_capacity(f64::from_bits(random.next())),
        6 => shield.set_capacity(100.0),
        _ => {}
    }
}

#[test]
fn random_words_never_panic() {
    for seed in 1..=12_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (shield, words) = open(ShieldConfig { sources: 128, max_rate: 500.0, ..config() });
        for word in words {
            word.store(random.next(), Ordering::Relaxed);
        }
        let mut now = START_MS;
        for _ in 0..20_000 {
            now += random.next() % 20;
            call(&shield, &mut random, now);
        }
        drop(shield);
    }
}

/// Words that were a shield's, of which one is changed now and then, while it goes on.
#[test]
fn words_that_change_under_a_shield_never_panic() {
    for seed in 1..=12_u64 {
        let mut random = Random(seed.wrapping_mul(0xd6e8_feb8_6659_fd93));
        let config = ShieldConfig { sources: 128, max_rate: 500.0, prefix_share: 0.05, ..config() };
        let (shield, words) = open(config);
        let mut now = START_MS;
        for _ in 0..30_000 {
            now += random.next() % 12;
            call(&shield, &mut random, now);
            let [one, other] = [random.next(), random.next()].map(|n| n as usize % words.len());
            let value = words[one].load(Ordering::Relaxed);
            match random.next() % 60 {
                0 => words[one].store(value ^ (1 << (random.next() % 64)), Ordering::Relaxed),
                1 => words[other].store(value, Ordering::Relaxed),
                2 => words[one].store(u64::MAX, Ordering::Relaxed),
                3 => words[one].store(0, Ordering::Relaxed),
                4 => words[random.next() as usize % 64].store(random.next(), Ordering::Relaxed),
                _ => {}
            }
        }
        drop(shield);
    }
}

/// Another source's word in the slot blocks no one: it names its owner.
#[test]
fn a_block_that_is_copied_into_another_slot_blocks_no_one() {
    let (shield, words) = open(ShieldConfig { sources: 64, ..config() });
    for n in 0..20 {
        shield.decide(source(n), false, true, at(START_MS));
    }
    shield.block(source(0), 60_000, at(START_MS));
    let mut seen = 0;
    for word in words {
        let value = word.load(Ordering::Relaxed);
        // The block's word: until when, in the upper forty bits.
        if value >> 24 != START_MS + 60_000 + 1 {
            continue;
        }
        seen += 1;
        for other in words.iter().filter(|other| !std::ptr::eq(*other, word)) {
            let before = other.swap(value, Ordering::Relaxed);
            let blocked =
                (1..20).filter(|&n| shield.blocked_ms(source(n), at(START_MS)) > 0).count();
            assert_eq!(blocked, 0);
            other.store(before, Ordering::Relaxed);
        }
    }
    assert_eq!(seen, 1);
    drop(shield);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Every configuration that is accepted, at its ends, and at any time.
    #[test]
    fn figures_at_their_ends_never_panic(
        rates in prop::array::uniform4(prop_oneof![
            Just(f64::MIN_POSITIVE), Just(1e-9), Just(1.0), Just(1e9), Just(f64::MAX), Just(f64::INFINITY)
        ]),
        whole in prop::array::uniform4(prop_oneof![Just(0), Just(1), Just(255), Just(u64::MAX)]),
        shares in prop::array::uniform2(prop_oneof![Just(0.0), Just(0.5), Just(1.0)]),
        bits in (0..=32_u8, 0..=64_u8),
        longest in prop_oneof![Just(0), Just(1), Just(u64::MAX)],
        seed in 1..u64::MAX,
    ) {
        let config = ShieldConfig {
            sources: 64,
            max_rate: rates[0],
            ceiling: rates[1],
            newcomer_rate: rates[2],
            newcomer_burst: rates[3],
            regular_after_ms: whole[0],
            regular_requests: whole[1],
            strikes: whole[2],
            strikes_within_ms: whole[3],
            insistence_blocks: blocks(&[longest]),
            failures: whole[0],
            failure_share: shares[0],
            failure_paths: rates[1],
            failure_blocks: blocks(&[longest, 1]),
            v4_prefix: bits.0,
            v6_prefix: bits.1,
            prefix_share: shares[1],
        };
        let (shield, _) = open(config);
        let mut random = Random(seed);
        let mut now = START_MS;
        for _ in 0..3_000 {
            now += random.next() % 30;
            call(&shield, &mut random, now);
        }
    }

    #[test]
    fn any_text_is_a_source(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let (shield, _) = open(ShieldConfig { sources: 64, prefix_share: 0.05, ..config() });
        let source = Source::parse(&text);
        for n in 0..5 {
            prop_assert!(!shield.decide(source, false, true, at(START_MS + n)).is_refused);
        }
        prop_assert_eq!(shield.top(9, at(START_MS)).len(), 1);
        prop_assert!(!source.to_string().is_empty());
    }
}
