//! An attaching process uses a file only if everything about it is right.

use crate::test_dir::{TestDir, config, here, open, open_as, trouble};
use ratethrottle_core::shared::{Host, LAYOUT_VERSION};
use ratethrottle_core::{
    AlgorithmKind, Encoding, FixedTime, LimiterConfig, Nanos, SharedErrorKind,
};
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn usual() -> LimiterConfig {
    config(AlgorithmKind::TokenBucket, 10, 3_600_000, 1_000)
}

fn admitted(limiter: &ratethrottle_core::RawLimiter, checks: u64) -> usize {
    let key = limiter.key(b"k", Encoding::Utf8);
    (0..checks).filter(|_| limiter.allow(key, 1, &FixedTime(Nanos(1)))).count()
}

#[test]
fn two_attachments_are_one_state_which_outlives_both() {
    let place = TestDir::new();
    let first = open(&place.0, &usual()).unwrap();
    assert_eq!(admitted(&first, 7), 7);
    let second = open(&place.0, &usual()).unwrap();
    assert_eq!(admitted(&second, 7), 3);
    drop((first, second));
    assert_eq!(admitted(&open(&place.0, &usual()).unwrap(), 7), 0);
}

#[test]
fn every_byte_is_reserved_before_the_file_has_a_name() {
    let place = TestDir::new();
    let _limiter = open(&place.0, &usual()).unwrap();
    let found = fs::metadata(place.file()).unwrap();
    assert!(found.blocks() * 512 >= found.size(), "{} of {}", found.blocks() * 512, found.size());
    assert_eq!(found.mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&place.0).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn a_file_that_was_tampered_with_is_refused_by_name_and_left_alone() {
    type Tamper = fn(&std::path::Path);
    let cases: [(&str, Tamper); 9] = [
        ("it is 0 bytes long", |file| fs::write(file, "").unwrap()),
        ("it is 4096 bytes long", |file| {
            OpenOptions::new().write(true).open(file).unwrap().set_len(4096).unwrap();
        }),
        ("bytes long, not", |file| {
            let length = fs::metadata(file).unwrap().len();
            OpenOptions::new().write(true).open(file).unwrap().set_len(length + 1).unwrap();
        }),
        ("it is no file of ratethrottle's", |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes.iter_mut().zip((1_u8..=251).cycle()).for_each(|(byte, noise)| *byte ^= noise);
            fs::write(file, bytes).unwrap();
        }),
        ("its mode is 0660, not 0600", |file| {
            fs::set_permissions(file, Permissions::from_mode(0o660)).unwrap();
        }),
        ("it has 2 names", |file| fs::hard_link(file, file.with_extension("2")).unwrap()),
        ("it is a symbolic link", |file| {
            fs::rename(file, file.with_extension("moved")).unwrap();
            symlink(file.with_extension("moved"), file).unwrap();
        }),
        ("it is a directory", |file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        }),
        ("it is not a plain file", |file| {
            fs::remove_file(file).unwrap();
            let status =
                std::process::Command::new("mkfifo").args(["-m", "600"]).arg(file).status();
            assert!(status.unwrap().success());
        }),
    ];
    for (expected, tamper) in cases {
        let place = TestDir::new();
        drop(open(&place.0, &usual()).unwrap());
        let file = place.file();
        tamper(&file);
        let before = fs::symlink_metadata(&file).unwrap();
        let (trouble, what) = trouble(open(&place.0, &usual()));
        assert_eq!(trouble, SharedErrorKind::Untrusted, "{what}");
        assert!(what.contains(expected), "{what}; expected {expected}");
        let after = fs::symlink_metadata(&file).unwrap();
        assert_eq!((before.ino(), before.size()), (after.ino(), after.size()));
    }
}

