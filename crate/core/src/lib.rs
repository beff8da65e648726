//! The counters of ratethrottle. No JavaScript, no Redis, no wall clock.
//!
//! From the bottom up; each layer knows only those above it in this list:
//!
//! 1. [`Nanos`], [`Limit`], [`Decision`], [`Error`]: plain values.
//! 2. [`algorithm`]: pure steps over one state word.
//! 3. [`table`]: which word is whose; the only place where threads meet.
//! 4. [`shared`]: where processes find the same memory.
//! 5. [`Limiter`]: several limits at once, blocks; [`VariableLimiter`]: limits that change from call to call;
//!    [`Registry`]: limiters by name. Beside them [`stored`]: the same steps on bytes that a store keeps.

#![deny(unsafe_code)]
// Loom explores the table alone: what only the layers above it use is not called there.
#![cfg_attr(loom, allow(dead_code))]

pub mod algorithm;
mod atomic;
mod clock;
mod decision;
mod error;
mod key;
mod limit;
#[cfg(not(loom))]
mod limiter;
mod nanos;
#[cfg(not(loom))]
mod policy;
mod probe;
#[cfg(not(loom))]
mod registry;
#[cfg(not(loom))]
pub mod shared;
mod siphash;
#[cfg(not(loom))]
pub mod stored;
pub mod table;
#[cfg(not(loom))]
mod together;
#[cfg(not(loom))]
mod variable;

pub use atomic::AtomicU64;
pub use clock::{At, Between, Clock, Monotonic, Ratchet};
pub use decision::{Decision, NEVER, Reading, Standing};
pub use error::{Error, Shared, Trouble};
pub use key::{Encoding, Key, Secret};
pub use limit::{Limit, MAX_COUNT, MAX_WINDOW_MS};
#[cfg(not(loom))]
pub use limiter::Limiter;
pub use nanos::Nanos;
#[cfg(not(loom))]
pub use policy::{Kind, MAX_CAPACITY, MAX_LIMITS, Policy};
#[cfg(feature = "probe")]
pub use probe::{clock_reads, lost_exchanges, write_down, written_down};
#[cfg(all(feature = "probe", target_os = "linux"))]
pub use probe::{die_after, pause_after};
#[cfg(not(loom))]
pub use registry::{Named, Registry};
#[cfg(not(loom))]
pub use variable::{VariableLimiter, VariablePolicy};
