//! Steps on records of bytes, for stores that are written in JavaScript: one function for each operation.
#![expect(
    unsafe_code,
    reason = "raw N-API: bytes of a Uint8Array, and memory shared with a Float64Array"
)]
#![expect(unreachable_pub, clippy::needless_pass_by_value, reason = "as #[napi] wants its exports")]

use crate::border::{Answer, Call, Failure, bind, double, exports, kind};
use crate::handle::{Details, Handle, memory, milliseconds, number, view};
use crate::open::{OpenOptions, policy, refused, report, set};
use napi::bindgen_prelude::{Env, JsObjectValue, Object};
use napi::{JsValue, sys};
use napi_derive::napi;
use ratethrottle_core::stored::{Operation, Step, Stored};
use ratethrottle_core::{MAX_LIMITS, MAX_WINDOW_MS, Nanos, Standing};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;

/// Makes the functions of one policy. Each takes the record (nothing if there is none), an amount, and the
/// time in milliseconds since 1970, and answers the bytes to write, or nothing when nothing changed. The decision
/// stands in `wide` and `small` as after `check`; in `outcome` whether it is allowed, for how many milliseconds
/// the bytes mean anything, whether the record was of another policy, and for each limit what remains and when
/// there is more. `mark` tells the policy's records from those of others.
#[napi(
    catch_unwind,
    ts_return_type = "{ check(record: Uint8Array | undefined, cost: number, now: number): Buffer | undefined, take(record: Uint8Array | undefined, cost: number, now: number): Buffer | undefined, pace(record: Uint8Array | undefined, cost: number, now: number): Buffer | undefined, peek(record: Uint8Array | undefined, cost: number, now: number): Buffer | undefined, refund(record: Uint8Array | undefined, units: number, now: number): Buffer | undefined, reset(record: Uint8Array | undefined, nothing: number, now: number): Buffer | undefined, block(record: Uint8Array | undefined, ms: number, now: number): Buffer | undefined, wide: Float64Array, small: Int32Array, outcome: Float64Array, mark: string }"
)]
pub fn open_stored(
    env: Env,
    options: OpenOptions,
) -> Result<Object<'static>, napi::Error<&'static str>> {
    let stored = policy(&options).and_then(Stored::new).map_err(report)?;
    functions(env, stored).ok_or_else(refused)
}

/// What JavaScript reads after a step, besides the decision.
#[repr(C)]
struct Numbers {
    allowed: f64,
    ttl_ms: f64,
    is_foreign: f64,
    standings: [[f64; 2]; MAX_LIMITS],
}

/// Numbers in it.
const NUMBERS: usize = 3 + 2 * MAX_LIMITS;

/// A policy's steps, and the memory under the `Float64Array` in which they leave what came of them.
pub(crate) struct Steps {
    stored: Stored,
    env: sys::napi_env,
    keeper: sys::napi_ref,
    numbers: NonNull<Numbers>,
}

impl Drop for Steps {
    fn drop(&mut self) {
        // SAFETY: the reference was made in `functions` with this env and is deleted once; finalizers run on
        // the env's own thread while it is still valid.
        let _ = unsafe { sys::napi_delete_reference(self.env, self.keeper) };
    }
}

type This<'a> = Call<'a, Steps>;

/// Runs one operation on the call's record.
fn step(
    call: &This<'_>,
    (name, operation): (&'static str, impl FnOnce(u64) -> Operation),
) -> Result<Record, Failure> {
    let [record, _, now] = call.values();
    let record = bytes(call.env, record)?;
    let operation = operation(call.number(name, 1)?);
    let now = double(call.env, now).and_then(Nanos::from_ms).ok_or(Failure::Time)?;
    let step =
        call.handle.with(|Steps { stored, .. }| stored.step(record.as_deref(), now, operation));
    let step = step.ok_or(Failure::Closed)?.map_err(|_| Failure::Damaged)?;
    call.handle.write_decision(&step.decision);
    call.handle.with(|steps| steps.write(&step));
    Ok(Record(step.write.map(|write| write.bytes)))
}

/// A copy of the bytes in a `Uint8Array`; `None` for undefined. Copied, because the memory may be shared with
/// another thread.
fn bytes(env: sys::napi_env, value: sys::napi_value) -> Result<Option<Vec<u8>>, Failure> {
    if kind(env, value) == sys::ValueType::napi_undefined {
        return Ok(None);
    }
    let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
    let (buffer, start) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: env and value are the running callback's; results are written to locals, or left out.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            env,
            value,
            &raw mut kind,
            &raw mut length,
            &raw mut data,
            buffer,
            start,
        )
    };
    if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_array {
        return Err(Failure::Bytes);
    }
    let Some(data) = NonNull::new(data.cast::<u8>()).filter(|_| length > 0) else {
        return Ok(Some(Vec::new()));
    };
    let mut copy = vec![0; length];
    // SAFETY: N-API says that so many bytes stand there, and JavaScript of this thread does not run meanwhile.
    unsafe { ptr::copy_nonoverlapping(data.as_ptr(), copy.as_mut_ptr(), length) };
    Ok(Some(copy))
}

