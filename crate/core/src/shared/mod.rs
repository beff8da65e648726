//! Memory that processes share: the same tables, over a file that all processes of a user map.
//!
//! ```text
//! attach(name, purpose):
//!     the user's own directory (0700)?             else it is an error
//!     open the file of this name and purpose       never through a link, never waiting
//!       there  -> a plain file of ours, 0600, one name, of the right size?      else an error
//!                 join its lock; still there? else start over
//!                 read the header once: ours, whole, of this boot and clock?    else an error
//!                 map it
//!       absent -> a file without a name, all of it reserved; write the header; join the lock;
//!                 give it the name. Another process was faster? start over
//! ```
//!
//! 1. A half-made file is never visible, so no process waits for it to be finished, and nothing is left
//!    where a process died.
//! 2. All of it is reserved beforehand: a full `/dev/shm` is an error here, not a signal later.
//! 3. Sizes come from the configuration, never from the mapping: wrong bytes can't lead outside of it.
//! 4. Who is attached is known from the lock, which the kernel drops at any death. No process ids.
//! 5. A file that is truncated while it is mapped is replaced by empty memory of this process: see `sigbus`.

#[cfg_attr(
    not(all(target_os = "linux", feature = "shared")),
    expect(dead_code, reason = "only a platform with shared tables uses all of it")
)]
mod header;
mod memory;
#[cfg_attr(
    not(all(target_os = "linux", feature = "shared")),
    expect(dead_code, reason = "only a platform with shared tables uses all of it")
)]
mod platform;
mod purpose;

#[cfg(all(target_os = "linux", feature = "shared"))]
mod linux;
#[cfg(not(all(target_os = "linux", feature = "shared")))]
mod unsupported;

pub use header::{FileHeader, HEADER_BYTES, LAYOUT_VERSION, MAX_NAME_BYTES};
#[cfg(all(target_os = "linux", feature = "shared"))]
pub use linux::{Directory, Directory as SystemPlatform, Host, Mapping};
pub use memory::Memory;
pub(crate) use platform::Attachment;
pub use platform::{AttachRequest, Contents, Entry, Platform, Segment, TableInfo};
pub use purpose::Purpose;
#[cfg(not(all(target_os = "linux", feature = "shared")))]
pub use unsupported::{Mapping, Unsupported as SystemPlatform};
