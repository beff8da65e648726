//! JavaScript's exceptions: which one, with which code, and in which words.
#![expect(unsafe_code, reason = "raw N-API throws exceptions")]

use crate::key::KeyError;
use crate::values::{double, kind};
use napi::sys;
use ratethrottle_core::{Error, SharedErrorKind};
use std::ffi::{CStr, CString};
use std::ptr;

/// Why a call ends in an exception.
pub(crate) enum CallError {
    /// The key argument is none.
    Key(KeyError),
    /// Limits that can't be counted.
    Limits(Error),
    /// An argument that is no whole number from 0 on: its name, and what is accepted.
    Number(&'static str, &'static str),
    Time,
    /// The bytes are no record of a limiter.
    Damaged,
    /// What is passed as a record is neither bytes nor undefined.
    Bytes,
    Full,
    Closed,
}

impl CallError {
    pub(crate) const BLOCK_MS: Self =
        Self::Number("ms", "a whole number of milliseconds, 1 to 10 years");
}

/// Which of JavaScript's error classes.
#[derive(Clone, Copy)]
pub(crate) enum ErrorClass {
    Error,
    Range,
    Type,
}

/// An error of `open` and of the command line's functions, with advice for users of this package.
#[expect(clippy::needless_pass_by_value, reason = "as map_err passes it")]
pub(crate) fn report(error: Error) -> napi::Error<&'static str> {
    let hint = match &error {
        Error::Shared(shared) => match shared.kind {
            SharedErrorKind::Unavailable => "; use the storage \"memory:\", or Redis",
            SharedErrorKind::Untrusted => " (npx ratethrottle shared remove)",
            SharedErrorKind::NoSpace => " (docker run --shm-size)",
            SharedErrorKind::Missing => "; npx ratethrottle shared list shows the existing ones",
            _ => "",
        },
        _ => "",
    };
    napi::Error::new(error.code(), format!("{error}{hint}"))
}

pub(crate) fn refused() -> napi::Error<&'static str> {
    napi::Error::new("INTERNAL", "Node refused to make a function")
}

/// Throws the error of a call with these arguments: key, number, time.
#[cold]
pub(crate) fn throw(
    env: sys::napi_env,
    [key, number, time]: [sys::napi_value; 3],
    error: &CallError,
) -> sys::napi_value {
    let argument = c"INVALID_ARGUMENT";
    match error {
        CallError::Key(KeyError::Type) => {
            // A number is of the wrong type here, not out of range.
            let got = shown(env, key);
            let message = format!("key must be a string of at most 1048576 characters, got {got}");
            raise(env, ErrorClass::Type, argument, &message)
        }
        CallError::Key(KeyError::Long(units)) => {
            let message = format!("key must be at most 1048576 characters, got {units}");
            raise(env, ErrorClass::Range, argument, &message)
        }
        CallError::Number(name, accepted) => invalid(env, name, accepted, number),
        CallError::Time => {
            let accepted = "milliseconds from 0 on, as a number below 2^63 ns";
            invalid(env, "clock.now()", accepted, time)
        }
        CallError::Bytes => {
            let got = shown(env, key);
            let message = format!("record must be a Uint8Array or undefined, got {got}");
            raise(env, ErrorClass::Type, argument, &message)
        }
        CallError::Limits(error) => {
            let code = CString::new(error.code()).unwrap_or_default();
            raise(env, ErrorClass::Range, &code, &error.to_string())
        }
        CallError::Damaged => raise(env, ErrorClass::Error, c"RECORD_DAMAGED", DAMAGED),
        CallError::Full => raise(env, ErrorClass::Error, c"TABLE_FULL", FULL),
        CallError::Closed => raise(env, ErrorClass::Error, c"CLOSED", CLOSED),
    }
}

const DAMAGED: &str = "the store's value must be a record of this limiter, got other bytes";
const FULL: &str = "block: every slot this key may use holds a blocked key; use a larger capacity";
const CLOSED: &str = "the limiter is closed; make a new one";

/// An argument of the wrong type, or a number out of range.
fn invalid(
    env: sys::napi_env,
    name: &str,
    accepted: &str,
    value: sys::napi_value,
) -> sys::napi_value {
    let class = match kind(env, value) {
        sys::ValueType::napi_number => ErrorClass::Range,
        _ => ErrorClass::Type,
    };
    let message = format!("{name} must be {accepted}, got {}", shown(env, value));
    raise(env, class, c"INVALID_ARGUMENT", &message)
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
pub(crate) fn raise(
    env: sys::napi_env,
    class: ErrorClass,
    code: &CStr,
    message: &str,
) -> sys::napi_value {
    let message = CString::new(message).unwrap_or_default();
    let (code, message) = (code.as_ptr(), message.as_ptr());
    let _ = match class {
        // SAFETY: env is the running callback's, and both strings end in NUL and outlive the call.
        ErrorClass::Error => unsafe { sys::napi_throw_error(env, code, message) },
        // SAFETY: as above.
        ErrorClass::Range => unsafe { sys::napi_throw_range_error(env, code, message) },
        // SAFETY: as above.
        ErrorClass::Type => unsafe { sys::napi_throw_type_error(env, code, message) },
    };
    ptr::null_mut()
}
