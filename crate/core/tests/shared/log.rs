//! The independent log: one record for each admission, written before the answer is used, and the window
//! checker that reads it. It knows nothing of the table.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

const FILE: &str = "admissions.log";
const BYTES: usize = 24;

/// What a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// An admission that was decided on between two instants.
    Admitted { start: u64, end: u64 },
    /// So many more decisions.
    Decided(u64),
    /// A decision that used the processor for this many nanoseconds.
    Slow(u64),
}

/// Where a process writes. Each record is one write of an append-only file: complete, or not there.
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn open(directory: &Path) -> Self {
        let path = directory.with_extension("log.d").join(FILE);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        Self(OpenOptions::new().append(true).create(true).open(path).unwrap())
    }

    pub(crate) fn write(&mut self, record: Record) {
        let words = match record {
            Record::Admitted { start, end } => [1, start, end],
            Record::Decided(count) => [2, count, 0],
            Record::Slow(nanos) => [3, nanos, 0],
        };
        let bytes: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_ne_bytes()).collect();
        assert_eq!(self.0.write(&bytes).unwrap(), BYTES);
    }
}

/// How many bytes were written.
pub(crate) fn length(directory: &Path) -> u64 {
    std::fs::metadata(directory.with_extension("log.d").join(FILE)).unwrap().len()
}

/// Everything that was written, and the log is gone.
pub(crate) fn read(directory: &Path) -> Vec<Record> {
    let logs = directory.with_extension("log.d");
    let bytes = std::fs::read(logs.join(FILE)).unwrap();
    std::fs::remove_dir_all(logs).unwrap();
    let (records, rest) = bytes.as_chunks::<BYTES>();
    assert!(rest.is_empty());
    let word = |record: &[u8; BYTES], at: usize| {
        u64::from_ne_bytes(*record[at * 8..].first_chunk().unwrap())
    };
    let read = |record: &[u8; BYTES]| match word(record, 0) {
        1 => Record::Admitted { start: word(record, 1), end: word(record, 2) },
        2 => Record::Decided(word(record, 1)),
        3 => Record::Slow(word(record, 1)),
        other => panic!("{other}"),
    };
    records.iter().map(read).collect()
}

/// The most admissions that surely lay in one window: those whose whole interval did. One that straddles
/// the edge is given the benefit of the doubt.
pub(crate) fn most_in_a_window(records: &[Record], window_ns: u64) -> u64 {
    let mut spans: Vec<(u64, u64)> = records
        .iter()
        .filter_map(|record| match record {
            Record::Admitted { start, end } => Some((*start, *end)),
            _ => None,
        })
        .collect();
    spans.sort_unstable_by_key(|&(start, _)| start);
    // For each span as the first of a window, those that started no earlier and ended within it.
    let mut most = 0;
    for (i, &(first, _)) in spans.iter().enumerate() {
        let inside = spans[i..].iter().take_while(|(start, _)| *start < first + window_ns);
        let within = inside.filter(|(_, end)| *end < first + window_ns).count();
        most = most.max(within as u64);
    }
    most
}

#[test]
fn the_window_checker_finds_a_window_with_one_too_many() {
    let at = |start: u64| Record::Admitted { start, end: start + 1 };
    let fair: Vec<_> = (0..50).map(|n| at(n * 10)).collect();
    assert_eq!(most_in_a_window(&fair, 100), 10);
    let unfair: Vec<_> = fair.iter().copied().chain([at(205)]).collect();
    assert_eq!(most_in_a_window(&unfair, 100), 11);
}
