//! The functions on permits.
#![expect(unsafe_code, reason = "raw N-API: a number from an argument")]
#![expect(unreachable_pub, reason = "as #[napi] wants its exports")]

use crate::arguments::Call;
use crate::callbacks::close;
use crate::details::Details;
use crate::external_memory::{MemoryUse, measure_others};
use crate::function::{Admission, exports};
use crate::handle::{Attachment, Handle};
use crate::key::{self, HashKey};
use crate::open::{bound, whole};
use crate::registry::{self, reattach};
use crate::throw::{CallError, refused, report};
use napi::bindgen_prelude::{Env, Object};
use napi::sys;
use napi_derive::napi;
use ratethrottle_core::permits::{Lane, Permits, PermitsConfig, Refusal};
use ratethrottle_core::{Encoding, Key};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// What permits are made from. The TypeScript layer has checked and filled in everything.
#[napi(object)]
pub struct PermitsOptions {
    /// Most permits of a key; 0 for no limit.
    pub per_key: f64,
    /// Most permits of all keys together; 0 for no limit.
    pub total: f64,
    /// Keys that hold permits at once.
    pub capacity: f64,
    /// Shared by all threads that ask for the same name.
    pub name: Option<String>,
    /// Also by all processes of this user.
    pub shared: Option<bool>,
}

/// Makes permits, or joins those of the same name, and binds their functions.
///
/// `acquire` leaves a receipt in `small[0]`, from 0 on, or why there is none: -1 for the key, -2 for the total, -3 for
/// the capacity. `held` writes how many permits the key holds to `wide[0]`, `reap` how many came free, `state` how many
/// are held in all, by how many keys, by this thread, and in how many bytes.
#[napi(
    catch_unwind,
    ts_return_type = "{ acquire(key: string): undefined, release(receipt: number): undefined, held(key: string): undefined, reap(): undefined, state(): undefined, stats(): undefined, renew(): undefined, close(): undefined, wide: Float64Array, small: Int32Array }"
)]
pub fn open_permits(
    env: Env,
    options: PermitsOptions,
) -> Result<Object<'static>, napi::Error<&'static str>> {
    crate::failpoints::panic_if_armed();
    let is_shared = options.shared == Some(true);
    let count = |number: f64| u32::try_from(whole(number)).unwrap_or(u32::MAX);
    let config = PermitsConfig {
        per_key: count(options.per_key),
        total: count(options.total),
        capacity: usize::try_from(whole(options.capacity)).unwrap_or(usize::MAX),
    };
    let permits = registry::open::<Permits>(options.name.as_deref(), is_shared, config);
    let permits = permits.map_err(report)?;
    let is_named = options.name.is_some();
    let shared = options.name.filter(|_| is_shared);
    let make = || {
        let (details, arrays) = Details::new(env.raw())?;
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "a handle holds one, and stays on its thread"
        )]
        let holder = Arc::new(Holder::new(&permits, is_named, shared));
        let handle = Rc::new(Handle::new(holder, None, details));
        measure_others(&handle);
        bound(env, FUNCTIONS, &handle, arrays)
    };
    make().ok_or_else(refused)
}

thread_local! {
    /// The lanes of this thread: there are few, and many objects may have permits of one name.
    static LANES: RefCell<Vec<Weak<Lane>>> = const { RefCell::new(Vec::new()) };
}

/// This thread's lane of the permits.
fn lane_of(permits: &Arc<Permits>) -> Rc<Lane> {
    LANES.with_borrow_mut(|lanes| {
        lanes.retain(|lane| lane.strong_count() > 0);
        let mut known = lanes.iter().filter_map(Weak::upgrade);
        known.find(|lane| Arc::ptr_eq(lane.permits(), permits)).unwrap_or_else(|| {
            let lane = Rc::new(Lane::new(permits));
            lanes.push(Rc::downgrade(&lane));
            lane
        })
    })
}

/// What one object holds of its thread's lane.
struct Part {
    lane: Rc<Lane>,
    /// How many permits of each slot. Empty where the lane is this object's alone.
    own: Box<[Cell<u32>]>,
}

impl Part {
    fn new(permits: &Arc<Permits>, is_named: bool) -> Self {
        let slots = if is_named { permits.slots() } else { 0 };
        Self { lane: lane_of(permits), own: vec![Cell::new(0); slots].into() }
    }

    #[inline(always)]
    fn acquire(&self, key: Key) -> Result<usize, Refusal> {
        let taken = self.lane.acquire(key);
        if let Ok(index) = taken
            && let Some(own) = self.own.get(index)
        {
            own.set(own.get().wrapping_add(1));
        }
        taken
    }

    #[inline(always)]
    fn release(&self, index: usize) {
        if let Some(own) = self.own.get(index) {
            let Some(left) = own.get().checked_sub(1) else { return };
            own.set(left);
        }
        self.lane.release(index);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        for (index, own) in self.own.iter().enumerate() {
            for _ in 0..own.get() {
                self.lane.release(index);
            }
        }
    }
}

