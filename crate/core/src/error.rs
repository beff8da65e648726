//! What can be wrong with a limiter before it exists.

use std::fmt;

/// Why a limiter could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No limits, or more than a limiter takes.
    Limits(usize),
    /// A count outside `1 ..= 1_000_000_000`.
    Count(u64),
    /// A window outside `1 ms ..= 10 years`.
    Window(u64),
    /// A burst outside `1 ..= 1_000_000_000`, or where nothing can burst.
    Burst(u64),
    /// `count` per `window_ms` does not fit the state word of `algorithm`.
    TooLarge { algorithm: &'static str, count: u64, window_ms: u64 },
    /// An algorithm of a name that there is none of.
    Algorithm { got: String, accepted: String },
    /// A capacity outside `1 ..= 134_217_728` keys.
    Capacity(u64),
    /// The memory could not be had.
    Memory { bytes: usize },
    /// The system gave no random bytes for the hash key.
    Random,
    /// A limiter of this name exists in the process, with other settings.
    Name,
    /// The table that processes share could not be had.
    Shared(Box<Shared>),
}

/// Why there is no shared table: what is in the way, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// Where.
    pub path: String,
    /// What was found there, or what the system said.
    pub what: String,
}

/// The kinds of trouble with a shared table, each with a code that programs can compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No shared tables on this system yet.
    Unavailable,
    /// A file or directory that this user's own processes can't have left there like that.
    Untrusted,
    /// A sound file whose users count on another clock or with another layout.
    Mismatch,
    /// No room for the whole of it.
    NoSpace,
    /// The system refused something else.
    Failed,
    /// It is not to be removed while processes are attached to it.
    InUse,
    /// There is none of this name.
    Missing,
}

impl Trouble {
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

    const fn advice(self) -> &'static str {
        match self {
            Self::Unavailable => "use \"memory:\", or Redis",
            Self::Untrusted => {
                "look at who made it, then remove it (npx ratethrottle shared remove)"
            }
            Self::Mismatch => "use another name, or stop the processes that use this one",
            Self::NoSpace => "use a smaller capacity, or give it more room (docker run --shm-size)",
            Self::Failed => "the shared tier needs /proc, and /dev/shm as a tmpfs",
            Self::InUse => "stop the processes that use it first",
            Self::Missing => "npx ratethrottle shared list shows those there are",
        }
    }
}

impl Error {
    /// A stable name for programs to compare with.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Limits(_) | Self::Count(_) | Self::Window(_) | Self::TooLarge { .. } => {
                "INVALID_LIMIT"
            }
            Self::Burst(_) | Self::Algorithm { .. } | Self::Capacity(_) => "INVALID_OPTION",
            Self::Memory { .. } => "OUT_OF_MEMORY",
            Self::Random => "NO_RANDOM_BYTES",
            Self::Name => "NAME_IN_USE",
            Self::Shared(shared) => shared.trouble.code(),
        }
    }
}

#[cfg(not(loom))]
impl Shared {
    /// The error.
    pub(crate) fn error(trouble: Trouble, path: String, what: impl Into<String>) -> Error {
        Error::Shared(Box::new(Self { trouble, path, what: what.into() }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(n) => write!(f, "limits: {n} limits; expected 1 to 16"),
            Self::Count(n) => write!(f, "limits: a count of {n}; expected 1 to 1000000000"),
            Self::Window(ms) => {
                write!(f, "limits: a window of {ms} ms; expected 1 ms to 10 years")
            }
            Self::Burst(n) => write!(
                f,
                "burst: {n}; expected a whole number from 1 to 1000000000, with token-bucket or \
                 leaky-bucket"
            ),
            // Debug: a text of the caller's is quoted and escaped.
            Self::Algorithm { got, accepted } => {
                write!(f, "algorithm must be one of {accepted}, got {got:?}")
            }
            Self::TooLarge { algorithm, count, window_ms } => {
                let other = match *algorithm {
                    "token-bucket" => "a count that has a divisor in common with the window",
                    _ => "token-bucket",
                };
                write!(
                    f,
                    "limits: {count} per {window_ms} ms is more than {algorithm} can count \
                     exactly; use a smaller count, a shorter window or {other}"
                )
            }
            Self::Capacity(n) => {
                write!(f, "capacity: {n}; expected a whole number from 1 to 134217728")
            }
            Self::Memory { bytes } => {
                write!(f, "capacity: no memory for {bytes} bytes; use a smaller capacity")
            }
            Self::Random => write!(f, "the system gave no random bytes for the hash key"),
            Self::Name => write!(
                f,
                "name: a limiter of this name exists in this process with other limits, algorithm, \
                 burst, blockFor or capacity; use the same settings or another name"
            ),
            Self::Shared(shared) => {
                let Shared { trouble, path, what } = &**shared;
                write!(f, "shared: {path}: {what}; {}", trouble.advice())
            }
        }
    }
}

impl std::error::Error for Error {}
