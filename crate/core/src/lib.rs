//! The counters of ratethrottle. No JavaScript, no Redis, no wall clock.
//!
//! From the bottom up; each layer knows only those above it in this list:
//!
//! 1. [`Nanos`], [`Limit`], [`Decision`], [`Error`]: plain values.
//! 2. [`algorithm`]: pure steps over one state word.
//! 3. [`table`]: which word belongs to which key; the only place where threads meet.
//! 4. [`shared`]: where processes find the same memory.
//! 5. [`RawLimiter`]: several limits at once, blocks; [`VariableLimiter`]: limits that vary from call to call;
//!    [`Registry`]: limiters by name. Beside them [`stored`]: the same steps on bytes that a store keeps.

#![deny(unsafe_code)]
// Loom explores the table alone: what only the layers above it use is not called there.
#![cfg_attr(loom, allow(dead_code))]

pub mod algorithm;
mod atomic;
mod clock;
#[cfg(not(loom))]
mod config;
mod decision;
mod error;
mod failpoints;
mod key;
mod limit;
#[cfg(not(loom))]
mod limit_set;
mod nanos;
#[cfg(not(loom))]
mod raw_limiter;
#[cfg(not(loom))]
mod registry;
#[cfg(not(loom))]
mod script_args;
#[cfg(not(loom))]
pub mod shared;
mod siphash;
#[cfg(not(loom))]
pub mod stored;
pub mod table;
#[cfg(not(loom))]
mod variable;

pub use algorithm::AlgorithmKind;
pub use atomic::AtomicU64;
pub use clock::{Clock, FixedTime, Monotonic, MonotonicAdapter, TimeRange};
#[cfg(not(loom))]
pub use config::{LimiterConfig, MAX_CAPACITY, MAX_LIMITS};
pub use decision::{Decision, LimitStatus, NEVER, Reading};
pub use error::{Error, SharedError, SharedErrorKind};
#[cfg(feature = "probe")]
pub use failpoints::{clock_reads, lost_exchanges, record_exchanges, recorded_exchanges};
#[cfg(all(feature = "probe", target_os = "linux"))]
pub use failpoints::{die_after, pause_after};
pub use key::{Encoding, Key, Secret};
pub use limit::{Limit, MAX_COUNT, MAX_WINDOW_MS};
pub use nanos::Nanos;
#[cfg(not(loom))]
pub use raw_limiter::RawLimiter;
#[cfg(not(loom))]
pub use registry::{Named, Registry};
#[cfg(not(loom))]
pub use script_args::{RecordArgs, record_args, script_args};
#[cfg(not(loom))]
pub use variable::{VariableCall, VariableConfig, VariableLimiter};
