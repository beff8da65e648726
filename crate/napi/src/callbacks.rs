//! The functions that JavaScript calls for each request: bare N-API, bound to a limiter.
//!
//! Each is a function object with a pointer to its limiter, so it needs no `this` to find it.
//! The key goes to the stack, the answer comes back as `false` or nothing, details are written to memory
//! that JavaScript reads through a typed array: nothing is allocated, and a request takes one call.
#![expect(unsafe_code, reason = "raw N-API: the generated bindings cost ten times a decision")]

use crate::arguments::{Arguments, Call, Time};
use crate::counting::Counts;
use crate::handle::Handle;
use crate::registry;
use crate::throw::{CallError, ErrorClass, raise, throw};
use napi::sys;
use ratethrottle_core::{Decision, Key, MAX_WINDOW_MS, Monotonic, RawLimiter};
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

/// A function that N-API can call.
pub(crate) type Callback =
    unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// What a call answers: whether the key was admitted, or nothing.
pub(crate) type Admission = Result<Option<bool>, CallError>;

#[inline(always)]
fn allow(call: &Call<'_>) -> Admission {
    if !call.is_plain() {
        return allow_with(call);
    }
    call.run_plain(|limiter, key| {
        let clock = call.handle.native_clock();
        if call.handle.counter().is_some() {
            return Ok(Some(allow_counted(call, limiter, key)));
        }
        let allowed = limiter.allow(key, 1, clock);
        call.handle.tally().add(allowed);
        Ok(Some(allowed))
    })
}

/// For an insight, which wants to know by which limit a key was denied.
#[inline(never)]
fn allow_counted(call: &Call<'_>, limiter: &RawLimiter, key: Key) -> bool {
    let clock = call.handle.native_clock();
    if limiter.has_one_limit() {
        let allow = || limiter.allow(key, 1, clock);
        return call.counted(Counts::All, key, None, allow, |&allowed| Some((allowed, 0)));
    }
    let check = || limiter.check(key, 1, clock);
    call.counted(Counts::All, key, None, check, outcome).allowed
}

/// With a cost or a time.
#[inline(never)]
fn allow_with(call: &Call<'_>) -> Admission {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let decide = || match time {
            Time::Native if call.handle.counter().is_none() => {
                Some((limiter.allow(key, cost, call.handle.native_clock()), 0))
            }
            time => outcome(&limiter.check(key, cost, time)),
        };
        let decided = call.counted(of_cost(cost), key, Some(time), decide, |&found| found);
        call.handle.remember_key(key);
        Ok(decided.map(|(allowed, _)| allowed))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "calls that can fail have none")]
const fn outcome(decision: &Decision) -> Option<(bool, usize)> {
    Some((decision.allowed, decision.policy))
}

/// A cost of 0 only asks.
const fn of_cost(cost: u64) -> Counts {
    if cost == 0 { Counts::None } else { Counts::All }
}

#[inline(always)]
fn check(call: &Call<'_>) -> Admission {
    if !call.is_plain() {
        return check_with(call);
    }
    call.run_plain(|limiter, key| {
        let check = || limiter.check(key, 1, &Monotonic);
        let decision = call.counted(Counts::All, key, None, check, outcome);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

/// With a cost or a time.
#[inline(never)]
fn check_with(call: &Call<'_>) -> Admission {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let check = || limiter.check(key, cost, time);
        let decision = call.counted(of_cost(cost), key, Some(time), check, outcome);
        call.handle.remember_key(key);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn decide(
    call: &Call<'_>,
    counts: Counts,
    act: fn(&RawLimiter, Key, u64, &Time) -> Decision,
) -> Admission {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let counts = if cost == 0 { Counts::None } else { counts };
        let act = || act(limiter, key, cost, time);
        let decision = call.counted(counts, key, Some(time), act, outcome);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn take(call: &Call<'_>) -> Admission {
    decide(call, Counts::Admissions, RawLimiter::take)
}

fn pace(call: &Call<'_>) -> Admission {
    decide(call, Counts::Admissions, RawLimiter::pace)
}

fn peek(call: &Call<'_>) -> Admission {
    decide(call, Counts::None, RawLimiter::peek)
}

fn standing(call: &Call<'_>) -> Admission {
    call.run(("index", 0), |limiter, key, index, time| {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let status = limiter.limit_status(key, index, time);
        call.handle.write_status(status.unwrap_or_default());
        Ok(None)
    })
}

fn refund(call: &Call<'_>) -> Admission {
    call.run(("units", 1), |limiter, key, units, time| {
        limiter.refund(key, units, time);
        if let Some(counter) = call.handle.counter() {
            counter.refunded();
        }
        Ok(None)
    })
}

fn reset(call: &Call<'_>) -> Admission {
    call.run(("key", 1), |limiter, key, _, _| {
        limiter.reset(key);
        Ok(None)
    })
}

fn block(call: &Call<'_>) -> Admission {
    call.run(("ms", 0), |limiter, key, ms, time| blocked(ms, || limiter.block(key, ms, time)))
}

/// Blocks for `ms` milliseconds, unless that is no time that a key can be blocked for.
pub(crate) fn blocked(ms: u64, block: impl FnOnce() -> bool) -> Admission {
    if ms == 0 || ms > MAX_WINDOW_MS {
        return Err(CallError::BLOCK_MS);
    }
    if block() { Ok(None) } else { Err(CallError::Full) }
}

fn stats(call: &Call<'_>) -> Admission {
    let counts = call.handle.with(registry::stats);
    call.handle.write_counts(counts.ok_or(CallError::Closed)?);
    Ok(None)
}

/// Counts a denial that JavaScript has decided: the caller asked to wait, in vain.
fn denied(call: &Call<'_>) -> Admission {
    call.run(("policy", 0), |_, key, policy, time| {
        call.denied(key, policy, time);
        Ok(None)
    })
}

fn live(call: &Call<'_>) -> Admission {
    let live = call.run(("nothing", 0), |limiter, _, _, time| Ok(limiter.live_keys(time)))?;
    call.handle.write_counts([live]);
    Ok(None)
}

/// How often this object has admitted and denied.
#[expect(clippy::unnecessary_wraps, reason = "all callbacks have one shape")]
pub(crate) fn tally<L>(call: &Call<'_, L>) -> Admission {
    call.handle.write_counts(call.handle.tally().counts());
    Ok(None)
}

pub(crate) fn renew<L: registry::Registered>(call: &Call<'_, L>) -> Admission {
    let attachment = call.handle.renew().ok_or(CallError::Closed)?;
    call.handle.write_attachment(attachment);
    Ok(None)
}

#[expect(clippy::unnecessary_wraps, reason = "all callbacks have one shape")]
pub(crate) fn close<L>(call: &Call<'_, L>) -> Admission {
    call.handle.close();
    Ok(None)
}

/// Makes a callback of each function for this kind of limiter, and the list of what it offers.
macro_rules! exports {
    ($Limiter:ident: $($name:ident),*) => {
        mod exported {
            use napi::sys;
            $(pub(super) unsafe extern "C" fn $name(
                env: sys::napi_env,
                info: sys::napi_callback_info,
            ) -> sys::napi_value {
                $crate::callbacks::answer::<super::$Limiter, _>(env, info, super::$name)
            })*
        }
        /// Every function of a limiter, by name.
        pub(crate) const FUNCTIONS: &[(&std::ffi::CStr, $crate::callbacks::Callback)] = &[
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

exports!(
    RawLimiter:
    allow, check, take, pace, peek, standing, refund, reset, block, denied, live, stats, tally, renew, close
);

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
