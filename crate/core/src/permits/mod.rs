//! Permits: how many are inside at once, of each key and of all keys together.
//!
//! ```text
//! acquire(key):
//!     the key's slot (see claim.rs): as many as it may?   refused
//!     one more, recoverable at any instruction (see change.rs)
//!     the total: as many as there may be?                 the key's is given back; refused
//! each thread counts in a lane of its own what it holds of each slot. Who finds a lane whose process has died
//! finishes its last change and gives back what it holds, as that lane: who dies doing so leaves the same behind.
//! ```

mod both;
mod change;
mod claim;
mod hand;
#[cfg(not(loom))]
mod lane;
mod ledger;
#[cfg(not(loom))]
mod open;
#[cfg(not(loom))]
mod reap;
#[cfg(loom)]
mod trial;
mod word;

#[cfg(not(loom))]
pub use lane::Lane;
pub use ledger::LANES;
#[cfg(not(loom))]
pub use open::{MAX_CAPACITY, Permits, PermitsConfig, words};
#[cfg(loom)]
pub use trial::{Trial, User};
pub use word::MAX_PERMITS;

/// Why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The key holds as many as it may.
    PerKey = 1,
    /// All keys together hold as many as they may.
    Total = 2,
    /// There is no slot for the key, or no lane for the thread.
    Capacity = 3,
}
