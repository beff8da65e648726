//! The calls of a variable limiter with all arguments at once, as a limiter with fixed limits takes them.

use ratethrottle_core::{Clock, Decision, Error, Key, Limit, VariableLimiter};

pub(crate) trait Ask {
    fn check(
        &self,
        limits: &[Limit],
        key: Key,
        cost: u64,
        clock: &impl Clock,
    ) -> Result<Decision, Error>;
    fn peek(
        &self,
        limits: &[Limit],
        key: Key,
        cost: u64,
        clock: &impl Clock,
    ) -> Result<Decision, Error>;
    fn refund(
        &self,
        limits: &[Limit],
        key: Key,
        units: u64,
        clock: &impl Clock,
    ) -> Result<(), Error>;
}

impl Ask for VariableLimiter {
    fn check(
        &self,
        limits: &[Limit],
        key: Key,
        cost: u64,
        clock: &impl Clock,
    ) -> Result<Decision, Error> {
        self.call(limits, key, clock, |call| call.check(cost))
    }

    fn peek(
        &self,
        limits: &[Limit],
        key: Key,
        cost: u64,
        clock: &impl Clock,
    ) -> Result<Decision, Error> {
        self.call(limits, key, clock, |call| call.peek(cost))
    }

    fn refund(
        &self,
        limits: &[Limit],
        key: Key,
        units: u64,
        clock: &impl Clock,
    ) -> Result<(), Error> {
        self.call(limits, key, clock, |call| call.refund(units))
    }
}
