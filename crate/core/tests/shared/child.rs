//! The same program again, as another process.

use crate::test_dir::{config, kind, open};
#[cfg(feature = "probe")]
use ratethrottle_core::AlgorithmKind;
use ratethrottle_core::{Clock, Encoding, FixedTime, Monotonic, Nanos, RawLimiter};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The instant of every fixed clock.
pub(crate) const FIXED: Nanos = Nanos(5_000_000_000_000);
const VARIABLE: &str = "RATETHROTTLE_TEST_CHILD";

/// What another process is to do: words of a line.
#[derive(Clone, Debug)]
pub(crate) struct Job(Vec<String>);

/// Starts a process that does `role` on the limiter of these figures.
pub(crate) fn start(
    role: &str,
    place: &crate::test_dir::TestDir,
    (kind, count, window_ms, capacity): (&str, u64, u64, usize),
    more: &[u64],
) -> Child {
    let mut words = vec![role.to_owned(), place.0.display().to_string(), kind.to_owned()];
    words.extend([count, window_ms, capacity as u64].iter().chain(more).map(u64::to_string));
    Command::new(std::env::current_exe().unwrap())
        .args(["child::enter", "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, words.join(" "))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Job {
    pub(crate) fn limiter(&self) -> RawLimiter {
        let number = |index: usize| self.0[index].parse::<u64>().unwrap();
        let capacity = usize::try_from(number(5)).unwrap();
        let config = config(kind(&self.0[2]), number(3), number(4), capacity);
        open(&PathBuf::from(&self.0[1]), &config).unwrap()
    }

    #[cfg(feature = "probe")]
    pub(crate) fn role(&self) -> &str {
        &self.0[0]
    }

    pub(crate) fn directory(&self) -> PathBuf {
        PathBuf::from(&self.0[1])
    }

    /// Beside it, for what is seen from outside.
    #[cfg(feature = "probe")]
    pub(crate) fn witness(&self) -> PathBuf {
        self.directory().with_extension("witness")
    }

    #[cfg(feature = "probe")]
    pub(crate) fn kind(&self) -> AlgorithmKind {
        kind(&self.0[2])
    }

    /// The numbers after those of the limiter.
    pub(crate) fn number(&self, index: usize) -> u64 {
        self.0[6 + index].parse().unwrap()
    }
}

/// Fixed or real: whatever clock a job is to decide with.
pub(crate) fn admits(limiter: &RawLimiter, key: &[u8], is_fixed: bool) -> bool {
    let key = limiter.key(key, Encoding::Utf8);
    if is_fixed {
        limiter.allow(key, 1, &FixedTime(FIXED))
    } else {
        limiter.allow(key, 1, &Monotonic)
    }
}

pub(crate) fn now() -> u64 {
    Monotonic.now().0
}

/// Does nothing among the tests; in a process that was started above it does the job and ends it.
#[test]
fn enter() {
    let Ok(line) = std::env::var(VARIABLE) else { return };
    // The harness has begun a line of its own.
    println!();
    let job = Job(line.split(' ').map(str::to_owned).collect());
    match job.0[0].as_str() {
        "exact" => crate::exact::job(&job),
        "contact" => crate::contact::contact(&job),
        "fresh" => crate::contact::fresh(&job),
        "storm" => crate::storm::job(&job),
        #[cfg(feature = "probe")]
        "dying" => crate::dying::job(&job),
        #[cfg(feature = "probe")]
        "dying_in_several" => crate::dying::job_in_several(&job),
        #[cfg(feature = "probe")]
        "moving" => crate::moving::job(&job),
        #[cfg(feature = "probe")]
        "stopping" => crate::stopping::job(&job),
        #[cfg(feature = "probe")]
        "chain" => crate::chain::job(&job),
        #[cfg(feature = "probe")]
        "shield_dying" | "shield_stopping" => crate::shield::stopped::job(&job),
        "permits_holding" => crate::permits::leaving::job(&job),
        #[cfg(feature = "probe")]
        "permits_dying" => crate::permits::dying::job(&job),
        #[cfg(feature = "probe")]
        "permits_reaping" => crate::permits::dying::reaping_job(&job),
        #[cfg(feature = "probe")]
        "permits_storm" => crate::permits::storm::job(&job),
        role => panic!("{role}"),
    }
    std::process::exit(0);
}
