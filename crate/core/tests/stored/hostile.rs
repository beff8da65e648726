//! Bytes that are no record, no longer one, or another config's.

use super::{KINDS, Kept, START, config, later};
use proptest::prelude::*;
use ratethrottle_core::stored::{Damaged, Operation, Stored};
use ratethrottle_core::{AlgorithmKind, Nanos};

fn stored(kind: AlgorithmKind) -> Stored {
    Stored::new(config(kind, &[(3, 1_000), (9, 60_000)], 0)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_record(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in KINDS {
            let step = stored(kind).step(Some(&bytes), START, Operation::Check(1));
            prop_assert_eq!(step, Err(Damaged));
        }
    }

    #[test]
    fn one_changed_bit_is_found(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        for kind in KINDS {
            let stored = stored(kind);
            let write = stored.step(None, START, Operation::Check(2)).unwrap().write;
            let mut bytes = write.unwrap().bytes;
            let index = at.index(bytes.len());
            bytes[index] ^= 1 << bit;
            prop_assert_eq!(stored.step(Some(&bytes), START, Operation::Check(1)), Err(Damaged));
        }
    }

    /// A record with a right checksum whose content no limiter would have written.
    #[test]
    fn nonsense_neither_panics_nor_admits_without_a_bound(
        words in prop_oneof![
            prop::collection::vec(any::<u64>(), 3),
            prop::collection::vec(any::<u64>(), 0..40),
        ],
        small in 0..12_u64,
        shown in any::<u64>(),
    ) {
        for kind in KINDS {
            let mut kept = Kept::new(config(kind, &[(3, 1_000), (9, 60_000)], 0));
            let bytes = kept.step(START, Operation::Check(1)).write.unwrap().bytes;
            for first in [small, words.first().copied().unwrap_or(0)] {
                let forged = forged(&bytes, first, &words);
                if kept.stored.step(Some(&forged), Nanos(shown), Operation::Peek(1)).is_err() {
                    continue;
                }
                kept.bytes = Some(forged);
                for operation in [Operation::Refund(1), Operation::Pace(1), Operation::Block(5)] {
                    let _ = kept.stored.step(kept.bytes.as_deref(), Nanos(shown), operation);
                }
                let take = |_: &u64| kept.step(Nanos(shown), Operation::Check(1)).decision.allowed;
                prop_assert!((0..100).filter(take).count() <= 9, "{:?}", kind);
            }
        }
    }
}

/// The head of a true record, other words after it, and the checksum that belongs to them.
fn forged(bytes: &[u8], first: u64, words: &[u64]) -> Vec<u8> {
    let mut forged = bytes[..16].to_vec();
    let (before, after) = words.split_at(words.len().min(2));
    let all = before.iter().chain([&first]).chain(after);
    forged.extend(all.flat_map(|word| word.to_le_bytes()));
    let mut hasher =
        siphasher::sip128::SipHasher13::new_with_keys(0x7265_636f_7264_0001, 0x6368_6563_6b00_0001);
    std::hash::Hasher::write(&mut hasher, &forged);
    let sum = siphasher::sip128::Hasher128::finish128(&hasher).h1;
    forged.extend(sum.to_le_bytes());
    forged
}

#[test]
fn a_forged_record_is_taken_for_one() {
    let stored = Stored::new(config(AlgorithmKind::TokenBucket, &[(3, 1_000)], 0)).unwrap();
    let bytes = stored.step(None, START, Operation::Check(1)).unwrap().write.unwrap().bytes;
    let forged = forged(&bytes, 0, &[START.0, 0]);
    assert_eq!(bytes.len(), forged.len());
    assert!(stored.step(Some(&forged), START, Operation::Check(3)).unwrap().decision.allowed);
}

#[test]
fn another_policys_record_counts_as_absent_and_is_reported() {
    for kind in KINDS {
        let mut other = Kept::new(config(kind, &[(4, 1_000)], 0));
        let bytes = other.step(START, Operation::Check(4)).write.unwrap().bytes;
        let mut kept = Kept::new(config(kind, &[(3, 1_000)], 0));
        kept.bytes = Some(bytes);
        let step = kept.step(START, Operation::Check(3));
        assert!(step.is_foreign && step.decision.allowed, "{kind:?}");
        let next = kept.step(START, Operation::Check(1));
        assert!(!next.is_foreign && !next.decision.allowed, "{kind:?}");
    }
}

#[test]
fn a_reset_replaces_bytes_that_are_no_record() {
    for kind in KINDS {
        let foreign = Kept::new(config(kind, &[(4, 1_000)], 0)).step(START, Operation::Check(1));
        for bytes in [b"other bytes".to_vec(), Vec::new(), foreign.write.unwrap().bytes] {
            let mut kept = Kept::new(config(kind, &[(3, 1_000)], 0));
            kept.bytes = Some(bytes);
            assert!(kept.step(START, Operation::Reset).write.is_some(), "{kind:?}");
            assert!(kept.step(START, Operation::Check(3)).decision.allowed, "{kind:?}");
        }
    }
}

#[test]
fn no_record_is_longer_than_the_longest() {
    for kind in KINDS {
        let mut kept = Kept::new(config(kind, &[(3, 1_000), (100, 60_000)], 0));
        for unit in 0..100 {
            let step = kept.step(later(400 * unit), Operation::Check(1));
            let length = step.write.map_or(0, |write| write.bytes.len());
            assert!(length <= kept.stored.longest(), "{kind:?}");
        }
    }
}

#[test]
fn every_cut_of_a_record_is_damaged() {
    for kind in KINDS {
        let stored = stored(kind);
        let bytes = stored.step(None, START, Operation::Check(2)).unwrap().write.unwrap().bytes;
        for length in 0..bytes.len() {
            let step = stored.step(Some(&bytes[..length]), START, Operation::Check(1));
            assert_eq!(step, Err(Damaged), "{kind:?} {length}");
        }
    }
}

#[test]
fn a_record_that_was_left_alone_for_years_has_recovered() {
    const YEAR_MS: u64 = 365 * 86_400_000;
    for kind in KINDS {
        for (count, window_ms) in [(3, 1_000), (1, YEAR_MS), (1_000, 10 * YEAR_MS)] {
            let Ok(stored) = Stored::new(config(kind, &[(count, window_ms)], 0)) else { continue };
            let mut kept = Kept { stored, bytes: None };
            assert!(kept.allows(0, count), "{kind:?}");
            for years in [40, 80, 160] {
                let peek = kept.step(later(years * YEAR_MS), Operation::Peek(count));
                assert!(peek.decision.allowed && peek.decision.remaining == count, "{kind:?}");
            }
        }
    }
}
