//! A file's bytes as words that other processes change too.
#![expect(
    unsafe_code,
    reason = "mapping a file is the one thing here that no safe interface offers"
)]

use super::sigbus::{Guard, guard};
use crate::atomic::AtomicU64;
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};

const WORD: usize = size_of::<AtomicU64>();

/// A whole file, mapped. To the memory model another process is another thread.
#[derive(Debug)]
pub struct Mapping {
    first: NonNull<AtomicU64>,
    words: usize,
    guard: Guard,
    /// Kept open, and with it this process's part in the lock, for as long as the mapping is in use.
    file: OwnedFd,
}

// SAFETY: the memory is reached only as `&[AtomicU64]`; a file may be closed on any thread.
unsafe impl Send for Mapping {}
// SAFETY: as above; atomics may be shared.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `bytes` bytes of a file that was as long when it was checked.
    ///
    /// If it is not, or is made shorter later, touching the missing part raises SIGBUS, which
    /// `sigbus` answers with empty memory. So this is sound whatever other processes do with the file.
    pub(super) fn new(file: OwnedFd, bytes: usize) -> Result<Self, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is asked for, so the mapping replaces none of this process's memory.
        let start = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, &file, 0) }?;
        let first = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        if let Some(guard) = guard(start.expose_provenance(), bytes) {
            return Ok(Self { first, words: bytes / WORD, guard, file });
        }
        // SAFETY: the mapping just made, which nothing refers to yet.
        let _ = unsafe { munmap(start, bytes) };
        Err(Errno::MFILE)
    }

    /// Whether other processes would attach to the same file now: it has its name and its length.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let found = fstat(&self.file).ok();
        let is_whole = found.is_some_and(|found| {
            found.st_nlink > 0 && u64::try_from(found.st_size) == Ok(self.bytes() as u64)
        });
        is_whole && !self.guard.is_replaced()
    }

    /// Takes a lane, unless another process has it. The kernel frees it when this one ends, however it does.
    pub(crate) fn hold(&self, lane: usize) -> bool {
        lock_lane(&self.file, libc::F_OFD_SETLK, libc::F_WRLCK, lane).is_some()
    }

    /// Gives a lane back.
    pub(crate) fn release(&self, lane: usize) {
        let _ = lock_lane(&self.file, libc::F_OFD_SETLK, libc::F_UNLCK, lane);
    }

    /// Whether another process holds the lane.
    pub(crate) fn is_held(&self, lane: usize) -> bool {
        let found = lock_lane(&self.file, libc::F_OFD_GETLK, libc::F_WRLCK, lane);
        found.is_some_and(|kind| kind != libc::F_UNLCK)
    }

    const fn bytes(&self) -> usize {
        self.words.saturating_mul(WORD)
    }
}

/// Sets or asks for the lock of one byte, which stands for a lane: locks of an open file, which belong to no
/// process id and so hold in every container. Answers the kind of lock that was found.
fn lock_lane(
    file: &OwnedFd,
    command: libc::c_int,
    kind: libc::c_int,
    lane: usize,
) -> Option<libc::c_int> {
    // SAFETY: a plain structure of numbers, for which zeros are a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::c_short::try_from(kind).ok()?;
    lock.l_whence = libc::c_short::try_from(libc::SEEK_SET).ok()?;
    lock.l_start = libc::off_t::try_from(lane).ok()?;
    lock.l_len = 1;
    // SAFETY: the file is open, and the kernel reads and writes the structure during the call alone.
    let failed = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) };
    (failed == 0).then(|| libc::c_int::from(lock.l_type))
}

impl Deref for Mapping {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins at a page, is `words` words long and stays until `drop`. Any bytes are a
        // valid AtomicU64, and every process accesses them as atomics only.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Before the address can be given to another mapping.
        self.guard.end();
        // SAFETY: mapped in `new`, unmapped once, and not borrowed any more.
        let _ = unsafe { munmap(self.first.as_ptr().cast(), self.bytes()) };
    }
}
