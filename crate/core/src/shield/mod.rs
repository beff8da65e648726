//! The shield: who is refused when the service is offered more than it can do, and who misbehaves.
//!
//! ```text
//! decide(source):
//!     blocked?                                  refused until the block ends
//!     over the ceiling, or back too early?      told to wait; a strike a second, and a block for enough of them
//!     a login, while most logins fail?          newcomers share a budget
//!     pressure?   a regular                     let in; above three times its habit only while there is room
//!                 let in before                 let in at a newcomer's pace
//!                 new, of a prefix of many new  the prefix has one newcomer's pace
//!                 waited as told, or new        by lot
//! settle(source, outcome):
//!     failures on many paths, or at logins      blocked
//! ```

mod alarm;
mod attach;
mod blocks;
mod class;
mod config;
mod evict;
mod judge;
mod lot;
mod marks;
mod meter;
mod misconduct;
mod queue;
mod record;
mod source;
mod steer;
mod table;
mod verdict;
mod waiting;
mod words;

pub use config::{Blocks, MAX_BLOCKS, MAX_SOURCES, ShieldConfig};
pub use source::Source;
pub use verdict::{Outcome, Verdict, reason};

use crate::atomic::AtomicU64;
use crate::error::Error;
use crate::key::{Encoding, Key, Secret};
use crate::nanos::Nanos;
use crate::shared::{Attachment, Memory};
use crate::table::Heap;
use config::Bucket;
use evict::Worth;
use meter::{Field, HEADER, Meter};
use record::{HABIT, Now, PACE, RECENT};
use std::ops::Range;
use table::Table;

/// Sources for each prefix that is remembered.
const SOURCES_PER_PREFIX: usize = 16;

/// Sources, prefixes, pressure, blocks: in memory of this process, or of all that map the same file.
#[derive(Debug)]
pub struct Shield {
    config: ShieldConfig,
    secret: Secret,
    memory: Memory,
    parts: [Range<usize>; 3],
    is_alone: bool,
    ceiling: Bucket,
    pace: Bucket,
    attachment: Attachment,
}

/// What a shield sees, and what it has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShieldState {
    /// Whether there is pressure.
    pub pressure: bool,
    /// Whether most sensitive requests fail.
    pub alarm: bool,
    /// Requests let through.
    pub admitted: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests that would have been refused, while watching.
    pub would_refuse: u64,
    /// Share of newcomers that are let in.
    pub newcomer_share: f64,
    /// Sources blocked now.
    pub blocked: u64,
    /// Sources forgotten for others.
    pub evictions: u64,
}

/// What is known of one source.
#[derive(Clone, Copy, Debug)]
pub struct SourceStatus {
    /// Who it is.
    pub source: Source,
    /// Requests a minute.
    pub per_minute: f64,
    /// 4 while it is blocked, else 0.
    pub level: u8,
    /// Whether it has been there for long enough.
    pub is_regular: bool,
    /// How long it is still blocked.
    pub blocked_ms: u64,
}

/// Words of a shield's memory.
#[must_use]
pub fn words(config: &ShieldConfig) -> usize {
    let [.., last] = parts(config);
    last.end
}

/// Where in the memory the sources are, the prefixes, and those who wait.
fn parts(config: &ShieldConfig) -> [Range<usize>; 3] {
    let lengths = [
        table::words(config.sources),
        table::words(config.sources.div_ceil(SOURCES_PER_PREFIX)),
        waiting::words(config.sources),
    ];
    let mut start = HEADER;
    lengths.map(|length| {
        let part = start..start.saturating_add(length);
        start = part.end;
        part
    })
}

impl Shield {
    /// A shield with memory of its own.
    ///
    /// `is_alone`: whether the caller promises that one thread alone uses it.
    pub fn new(config: ShieldConfig, is_alone: bool) -> Result<Self, Error> {
        config.check()?;
        let memory = Heap::zeroed(words(&config))?.into();
        Ok(Self::with(config, Secret::random()?, memory, is_alone))
    }

    /// A shield over memory that is all zero or was a shield's of the same configuration.
    pub fn over(config: ShieldConfig, secret: Secret, memory: Memory) -> Result<Self, Error> {
        config.check()?;
        if memory.len() < words(&config) {
            return Err(Error::Memory { bytes: words(&config).saturating_mul(8) });
        }
        Ok(Self::with(config, secret, memory, false))
    }

    fn with(config: ShieldConfig, secret: Secret, memory: Memory, is_alone: bool) -> Self {
        let ceiling = ShieldConfig::ceiling_bucket(config.ceiling);
        let pace = config.pace_bucket();
        let attachment = Attachment::default();
        let parts = parts(&config);
        let shield = Self { config, secret, memory, parts, is_alone, ceiling, pace, attachment };
        shield.meter().word(Field::Pace).set_number(shield.config.newcomer_rate);
        shield
    }

