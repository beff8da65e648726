//! What a system has to offer for processes to share tables.

use super::{HEADER_BYTES, MAX_NAME_BYTES, Mapping};
use crate::algorithm::Algorithm;
use crate::config::LimiterConfig;
use crate::error::{Error, SharedError, SharedErrorKind};
use crate::key::Secret;
use crate::limit::Limit;
use crate::nanos::Nanos;
use crate::table::{Layout, Occupancy};
use std::sync::Arc;

/// Where shared tables live.
pub trait Platform: Sized {
    /// The place that all processes of this user find, made if need be.
    fn open_default() -> Result<Self, Error>;
    /// The same, if it exists. Makes nothing.
    fn find_default() -> Result<Option<Self>, Error>;
    /// The memory of this name and configuration: what other processes use already, or else new.
    fn attach(&self, request: &AttachRequest) -> Result<Segment, Error>;
    /// Everything that lies there. Changes nothing.
    fn list(&self, now: Nanos) -> Result<Vec<Entry>, Error>;
    /// Removes a file that no process is attached to, or that no process could attach to.
    fn remove(&self, file: &str) -> Result<(), Error>;
}

/// What a limiter asks for: a name, and what follows from the configuration.
#[derive(Clone, Debug)]
pub struct AttachRequest {
    pub(crate) name: String,
    pub(crate) config: LimiterConfig,
    pub(crate) tables: Vec<(Limit, Layout)>,
    /// Whether the limits vary from call to call. Then there is one table, and its limit says what it is for.
    pub(crate) varying: bool,
    /// How many files of this name and configuration there were before, if the caller knows.
    pub(crate) generation: u64,
}

impl AttachRequest {
    /// Checks name and configuration.
    pub fn new(name: &str, config: &LimiterConfig) -> Result<Self, Error> {
        Self::with(name, config, false)
    }

    /// One table for limits that vary. The configuration has one limit: the window, and the cells of a ring.
    pub fn varying(name: &str, config: &LimiterConfig) -> Result<Self, Error> {
        Self::with(name, config, true)
    }

    fn with(name: &str, config: &LimiterConfig, varying: bool) -> Result<Self, Error> {
        let layout = |algorithm: &crate::algorithm::AnyAlgorithm| {
            Layout::for_keys(config.capacity, algorithm.ring_words())
        };
        let tables = config.algorithms()?;
        let tables = tables.iter().map(|(limit, algorithm)| (*limit, layout(algorithm))).collect();
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            let reason = format!("it must be 1 to 1024 bytes long, got {}", name.len());
            return Err(SharedError::error(SharedErrorKind::Failed, "name".to_owned(), reason));
        }
        Ok(Self { name: name.to_owned(), config: config.clone(), tables, varying, generation: 0 })
    }

    /// Says how many files there were before, in case a new one has to be made.
    #[must_use]
    pub fn after(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// Length of the whole memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tables = self.tables.iter().map(|(_, layout)| table_bytes(layout));
        tables.fold(HEADER_BYTES, usize::saturating_add)
    }

    /// For each table where its first word is.
    pub(crate) fn starts(&self) -> impl Iterator<Item = usize> {
        self.tables.iter().scan(HEADER_BYTES, |start, (_, layout)| {
            let first = start.checked_div(size_of::<u64>());
            *start = start.saturating_add(table_bytes(layout));
            first
        })
    }
}

/// Whole pages, so that every table begins at one and no set straddles a third line.
fn table_bytes(layout: &Layout) -> usize {
    let bytes = layout.words().saturating_mul(size_of::<u64>());
    bytes.checked_next_multiple_of(HEADER_BYTES).unwrap_or(usize::MAX)
}

/// Memory that this process is attached to.
#[derive(Debug)]
pub struct Segment {
    /// The memory.
    pub mapping: Arc<Mapping>,
    /// What its users hash keys with.
    pub secret: Secret,
    /// How many files of this name and configuration there were before it, if known.
    pub generation: u64,
    /// How many other files of this name are in use, with another configuration.
    pub conflicting: usize,
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
    pub config: LimiterConfig,
    /// Its length.
    pub bytes: u64,
    /// How many files of this name and configuration there were before it.
    pub generation: u64,
    /// When it was made, on the wall clock.
    pub made_ms: u64,
    /// The file's number, as in a process's list of mappings.
    pub inode: u64,
    /// Why its times mean nothing here, if they don't.
    pub foreign: Option<String>,
    /// One for each limit.
    pub tables: Vec<Occupancy>,
    /// Keys with debt that were evicted for a new key.
    pub evictions: u64,
    /// Decisions made on overflow buckets.
    pub overflows: u64,
}
