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
use std::os::fd::OwnedFd;
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

    const fn bytes(&self) -> usize {
        self.words.saturating_mul(WORD)
    }
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
