//! A limiter whose limits are an argument of each call: its functions, and the memory in which JavaScript
//! passes the limits.
#![expect(unsafe_code, reason = "raw N-API: memory shared with a Float64Array")]
#![expect(unreachable_pub, reason = "as #[napi] wants its exports")]

use crate::arguments::{Call, Time};
use crate::callbacks::{blocked, close, tally};
use crate::counting::{Counter, CounterPlace, Counts};
use crate::details::{Buffer, Details, PlainNumbers, view};
use crate::external_memory::{MemoryUse, measure_others};
use crate::function::{Admission, exports};
use crate::handle::{Attachment, Handle};
use crate::key::HashKey;
use crate::open::{bound, set, whole};
use crate::registry::{self, reattach};
use crate::throw::{CallError, refused, report};
use napi::bindgen_prelude::{Env, Object};
use napi::sys;
use napi_derive::napi;
use ratethrottle_core::{
    AlgorithmKind, Clock, Decision, Encoding, Error, FixedTime, Key, Limit, MAX_LIMITS,
    VariableCall, VariableConfig, VariableLimiter,
};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// What a limiter with limits per call is made from.
#[napi(object)]
pub struct VariableOptions {
    /// One of the five algorithms.
    pub algorithm: String,
    /// Block a key for this many milliseconds after a denial; 0 is off.
    pub block_for_ms: f64,
    /// Keys expected to be live at once. Absent: the default.
    pub capacity: Option<f64>,
    /// Where it counts, if it has an insight.
    pub place: Option<CounterPlace>,
    /// Shared by all threads that ask for the same name.
    pub name: Option<String>,
    /// Also by all processes of this user.
    pub shared: Option<bool>,
}

/// Makes a limiter whose limits come with each call, or joins the one of the same name. The limits of a
/// call stand in `limits`: how many there are, then for each its count, window and burst.
#[napi(
    catch_unwind,
    ts_return_type = "{ check(key: string, cost?: number, now?: number): false | undefined, take(key: string, cost?: number, now?: number): false | undefined, pace(key: string, cost?: number, now?: number): false | undefined, peek(key: string, cost?: number, now?: number): false | undefined, standing(key: string, index: number, now?: number): undefined, refund(key: string, units?: number, now?: number): undefined, block(key: string, ms?: number, now?: number): undefined, reset(key: string): undefined, denied(key: string, policy: number, now?: number): undefined, stats(): undefined, tally(): undefined, renew(): undefined, close(): undefined, wide: Float64Array, small: Int32Array, limits: Float64Array }"
)]
pub fn open_variable(
    env: Env,
    options: VariableOptions,
) -> Result<Object<'static>, napi::Error<&'static str>> {
    crate::failpoints::panic_if_armed();
    let config = VariableConfig {
        algorithm: AlgorithmKind::parse(&options.algorithm).map_err(report)?,
        block_for_ms: whole(options.block_for_ms),
        capacity: options.capacity.map(|keys| usize::try_from(whole(keys)).unwrap_or(usize::MAX)),
    };
    let is_shared = options.shared == Some(true);
    let limiter = registry::open::<VariableLimiter>(options.name.as_deref(), is_shared, config);
    let shared = options.name.filter(|_| is_shared);
    let counter = options.place.as_ref().and_then(Counter::find);
    functions(env, limiter.map_err(report)?, shared, counter).ok_or_else(refused)
}

/// How many limits, and what each is.
#[derive(Clone, Copy)]
#[repr(C)]
struct Numbers {
    given: f64,
    limits: [[f64; 3]; MAX_LIMITS],
}

// SAFETY: nothing but floats.
unsafe impl PlainNumbers for Numbers {}

/// Numbers in it.
const NUMBERS: usize = 1 + 3 * MAX_LIMITS;

/// A limiter, and the memory under the `Float64Array` in which its callers pass limits.
pub(crate) struct Variable {
    limiter: RefCell<Arc<VariableLimiter>>,
    /// The name under which processes share it.
    shared: Option<String>,
    numbers: Buffer<Numbers>,
}

impl Variable {
    fn new(
        env: sys::napi_env,
        limiter: Arc<VariableLimiter>,
        shared: Option<String>,
    ) -> Option<(Self, sys::napi_value)> {
        let (numbers, buffer) = Buffer::new(env)?;
        let array = view(env, buffer, sys::TypedarrayType::float64_array, NUMBERS, 0)?;
        Some((Self { limiter: RefCell::new(limiter), shared, numbers }, array))
    }

    /// Attaches to the new files if those that processes share have been removed.
    fn renew(&self) -> Attachment {
        let limiter = Arc::clone(&self.limiter.borrow());
        match reattach(&*limiter, self.shared.as_deref()) {
            Ok(None) => Attachment::Current,
            Err(_) => Attachment::Detached,
            Ok(Some(limiter)) => {
                self.limiter.replace(limiter);
                Attachment::Reattached
            }
        }
    }

