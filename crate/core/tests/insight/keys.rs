//! The keys that ask most: what the sketch promises, against a map that forgets none.

use super::{Random, ask, key, plain};
use ratethrottle_core::insight::{Counted, Insight, InsightConfig, KeyStyle, TopKey};
use std::collections::HashMap;
use std::sync::Arc;

const ENTRIES: u64 = 4;

/// How often each key came, counted in full.
type Counts = HashMap<u64, u64>;

/// `n` keys, the key of rank r with a weight of r^-1.1.
fn zipf(n: usize) -> Vec<f64> {
    let mut sum = 0.0;
    (1..=n)
        .map(|rank| {
            sum += (rank as f64).powf(-1.1);
            sum
        })
        .collect()
}

fn draw(sums: &[f64], random: &mut Random) -> u64 {
    let at = random.share() * sums.last().unwrap();
    sums.partition_point(|&sum| sum < at) as u64
}

/// What the paper promises of every key that is named.
fn check(top: &[TopKey], counts: &Counts, all: u64, entries: u64) {
    for one in top.iter().filter(|one| !one.name.is_empty()) {
        let truth = counts.get(&one.name.parse().unwrap()).copied().unwrap_or_default();
        assert!(truth <= one.count, "{one:?} came {truth} times");
        assert!(one.count - one.error <= truth, "{one:?} came {truth} times");
        assert!(one.error <= all / entries, "{one:?} of {all}");
    }
}

fn stream(top: usize, keys: usize, length: u64, seed: u64) -> (Vec<TopKey>, Counts) {
    let insight = plain(top);
    let lane = insight.lane();
    let (sums, mut random) = (zipf(keys), Random(seed));
    let mut counts = Counts::new();
    for _ in 0..length {
        let number = draw(&sums, &mut random);
        *counts.entry(number).or_default() += 1;
        ask(&lane, number);
    }
    (insight.top(0), counts)
}

#[test]
fn counts_are_within_the_stated_error() {
    for (seed, (top, keys)) in
        [(1, 10), (2, 100), (5, 1_000), (25, 100_000)].into_iter().enumerate()
    {
        let (found, counts) = stream(top, keys, 200_000, seed as u64);
        check(&found, &counts, 200_000, top as u64 * ENTRIES);
    }
}

#[test]
fn the_ten_of_a_zipf_stream_are_the_right_ten() {
    for seed in 0..3 {
        let (found, counts) = stream(100, 1_000_000, 1_000_000, seed);
        let mut truth: Vec<(u64, u64)> = counts.into_iter().collect();
        truth.sort_by_key(|&(number, count)| (std::cmp::Reverse(count), number));
        let expected: Vec<u64> = truth.iter().take(10).map(|&(number, _)| number).collect();
        let found: Vec<u64> = found.iter().take(10).map(|one| one.name.parse().unwrap()).collect();
        assert_eq!(found, expected, "seed {seed}");
    }
}

#[test]
fn no_key_that_came_often_is_missing() {
    let insight = plain(10);
    let lane = insight.lane();
    let mut random = Random(7);
    let mut counts = Counts::new();
    // One key in 20 of all: more than one in 40 entries, so it has a place whatever the others do.
    for turn in 0..400_000_u64 {
        let number = if turn % 20 == 0 { turn / 20 % 5 } else { 10 + random.below(1 << 40) };
        *counts.entry(number).or_default() += 1;
        ask(&lane, number);
    }
    let top = insight.top(0);
    check(&top, &counts, 400_000, 40);
    let found: Vec<&str> = top.iter().take(5).map(|one| one.name.as_str()).collect();
    for number in 0..5 {
        let truth = counts[&number];
        if truth > 400_000 / 40 {
            assert!(found.contains(&number.to_string().as_str()), "{number} came {truth} times");
        }
    }
}

#[test]
fn keys_that_come_once_cost_no_name() {
    let insight = plain(1);
    let lane = insight.lane();
    let mut named = 0;
    for number in 0..100_000_u64 {
        let key = key(&insight, &number.to_string());
        lane.decided(0, Counted::Admitted, key, || {
            std::hint::black_box(());
            Some(number.to_string())
        });
        named += u64::from(number < ENTRIES);
    }
    // Those that came into a table with room.
    let top = insight.top(0);
    assert!(top.iter().filter(|one| !one.name.is_empty()).count() as u64 <= named);
    assert!(top.iter().all(|one| one.error > 0), "{top:?}");
}

#[test]
fn what_was_denied_is_a_table_of_its_own() {
    let insight = plain(10);
    let lane = insight.lane();
    for (number, counted) in
        [(1_u64, Counted::Admitted), (2, Counted::Denied(3)), (2, Counted::Dry)]
    {
        let name = number.to_string();
        lane.decided(7, counted, key(&insight, &name), || Some(name.clone()));
    }
    let shown = |table| -> Vec<(String, u64, usize)> {
        let insight: &Insight = &insight;
        insight.top(table).into_iter().map(|one| (one.name, one.count, one.row)).collect()
    };
    assert_eq!(shown(0), [("2".to_owned(), 2, 7), ("1".to_owned(), 1, 7)]);
    assert_eq!(shown(1), [("2".to_owned(), 2, 7)]);
}

#[test]
fn a_key_that_limiters_of_one_name_hash_apart_has_one_line() {
    let insight = plain(2);
    let lane = insight.lane();
    let limiters = [(0, 5), (0, 7), (0, 9), (1, 3)].map(|(row, times)| (row, times, plain(2)));
    for (row, times, secret) in &limiters {
        for _ in 0..*times {
            let name = || Some("1".to_owned());
            lane.decided(*row, Counted::Denied(0), key(secret, "1"), name);
        }
    }
    for table in [0, 1] {
        let found = insight.top(table);
        let shown: Vec<(usize, u64)> = found.iter().map(|one| (one.row, one.count)).collect();
        assert_eq!(shown, [(0, 21), (1, 3)]);
    }
}

#[test]
fn keys_that_only_look_alike_have_a_line_each() {
    for (keys, texts) in [
        (KeyStyle::Mask, ["203.0.113.1".to_owned(), "203.0.113.2".to_owned()]),
        (KeyStyle::Plain, [1, 2].map(|end| format!("{}{end}", "k".repeat(64)))),
    ] {
        let insight = Arc::new(Insight::new(InsightConfig { keys, top: 9 }).unwrap());
        let lane = insight.lane();
        for text in &texts {
            lane.decided(0, Counted::Admitted, key(&insight, text), || Some(text.clone()));
        }
        let found = insight.top(0);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].name, found[1].name);
    }
}

#[test]
fn a_key_without_a_character_has_a_name() {
    let insight = plain(1);
    let lane = insight.lane();
    lane.decided(0, Counted::Admitted, key(&insight, ""), || Some(String::new()));
    assert_eq!(insight.top(0)[0].name, "(empty)");
}

#[test]
fn without_keys_only_counts_are_kept() {
    let insight = plain(0);
    let lane = insight.lane();
    ask(&lane, 1);
    assert_eq!(insight.top(0), []);
    assert_eq!(insight.sums()[0], 1);
}
