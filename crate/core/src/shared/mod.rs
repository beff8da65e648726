//! Memory that processes share: the same table, over a file that all processes of a user map.
//!
//! ```text
//! attach(name, policy):
//!     the user's own directory (0700)?             else it is an error
//!     open the file of this name and policy        never through a link, never waiting
//!       there  -> a plain file of ours, 0600, one name, of the right size?      else an error
//!                 take part in its lock; still there? else start over
//!                 read the label once: ours, whole, of this boot and clock?     else an error
//!                 map it
//!       absent -> a file without a name, all of it reserved; write the label; take part in the
//!                 lock; give it the name. Somebody was faster? start over
//! ```
//!
//! 1. A half-made file is never visible, so nobody waits for it to be finished, and nothing is left
//!    where a process died.
//! 2. All of it is reserved beforehand: a full `/dev/shm` is an error here, not a signal later.
//! 3. Sizes come from the policy, never from the mapping: wrong bytes can't lead outside of it.
//! 4. Who is attached is known from the lock, which the kernel drops at any death. No process ids.
//! 5. A file that is truncated under us is replaced by empty memory of our own: see `sigbus`.

#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "to come on other systems"))]
mod label;
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "to come on other systems"))]
mod place;
mod policy;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Mapping, Nowhere as Here};
pub use label::{LABEL_BYTES, LAYOUT_VERSION, Label, MAX_NAME_BYTES};
#[cfg(target_os = "linux")]
pub use linux::{Directory, Directory as Here, Host, Mapping};
pub use place::{Contents, Entry, Place, Segment, Sound, Wanted};
