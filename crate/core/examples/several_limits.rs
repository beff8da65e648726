//! Several limits at once: a request is charged to all of them or to none.
//! `cargo run -p ratethrottle-core --example several_limits`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use ratethrottle_core::{AlgorithmKind, Error, Limiter};
use std::time::Duration;

fn main() -> Result<(), Error> {
    let limiter = Limiter::builder()
        .limit(10, Duration::from_secs(1))
        .limit(25, Duration::from_secs(60))
        .algorithm(AlgorithmKind::SlidingLog)
        .build()?;
    for (key, cost) in [("upload", 8), ("upload", 8), ("upload", 26), ("download", 1)] {
        match limiter.check_n(key, cost) {
            Ok(admitted) => println!("{key} {cost}: admitted, {} left", admitted.remaining()),
            Err(denied) => {
                let limit = denied.limit_index();
                println!("{key} {cost}: limit {limit} denies for {:?}", denied.retry_after());
            }
        }
    }
    Ok(())
}
