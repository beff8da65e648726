//! Permits that processes share: never more than there are, and none lost, however the processes that hold them end.

use crate::test_dir::{TestDir, config, here, open};
use ratethrottle_core::permits::{LANES, Lane, Permits, PermitsConfig, Refusal};
use ratethrottle_core::shared::{AttachRequest, Contents, Directory, Platform, Purpose};
use ratethrottle_core::{AlgorithmKind, Encoding, Error, Nanos};
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "probe")]
pub(crate) mod dying;
pub(crate) mod leaving;
#[cfg(feature = "probe")]
pub(crate) mod storm;
#[cfg(feature = "probe")]
mod witness;

/// Sixteen slots, which every key may have.
pub(crate) const CAPACITY: usize = 1;

pub(crate) fn of(per_key: u32, total: u32) -> PermitsConfig {
    PermitsConfig { per_key, total, capacity: CAPACITY }
}

pub(crate) fn attach(path: &Path, config: &PermitsConfig) -> Lane {
    let request = AttachRequest::permits("api", config).unwrap();
    let permits = Permits::attach(&Directory::open(path, here()).unwrap(), &request).unwrap();
    Lane::new(&Arc::new(permits))
}

pub(crate) fn take(lane: &Lane, key: &str) -> Result<usize, Refusal> {
    lane.acquire(lane.permits().key(key.as_bytes(), Encoding::Utf8))
}

pub(crate) fn held(lane: &Lane, key: &str) -> u32 {
    lane.permits().held(lane.permits().key(key.as_bytes(), Encoding::Utf8))
}

/// Two attachments stand for two processes: each opens the file by itself.
#[test]
fn two_attachments_have_the_same_permits_and_each_gives_back_its_own() {
    let place = TestDir::new();
    let (one, other) = (attach(&place.0, &of(2, 3)), attach(&place.0, &of(2, 3)));
    let mine = take(&one, "a").unwrap();
    take(&other, "a").unwrap();
    assert_eq!(take(&one, "a"), Err(Refusal::PerKey));
    take(&one, "b").unwrap();
    assert_eq!(take(&other, "c"), Err(Refusal::Total));
    assert_eq!((held(&one, "a"), held(&other, "a"), held(&one, "c")), (2, 2, 0));
    assert_eq!(one.permits().in_use(), (3, 2));
    // The other one has one permit of that slot, and no more.
    assert!(other.release(mine) && !other.release(mine));
    drop(one);
    assert_eq!(other.permits().in_use(), (0, 0));
}

#[test]
fn permits_of_other_settings_are_another_file_and_limiters_are_none() {
    let place = TestDir::new();
    let limiter = open(&place.0, &config(AlgorithmKind::TokenBucket, 10, 1_000, 64)).unwrap();
    let (one, other) = (attach(&place.0, &of(2, 0)), attach(&place.0, &of(3, 0)));
    take(&one, "a").unwrap();
    assert_eq!(held(&other, "a"), 0);
    let conflicting = |lane: &Lane| lane.permits().conflicting();
    assert_eq!((limiter.conflicting(), conflicting(&one), conflicting(&other)), (0, 0, 1));
}

#[test]
fn a_list_of_files_says_how_many_are_held() {
    let place = TestDir::new();
    let lane = attach(&place.0, &of(2, 9));
    for key in ["a", "a", "b"] {
        take(&lane, key).unwrap();
    }
    let found = Directory::open(&place.0, here()).unwrap().list(Nanos(1)).unwrap();
    let [entry] = &found[..] else { panic!("{found:?}") };
    let Contents::Valid(info) = &entry.contents else { panic!("{entry:?}") };
    assert_eq!((&info.purpose, info.permits), (&Purpose::Permits(of(2, 9)), Some((3, 2))));
}

#[test]
fn a_thread_for_which_there_is_no_lane_is_refused_until_there_is_one() {
    let place = TestDir::new();
    let mut lanes: Vec<Lane> = (0..LANES).map(|_| attach(&place.0, &of(2, 0))).collect();
    let late = attach(&place.0, &of(2, 0));
    assert_eq!(take(&late, "a"), Err(Refusal::Capacity));
    lanes.pop();
    assert_eq!(late.reap(), 0);
    assert!(take(&late, "a").is_ok());
}

/// A file of another process of the same user, with any bytes in it: wrong answers, but no crash and no loop.
#[test]
fn whatever_bytes_are_in_the_file_permits_answer() {
    use std::os::unix::fs::FileExt;
    let place = TestDir::new();
    let lane = attach(&place.0, &of(2, 3));
    let mut bytes = vec![0; std::fs::read(place.file()).unwrap().len() - 4096];
    let file = std::fs::OpenOptions::new().write(true).open(place.file()).unwrap();
    let mut noise = 1_u64;
    for round in 0..20 {
        for word in bytes.chunks_mut(8) {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = if round == 0 { u64::MAX } else { noise };
            word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
        }
        file.write_all_at(&bytes, 4096).unwrap();
        for n in 0..50 {
            if let Ok(index) = take(&lane, &format!("{n}")) {
                lane.release(index);
            }
            lane.release(n);
        }
        lane.reap();
        let _ = lane.permits().in_use();
    }
    assert!(lane.permits().is_current());
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (per_key, total) in [(0, 0), (1_000_001, 0), (0, 1_000_001)] {
        assert!(matches!(Permits::new(of(per_key, total), true), Err(Error::Count(_))));
    }
    for capacity in [0, 1_000_001] {
        let made = Permits::new(PermitsConfig { capacity, ..of(1, 0) }, true);
        assert!(matches!(made, Err(Error::Capacity(_))));
    }
}
