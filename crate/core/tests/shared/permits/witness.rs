//! Who holds a permit, as seen from outside: a cell for each permit that there may be, with the thread that is inside.

use crate::test_dir::here;
use ratethrottle_core::AtomicU64;
use ratethrottle_core::insight::{InsightConfig, KeyStyle};
use ratethrottle_core::shared::{AttachRequest, Directory, Mapping, Platform};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// Memory that outlives every process of the test. What it was made for does not matter.
pub(crate) struct Witness {
    memory: Arc<Mapping>,
    thread: u64,
}

/// What all threads add up.
#[derive(Clone, Copy)]
pub(crate) enum Sum {
    Steps,
    Admitted,
    TooMany,
}

const SUMS: usize = 1024;
const CELLS: usize = 2048;
/// Cells of a group.
const GROUP: usize = 16;

impl Witness {
    pub(crate) fn open(path: &Path) -> Self {
        let config = InsightConfig { keys: KeyStyle::Hash, top: 0 };
        let request = AttachRequest::insight("witness", &config).unwrap();
        let segment = Directory::open(path, here()).unwrap().attach(&request).unwrap();
        let me = std::fs::read_link("/proc/thread-self").unwrap();
        let thread = me.file_name().unwrap().to_str().unwrap().parse().unwrap();
        Self { memory: segment.mapping, thread }
    }

    pub(crate) fn sum(&self, sum: Sum) -> &AtomicU64 {
        &self.memory[SUMS + sum as usize * 8]
    }

    /// This thread is inside: one of `n`. Answers its cell.
    pub(crate) fn enter(&self, group: usize, n: usize) -> Option<usize> {
        let cells = CELLS + group * GROUP..CELLS + group * GROUP + n;
        // Twice: one that was full may have been left meanwhile.
        for cell in cells.clone().chain(cells) {
            let word = &self.memory[cell];
            let seen = word.load(SeqCst);
            let may_enter = seen == 0 || has_died(seen);
            if may_enter && word.compare_exchange(seen, self.thread, SeqCst, SeqCst).is_ok() {
                return Some(cell);
            }
        }
        self.sum(Sum::TooMany).fetch_add(1, SeqCst);
        None
    }

    /// About to give the permit back.
    pub(crate) fn leave(&self, cell: usize) {
        self.memory[cell].store(0, SeqCst);
    }
}

/// Whether the thread is gone, or on its way out: the kernel says so before it gives up the thread's locks.
fn has_died(thread: u64) -> bool {
    const EXITING: u64 = 4;
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{thread}/stat")) else { return true };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let flags = fields.get(7).and_then(|flags| flags.parse::<u64>().ok());
    matches!(fields.get(1), Some(&("Z" | "X"))) || flags.is_none_or(|flags| flags & EXITING != 0)
}