/// The permits that one object of one thread holds.
pub(crate) struct Holder {
    part: RefCell<Part>,
    is_named: bool,
    /// The name under which processes share them.
    shared: Option<String>,
    /// Which file the permits are of: after another, receipts of this one are worth nothing.
    epoch: Cell<u32>,
}

/// Bits of a receipt that say which slot.
const SLOT: u32 = 21;
/// Epochs that receipts tell apart.
const EPOCHS: u32 = 1 << (31 - SLOT);

impl Holder {
    fn new(permits: &Arc<Permits>, is_named: bool, shared: Option<String>) -> Self {
        let part = RefCell::new(Part::new(permits, is_named));
        Self { part, is_named, shared, epoch: Cell::new(0) }
    }

    #[inline(always)]
    fn acquire(&self, key: Key) -> i32 {
        match self.part.borrow().acquire(key) {
            Ok(index) => {
                let receipt = self.epoch.get() << SLOT | u32::try_from(index).unwrap_or_default();
                receipt.cast_signed()
            }
            Err(refusal) => (refusal as i32).wrapping_neg(),
        }
    }

    #[inline(always)]
    fn release(&self, receipt: i32) {
        let receipt = receipt.cast_unsigned();
        if receipt >> SLOT == self.epoch.get() {
            self.part.borrow().release((receipt & ((1 << SLOT) - 1)) as usize);
        }
    }

    fn permits(&self) -> Arc<Permits> {
        Arc::clone(self.part.borrow().lane.permits())
    }

    fn renew(&self) -> Attachment {
        match reattach(&*self.permits(), self.shared.as_deref()) {
            Ok(None) => Attachment::Current,
            Err(_) => Attachment::Detached,
            Ok(Some(permits)) => {
                self.part.replace(Part::new(&permits, self.is_named));
                self.epoch.set(self.epoch.get().wrapping_add(1) % EPOCHS);
                Attachment::Reattached
            }
        }
    }
}

impl MemoryUse for Holder {
    fn bytes(&self) -> u64 {
        self.permits().bytes()
    }

    fn resident(&self) -> Option<u64> {
        None
    }

    fn tables(&self) -> u64 {
        2
    }
}

impl HashKey for Holder {
    #[inline(always)]
    fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.part.borrow().lane.permits().key(bytes, encoding)
    }
}

type This<'a> = Call<'a, Holder>;

#[inline(always)]
fn run<T>(call: &This<'_>, act: impl FnOnce(&Holder, Key) -> T) -> Result<T, CallError> {
    let [text, ..] = call.arguments.values;
    let done = call.handle.with(|holder| {
        let key = key::read(holder, call.env, text).map_err(CallError::Key)?;
        Ok(act(holder, key))
    });
    done.unwrap_or(Err(CallError::Closed))
}

fn holder<T>(call: &This<'_>, act: impl FnOnce(&Holder) -> T) -> Result<T, CallError> {
    call.handle.with(act).ok_or(CallError::Closed)
}

#[inline(always)]
fn acquire(call: &This<'_>) -> Admission {
    if call.handle.memory().is_due() {
        call.handle.measure();
    }
    let receipt = run(call, Holder::acquire)?;
    call.handle.write_small([receipt, 0, 0, 0, 0, 0, 0, 0]);
    Ok(None)
}

/// Nothing after `close`: that gave all back.
#[expect(clippy::unnecessary_wraps, reason = "all callbacks have one shape")]
#[inline(always)]
fn release(call: &This<'_>) -> Admission {
    let [receipt, ..] = call.arguments.values;
    let mut number = -1;
    // SAFETY: both are the running callback's, and the number is a local of ours.
    let status = unsafe { sys::napi_get_value_int32(call.env, receipt, &raw mut number) };
    if status == sys::Status::napi_ok && number >= 0 {
        call.handle.with(|holder| holder.release(number));
    }
    Ok(None)
}

fn held(call: &This<'_>) -> Admission {
    let held = run(call, |holder, key| holder.part.borrow().lane.permits().held(key))?;
    call.handle.write_first([f64::from(held)]);
    Ok(None)
}

fn reap(call: &This<'_>) -> Admission {
    let freed = holder(call, |holder| holder.part.borrow().lane.reap())?;
    call.handle.write_counts([freed]);
    Ok(None)
}

fn state(call: &This<'_>) -> Admission {
    let counts = holder(call, |holder| {
        let permits = holder.permits();
        let (held, keys) = permits.in_use();
        [held, keys, u64::from(holder.part.borrow().lane.held()), permits.bytes()]
    })?;
    call.handle.write_counts(counts);
    Ok(None)
}

fn stats(call: &This<'_>) -> Admission {
    let counts = holder(call, |holder| registry::stats(&*holder.permits()))?;
    call.handle.write_counts(counts);
    Ok(None)
}

fn renew(call: &This<'_>) -> Admission {
    let attachment = holder(call, Holder::renew)?;
    call.handle.write_attachment(attachment);
    Ok(None)
}

exports!(Holder: acquire, release, held, reap, state, stats, renew, close);