#[test]
fn a_file_of_another_user_is_refused_where_a_test_may_make_one() {
    let place = TestDir::new();
    drop(open(&place.0, &usual()).unwrap());
    let given_away = std::os::unix::fs::chown(place.file(), Some(65_534), None);
    // Only root gives files away; `__test__/shared/trust.test.ts` does it with real users.
    if here().uid != 0 || given_away.is_err() {
        return;
    }
    let (trouble, what) = trouble(open(&place.0, &usual()));
    assert_eq!(trouble, SharedErrorKind::Untrusted);
    assert_eq!(what, "it belongs to user 65534, not to user 0");
}

#[test]
fn every_byte_of_the_header_that_is_flipped_is_noticed() {
    let place = TestDir::new();
    drop(open(&place.0, &usual()).unwrap());
    let bytes = fs::read(place.file()).unwrap();
    for at in (0..600).chain([1_000, 2_000, 4_095]) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        fs::write(place.file(), flipped).unwrap();
        let (trouble, what) = trouble(open(&place.0, &usual()));
        assert_eq!(trouble, SharedErrorKind::Untrusted, "byte {at}: {what}");
    }
    fs::write(place.file(), bytes).unwrap();
    assert!(open(&place.0, &usual()).is_ok());
}

#[test]
fn a_directory_of_other_rights_or_of_another_user_is_refused() {
    let place = TestDir::new();
    fs::create_dir(&place.0).unwrap();
    for mode in [0o755, 0o770, 0o1777] {
        fs::set_permissions(&place.0, Permissions::from_mode(mode)).unwrap();
        let (trouble, what) = trouble(open(&place.0, &usual()));
        assert_eq!(trouble, SharedErrorKind::Untrusted);
        assert_eq!(what, format!("its mode is {mode:04o}, not 0700"));
    }
    fs::set_permissions(&place.0, Permissions::from_mode(0o700)).unwrap();
    let other = Host { uid: here().uid + 1, ..here() };
    let (trouble, what) = trouble(open_as(&place.0, other, &usual()));
    assert_eq!(trouble, SharedErrorKind::Untrusted);
    assert!(what.contains("it belongs to user"), "{what}");
}

#[test]
fn a_build_with_another_layout_has_a_file_of_its_own() {
    let place = TestDir::new();
    let ours = open(&place.0, &usual()).unwrap();
    let next = Host { layout: LAYOUT_VERSION + 1, ..here() };
    let theirs = open_as(&place.0, next.clone(), &usual()).unwrap();
    assert_eq!((admitted(&ours, 20), admitted(&theirs, 20)), (10, 10));
    // Even under the other's name it is not believed.
    let files: Vec<_> = fs::read_dir(&place.0).unwrap().map(|file| file.unwrap().path()).collect();
    let (mine, other): (Vec<_>, Vec<_>) = files.iter().partition(|file| {
        file.file_name().unwrap().to_str().unwrap().starts_with(&format!("v{LAYOUT_VERSION}-"))
    });
    fs::rename(other[0], mine[0]).unwrap();
    let (trouble, what) = trouble(open(&place.0, &usual()));
    assert_eq!(trouble, SharedErrorKind::Mismatch);
    let next = LAYOUT_VERSION + 1;
    assert_eq!(what, format!("its layout is version {next}, and ours {LAYOUT_VERSION}"));
}

#[test]
fn the_file_of_another_name_or_policy_is_not_believed() {
    let place = TestDir::new();
    drop(open(&place.0, &usual()).unwrap());
    let file = place.file();
    let other = config(AlgorithmKind::TokenBucket, 11, 3_600_000, 1_000);
    drop(open(&place.0, &other).unwrap());
    let theirs = place.file();
    assert_ne!(file, theirs, "no process held it, so the new one removed it");
    fs::rename(theirs, file).unwrap();
    let (trouble, what) = trouble(open(&place.0, &usual()));
    assert_eq!(
        (trouble, what.as_str()),
        (SharedErrorKind::Mismatch, "it is for another name or other settings")
    );
}