    /// Runs `act` on the key under the limits that JavaScript has passed.
    fn call<T>(
        &self,
        key: Key,
        time: &Time,
        act: impl FnOnce(&VariableCall<'_, FixedTime>) -> T,
    ) -> Result<T, CallError> {
        let Numbers { given, limits } = self.numbers.read();
        let given = usize::try_from(whole(given)).unwrap_or(usize::MAX);
        let limit = |&[count, window_ms, burst]: &[f64; 3]| {
            Limit::new(whole(count), whole(window_ms))?.with_burst(whole(burst))
        };
        let limits: Result<Vec<Limit>, Error> = limits.iter().take(given).map(limit).collect();
        limits
            .and_then(|limits| {
                // Read once: all tables of a call decide at one time.
                let at = FixedTime(time.now());
                self.limiter.borrow().call(&limits, key, &at, act)
            })
            .map_err(CallError::Limits)
    }
}

impl MemoryUse for Variable {
    fn bytes(&self) -> u64 {
        self.limiter.borrow().bytes()
    }

    fn resident(&self) -> Option<u64> {
        self.limiter.borrow().resident()
    }

    fn tables(&self) -> u64 {
        MAX_LIMITS as u64
    }

    fn holders(this: &Arc<Self>) -> usize {
        Arc::strong_count(&this.limiter.borrow())
    }
}

impl HashKey for Variable {
    fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.limiter.borrow().key(bytes, encoding)
    }
}

type This<'a> = Call<'a, Variable>;

fn decide(
    call: &This<'_>,
    counts: Counts,
    act: impl Fn(&VariableCall<'_, FixedTime>, u64) -> Decision,
) -> Admission {
    call.run(("cost", 1), |variable, key, cost, time| {
        let decide = || variable.call(key, time, |limits| act(limits, cost));
        let counts = if cost == 0 { Counts::None } else { counts };
        let outcome = |decided: &Result<Decision, CallError>| {
            decided.as_ref().ok().map(|decision| (decision.allowed, decision.policy))
        };
        let decision = call.counted(counts, key, Some(time), decide, outcome)?;
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

#[expect(clippy::redundant_closure_for_method_calls, reason = "as a path it has one lifetime")]
fn check(call: &This<'_>) -> Admission {
    decide(call, Counts::All, |limits, cost| limits.check(cost))
}

fn take(call: &This<'_>) -> Admission {
    decide(call, Counts::Admissions, |limits, cost| limits.take(false, cost))
}

fn pace(call: &This<'_>) -> Admission {
    decide(call, Counts::Admissions, |limits, cost| limits.take(true, cost))
}

#[expect(clippy::redundant_closure_for_method_calls, reason = "as a path it has one lifetime")]
fn peek(call: &This<'_>) -> Admission {
    decide(call, Counts::None, |limits, cost| limits.peek(cost))
}

fn standing(call: &This<'_>) -> Admission {
    call.run(("index", 0), |variable, key, index, time| {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let status = variable.call(key, time, |limits| limits.limit_status(index))?;
        call.handle.write_status(status);
        Ok(None)
    })
}

fn refund(call: &This<'_>) -> Admission {
    call.run(("units", 1), |variable, key, units, time| {
        variable.call(key, time, |limits| limits.refund(units))?;
        if let Some(counter) = call.handle.counter() {
            counter.refunded();
        }
        Ok(None)
    })
}

fn denied(call: &This<'_>) -> Admission {
    call.run(("policy", 0), |_, key, policy, time| {
        call.denied(key, policy, time);
        Ok(None)
    })
}

fn reset(call: &This<'_>) -> Admission {
    call.run(("key", 1), |variable, key, _, _| {
        variable.limiter.borrow().reset(key);
        Ok(None)
    })
}

fn block(call: &This<'_>) -> Admission {
    call.run(("ms", 0), |variable, key, ms, time| {
        blocked(ms, || variable.limiter.borrow().block(key, ms, time))
    })
}

fn stats(call: &This<'_>) -> Admission {
    let counts = call.handle.with(|variable| registry::stats(&**variable.limiter.borrow()));
    call.handle.write_counts(counts.ok_or(CallError::Closed)?);
    Ok(None)
}

fn renew(call: &This<'_>) -> Admission {
    let attachment = call.handle.with(Variable::renew).ok_or(CallError::Closed)?;
    call.handle.write_attachment(attachment);
    Ok(None)
}

exports!(
    Variable:
    check, take, pace, peek, standing, refund, reset, block, denied, stats, tally, renew, close
);

fn functions(
    env: Env,
    limiter: Arc<VariableLimiter>,
    shared: Option<String>,
    counter: Option<Counter>,
) -> Option<Object<'static>> {
    let raw = env.raw();
    let (details, arrays) = Details::new(raw)?;
    let (variable, limits) = Variable::new(raw, limiter, shared)?;
    #[expect(
        clippy::arc_with_non_send_sync,
        reason = "a handle holds one, and stays on its thread"
    )]
    let handle = Rc::new(Handle::new(Arc::new(variable), None, details).counting(counter));
    measure_others(&handle);
    let mut object = bound(env, FUNCTIONS, &handle, arrays)?;
    set(&mut object, raw, "limits", limits)?;
    Some(object)
}
