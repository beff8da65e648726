//! Where things are in an insight's memory. All zero is an insight that has counted nothing.
//!
//! ```text
//! header 16 | names: rows * 18 | lanes: LANES * (owner | counts | asked keys | denied keys) | rings: limits * 2760 * 5
//! ```

use super::{InsightConfig, KeyStyle};

/// Rows for limits: the last is for all that come after the first 64.
pub const LIMITS: usize = 65;
/// Counts of a limit. The last 16 are denials, by the limit that denied.
pub const FIELDS: usize = 32;
/// Rows for routes: the last is for all that come after the first 256.
pub const ROUTES: usize = 257;
/// Counts of a route.
pub const OUTCOMES: usize = 8;
/// Distributions of times: of decisions, of a store's answers, of waits.
pub const TIMES: usize = 3;
/// Cells of a distribution.
pub const TIME_CELLS: usize = 64;
/// Where the counts of routes begin.
pub const ROUTE_COUNTS: usize = LIMITS * FIELDS;
/// Where the distributions begin.
pub const TIME_COUNTS: usize = ROUTE_COUNTS + ROUTES * OUTCOMES;
/// All counts of a lane.
pub const COUNTS: usize = TIME_COUNTS + TIMES * TIME_CELLS;

/// Threads that count at once, each in a lane of its own, and one lane for all others.
pub const LANES: usize = 32;
/// Steps of each ring: seconds, minutes, hours.
pub const STEPS: [usize; 3] = [600, 1440, 720];
/// Seconds of a step of each ring.
pub const STEP_SECONDS: [u64; 3] = [1, 60, 3600];
/// Words of a step: which one it is, then admitted, denied, dry and waited by its end.
pub(super) const STEP: usize = 5;
const RING: usize = STEP * (STEPS[0] + STEPS[1] + STEPS[2]);

/// Bytes of a row's name.
pub(super) const NAME_BYTES: usize = 256;
/// Words of a row's name: its hash, its length plus one, and the text.
pub(super) const NAME: usize = 2 + NAME_BYTES / 8;

const HEADER: usize = 16;
/// The second of the last tick, plus one.
pub(super) const TICKED: usize = 0;
/// Lanes that were ever used.
pub(super) const USED: usize = 1;
/// When the first user came, in seconds plus one.
pub(super) const BEGAN: usize = 2;

/// Words of an entry for a key before its name: hash, count, error, and row and length of the name.
pub(super) const ENTRY: usize = 4;
/// Entries of a table for each key that is asked for.
const ENTRIES_PER_KEY: usize = 4;

/// Where things are, for one configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Entries of each table of keys.
    pub(super) entries: usize,
    /// Words of the name of a key.
    pub(super) key_words: usize,
}

impl Layout {
    pub(super) const fn new(config: &InsightConfig) -> Self {
        // Hexadecimal digits; a masked address; 64 characters of up to four bytes.
        let key_words = match config.keys {
            KeyStyle::Hash => 1,
            KeyStyle::Mask => 6,
            KeyStyle::Plain => 32,
        };
        Self { entries: config.top.saturating_mul(ENTRIES_PER_KEY), key_words }
    }

    pub(super) const fn words(self) -> usize {
        self.ring_start(LIMITS)
    }

    /// Of a row: those of limits come first.
    pub(super) const fn name_start(row: usize) -> usize {
        HEADER.saturating_add(row.saturating_mul(NAME))
    }

    pub(super) const fn entry_words(self) -> usize {
        self.key_words.saturating_add(ENTRY)
    }

    const fn table_words(self) -> usize {
        self.entries.saturating_mul(self.entry_words())
    }

    /// The first word of a lane is its owner's process.
    pub(super) const fn lane_start(self, lane: usize) -> usize {
        let lane_words =
            COUNTS.saturating_add(1).saturating_add(self.table_words().saturating_mul(2));
        Self::name_start(LIMITS + ROUTES).saturating_add(lane.saturating_mul(lane_words))
    }

    pub(super) const fn counts_start(self, lane: usize) -> usize {
        self.lane_start(lane).saturating_add(1)
    }

    /// The table of keys that asked (0) or were denied (1).
    pub(super) const fn table_start(self, lane: usize, table: usize) -> usize {
        let first = self.counts_start(lane).saturating_add(COUNTS);
        first.saturating_add(self.table_words().saturating_mul(table))
    }

    const fn ring_start(self, limit: usize) -> usize {
        self.lane_start(LANES).saturating_add(limit.saturating_mul(RING))
    }

    /// A step of a limit's ring.
    pub(super) fn step_start(self, limit: usize, ring: usize, place: usize) -> usize {
        let before: usize = STEPS.iter().take(ring).sum();
        let step = before.saturating_add(place);
        self.ring_start(limit).saturating_add(step.saturating_mul(STEP))
    }
}
