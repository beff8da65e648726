//! A shield's functions.
#![expect(unsafe_code, reason = "raw N-API: text from the stack")]
#![expect(unreachable_pub, reason = "as #[napi] wants its exports")]

use crate::arguments::Call;
use crate::callbacks::{blocked, close, renew};
use crate::details::Details;
use crate::external_memory::{MemoryUse, measure_others};
use crate::function::{Admission, exports};
use crate::handle::{Handle, number};
use crate::key::{self, HashKey, KeyError, read_utf8};
use crate::open::bound;
use crate::registry;
use crate::shield_options::{ShieldOptions, config};
use crate::throw::{CallError, refused, report};
use crate::values::{Text, double};
use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;
use ratethrottle_core::shield::{Outcome, Shield, Source, Verdict};
use ratethrottle_core::{COARSE_MS, Clock, Encoding, Key, Nanos, coarse_now};
use std::fmt::Write;
use std::mem::MaybeUninit;
use std::rc::Rc;

/// Makes a shield, or joins the one of the same name, and binds its functions.
///
/// `decide` takes an address, flags (1 sensitive, 2 watching) and the time; `settle` an address, an outcome
/// (1 failed, 2 sensitive, and from bit 2 on a hash of the path) and the time. Both answer false if there is
/// something to say, which `small` then holds: level, reasons, refused, by lot, begins a block, milliseconds.
#[napi(
    catch_unwind,
    ts_return_type = "{ decide(ip: string, flags?: number, now?: number): false | undefined, settle(ip: string, outcome: number, now?: number): false | undefined, blocked_ms(ip: string, nothing?: number, now?: number): false | undefined, block(ip: string, ms: number, now?: number): undefined, pardon(ip: string, nothing?: number, now?: number): false | undefined, capacity(nothing: string, perSecond: number, now?: number): undefined, state(nothing: string, countsBlocked: number, now?: number): undefined, top(nothing: string, count: number, now?: number): string, stats(): undefined, renew(): undefined, close(): undefined, wide: Float64Array, small: Int32Array }"
)]
pub fn open_shield(
    env: Env,
    options: ShieldOptions,
) -> Result<Object<'static>, napi::Error<&'static str>> {
    crate::failpoints::panic_if_armed();
    let is_shared = options.shared == Some(true);
    let shield = registry::open::<Shield>(options.name.as_deref(), is_shared, config(&options));
    let shield = shield.map_err(report)?;
    let shared = options.name.filter(|_| is_shared);
    let make = || {
        let (details, arrays) = Details::new(env.raw())?;
        let handle = Rc::new(Handle::new(shield, shared, details));
        measure_others(&handle);
        bound(env, FUNCTIONS, &handle, arrays)
    };
    make().ok_or_else(refused)
}

impl MemoryUse for Shield {
    fn bytes(&self) -> u64 {
        self.bytes()
    }

    fn resident(&self) -> Option<u64> {
        None
    }

    fn tables(&self) -> u64 {
        2
    }
}

type This<'a> = Call<'a, Shield>;

/// The longest text of an address that is told from others.
const LONGEST: usize = 256;

/// The source in the first argument.
#[inline(always)]
fn source(call: &This<'_>) -> Result<Source, CallError> {
    let [text, ..] = call.arguments.values;
    let mut stack = [MaybeUninit::<u8>::uninit(); LONGEST];
    let bytes = read_utf8(call.env, text, &mut stack).ok_or(CallError::Key(KeyError::Type))?;
    // An address is short, and ASCII.
    if bytes.len() < LONGEST - 4 && bytes.is_ascii() {
        return Ok(Source::parse(bytes));
    }
    let hash = call.handle.with(|shield| key::read(shield, call.env, text));
    Ok(Source::of_text(hash.ok_or(CallError::Closed)?.map_err(CallError::Key)?))
}

impl HashKey for Shield {
    fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.key(bytes, encoding)
    }
}

/// The time in the third argument, or now; and by how much the latter may be late.
#[inline(always)]
fn time(call: &This<'_>) -> Result<(Nanos, u64), CallError> {
    if call.arguments.given < 3 {
        return Ok((coarse_now(), COARSE_MS));
    }
    let [.., time] = call.arguments.values;
    let at = double(call.env, time).and_then(|ms| call.handle.at(ms)).ok_or(CallError::Time)?;
    Ok((at.now(), 0))
}

#[inline(always)]
fn run<T>(
    call: &This<'_>,
    act: impl FnOnce(&Shield, Source, u64, Nanos) -> T,
) -> Result<(T, u64), CallError> {
    let source = source(call)?;
    let number = call.number("number", 0)?;
    let (at, late_ms) = time(call)?;
    let done = call.handle.with(|shield| act(shield, source, number, at));
    Ok((done.ok_or(CallError::Closed)?, late_ms))
}

