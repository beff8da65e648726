//! Systems without shared tables, and builds without the feature `shared`. The release workflow compiles
//! this for macOS and Windows.
//!
//! The table's protocol needs nothing of a system but memory that processes share: on macOS that will be
//! a plain file in the user's own `$TMPDIR`, on Windows a named file mapping with the user's own access list.

use super::platform::{AttachRequest, Entry, Platform, Segment};
use crate::atomic::AtomicU64;
use crate::error::{Error, SharedError, SharedErrorKind};
use crate::nanos::Nanos;
use std::ops::Deref;

/// A platform that can't be opened.
#[derive(Debug)]
pub enum Unsupported {}

/// A mapping that can't be made.
#[derive(Debug)]
pub enum Mapping {}

impl Platform for Unsupported {
    fn open_default() -> Result<Self, Error> {
        let reason = "processes share tables on Linux only, and with the feature `shared`";
        let system = std::env::consts::OS.to_owned();
        Err(SharedError::error(SharedErrorKind::Unavailable, system, reason))
    }

    fn find_default() -> Result<Option<Self>, Error> {
        Self::open_default().map(Some)
    }

    fn attach(&self, _: &AttachRequest) -> Result<Segment, Error> {
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
    /// Whether other processes would attach to the same file now.
    #[must_use]
    pub fn is_current(&self) -> bool {
        match *self {}
    }

    /// Takes a lane.
    pub(crate) fn hold(&self, _: usize) -> bool {
        match *self {}
    }

    /// Gives a lane back.
    pub(crate) fn release(&self, _: usize) {
        match *self {}
    }

    /// Whether another process holds the lane.
    pub(crate) fn is_held(&self, _: usize) -> bool {
        match *self {}
    }
}

impl Deref for Mapping {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        match *self {}
    }
}
