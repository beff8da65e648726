//! The user's own directory, and how a process finds or makes a shared table in it.

use super::file::{Spot, check, is_alone, join_lock, leave_lock, open, read_at};
use super::{Host, Mapping};
use crate::error::{Error, Shared, Trouble};
use crate::key::Secret;
use crate::nanos::Nanos;
use crate::shared::label::{LABEL_BYTES, Label, file_name, file_prefix};
use crate::shared::{Entry, Place, Segment, Wanted};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FallocateFlags, FileType, Mode, OFlags, fallocate, fchmod, fstat, linkat,
    mkdir, openat, unlinkat,
};
use rustix::io::{Errno, pwrite};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A memory file system on every Linux that has not been told otherwise.
const SHARED_MEMORY: &str = "/dev/shm";
const MODE: u32 = 0o700;
/// How often to begin anew when others make and remove files of the same name meanwhile.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(4);

/// A directory of this user's own.
#[derive(Debug)]
pub struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) host: Host,
}

/// What came of looking for a file.
enum Found {
    Attached(Box<Segment>),
    /// None there, but so many before.
    Absent(u64),
    /// Somebody was faster: look again.
    Moved,
}

impl Directory {
    /// Opens the directory, and makes it if need be. It is believed only if it is this user's alone.
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
        let untrusted = |what| Shared::error(Trouble::Untrusted, path.display().to_string(), what);
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

    pub(super) fn spot<'a>(&'a self, file: &'a str) -> Spot<'a> {
        Spot { directory: &self.path, file }
    }

    /// Attaches to the file that is there, if it is right in every respect.
    fn join(&self, wanted: &Wanted, name: &str) -> Result<Found, Error> {
        let spot = self.spot(name);
        let Some(file) = open(self.fd.as_fd(), &spot, OFlags::RDWR)? else {
            return Ok(Found::Absent(0));
        };
        check(&file, &spot, self.host.uid)?;
        join_lock(&file, &spot)?;
        // Again: until we took part in its lock, anybody could remove it.
        let (stat, is_there) = check(&file, &spot, self.host.uid)?;
        if !is_there {
            return Ok(Found::Moved);
        }
        let bytes = wanted.bytes();
        if u64::try_from(stat.st_size) != Ok(bytes as u64) {
            let what = format!("it is {} bytes long, not {bytes}", stat.st_size);
            return Err(spot.error(Trouble::Untrusted, what));
        }
        let label = read_label(&file, &spot)?;
        check_label(&label, wanted, &self.host, &spot)?;
        if let Some(what) = self.foreign(&label) {
            return self.replace(&file, &spot, &label, &what);
        }
        let rivals = self.rivals(wanted, name, false);
        let segment = map(file, bytes, &label, rivals, &spot)?;
        Ok(Found::Attached(Box::new(segment)))
    }

    /// Why the times in a file mean nothing to this process.
    pub(super) fn foreign(&self, label: &Label) -> Option<String> {
        if label.boot != self.host.boot {
            return Some("it was made before this machine was started".to_owned());
        }
        let (theirs, ours) = (label.time_namespace, self.host.time_namespace);
        (theirs != ours)
            .then(|| format!("its times are those of time namespace {theirs}, and this is {ours}"))
    }

    /// Removes a file whose times mean nothing here, unless somebody counts with it.
    fn replace(
        &self,
        file: &OwnedFd,
        spot: &Spot<'_>,
        label: &Label,
        what: &str,
    ) -> Result<Found, Error> {
        leave_lock(file);
        for _ in 0..TRIES {
            // Others that start at the same time look at it too, each for an instant.
            match self.unlink_alone(file, spot)? {
                Some(true) => return Ok(Found::Absent(label.generation.saturating_add(1))),
                Some(false) => return Ok(Found::Moved),
                None => sleep(PAUSE),
            }
        }
        Err(spot.error(Trouble::Mismatch, what))
    }

    /// Removes a file that nobody is attached to: `None` if somebody is, `Some(false)` if it was removed
    /// before. Looks again once it has the lock: the name may be that of another file by now.
    fn unlink_alone(&self, file: &OwnedFd, spot: &Spot<'_>) -> Result<Option<bool>, Error> {
        if !is_alone(file) {
            return Ok(None);
        }
        let found = fstat(file).map_err(|error| spot.failed("fstat", error))?;
        if found.st_nlink == 0 {
            return Ok(Some(false));
        }
        self.unlink(spot)?;
        Ok(Some(true))
    }

