//! One file: opened without trust, and believed only when everything about it is right.

use crate::error::{Error, Shared, Trouble};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, openat};
use rustix::io::{Errno, pread};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// What a file has to be.
const MODE: u32 = 0o600;
/// Whoever removes a file holds its lock for microseconds; a process that is stopped then, for longer.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(2);

/// Where a file is, for its errors.
pub(super) struct Spot<'a> {
    pub(super) directory: &'a Path,
    pub(super) file: &'a str,
}

impl Spot<'_> {
    pub(super) fn error(&self, trouble: Trouble, what: impl Into<String>) -> Error {
        let path = self.directory.join(self.file);
        Shared::error(trouble, path.display().to_string(), what)
    }

    pub(super) fn failed(&self, call: &str, error: Errno) -> Error {
        self.error(Trouble::Failed, format!("{call}: {error}"))
    }
}

/// Opens what is there; `None` if nothing is. Never follows a link, never waits (as a pipe would have
/// it), and passes nothing on to programs that are started later.
pub(super) fn open(
    directory: BorrowedFd<'_>,
    spot: &Spot<'_>,
    access: OFlags,
) -> Result<Option<OwnedFd>, Error> {
    let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let untrusted = |what: &str| Err(spot.error(Trouble::Untrusted, what));
    match openat(directory, spot.file, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => untrusted("it is a symbolic link"),
        Err(Errno::ISDIR) => untrusted("it is a directory"),
        Err(Errno::NXIO) => untrusted("it is a socket or a device"),
        Err(Errno::ACCESS) => untrusted("this user may not open it"),
        Err(error) => Err(spot.failed("open", error)),
    }
}

/// A plain file of this user's that nobody else may touch, under one name. `false` if under none any more.
pub(super) fn check(file: &OwnedFd, spot: &Spot<'_>, uid: u32) -> Result<(Stat, bool), Error> {
    let found = fstat(file).map_err(|error| spot.failed("fstat", error))?;
    match flaw(&found, uid) {
        Some(what) => Err(spot.error(Trouble::Untrusted, what)),
        None => Ok((found, found.st_nlink == 1)),
    }
}

fn flaw(found: &Stat, uid: u32) -> Option<String> {
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Some("it is not a plain file".to_owned());
    }
    if found.st_uid != uid {
        return Some(format!("it belongs to user {}, not to user {uid}", found.st_uid));
    }
    let mode = found.st_mode & 0o7777;
    if mode != MODE {
        return Some(format!("its mode is {mode:04o}, not {MODE:04o}"));
    }
    (found.st_nlink > 1).then(|| format!("it has {} names", found.st_nlink))
}

/// Takes part in the file's lock, which says that somebody is attached. The kernel drops it at any death.
pub(super) fn join_lock(file: &OwnedFd, spot: &Spot<'_>) -> Result<(), Error> {
    for _ in 0..TRIES {
        match flock(file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) => sleep(PAUSE),
            Err(error) => return Err(spot.failed("flock", error)),
        }
    }
    Err(spot.error(Trouble::Failed, "another process has been holding its lock alone"))
}

/// Takes part no longer.
pub(super) fn leave_lock(file: &OwnedFd) {
    let _ = flock(file, FlockOperation::NonBlockingUnlock);
}

/// Whether nobody else is attached. If so nobody can be, until the file is closed.
pub(super) fn is_alone(file: &OwnedFd) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Fills the buffer from `offset` on; `false` where the file ends before.
pub(super) fn read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<bool, Errno> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match pread(file, rest, offset.saturating_add(done as u64)) {
            Ok(0) => return Ok(false),
            Ok(read) => done = done.saturating_add(read),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
