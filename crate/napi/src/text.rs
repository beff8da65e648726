//! Key bytes: from a JavaScript string to the stack, without loss.
#![expect(unsafe_code, reason = "raw N-API: the generated conversion allocates a String")]

use napi::sys;
use ratethrottle_core::{Encoding, Key, Limiter};
use std::ptr;

/// Longest key in UTF-16 units: 1 MiB of ASCII. Longer ones are refused, never cut.
pub(crate) const MAX_UNITS: usize = 1 << 20;
/// Keys up to here never leave the stack. Longer than addresses, user ids and most tokens.
const STACK: usize = 256;
/// A UTF-16 unit takes at most three bytes of UTF-8, and N-API wants room for a NUL.
const LONGEST: usize = MAX_UNITS * 3 + 1;

/// Why a value is not a key.
pub(crate) enum NotAKey {
    /// Not a string.
    Type,
    /// Longer than [`MAX_UNITS`].
    Long,
}

/// The key that a JavaScript value spells.
///
/// UTF-8 is the cheapest lossless reading, except for lone surrogates, which N-API turns into
/// U+FFFD: two different strings would share a budget. So text that shows a U+FFFD is read again as
/// UTF-16 and hashed as such. The second reading is a function of the string alone, so the same
/// string always gives the same key.
#[inline]
pub(crate) fn key(limiter: &Limiter, env: sys::napi_env, text: sys::napi_value) -> Result<Key, NotAKey> {
    let mut stack = [0_u8; STACK];
    let length = read_utf8(env, text, &mut stack).ok_or(NotAKey::Type)?;
    match stack.get(..length) {
        // A full buffer may be a cut one: N-API does not say.
        Some(bytes) if length < STACK - 4 && !shows_replacement(bytes) => {
            Ok(limiter.key(bytes, Encoding::Utf8))
        }
        _ => long_key(limiter, env, text),
    }
}

#[cold]
fn long_key(limiter: &Limiter, env: sys::napi_env, text: sys::napi_value) -> Result<Key, NotAKey> {
    let units = units(env, text).ok_or(NotAKey::Type)?;
    if units > MAX_UNITS {
        return Err(NotAKey::Long);
    }
    let mut bytes = vec![0_u8; units.saturating_mul(3).saturating_add(1).min(LONGEST)];
    let length = read_utf8(env, text, &mut bytes).ok_or(NotAKey::Type)?;
    let bytes = bytes.get(..length).unwrap_or(&[]);
    if !shows_replacement(bytes) {
        return Ok(limiter.key(bytes, Encoding::Utf8));
    }
    let wide = read_utf16(env, text, units).ok_or(NotAKey::Type)?;
    let bytes: Vec<u8> = wide.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    Ok(limiter.key(&bytes, Encoding::Utf16))
}

/// Whether U+FFFD is among the bytes. Its first byte begins no other common character, so the
/// search is over after one pass for nearly every key.
#[inline]
fn shows_replacement(bytes: &[u8]) -> bool {
    bytes.contains(&0xef) && bytes.windows(3).any(|three| three == [0xef, 0xbf, 0xbd])
}

#[inline]
fn read_utf8(env: sys::napi_env, text: sys::napi_value, into: &mut [u8]) -> Option<usize> {
    let mut length = 0;
    // SAFETY: env and text come from the running callback; the buffer is as long as said, and N-API
    // writes at most that, NUL included.
    let status = unsafe {
        sys::napi_get_value_string_utf8(
            env,
            text,
            into.as_mut_ptr().cast(),
            into.len(),
            &raw mut length,
        )
    };
    (status == sys::Status::napi_ok).then_some(length)
}

fn units(env: sys::napi_env, text: sys::napi_value) -> Option<usize> {
    let mut length = 0;
    // SAFETY: as above; without a buffer only the length is written.
    let status = unsafe {
        sys::napi_get_value_string_utf16(env, text, ptr::null_mut(), 0, &raw mut length)
    };
    (status == sys::Status::napi_ok).then_some(length)
}

fn read_utf16(env: sys::napi_env, text: sys::napi_value, units: usize) -> Option<Vec<u16>> {
    let mut wide = vec![0_u16; units.saturating_add(1)];
    let mut length = 0;
    // SAFETY: as above, counted in 16-bit units.
    let status = unsafe {
        sys::napi_get_value_string_utf16(
            env,
            text,
            wide.as_mut_ptr(),
            wide.len(),
            &raw mut length,
        )
    };
    wide.truncate(length);
    (status == sys::Status::napi_ok).then_some(wide)
}
