//! What a system has to offer for processes to share tables, in words that fit all systems.

use super::Mapping;
use super::label::LABEL_BYTES;
use crate::error::{Error, Shared, Trouble};
use crate::key::Secret;
use crate::limit::Limit;
use crate::nanos::Nanos;
use crate::policy::{Kind, Policy};
use crate::table::{Census, Layout};
use std::sync::Arc;

/// Where shared tables live.
pub trait Place: Sized {
    /// The one that all processes of this user find.
    fn usual() -> Result<Self, Error>;
    /// The same, if it is there. Makes nothing.
    fn look() -> Result<Option<Self>, Error>;
    /// The memory of this name and policy: what others use already, or else new.
    fn attach(&self, wanted: &Wanted) -> Result<Segment, Error>;
    /// Whatever lies there. Changes nothing.
    fn list(&self, now: Nanos) -> Result<Vec<Entry>, Error>;
    /// Removes a file that nobody is attached to, or that nobody could attach to.
    fn remove(&self, file: &str) -> Result<(), Error>;
}

/// What is asked for: a name, and what follows from the policy.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) tables: Vec<(Limit, Layout)>,
    /// Whether the limits change from call to call. Then there is one table, and its limit says what it is for.
    pub(crate) varying: bool,
    /// How many there were before, as far as whoever asks knows.
    pub(crate) before: u64,
}

impl Wanted {
    /// Checks name and policy.
    pub fn new(name: &str, policy: &Policy) -> Result<Self, Error> {
        let made = policy.algorithms()?.into_iter().map(|(limit, algorithm)| {
            (limit, Layout::for_keys(policy.capacity, algorithm.ring_words()))
        });
        Self::with(name, policy, made.collect(), false)
    }

    /// One table for limits that change. The policy has one limit: the window, and the places of a ring.
    pub fn varying(name: &str, policy: &Policy) -> Result<Self, Error> {
        let made = policy.algorithms()?.into_iter().map(|(limit, _)| {
            (limit, Layout::for_keys(policy.capacity, ring_words(policy.kind, limit)))
        });
        Self::with(name, policy, made.collect(), true)
    }

    fn with(
        name: &str,
        policy: &Policy,
        tables: Vec<(Limit, Layout)>,
        varying: bool,
    ) -> Result<Self, Error> {
        if name.is_empty() || name.len() > super::MAX_NAME_BYTES {
            let what = format!("a name of {} bytes; expected 1 to 1024", name.len());
            return Err(Shared::error(Trouble::Failed, "name".to_owned(), what));
        }
        Ok(Self { name: name.to_owned(), policy: policy.clone(), tables, varying, before: 0 })
    }

    /// Says that there were `before` of them already, should it have to be made.
    #[must_use]
    pub fn after(self, before: u64) -> Self {
        Self { before, ..self }
    }

    /// Length of the whole memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tables = self.tables.iter().map(|(_, layout)| table_bytes(layout));
        tables.fold(LABEL_BYTES, usize::saturating_add)
    }

    /// For each table where its first word is.
    pub(crate) fn starts(&self) -> impl Iterator<Item = usize> {
        self.tables.iter().scan(LABEL_BYTES, |start, (_, layout)| {
            let first = start.checked_div(size_of::<u64>());
            *start = start.saturating_add(table_bytes(layout));
            first
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a log's count is below 2^21, as just checked")]
const fn ring_words(kind: Kind, limit: Limit) -> usize {
    match kind {
        Kind::SlidingLog => limit.count() as usize,
        _ => 0,
    }
}

/// Whole pages, so that every table begins at one and no set straddles a third line.
fn table_bytes(layout: &Layout) -> usize {
    let bytes = layout.words().saturating_mul(size_of::<u64>());
    bytes.checked_next_multiple_of(LABEL_BYTES).unwrap_or(usize::MAX)
}

/// Memory that this process is attached to.
#[derive(Debug)]
pub struct Segment {
    /// The memory.
    pub mapping: Arc<Mapping>,
    /// What its users hash keys with.
    pub secret: Secret,
    /// How many there were before it, as far as is known.
    pub generation: u64,
    /// How many others of this name are in use, with other settings.
    pub rivals: usize,
}

/// Something that lies where shared tables live.
#[derive(Debug)]
pub struct Entry {
    /// Its name there. Not to be printed as it is.
    pub file: String,
    /// What it is.
    pub contents: Contents,
}

/// What an entry is.
#[derive(Debug)]
pub enum Contents {
    /// A table, whole and ours.
    Sound(Box<Sound>),
    /// Nothing anybody will attach to, and why.
    Unsound(String),
}

/// What a shared table says about itself, and what is in it.
#[derive(Debug)]
pub struct Sound {
    /// Its name.
    pub name: String,
    /// What it was made for.
    pub policy: Policy,
    /// Its length.
    pub bytes: u64,
    /// How many there were before it.
    pub generation: u64,
    /// When it was made, on the wall clock.
    pub made_ms: u64,
    /// The file's number, as in a process's list of mappings.
    pub inode: u64,
    /// Why its times mean nothing here, if they don't.
    pub foreign: Option<String>,
    /// One for each limit.
    pub tables: Vec<Census>,
    /// Live keys that had to go for a newcomer.
    pub evictions: u64,
    /// Decisions on words that strangers share.
    pub overflows: u64,
}
