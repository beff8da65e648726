//! The functions that JavaScript calls for each request: bare N-API, bound to a limiter.
//!
//! Each is a function object with a pointer to its limiter, so it needs no `this` to find it.
//! The key goes to the stack, the answer comes back as `false` or nothing, details are written to memory
//! that JavaScript reads through a typed array: nothing is allocated, and a request takes one call.
//! [`crate::function`] makes and calls them.
#![expect(unsafe_code, reason = "raw N-API: the generated bindings cost ten times a decision")]

use crate::arguments::{Call, Time};
use crate::counting::Counts;
use crate::function::{Admission, exports};
use crate::registry;
use crate::throw::CallError;
use ratethrottle_core::{Decision, Key, MAX_WINDOW_MS, Monotonic, RawLimiter};

#[inline(always)]
fn allow(call: &Call<'_>) -> Admission {
    if !call.is_plain() {
        return allow_with(call);
    }
    call.run_plain(|limiter, key| {
        let clock = call.handle.native_clock();
        if call.handle.counter().is_some() {
            return Ok(Some(allow_counted(call, limiter, key)));
        }
        let allowed = limiter.allow(key, 1, clock);
        call.handle.tally().add(allowed);
        Ok(Some(allowed))
    })
}

/// For an insight, which wants to know by which limit a key was denied.
#[inline(never)]
fn allow_counted(call: &Call<'_>, limiter: &RawLimiter, key: Key) -> bool {
    let clock = call.handle.native_clock();
    if limiter.has_one_limit() {
        let allow = || limiter.allow(key, 1, clock);
        return call.counted(Counts::All, key, None, allow, |&allowed| Some((allowed, 0)));
    }
    let check = || limiter.check(key, 1, clock);
    call.counted(Counts::All, key, None, check, outcome).allowed
}

/// With a cost or a time.
#[inline(never)]
fn allow_with(call: &Call<'_>) -> Admission {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let decide = || match time {
            Time::Native if call.handle.counter().is_none() => {
                Some((limiter.allow(key, cost, call.handle.native_clock()), 0))
            }
            time => outcome(&limiter.check(key, cost, time)),
        };
        let decided = call.counted(of_cost(cost), key, Some(time), decide, |&found| found);
        call.handle.remember_key(key);
        Ok(decided.map(|(allowed, _)| allowed))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "calls that can fail have none")]
const fn outcome(decision: &Decision) -> Option<(bool, usize)> {
    Some((decision.allowed, decision.policy))
}

/// A cost of 0 only asks.
const fn of_cost(cost: u64) -> Counts {
    if cost == 0 { Counts::None } else { Counts::All }
}

#[inline(always)]
fn check(call: &Call<'_>) -> Admission {
    if !call.is_plain() {
        return check_with(call);
    }
    call.run_plain(|limiter, key| {
        if call.handle.counter().is_some() {
            return Ok(Some(check_counted(call, limiter, key)));
        }
        let decision = limiter.check(key, 1, &Monotonic);
        call.handle.tally().add(decision.allowed);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

/// For an insight. Apart: what it keeps at hand meanwhile would slow down each check that has none.
#[inline(never)]
fn check_counted(call: &Call<'_>, limiter: &RawLimiter, key: Key) -> bool {
    let check = || limiter.check(key, 1, &Monotonic);
    let decision = call.counted(Counts::All, key, None, check, outcome);
    call.handle.write_decision(&decision);
    decision.allowed
}

/// With a cost or a time.
#[inline(never)]
fn check_with(call: &Call<'_>) -> Admission {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let check = || limiter.check(key, cost, time);
        let decision = call.counted(of_cost(cost), key, Some(time), check, outcome);
        call.handle.remember_key(key);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn decide(
    call: &Call<'_>,
    counts: Counts,
    act: fn(&RawLimiter, Key, u64, &Time) -> Decision,
) -> Admission {
    call.run(("cost", 1), |limiter, key, cost, time| {
        let counts = if cost == 0 { Counts::None } else { counts };
        let act = || act(limiter, key, cost, time);
        let decision = call.counted(counts, key, Some(time), act, outcome);
        call.handle.write_decision(&decision);
        Ok(Some(decision.allowed))
    })
}

fn take(call: &Call<'_>) -> Admission {
    decide(call, Counts::Admissions, RawLimiter::take)
}

fn pace(call: &Call<'_>) -> Admission {
    decide(call, Counts::Admissions, RawLimiter::pace)
}

fn peek(call: &Call<'_>) -> Admission {
    decide(call, Counts::None, RawLimiter::peek)
}

fn standing(call: &Call<'_>) -> Admission {
    call.run(("index", 0), |limiter, key, index, time| {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let status = limiter.limit_status(key, index, time);
        call.handle.write_status(status.unwrap_or_default());
        Ok(None)
    })
}

fn refund(call: &Call<'_>) -> Admission {
    call.run(("units", 1), |limiter, key, units, time| {
        limiter.refund(key, units, time);
        if let Some(counter) = call.handle.counter() {
            counter.refunded();
        }
        Ok(None)
    })
}

fn reset(call: &Call<'_>) -> Admission {
    call.run(("key", 1), |limiter, key, _, _| {
        limiter.reset(key);
        Ok(None)
    })
}

fn block(call: &Call<'_>) -> Admission {
    call.run(("ms", 0), |limiter, key, ms, time| blocked(ms, || limiter.block(key, ms, time)))
}

/// Blocks for `ms` milliseconds, unless that is no time that a key can be blocked for.
pub(crate) fn blocked(ms: u64, block: impl FnOnce() -> bool) -> Admission {
    if ms == 0 || ms > MAX_WINDOW_MS {
        return Err(CallError::BLOCK_MS);
    }
    if block() { Ok(None) } else { Err(CallError::Full) }
}

fn stats(call: &Call<'_>) -> Admission {
    let counts = call.handle.with(registry::stats);
    call.handle.write_counts(counts.ok_or(CallError::Closed)?);
    Ok(None)
}

/// Counts a denial that JavaScript has decided: the caller asked to wait, in vain.
fn denied(call: &Call<'_>) -> Admission {
    call.run(("policy", 0), |_, key, policy, time| {
        call.denied(key, policy, time);
        Ok(None)
    })
}

fn live(call: &Call<'_>) -> Admission {
    let live = call.run(("nothing", 0), |limiter, _, _, time| Ok(limiter.live_keys(time)))?;
    call.handle.write_counts([live]);
    Ok(None)
}

/// How often this object has admitted and denied.
#[expect(clippy::unnecessary_wraps, reason = "all callbacks have one shape")]
pub(crate) fn tally<L>(call: &Call<'_, L>) -> Admission {
    call.handle.write_counts(call.handle.tally().counts());
    Ok(None)
}

pub(crate) fn renew<L: registry::Registered>(call: &Call<'_, L>) -> Admission {
    let attachment = call.handle.renew().ok_or(CallError::Closed)?;
    call.handle.write_attachment(attachment);
    Ok(None)
}

#[expect(clippy::unnecessary_wraps, reason = "all callbacks have one shape")]
pub(crate) fn close<L>(call: &Call<'_, L>) -> Admission {
    call.handle.close();
    Ok(None)
}

exports!(
    RawLimiter:
    allow, check, take, pace, peek, standing, refund, reset, block, denied, live, stats, tally, renew, close
);
