//! What the functions of one limiter share: the limiter, its clock, and where details are written.
#![expect(unsafe_code, reason = "raw N-API: memory shared with a Float64Array")]

use napi::sys;
use ratethrottle_core::{At, Decision, Key, Limiter, NEVER, Nanos, Ratchet};
use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Numbers in the array: limit, remaining, reset, retry-after, index of the policy.
pub(crate) const DETAILS: usize = 5;

/// One `RateLimiter` object of one thread. Lives as long as any of its functions.
pub(crate) struct Handle {
    limiter: RefCell<Option<Arc<Limiter>>>,
    ratchet: Ratchet,
    last_key: Cell<Option<Key>>,
    details: Details,
}

impl Handle {
    pub(crate) fn new(limiter: Arc<Limiter>, details: Details) -> Self {
        Self {
            limiter: RefCell::new(Some(limiter)),
            ratchet: Ratchet::default(),
            last_key: Cell::new(None),
            details,
        }
    }

    /// The key of the last `allow` or `check`, hashed.
    #[inline(always)]
    pub(crate) fn last_key(&self) -> Option<Key> {
        self.last_key.get()
    }

    #[inline(always)]
    pub(crate) fn remember_key(&self, key: Key) {
        self.last_key.set(Some(key));
    }

    /// Runs `act` on the limiter, or answers `None` after `close`.
    #[inline]
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Limiter) -> T) -> Option<T> {
        self.limiter.borrow().as_deref().map(act)
    }

    /// Lets go of the limiter. Its memory is free when no other handle holds it.
    pub(crate) fn close(&self) {
        self.limiter.take();
    }

    /// The instant to decide with when the caller's own clock shows `ms`.
    pub(crate) fn at(&self, ms: f64) -> Option<At> {
        Nanos::from_ms(ms).map(|shown| self.ratchet.at(shown))
    }

    #[inline(always)]
    pub(crate) fn write_decision(&self, decision: &Decision) {
        self.details.write([
            number(decision.limit),
            number(decision.remaining),
            milliseconds(decision.reset_ms),
            milliseconds(decision.retry_ms),
            number(decision.policy as u64),
        ]);
    }

    pub(crate) fn write_stats(&self, limiter: &Limiter) {
        let (evictions, overflows) = (limiter.evictions(), limiter.overflows());
        let bytes = limiter.bytes();
        self.details.write([number(evictions), number(overflows), number(bytes), 0.0, 0.0]);
    }
}

/// Through a signed number: the processor has an instruction for that one.
#[expect(clippy::cast_precision_loss, reason = "counts and bytes lie below 2^53")]
#[inline(always)]
const fn number(n: u64) -> f64 {
    n.cast_signed() as f64
}

#[inline(always)]
const fn milliseconds(ms: u64) -> f64 {
    if ms == NEVER { f64::INFINITY } else { number(ms) }
}

/// The memory of a `Float64Array`, kept from collection for as long as we may write to it.
pub(crate) struct Details {
    env: sys::napi_env,
    keeper: sys::napi_ref,
    numbers: NonNull<[f64; DETAILS]>,
}

impl Details {
    /// The memory, and the array through which JavaScript reads it.
    pub(crate) fn new(env: sys::napi_env) -> Option<(Self, sys::napi_value)> {
        let mut data = ptr::null_mut();
        let (mut buffer, mut array) = (ptr::null_mut(), ptr::null_mut());
        let mut keeper = ptr::null_mut();
        let bytes = size_of::<[f64; DETAILS]>();
        // SAFETY: env is the running call's; all results are written to locals of ours.
        let made =
            unsafe { sys::napi_create_arraybuffer(env, bytes, &raw mut data, &raw mut buffer) };
        let kind = sys::TypedarrayType::float64_array;
        // SAFETY: as above, over the buffer just made, whose length fits DETAILS numbers.
        let viewed =
            unsafe { sys::napi_create_typedarray(env, kind, DETAILS, buffer, 0, &raw mut array) };
        // SAFETY: as above. The count of 1 keeps the buffer until `drop` deletes the reference.
        let kept = unsafe { sys::napi_create_reference(env, buffer, 1, &raw mut keeper) };
        let numbers = NonNull::new(data.cast())?;
        [made, viewed, kept]
            .iter()
            .all(|&status| status == sys::Status::napi_ok)
            .then_some((Self { env, keeper, numbers }, array))
    }

    #[inline(always)]
    fn write(&self, numbers: [f64; DETAILS]) {
        // SAFETY: the buffer is kept alive by `keeper`, is never handed to user code (so nobody can
        // detach it), holds DETAILS doubles, and JavaScript of this thread does not run meanwhile.
        unsafe { self.numbers.write(numbers) };
    }
}

impl Drop for Details {
    fn drop(&mut self) {
        // SAFETY: the reference was made in `new` with this env and is deleted once; finalizers run
        // on the env's own thread while it is still valid.
        let _ = unsafe { sys::napi_delete_reference(self.env, self.keeper) };
    }
}
