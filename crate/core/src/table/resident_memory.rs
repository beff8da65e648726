//! How much of a table this process really occupies: memory that was reserved and never touched costs nothing.

use crate::atomic::AtomicU64;

/// Bytes of this memory that this process has touched, or `None` where the system does not say.
#[cfg(target_os = "linux")]
pub(super) fn resident(memory: &[AtomicU64]) -> Option<u64> {
    use std::os::unix::fs::FileExt;
    // One word for each page of this process.
    let map = std::fs::File::open("/proc/self/pagemap").ok()?;
    let (start, bytes) = (memory.as_ptr().addr(), size_of_val(memory));
    let page = page_size()?;
    let first = start.checked_div(page)?;
    let pages = start.checked_add(bytes)?.div_ceil(page).checked_sub(first)?;
    let parts = pages.div_ceil(PART).min(PARTS);
    let (mut seen, mut present) = (0_u64, 0_u64);
    for part in 0..parts {
        let skip = pages
            .saturating_sub(PART)
            .checked_mul(part)?
            .checked_div(parts.saturating_sub(1).max(1))?;
        let length = PART.min(pages);
        let mut entries = [0; PART * ENTRY];
        let offset = first.checked_add(skip)?.checked_mul(ENTRY)? as u64;
        let entries = entries.get_mut(..length.checked_mul(ENTRY)?)?;
        let read = map.read_at(entries, offset).ok()?;
        let (words, _) = entries.get(..read)?.as_chunks();
        seen = seen.checked_add(words.len() as u64)?;
        let here = words.iter().filter(|&&word| u64::from_ne_bytes(word) >> TOUCHED != 0);
        present = present.checked_add(here.count() as u64)?;
    }
    (bytes as u64).checked_mul(present)?.checked_div(seen)
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "sysconf takes and gives a number")]
fn page_size() -> Option<usize> {
    // SAFETY: it reads a number of the system and touches no memory of ours.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()
}

/// Bytes of a page's entry. Its two highest bits say that the page is in memory, or swapped out.
#[cfg(target_os = "linux")]
const ENTRY: usize = 8;
#[cfg(target_os = "linux")]
const TOUCHED: u32 = 62;
/// A large table is sampled: `PARTS` parts, spread evenly, of `PART` pages each.
#[cfg(target_os = "linux")]
const PARTS: usize = 64;
#[cfg(target_os = "linux")]
const PART: usize = 512;

#[cfg(not(target_os = "linux"))]
pub(super) fn resident(_: &[AtomicU64]) -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use crate::atomic::Ordering;
    use crate::table::Heap;

    const WORDS_PER_PAGE: usize = 512;

    fn touched(pages: usize, every: usize) -> (u64, u64) {
        let memory = Heap::zeroed(pages * WORDS_PER_PAGE).unwrap();
        for word in memory.iter().step_by(WORDS_PER_PAGE * every) {
            word.store(1, Ordering::Relaxed);
        }
        let resident = super::resident(&memory).unwrap();
        (resident, (pages * WORDS_PER_PAGE * 8) as u64)
    }

    #[test]
    fn what_was_not_touched_does_not_count() {
        // More than the allocator keeps when it is freed: memory of another test would be touched already.
        let (resident, bytes) = touched(10_000, 20_000);
        assert!(resident < bytes / 50, "{resident} of {bytes}");
    }

    /// At least that: memory that the allocator had before may come with pages in it.
    #[test]
    fn what_was_touched_counts() {
        for every in [1, 4] {
            let (resident, bytes) = touched(1000, every);
            let least = bytes / every as u64 - bytes / 50;
            assert!((least..=bytes).contains(&resident), "{resident} of {bytes}, every {every}");
        }
    }
}
