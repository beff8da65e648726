//! Systems that have no shared tables yet. The release workflow compiles this for macOS and Windows.
//!
//! The table's protocol needs nothing of a system but memory that processes share: on macOS that will be
//! a plain file in the user's own `$TMPDIR`, on Windows a named file mapping with the user's own access list.

use super::place::{Entry, Place, Segment, Wanted};
use crate::atomic::AtomicU64;
use crate::error::{Error, Shared, Trouble};
use crate::nanos::Nanos;
use std::ops::Deref;

/// Nowhere.
#[derive(Debug)]
pub enum Nowhere {}

/// Memory there is none of.
#[derive(Debug)]
pub enum Mapping {}

impl Place for Nowhere {
    fn usual() -> Result<Self, Error> {
        let what = "this version shares tables between processes on Linux only";
        Err(Shared::error(Trouble::Unavailable, std::env::consts::OS.to_owned(), what))
    }

    fn look() -> Result<Option<Self>, Error> {
        Self::usual().map(Some)
    }

    fn attach(&self, _: &Wanted) -> Result<Segment, Error> {
        match *self {}
    }

    fn list(&self, _: Nanos) -> Result<Vec<Entry>, Error> {
        match *self {}
    }

    fn remove(&self, _: &str) -> Result<(), Error> {
        match *self {}
    }
}

impl Mapping {
    /// Whether it is still what others find.
    #[must_use]
    pub fn is_current(&self) -> bool {
        match *self {}
    }
}

impl Deref for Mapping {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        match *self {}
    }
}
