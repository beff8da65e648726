//! The numbers with which a script in a store counts limits, so that it rounds as this crate does.

use crate::algorithm::{Algorithm, Varying};
use crate::config::LimiterConfig;
use crate::error::Error;
use crate::limit::Limit;
use crate::variable::{TableId, VariableConfig, placed};

/// Three numbers for each limit, see [`Algorithm::script_args`].
pub fn script_args(config: &LimiterConfig) -> Result<Vec<[u64; 3]>, Error> {
    Ok(config.algorithms()?.iter().map(|(_, algorithm)| algorithm.script_args()).collect())
}

/// The record in which a script counts one of several limits that vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordArgs {
    /// Which of the caller's limits it is.
    pub index: usize,
    /// See [`Algorithm::script_args`].
    pub numbers: [u64; 3],
    /// The window that names the record; 0 for the bucket with the longest one.
    pub window_ms: u64,
    /// Cells of a log; for buckets, which of several records with that window.
    pub ring: u64,
}

/// The records of these limits, from the longest window to the shortest. Limits that share one are left out.
pub fn record_args(config: &VariableConfig, limits: &[Limit]) -> Result<Vec<RecordArgs>, Error> {
    let records = placed(config, limits)?.into_iter().map(|(index, limit, id)| {
        let TableId { window_ms, ring } = id.unwrap_or(TableId::BASE);
        let numbers = Varying::new(config.algorithm, limit, ring)?.script_args();
        Ok(RecordArgs { index, numbers, window_ms, ring })
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::AlgorithmKind;

    fn limits(pairs: &[(u64, u64)]) -> Result<Vec<Limit>, Error> {
        pairs.iter().map(|&(count, window_ms)| Limit::new(count, window_ms)).collect()
    }

    fn fixed(algorithm: AlgorithmKind, pairs: &[(u64, u64)]) -> Result<Vec<[u64; 3]>, Error> {
        let limits = limits(pairs)?;
        script_args(&LimiterConfig { limits, algorithm, block_for_ms: 0, capacity: 1 })
    }

    #[test]
    fn a_window_has_its_count_its_length_and_ticks_to_a_millisecond() {
        let minute = [(100, 60_000)];
        for (algorithm, ticks) in [
            (AlgorithmKind::FixedWindow, 1_024),
            (AlgorithmKind::SlidingWindow, 1_024),
            (AlgorithmKind::SlidingLog, 1_024),
        ] {
            assert_eq!(fixed(algorithm, &minute), Ok(vec![[100, 60_000, ticks]]));
        }
        assert!(fixed(AlgorithmKind::SlidingWindow, &[(1 << 21, 1_000)]).is_err());
    }

    #[test]
    fn a_bucket_has_ticks_in_which_a_token_and_a_millisecond_are_whole() {
        let args = fixed(AlgorithmKind::TokenBucket, &[(7, 1_000)]).unwrap_or_default();
        let [[per_ms, token, depth]] = args.as_slice() else { panic!("one limit") };
        assert_eq!((per_ms * 1_000, token * 7), (token * 7, *depth));
    }

    #[test]
    fn limits_that_vary_share_the_record_of_their_window_unless_they_are_buckets() {
        let pairs = limits(&[(10, 1_000), (5, 60_000), (20, 1_000)]).unwrap_or_default();
        let records = |algorithm| {
            let config = VariableConfig { algorithm, block_for_ms: 0, capacity: None };
            let records = record_args(&config, &pairs).unwrap_or_default();
            let names = records.iter().map(|one| (one.index, one.window_ms, one.ring));
            names.collect::<Vec<_>>()
        };
        assert_eq!(records(AlgorithmKind::FixedWindow), [(1, 60_000, 0), (0, 1_000, 0)]);
        assert_eq!(records(AlgorithmKind::SlidingLog), [(1, 60_000, 15), (0, 1_000, 15)]);
        assert_eq!(records(AlgorithmKind::TokenBucket), [(1, 0, 0), (0, 1_000, 0), (2, 1_000, 1)]);
    }
}
