//! Steps on records of bytes, for stores that are written in JavaScript: one function for each operation.
#![expect(
    unsafe_code,
    reason = "raw N-API: bytes of a Uint8Array, and memory shared with a Float64Array"
)]
#![expect(unreachable_pub, clippy::needless_pass_by_value, reason = "as #[napi] wants its exports")]

use crate::arguments::Call;
use crate::details::{Buffer, Details, PlainNumbers, view};
use crate::function::{Answer, exports};
use crate::handle::{Handle, milliseconds, number};
use crate::open::{OpenOptions, bound, config, set};
use crate::throw::{CallError, refused, report};
use crate::values::{double, kind};
use napi::bindgen_prelude::{Env, JsObjectValue, Object};
use napi::sys;
use napi_derive::napi;
use ratethrottle_core::stored::{Operation, Step, Stored};
use ratethrottle_core::{LimitStatus, MAX_LIMITS, MAX_WINDOW_MS, Nanos};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;

/// Makes the functions of one configuration. Each takes the record (nothing if there is none), an amount, and
/// the time in milliseconds since 1970, and answers the bytes to write, or nothing when nothing changed. The
/// decision is in `wide` and `small` as after `check`. `outcome` holds whether it is allowed, for how many
/// milliseconds the bytes are of use, whether the record was of another configuration, for how many milliseconds
/// the key is blocked, and for each limit what remains and when there is more. `mark` identifies the
/// configuration's records.
#[napi(
    catch_unwind,
    ts_return_type = "{ check(record: Uint8Array | undefined, cost: number, now: number): Buffer | undefined, take(record: Uint8Array | undefined, cost: number, now: number): Buffer | undefined, pace(record: Uint8Array | undefined, cost: number, now: number): Buffer | undefined, peek(record: Uint8Array | undefined, cost: number, now: number): Buffer | undefined, refund(record: Uint8Array | undefined, units: number, now: number): Buffer | undefined, reset(record: Uint8Array | undefined, nothing: number, now: number): Buffer | undefined, block(record: Uint8Array | undefined, ms: number, now: number): Buffer | undefined, wide: Float64Array, small: Int32Array, outcome: Float64Array, mark: string }"
)]
pub fn open_stored(
    env: Env,
    options: OpenOptions,
) -> Result<Object<'static>, napi::Error<&'static str>> {
    crate::failpoints::panic_if_armed();
    let stored = config(&options).and_then(Stored::new).map_err(report)?;
    functions(env, stored).ok_or_else(refused)
}

/// What JavaScript reads after a step, besides the decision.
#[derive(Clone, Copy)]
#[repr(C)]
struct Numbers {
    allowed: f64,
    ttl_ms: f64,
    is_foreign: f64,
    blocked_ms: f64,
    statuses: [[f64; 2]; MAX_LIMITS],
}

// SAFETY: nothing but floats.
unsafe impl PlainNumbers for Numbers {}

/// Numbers in it.
const NUMBERS: usize = 4 + 2 * MAX_LIMITS;

/// A configuration's steps, and the memory under the `Float64Array` that says what they did.
pub(crate) struct Steps {
    stored: Stored,
    numbers: Buffer<Numbers>,
}

type This<'a> = Call<'a, Steps>;

/// Runs one operation on the call's record.
fn step(
    call: &This<'_>,
    (name, operation): (&'static str, impl FnOnce(u64) -> Operation),
) -> Result<Record, CallError> {
    let [record, _, now] = call.arguments.values;
    let longest = call.handle.with(|Steps { stored, .. }| stored.longest());
    let record = bytes(call.env, record, longest.ok_or(CallError::Closed)?)?;
    let operation = operation(call.number(name, 1)?);
    let now = double(call.env, now).and_then(Nanos::from_ms).ok_or(CallError::Time)?;
    let step =
        call.handle.with(|Steps { stored, .. }| stored.step(record.as_deref(), now, operation));
    let step = step.ok_or(CallError::Closed)?.map_err(|_| CallError::Damaged)?;
    call.handle.write_decision(&step.decision);
    call.handle.with(|steps| steps.write(&step));
    Ok(Record(step.write.map(|write| write.bytes)))
}

/// A copy of the bytes in a `Uint8Array`; `None` for undefined. Copied, because the memory may be shared with
/// another thread. Of more than `longest` bytes none is read: no record is as long, nor is any empty.
fn bytes(
    env: sys::napi_env,
    value: sys::napi_value,
    longest: usize,
) -> Result<Option<Vec<u8>>, CallError> {
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
        return Err(CallError::Bytes);
    }
    let Some(data) = NonNull::new(data.cast::<u8>()).filter(|_| 0 < length && length <= longest)
    else {
        return Ok(Some(Vec::new()));
    };
    let mut copy = vec![0; length];
    // SAFETY: N-API says that there are this many bytes, and JavaScript of this thread does not run meanwhile.
    unsafe { ptr::copy_nonoverlapping(data.as_ptr(), copy.as_mut_ptr(), length) };
    Ok(Some(copy))
}

impl Steps {
    fn write(&self, step: &Step) {
        let mut statuses = [[0.0; 2]; MAX_LIMITS];
        for (numbers, status) in statuses.iter_mut().zip(&step.statuses) {
            let LimitStatus { remaining, next_unit_ms } = *status;
            *numbers = [number(remaining), milliseconds(next_unit_ms)];
        }
        self.numbers.write(Numbers {
            allowed: f64::from(u8::from(step.decision.allowed)),
            ttl_ms: step.write.as_ref().map_or(0.0, |write| number(write.ttl_ms)),
            is_foreign: f64::from(u8::from(step.is_foreign)),
            blocked_ms: number(step.blocked_ms),
            statuses,
        });
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

fn check(call: &This<'_>) -> Result<Record, CallError> {
    step(call, ("cost", Operation::Check))
}

fn take(call: &This<'_>) -> Result<Record, CallError> {
    step(call, ("cost", Operation::Take))
}

fn pace(call: &This<'_>) -> Result<Record, CallError> {
    step(call, ("cost", Operation::Pace))
}

fn peek(call: &This<'_>) -> Result<Record, CallError> {
    step(call, ("cost", Operation::Peek))
}

fn refund(call: &This<'_>) -> Result<Record, CallError> {
    step(call, ("units", Operation::Refund))
}

fn reset(call: &This<'_>) -> Result<Record, CallError> {
    step(call, ("nothing", |_| Operation::Reset))
}

fn block(call: &This<'_>) -> Result<Record, CallError> {
    let ms = call.number("ms", 0)?;
    if ms == 0 || ms > MAX_WINDOW_MS {
        return Err(CallError::BLOCK_MS);
    }
    step(call, ("ms", Operation::Block))
}

exports!(Steps: check, take, pace, peek, refund, reset, block);

fn functions(env: Env, stored: Stored) -> Option<Object<'static>> {
    let raw = env.raw();
    let mark = format!("{:016x}", stored.hash());
    let (details, arrays) = Details::new(raw)?;
    let (numbers, buffer) = Buffer::new(raw)?;
    let outcome = view(raw, buffer, sys::TypedarrayType::float64_array, NUMBERS, 0)?;
    #[expect(
        clippy::arc_with_non_send_sync,
        reason = "a handle holds one, and stays on its thread"
    )]
    let steps = Arc::new(Steps { stored, numbers });
    let handle = Rc::new(Handle::new(steps, None, details));
    let mut object = bound(env, FUNCTIONS, &handle, arrays)?;
    set(&mut object, raw, "outcome", outcome)?;
    object.set_named_property("mark", mark).ok()?;
    Some(object)
}
