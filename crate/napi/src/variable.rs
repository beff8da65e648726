//! A limiter whose limits are an argument of each call: its functions, and the memory in which
//! JavaScript passes the limits.
#![expect(unsafe_code, reason = "raw N-API: memory shared with a Float64Array")]
#![expect(unreachable_pub, clippy::needless_pass_by_value, reason = "as #[napi] wants its exports")]

use crate::border::{Call, Failure, bind, exports};
use crate::burden::{Weighs, look_around};
use crate::handle::{Details, Handle, Tie, memory, view};
use crate::open::{refused, report, set, whole};
use crate::text::Hashes;
use napi::bindgen_prelude::{Env, Object};
use napi::{JsValue, sys};
use napi_derive::napi;
use ratethrottle_core::{
    Encoding, Error, Key, Kind, Limit, MAX_LIMITS, MAX_WINDOW_MS, Registry, VariableLimiter,
    VariablePolicy,
};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

/// Named ones of this process. The same name there is another limiter.
static REGISTRY: Registry<VariableLimiter> = Registry::new();
/// Those that this process shares with others.
static SHARED: Registry<VariableLimiter> = Registry::new();

/// What a limiter is made from whose limits come with each call.
#[napi(object)]
pub struct VariableOptions {
    /// One of the five algorithms.
    pub algorithm: String,
    /// Block a key for so long after a denial; 0 is off.
    pub block_for_ms: f64,
    /// Keys expected to be live at once. Absent: the default.
    pub capacity: Option<f64>,
    /// Shared by all threads that ask for the same name.
    pub name: Option<String>,
    /// Also by all processes of this user.
    pub shared: Option<bool>,
}

/// Makes a limiter whose limits come with each call, or joins the one of the same name. The limits of a
/// call stand in `limits`: how many there are, then for each its count, window and burst.
#[napi(
    catch_unwind,
    ts_return_type = "{ check(key: string, cost?: number, now?: number): false | undefined, take(key: string, cost?: number, now?: number): false | undefined, pace(key: string, cost?: number, now?: number): false | undefined, peek(key: string, cost?: number, now?: number): false | undefined, standing(key: string, index: number, now?: number): undefined, refund(key: string, units?: number, now?: number): undefined, block(key: string, ms?: number, now?: number): undefined, reset(key: string): undefined, stats(): undefined, renew(): undefined, close(): undefined, wide: Float64Array, small: Int32Array, limits: Float64Array }"
)]
pub fn open_variable(
    env: Env,
    options: VariableOptions,
) -> Result<Object<'static>, napi::Error<&'static str>> {
    let policy = VariablePolicy {
        kind: Kind::parse(&options.algorithm).map_err(report)?,
        block_for_ms: whole(options.block_for_ms),
        capacity: options.capacity.map(|keys| usize::try_from(whole(keys)).unwrap_or(usize::MAX)),
    };
    let shared = options.name.as_ref().filter(|_| options.shared == Some(true));
    let limiter = match (shared, &options.name) {
        (Some(name), _) => reopen(name, policy, 0),
        (None, Some(name)) => REGISTRY.open(name, policy, |_, policy| VariableLimiter::new(policy)),
        (None, None) => VariableLimiter::new(policy).map(Arc::new),
    };
    functions(env, limiter.map_err(report)?, shared.cloned()).ok_or_else(refused)
}

fn reopen(name: &str, policy: VariablePolicy, before: u64) -> Result<Arc<VariableLimiter>, Error> {
    SHARED.open(name, policy, |name, policy| VariableLimiter::shared(name, policy, before))
}

/// How many limits, and what each is.
#[repr(C)]
struct Numbers {
    given: f64,
    limits: [[f64; 3]; MAX_LIMITS],
}

/// Numbers in it.
const NUMBERS: usize = 1 + 3 * MAX_LIMITS;

/// A limiter, and the memory under the `Float64Array` in which its callers pass limits.
pub(crate) struct Variable {
    limiter: RefCell<Arc<VariableLimiter>>,
    /// The name under which processes share it.
    shared: Option<String>,
    env: sys::napi_env,
    keeper: sys::napi_ref,
    numbers: NonNull<Numbers>,
}

impl Variable {
    fn new(
        env: sys::napi_env,
        limiter: Arc<VariableLimiter>,
        shared: Option<String>,
    ) -> Option<(Self, sys::napi_value)> {
        let (numbers, buffer, keeper) = memory(env)?;
        let array = view(env, buffer, sys::TypedarrayType::float64_array, NUMBERS, 0)?;
        Some((Self { limiter: RefCell::new(limiter), shared, env, keeper, numbers }, array))
    }

    /// Sees to it that processes that share go on sharing when the files have been removed.
    fn renew(&self) -> Tie {
        let limiter = Arc::clone(&self.limiter.borrow());
        let Some(name) = self.shared.as_ref().filter(|_| !limiter.is_current()) else {
            return Tie::Held;
        };
        let before = limiter.generation().saturating_add(1);
        let Ok(limiter) = reopen(name, *limiter.policy(), before) else {
            return Tie::Lost;
        };
        self.limiter.replace(limiter);
        Tie::Renewed
    }

