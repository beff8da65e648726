//! An insight's functions.
#![expect(unsafe_code, reason = "raw N-API: functions that JavaScript calls")]
#![expect(unreachable_pub, reason = "as #[napi] wants its exports")]

use crate::arguments::Call;
use crate::callbacks::close;
use crate::details::Details;
use crate::external_memory::measure_others;
use crate::function::{Admission, exports};
use crate::handle::{Handle, number};
use crate::key::{KeyError, read_text};
use crate::open::{bound, set, whole};
use crate::recorder::{Recorder, seconds};
use crate::registry;
use crate::throw::{CallError, refused, report};
use crate::values::{Text, double};
use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;
use ratethrottle_core::insight::{Counted, FIELDS, Insight, InsightConfig, KeyStyle, limit_count};
use ratethrottle_core::{Encoding, coarse_now};
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

/// What an insight is made from. The TypeScript layer has checked and filled in everything.
#[napi(object)]
pub struct InsightOptions {
    /// `hash`, `mask` or `plain`.
    pub keys: String,
    /// Keys that are to be known.
    pub top: f64,
    /// Whether the time comes from a clock of the caller's.
    pub has_clock: bool,
    /// Shared by all threads that ask for the same name.
    pub name: Option<String>,
    /// Also by all processes of this user.
    pub shared: Option<bool>,
}

/// Makes an insight, or joins the one of the same name, and binds its functions.
///
/// `row` finds the row of a limit (kind 0) or a route (1) by name. `count` counts a decision about a key that was
/// made elsewhere; its number is the row times 32 plus the field. `flush` adds what stands in `added`. `read` writes
/// `sums`. `series` takes row * 8192 + ring * 2048 + steps. The texts have a line for each row, step or key.
#[napi(
    catch_unwind,
    ts_return_type = "{ row(name: string, kind: number): undefined, count(key: string, field: number, now?: number): undefined, flush(nothing: string, nothing2: number, now?: number): undefined, read(): undefined, series(nothing: string, which: number, now?: number): string, names(nothing: string, kind: number): string, top(nothing: string, table: number): string, key_name(key: string): string, state(): undefined, stats(): undefined, renew(): undefined, close(): undefined, wide: Float64Array, small: Int32Array, added: Float64Array, sums: Float64Array, id: number }"
)]
pub fn open_insight(
    env: Env,
    options: InsightOptions,
) -> Result<Object<'static>, napi::Error<&'static str>> {
    crate::failpoints::panic_if_armed();
    let keys = match options.keys.as_str() {
        "plain" => KeyStyle::Plain,
        "mask" => KeyStyle::Mask,
        _ => KeyStyle::Hash,
    };
    let top = usize::try_from(whole(options.top)).unwrap_or(usize::MAX);
    let config = InsightConfig { keys, top };
    let is_shared = options.shared == Some(true);
    let insight = registry::open::<Insight>(options.name.as_deref(), is_shared, config);
    let insight = insight.map_err(report)?;
    let shared = options.name.filter(|_| is_shared);
    functions(env, &insight, shared, options.has_clock).ok_or_else(refused)
}

fn functions(
    env: Env,
    insight: &Arc<Insight>,
    shared: Option<String>,
    has_clock: bool,
) -> Option<Object<'static>> {
    let raw = env.raw();
    let (details, arrays) = Details::new(raw)?;
    let (recorder, [added, sums]) = Recorder::new(raw, insight, shared, has_clock)?;
    #[expect(
        clippy::arc_with_non_send_sync,
        reason = "a handle holds one, and stays on its thread"
    )]
    let recorder = Arc::new(recorder);
    let id = Recorder::register(&recorder);
    let handle = Rc::new(Handle::new(recorder, None, details));
    measure_others(&handle);
    let mut object = bound(env, FUNCTIONS, &handle, arrays)?;
    set(&mut object, raw, "added", added)?;
    set(&mut object, raw, "sums", sums)?;
    object.set("id", id).ok()?;
    Some(object)
}

type This<'a> = Call<'a, Recorder>;

/// The second that the third argument shows, or this one.
fn second(call: &This<'_>) -> Result<u64, CallError> {
    if call.arguments.given < 3 {
        return Ok(seconds(coarse_now()));
    }
    let [.., time] = call.arguments.values;
    let ms = double(call.env, time).filter(|ms| *ms >= 0.0).ok_or(CallError::Time)?;
    Ok(whole(ms / 1_000.0))
}

fn recorder<T>(call: &This<'_>, act: impl FnOnce(&Recorder) -> T) -> Result<T, CallError> {
    call.handle.with(act).ok_or(CallError::Closed)
}

