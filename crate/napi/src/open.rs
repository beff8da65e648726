//! Making a limiter: called once, so it uses the generated conversions.
#![expect(unsafe_code, reason = "a bare function value becomes a property of an object")]
#![expect(unreachable_pub, clippy::needless_pass_by_value, reason = "as #[napi] wants its exports")]

use crate::border::{FUNCTIONS, bind, empty};
use crate::burden::look_around;
use crate::handle::{Details, Handle};
use napi::bindgen_prelude::{Env, JsObjectValue, Object, Unknown};
use napi::{JsValue, sys};
use napi_derive::napi;
use ratethrottle_core::{Error, Kind, Limit, Limiter, Policy, Registry};
use std::rc::Rc;
use std::sync::Arc;

/// Named limiters of this process. Never torn down: threads come and go, the process owns it.
static REGISTRY: Registry = Registry::new();
/// Those that this process shares with others. The same name there is another limiter.
static SHARED: Registry = Registry::new();

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
    /// Block a key for so long after a denial; 0 is off.
    pub block_for_ms: f64,
    /// Keys expected to be live at once.
    pub capacity: f64,
    /// Shared by all threads that ask for the same name.
    pub name: Option<String>,
    /// Also by all processes of this user.
    pub shared: Option<bool>,
}

/// Makes a limiter, or joins the one of the same name, and binds its functions.
#[napi(
    catch_unwind,
    ts_return_type = "{ allow(key?: string, cost?: number, now?: number): false | undefined, check(key?: string, cost?: number, now?: number): false | undefined, take(key: string, cost?: number, now?: number): false | undefined, pace(key: string, cost?: number, now?: number): false | undefined, peek(key: string, cost?: number, now?: number): false | undefined, standing(key: string, index: number, now?: number): undefined, refund(key: string, units?: number, now?: number): undefined, block(key: string, ms?: number, now?: number): undefined, reset(key: string): undefined, stats(): undefined, renew(): undefined, close(): undefined, wide: Float64Array, small: Int32Array }"
)]
pub fn open(env: Env, options: OpenOptions) -> Result<Object<'static>, napi::Error<&'static str>> {
    let policy = policy(&options).map_err(report)?;
    let shared = options.name.as_ref().filter(|_| options.shared == Some(true));
    let limiter = match (shared, &options.name) {
        (Some(name), _) => reopen(name, policy, 0),
        (None, Some(name)) => REGISTRY.open(name, policy, |_, policy| Limiter::new(policy)),
        (None, None) => Limiter::new(policy).map(Arc::new),
    };
    functions(env, limiter.map_err(report)?, shared.cloned()).ok_or_else(refused)
}

/// The limiter of this name that processes share: what this one has of it already, as long as it is
/// what others find.
pub(crate) fn reopen(name: &str, policy: Policy, before: u64) -> Result<Arc<Limiter>, Error> {
    SHARED.open(name, policy, |name, policy| Limiter::shared(name, &policy, before))
}

/// The empty native call, for benchmarks: what crossing the border costs.
#[napi(ts_return_type = "(key?: string) => boolean")]
pub fn noop(env: Env) -> Result<Unknown<'static>, napi::Error<&'static str>> {
    let function = empty(env.raw()).ok_or_else(refused)?;
    // SAFETY: the value was just made in this call's scope by this env.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), function) })
}

pub(crate) fn refused() -> napi::Error<&'static str> {
    napi::Error::new("INTERNAL", "Node refused to make a function")
}

pub(crate) fn report(error: Error) -> napi::Error<&'static str> {
    napi::Error::new(error.code(), error.to_string())
}

pub(crate) fn policy(options: &OpenOptions) -> Result<Policy, Error> {
    let pairs = options.counts.iter().zip(&options.windows_ms).enumerate();
    let limits = pairs.map(|(index, (&count, &window))| {
        let limit = Limit::new(whole(count), whole(window))?;
        let burst = options.bursts.as_ref().and_then(|bursts| bursts.get(index));
        burst.map_or(Ok(limit), |&burst| limit.with_burst(whole(burst)))
    });
    Ok(Policy {
        limits: limits.collect::<Result<_, _>>()?,
        kind: Kind::parse(&options.algorithm)?,
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

fn functions(env: Env, limiter: Arc<Limiter>, shared: Option<String>) -> Option<Object<'static>> {
    let raw = env.raw();
    let (details, [wide, small]) = Details::new(raw)?;
    let handle = Rc::new(Handle::new(limiter, shared, details));
    let mut object = Object::new(&env).ok()?;
    for &(name, callback) in FUNCTIONS {
        set(&mut object, raw, name.to_str().ok()?, bind(raw, name, callback, &handle)?)?;
    }
    look_around(&handle);
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
