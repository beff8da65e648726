//! What a system has to offer for processes to share tables.

use super::{HEADER_BYTES, MAX_NAME_BYTES, Mapping, Memory, Purpose};
use crate::config::LimiterConfig;
use crate::error::{Error, SharedError, SharedErrorKind};
use crate::insight::InsightConfig;
use crate::key::Secret;
use crate::nanos::Nanos;
use crate::permits::PermitsConfig;
use crate::shield::ShieldConfig;
use crate::table::Occupancy;
use std::sync::Arc;

/// Where shared tables live.
pub trait Platform: Sized {
    /// The place that all processes of this user find, made if need be.
    fn open_default() -> Result<Self, Error>;
    /// The same, if it exists. Makes nothing.
    fn find_default() -> Result<Option<Self>, Error>;
    /// The memory of this name and purpose: what other processes use already, or else new.
    fn attach(&self, request: &AttachRequest) -> Result<Segment, Error>;
    /// Everything that lies there. Changes nothing.
    fn list(&self, now: Nanos) -> Result<Vec<Entry>, Error>;
    /// Removes a file that no process is attached to, or that no process could attach to.
    fn remove(&self, file: &str) -> Result<(), Error>;
}

/// What a limiter or a shield asks for: a name, and what follows from the configuration.
#[derive(Clone, Debug)]
pub struct AttachRequest {
    pub(crate) name: String,
    pub(crate) purpose: Purpose,
    /// Words of each table.
    pub(crate) tables: Vec<usize>,
    /// How many files of this name and purpose there were before, if the caller knows.
    pub(crate) generation: u64,
}

impl AttachRequest {
    /// The tables of a limiter.
    pub fn new(name: &str, config: &LimiterConfig) -> Result<Self, Error> {
        Self::with(name, Purpose::Limiter(config.clone()))
    }

    /// One table for limits that vary. The configuration has one limit: the window, and the cells of a ring.
    pub fn varying(name: &str, config: &LimiterConfig) -> Result<Self, Error> {
        Self::with(name, Purpose::Varying(config.clone()))
    }

    /// The memory of a shield.
    pub fn shield(name: &str, config: &ShieldConfig) -> Result<Self, Error> {
        Self::with(name, Purpose::Shield(config.clone()))
    }

    /// The memory of an insight.
    pub fn insight(name: &str, config: &InsightConfig) -> Result<Self, Error> {
        Self::with(name, Purpose::Insight(config.clone()))
    }

    /// The memory of permits.
    pub fn permits(name: &str, config: &PermitsConfig) -> Result<Self, Error> {
        Self::with(name, Purpose::Permits(config.clone()))
    }

    /// Checks name and configuration.
    pub(super) fn with(name: &str, purpose: Purpose) -> Result<Self, Error> {
        let tables = purpose.tables()?;
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            let reason = format!("it must be 1 to 1024 bytes long, got {}", name.len());
            return Err(SharedError::error(SharedErrorKind::Failed, "name".to_owned(), reason));
        }
        Ok(Self { name: name.to_owned(), purpose, tables, generation: 0 })
    }

    /// Says how many files there were before, in case a new one has to be made.
    #[must_use]
    pub fn after(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// Length of the whole memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tables = self.tables.iter().map(|words| table_bytes(*words));
        tables.fold(HEADER_BYTES, usize::saturating_add)
    }

    /// For each table where its first word is.
    pub(crate) fn starts(&self) -> impl Iterator<Item = usize> {
        self.tables.iter().scan(HEADER_BYTES, |start, words| {
            let first = start.checked_div(size_of::<u64>());
            *start = start.saturating_add(table_bytes(*words));
            first
        })
    }
}

/// Whole pages, so that every table begins at one and no set straddles a third line.
fn table_bytes(words: usize) -> usize {
    let bytes = words.saturating_mul(size_of::<u64>());
    bytes.checked_next_multiple_of(HEADER_BYTES).unwrap_or(usize::MAX)
}

/// Memory that this process is attached to.
#[derive(Debug)]
pub struct Segment {
    /// The memory.
    pub mapping: Arc<Mapping>,
    /// What its users hash keys with.
    pub secret: Secret,
    /// How many files of this name and purpose there were before it, if known.
    pub generation: u64,
    /// How many other files of this name are in use, for another purpose.
    pub conflicting: usize,
}

impl Segment {
    /// The memory of each table.
    pub(crate) fn memories(&self, request: &AttachRequest) -> Result<Vec<Memory>, Error> {
        let parts = request.tables.iter().zip(request.starts());
        let memories = parts.map(|(words, start)| {
            let memory = Memory::mapped(Arc::clone(&self.mapping), start, *words);
            memory.ok_or_else(|| Error::Memory { bytes: request.bytes() })
        });
        memories.collect()
    }
}

/// The file behind a limiter or a shield; none behind one in memory.
#[derive(Debug, Default)]
pub(crate) struct Attachment(pub(crate) Option<Segment>);

impl Attachment {
    /// Whether other processes would attach to the same file now; always true in memory.
    pub(crate) fn is_current(&self) -> bool {
        self.0.as_ref().is_none_or(|segment| segment.mapping.is_current())
    }

    /// Takes a lane of memory that processes share, unless another process has it; the kernel frees it at any
    /// death. Memory of this process has no other users.
    pub(crate) fn hold(&self, lane: usize) -> bool {
        self.0.as_ref().is_none_or(|segment| segment.mapping.hold(lane))
    }

    /// Gives a lane back.
    pub(crate) fn release(&self, lane: usize) {
        if let Some(segment) = &self.0 {
            segment.mapping.release(lane);
        }
    }

    /// Whether another process holds the lane.
    pub(crate) fn is_held(&self, lane: usize) -> bool {
        self.0.as_ref().is_some_and(|segment| segment.mapping.is_held(lane))
    }

    pub(crate) fn conflicting(&self) -> usize {
        self.0.as_ref().map_or(0, |segment| segment.conflicting)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.0.as_ref().map_or(0, |segment| segment.generation)
    }
}

/// A file in the place where shared tables live.
#[derive(Debug)]
pub struct Entry {
    /// Its name there. Not to be printed as it is.
    pub file: String,
    /// What it is.
    pub contents: Contents,
}

/// What a file is.
#[derive(Debug)]
pub enum Contents {
    /// A table, whole and this user's.
    Valid(Box<TableInfo>),
    /// A file that no process will attach to, and why.
    Invalid(String),
}

/// What a shared table says about itself, and what is in it.
#[derive(Debug)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// What it was made for.
    pub purpose: Purpose,
    /// Its length.
    pub bytes: u64,
    /// How many files of this name and purpose there were before it.
    pub generation: u64,
    /// When it was made, on the wall clock.
    pub made_ms: u64,
    /// The file's number, as in a process's list of mappings.
    pub inode: u64,
    /// Why its times mean nothing here, if they don't.
    pub foreign: Option<String>,
    /// One for each limit; of a shield, that of its sources.
    pub tables: Vec<Occupancy>,
    /// Keys with debt that were evicted for a new key; sources that were forgotten for another.
    pub evictions: u64,
    /// Decisions made on overflow buckets.
    pub overflows: u64,
    /// Keys that were moved to the memo for a new key.
    pub moves: u64,
    /// Of permits: how many are held, and by how many keys.
    pub permits: Option<(u64, u64)>,
}
