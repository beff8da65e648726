//! What can be wrong with a limiter before it exists.

use std::fmt;
use std::time::Duration;

/// Why a limiter could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No limits, or more than 16.
    Limits(usize),
    /// A count outside `1 ..= 1_000_000_000`.
    Count(u64),
    /// A window outside `1 ms ..= 10 years`, in milliseconds.
    Window(u64),
    /// A window that is no whole number of milliseconds.
    Resolution(Duration),
    /// A burst outside `1 ..= 1_000_000_000`, or with an algorithm that has no burst.
    Burst(u64),
    /// A limit that does not fit the algorithm's state word.
    TooLarge {
        /// The algorithm's name.
        algorithm: &'static str,
        /// Units per window.
        count: u64,
        /// The window in milliseconds.
        window_ms: u64,
        /// A smaller count that fits, if there is a round one.
        suggested: Option<u64>,
    },
    /// A name that no algorithm has.
    Algorithm(String),
    /// A capacity outside `1 ..= 134_217_728` keys.
    Capacity(u64),
    /// The allocator has no memory for this many bytes.
    Memory {
        /// The bytes that were asked for.
        bytes: usize,
    },
    /// The system gave no random bytes for the hash key.
    Random,
    /// A limiter of this name exists in the process, with other settings.
    Name,
    /// The table that processes share could not be opened.
    Shared(Box<SharedError>),
}

/// Why there is no shared table: the kind of problem, where it is, and what was found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedError {
    /// The kind of problem.
    pub kind: SharedErrorKind,
    /// The file or directory.
    pub path: String,
    /// What was found there, or what the system reported.
    pub reason: String,
}

/// The kinds of problems with a shared table, each with a code for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedErrorKind {
    /// This system, or this build, has no shared tables.
    Unavailable,
    /// A file or directory that this user's own processes can't have left there like that.
    Untrusted,
    /// A valid file whose users count on another clock or with another layout.
    Mismatch,
    /// No room for the whole file.
    NoSpace,
    /// The system reported another error.
    Failed,
    /// The file must not be removed while processes are attached to it.
    InUse,
    /// There is no file of this name.
    Missing,
}

impl SharedErrorKind {
    const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "NOT_AVAILABLE",
            Self::Untrusted => "SHARED_UNTRUSTED",
            Self::Mismatch => "SHARED_MISMATCH",
            Self::NoSpace => "SHARED_NO_SPACE",
            Self::Failed => "SHARED_FAILED",
            Self::InUse => "SHARED_IN_USE",
            Self::Missing => "SHARED_MISSING",
        }
    }

    const fn advice(self) -> Option<&'static str> {
        match self {
            Self::Unavailable => Some("use a limiter in memory, or one in Redis"),
            Self::Untrusted => Some("find out who made it, then remove it"),
            Self::Mismatch => Some("use another name, or stop the processes that use this one"),
            Self::NoSpace => Some("use a smaller capacity, or give it more room"),
            Self::Failed => Some("the shared tier needs /proc, and /dev/shm as a tmpfs"),
            Self::InUse => Some("stop the processes that use it first"),
            Self::Missing => None,
        }
    }
}

impl Error {
    /// A stable code for programs to compare with.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Limits(_)
            | Self::Count(_)
            | Self::Window(_)
            | Self::Resolution(_)
            | Self::TooLarge { .. } => "INVALID_LIMIT",
            Self::Burst(_) | Self::Algorithm(_) | Self::Capacity(_) => "INVALID_OPTION",
            Self::Memory { .. } => "OUT_OF_MEMORY",
            Self::Random => "NO_RANDOM_BYTES",
            Self::Name => "NAME_IN_USE",
            Self::Shared(shared) => shared.kind.code(),
        }
    }

    /// The same error with a smaller count that `fits`, if it is about a count.
    #[cfg(not(loom))]
    pub(crate) fn suggesting(self, fits: impl Fn(u64) -> bool) -> Self {
        match self {
            Self::TooLarge { algorithm, count, window_ms, .. } => {
                let suggested = round_counts(count).find(|&count| fits(count));
                Self::TooLarge { algorithm, count, window_ms, suggested }
            }
            error => error,
        }
    }
}

/// Rounder and rounder counts below this one: 1234 gives 1230, 1200, 1000, 100, 10, 1.
#[cfg(not(loom))]
fn round_counts(count: u64) -> impl Iterator<Item = u64> {
    let powers = || std::iter::successors(Some(10_u64), |power| power.checked_mul(10));
    let rounded = powers()
        .take_while(move |&power| power <= count)
        .map(move |power| count.saturating_sub(count.checked_rem(power).unwrap_or(0)));
    let smaller = std::iter::successors(count.checked_ilog10(), |digits| digits.checked_sub(1));
    rounded.chain(smaller.map(|digits| 10_u64.saturating_pow(digits)))
}

#[cfg(not(loom))]
impl SharedError {
    pub(crate) fn error(kind: SharedErrorKind, path: String, reason: impl Into<String>) -> Error {
        Error::Shared(Box::new(Self { kind, path, reason: reason.into() }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(n) => write!(f, "limits must be 1 to 16 limits, got {n}"),
            Self::Count(n) => {
                write!(f, "count must be a whole number from 1 to 1000000000, got {n}")
            }
            Self::Window(ms) => write!(f, "window must be 1 ms to 10 years, got {ms} ms"),
            Self::Resolution(window) => {
                write!(f, "window must be a whole number of milliseconds, got {window:?}")
            }
            Self::Burst(n) => write!(
                f,
                "burst must be a whole number from 1 to 1000000000, with token-bucket or \
                 leaky-bucket only, got {n}"
            ),
            Self::Algorithm(name) => {
                write!(f, "algorithm must be one of {AlgorithmNames}, got {name:?}")
            }
            Self::TooLarge { algorithm, count, window_ms, suggested } => {
                write!(f, "limits must be exact with {algorithm}, got {count} per {window_ms} ms")?;
                match suggested {
                    Some(fitting) => write!(f, "; try {fitting} per {window_ms} ms"),
                    None => write!(f, "; use a shorter window"),
                }
            }
            Self::Capacity(n) => {
                write!(f, "capacity must be a whole number from 1 to 134217728, got {n}")
            }
            Self::Memory { bytes } => {
                write!(f, "capacity must fit the memory, got {bytes} bytes; use a smaller capacity")
            }
            Self::Random => write!(f, "the system gave no random bytes for the hash key"),
            Self::Name => write!(
                f,
                "name must be unique, or have the same settings: a limiter of this name exists in \
                 this process with other limits, algorithm, burst, block or capacity"
            ),
            Self::Shared(shared) => shared.fmt(f),
        }
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path, reason } = self;
        write!(f, "shared: {path}: {reason}")?;
        kind.advice().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

/// The names of all algorithms, with commas.
struct AlgorithmNames;

impl fmt::Display for AlgorithmNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = crate::algorithm::AlgorithmKind::ALL.iter().map(|kind| kind.name());
        f.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}

impl std::error::Error for Error {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_become_rounder() {
        let counts: Vec<u64> = round_counts(1_234).collect();
        assert_eq!(counts, [1_230, 1_200, 1_000, 1_000, 100, 10, 1]);
    }
}
