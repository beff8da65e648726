#![doc = include_str!("../README.md")]
//!
//! # Layers
//!
//! From the bottom up; each layer knows only those above it in this list:
//!
//! 1. [`Nanos`], [`Limit`], [`Decision`], [`Error`]: plain values.
//! 2. `algorithm`: pure steps over one state word.
//! 3. `table`: which word belongs to which key; the only place where threads meet.
//! 4. `shared`: where processes find the same memory.
//! 5. `RawLimiter`: several limits at once, blocks; `VariableLimiter`: limits that vary from call to call;
//!    `Registry`: limiters by name. Beside them [`stored`]: the same steps on bytes that a store keeps; `shield`: who is
//!    let in under pressure; `permits`: how many are inside at once; `insight`: what was decided.
//! 6. [`Limiter`]: all of that for Rust programs.

#![deny(missing_docs)]
#![deny(unsafe_code)]
// Loom explores the table alone: what only the layers above it use is not called there.
#![cfg_attr(loom, allow(dead_code))]

#[doc(hidden)]
pub mod algorithm;
mod atomic;
mod clock;
#[cfg(not(loom))]
mod config;
mod decision;
mod error;
mod failpoints;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod insight;
mod key;
mod limit;
#[cfg(not(loom))]
mod limit_set;
#[cfg(not(loom))]
mod limiter;
mod nanos;
#[doc(hidden)]
pub mod permits;
#[cfg(not(loom))]
mod raw_limiter;
#[cfg(not(loom))]
mod registry;
#[cfg(not(loom))]
mod script_args;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod shared;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod shield;
mod siphash;
#[cfg(not(loom))]
pub mod stored;
#[doc(hidden)]
pub mod table;
#[cfg(not(loom))]
mod variable;

pub use algorithm::AlgorithmKind;
pub use clock::{Clock, ClockMemory, FixedTime, Monotonic, TimeRange};
#[cfg(not(loom))]
pub use config::{LimiterConfig, MAX_CAPACITY, MAX_LIMITS};
pub use decision::{Decision, LimitStatus, NEVER};
pub use error::{Error, SharedError, SharedErrorKind};
pub use limit::{Limit, MAX_COUNT, MAX_WINDOW_MS};
#[cfg(not(loom))]
pub use limiter::{Admitted, Denied, Limiter, LimiterBuilder};
pub use nanos::Nanos;

// What the Node addon and the tests use. Not part of the stable interface.
#[doc(hidden)]
pub use atomic::AtomicU64;
#[doc(hidden)]
pub use clock::{COARSE_MS, MonotonicAdapter, OwnedMonotonic, coarse_now};
#[doc(hidden)]
pub use decision::Reading;
#[cfg(feature = "probe")]
#[doc(hidden)]
pub use failpoints::{
    clock_reads, lost_exchanges, meddle_between_limits, record_exchanges, recorded_exchanges,
};
#[cfg(all(feature = "probe", target_os = "linux"))]
#[doc(hidden)]
pub use failpoints::{die_after, pause_after};
#[doc(hidden)]
pub use key::{Encoding, Key, Secret};
#[cfg(not(loom))]
#[doc(hidden)]
pub use raw_limiter::RawLimiter;
#[cfg(not(loom))]
#[doc(hidden)]
pub use registry::{Named, Registry};
#[cfg(not(loom))]
#[doc(hidden)]
pub use script_args::{RecordArgs, record_args, script_args};
#[cfg(not(loom))]
#[doc(hidden)]
pub use variable::{VariableCall, VariableConfig, VariableLimiter};
