//! The table that processes share: whom it trusts, and that it holds while its processes die.
//!
//! `scripts/prove.mjs` runs the same tests for longer, see `docs/internals/proof.md`.
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
mod contact;
#[cfg(feature = "probe")]
mod dying;
mod exact;
mod hostile;
mod insight;
mod lifetime;
mod log;
#[cfg(feature = "probe")]
mod moving;
mod permits;
mod shield;
#[cfg(feature = "probe")]
mod stopping;
mod storm;
mod test_dir;
mod trust;

/// A line that `scripts/prove.mjs` adds up.
fn figure(what: &str, count: u64) {
    println!("\nfigure {what}: {count}");
}

/// How much of something to do: little as a test, more as a proof.
fn asked(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
