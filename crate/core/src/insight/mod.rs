//! What limiters have done: counts, series over time, and the keys that ask or are denied most.
//!
//! ```text
//! a decision   adds to the counts of its thread's lane     one writer each, so no locked instruction
//! once a second, the first thread to tick:
//!              the sums of all lanes become a step of each ring
//! reading      adds the lanes up
//! ```
//!
//! Rings hold what had been counted by the end of each step, never how much a step has added: a process that is
//! killed between two words, or two that write the same step, count nothing twice. A lane outlives its thread: the
//! next one goes on adding to it.

mod keys;
mod lane;
mod layout;
mod names;
mod rings;
mod rows;
mod space_saving;

pub use keys::TopKey;
pub use lane::{Counted, Lane, limit_count, time_count};
pub use layout::{
    COUNTS, FIELDS, LANES, LIMITS, OUTCOMES, ROUTE_COUNTS, ROUTES, STEP_SECONDS, STEPS, TIME_CELLS,
    TIME_COUNTS, TIMES,
};
pub use rings::Step;

use crate::atomic::{AtomicU64, Ordering};
use crate::error::Error;
use crate::key::Secret;
use crate::shared::{AttachRequest, Attachment, Memory, Platform, SystemPlatform};
use crate::table::Heap;
use layout::{BEGAN, Layout, USED};
use std::sync::Mutex;

/// How keys are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStyle {
    /// Eight hexadecimal digits of a keyed hash.
    Hash,
    /// An address without its end; of other keys their beginning, and digits of a keyed hash.
    Mask,
    /// As they are, up to 64 characters.
    Plain,
}

/// What an insight is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsightConfig {
    /// How keys are named.
    pub keys: KeyStyle,
    /// How many keys are to be known that ask most, and that are denied most.
    pub top: usize,
}

/// The most keys that can be asked for.
pub const MAX_TOP: usize = 1_000;

impl InsightConfig {
    /// Whether the numbers are in their ranges.
    pub const fn check(&self) -> Result<(), Error> {
        if self.top <= MAX_TOP { Ok(()) } else { Err(Error::Capacity(self.top as u64)) }
    }
}

/// Counts, series and keys: in memory of this process, or of all that map the same file.
#[derive(Debug)]
pub struct Insight {
    config: InsightConfig,
    layout: Layout,
    secret: Secret,
    memory: Memory,
    /// The lanes that threads of this process count in, as bits.
    taken: Mutex<u64>,
    /// This process, for others. Not its number: in each of several containers that may be 1.
    owner: u64,
    attachment: Attachment,
}

/// Words of an insight's memory.
#[must_use]
pub const fn words(config: &InsightConfig) -> usize {
    Layout::new(config).words()
}

impl Insight {
    /// An insight with memory of its own.
    pub fn new(config: InsightConfig) -> Result<Self, Error> {
        config.check()?;
        let memory = Heap::zeroed(words(&config))?.into();
        Ok(Self::over(config, Secret::random()?, memory, Attachment::default()))
    }

    /// The insight that all processes of this user share under this name.
    ///
    /// `generation`: how many files of this name and configuration there were before, if the caller knows.
    pub fn shared(name: &str, config: &InsightConfig, generation: u64) -> Result<Self, Error> {
        let request = AttachRequest::insight(name, config)?.after(generation);
        Self::attach(&SystemPlatform::open_default()?, &request)
    }

    /// The insight that is shared at this place.
    pub fn attach(platform: &impl Platform, request: &AttachRequest) -> Result<Self, Error> {
        let too_short = || Error::Memory { bytes: request.bytes() };
        let config = request.purpose.insight().ok_or_else(too_short)?.clone();
        let segment = platform.attach(request)?;
        let memory = segment.memories(request)?.pop().ok_or_else(too_short)?;
        Ok(Self::over(config, segment.secret, memory, Attachment(Some(segment))))
    }

    fn over(config: InsightConfig, secret: Secret, memory: Memory, attachment: Attachment) -> Self {
        let layout = Layout::new(&config);
        let owner = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        Self { config, layout, secret, memory, taken: Mutex::new(0), owner, attachment }
    }

    /// What it was made from.
    #[must_use]
    pub const fn config(&self) -> &InsightConfig {
        &self.config
    }

    /// Whether another process would find the same file now. In memory it is.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.attachment.is_current()
    }

    /// The most memory that it can occupy.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.memory.len() as u64).saturating_mul(8)
    }

    /// How many shared files of the same name are in use with another configuration.
    #[must_use]
    pub fn conflicting(&self) -> usize {
        self.attachment.conflicting()
    }

    /// All counts of all lanes, added up.
    #[must_use]
    pub fn sums(&self) -> Vec<u64> {
        let mut sums = vec![0_u64; COUNTS];
        for lane in 0..self.used() {
            let start = self.layout.counts_start(lane);
            let counts = self.memory.get(start..start.saturating_add(COUNTS)).unwrap_or_default();
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.wrapping_add(count.load(Ordering::Relaxed));
            }
        }
        sums
    }

    /// How many shared files of this name and configuration there were before, if known.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.attachment.generation()
    }

    /// The second in which the first user came; `None` before that.
    #[must_use]
    pub fn began(&self) -> Option<u64> {
        self.word(BEGAN).load(Ordering::Relaxed).checked_sub(1)
    }

    fn used(&self) -> usize {
        usize::try_from(self.word(USED).load(Ordering::Acquire)).unwrap_or(LANES).min(LANES)
    }

    /// A word of the memory. Never past its end: places come from the layout, as its length does.
    #[inline(always)]
    fn word(&self, place: usize) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        self.memory.get(place).unwrap_or(&NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_overlap_and_end_with_the_memory() {
        for keys in [KeyStyle::Hash, KeyStyle::Mask, KeyStyle::Plain] {
            let layout = Layout::new(&InsightConfig { keys, top: 10 });
            assert!(Layout::name_start(LIMITS + ROUTES) <= layout.lane_start(0));
            for lane in 0..LANES {
                assert!(layout.lane_start(lane) < layout.counts_start(lane));
                assert!(layout.counts_start(lane) + COUNTS == layout.table_start(lane, 0));
                assert!(layout.table_start(lane, 2) == layout.lane_start(lane + 1));
            }
            assert_eq!(layout.lane_start(LANES), layout.step_start(0, 0, 0));
            let last = layout.step_start(LIMITS - 1, 2, STEPS[2] - 1) + layout::STEP;
            assert_eq!(last, layout.words());
        }
    }

    #[test]
    fn a_table_of_too_many_keys_is_refused() {
        assert!(Insight::new(InsightConfig { keys: KeyStyle::Hash, top: MAX_TOP + 1 }).is_err());
    }
}
