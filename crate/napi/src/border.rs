//! The functions JavaScript calls on the way of a request: bare N-API, bound to a limiter.
//!
//! Each is a function object with a pointer to its limiter, so it needs no `this` to find it.
//! The key goes to the stack, the answer comes back as `false` or nothing, details are written to memory
//! that JavaScript reads through a `Float64Array`: nothing is allocated and the border is crossed once.
#![expect(unsafe_code, reason = "raw N-API: the generated bindings cost ten times a decision")]

use crate::burden::Weighs;
use crate::handle::Handle;
use crate::text::{self, Hashes, NotAKey};
use napi::sys;
use ratethrottle_core::{At, Clock, Error, Key, Limiter, MAX_WINDOW_MS, Monotonic, Nanos};
use std::ffi::{CStr, CString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

/// Numbers are whole up to here in JavaScript.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// A function that N-API can call.
pub(crate) type Callback =
    unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// Why a call ends in an exception.
pub(crate) enum Failure {
    Key(NotAKey),
    /// Limits that can't be counted.
    Limits(Error),
    /// An argument that is no whole number from 0 on: its name, and what is accepted.
    Number(&'static str, &'static str),
    Time,
    /// The bytes are no record of a limiter.
    Damaged,
    /// What stands for a record is neither bytes nor undefined.
    Bytes,
    Full,
    Closed,
}

impl Failure {
    pub(crate) const BLOCK_MS: Self =
        Self::Number("ms", "a whole number of milliseconds, 1 to 10 years");
}

/// The time to decide with: ours, or what the caller's clock shows.
pub(crate) enum Time {
    Native,
    Injected(At),
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
    values: [sys::napi_value; 3],
    given: usize,
}

/// One call: the limiter it is bound to, and its arguments.
pub(crate) struct Call<'a, L = Limiter> {
    pub(crate) env: sys::napi_env,
    pub(crate) handle: &'a Handle<L>,
    arguments: &'a Arguments,
}

impl<L> Call<'_, L> {
    /// The arguments as they came; those not given are undefined.
    pub(crate) const fn values(&self) -> [sys::napi_value; 3] {
        self.arguments.values
    }

    /// The second argument: `absent` if not given, else a whole number from 0 to 2^53 - 1.
    #[inline]
    pub(crate) fn number(&self, name: &'static str, absent: u64) -> Result<u64, Failure> {
        let [_, number, _] = self.arguments.values;
        if self.arguments.given < 2 || kind(self.env, number) == sys::ValueType::napi_undefined {
            return Ok(absent);
        }
        whole(self.env, number).ok_or(Failure::Number(name, "a whole number from 0 to 2^53 - 1"))
    }
}

impl<L: Hashes + Weighs> Call<'_, L> {
    /// The first argument; none at all stands for the key of the last `allow` or `check`, see `ts/again.ts`.
    #[inline(always)]
    fn key(&self, limiter: &L) -> Result<Key, Failure> {
        let [key, ..] = self.arguments.values;
        if self.arguments.given == 0 {
            return self.handle.last_key().ok_or(Failure::Key(NotAKey::Type));
        }
        text::key(limiter, self.env, key).map_err(Failure::Key)
    }

    /// The third argument: milliseconds on the caller's clock, or not given for the native clock.
    #[inline]
    fn time(&self) -> Result<Time, Failure> {
        let [.., time] = self.arguments.values;
        if self.arguments.given < 3 {
            return Ok(Time::Native);
        }
        let at = double(self.env, time).and_then(|ms| self.handle.at(ms));
        at.map(Time::Injected).ok_or(Failure::Time)
    }

    /// Key, number and time, and what `act` makes of them.
    #[inline(always)]
    pub(crate) fn run<T>(
        &self,
        (name, absent): (&'static str, u64),
        act: impl FnOnce(&L, Key, u64, &Time) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.handle.burden().is_due() {
            self.handle.look();
        }
        let done = self.handle.with(|limiter| {
            let key = self.key(limiter)?;
            act(limiter, key, self.number(name, absent)?, &self.time()?)
        });
        done.unwrap_or(Err(Failure::Closed))
    }
}

