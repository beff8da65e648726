//! The rows of limits and routes: a name finds its row, in whichever process it is asked for.

use super::Insight;
use super::layout::{LIMITS, Layout, NAME, NAME_BYTES, ROUTES};
use crate::atomic::{AtomicU64, Ordering};
use crate::key::Encoding;

impl Insight {
    /// The row of a limit of this name. The names after the first 64 share the last row.
    #[must_use]
    pub fn limit_row(&self, name: &str) -> usize {
        self.find_row(0, LIMITS, name)
    }

    /// The row of a route of this name. The names after the first 256 share the last row.
    #[must_use]
    pub fn route_row(&self, name: &str) -> usize {
        self.find_row(LIMITS, ROUTES, name)
    }

    /// The names of limits by row; `None` for a row that no limit has.
    #[must_use]
    pub fn limit_names(&self) -> Vec<Option<String>> {
        (0..LIMITS).map(|row| self.name_of(row)).collect()
    }

    /// The names of routes by row.
    #[must_use]
    pub fn route_names(&self) -> Vec<Option<String>> {
        (0..ROUTES).map(|row| self.name_of(LIMITS.saturating_add(row))).collect()
    }

    fn find_row(&self, first: usize, rows: usize, name: &str) -> usize {
        let name = cut(name);
        // Never 0, which is a row without a name.
        let hash = self.secret.key(name.as_bytes(), Encoding::Utf8).spread(1 << 63) | (1 << 63);
        let last = rows.saturating_sub(1);
        for row in 0..last {
            let words = self.name_words(first.saturating_add(row));
            let Some(found) = words.first() else { break };
            let claimed = found.compare_exchange(0, hash, Ordering::AcqRel, Ordering::Acquire);
            if claimed == Ok(0) || claimed == Err(hash) {
                write(words, name);
                return row;
            }
        }
        write(self.name_words(first.saturating_add(last)), "other");
        last
    }

    fn name_words(&self, row: usize) -> &[AtomicU64] {
        let start = Layout::name_start(row);
        self.memory.get(start..start.saturating_add(NAME)).unwrap_or_default()
    }

    fn name_of(&self, row: usize) -> Option<String> {
        let (length, text) = self.name_words(row).get(1..)?.split_first()?;
        let length = length.load(Ordering::Acquire).checked_sub(1)?;
        let bytes = text.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        let bytes: Vec<u8> = bytes.take(usize::try_from(length).ok()?).collect();
        // A file that other programs wrote to may hold anything.
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Writes a name, unless it is there: also where the process that claimed the row did not come to it.
fn write(words: &[AtomicU64], name: &str) {
    let Some((length, text)) = words.get(1..).and_then(<[_]>::split_first) else { return };
    if length.load(Ordering::Acquire) != 0 {
        return;
    }
    for (word, bytes) in text.iter().zip(name.as_bytes().chunks(8)) {
        let mut all = [0; 8];
        for (one, byte) in all.iter_mut().zip(bytes) {
            *one = *byte;
        }
        word.store(u64::from_le_bytes(all), Ordering::Relaxed);
    }
    length.store((name.len() as u64).saturating_add(1), Ordering::Release);
}

/// As much of a name as a row holds, in whole characters.
fn cut(name: &str) -> &str {
    let end = (0..=name.len().min(NAME_BYTES)).rev().find(|&end| name.is_char_boundary(end));
    end.and_then(|end| name.get(..end)).unwrap_or_default()
}
