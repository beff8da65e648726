//! A request that needs a closer look: which rule applies, and who comes first under pressure.

use super::Shield;
use super::config::CEILING_SECONDS;
use super::judge::FIRST_REQUESTS;
use super::lot::wait_of;
use super::marks::{Block, Told};
use super::meter::{Field, to_count};
use super::record::Now;
use super::source::Source;
use super::table::Record;
use super::verdict::{NOTHING, Verdict, reason};
use crate::key::Key;

/// A source that sent this many requests, the first of them this long before the pressure, is not part of it.
const KNOWN_MS: u64 = 5_000;
const KNOWN_REQUESTS: u64 = 3;
/// Under lasting pressure a newcomer is a regular after this many times the usual.
const PATIENCE: u64 = 8;
/// A newcomer that returns at most this long after the time it was told has waited.
const KEEPS_PLACE_MS: u64 = 20_000;
/// A source with this many strikes has not waited.
const IMPATIENT: u64 = 2;

/// A request on its way through the rules.
pub(super) struct Request<'a> {
    pub(super) record: Record<'a>,
    pub(super) key: Key,
    pub(super) source: Source,
    pub(super) now: Now,
    pub(super) enforces: bool,
    pub(super) is_regular: bool,
    pub(super) requests: u64,
    pub(super) strikes: u64,
    pub(super) told: Told,
    /// Since its last request.
    pub(super) gap_seconds: f64,
    pub(super) first_tick: u64,
    pub(super) block: Block,
}

/// Who comes first under pressure.
enum Class {
    Regular,
    /// Let in before, or here before the pressure began.
    Granted,
    /// Waited as told.
    Patient,
    Fresh,
    /// Blocked not long ago, or back too early more than once.
    Impatient,
}

impl Shield {
    #[cold]
    #[inline(never)]
    pub(super) fn judge_closely(
        &self,
        request: &Request<'_>,
        over: u64,
        is_sensitive: bool,
    ) -> Verdict {
        let meter = self.meter();
        let Request { now, told, enforces, key, .. } = *request;
        let left_ms = told.until_ms.saturating_sub(now.ms);
        let count = |verdict| {
            meter.count(Field::Other);
            verdict
        };
        if over > 0 {
            let drained = (over / 1_000).saturating_add(to_count(CEILING_SECONDS * 500.0));
            return count(self.turn_away(
                request,
                3,
                reason::CEILING,
                drained.max(left_ms).max(1_000),
            ));
        }
        if left_ms > 0 && enforces {
            return count(self.turn_away(request, 3, reason::INSISTENT, left_ms));
        }
        let alarm = if is_sensitive { meter.alarmed_since(now) } else { None };
        if alarm.is_some_and(|since| !request.was_there(since)) && !self.draws_on_budget(now) {
            return count(self.turn_away(request, 2, reason::FAILURES, wait_of(told, key)));
        }
        if meter.since() == 0 {
            let is_first = !request.is_regular && request.requests <= FIRST_REQUESTS;
            if is_first && self.is_of_hot_prefix(request.source, request.has_waited(1), now) {
                return count(self.turn_away(request, 3, reason::PREFIX, wait_of(told, key)));
            }
            if !request.block.is_forgiven(now) && !self.is_on_probation_budget(now) {
                return count(self.turn_away(request, 3, reason::INSISTENT, wait_of(told, key)));
            }
            return NOTHING;
        }
        self.judge_under_pressure(request)
    }

    fn judge_under_pressure(&self, request: &Request<'_>) -> Verdict {
        let meter = self.meter();
        let (class, share) = match self.class(request) {
            Class::Regular => return self.judge_regular(request),
            Class::Granted => {
                meter.count(Field::Granted);
                return self.judge_granted(request);
            }
            Class::Patient => (Field::Patient, Field::PatientShare),
            Class::Fresh => (Field::Fresh, Field::FreshShare),
            Class::Impatient => (Field::Impatient, Field::ImpatientShare),
        };
        if self.is_of_hot_prefix(request.source, request.has_waited(1), request.now) {
            meter.count(Field::Other);
            return self.turn_away(request, 3, reason::PREFIX, wait_of(request.told, request.key));
        }
        meter.count(class);
        self.draw(request, meter.number(share))
    }

    fn class(&self, request: &Request<'_>) -> Class {
        let Request { now, told, block, .. } = *request;
        if !block.is_forgiven(now) || request.strikes >= IMPATIENT {
            return Class::Impatient;
        }
        let since = self.meter().since();
        let age_before = request.age_at(since);
        let after = self.config.regular_after_ms;
        let age = now.since(request.first_tick);
        if request.is_regular && (age_before >= after || age >= after.saturating_mul(PATIENCE)) {
            return Class::Regular;
        }
        if told.is_granted || request.was_there(since) {
            return Class::Granted;
        }
        if request.has_waited(IMPATIENT) { Class::Patient } else { Class::Fresh }
    }
}

impl Request<'_> {
    /// For how long the source had been there at this time.
    const fn age_at(&self, ms: u64) -> u64 {
        ms.saturating_sub(self.first_tick << 6)
    }

    /// Whether it is a regular, or was there before this time and so did not come with what began then.
    fn was_there(&self, ms: u64) -> bool {
        self.is_regular || (self.age_at(ms) >= KNOWN_MS && self.requests >= KNOWN_REQUESTS)
    }

    /// Whether it was told to wait and did, with fewer strikes than these.
    fn has_waited(&self, strikes: u64) -> bool {
        let Self { told, now, .. } = *self;
        let late = now.ms.saturating_sub(told.until_ms);
        told.until_ms > 0
            && told.until_ms <= now.ms
            && late <= KEEPS_PLACE_MS
            && self.strikes < strikes
    }
}
