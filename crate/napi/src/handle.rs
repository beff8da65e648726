//! What the functions of one limiter share: the limiter, its clock, and where details are written.
#![expect(unsafe_code, reason = "raw N-API: memory shared with a Float64Array")]

use crate::burden::{Burden, Looked, Weighs};
use crate::open::reopen;
use napi::sys;
use ratethrottle_core::{At, Decision, Key, Limiter, NEVER, Nanos, Ratchet, Standing};
use std::cell::{Cell, RefCell};
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Limit, remaining, reset, the limit's own reset, retry-after, that in seconds, index of the policy.
const DETAILS: usize = 7;

/// What JavaScript reads after a call. Small numbers are integers, because an object made of doubles
/// costs JavaScript an allocation for each of them.
#[repr(C)]
struct Numbers {
    wide: [f64; DETAILS],
    /// The same numbers, and at the end 0; or only a 1 at the end, if one of them does not fit.
    small: [i32; DETAILS + 1],
}

/// What became of a limiter's tie to those of other processes.
#[derive(Clone, Copy)]
pub(crate) enum Tie {
    /// As it was.
    Held,
    /// Somebody removed what was shared; all share something new now.
    Renewed,
    /// What was shared is gone and can't be had anew: this process counts for itself.
    Lost,
}

/// One `RateLimiter` object of one thread. Lives as long as any of its functions.
pub(crate) struct Handle<L = Limiter> {
    limiter: RefCell<Option<Arc<L>>>,
    /// The name under which processes share it.
    shared: Option<String>,
    ratchet: Ratchet,
    last_key: Cell<Option<Key>>,
    burden: Burden,
    details: Details,
}

impl<L> Handle<L> {
    pub(crate) fn new(limiter: Arc<L>, shared: Option<String>, details: Details) -> Self {
        Self {
            limiter: RefCell::new(Some(limiter)),
            shared,
            ratchet: Ratchet::default(),
            last_key: Cell::new(None),
            burden: Burden::new(details.env),
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

    pub(crate) const fn burden(&self) -> &Burden {
        &self.burden
    }

    /// Tells V8 how much memory the limiter holds by now.
    #[cold]
    pub(crate) fn look(&self)
    where
        L: Weighs,
    {
        if let Some(limiter) = self.limiter.borrow().as_ref() {
            self.burden.look(limiter);
        }
    }

    /// Runs `act` on the limiter, or answers `None` after `close`.
    #[inline]
    pub(crate) fn with<T>(&self, act: impl FnOnce(&L) -> T) -> Option<T> {
        self.limiter.borrow().as_deref().map(act)
    }

    pub(crate) fn write_tie(&self, tie: Tie) {
        self.write_first([f64::from(tie as u8)]);
    }

    /// Lets go of the limiter. Its memory is free when no other handle holds it.
    pub(crate) fn close(&self) {
        if self.limiter.take().is_some() {
            self.burden.lift();
        }
    }

    /// The instant to decide with when the caller's own clock shows `ms`.
    pub(crate) fn at(&self, ms: f64) -> Option<At> {
        Nanos::from_ms(ms).map(|shown| self.ratchet.at(shown))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "below 2^31, as just checked; there are 16 limits at most"
    )]
    #[inline(always)]
    pub(crate) fn write_decision(&self, decision: &Decision) {
        let Decision { limit, remaining, reset_ms, limit_reset_ms, retry_ms, policy, .. } =
            *decision;
        // The limit's own reset is part of the whole one, and never greater.
        if (limit | remaining | reset_ms | retry_ms) >> 31 != 0 {
            return self.write_wide(decision);
        }
        self.details.write_small([
            limit as i32,
            remaining as i32,
            reset_ms as i32,
            limit_reset_ms as i32,
            retry_ms as i32,
            retry_ms.div_ceil(1_000) as i32,
            policy as i32,
            0,
        ]);
    }

    #[cold]
    fn write_wide(&self, decision: &Decision) {
        self.details.write_wide([
            number(decision.limit),
            number(decision.remaining),
            milliseconds(decision.reset_ms),
            milliseconds(decision.limit_reset_ms),
            milliseconds(decision.retry_ms),
            seconds(decision.retry_ms),
            number(decision.policy as u64),
        ]);
        self.details.write_small([0, 0, 0, 0, 0, 0, 0, 1]);
    }

    pub(crate) fn write_standing(&self, standing: Standing) {
        self.write_first([number(standing.remaining), milliseconds(standing.more_ms)]);
    }

    pub(crate) fn write_counts<const N: usize>(&self, counts: [u64; N]) {
        self.write_first(counts.map(number));
    }

    /// Writes the first numbers and leaves the rest 0.
    fn write_first<const N: usize>(&self, first: [f64; N]) {
        let mut numbers = [0.0; DETAILS];
        for (number, value) in numbers.iter_mut().zip(first) {
            *number = value;
        }
        self.details.write_wide(numbers);
    }
}

impl<L: Weighs> Looked for Handle<L> {
    fn look_again(&self) {
        if self.burden.was_called() {
            self.look();
        }
    }
}

impl Handle {
    /// Sees to it that processes that share go on sharing when somebody has removed the file.
    pub(crate) fn renew(&self) -> Option<Tie> {
        let limiter = self.limiter.borrow().clone()?;
        let Some(name) = self.shared.as_ref().filter(|_| !limiter.is_current()) else {
            return Some(Tie::Held);
        };
        let before = limiter.generation().saturating_add(1);
        let Ok(limiter) = reopen(name, limiter.policy().clone(), before) else {
            return Some(Tie::Lost);
        };
        self.limiter.replace(Some(limiter));
        // Hashed with the secret of the table that is gone.
        self.last_key.set(None);
        Some(Tie::Renewed)
    }

