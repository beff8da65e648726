//! The arguments of a call: key, number and time.

use crate::external_memory::MemoryUse;
use crate::handle::Handle;
use crate::key::{self, HashKey, KeyError};
use crate::throw::CallError;
use crate::values::{double, kind, whole};
use napi::sys;
use ratethrottle_core::{Clock, FixedTime, Key, Monotonic, Nanos, RawLimiter};
use std::ptr;

/// The time to decide with: the native clock's, or what the caller's clock shows.
pub(crate) enum Time {
    Native,
    Injected(FixedTime),
}

impl Clock for Time {
    #[inline]
    fn now(&self) -> Nanos {
        match self {
            Self::Native => Monotonic.now(),
            Self::Injected(at) => at.now(),
        }
    }
}

/// What JavaScript passed: key, number, time, as far as given. N-API writes it in place, and it stays
/// there: copying what was just written piecemeal stalls the processor for as long as hashing a key.
pub(crate) struct Arguments {
    pub(crate) values: [sys::napi_value; 3],
    pub(crate) given: usize,
}

impl Arguments {
    /// Room for three arguments.
    pub(crate) const fn new() -> Self {
        Self { values: [ptr::null_mut(); 3], given: 3 }
    }
}

/// One call: the limiter it is bound to, and its arguments.
pub(crate) struct Call<'a, L = RawLimiter> {
    pub(crate) env: sys::napi_env,
    pub(crate) handle: &'a Handle<L>,
    pub(crate) arguments: &'a Arguments,
}

impl<L> Call<'_, L> {
    /// Whether it is about one unit, now: neither a cost nor a time is given.
    #[inline(always)]
    pub(crate) const fn is_plain(&self) -> bool {
        self.arguments.given < 2
    }

    /// The second argument: `absent` if not given, else a whole number from 0 to 2^53 - 1.
    #[inline]
    pub(crate) fn number(&self, name: &'static str, absent: u64) -> Result<u64, CallError> {
        let [_, number, _] = self.arguments.values;
        if self.arguments.given < 2 || kind(self.env, number) == sys::ValueType::napi_undefined {
            return Ok(absent);
        }
        whole(self.env, number).ok_or(CallError::Number(name, "a whole number from 0 to 2^53 - 1"))
    }
}

impl<L: HashKey + MemoryUse> Call<'_, L> {
    /// The first argument. A call without arguments is for the key of the last `allow` or `check`, as
    /// `RateLimiter` makes it for a key that has not changed.
    #[inline(always)]
    fn key(&self, limiter: &L) -> Result<Key, CallError> {
        let [key, ..] = self.arguments.values;
        if self.arguments.given == 0 {
            return self.handle.last_key().ok_or(CallError::Key(KeyError::Type));
        }
        key::read(limiter, self.env, key).map_err(CallError::Key)
    }

    /// The third argument: milliseconds on the caller's clock, or not given for the native clock.
    #[inline]
    fn time(&self) -> Result<Time, CallError> {
        let [.., time] = self.arguments.values;
        if self.arguments.given < 3 {
            return Ok(Time::Native);
        }
        let at = double(self.env, time).and_then(|ms| self.handle.at(ms));
        at.map(Time::Injected).ok_or(CallError::Time)
    }

    /// As [`Self::run`], for a plain call. Remembers the key.
    #[inline(always)]
    pub(crate) fn run_plain<T>(
        &self,
        act: impl FnOnce(&L, Key) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        if self.handle.memory().is_due() {
            self.handle.measure();
        }
        let done = self.handle.with(|limiter| {
            let key = self.key(limiter)?;
            let done = act(limiter, key);
            self.handle.remember_key(key);
            done
        });
        done.unwrap_or(Err(CallError::Closed))
    }

    /// Reads key, number and time, and runs `act` with them.
    #[inline(always)]
    pub(crate) fn run<T>(
        &self,
        (name, absent): (&'static str, u64),
        act: impl FnOnce(&L, Key, u64, &Time) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        if self.handle.memory().is_due() {
            self.handle.measure();
        }
        let done = self.handle.with(|limiter| {
            let key = self.key(limiter)?;
            act(limiter, key, self.number(name, absent)?, &self.time()?)
        });
        done.unwrap_or(Err(CallError::Closed))
    }
}