fn text(call: &This<'_>) -> Result<String, CallError> {
    let [text, ..] = call.arguments.values;
    read_text(call.env, text).ok_or(CallError::Key(KeyError::Type))
}

fn row(call: &This<'_>) -> Admission {
    let (name, kind) = (text(call)?, call.number("kind", 0)?);
    let row = recorder(call, |recorder| match kind {
        0 => recorder.limit_row(&name),
        _ => recorder.insight().route_row(&name),
    })?;
    call.handle.write_first([number(row as u64)]);
    Ok(None)
}

fn count(call: &This<'_>) -> Admission {
    let (text, field) = (text(call)?, call.number("field", 0)?);
    let field = usize::try_from(field).unwrap_or_default();
    let (row, field) = (field / FIELDS, field % FIELDS);
    recorder(call, |recorder| {
        let insight = recorder.insight();
        let counted = match field {
            0 => Counted::Admitted,
            1 => Counted::Dry,
            FIELDS.. => return,
            field if field >= FIELDS / 2 => Counted::Denied(field.wrapping_sub(FIELDS / 2)),
            field => return recorder.add(limit_count(row, field), 1),
        };
        let key = insight.key(text.as_bytes(), Encoding::Utf8);
        recorder.decided(row, counted, key, || Some(text.clone()));
    })?;
    Ok(None)
}

fn flush(call: &This<'_>) -> Admission {
    let second = second(call)?;
    recorder(call, |recorder| recorder.flush(second))?;
    Ok(None)
}

fn read(call: &This<'_>) -> Admission {
    recorder(call, Recorder::write_sums)?;
    Ok(None)
}

/// A line for each step: admitted, denied, dry and waited by its end. One step more than was asked for.
fn series(call: &This<'_>) -> Result<Text, CallError> {
    let (which, second) = (call.number("which", 0)?, second(call)?);
    let part = |number: u64| usize::try_from(number).unwrap_or_default();
    let (limit, ring, steps) = (part(which / 8192), part(which / 2048 % 4), part(which % 2048));
    let steps = recorder(call, |recorder| recorder.insight().series(limit, ring, steps, second))?;
    let mut lines = String::new();
    for [admitted, denied, dry, waited] in steps {
        let _ = writeln!(lines, "{admitted} {denied} {dry} {waited}");
    }
    Ok(Text(lines))
}

/// A line for each row that has a name: its number, and the name with lines' ends left out.
fn names(call: &This<'_>) -> Result<Text, CallError> {
    let kind = call.number("kind", 0)?;
    let names = recorder(call, |recorder| match kind {
        0 => recorder.insight().limit_names(),
        _ => recorder.insight().route_names(),
    })?;
    let mut lines = String::new();
    for (row, name) in names.into_iter().enumerate() {
        if let Some(name) = name {
            let _ = writeln!(lines, "{row} {}", one_line(&name));
        }
    }
    Ok(Text(lines))
}

/// A line for each key: the row of its limit, its count, by how much that may be too large, and its name.
fn top(call: &This<'_>) -> Result<Text, CallError> {
    let table = usize::try_from(call.number("table", 0)?).unwrap_or_default().min(1);
    let keys = recorder(call, |recorder| recorder.insight().top(table))?;
    let mut lines = String::new();
    for key in keys {
        let _ = writeln!(lines, "{} {} {} {}", key.row, key.count, key.error, one_line(&key.name));
    }
    Ok(Text(lines))
}

fn key_name(call: &This<'_>) -> Result<Text, CallError> {
    let text = text(call)?;
    recorder(call, |recorder| Text(recorder.insight().key_name(&text)))
}

/// Processes that count, the second in which the first came plus one, bytes, and other files of the name.
fn state(call: &This<'_>) -> Admission {
    let [processes, began, bytes, conflicting] = recorder(call, |recorder| {
        let insight = recorder.insight();
        let began = insight.began().map_or(0, |second| second.saturating_add(1));
        [insight.processes() as u64, began, insight.bytes(), insight.conflicting() as u64]
    })?;
    call.handle.write_counts([processes, began, bytes, conflicting]);
    Ok(None)
}

fn stats(call: &This<'_>) -> Admission {
    let counts = recorder(call, |recorder| registry::stats(&*recorder.insight()))?;
    call.handle.write_counts(counts);
    Ok(None)
}

fn renew(call: &This<'_>) -> Admission {
    let attachment = recorder(call, Recorder::renew)?;
    call.handle.write_attachment(attachment);
    Ok(None)
}

/// Lines are what separates one from another here.
fn one_line(name: &str) -> String {
    name.replace(['\n', '\r'], "\u{fffd}")
}

exports!(
    Recorder:
    row, count, flush, read, series, names, top, key_name, state, stats, renew, close
);
