//! The table that processes share: whom it trusts, and that it holds while its processes die.
//!
//! `scripts/prove.mjs` runs the same tests for longer, see `docs/proof.md`.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may panic, and print what they counted"
)]

#[cfg(feature = "probe")]
mod chain;
mod child;
#[cfg(feature = "probe")]
mod dying;
mod exact;
mod hostile;
mod log;
mod place;
mod storm;
mod trust;
