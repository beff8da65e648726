//! Making a limiter: called once, so it uses the generated conversions.
#![expect(unsafe_code, reason = "a bare function value becomes a property of an object")]
#![expect(unreachable_pub, reason = "as #[napi] wants its exports")]

use crate::callbacks::FUNCTIONS;
use crate::counting::{Counter, CounterPlace};
use crate::details::Details;
use crate::external_memory::measure_others;
use crate::function::{Callback, bind, empty};
use crate::handle::Handle;
use crate::registry;
use crate::throw::{refused, report};
use napi::bindgen_prelude::{Env, JsObjectValue, Object, Unknown};
use napi::{JsValue, sys};
use napi_derive::napi;
use ratethrottle_core::{AlgorithmKind, Error, Limit, LimiterConfig, RawLimiter};
use std::ffi::CStr;
use std::rc::Rc;

/// What a limiter is made from. The TypeScript layer has checked and filled in everything.
#[napi(object)]
pub struct OpenOptions {
    /// Units per window, one for each limit.
    pub counts: Vec<f64>,
    /// Lengths of the windows in milliseconds.
    pub windows_ms: Vec<f64>,
    /// One of the five algorithms.
    pub algorithm: String,
    /// Units that each limit's bucket holds. Default: the counts.
    pub bursts: Option<Vec<f64>>,
    /// Block a key for this many milliseconds after a denial; 0 is off.
    pub block_for_ms: f64,
    /// Keys expected to be live at once.
    pub capacity: f64,
    /// Shared by all threads that ask for the same name.
    pub name: Option<String>,
    /// Also by all processes of this user.
    pub shared: Option<bool>,
    /// Where it counts, if it has an insight.
    pub place: Option<CounterPlace>,
}

/// Makes a limiter, or joins the one of the same name, and binds its functions.
#[napi(
    catch_unwind,
    ts_return_type = "{ allow(key?: string, cost?: number, now?: number): false | undefined, check(key?: string, cost?: number, now?: number): false | undefined, take(key: string, cost?: number, now?: number): false | undefined, pace(key: string, cost?: number, now?: number): false | undefined, peek(key: string, cost?: number, now?: number): false | undefined, standing(key: string, index: number, now?: number): undefined, refund(key: string, units?: number, now?: number): undefined, block(key: string, ms?: number, now?: number): undefined, reset(key: string): undefined, denied(key: string, policy: number, now?: number): undefined, live(nothing: string, nothing2: number, now?: number): undefined, stats(): undefined, tally(): undefined, renew(): undefined, close(): undefined, wide: Float64Array, small: Int32Array }"
)]
pub fn open(env: Env, options: OpenOptions) -> Result<Object<'static>, napi::Error<&'static str>> {
    crate::failpoints::panic_if_armed();
    let config = config(&options).map_err(report)?;
    let is_shared = options.shared == Some(true);
    let limiter = registry::open::<RawLimiter>(options.name.as_deref(), is_shared, config);
    let limiter = limiter.map_err(report)?;
    let shared = options.name.filter(|_| is_shared);
    let counter = options.place.as_ref().and_then(Counter::find);
    let make = || {
        let (details, arrays) = Details::new(env.raw())?;
        let handle = Rc::new(Handle::new(limiter, shared, details).counting(counter));
        measure_others(&handle);
        bound(env, FUNCTIONS, &handle, arrays)
    };
    make().ok_or_else(refused)
}

/// The empty native call, for benchmarks: what a call costs that does nothing.
#[napi(ts_return_type = "(key?: string) => boolean")]
pub fn noop(env: Env) -> Result<Unknown<'static>, napi::Error<&'static str>> {
    let function = empty(env.raw()).ok_or_else(refused)?;
    // SAFETY: the value was just made in this call's scope by this env.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), function) })
}

pub(crate) fn config(options: &OpenOptions) -> Result<LimiterConfig, Error> {
    let pairs = options.counts.iter().zip(&options.windows_ms).enumerate();
    let limits = pairs.map(|(index, (&count, &window))| {
        let limit = Limit::new(whole(count), whole(window))?;
        let burst = options.bursts.as_ref().and_then(|bursts| bursts.get(index));
        burst.map_or(Ok(limit), |&burst| limit.with_burst(whole(burst)))
    });
    Ok(LimiterConfig {
        limits: limits.collect::<Result<_, _>>()?,
        algorithm: AlgorithmKind::parse(&options.algorithm)?,
        block_for_ms: whole(options.block_for_ms),
        capacity: usize::try_from(whole(options.capacity)).unwrap_or(usize::MAX),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float's cast saturates, and the core checks every range again"
)]
pub(crate) const fn whole(number: f64) -> u64 {
    number as u64
}

/// An object with the functions of a limiter, and the arrays through which JavaScript reads details.
pub(crate) fn bound<L: 'static>(
    env: Env,
    functions: &[(&CStr, Callback)],
    handle: &Rc<Handle<L>>,
    [wide, small]: [sys::napi_value; 2],
) -> Option<Object<'static>> {
    let raw = env.raw();
    let mut object = Object::new(&env).ok()?;
    for &(name, callback) in functions {
        set(&mut object, raw, name.to_str().ok()?, bind(raw, name, callback, handle)?)?;
    }
    set(&mut object, raw, "wide", wide)?;
    set(&mut object, raw, "small", small)?;
    // The object lives in the scope of the call that is running, which outlives this return.
    Some(Object::from_raw(raw, object.raw()))
}

pub(crate) fn set(
    object: &mut Object<'_>,
    env: sys::napi_env,
    name: &str,
    value: sys::napi_value,
) -> Option<()> {
    // SAFETY: the value was just made in this call's scope by this env.
    let value = unsafe { Unknown::from_raw_unchecked(env, value) };
    object.set_named_property(name, value).ok()
}
