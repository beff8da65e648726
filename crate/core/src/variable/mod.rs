//! A limiter whose limits are an argument of each call: one state, whatever the plans of its callers.
//!
//! What a key has used stays used when its limits change.
//!
//! - **Buckets**: time is owed, in one table for all limits. Of several limits the one with the longest
//!   window counts there; each other one in the table of its window.
//! - **Windows and logs**: units are used, in one table for each window. A key that has a place in several
//!   tables has what it uses noted in all of them; in one that has not met it, what it used elsewhere counts,
//!   unless that was longer ago than its window.

mod call;
mod place;

use crate::clock::Clock;
use crate::decision::{Decision, Standing};
use crate::error::Error;
use crate::key::{Encoding, Key, Secret};
use crate::limit::Limit;
use crate::policy::Kind;
use place::{Place, Places, What};

/// What stays the same from call to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariablePolicy {
    /// How requests are counted.
    pub kind: Kind,
    /// After a denial, deny the key for so many milliseconds; 0 is off.
    pub block_for_ms: u64,
    /// Keys expected to be live at once. `None`: 100,000, or as many as a log has room for.
    pub capacity: Option<usize>,
}

impl VariablePolicy {
    pub(crate) const fn is_bucket(&self) -> bool {
        matches!(self.kind, Kind::TokenBucket | Kind::LeakyBucket)
    }
}

/// A limiter whose limits are an argument of each call.
#[derive(Debug)]
pub struct VariableLimiter {
    policy: VariablePolicy,
    /// The name under which processes share it.
    name: Option<String>,
    secret: Secret,
    /// Holds blocks; for buckets the debts under the longest limit, for others when a key was last charged.
    base: Place,
    places: Places,
}

impl VariableLimiter {
    /// A limiter with empty tables and a secret of its own.
    pub fn new(policy: VariablePolicy) -> Result<Self, Error> {
        Self::open(None, policy, 0)
    }

    /// The limiter that all processes of this user share under this name, whatever the limits of each.
    ///
    /// `before`: how many there were before, as far as whoever asks knows.
    pub fn shared(name: &str, policy: VariablePolicy, before: u64) -> Result<Self, Error> {
        Self::open(Some(name), policy, before)
    }

    fn open(name: Option<&str>, policy: VariablePolicy, before: u64) -> Result<Self, Error> {
        let base = Place::new(name, &policy, What::BASE, before)?;
        let secret = base.share().map_or_else(Secret::random, |share| Ok(share.secret))?;
        let name = name.map(str::to_owned);
        Ok(Self { policy, name, secret, base, places: Places::default() })
    }

    /// How many shared tables of the same name are in use with other settings.
    #[must_use]
    pub fn rivals(&self) -> usize {
        self.base.share().map_or(0, |share| share.rivals)
    }

    /// How many shared ones of this name and policy there were before, as far as is known.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.base.share().map_or(0, |share| share.generation)
    }

    /// What the limiter was made from.
    #[must_use]
    pub const fn policy(&self) -> &VariablePolicy {
        &self.policy
    }

    /// Whether what this limiter counts on is what other processes find: always so for one in memory.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.base.is_current() && self.places.read().iter().all(|place| place.is_current())
    }

    /// The key of these bytes.
    #[must_use]
    pub fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.secret.key(bytes, encoding)
    }

    /// Charges `cost` to every limit, or to none, and says what the key's state is afterwards.
    ///
    /// Fails, as all of these do, for limits that can't be counted.
    pub fn check(
        &self,
        limits: &[Limit],
        key: Key,
        cost: u64,
        clock: &impl Clock,
    ) -> Result<Decision, Error> {
        self.call(limits, key, clock, |call| call.check(key, cost, clock))
    }

    /// As [`Self::check`], but a denial begins no block: for callers who wait for their turn. `paced`: a leaky
    /// bucket admits only while the bucket of the shortest limit is empty.
    pub fn take(
        &self,
        limits: &[Limit],
        paced: bool,
        key: Key,
        cost: u64,
        clock: &impl Clock,
    ) -> Result<Decision, Error> {
        let paced = paced && self.policy.kind == Kind::LeakyBucket;
        self.call(limits, key, clock, |call| call.take(paced, key, cost, clock))
    }

    /// What [`Self::check`] would answer now. Changes nothing.
    pub fn peek(
        &self,
        limits: &[Limit],
        key: Key,
        cost: u64,
        clock: &impl Clock,
    ) -> Result<Decision, Error> {
        self.call(limits, key, clock, |call| call.peek(key, cost, clock))
    }

    /// How the limit of this index stands for the key, apart from all others; zeros past the last.
    pub fn standing(
        &self,
        limits: &[Limit],
        key: Key,
        index: usize,
        clock: &impl Clock,
    ) -> Result<Standing, Error> {
        self.call(limits, key, clock, |call| call.standing(key, index, clock))
    }

    /// Gives back `units` that were charged under these limits. Nothing beyond what is owed.
    pub fn refund(
        &self,
        limits: &[Limit],
        key: Key,
        units: u64,
        clock: &impl Clock,
    ) -> Result<(), Error> {
        self.call(limits, key, clock, |call| call.refund(key, units, clock))
    }

    /// Forgets the key under all limits, its block included.
    pub fn reset(&self, key: Key) {
        self.each(|table| table.reset(key));
    }

    /// Denies the key for `ms` milliseconds from now, whatever its limits say. `false` when the
    /// table has no slot left for it that does not hold another blocked key.
    pub fn block(&self, key: Key, ms: u64, clock: &impl Clock) -> bool {
        let until_us = clock.now().whole_us().saturating_add(ms.saturating_mul(1_000));
        self.base.any(&self.policy).is_some_and(|table| table.block(key, until_us, clock))
    }

    /// Live keys that had to go for a newcomer.
    #[must_use]
    #[expect(clippy::redundant_closure_for_method_calls, reason = "as a path it has one lifetime")]
    pub fn evictions(&self) -> u64 {
        self.sum(|table| table.evictions())
    }

    /// Decisions taken on the words that strangers share, because no slot was left.
    #[must_use]
    #[expect(clippy::redundant_closure_for_method_calls, reason = "as a path it has one lifetime")]
    pub fn overflows(&self) -> u64 {
        self.sum(|table| table.overflows())
    }

    /// Bytes in use once every page of every table there is has been touched.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sum(|table| table.bytes() as u64)
    }

    /// Bytes that this process occupies so far, or `None` where the system does not say.
    #[must_use]
    pub fn resident(&self) -> Option<u64> {
        let mut sum = Some(0_u64);
        self.each(|table| {
            sum = sum.and_then(|sum| Some(sum.saturating_add(table.resident()?)));
        });
        sum
    }

    fn each(&self, mut act: impl FnMut(&place::View<'_>)) {
        let places = self.places.read();
        let all = places.iter().map(|place| &**place).chain([&self.base]);
        for table in all.filter_map(|place| place.any(&self.policy)) {
            act(&table);
        }
    }

    fn sum(&self, number: impl Fn(&place::View<'_>) -> u64) -> u64 {
        let mut sum = 0_u64;
        self.each(|table| sum = sum.saturating_add(number(table)));
        sum
    }
}
