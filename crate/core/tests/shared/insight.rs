//! An insight that processes share: its lanes, and what it answers whatever is in the file.

use crate::child::FIXED;
use crate::test_dir::{TestDir, config, here, open};
use ratethrottle_core::insight::{Counted, Insight, InsightConfig, KeyStyle};
use ratethrottle_core::shared::{AttachRequest, Directory};
use ratethrottle_core::{AlgorithmKind, Encoding};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

fn attach(path: &Path, keys: KeyStyle) -> Arc<Insight> {
    let request = AttachRequest::insight("api", &InsightConfig { keys, top: 4 }).unwrap();
    Arc::new(Insight::attach(&Directory::open(path, here()).unwrap(), &request).unwrap())
}

fn ask(insight: &Arc<Insight>, name: &str) {
    let lane = insight.lane();
    let key = insight.key(name.as_bytes(), Encoding::Utf8);
    lane.decided(insight.limit_row("api"), Counted::Admitted, key, || Some(name.to_owned()));
}

#[test]
fn counts_outlive_all_who_made_them() {
    let place = TestDir::new();
    for n in 1..5 {
        let insight = attach(&place.0, KeyStyle::Plain);
        ask(&insight, "alice");
        assert_eq!(insight.sums()[0], n);
        let top = insight.top(0);
        assert_eq!((top[0].name.as_str(), top[0].count), ("alice", n));
    }
}

/// Two attachments stand for two processes: each opens the file by itself.
#[test]
fn two_attachments_count_in_lanes_of_their_own() {
    let place = TestDir::new();
    let (one, other) = (attach(&place.0, KeyStyle::Hash), attach(&place.0, KeyStyle::Hash));
    let lanes = (one.lane(), other.lane());
    for _ in 0..1_000 {
        lanes.0.add(0, 1);
        lanes.1.add(0, 1);
    }
    assert_eq!(one.sums()[0], 2_000);
    assert_eq!((one.processes(), other.processes()), (2, 2));
    drop(lanes.1);
    drop(other);
    assert_eq!(one.processes(), 1);
    drop(lanes.0);
    assert_eq!(one.processes(), 0);
}

#[test]
fn a_limiter_and_insights_of_other_settings_are_other_files() {
    let place = TestDir::new();
    let limiter = open(&place.0, &config(AlgorithmKind::TokenBucket, 10, 1_000, 64)).unwrap();
    let hashed = attach(&place.0, KeyStyle::Hash);
    let plain = attach(&place.0, KeyStyle::Plain);
    assert_eq!((limiter.conflicting(), hashed.conflicting(), plain.conflicting()), (0, 0, 1));
}

/// Files of another process of the same user, with any bytes in them: wrong answers, but no crash and no loop.
#[test]
fn whatever_bytes_are_in_the_file_the_insight_answers() {
    let place = TestDir::new();
    let insight = attach(&place.0, KeyStyle::Plain);
    let mut bytes = vec![0; std::fs::read(place.file()).unwrap().len() - 4096];
    let file = std::fs::OpenOptions::new().write(true).open(place.file()).unwrap();
    let mut noise = 1_u64;
    for round in 0..4 {
        for word in bytes.chunks_mut(8) {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = if round == 0 { u64::MAX } else { noise };
            word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
        }
        file.write_all_at(&bytes, 4096).unwrap();
        for n in 0..200 {
            ask(&insight, &format!("key {n}"));
            insight.tick(FIXED.0 / 1_000_000_000 + n);
        }
        assert!(insight.limit_row("another") < 65 && insight.route_row("GET /") < 257);
        for ring in 0..3 {
            assert_eq!(insight.series(3, ring, 50, 9_000).len(), 51);
        }
        let (names, routes) = (insight.limit_names(), insight.route_names());
        assert_eq!((names.len(), routes.len()), (65, 257));
        assert!(insight.top(0).len() <= 4 && insight.top(1).len() <= 4);
        let _ = (insight.sums(), insight.processes(), insight.began());
    }
    assert!(insight.is_current());
}
