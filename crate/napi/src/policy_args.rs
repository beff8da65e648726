//! The numbers with which the scripts of a store count: called once for each set of limits.
#![expect(
    unreachable_pub,
    clippy::needless_pass_by_value,
    clippy::cast_precision_loss,
    reason = "as #[napi] wants its exports; the numbers lie below 2^53"
)]

use crate::open::{OpenOptions, config};
use crate::throw::report;
use napi_derive::napi;
use ratethrottle_core::{VariableConfig, record_args, script_args};

/// Three numbers for each limit. If the limits may vary, six for each record that a key has under them, from
/// the longest window to the shortest: which limit it is, the three numbers, and the two that name the record.
#[napi(catch_unwind)]
pub fn policy_args(
    options: OpenOptions,
    varies: bool,
) -> Result<Vec<f64>, napi::Error<&'static str>> {
    crate::failpoints::panic_if_armed();
    let config = config(&options).map_err(report)?;
    if !varies {
        let args = script_args(&config).map_err(report)?;
        return Ok(args.into_iter().flatten().map(|number| number as f64).collect());
    }
    let variable = VariableConfig { algorithm: config.algorithm, block_for_ms: 0, capacity: None };
    let records = record_args(&variable, &config.limits).map_err(report)?;
    let numbers = records.into_iter().flat_map(|record| {
        let [a, b, c] = record.numbers;
        [record.index as u64, a, b, c, record.window_ms, record.ring]
    });
    Ok(numbers.map(|number| number as f64).collect())
}
