//! Reading JavaScript values that are no strings.
#![expect(unsafe_code, reason = "raw N-API: the generated bindings cost ten times a decision")]

use crate::function::Answer;
use napi::sys;
use std::ptr;

/// Numbers are whole up to here in JavaScript.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// The type of a value.
pub(crate) fn kind(env: sys::napi_env, value: sys::napi_value) -> sys::napi_valuetype {
    let mut kind = sys::ValueType::napi_undefined;
    // SAFETY: both are the running callback's.
    let _ = unsafe { sys::napi_typeof(env, value, &raw mut kind) };
    kind
}

/// A number; `None` for any other type.
pub(crate) fn double(env: sys::napi_env, value: sys::napi_value) -> Option<f64> {
    let mut number = 0.0;
    // SAFETY: both are the running callback's.
    let status = unsafe { sys::napi_get_value_double(env, value, &raw mut number) };
    (status == sys::Status::napi_ok).then_some(number)
}

/// A whole number from 0 to 2^53 - 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and from 0 to 2^53 - 1, as just checked"
)]
pub(crate) fn whole(env: sys::napi_env, value: sys::napi_value) -> Option<u64> {
    let number = double(env, value)?;
    let is_whole = number.trunc().to_bits() == number.to_bits();
    ((0.0..=MAX_SAFE).contains(&number) && is_whole).then_some(number as u64)
}

/// Text that becomes a string of JavaScript.
pub(crate) struct Text(pub(crate) String);

impl Answer for Text {
    fn value(self, env: sys::napi_env) -> sys::napi_value {
        let mut value = ptr::null_mut();
        let length = self.0.len().cast_signed();
        // SAFETY: env is the running callback's, and the text lives until it has been copied.
        let status = unsafe {
            sys::napi_create_string_utf8(env, self.0.as_ptr().cast(), length, &raw mut value)
        };
        if status == sys::Status::napi_ok { value } else { ptr::null_mut() }
    }
}
