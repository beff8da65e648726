//! A table's memory: of this process alone, or of all processes that map the same file.
#![expect(unsafe_code, reason = "one slice type over two owners, with no branch on the way to it")]

use super::Mapping;
use crate::atomic::AtomicU64;
use crate::table::Heap;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// A run of `AtomicU64`, and what keeps it there.
#[derive(Debug)]
pub struct Memory {
    first: NonNull<AtomicU64>,
    words: usize,
    _owner: Owner,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held, so that the memory stays")]
enum Owner {
    Heap(Heap),
    Mapping(Arc<Mapping>),
}

// SAFETY: the memory is reached only as `&[AtomicU64]`, and both owners may be sent and shared.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl From<Heap> for Memory {
    fn from(heap: Heap) -> Self {
        let (first, words) = (NonNull::from(&*heap).cast(), heap.len());
        Self { first, words, _owner: Owner::Heap(heap) }
    }
}

impl Memory {
    /// `words` words of a mapping from word `start` on; `None` where it is not that long.
    pub(crate) fn mapped(mapping: Arc<Mapping>, start: usize, words: usize) -> Option<Self> {
        let part = mapping.get(start..start.checked_add(words)?)?;
        let first = NonNull::from(part).cast();
        Some(Self { first, words, _owner: Owner::Mapping(mapping) })
    }
}

impl Deref for Memory {
    type Target = [AtomicU64];

    #[inline(always)]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `first` and `words` were taken from a slice of the owner. The owner lives as long as `self`,
        // does not move its memory when it is moved itself, and never makes it shorter.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.words) }
    }
}
