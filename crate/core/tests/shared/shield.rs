//! A shield that processes share: its blocks outlive them, end when told, and are ended by any of them.

use crate::child::FIXED;
#[cfg(feature = "probe")]
use crate::figure;
use crate::test_dir::{TestDir, config, here, open};
use ratethrottle_core::shared::{AttachRequest, Contents, Directory, Platform, Purpose};
use ratethrottle_core::shield::{Shield, ShieldConfig, Source};
use ratethrottle_core::{AlgorithmKind, Error, Nanos};
use std::path::Path;

#[cfg(feature = "probe")]
pub(crate) mod stopped;

/// Sixteen slots.
const SOURCES: usize = 16;
const MINUTE_MS: u64 = 60_000;

pub(crate) fn usual() -> ShieldConfig {
    ShieldConfig {
        sources: SOURCES,
        max_rate: f64::INFINITY,
        ceiling: 5.0,
        regular_after_ms: 45_000,
        regular_requests: 12,
        newcomer_rate: 0.75,
        newcomer_burst: 20.0,
        strikes: 1,
        strikes_within_ms: MINUTE_MS,
        insistence_blocks: [2 * MINUTE_MS, 10 * MINUTE_MS, 0, 0, 0, 0, 0, 0],
        failures: 4,
        failure_share: 0.8,
        failure_paths: 16.0,
        failure_blocks: [10 * MINUTE_MS, 0, 0, 0, 0, 0, 0, 0],
        v4_prefix: 24,
        v6_prefix: 48,
        prefix_share: 1.0,
    }
}

pub(crate) fn attach(path: &Path, config: &ShieldConfig) -> Result<Shield, Error> {
    let request = AttachRequest::shield("api", config)?;
    Shield::attach(&Directory::open(path, here())?, &request)
}

pub(crate) fn source(n: u64) -> Source {
    Source::parse(format!("203.0.{}.{}", n / 256, n % 256).as_bytes())
}

pub(crate) fn after(ms: u64) -> Nanos {
    Nanos(FIXED.0 + ms * 1_000_000)
}

#[test]
fn a_block_outlives_all_processes_and_ends_at_the_millisecond() {
    let place = TestDir::new();
    let first = attach(&place.0, &usual()).unwrap();
    assert!(first.block(source(1), MINUTE_MS, FIXED));
    drop(first);
    for left in [MINUTE_MS - 1, 30_000, 1] {
        let shield = attach(&place.0, &usual()).unwrap();
        let at = after(MINUTE_MS - left);
        assert_eq!(shield.blocked_ms(source(1), at), left);
        let verdict = shield.decide(source(1), false, true, at);
        assert_eq!((verdict.level, verdict.retry_ms), (4, left));
    }
    let shield = attach(&place.0, &usual()).unwrap();
    assert_eq!(shield.blocked_ms(source(1), after(MINUTE_MS)), 0);
    assert!(!shield.decide(source(1), false, true, after(MINUTE_MS)).is_refused);
}

#[test]
fn what_one_attachment_sees_and_does_the_others_see() {
    let place = TestDir::new();
    let one = attach(&place.0, &usual()).unwrap();
    let other = attach(&place.0, &usual()).unwrap();
    // A ceiling of 5 a second, 12 at once, whichever of them is asked.
    let asked = (0..20).map(|n| if n % 2 == 0 { &one } else { &other });
    let refused = asked.filter(|s| s.decide(source(1), false, true, FIXED).is_refused).count();
    assert_eq!(refused, 20 - 12);
    assert!(one.blocked_ms(source(1), FIXED) > 0, "it insisted");
    assert_eq!(one.blocked_ms(source(1), FIXED), other.blocked_ms(source(1), FIXED));
    assert!(other.pardon(source(1), FIXED));
    assert_eq!(one.blocked_ms(source(1), FIXED), 0);
    assert!(!one.decide(source(1), false, true, FIXED).is_refused);
    assert_eq!(one.state(true, FIXED).refused, other.state(true, FIXED).refused);
    assert_eq!(one.seed(), other.seed());
}

type Change = fn(&mut ShieldConfig);

