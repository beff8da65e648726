//! Rows: the same for a name wherever it is asked for, and one for all that come too late.

use super::plain;
use ratethrottle_core::insight::{LIMITS, ROUTES};
use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;

#[test]
fn a_name_has_one_row_and_the_last_row_is_for_the_rest() {
    let insight = plain(1);
    let rows: Vec<usize> = (0..100).map(|n| insight.limit_row(&format!("limit {n}"))).collect();
    assert_eq!(rows[..LIMITS - 1].iter().collect::<HashSet<_>>().len(), LIMITS - 1);
    assert!(rows[LIMITS - 1..].iter().all(|&row| row == LIMITS - 1));
    assert_eq!(
        (0..100).map(|n| insight.limit_row(&format!("limit {n}"))).collect::<Vec<_>>(),
        rows
    );
    let names = insight.limit_names();
    assert_eq!(names[rows[3]].as_deref(), Some("limit 3"));
    assert_eq!(names[LIMITS - 1].as_deref(), Some("other"));
}

#[test]
fn a_million_routes_have_as_many_rows_as_there_are() {
    let insight = plain(1);
    for n in 0..20_000 {
        assert!(insight.route_row(&format!("GET /{n}")) < ROUTES);
    }
    assert_eq!(insight.route_names().iter().flatten().count(), ROUTES);
    assert!(insight.limit_names().iter().all(Option::is_none));
}

#[test]
fn long_and_hostile_names_are_cut_at_a_character() {
    let insight = plain(1);
    for name in ["", "\0", "a\nb", &"é".repeat(500), &"\u{1f600}".repeat(65), "<img src=x>"] {
        let row = insight.limit_row(name);
        let shown = insight.limit_names()[row].clone().unwrap();
        assert!(name.starts_with(&shown) && shown.len() <= 256, "{shown}");
        assert!(name.len() <= 256 || shown.len() > 252);
    }
}

#[test]
fn threads_that_ask_at_once_get_the_same_rows() {
    let insight = plain(1);
    let start = Barrier::new(8);
    let all: Vec<Vec<usize>> = thread::scope(|scope| {
        let asked = |shift: usize| {
            let (insight, start) = (&insight, &start);
            scope.spawn(move || {
                start.wait();
                let mut rows = vec![0; 60];
                for n in 0..60 {
                    let n = (n + shift * 7) % 60;
                    rows[n] = insight.limit_row(&format!("limit {n}"));
                }
                rows
            })
        };
        let threads: Vec<_> = (0..8).map(asked).collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(all.iter().all(|rows| rows == &all[0]), "{all:?}");
    assert_eq!(all[0].iter().collect::<HashSet<_>>().len(), 60);
}