    /// What it was made from.
    #[must_use]
    pub const fn config(&self) -> &ShieldConfig {
        &self.config
    }

    /// The source of a text that is no address, from its hash.
    #[must_use]
    pub fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.secret.key(bytes, encoding)
    }

    /// Bytes in use once every page has been touched.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (words(&self.config) as u64).saturating_mul(8)
    }

    /// Says what the service can do from now on, in requests a second: infinite, if it can do what it is asked.
    pub fn set_capacity(&self, per_second: f64) {
        self.meter().word(Field::Capacity).set_number(per_second);
    }

    /// What it sees now. Looks at every slot if it is to count those that are blocked.
    #[must_use]
    pub fn state(&self, counts_blocked: bool, at: Nanos) -> ShieldState {
        let now = Now::from_us(at.whole_us());
        let meter = self.meter();
        let pressure = meter.since() != 0;
        let get = |field| meter.get(field);
        let blocked = self.sources().all().filter(|(_, record)| record.block().left_ms(now) > 0);
        let blocked = if counts_blocked { blocked.count() } else { 0 };
        let asked = get(Field::Total).saturating_add(get(Field::Blocked));
        ShieldState {
            pressure,
            alarm: meter.alarmed_since(now).is_some(),
            admitted: asked.saturating_sub(get(Field::Refused)),
            refused: get(Field::Refused),
            would_refuse: get(Field::WouldRefuse),
            newcomer_share: if pressure { meter.number(Field::FreshShare) } else { 1.0 },
            blocked: blocked as u64,
            evictions: get(Field::Evictions),
        }
    }

    /// Looks at the sums now: for a caller with a timer, when no request comes.
    pub fn tick(&self, at: Nanos) {
        self.meter().look(self.capacity(), Now::from_us(at.whole_us()));
    }

    /// The sources with the most requests in the last minute. Looks at every slot.
    #[must_use]
    pub fn top(&self, count: usize, at: Nanos) -> Vec<SourceStatus> {
        let now = Now::from_us(at.whole_us());
        let mut all: Vec<SourceStatus> = Vec::new();
        for (source, record) in self.sources().all() {
            let rate = record::recent_rate(record.word(RECENT).get(), now) * 60.0;
            let is_full = all.len() >= count;
            if is_full && all.last().is_none_or(|last| last.per_minute >= rate) {
                continue;
            }
            let blocked_ms = record.block().left_ms(now);
            let is_regular = self.is_regular(&record, now);
            let level = if blocked_ms > 0 { 4 } else { 0 };
            let place = all.partition_point(|other| other.per_minute >= rate);
            all.insert(
                place,
                SourceStatus { source, per_minute: rate, level, is_regular, blocked_ms },
            );
            all.truncate(count);
        }
        all
    }

    fn is_regular(&self, record: &table::Record<'_>, now: Now) -> bool {
        let age = now.since(record::first_tick(record.word(HABIT).get()));
        age >= self.config.regular_after_ms
            && record::requests(record.word(PACE).get()) >= self.config.regular_requests
    }

    #[inline(always)]
    fn capacity(&self) -> f64 {
        let set = self.meter().number(Field::Capacity);
        if set > 0.0 { set } else { self.config.max_rate }
    }

    #[inline(always)]
    fn meter(&self) -> Meter<'_> {
        Meter::new(self.memory.get(..HEADER).unwrap_or(&[]), self.is_alone)
    }

    /// The words of one part of the memory.
    #[inline(always)]
    fn part(&self, part: &Range<usize>) -> &[AtomicU64] {
        self.memory.get(part.clone()).unwrap_or(&[])
    }

    #[inline(always)]
    fn sources(&self) -> Table<'_> {
        Table::new(self.part(&self.parts[0]), self.secret, self.is_alone)
    }

    fn prefixes(&self) -> Table<'_> {
        Table::new(self.part(&self.parts[1]), self.secret, self.is_alone)
    }

    /// The waiting room; empty, if it was not used for hours.
    fn waiting(&self, now: Now) -> waiting::Waiting<'_> {
        let waiting = waiting::Waiting::new(self.part(&self.parts[2]));
        let used_at = self.meter().word(Field::WaitedAt);
        let seen = used_at.get();
        let unused_ms = now.ms.saturating_sub(seen);
        let is_noted = unused_ms > waiting::REFRESH_MS && used_at.exchange(seen, now.ms);
        if is_noted && unused_ms > waiting::LONGEST_MS {
            waiting.clear();
        }
        waiting
    }

    #[inline(always)]
    const fn worth(&self) -> Worth {
        Worth {
            regular_after_ms: self.config.regular_after_ms,
            regular_requests: self.config.regular_requests,
        }
    }
}