#[test]
fn every_setting_is_part_of_the_files_identity() {
    let place = TestDir::new();
    let held = attach(&place.0, &usual()).unwrap();
    assert_eq!(held.conflicting(), 0);
    let changes: [Change; 17] = [
        |c| c.sources = 17,
        |c| c.max_rate = 100.0,
        |c| c.ceiling = 6.0,
        |c| c.regular_after_ms += 1,
        |c| c.regular_requests += 1,
        |c| c.newcomer_rate = 1.0,
        |c| c.newcomer_burst = 21.0,
        |c| c.strikes += 1,
        |c| c.strikes_within_ms += 1,
        |c| c.insistence_blocks[7] = 1,
        |c| c.failures += 1,
        |c| c.failure_share = 0.7,
        |c| c.failure_paths = 15.0,
        |c| c.failure_blocks[7] = 1,
        |c| c.v4_prefix = 25,
        |c| c.v6_prefix = 49,
        |c| c.prefix_share = 0.5,
    ];
    assert!(held.block(source(1), MINUTE_MS, FIXED));
    for (index, change) in changes.iter().enumerate() {
        let mut config = usual();
        change(&mut config);
        let mut other = attach(&place.0, &config).unwrap();
        // A process that another test starts holds the files that are open here until it runs its own program.
        for _ in 0..200 {
            if other.conflicting() == 1 {
                break;
            }
            drop(other);
            std::thread::sleep(std::time::Duration::from_millis(10));
            other = attach(&place.0, &config).unwrap();
        }
        assert_eq!(other.blocked_ms(source(1), FIXED), 0, "setting {index}");
        assert_eq!(other.conflicting(), 1, "setting {index}");
        assert_eq!(other.config(), &config);
    }
    // The same settings again: those of the file, read from its header.
    assert_eq!(attach(&place.0, &usual()).unwrap().blocked_ms(source(1), FIXED), MINUTE_MS);
}

#[test]
fn a_limiter_and_a_shield_of_one_name_are_two_files() {
    let place = TestDir::new();
    let limiter = open(&place.0, &config(AlgorithmKind::TokenBucket, 10, 1_000, 64)).unwrap();
    let shield = attach(&place.0, &usual()).unwrap();
    assert_eq!((limiter.conflicting(), shield.conflicting()), (0, 0), "no settings of each other");
    assert!(shield.block(source(1), MINUTE_MS, FIXED));
    shield.decide(source(2), false, true, FIXED);
    let listed = Directory::open(&place.0, here()).unwrap().list(FIXED).unwrap();
    let mut shields = listed.iter().filter_map(|entry| match &entry.contents {
        Contents::Valid(info) => matches!(info.purpose, Purpose::Shield(_)).then_some(info),
        Contents::Invalid(why) => panic!("{why}"),
    });
    let found = shields.next().unwrap();
    assert_eq!((found.name.as_str(), &found.purpose), ("api", &Purpose::Shield(usual())));
    let seen = found.tables[0];
    assert_eq!((seen.slots, seen.blocked, seen.owing, seen.claimed), (16, 1, 1, 0));
    assert!(shields.next().is_none());
}

/// Files of another process of the same user, with any bytes in them: wrong answers, but no crash and no loop.
#[test]
fn whatever_bytes_are_in_the_file_the_shield_answers() {
    let place = TestDir::new();
    let shield = attach(&place.0, &usual()).unwrap();
    let mut bytes = std::fs::read(place.file()).unwrap();
    let mut noise = 1_u64;
    for round in 0..64 {
        for byte in bytes.iter_mut().skip(4096) {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = if round == 0 { 0xff } else { (noise >> 56).to_le_bytes()[0] };
        }
        std::os::unix::fs::FileExt::write_all_at(
            &std::fs::OpenOptions::new().write(true).open(place.file()).unwrap(),
            &bytes[4096..],
            4096,
        )
        .unwrap();
        for n in 0..100 {
            shield.decide(source(n), n % 2 == 0, true, after(n * 100));
            shield.block(source(n), 1_000, after(n * 100));
            shield.pardon(source(n), after(n * 100));
        }
        let _ = shield.state(true, FIXED);
        let _ = shield.top(10, FIXED);
        let _ = shield.occupancy(FIXED);
    }
    assert!(shield.is_current());
}