#[inline(always)]
fn allow(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let allowed = match time {
            Time::Native => limiter.allow(key, cost, &Monotonic),
            Time::Injected(at) => limiter.allow(key, cost, at),
        };
        call.handle.remember_key(key);
        Ok(Some(allowed))
    })
}

#[inline(always)]
fn check(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let decision = match time {
            Time::Native => limiter.check(key, cost, &Monotonic),
            Time::Injected(at) => limiter.check(key, cost, at),
        };
        call.handle.remember_key(key);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn take(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let decision = limiter.take(key, cost, time);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn pace(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let decision = limiter.pace(key, cost, time);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn peek(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let decision = limiter.peek(key, cost, time);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn standing(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.run(("index", 0), |limiter, key, index, time| {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let standing = limiter.standing(key, index, time);
        call.handle.write_standing(standing.unwrap_or_default());
        Ok(None)
    })
}

fn refund(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.run(("units", 1), |limiter, key, units, time| {
        limiter.refund(key, units, time);
        Ok(None)
    })
}

fn reset(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.run(("key", 1), |limiter, key, _, _| {
        limiter.reset(key);
        Ok(None)
    })
}

fn block(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.run(("ms", 0), |limiter, key, ms, time| {
        if ms == 0 || ms > MAX_WINDOW_MS {
            return Err(Failure::BLOCK_MS);
        }
        if limiter.block(key, ms, time) { Ok(None) } else { Err(Failure::Full) }
    })
}

fn stats(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.handle.with(|limiter| call.handle.write_stats(limiter)).ok_or(Failure::Closed)?;
    Ok(None)
}

fn renew(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    let tie = call.handle.renew().ok_or(Failure::Closed)?;
    call.handle.write_tie(tie);
    Ok(None)
}

#[expect(clippy::unnecessary_wraps, reason = "all of these have one shape")]
fn close(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    call.handle.close();
    Ok(None)
}

/// Makes a callback of each function, and the list of what a limiter offers.
macro_rules! exports {
    ($($name:ident),*) => {
        mod exported {
            use napi::sys;
            $(pub(super) unsafe extern "C" fn $name(
                env: sys::napi_env,
                info: sys::napi_callback_info,
            ) -> sys::napi_value {
                $crate::border::answer(env, info, super::$name)
            })*
        }
        /// Every function of a limiter, by name.
        pub(crate) const FUNCTIONS: &[(&std::ffi::CStr, $crate::border::Callback)] = &[
            $((
                match std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => c"",
                },
                exported::$name,
            )),*
        ];
    };
}

pub(crate) use exports;

exports!(allow, check, take, pace, peek, standing, refund, reset, block, stats, renew, close);

/// What a function answers, as a value of JavaScript.
pub(crate) trait Answer {
    fn value(self, env: sys::napi_env) -> sys::napi_value;
}

impl Answer for Option<bool> {
    /// Making a boolean takes a call into Node, returning nothing does not: "no objection".
    #[inline(always)]
    fn value(self, env: sys::napi_env) -> sys::napi_value {
        match self {
            Some(true) | None => ptr::null_mut(),
            Some(false) => boolean(env, false),
        }
    }
}

/// Reads the call, runs `act`, and turns what comes of it into a value or an exception.
///
/// A panic stops here: unwinding into V8 would take the whole server down.
#[inline(always)]
pub(crate) fn answer<L, A: Answer>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    act: impl Fn(&Call<'_, L>) -> Result<A, Failure>,
) -> sys::napi_value {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        crate::probe::panic_if_armed();
        let mut arguments = Arguments { values: [ptr::null_mut(); 3], given: 3 };
        let Some(handle) = read(env, info, &mut arguments) else { return ptr::null_mut() };
        let call = Call { env, handle, arguments: &arguments };
        match act(&call) {
            Ok(answer) => answer.value(env),
            Err(failure) => throw(&call, &failure),
        }
    }));
    outcome.unwrap_or_else(|_| {
        raise(env, Raise::Error, c"INTERNAL", "ratethrottle: a bug, please report it")
    })
}

