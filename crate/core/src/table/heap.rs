//! A table's memory in this process: zeroed, aligned to a set, and untouched until used.
#![expect(unsafe_code, reason = "zeroed atomics without writing each of them need one cast")]

use crate::atomic::AtomicU64;
use crate::error::Error;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ops::Deref;
use std::ptr::NonNull;

/// Two cache lines: a set never straddles a third.
const ALIGN: usize = 128;

/// A run of zeroed `AtomicU64`.
#[derive(Debug)]
pub struct Heap {
    block: NonNull<u8>,
    layout: Layout,
    first: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the block is owned by this value alone and is reached only as `&[AtomicU64]`.
unsafe impl Send for Heap {}
// SAFETY: as above; atomics may be shared.
unsafe impl Sync for Heap {}

impl Heap {
    /// Reserves `words` zeroed words.
    ///
    /// Asks the allocator for word alignment and aligns by hand: with a larger alignment the
    /// standard allocator writes the zeros itself, and every page of the table would be resident.
    pub fn zeroed(words: usize) -> Result<Self, Error> {
        let bytes = words.saturating_mul(size_of::<AtomicU64>());
        let failed = || Error::Memory { bytes };
        let layout = Layout::from_size_align(bytes.saturating_add(ALIGN), align_of::<AtomicU64>())
            .map_err(|_| failed())?;
        // SAFETY: the size is not zero: ALIGN is part of it.
        let block = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(failed)?;
        // SAFETY: at most ALIGN bytes on, and the block has ALIGN bytes more than the words need.
        let first = unsafe { block.add(block.align_offset(ALIGN).min(ALIGN)) }.cast();
        advise(block, bytes);
        Ok(Self { block, layout, first, words })
    }
}

/// Asks for huge pages where a table is large enough to miss the TLB on nearly every look-up. Only a
/// hint, and only for tables of which a 2 MiB page is a small part: the others stay cheap until used.
#[cfg(target_os = "linux")]
fn advise(block: NonNull<u8>, bytes: usize) {
    const LARGE: usize = 16 << 20;
    const PAGE: usize = 4096;
    if bytes >= LARGE {
        let skip = block.align_offset(PAGE).min(PAGE);
        let length = bytes.saturating_sub(skip) & !(PAGE - 1);
        // SAFETY: whole pages inside the block, `skip` bytes on; the advice changes no content.
        let start = unsafe { block.add(skip) }.as_ptr().cast();
        // SAFETY: as above. A kernel without huge pages refuses, which is as good.
        let _ = unsafe { libc::madvise(start, length, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_: NonNull<u8>, _: usize) {}

impl Deref for Heap {
    type Target = [AtomicU64];

    #[inline(always)]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `words` words from `first` on lie inside the block, are aligned to ALIGN, were zeroed
        // (a valid AtomicU64), live as long as `self`, and are written only through the atomics.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.words) }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this very layout, and freed once.
        unsafe { dealloc(self.block.as_ptr(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::Ordering;

    #[test]
    fn memory_is_zeroed_aligned_and_as_long_as_asked() {
        for words in [1, 31, 4096] {
            let heap = Heap::zeroed(words).unwrap();
            assert_eq!(heap.len(), words);
            assert_eq!(heap.as_ptr().align_offset(ALIGN), 0);
            assert!(heap.iter().all(|word| word.load(Ordering::Relaxed) == 0));
        }
    }

    #[test]
    fn more_memory_than_there_is_is_an_error() {
        assert!(matches!(Heap::zeroed(usize::MAX / 8), Err(Error::Memory { .. })));
    }
}