    /// Runs `act` on the limits of this call.
    fn with<T>(
        &self,
        act: impl FnOnce(&VariableLimiter, &[Limit]) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        // SAFETY: the buffer is kept alive by `keeper`, is never handed to user code (so nobody can
        // detach it), holds `Numbers`, and JavaScript of this thread does not run meanwhile.
        let Numbers { given, limits } = unsafe { self.numbers.read() };
        let given = usize::try_from(whole(given)).unwrap_or(usize::MAX);
        let limit = |&[count, window_ms, burst]: &[f64; 3]| {
            Limit::new(whole(count), whole(window_ms))?.with_burst(whole(burst))
        };
        let given: Result<Vec<Limit>, Error> = limits.iter().take(given).map(limit).collect();
        given.and_then(|limits| act(&self.limiter.borrow(), &limits)).map_err(Failure::Limits)
    }
}

impl Drop for Variable {
    fn drop(&mut self) {
        // SAFETY: the reference was made in `new` with this env and is deleted once; `close` and
        // finalizers run on the env's own thread while it is still valid.
        let _ = unsafe { sys::napi_delete_reference(self.env, self.keeper) };
    }
}

impl Weighs for Variable {
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

impl Hashes for Variable {
    fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.limiter.borrow().key(bytes, encoding)
    }
}

type This<'a> = Call<'a, Variable>;

fn check(call: &This<'_>) -> Result<Option<bool>, Failure> {
    call.run(("cost", 1), |variable, key, cost, time| {
        let decision = variable.with(|limiter, limits| limiter.check(limits, key, cost, time))?;
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn take(call: &This<'_>) -> Result<Option<bool>, Failure> {
    take_as(call, false)
}

fn pace(call: &This<'_>) -> Result<Option<bool>, Failure> {
    take_as(call, true)
}

fn take_as(call: &This<'_>, paced: bool) -> Result<Option<bool>, Failure> {
    call.run(("cost", 1), |variable, key, cost, time| {
        let decision =
            variable.with(|limiter, limits| limiter.take(limits, paced, key, cost, time))?;
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn peek(call: &This<'_>) -> Result<Option<bool>, Failure> {
    call.run(("cost", 1), |variable, key, cost, time| {
        let decision = variable.with(|limiter, limits| limiter.peek(limits, key, cost, time))?;
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn standing(call: &This<'_>) -> Result<Option<bool>, Failure> {
    call.run(("index", 0), |variable, key, index, time| {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let standing =
            variable.with(|limiter, limits| limiter.standing(limits, key, index, time))?;
        call.handle.write_standing(standing);
        Ok(None)
    })
}

fn refund(call: &This<'_>) -> Result<Option<bool>, Failure> {
    call.run(("units", 1), |variable, key, units, time| {
        variable.with(|limiter, limits| limiter.refund(limits, key, units, time))?;
        Ok(None)
    })
}

fn reset(call: &This<'_>) -> Result<Option<bool>, Failure> {
    call.run(("key", 1), |variable, key, _, _| {
        variable.limiter.borrow().reset(key);
        Ok(None)
    })
}

fn block(call: &This<'_>) -> Result<Option<bool>, Failure> {
    call.run(("ms", 0), |variable, key, ms, time| {
        if ms == 0 || ms > MAX_WINDOW_MS {
            return Err(Failure::BLOCK_MS);
        }
        if variable.limiter.borrow().block(key, ms, time) { Ok(None) } else { Err(Failure::Full) }
    })
}

fn stats(call: &This<'_>) -> Result<Option<bool>, Failure> {
    let counts = call.handle.with(|Variable { limiter, .. }| {
        let limiter = limiter.borrow();
        let (rivals, generation) = (limiter.rivals() as u64, limiter.generation());
        [limiter.evictions(), limiter.overflows(), limiter.bytes(), rivals, generation]
    });
    call.handle.write_counts(counts.ok_or(Failure::Closed)?);
    Ok(None)
}

fn renew(call: &This<'_>) -> Result<Option<bool>, Failure> {
    let tie = call.handle.with(Variable::renew).ok_or(Failure::Closed)?;
    call.handle.write_tie(tie);
    Ok(None)
}

#[expect(clippy::unnecessary_wraps, reason = "all of these have one shape")]
fn close(call: &This<'_>) -> Result<Option<bool>, Failure> {
    call.handle.close();
    Ok(None)
}

exports!(check, take, pace, peek, standing, refund, reset, block, stats, renew, close);

fn functions(
    env: Env,
    limiter: Arc<VariableLimiter>,
    shared: Option<String>,
) -> Option<Object<'static>> {
    let raw = env.raw();
    let (details, [wide, small]) = Details::new(raw)?;
    let (variable, limits) = Variable::new(raw, limiter, shared)?;
    #[expect(
        clippy::arc_with_non_send_sync,
        reason = "a handle holds one, and stays on its thread"
    )]
    let handle = Rc::new(Handle::new(Arc::new(variable), None, details));
    let mut object = Object::new(&env).ok()?;
    for &(name, callback) in FUNCTIONS {
        set(&mut object, raw, name.to_str().ok()?, bind(raw, name, callback, &handle)?)?;
    }
    for (name, array) in [("wide", wide), ("small", small), ("limits", limits)] {
        set(&mut object, raw, name, array)?;
    }
    look_around(&handle);
    // The object lives in the scope of the call that is running, which outlives this return.
    Some(Object::from_raw(raw, object.raw()))
}
