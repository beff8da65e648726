//! A function of JavaScript that is bound to a limiter: how it is made, called, and what it answers.
#![expect(unsafe_code, reason = "raw N-API: the generated bindings cost ten times a decision")]

use crate::arguments::{Arguments, Call};
use crate::handle::Handle;
use crate::throw::{CallError, ErrorClass, raise, throw};
use napi::sys;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

/// A function that N-API can call.
pub(crate) type Callback =
    unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// What a call answers: whether the key was admitted, or nothing.
pub(crate) type Admission = Result<Option<bool>, CallError>;

/// Makes a callback of each function for this kind of limiter, and the list of what it offers.
macro_rules! exports {
    ($Limiter:ident: $($name:ident),*) => {
        mod exported {
            use napi::sys;
            $(pub(super) unsafe extern "C" fn $name(
                env: sys::napi_env,
                info: sys::napi_callback_info,
            ) -> sys::napi_value {
                $crate::function::answer::<super::$Limiter, _>(env, info, super::$name)
            })*
        }
        /// Every function of a limiter, by name.
        pub(crate) const FUNCTIONS: &[(&std::ffi::CStr, $crate::function::Callback)] = &[
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

/// Reads the call, runs `act`, and turns the result into a value or an exception.
///
/// A panic stops here: unwinding into V8 would take the whole server down.
#[inline(always)]
pub(crate) fn answer<L, A: Answer>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    act: impl Fn(&Call<'_, L>) -> Result<A, CallError>,
) -> sys::napi_value {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        crate::failpoints::panic_if_armed();
        let mut arguments = Arguments::new();
        let Some(handle) = read(env, info, &mut arguments) else { return ptr::null_mut() };
        let call = Call { env, handle, arguments: &arguments };
        match act(&call) {
            Ok(answer) => answer.value(env),
            Err(error) => throw(env, arguments.values, &error),
        }
    }));
    outcome.unwrap_or_else(|_| {
        raise(env, ErrorClass::Error, c"INTERNAL", "ratethrottle: a bug, please report it")
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

/// A function that only returns `true`: what a native call costs.
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
