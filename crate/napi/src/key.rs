//! Key bytes: from a JavaScript string to the stack, without loss.
#![expect(unsafe_code, reason = "raw N-API: the generated conversion allocates a String")]

use napi::sys;
use ratethrottle_core::{Encoding, Key, RawLimiter};
use std::mem::MaybeUninit;
use std::ptr;

/// Longest key in UTF-16 units: 1 MiB of ASCII. Longer ones are refused, never cut.
const MAX_UNITS: usize = 1 << 20;
/// Keys up to here never leave the stack. Longer than addresses, user ids and most tokens.
const STACK: usize = 256;
/// A UTF-16 unit takes at most three bytes of UTF-8, and N-API wants room for a NUL.
const LONGEST: usize = MAX_UNITS * 3 + 1;

/// Why a value is not a key.
pub(crate) enum KeyError {
    /// Not a string.
    Type,
    /// Longer than [`MAX_UNITS`]: its length.
    Long(usize),
}

/// A limiter, as far as it hashes keys.
pub(crate) trait HashKey {
    fn key(&self, bytes: &[u8], encoding: Encoding) -> Key;
}

impl HashKey for RawLimiter {
    #[inline(always)]
    fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        Self::key(self, bytes, encoding)
    }
}

/// The key in a JavaScript value.
///
/// UTF-8 is the cheapest lossless reading, except for lone surrogates, which N-API turns into
/// U+FFFD: two different strings would share a budget. So text that shows a U+FFFD is read again as
/// UTF-16 and hashed as such. The second reading is a function of the string alone, so the same
/// string always gives the same key.
///
/// Reading UTF-16 and narrowing it would need no second reading. It is 5 ns slower on Node 24 and 4 ns faster on
/// Node 20, for a whole call.
#[inline(always)]
pub(crate) fn read(
    limiter: &impl HashKey,
    env: sys::napi_env,
    text: sys::napi_value,
) -> Result<Key, KeyError> {
    // Not zeroed: that would cost as much as hashing the key.
    let mut stack = [MaybeUninit::<u8>::uninit(); STACK];
    let bytes = read_utf8(env, text, &mut stack).ok_or(KeyError::Type)?;
    // A full buffer may be a cut one: N-API does not say.
    if bytes.len() < STACK - 4 && (bytes.is_ascii() || !shows_replacement(bytes)) {
        return Ok(limiter.key(bytes, Encoding::Utf8));
    }
    long_key(limiter, env, text)
}

#[cold]
fn long_key(
    limiter: &impl HashKey,
    env: sys::napi_env,
    text: sys::napi_value,
) -> Result<Key, KeyError> {
    let units = units(env, text).ok_or(KeyError::Type)?;
    if units > MAX_UNITS {
        return Err(KeyError::Long(units));
    }
    let room = units.saturating_mul(3).saturating_add(1).min(LONGEST);
    let mut bytes = vec![MaybeUninit::<u8>::uninit(); room];
    let bytes = read_utf8(env, text, &mut bytes).ok_or(KeyError::Type)?;
    if !shows_replacement(bytes) {
        return Ok(limiter.key(bytes, Encoding::Utf8));
    }
    let wide = read_utf16(env, text, units).ok_or(KeyError::Type)?;
    let bytes: Vec<u8> = wide.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    Ok(limiter.key(&bytes, Encoding::Utf16))
}

/// Whether U+FFFD is among the bytes.
fn shows_replacement(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| three == [0xef, 0xbf, 0xbd])
}

/// The text as UTF-8, cut where the buffer ends. `None` if it is no string.
#[inline(always)]
pub(crate) fn read_utf8(
    env: sys::napi_env,
    text: sys::napi_value,
    into: &mut [MaybeUninit<u8>],
) -> Option<&[u8]> {
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
    let written = into.get(..length).filter(|_| status == sys::Status::napi_ok)?;
    // SAFETY: N-API has written the first `length` bytes, and they live as long as the buffer.
    Some(unsafe { std::slice::from_raw_parts(written.as_ptr().cast(), length) })
}

/// Longest part of a text that is read to be shown.
const SHOWN: usize = 1024;

/// The beginning of a text, for what shows it. `None` if it is no string.
#[cold]
pub(crate) fn read_text(env: sys::napi_env, text: sys::napi_value) -> Option<String> {
    let mut stack = [MaybeUninit::<u8>::uninit(); SHOWN];
    let bytes = read_utf8(env, text, &mut stack)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

fn units(env: sys::napi_env, text: sys::napi_value) -> Option<usize> {
    let mut length = 0;
    // SAFETY: as above; without a buffer only the length is written.
    let status =
        unsafe { sys::napi_get_value_string_utf16(env, text, ptr::null_mut(), 0, &raw mut length) };
    (status == sys::Status::napi_ok).then_some(length)
}

fn read_utf16(env: sys::napi_env, text: sys::napi_value, units: usize) -> Option<Vec<u16>> {
    let mut wide = vec![0_u16; units.saturating_add(1)];
    let mut length = 0;
    // SAFETY: as above, counted in 16-bit units.
    let status = unsafe {
        sys::napi_get_value_string_utf16(env, text, wide.as_mut_ptr(), wide.len(), &raw mut length)
    };
    wide.truncate(length);
    (status == sys::Status::napi_ok).then_some(wide)
}
