//! One request, from top to bottom: who is it, and is it let in?

use super::Shield;
use super::config::CEILING_SECONDS;
use super::meter::{Field, to_count, to_float};
use super::record::{self, BLOCK, Block, CEILING, HABIT, Now, PACE, RECENT, STRIKES, TOLD, Told};
use super::source::Source;
use super::table::{Found, Record};
use super::verdict::{NOTHING, Verdict, WATCHED, reason};
use crate::key::Key;
use crate::nanos::Nanos;

/// A source with so much time and so many requests before the pressure was not sent with it.
const KNOWN_MS: u64 = 5_000;
const KNOWN_REQUESTS: u64 = 3;
/// By how many of its first requests a source counts among the new ones of its prefix.
const FIRST_REQUESTS: u64 = 2;
/// Under lasting pressure a newcomer is a regular after this many times the usual.
const PATIENCE: u64 = 8;
/// A newcomer that comes back up to so much later has waited as told.
pub(super) const KEEPS_PLACE_MS: u64 = 20_000;
/// From so many strikes on it has not.
const IMPATIENT: u64 = 2;

const HOUR_MS: u64 = 3_600_000;
/// What a regular of more than an hour may send: so many times its habit, and at most so many ceilings.
const HABITS: f64 = 8.0;
const MOST_CEILINGS: f64 = 16.0;

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
    first_tick: u64,
    block: Block,
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
    /// Decides about a request of this source, and counts it.
    ///
    /// `enforces`: whether the source will be told; else nothing is held against it that only one who was told can do.
    #[inline(always)]
    pub fn decide(&self, source: Source, is_sensitive: bool, enforces: bool, at: Nanos) -> Verdict {
        let now = Now::from_us(at.whole_us());
        let verdict = match self.sources().find(source) {
            Some(record) => self.judge(source, record, is_sensitive, enforces, now),
            None => self.judge_unknown(source, is_sensitive, enforces, now),
        };
        if verdict.is_refused {
            self.count_refusal(&verdict, enforces);
        }
        verdict
    }

    #[cold]
    fn count_refusal(&self, verdict: &Verdict, enforces: bool) {
        let meter = self.meter();
        if enforces {
            meter.count(Field::Refused);
            if verdict.level < 4 || verdict.begins_block {
                meter.count(Field::Turned);
            }
        } else {
            meter.count(Field::WouldRefuse);
        }
    }

    /// A source that has no record. Under pressure it gets one when it is let in, or comes back.
    #[cold]
    #[inline(never)]
    fn judge_unknown(
        &self,
        source: Source,
        is_sensitive: bool,
        enforces: bool,
        now: Now,
    ) -> Verdict {
        if self.meter().since() != 0 && enforces {
            let key = self.sources().key(source);
            match self.waiting().find(key, now) {
                Some(late_ms) => return self.judge_returned(source, late_ms, is_sensitive, now),
                None => {
                    if let Some(refusal) = self.judge_newcomer(source, key, now) {
                        return refusal;
                    }
                }
            }
            let Some(record) = self.claim(source, now) else { return WATCHED };
            self.note(&record, false, now);
            self.grant(&record);
            return WATCHED;
        }
        match self.claim(source, now) {
            Some(record) => self.judge(source, record, is_sensitive, enforces, now),
            None => {
                self.meter().arrive(self.capacity(), now);
                NOTHING
            }
        }
    }

    /// A source that was told to wait when it had no record.
    fn judge_returned(
        &self,
        source: Source,
        late_ms: i64,
        is_sensitive: bool,
        now: Now,
    ) -> Verdict {
        let Some(record) = self.claim(source, now) else {
            return self.judge_newcomer(source, self.sources().key(source), now).unwrap_or(WATCHED);
        };
        let until_ms = now.ms.saturating_add_signed(late_ms.saturating_neg());
        let told = Told { until_ms, is_granted: false, tries: 1 };
        record.word(TOLD).set(record::told_word(told, record.owner));
        self.judge(source, record, is_sensitive, true, now)
    }

    /// Makes a record; `None` if there is no room for it.
    pub(super) fn claim(&self, source: Source, now: Now) -> Option<Record<'_>> {
        match self.sources().find_or_claim(source, self.worth(), now) {
            Found::Known(record) => Some(record),
            Found::New(record, has_evicted) => {
                if has_evicted {
                    self.meter().count(Field::Evictions);
                }
                Some(record)
            }
            Found::Untracked => None,
        }
    }

    #[inline(always)]
    fn judge(
        &self,
        source: Source,
        record: Record<'_>,
        is_sensitive: bool,
        enforces: bool,
        now: Now,
    ) -> Verdict {
        let meter = self.meter();
        let last_tick = record::last_tick(record.word(RECENT).get());
        let block = record::block(record.word(BLOCK).get(), record.owner);
        let told = record::told(record.word(TOLD).get(), record.owner);
        let left_ms = block.left_ms(now);
        let over = self.note(&record, left_ms > 0 || told.until_ms > now.ms, now);
        if left_ms > 0 {
            meter.count(Field::Blocked);
            return Verdict::blocked(block, left_ms);
        }
        meter.arrive(self.capacity(), now);
        let requests = record::requests(record.word(PACE).get());
        let is_calm = over == 0 && told.until_ms <= now.ms && meter.since() == 0;
        if is_calm && !is_sensitive && requests > FIRST_REQUESTS && block.level == 0 {
            return NOTHING;
        }
        let strikes = record.word(STRIKES).get();
        let request = Request {
            record,
            key: self.sources().key(source),
            source,
            now,
            enforces,
            is_regular: block.is_forgiven(now) && self.is_regular(&record, now),
            requests,
            strikes: record::strikes_within(
                strikes,
                now,
                self.config.strikes_within_ms,
                record.owner,
            ),
            first_tick: record::first_tick(record.word(HABIT).get()),
            told,
            block,
            gap_seconds: to_float(now.since(last_tick)) / 1_000.0,
        };
        self.judge_closely(&request, over, is_sensitive)
    }

    /// Counts the request in the source's record. Returns by how much it is over the ceiling, in microseconds.
    ///
    /// `is_refused`: whether it is refused whatever the ceiling says.
    #[inline(always)]
    fn note(&self, record: &Record<'_>, is_refused: bool, now: Now) -> u64 {
        let (recent, _) = record.word(RECENT).step(|word| record::recent_after(word, now));
        let last = record::last_tick(recent);
        let habit = record.word(HABIT).get();
        let (_, pace) = record.word(PACE).step(|word| record::pace_after(word, now, self.pace));
        let mut ceiling = self.ceiling;
        if now.since(record::first_tick(habit)) > HOUR_MS
            && record::requests(pace) >= self.config.regular_requests
        {
            let most = MOST_CEILINGS * self.config.ceiling;
            let usual = (HABITS * record::habit_rate(habit)).min(most);
            if usual > self.config.ceiling {
                ceiling = self.config.ceiling_bucket(usual);
            }
        }
        let super::config::Bucket { interval, burst } = ceiling;
        let fill = |word| record::fill(word, now.us, interval, burst, burst);
        let (_, filled) = record.word(CEILING).step(|word| fill(word).0);
        let over = filled.saturating_sub(now.us.saturating_add(interval.saturating_mul(burst)));
        let is_refused = is_refused || over > 0;
        record.word(HABIT).step(|word| record::habit_after(word, last, is_refused, now));
        over
    }

    #[cold]
    #[inline(never)]
    fn judge_closely(&self, request: &Request<'_>, over: u64, is_sensitive: bool) -> Verdict {
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
        if is_sensitive
            && !request.is_regular
            && meter.is_alarmed(now)
            && !self.draws_on_budget(now)
        {
            return count(self.turn_away(
                request,
                2,
                reason::FAILURES,
                super::lot::wait_of(told, key),
            ));
        }
        let is_first =
            !request.is_regular && request.requests <= FIRST_REQUESTS && !told.is_granted;
        let has_waited = self.has_waited(request, 1);
        if is_first && self.is_of_hot_prefix(request.source, has_waited, now) {
            return count(self.turn_away(
                request,
                3,
                reason::PREFIX,
                super::lot::wait_of(told, key),
            ));
        }
        if meter.since() == 0 {
            if !request.block.is_forgiven(now) && !self.is_on_probation_budget(now) {
                return count(self.turn_away(
                    request,
                    3,
                    reason::INSISTENT,
                    super::lot::wait_of(told, key),
                ));
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
        if self.is_of_hot_prefix(request.source, self.has_waited(request, 1), request.now) {
            meter.count(Field::Other);
            return self.turn_away(
                request,
                3,
                reason::PREFIX,
                super::lot::wait_of(request.told, request.key),
            );
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
        let age_before = since.saturating_sub(request.first_tick << 6);
        let after = self.config.regular_after_ms;
        let age = now.since(request.first_tick);
        if request.is_regular && (age_before >= after || age >= after.saturating_mul(PATIENCE)) {
            return Class::Regular;
        }
        if told.is_granted || (age_before >= KNOWN_MS && request.requests >= KNOWN_REQUESTS) {
            return Class::Granted;
        }
        if self.has_waited(request, IMPATIENT) { Class::Patient } else { Class::Fresh }
    }

    /// Whether it was told to wait and did, with fewer strikes than these.
    fn has_waited(&self, request: &Request<'_>, strikes: u64) -> bool {
        let Request { told, now, .. } = *request;
        let late = now.ms.saturating_sub(told.until_ms);
        told.until_ms > 0
            && told.until_ms <= now.ms
            && late <= KEEPS_PLACE_MS
            && request.strikes < strikes
    }
}
