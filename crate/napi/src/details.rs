//! Memory that JavaScript reads and writes through typed arrays, without a call.
#![expect(unsafe_code, reason = "raw N-API: memory shared with typed arrays")]

use napi::sys;
use std::mem::offset_of;
use std::ptr::{self, NonNull};

/// Limit, remaining, reset, the limit's own reset, retry-after, that in seconds, index of the policy.
pub(crate) const DETAILS: usize = 7;

/// What JavaScript reads after a call. Small numbers are integers, because an object made of doubles
/// costs JavaScript an allocation for each of them.
#[repr(C)]
struct Numbers {
    wide: [f64; DETAILS],
    /// The same numbers, and at the end 0; or only a 1 at the end, if one of them does not fit.
    small: [i32; DETAILS + 1],
}

/// The memory under a `Float64Array` and an `Int32Array`.
pub(crate) struct Details(Buffer<Numbers>);

impl Details {
    /// The memory, and the two arrays through which JavaScript reads it: wide and small.
    pub(crate) fn new(env: sys::napi_env) -> Option<(Self, [sys::napi_value; 2])> {
        let (buffer, value) = Buffer::new(env)?;
        let wide = view(env, value, sys::TypedarrayType::float64_array, DETAILS, 0)?;
        let start = offset_of!(Numbers, small);
        let small = view(env, value, sys::TypedarrayType::int32_array, DETAILS + 1, start)?;
        Some((Self(buffer), [wide, small]))
    }

    pub(crate) const fn env(&self) -> sys::napi_env {
        self.0.env
    }

    #[inline(always)]
    pub(crate) fn write_small(&self, numbers: [i32; DETAILS + 1]) {
        // SAFETY: see `Buffer`; JavaScript of this thread does not run meanwhile.
        unsafe { (*self.0.data.as_ptr()).small = numbers };
    }

    pub(crate) fn write_wide(&self, numbers: [f64; DETAILS]) {
        // SAFETY: as above.
        unsafe { (*self.0.data.as_ptr()).wide = numbers };
    }
}

/// A `T` of zeros under an array buffer of JavaScript, kept from collection for as long as this value lives.
///
/// The buffer is never handed to user code, so no caller can detach it.
pub(crate) struct Buffer<T> {
    env: sys::napi_env,
    keeper: sys::napi_ref,
    data: NonNull<T>,
}

impl<T> Buffer<T> {
    /// The memory, and the array buffer.
    pub(crate) fn new(env: sys::napi_env) -> Option<(Self, sys::napi_value)> {
        let mut data = ptr::null_mut();
        let (mut value, mut keeper) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: env is the running call's; all results are written to locals of ours.
        let made = unsafe {
            sys::napi_create_arraybuffer(env, size_of::<T>(), &raw mut data, &raw mut value)
        };
        // SAFETY: as above. The count of 1 keeps the buffer until `drop` deletes the reference.
        let kept = unsafe { sys::napi_create_reference(env, value, 1, &raw mut keeper) };
        let is_ok = made == sys::Status::napi_ok && kept == sys::Status::napi_ok;
        let data = NonNull::new(data.cast()).filter(|_| is_ok)?;
        Some((Self { env, keeper, data }, value))
    }

    /// Shows these numbers to JavaScript.
    pub(crate) fn write(&self, numbers: T) {
        // SAFETY: the buffer holds a `T`, and JavaScript of this thread does not run meanwhile.
        unsafe { self.data.write(numbers) };
    }

    /// What JavaScript has written there.
    pub(crate) fn read(&self) -> T
    where
        T: PlainNumbers,
    {
        // SAFETY: the buffer holds a `T`, and JavaScript of this thread does not run meanwhile.
        unsafe { self.data.read() }
    }

    /// Changes them in place. `act` must not call JavaScript.
    pub(crate) fn change<R>(&self, act: impl FnOnce(&mut T) -> R) -> R
    where
        T: PlainNumbers,
    {
        // SAFETY: the buffer holds a `T`, this thread alone reaches it, and JavaScript does not run meanwhile.
        act(unsafe { &mut *self.data.as_ptr() })
    }
}

/// Numbers and nothing else.
///
/// # Safety
///
/// Any bytes have to be a valid value of the type.
pub(crate) unsafe trait PlainNumbers: Copy {}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: the reference was made in `new` with this env and is deleted once; `close` and finalizers
        // run on the env's own thread while it is still valid.
        let _ = unsafe { sys::napi_delete_reference(self.env, self.keeper) };
    }
}

/// A typed array over part of a buffer.
pub(crate) fn view(
    env: sys::napi_env,
    buffer: sys::napi_value,
    kind: sys::napi_typedarray_type,
    length: usize,
    start: usize,
) -> Option<sys::napi_value> {
    let mut array = ptr::null_mut();
    // SAFETY: env is the running call's, and N-API checks that the part lies inside the buffer.
    let made =
        unsafe { sys::napi_create_typedarray(env, kind, length, buffer, start, &raw mut array) };
    (made == sys::Status::napi_ok).then_some(array)
}
