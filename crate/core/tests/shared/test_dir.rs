//! A directory of a test's own, and limiters in it.

use ratethrottle_core::shared::{AttachRequest, Directory, Host};
use ratethrottle_core::{AlgorithmKind, Error, Limit, LimiterConfig, RawLimiter, SharedErrorKind};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of an algorithm, and how many it admits at most in a window.
type Known = (&'static str, AlgorithmKind, fn(u64) -> u64);

/// Every algorithm, and how many it may admit in any window of its own length, given the count.
pub(crate) const KINDS: [Known; 5] = [
    ("token-bucket", AlgorithmKind::TokenBucket, |n| 2 * n - 1),
    ("leaky-bucket", AlgorithmKind::LeakyBucket, |n| 2 * n - 1),
    ("sliding-window", AlgorithmKind::SlidingWindow, |n| 2 * n - 1),
    ("sliding-log", AlgorithmKind::SlidingLog, |n| n),
    ("fixed-window", AlgorithmKind::FixedWindow, |n| 2 * n),
];

pub(crate) fn kind(name: &str) -> AlgorithmKind {
    KINDS.iter().find(|(known, ..)| *known == name).unwrap().1
}

/// Removed with everything in it when the test ends.
pub(crate) struct TestDir(pub(crate) PathBuf);

impl TestDir {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let turn = MADE.fetch_add(1, Ordering::Relaxed);
        Self(PathBuf::from(format!("/dev/shm/ratethrottle-test-{}-{turn}", std::process::id())))
    }

    /// The only file there.
    pub(crate) fn file(&self) -> PathBuf {
        let mut files = fs::read_dir(&self.0).unwrap();
        files.next().unwrap().unwrap().path()
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        let _ = fs::remove_dir_all(self.0.with_extension("log.d"));
    }
}

pub(crate) fn config(
    kind: AlgorithmKind,
    count: u64,
    window_ms: u64,
    capacity: usize,
) -> LimiterConfig {
    let limits = vec![Limit::new(count, window_ms).unwrap()];
    LimiterConfig { limits, algorithm: kind, block_for_ms: 0, capacity }
}

pub(crate) fn here() -> Host {
    Host::current().unwrap()
}

pub(crate) fn open(path: &Path, config: &LimiterConfig) -> Result<RawLimiter, Error> {
    open_as(path, here(), config)
}

pub(crate) fn open_as(
    path: &Path,
    host: Host,
    config: &LimiterConfig,
) -> Result<RawLimiter, Error> {
    RawLimiter::attach(&Directory::open(path, host)?, &AttachRequest::new("api", config)?)
}

/// What kind of trouble it is, and what is said of it.
pub(crate) fn trouble(result: Result<RawLimiter, Error>) -> (SharedErrorKind, String) {
    match result {
        Err(Error::Shared(shared)) => (shared.kind, shared.reason),
        other => panic!("{other:?}"),
    }
}