    pub(super) fn unlink(&self, spot: &Spot<'_>) -> Result<(), Error> {
        match unlinkat(&self.fd, spot.file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => {
                let removed = unlinkat(&self.fd, spot.file, AtFlags::REMOVEDIR);
                removed.map_err(|error| spot.failed("rmdir", error))
            }
            Err(error) => Err(spot.failed("unlink", error)),
        }
    }

    /// Makes the file, all of it, before it has a name. `Moved` when another process was faster.
    fn create(&self, wanted: &Wanted, name: &str, generation: u64) -> Result<Found, Error> {
        let spot = self.spot(name);
        let bytes = wanted.bytes();
        let label = self.label(wanted, bytes, generation)?;
        let too_long = || spot.error(Trouble::Failed, "its label has no room for the policy");
        let page = label.page().ok_or_else(too_long)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(&self.fd, ".", flags, Mode::from_raw_mode(0o600))
            .map_err(|error| spot.failed("making a file without a name", error))?;
        // The umask may have taken rights away that every attaching process insists on.
        fchmod(&file, Mode::from_raw_mode(0o600)).map_err(|error| spot.failed("chmod", error))?;
        reserve(&file, bytes, &spot)?;
        match pwrite(&file, &page, 0) {
            Ok(written) if written == page.len() => {}
            Ok(_) => return Err(spot.error(Trouble::NoSpace, "its label could not be written")),
            Err(error) => return Err(spot.failed("write", error)),
        }
        join_lock(&file, &spot)?;
        if !self.give_name(&file, &spot)? {
            return Ok(Found::Moved);
        }
        let rivals = self.rivals(wanted, name, true);
        Ok(Found::Attached(Box::new(map(file, bytes, &label, rivals, &spot)?)))
    }

    fn label(&self, wanted: &Wanted, bytes: usize, generation: u64) -> Result<Label, Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Label {
            layout: self.host.layout,
            bytes: bytes as u64,
            uid: u64::from(self.host.uid),
            boot: self.host.boot,
            time_namespace: self.host.time_namespace,
            secret: Secret::random()?,
            made_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            generation,
            varying: wanted.varying,
            name: wanted.name.clone(),
            policy: wanted.policy.clone(),
        })
    }

    /// `false` when the name is taken.
    fn give_name(&self, file: &OwnedFd, spot: &Spot<'_>) -> Result<bool, Error> {
        use std::os::fd::AsRawFd;
        let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(CWD, unnamed, &self.fd, spot.file, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(spot.failed("giving it its name", error)),
        }
    }

    /// How many others of this name are in use, with other settings. With `clean`, those in use by
    /// nobody are removed: what a deployment with new settings leaves behind.
    fn rivals(&self, wanted: &Wanted, own: &str, clean: bool) -> usize {
        let prefix = file_prefix(self.host.layout, &wanted.name);
        let names = self.names().unwrap_or_default();
        let others = names.iter().filter(|name| name.starts_with(&prefix) && *name != own);
        others.filter(|name| self.is_rival(name, &wanted.name, clean)).count()
    }

    fn is_rival(&self, file: &str, name: &str, clean: bool) -> bool {
        let spot = self.spot(file);
        let Ok(Some(found)) = open(self.fd.as_fd(), &spot, OFlags::RDWR) else { return false };
        let is_sound = check(&found, &spot, self.host.uid).is_ok_and(|(_, is_there)| is_there);
        let label = read_label(&found, &spot).ok().filter(|_| is_sound);
        // What is strange stays, for somebody to look at.
        if label.is_none_or(|label| label.name != name) {
            return false;
        }
        if clean { self.unlink_alone(&found, &spot) == Ok(None) } else { !is_alone(&found) }
    }

    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        let failed = |error| self.spot("").failed("listing it", error);
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

impl Place for Directory {
    fn usual() -> Result<Self, Error> {
        let host = Host::current()?;
        Self::open(&usual_path(&host), host)
    }

    fn look() -> Result<Option<Self>, Error> {
        let host = Host::current()?;
        Self::existing(&usual_path(&host), host)
    }

