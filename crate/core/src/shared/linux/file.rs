//! One file: opened without trust, and used only when everything about it is right.

use crate::error::{Error, SharedError, SharedErrorKind};
use crate::shared::HEADER_BYTES;
use crate::shared::header::FileHeader;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, openat};
use rustix::io::{Errno, pread};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// What a file has to be.
const MODE: u32 = 0o600;
/// A process that removes a file holds its lock for microseconds; one that is stopped then, for longer.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(2);

/// Where a file is, for its errors.
pub(super) struct FilePath<'a> {
    pub(super) directory: &'a Path,
    pub(super) file: &'a str,
}

impl FilePath<'_> {
    pub(super) fn error(&self, kind: SharedErrorKind, reason: impl Into<String>) -> Error {
        let path = self.directory.join(self.file);
        SharedError::error(kind, path.display().to_string(), reason)
    }

    pub(super) fn untrusted(&self, reason: impl Into<String>) -> Error {
        self.error(SharedErrorKind::Untrusted, reason)
    }

    pub(super) fn failed(&self, call: &str, error: Errno) -> Error {
        self.error(SharedErrorKind::Failed, format!("{call}: {error}"))
    }
}

/// Opens the file; `None` if there is none. Never follows a link, never waits (as it would for a pipe), and
/// passes nothing on to programs that are started later.
pub(super) fn open(
    directory: BorrowedFd<'_>,
    path: &FilePath<'_>,
    access: OFlags,
) -> Result<Option<OwnedFd>, Error> {
    let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let untrusted = |reason: &str| Err(path.untrusted(reason));
    match openat(directory, path.file, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => untrusted("it is a symbolic link"),
        Err(Errno::ISDIR) => untrusted("it is a directory"),
        Err(Errno::NXIO) => untrusted("it is a socket or a device"),
        Err(Errno::ACCESS) => untrusted("this user may not open it"),
        Err(error) => Err(path.failed("open", error)),
    }
}

/// Checks that it is a plain file of this user, that no other user may touch it, and that it has at most one
/// name. `false` if it has no name any more.
pub(super) fn check(file: &OwnedFd, path: &FilePath<'_>, uid: u32) -> Result<(Stat, bool), Error> {
    let found = fstat(file).map_err(|error| path.failed("fstat", error))?;
    match invalid_reason(&found, uid) {
        Some(reason) => Err(path.untrusted(reason)),
        None => Ok((found, found.st_nlink == 1)),
    }
}

fn invalid_reason(found: &Stat, uid: u32) -> Option<String> {
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

/// Joins the file's lock, which shows that a process is attached. The kernel drops it at any death.
pub(super) fn join_lock(file: &OwnedFd, path: &FilePath<'_>) -> Result<(), Error> {
    for _ in 0..TRIES {
        match flock(file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) => sleep(PAUSE),
            Err(error) => return Err(path.failed("flock", error)),
        }
    }
    Err(path.error(SharedErrorKind::Failed, "another process has been holding its lock alone"))
}

/// Gives up this process's part in the lock.
pub(super) fn leave_lock(file: &OwnedFd) {
    let _ = flock(file, FlockOperation::NonBlockingUnlock);
}

/// Whether no other process is attached. If so, none can attach until the file is closed.
pub(super) fn lock_alone(file: &OwnedFd) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Whether the file is as long as its header says.
pub(super) fn is_whole(file: &OwnedFd, path: &FilePath<'_>) -> bool {
    let bytes = read_header(file, path).map(|header| header.bytes);
    let length = fstat(file).map(|found| u64::try_from(found.st_size).unwrap_or(0));
    matches!((bytes, length), (Ok(bytes), Ok(length)) if bytes == length)
}

pub(super) fn read_header(file: &OwnedFd, path: &FilePath<'_>) -> Result<FileHeader, Error> {
    let mut page = vec![0; HEADER_BYTES];
    match read_at(file, &mut page, 0) {
        Ok(true) => FileHeader::read(&page).map_err(|reason| path.untrusted(reason)),
        Ok(false) => Err(path.untrusted("it is too short for a header")),
        Err(error) => Err(path.failed("read", error)),
    }
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
