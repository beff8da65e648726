//! The user's own directory: opened without trust, listed, and cleaned of files that no process uses.

use super::Host;
use super::file::{FilePath, check, is_whole, lock_alone, open, read_header};
use crate::error::{Error, SharedError, SharedErrorKind};
use crate::nanos::Nanos;
use crate::shared::header::{FileHeader, file_prefix};
use crate::shared::{AttachRequest, Entry, Platform, Segment};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, mkdir, openat, unlinkat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// A memory file system on every Linux, unless it is configured otherwise.
const SHARED_MEMORY: &str = "/dev/shm";
const MODE: u32 = 0o700;

/// A directory of this user's own.
#[derive(Debug)]
pub struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) host: Host,
}

/// What came of removing a file that should not be in use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    Removed,
    /// Another process removed it before.
    WasGone,
    /// Processes are attached to it.
    InUse,
}

impl Directory {
    /// Opens the directory, and makes it if need be. It is used only if it is this user's alone.
    pub fn open(path: &Path, host: Host) -> Result<Self, Error> {
        match mkdir(path, Mode::from_raw_mode(MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(path, "mkdir", error)),
        }
        let removed = || failed(path, "open", Errno::NOENT);
        Self::existing(path, host)?.ok_or_else(removed)
    }

    /// Opens the directory; `None` if there is none.
    fn existing(path: &Path, host: Host) -> Result<Option<Self>, Error> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let untrusted = |reason| {
            SharedError::error(SharedErrorKind::Untrusted, path.display().to_string(), reason)
        };
        let fd = match openat(CWD, path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(untrusted("it is not a directory".to_owned()));
            }
            Err(Errno::ACCESS) => return Err(untrusted("this user may not open it".to_owned())),
            Err(error) => return Err(failed(path, "open", error)),
        };
        let found = fstat(&fd).map_err(|error| failed(path, "fstat", error))?;
        if found.st_uid != host.uid {
            let (other, uid) = (found.st_uid, host.uid);
            return Err(untrusted(format!("it belongs to user {other}, not to user {uid}")));
        }
        let mode = found.st_mode & 0o7777;
        // Fewer rights than asked for are what a strict umask leaves.
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory || mode & !MODE != 0 {
            return Err(untrusted(format!("its mode is {mode:04o}, not {MODE:04o}")));
        }
        Ok(Some(Self { fd, path: path.to_owned(), host }))
    }

    pub(super) fn path_of<'a>(&'a self, file: &'a str) -> FilePath<'a> {
        FilePath { directory: &self.path, file }
    }

    /// Why the times in a file mean nothing to this process.
    pub(super) fn foreign(&self, header: &FileHeader) -> Option<String> {
        if header.boot != self.host.boot {
            return Some("it was made before this machine was started".to_owned());
        }
        let (theirs, ours) = (header.time_namespace, self.host.time_namespace);
        (theirs != ours)
            .then(|| format!("its times are those of time namespace {theirs}, and this is {ours}"))
    }

    /// Removes a file that no process is attached to. Looks again once it has the lock: the name may be
    /// that of another file by now.
    pub(super) fn unlink_unused(
        &self,
        file: &OwnedFd,
        path: &FilePath<'_>,
    ) -> Result<Removal, Error> {
        if !lock_alone(file) {
            return Ok(Removal::InUse);
        }
        let found = fstat(file).map_err(|error| path.failed("fstat", error))?;
        if found.st_nlink == 0 {
            return Ok(Removal::WasGone);
        }
        self.unlink(path)?;
        Ok(Removal::Removed)
    }

    fn unlink(&self, path: &FilePath<'_>) -> Result<(), Error> {
        match unlinkat(&self.fd, path.file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => {
                let removed = unlinkat(&self.fd, path.file, AtFlags::REMOVEDIR);
                removed.map_err(|error| path.failed("rmdir", error))
            }
            Err(error) => Err(path.failed("unlink", error)),
        }
    }

    /// How many other files of this name and kind are in use, with other settings. With `clean`, those that
    /// no process uses are removed: a deployment with a new configuration leaves them behind.
    pub(super) fn conflicting(&self, request: &AttachRequest, own: &str, clean: bool) -> usize {
        let prefix = file_prefix(self.host.layout, &request.name);
        let names = self.names().unwrap_or_default();
        let others = names.iter().filter(|name| name.starts_with(&prefix) && *name != own);
        others.filter(|name| self.is_conflicting(name, request, clean)).count()
    }

    fn is_conflicting(&self, file: &str, request: &AttachRequest, clean: bool) -> bool {
        let path = self.path_of(file);
        let Ok(Some(found)) = open(self.fd.as_fd(), &path, OFlags::RDWR) else { return false };
        let is_valid = check(&found, &path, self.host.uid).is_ok_and(|(_, is_there)| is_there);
        let header = read_header(&found, &path).ok().filter(|_| is_valid);
        // An invalid file stays, so that its owner can look at it.
        let is_same = |header: FileHeader| {
            header.name == request.name && header.purpose.is_like(&request.purpose)
        };
        if !header.is_some_and(is_same) {
            return false;
        }
        if clean {
            self.unlink_unused(&found, &path).is_ok_and(|removal| removal == Removal::InUse)
        } else {
            !lock_alone(&found)
        }
    }

    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        let failed = |error| self.path_of("").failed("listing it", error);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

impl Platform for Directory {
    fn open_default() -> Result<Self, Error> {
        let host = Host::current()?;
        Self::open(&default_path(&host), host)
    }

    fn find_default() -> Result<Option<Self>, Error> {
        let host = Host::current()?;
        Self::existing(&default_path(&host), host)
    }

    fn attach(&self, request: &AttachRequest) -> Result<Segment, Error> {
        self.join_or_create(request)
    }

    fn list(&self, now: Nanos) -> Result<Vec<Entry>, Error> {
        self.inspect(now)
    }

    fn remove(&self, file: &str) -> Result<(), Error> {
        let path = self.path_of(file);
        let missing = || Err(path.error(SharedErrorKind::Missing, "there is no such file"));
        if !self.names()?.iter().any(|name| name == file) {
            return missing();
        }
        let opened = match open(self.fd.as_fd(), &path, OFlags::RDONLY) {
            Ok(Some(opened)) => opened,
            Ok(None) => return missing(),
            // It can't even be opened, so no process is attached to it.
            Err(_) => return self.unlink(&path),
        };
        let is_valid = check(&opened, &path, self.host.uid).is_ok() && is_whole(&opened, &path);
        if !is_valid {
            return self.unlink(&path);
        }
        match self.unlink_unused(&opened, &path)? {
            Removal::Removed => Ok(()),
            Removal::WasGone => missing(),
            Removal::InUse => {
                Err(path.error(SharedErrorKind::InUse, "processes are attached to it"))
            }
        }
    }
}

fn default_path(host: &Host) -> PathBuf {
    Path::new(SHARED_MEMORY).join(format!("ratethrottle-{}", host.uid))
}

fn failed(path: &Path, call: &str, error: Errno) -> Error {
    let reason = format!("{call}: {error}");
    SharedError::error(SharedErrorKind::Failed, path.display().to_string(), reason)
}
