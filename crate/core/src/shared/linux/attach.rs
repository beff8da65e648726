//! How a process finds or makes a shared table in its user's directory.

use super::directory::Removal;
use super::file::{FilePath, check, join_lock, leave_lock, open, read_header};
use super::{Directory, Host, Mapping};
use crate::error::{Error, SharedErrorKind};
use crate::key::Secret;
use crate::shared::header::{FileHeader, file_name};
use crate::shared::{AttachRequest, Segment};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, fallocate, fchmod, linkat, openat};
use rustix::io::{Errno, pwrite};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often to start over when other processes make and remove files of the same name meanwhile.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(4);

/// What came of looking for a file.
enum Found {
    Attached(Box<Segment>),
    /// There is none, but this many were there before.
    Absent(u64),
    /// Another process was faster: look again.
    Moved,
}

impl Directory {
    /// The memory of this name and purpose: what other processes use already, or else new.
    pub(super) fn join_or_create(&self, request: &AttachRequest) -> Result<Segment, Error> {
        let AttachRequest { name, purpose, .. } = request;
        let too_long =
            || self.path_of("").error(SharedErrorKind::Failed, "no header holds these limits");
        let name = file_name(self.host.layout, name, purpose).ok_or_else(too_long)?;
        let mut last = None;
        for _ in 0..TRIES {
            let found = match self.join(request, &name)? {
                Found::Absent(before) => {
                    self.create(request, &name, before.max(request.generation))
                }
                found => Ok(found),
            };
            match found {
                Ok(Found::Attached(segment)) => return Ok(*segment),
                Ok(_) => {}
                // Several at once may have no room where one has: one of them is about to be done.
                Err(error) if is_no_space(&error) => {
                    last = Some(error);
                    sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        let path = self.path_of(&name);
        let restless = || path.error(SharedErrorKind::Failed, "it kept being made and removed");
        Err(last.unwrap_or_else(restless))
    }

    /// Attaches to the file that is there, if it is right in every respect.
    fn join(&self, request: &AttachRequest, name: &str) -> Result<Found, Error> {
        let path = self.path_of(name);
        let Some(file) = open(self.fd.as_fd(), &path, OFlags::RDWR)? else {
            return Ok(Found::Absent(0));
        };
        check(&file, &path, self.host.uid)?;
        join_lock(&file, &path)?;
        // Again: until this process joined its lock, any other could remove it.
        let (stat, is_there) = check(&file, &path, self.host.uid)?;
        if !is_there {
            return Ok(Found::Moved);
        }
        let bytes = request.bytes();
        if u64::try_from(stat.st_size) != Ok(bytes as u64) {
            return Err(path.untrusted(format!("it is {} bytes long, not {bytes}", stat.st_size)));
        }
        let header = read_header(&file, &path)?;
        check_header(&header, request, &self.host, &path)?;
        if let Some(reason) = self.foreign(&header) {
            return self.replace(&file, &path, &header, &reason);
        }
        let conflicting = self.conflicting(request, name, false);
        map(file, bytes, &header, conflicting, &path)
    }

    /// Removes a file whose times mean nothing here, unless a process counts with it.
    fn replace(
        &self,
        file: &OwnedFd,
        path: &FilePath<'_>,
        header: &FileHeader,
        reason: &str,
    ) -> Result<Found, Error> {
        leave_lock(file);
        for _ in 0..TRIES {
            // Other processes that start at the same time look at it too, each for an instant.
            match self.unlink_unused(file, path)? {
                Removal::Removed => return Ok(Found::Absent(header.generation.saturating_add(1))),
                Removal::WasGone => return Ok(Found::Moved),
                Removal::InUse => sleep(PAUSE),
            }
        }
        Err(path.error(SharedErrorKind::Mismatch, reason))
    }

    /// Makes the file, all of it, before it has a name. `Moved` when another process was faster.
    fn create(&self, request: &AttachRequest, name: &str, generation: u64) -> Result<Found, Error> {
        let path = self.path_of(name);
        let bytes = request.bytes();
        let header = self.header(request, bytes, generation)?;
        let too_long = || path.error(SharedErrorKind::Failed, "its header has no room for it");
        let page = header.page().ok_or_else(too_long)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(&self.fd, ".", flags, Mode::from_raw_mode(0o600))
            .map_err(|error| path.failed("making a file without a name", error))?;
        // The umask may have taken rights away that every attaching process insists on.
        fchmod(&file, Mode::from_raw_mode(0o600)).map_err(|error| path.failed("chmod", error))?;
        reserve(&file, bytes, &path)?;
        let no_space = "its header could not be written";
        match pwrite(&file, &page, 0) {
            Ok(written) if written == page.len() => {}
            Ok(_) => return Err(path.error(SharedErrorKind::NoSpace, no_space)),
            Err(error) => return Err(path.failed("write", error)),
        }
        join_lock(&file, &path)?;
        if !self.give_name(&file, &path)? {
            return Ok(Found::Moved);
        }
        let conflicting = self.conflicting(request, name, true);
        map(file, bytes, &header, conflicting, &path)
    }

    fn header(
        &self,
        request: &AttachRequest,
        bytes: usize,
        generation: u64,
    ) -> Result<FileHeader, Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(FileHeader {
            layout: self.host.layout,
            bytes: bytes as u64,
            uid: u64::from(self.host.uid),
            boot: self.host.boot,
            time_namespace: self.host.time_namespace,
            secret: Secret::random()?,
            made_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            generation,
            name: request.name.clone(),
            purpose: request.purpose.clone(),
        })
    }

    /// `false` when the name is taken.
    fn give_name(&self, file: &OwnedFd, path: &FilePath<'_>) -> Result<bool, Error> {
        use std::os::fd::AsRawFd;
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(CWD, unnamed, &self.fd, path.file, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(path.failed("giving it its name", error)),
        }
    }
}

fn is_no_space(error: &Error) -> bool {
    matches!(error, Error::Shared(shared) if shared.kind == SharedErrorKind::NoSpace)
}

/// Reserves every byte now: a page that is missing when it is first touched ends the process.
fn reserve(file: &OwnedFd, bytes: usize, path: &FilePath<'_>) -> Result<(), Error> {
    loop {
        return match fallocate(file, FallocateFlags::empty(), 0, bytes as u64) {
            Ok(()) => Ok(()),
            Err(Errno::INTR) => continue,
            Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::NOMEM) => {
                let reason = format!("no room for {bytes} bytes");
                Err(path.error(SharedErrorKind::NoSpace, reason))
            }
            Err(error) => Err(path.failed("reserving its memory", error)),
        };
    }
}

/// Whether the header is the requested one. The file's name says so already; it may lie.
fn check_header(
    header: &FileHeader,
    request: &AttachRequest,
    host: &Host,
    path: &FilePath<'_>,
) -> Result<(), Error> {
    let mismatch = |reason: &str| Err(path.error(SharedErrorKind::Mismatch, reason));
    if header.layout != host.layout {
        let (theirs, ours) = (header.layout, host.layout);
        return mismatch(&format!("its layout is version {theirs}, and ours {ours}"));
    }
    if header.name != request.name || header.purpose != request.purpose {
        return mismatch("it is for another name or other settings");
    }
    if header.uid != u64::from(host.uid) || header.bytes != request.bytes() as u64 {
        return Err(path.untrusted("its header is another file's"));
    }
    Ok(())
}

fn map(
    file: OwnedFd,
    bytes: usize,
    header: &FileHeader,
    conflicting: usize,
    path: &FilePath<'_>,
) -> Result<Found, Error> {
    let mapping = Mapping::new(file, bytes).map_err(|error| path.failed("mmap", error))?;
    let (mapping, secret, generation) = (Arc::new(mapping), header.secret, header.generation);
    Ok(Found::Attached(Box::new(Segment { mapping, secret, generation, conflicting })))
}