#[inline(always)]
fn decide(call: &This<'_>) -> Admission {
    if call.handle.memory().is_due() {
        call.handle.measure();
    }
    let decide = |shield: &Shield, source, flags, at| {
        shield.decide(source, flags & 1 != 0, flags & 2 == 0, at)
    };
    let (verdict, late_ms) = run(call, decide)?;
    Ok(answer(call, &verdict, late_ms))
}

fn settle(call: &This<'_>) -> Admission {
    let settle = |shield: &Shield, source, number, at| {
        let [has_failed, is_sensitive] = [number & 1 != 0, number & 2 != 0];
        shield.settle(source, Outcome { has_failed, is_sensitive, path: number >> 2 }, at)
    };
    let (verdict, late_ms) = run(call, settle)?;
    Ok(answer(call, &verdict, late_ms))
}

/// Writes a verdict, if it says anything.
#[inline(always)]
fn answer(call: &This<'_>, verdict: &Verdict, late_ms: u64) -> Option<bool> {
    if verdict.level == 0 {
        return None;
    }
    write(call, verdict, late_ms);
    Some(false)
}

#[cold]
fn write(call: &This<'_>, verdict: &Verdict, late_ms: u64) {
    let Verdict { is_refused, level, reasons, retry_ms, is_lot, begins_block } = *verdict;
    let retry_ms = if is_refused { retry_ms.saturating_add(late_ms) } else { 0 };
    let retry = i32::try_from(retry_ms).unwrap_or(i32::MAX);
    call.handle.write_small([
        i32::from(level),
        i32::from(reasons),
        i32::from(is_refused),
        i32::from(is_lot),
        i32::from(begins_block),
        retry,
        0,
        0,
    ]);
}

/// Answers false if the source is blocked: `wide[0]` says for how many milliseconds.
fn blocked_ms(call: &This<'_>) -> Admission {
    let (ms, late_ms) = run(call, |shield, source, _, at| shield.blocked_ms(source, at))?;
    if ms == 0 {
        return Ok(None);
    }
    call.handle.write_first([number(ms.saturating_add(late_ms))]);
    Ok(Some(false))
}

fn block(call: &This<'_>) -> Admission {
    let (done, _) =
        run(call, |shield, source, ms, at| blocked(ms, || shield.block(source, ms, at)))?;
    done
}

/// Answers false if the source was not blocked.
fn pardon(call: &This<'_>) -> Admission {
    let (was_blocked, _) = run(call, |shield, source, _, at| shield.pardon(source, at))?;
    Ok(if was_blocked { None } else { Some(false) })
}

/// Says what the service can do: 0 for what the shield was made with.
fn capacity(call: &This<'_>) -> Admission {
    let [_, per_second, _] = call.arguments.values;
    let per_second = double(call.env, per_second).filter(|rate| *rate >= 0.0);
    let accepted = "a number from 0 on";
    let per_second = per_second.ok_or(CallError::Number("perSecond", accepted))?;
    call.handle.with(|shield| shield.set_capacity(per_second)).ok_or(CallError::Closed)?;
    Ok(None)
}

/// The numbers of `stats`, and behind them the seed for hashes of paths.
fn stats(call: &This<'_>) -> Admission {
    let counts = call.handle.with(|shield| {
        let [evictions, overflows, bytes, conflicting, generation, _] = registry::stats(shield);
        [evictions, overflows, bytes, conflicting, generation, shield.seed()]
    });
    call.handle.write_counts(counts.ok_or(CallError::Closed)?);
    Ok(None)
}

fn state(call: &This<'_>) -> Admission {
    let (state, _) = run(call, |shield, _, counts_blocked, at| {
        shield.tick(at);
        shield.state(counts_blocked != 0, at)
    })?;
    let flags = u8::from(state.pressure) | (u8::from(state.alarm) << 1);
    call.handle.write_first([
        f64::from(flags),
        number(state.admitted),
        number(state.refused),
        number(state.would_refuse),
        state.newcomer_share,
        number(state.blocked),
        number(state.evictions),
    ]);
    Ok(None)
}

/// A line of text for each source.
fn top(call: &This<'_>) -> Result<Text, CallError> {
    let (top, _) = run(call, |shield, _, count, at| {
        shield.top(usize::try_from(count).unwrap_or(0).min(MOST), at)
    })?;
    let mut text = String::new();
    for one in top {
        let rate = one.per_minute;
        let regular = u8::from(one.is_regular);
        let line = (one.source, one.level, one.blocked_ms);
        let _ = writeln!(text, "{} {rate} {} {regular} {}", line.0, line.1, line.2);
    }
    Ok(Text(text))
}

/// The most sources that `top` names.
const MOST: usize = 1_000;

exports!(
    Shield: decide, settle, blocked_ms, block, pardon, capacity, state, top, stats, renew, close
);