#[inline(always)]
fn read<'a, L>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    arguments: &mut Arguments,
) -> Option<&'a Handle<L>> {
    let mut data = ptr::null_mut();
    // SAFETY: env and info are the running callback's; at most three arguments are written.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut arguments.given,
            arguments.values.as_mut_ptr(),
            ptr::null_mut(),
            &raw mut data,
        )
    };
    // SAFETY: the data pointer is the `Rc<Handle<L>>` given to `bind`, which the function owns until
    // its finalizer runs, and a function that is being called has not been finalized.
    let handle = unsafe { data.cast::<Handle<L>>().as_ref() }?;
    (status == sys::Status::napi_ok).then_some(handle)
}

/// A JavaScript function that calls `callback` with the handle, and owns a share of it.
///
/// The callback has to be one for handles of `L`.
pub(crate) fn bind<L>(
    env: sys::napi_env,
    name: &CStr,
    callback: Callback,
    handle: &Rc<Handle<L>>,
) -> Option<sys::napi_value> {
    let data = Rc::into_raw(Rc::clone(handle)).cast_mut().cast();
    let mut function = ptr::null_mut();
    let length = isize::try_from(name.count_bytes()).ok()?;
    // SAFETY: the name outlives the call, and the callback treats `data` as the handle it is.
    let made = unsafe {
        sys::napi_create_function(
            env,
            name.as_ptr(),
            length,
            Some(callback),
            data,
            &raw mut function,
        )
    };
    // SAFETY: the function was just made; `release` is called once, at its end or the env's.
    let owned = unsafe {
        sys::napi_add_finalizer(
            env,
            function,
            data,
            Some(release::<L>),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    (made == sys::Status::napi_ok && owned == sys::Status::napi_ok).then_some(function)
}

/// A function that does nothing but answer: what crossing the border costs.
pub(crate) fn empty(env: sys::napi_env) -> Option<sys::napi_value> {
    unsafe extern "C" fn answer(env: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
        boolean(env, true)
    }
    let mut function = ptr::null_mut();
    // SAFETY: no name and no data; the callback uses neither.
    let made = unsafe {
        sys::napi_create_function(
            env,
            ptr::null(),
            0,
            Some(answer),
            ptr::null_mut(),
            &raw mut function,
        )
    };
    (made == sys::Status::napi_ok).then_some(function)
}

/// Gives up a function's share of the handle, when it is collected or its environment ends.
unsafe extern "C" fn release<L>(
    _: sys::napi_env,
    data: *mut std::ffi::c_void,
    _: *mut std::ffi::c_void,
) {
    // SAFETY: made by `Rc::into_raw` in `bind`, on this thread, and released once.
    drop(unsafe { Rc::from_raw(data.cast::<Handle<L>>().cast_const()) });
}

#[inline]
fn boolean(env: sys::napi_env, value: bool) -> sys::napi_value {
    let mut result = ptr::null_mut();
    // SAFETY: env is the running callback's; on failure the result stays null, which is undefined.
    let _ = unsafe { sys::napi_get_boolean(env, value, &raw mut result) };
    result
}

pub(crate) fn kind(env: sys::napi_env, value: sys::napi_value) -> sys::napi_valuetype {
    let mut kind = sys::ValueType::napi_undefined;
    // SAFETY: both are the running callback's.
    let _ = unsafe { sys::napi_typeof(env, value, &raw mut kind) };
    kind
}

pub(crate) fn double(env: sys::napi_env, value: sys::napi_value) -> Option<f64> {
    let mut number = 0.0;
    // SAFETY: both are the running callback's.
    let status = unsafe { sys::napi_get_value_double(env, value, &raw mut number) };
    (status == sys::Status::napi_ok).then_some(number)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and from 0 to 2^53 - 1, as just checked"
)]
fn whole(env: sys::napi_env, value: sys::napi_value) -> Option<u64> {
    let number = double(env, value)?;
    let is_whole = number.trunc().to_bits() == number.to_bits();
    ((0.0..=MAX_SAFE).contains(&number) && is_whole).then_some(number as u64)
}

/// Which of JavaScript's errors.
#[derive(Clone, Copy)]
enum Raise {
    Error,
    Range,
    Type,
}

#[cold]
fn throw<L>(call: &Call<'_, L>, failure: &Failure) -> sys::napi_value {
    let [key, number, time] = call.arguments.values;
    let env = call.env;
    let invalid = |name: &str, value, expected: &str| {
        let kind = match kind(env, value) {
            sys::ValueType::napi_number => Raise::Range,
            _ => Raise::Type,
        };
        let shown = shown(env, value);
        raise(env, kind, c"INVALID_ARGUMENT", &format!("{name}: {shown}; expected {expected}"))
    };
    match failure {
        Failure::Key(NotAKey::Long) => raise(
            env,
            Raise::Range,
            c"INVALID_ARGUMENT",
            "key: a string of over 1048576 characters; expected a string of at most so many",
        ),
        Failure::Key(NotAKey::Type) => {
            let shown = shown(env, key);
            let message = format!("key: {shown}; expected a string of at most 1048576 characters");
            raise(env, Raise::Type, c"INVALID_ARGUMENT", &message)
        }
        Failure::Limits(error) => {
            let code = CString::new(error.code()).unwrap_or_default();
            raise(env, Raise::Range, &code, &error.to_string())
        }
        Failure::Number(name, expected) => invalid(name, number, expected),
        Failure::Time => {
            invalid("clock.now()", time, "milliseconds from 0 on, as a number below 2^63 ns")
        }
        Failure::Damaged => raise(
            env,
            Raise::Error,
            c"RECORD_DAMAGED",
            "the store's value must be a record of this limiter, got other bytes",
        ),
        Failure::Bytes => {
            let shown = shown(env, key);
            let message = format!("record must be a Uint8Array or undefined, got {shown}");
            raise(env, Raise::Type, c"INVALID_ARGUMENT", &message)
        }
        Failure::Full => raise(
            env,
            Raise::Error,
            c"TABLE_FULL",
            "block: every slot this key may use holds a blocked key; use a larger capacity",
        ),
        Failure::Closed => {
            raise(env, Raise::Error, c"CLOSED", "the limiter is closed; make a new one")
        }
    }
}

/// A value for an error message: numbers as they are, anything else by its type.
fn shown(env: sys::napi_env, value: sys::napi_value) -> String {
    let name = match kind(env, value) {
        sys::ValueType::napi_undefined => "undefined",
        sys::ValueType::napi_null => "null",
        sys::ValueType::napi_boolean => "a boolean",
        sys::ValueType::napi_string => "a string",
        sys::ValueType::napi_symbol => "a symbol",
        sys::ValueType::napi_function => "a function",
        sys::ValueType::napi_bigint => "a bigint",
        sys::ValueType::napi_number => {
            return double(env, value).map_or_else(String::new, |number| match number {
                number if number.is_infinite() => {
                    format!("{}Infinity", if number < 0.0 { "-" } else { "" })
                }
                number => number.to_string(),
            });
        }
        _ => "an object",
    };
    name.to_owned()
}

#[cold]
fn raise(env: sys::napi_env, kind: Raise, code: &CStr, message: &str) -> sys::napi_value {
    let message = CString::new(message).unwrap_or_default();
    let (code, message) = (code.as_ptr(), message.as_ptr());
    let _ = match kind {
        // SAFETY: env is the running callback's, and both strings end in NUL and outlive the call.
        Raise::Error => unsafe { sys::napi_throw_error(env, code, message) },
        // SAFETY: as above.
        Raise::Range => unsafe { sys::napi_throw_range_error(env, code, message) },
        // SAFETY: as above.
        Raise::Type => unsafe { sys::napi_throw_type_error(env, code, message) },
    };
    ptr::null_mut()
}
