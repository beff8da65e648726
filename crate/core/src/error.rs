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
    /// A burst below the count it belongs to, above the largest count, or where nothing can burst.
    Burst(u64),
    /// `count` per `window_ms` does not fit the state word of `algorithm`.
    TooLarge { algorithm: &'static str, count: u64, window_ms: u64 },
    /// A capacity outside `1 ..= 134_217_728` keys.
    Capacity(u64),
    /// The memory could not be had.
    Memory { bytes: usize },
    /// The system gave no random bytes for the hash key.
    Random,
    /// A limiter of this name exists in the process, with other settings.
    Name,
}

impl Error {
    /// A stable name for programs to compare with.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Limits(_) | Self::Count(_) | Self::Window(_) | Self::TooLarge { .. } => {
                "INVALID_LIMIT"
            }
            Self::Burst(_) | Self::Capacity(_) => "INVALID_OPTION",
            Self::Memory { .. } => "OUT_OF_MEMORY",
            Self::Random => "NO_RANDOM_BYTES",
            Self::Name => "NAME_IN_USE",
        }
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
                "burst: {n}; expected a whole number from the count of the shortest limit to \
                 1000000000, with token-bucket or leaky-bucket"
            ),
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
        }
    }
}

impl std::error::Error for Error {}
