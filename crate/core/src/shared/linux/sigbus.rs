//! A truncated file must not end the user's server.
//!
//! Touching a mapped page that its file no longer has raises SIGBUS. A seal against that exists only for
//! memory without a name, which other processes can't find. So, as in Wayland's and `PulseAudio`'s shared
//! memory, the signal is handled: the whole mapping is replaced, in place, by empty memory of this process,
//! and the access is repeated. The table has lost its counters then, which is what truncating it meant;
//! `Mapping::is_current` answers `false`, and the limiter attaches again.
//!
//! A SIGBUS that is not about one of these mappings goes to the handler that was there before.
#![expect(unsafe_code, reason = "a signal handler")]

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The most mappings of one process: a signal handler can't take a lock or allocate memory.
const MAX_MAPPINGS: usize = 1024;
/// Taken, with no bounds in it yet.
const RESERVED: usize = 1;

struct Bounds {
    start: AtomicUsize,
    bytes: AtomicUsize,
    is_replaced: AtomicBool,
}

static GUARDED: [Bounds; MAX_MAPPINGS] = [const {
    Bounds {
        start: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        is_replaced: AtomicBool::new(false),
    }
}; MAX_MAPPINGS];

/// What handled the signal before.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// A mapping whose SIGBUS is handled.
#[derive(Debug)]
pub(super) struct Guard(usize);

/// Starts to handle SIGBUS for a mapping; `None` when there are too many.
pub(super) fn guard(start: usize, bytes: usize) -> Option<Guard> {
    PREVIOUS.get_or_init(install);
    let index = GUARDED.iter().position(|bounds| {
        let taken = bounds.start.compare_exchange(0, RESERVED, Ordering::SeqCst, Ordering::SeqCst);
        taken.is_ok()
    })?;
    let bounds = GUARDED.get(index)?;
    bounds.bytes.store(bytes, Ordering::SeqCst);
    bounds.is_replaced.store(false, Ordering::SeqCst);
    bounds.start.store(start, Ordering::SeqCst);
    Some(Guard(index))
}

impl Guard {
    /// Whether the mapping was replaced and shows nothing of its file any more.
    pub(super) fn is_replaced(&self) -> bool {
        let bounds = GUARDED.get(self.0);
        bounds.is_none_or(|bounds| bounds.is_replaced.load(Ordering::SeqCst))
    }

    /// Ends that.
    pub(super) fn end(&self) {
        if let Some(bounds) = GUARDED.get(self.0) {
            bounds.start.store(0, Ordering::SeqCst);
        }
    }
}

fn install() -> libc::sigaction {
    let mut before = MaybeUninit::zeroed();
    // SAFETY: all zero is a valid sigaction: no flags, the default action, an empty mask.
    let mut ours: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    ours.sa_sigaction = handle as extern "C" fn(_, _, _) as usize;
    // SAFETY: both point to a sigaction of ours, and `handle` does only what a handler may.
    let _ = unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, before.as_mut_ptr()) };
    // SAFETY: written by the call, or all zero if it failed, which is valid too.
    unsafe { before.assume_init() }
}

/// Only atomics and system calls: whatever was interrupted may hold any lock.
extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo.
    let info_ref = unsafe { &*info };
    // SAFETY: set by the kernel for the code that is asked for too; else the number is not used.
    let address = unsafe { info_ref.si_addr() }.addr();
    let is_beyond = info_ref.si_code == libc::BUS_ADRERR;
    if !(is_beyond && replace(address)) {
        pass_on(signal, info, context);
    }
}

/// Replaces the mapping that the address belongs to by empty memory. Answers whether the access can be repeated.
fn replace(address: usize) -> bool {
    let found = GUARDED.iter().find(|bounds| {
        let start = bounds.start.load(Ordering::SeqCst);
        let offset = address.wrapping_sub(start);
        start > RESERVED && offset < bounds.bytes.load(Ordering::SeqCst)
    });
    let Some(bounds) = found else { return false };
    if bounds.is_replaced.swap(true, Ordering::SeqCst) {
        // Another thread met the same hole an instant ago. If it is not done yet, we come back here.
        return true;
    }
    let start = ptr::with_exposed_provenance_mut(bounds.start.load(Ordering::SeqCst));
    let bytes = bounds.bytes.load(Ordering::SeqCst);
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: exactly the guarded mapping, which its owner keeps until it ends the guard. To code that
    // holds its atomics it is memory that another process has set to zero.
    unsafe { mmap_anonymous(start, bytes, access, flags) }.is_ok()
}

/// Leaves the signal to the previous handler.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type Long = extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void);
    type Short = extern "C" fn(c_int);
    let (handler, flags) =
        PREVIOUS.get().map_or((libc::SIG_DFL, 0), |before| (before.sa_sigaction, before.sa_flags));
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // SAFETY: restores the default; the signal, raised again, then does what it does without us.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: raise may be called in a handler.
        unsafe { libc::raise(signal) };
    } else if flags & libc::SA_SIGINFO != 0 {
        // SAFETY: with this flag the address is that of a handler with three arguments.
        let handler = unsafe { std::mem::transmute::<usize, Long>(handler) };
        handler(signal, info, context);
    } else {
        // SAFETY: without the flag, and being neither of the two constants, of one with one argument.
        let handler = unsafe { std::mem::transmute::<usize, Short>(handler) };
        handler(signal);
    }
}