impl Steps {
    fn write(&self, step: &Step) {
        let mut standings = [[0.0; 2]; MAX_LIMITS];
        for (numbers, standing) in standings.iter_mut().zip(&step.standings) {
            let Standing { remaining, more_ms } = *standing;
            *numbers = [number(remaining), milliseconds(more_ms)];
        }
        let numbers = Numbers {
            allowed: f64::from(u8::from(step.decision.allowed)),
            ttl_ms: step.write.as_ref().map_or(0.0, |write| number(write.ttl_ms)),
            is_foreign: f64::from(u8::from(step.is_foreign)),
            standings,
        };
        // SAFETY: the buffer is kept alive by `keeper`, is never handed to user code (so nothing can detach
        // it), holds `Numbers`, and JavaScript of this thread does not run meanwhile.
        unsafe { self.numbers.write(numbers) };
    }
}

/// The bytes to write, or nothing.
pub(crate) struct Record(Option<Vec<u8>>);

impl Answer for Record {
    fn value(self, env: sys::napi_env) -> sys::napi_value {
        let mut buffer = ptr::null_mut();
        let Some(bytes) = self.0 else { return buffer };
        let (data, out) = (bytes.as_ptr().cast(), ptr::null_mut());
        // SAFETY: env is the running callback's, and Node copies the bytes. On failure the result stays null and an
        // exception is pending.
        let _ =
            unsafe { sys::napi_create_buffer_copy(env, bytes.len(), data, out, &raw mut buffer) };
        buffer
    }
}

fn check(call: &This<'_>) -> Result<Record, Failure> {
    step(call, ("cost", Operation::Check))
}

fn take(call: &This<'_>) -> Result<Record, Failure> {
    step(call, ("cost", Operation::Take))
}

fn pace(call: &This<'_>) -> Result<Record, Failure> {
    step(call, ("cost", Operation::Pace))
}

fn peek(call: &This<'_>) -> Result<Record, Failure> {
    step(call, ("cost", Operation::Peek))
}

fn refund(call: &This<'_>) -> Result<Record, Failure> {
    step(call, ("units", Operation::Refund))
}

fn reset(call: &This<'_>) -> Result<Record, Failure> {
    step(call, ("nothing", |_| Operation::Reset))
}

fn block(call: &This<'_>) -> Result<Record, Failure> {
    let ms = call.number("ms", 0)?;
    if ms == 0 || ms > MAX_WINDOW_MS {
        return Err(Failure::BLOCK_MS);
    }
    step(call, ("ms", Operation::Block))
}

exports!(check, take, pace, peek, refund, reset, block);

fn functions(env: Env, stored: Stored) -> Option<Object<'static>> {
    let raw = env.raw();
    let mark = format!("{:016x}", stored.hash());
    let (details, [wide, small]) = Details::new(raw)?;
    let (numbers, buffer, keeper) = memory(raw)?;
    let steps = Steps { stored, env: raw, keeper, numbers };
    let outcome = view(raw, buffer, sys::TypedarrayType::float64_array, NUMBERS, 0)?;
    #[expect(
        clippy::arc_with_non_send_sync,
        reason = "a handle holds one, and stays on its thread"
    )]
    let handle = Rc::new(Handle::new(Arc::new(steps), None, details));
    let mut object = Object::new(&env).ok()?;
    for &(name, callback) in FUNCTIONS {
        set(&mut object, raw, name.to_str().ok()?, bind(raw, name, callback, &handle)?)?;
    }
    for (name, array) in [("wide", wide), ("small", small), ("outcome", outcome)] {
        set(&mut object, raw, name, array)?;
    }
    object.set_named_property("mark", mark).ok()?;
    // The object lives in the scope of the call that is running, which outlives this return.
    Some(Object::from_raw(raw, object.raw()))
}