    pub(crate) fn write_stats(&self, limiter: &Limiter) {
        let (evictions, overflows) = (limiter.evictions(), limiter.overflows());
        let bytes = limiter.bytes();
        let (rivals, generation) = (limiter.rivals() as u64, limiter.generation());
        let numbers = [evictions, overflows, bytes, rivals, generation];
        self.write_counts(numbers);
    }
}

/// Through a signed number: the processor has an instruction for that one.
#[expect(clippy::cast_precision_loss, reason = "counts and bytes lie below 2^53")]
#[inline(always)]
pub(crate) const fn number(n: u64) -> f64 {
    n.cast_signed() as f64
}

#[inline(always)]
pub(crate) const fn milliseconds(ms: u64) -> f64 {
    if ms == NEVER { f64::INFINITY } else { number(ms) }
}

/// Whole seconds, rounded up.
const fn seconds(ms: u64) -> f64 {
    if ms == NEVER { f64::INFINITY } else { number(ms.div_ceil(1_000)) }
}

/// The memory under a `Float64Array` and an `Int32Array`, kept from collection for as long as we may write to it.
pub(crate) struct Details {
    env: sys::napi_env,
    keeper: sys::napi_ref,
    numbers: NonNull<Numbers>,
}

impl Details {
    /// The memory, and the two arrays through which JavaScript reads it: wide and small.
    pub(crate) fn new(env: sys::napi_env) -> Option<(Self, [sys::napi_value; 2])> {
        let (numbers, buffer, keeper) = memory(env)?;
        let wide = view(env, buffer, sys::TypedarrayType::float64_array, DETAILS, 0)?;
        let start = offset_of!(Numbers, small);
        let small = view(env, buffer, sys::TypedarrayType::int32_array, DETAILS + 1, start)?;
        Some((Self { env, keeper, numbers }, [wide, small]))
    }

    #[inline(always)]
    fn write_small(&self, numbers: [i32; DETAILS + 1]) {
        // SAFETY: the buffer is kept alive by `keeper`, is never handed to user code (so nobody can
        // detach it), holds `Numbers`, and JavaScript of this thread does not run meanwhile.
        unsafe { (*self.numbers.as_ptr()).small = numbers };
    }

    fn write_wide(&self, numbers: [f64; DETAILS]) {
        // SAFETY: as above.
        unsafe { (*self.numbers.as_ptr()).wide = numbers };
    }
}

/// Memory for a `T` under a buffer of JavaScript's, all zero, and a reference that keeps it from collection.
pub(crate) fn memory<T>(
    env: sys::napi_env,
) -> Option<(NonNull<T>, sys::napi_value, sys::napi_ref)> {
    let mut data = ptr::null_mut();
    let (mut buffer, mut keeper) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: env is the running call's; all results are written to locals of ours.
    let made = unsafe {
        sys::napi_create_arraybuffer(env, size_of::<T>(), &raw mut data, &raw mut buffer)
    };
    // SAFETY: as above. The count of 1 keeps the buffer until its owner deletes the reference.
    let kept = unsafe { sys::napi_create_reference(env, buffer, 1, &raw mut keeper) };
    let is_had = made == sys::Status::napi_ok && kept == sys::Status::napi_ok;
    Some((NonNull::new(data.cast()).filter(|_| is_had)?, buffer, keeper))
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

impl Drop for Details {
    fn drop(&mut self) {
        // SAFETY: the reference was made in `new` with this env and is deleted once; finalizers run
        // on the env's own thread while it is still valid.
        let _ = unsafe { sys::napi_delete_reference(self.env, self.keeper) };
    }
}
