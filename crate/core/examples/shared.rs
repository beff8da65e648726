//! A limiter that processes share (Linux). Run it twice within a minute:
//! `cargo run -p ratethrottle-core --example shared`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use ratethrottle_core::{Error, Limiter};
use std::time::Duration;

fn main() -> Result<(), Error> {
    let limiter = Limiter::builder()
        .limit(5, Duration::from_secs(60))
        .capacity(1_000)
        .build_shared("ratethrottle-core example")?;
    let admitted = (0..3).filter(|_| limiter.allow("user:42")).count();
    println!("this process was admitted {admitted} times of 3");
    Ok(())
}
