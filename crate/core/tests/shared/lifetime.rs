//! How long a shared file lives: replaced when stale, removed with its last user, raced for by its makers.

use crate::test_dir::{TestDir, config, here, open, open_as, trouble};
use ratethrottle_core::shared::{Contents, Directory, Host, Platform as _};
use ratethrottle_core::{
    AlgorithmKind, Clock, Encoding, Error, FixedTime, LimiterConfig, Monotonic, Nanos,
    SharedErrorKind,
};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, symlink};

fn usual() -> LimiterConfig {
    config(AlgorithmKind::TokenBucket, 10, 3_600_000, 1_000)
}

fn admitted(limiter: &ratethrottle_core::RawLimiter, checks: u64) -> usize {
    let key = limiter.key(b"k", Encoding::Utf8);
    (0..checks).filter(|_| limiter.allow(key, 1, &FixedTime(Nanos(1)))).count()
}

#[test]
fn a_stale_file_is_replaced_unless_a_process_counts_with_it() {
    let stale = [
        Host { boot: [1, 2], ..here() },
        Host { time_namespace: here().time_namespace + 1, ..here() },
    ];
    for host in stale {
        let place = TestDir::new();
        let old = open_as(&place.0, host, &usual()).unwrap();
        assert_eq!(admitted(&old, 20), 10);
        let inode = fs::metadata(place.file()).unwrap().ino();
        assert_eq!(trouble(open(&place.0, &usual())).0, SharedErrorKind::Mismatch);
        assert_eq!(fs::metadata(place.file()).unwrap().ino(), inode);
        drop(old);
        let new = open(&place.0, &usual()).unwrap();
        assert_eq!((admitted(&new, 20), new.generation()), (10, 1));
    }
}

#[test]
fn new_settings_are_another_state_and_the_old_one_goes_with_its_last_user() {
    let place = TestDir::new();
    let old = open(&place.0, &usual()).unwrap();
    let changed = config(AlgorithmKind::TokenBucket, 20, 3_600_000, 1_000);
    let new = open(&place.0, &changed).unwrap();
    assert_eq!((old.conflicting(), new.conflicting()), (0, 1));
    assert_eq!((admitted(&old, 30), admitted(&new, 30)), (10, 20));
    drop((old, new));
    assert_eq!(fs::read_dir(&place.0).unwrap().count(), 2);
    let third = config(AlgorithmKind::TokenBucket, 30, 3_600_000, 1_000);
    assert_eq!(open(&place.0, &third).unwrap().conflicting(), 0);
    assert_eq!(fs::read_dir(&place.0).unwrap().count(), 1);
}

#[test]
fn a_live_file_that_is_removed_is_noticed_and_goes_on_until_it_is_left() {
    let place = TestDir::new();
    let old = open(&place.0, &usual()).unwrap();
    assert!(old.is_current());
    fs::remove_file(place.file()).unwrap();
    assert!(!old.is_current());
    assert_eq!(admitted(&old, 20), 10);
    assert_eq!(admitted(&open(&place.0, &usual()).unwrap(), 20), 10);
}

#[test]
fn a_live_file_that_is_truncated_is_no_signal() {
    for kind in [AlgorithmKind::TokenBucket, AlgorithmKind::SlidingLog] {
        for left in [0, 4_096, 8_192] {
            let place = TestDir::new();
            let config = config(kind, 10, 3_600_000, 1_000);
            let limiter = open(&place.0, &config).unwrap();
            assert_eq!(admitted(&limiter, 20), 10);
            let file = OpenOptions::new().write(true).open(place.file()).unwrap();
            file.set_len(left).unwrap();
            assert!(!limiter.is_current());
            let keys = (0..200_u32).map(|n| limiter.key(&n.to_le_bytes(), Encoding::Utf8));
            assert!(keys.into_iter().all(|key| limiter.allow(key, 1, &FixedTime(Nanos(1)))));
            assert!(open(&place.0, &config).is_err());
        }
    }
}

#[test]
fn an_attached_file_is_not_removed_and_a_strange_one_is() {
    let place = TestDir::new();
    let limiter = open(&place.0, &usual()).unwrap();
    let directory = Directory::open(&place.0, here()).unwrap();
    let name = place.file().file_name().unwrap().to_str().unwrap().to_owned();
    let removed = |name: &str| match directory.remove(name) {
        Err(Error::Shared(shared)) => Some(shared.kind),
        other => other.map(|()| None).unwrap(),
    };
    assert_eq!(removed(&name), Some(SharedErrorKind::InUse));
    drop(limiter);
    assert_eq!(removed(&name), None);
    assert_eq!(removed(&name), Some(SharedErrorKind::Missing));
    assert_eq!(removed("../../etc/passwd"), Some(SharedErrorKind::Missing));
    symlink("/etc/passwd", place.0.join("link")).unwrap();
    fs::write(place.0.join("odd"), "odd").unwrap();
    fs::create_dir(place.0.join("directory")).unwrap();
    for odd in ["link", "odd", "directory"] {
        assert_eq!(removed(odd), None, "{odd}");
    }
}

#[test]
fn the_inspection_counts_without_changing_anything() {
    let place = TestDir::new();
    let limiter = open(&place.0, &usual()).unwrap();
    let key = |n: u32| limiter.key(&n.to_le_bytes(), Encoding::Utf8);
    (0..30).for_each(|n| assert!(limiter.allow(key(n), if n < 20 { 1 } else { 10 }, &Monotonic)));
    assert!(limiter.block(key(40), 60_000, &Monotonic));
    fs::write(place.0.join("odd"), "odd").unwrap();
    let before = fs::read(place.file());
    let found = Directory::open(&place.0, here()).unwrap().list(Monotonic.now()).unwrap();
    assert_eq!(before.unwrap(), fs::read(place.file()).unwrap());
    let mut sound = 0;
    for entry in found {
        match entry.contents {
            Contents::Invalid(what) => assert_eq!(what, "its mode is 0644, not 0600"),
            Contents::Valid(table) => {
                sound += 1;
                let occupancy = table.tables[0];
                assert_eq!((occupancy.owing, occupancy.denied, occupancy.blocked), (20, 10, 1));
                assert_eq!((table.name.as_str(), table.foreign.as_deref()), ("api", None));
            }
        }
    }
    assert_eq!(sound, 1);
}

/// Eight threads open the limiter at once, and each uses up what it can.
fn admitted_by_racers(place: &TestDir) -> usize {
    std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| admitted(&open(&place.0, &usual()).unwrap(), 10)))
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    })
}

#[test]
fn racing_to_make_it_all_find_the_same_one() {
    for _ in 0..20 {
        let place = TestDir::new();
        assert_eq!(admitted_by_racers(&place), 10);
    }
}

#[test]
fn racing_to_replace_a_stale_one_all_find_the_same_one() {
    for _ in 0..10 {
        let place = TestDir::new();
        drop(open_as(&place.0, Host { boot: [1, 2], ..here() }, &usual()).unwrap());
        assert_eq!(admitted_by_racers(&place), 10);
    }
}

#[test]
fn racing_with_other_settings_no_process_loses_what_it_holds() {
    for _ in 0..10 {
        let place = TestDir::new();
        std::thread::scope(|scope| {
            for n in 1..9 {
                let path = &place.0;
                scope.spawn(move || {
                    let config = config(AlgorithmKind::TokenBucket, 1 + n % 4, 3_600_000, 100);
                    for _ in 0..10 {
                        assert!(open(path, &config).unwrap().is_current());
                    }
                });
            }
        });
    }
}
