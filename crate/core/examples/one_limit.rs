//! One limit: `cargo run -p ratethrottle-core --example one_limit`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use ratethrottle_core::{Error, Limiter};
use std::time::Duration;

fn main() -> Result<(), Error> {
    let limiter = Limiter::builder().limit(3, Duration::from_secs(60)).build()?;
    for request in 1..=5 {
        match limiter.check("user:42") {
            Ok(admitted) => println!("request {request}: admitted, {} left", admitted.remaining()),
            Err(denied) => println!("request {request}: {denied}"),
        }
    }
    Ok(())
}