    fn attach(&self, wanted: &Wanted) -> Result<Segment, Error> {
        let too_long = || self.spot("").error(Trouble::Failed, "this policy fits no label");
        let name = file_name(self.host.layout, &wanted.name, &wanted.policy, wanted.varying)
            .ok_or_else(too_long)?;
        let mut last = None;
        for _ in 0..TRIES {
            let found = match self.join(wanted, &name)? {
                Found::Absent(before) => self.create(wanted, &name, before.max(wanted.before)),
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
        let spot = self.spot(&name);
        Err(last.unwrap_or_else(|| spot.error(Trouble::Failed, "it kept being made and removed")))
    }

    fn list(&self, now: Nanos) -> Result<Vec<Entry>, Error> {
        self.survey(now)
    }

    fn remove(&self, file: &str) -> Result<(), Error> {
        let spot = self.spot(file);
        let missing = || Err(spot.error(Trouble::Missing, "there is no such file"));
        let is_ours = self.names()?.iter().any(|name| name == file);
        if !is_ours {
            return missing();
        }
        let opened = match open(self.fd.as_fd(), &spot, OFlags::RDONLY) {
            Ok(Some(opened)) => opened,
            Ok(None) => return missing(),
            // Not even to be opened: nobody is attached to it.
            Err(_) => return self.unlink(&spot),
        };
        let is_sound = check(&opened, &spot, self.host.uid).is_ok() && is_whole(&opened, &spot);
        if !is_sound {
            return self.unlink(&spot);
        }
        match self.unlink_alone(&opened, &spot)? {
            Some(true) => Ok(()),
            Some(false) => missing(),
            None => Err(spot.error(Trouble::InUse, "processes are attached to it")),
        }
    }
}

fn usual_path(host: &Host) -> PathBuf {
    Path::new(SHARED_MEMORY).join(format!("ratethrottle-{}", host.uid))
}

fn failed(path: &Path, call: &str, error: Errno) -> Error {
    Shared::error(Trouble::Failed, path.display().to_string(), format!("{call}: {error}"))
}

/// Whether the file is as long as its label says.
pub(super) fn is_whole(file: &OwnedFd, spot: &Spot<'_>) -> bool {
    let bytes = read_label(file, spot).map(|label| label.bytes);
    let length = fstat(file).map(|found| u64::try_from(found.st_size).unwrap_or(0));
    matches!((bytes, length), (Ok(bytes), Ok(length)) if bytes == length)
}

fn is_no_space(error: &Error) -> bool {
    matches!(error, Error::Shared(shared) if shared.trouble == Trouble::NoSpace)
}

/// Every byte, now: what is not there when it is first touched ends the process.
fn reserve(file: &OwnedFd, bytes: usize, spot: &Spot<'_>) -> Result<(), Error> {
    loop {
        return match fallocate(file, FallocateFlags::empty(), 0, bytes as u64) {
            Ok(()) => Ok(()),
            Err(Errno::INTR) => continue,
            Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::NOMEM) => {
                let what = format!("no room for {bytes} bytes");
                Err(spot.error(Trouble::NoSpace, what))
            }
            Err(error) => Err(spot.failed("reserving its memory", error)),
        };
    }
}

pub(super) fn read_label(file: &OwnedFd, spot: &Spot<'_>) -> Result<Label, Error> {
    let mut page = vec![0; LABEL_BYTES];
    let untrusted = |what| spot.error(Trouble::Untrusted, what);
    match read_at(file, &mut page, 0) {
        Ok(true) => Label::read(&page).map_err(untrusted),
        Ok(false) => Err(untrusted("it is too short for a label")),
        Err(error) => Err(spot.failed("read", error)),
    }
}

/// Whether the label is that of what is wanted. The file's name says so already; it may lie.
fn check_label(label: &Label, wanted: &Wanted, host: &Host, spot: &Spot<'_>) -> Result<(), Error> {
    let error = |trouble, what: &str| Err(spot.error(trouble, what));
    if label.layout != host.layout {
        let what = format!("its layout is version {}, and ours {}", label.layout, host.layout);
        return error(Trouble::Mismatch, &what);
    }
    let is_alike = label.policy == wanted.policy && label.varying == wanted.varying;
    if label.name != wanted.name || !is_alike {
        return error(Trouble::Mismatch, "it is for another name or other settings");
    }
    if label.uid != u64::from(host.uid) || label.bytes != wanted.bytes() as u64 {
        return error(Trouble::Untrusted, "its label is another file's");
    }
    Ok(())
}

fn map(
    file: OwnedFd,
    bytes: usize,
    label: &Label,
    rivals: usize,
    spot: &Spot<'_>,
) -> Result<Segment, Error> {
    let mapping = Mapping::new(file, bytes).map_err(|error| spot.failed("mmap", error))?;
    let (secret, generation) = (label.secret, label.generation);
    Ok(Segment { mapping: Arc::new(mapping), secret, generation, rivals })
}
