//! One request, from top to bottom: who is it, and is it let in?

use super::class::Request;
use super::marks::{self, Told};
use super::meter::{Field, to_float};
use super::record::{self, BLOCK, CEILING, FAILURES, HABIT, Now, PACE, RECENT, STRIKES, TOLD};
use super::source::Source;
use super::table::{Found, Record};
use super::verdict::{NOTHING, Verdict, WATCHED, reason};
use super::{Shield, ShieldConfig};
use crate::nanos::Nanos;

/// By how many of its first requests a source counts among the new ones of its prefix.
pub(super) const FIRST_REQUESTS: u64 = 2;
const HOUR_MS: u64 = 3_600_000;
/// What a source is told that there is no room for.
const NO_ROOM_WAIT_MS: u64 = 10_000;
/// After so long without a request a source's failures, and that it was let in under pressure, are forgotten.
const FORGOTTEN_MS: u64 = 3_600_000;
/// A regular of more than an hour may send 8 times its habit, and at most 16 times the ceiling.
const HABITS: f64 = 8.0;
const MOST_CEILINGS: f64 = 16.0;

impl Shield {
    /// Decides about a request of this source, and counts it.
    ///
    /// `enforces`: whether the source will be told; else nothing is held against it that only one who was told can do.
    #[inline(always)]
    #[expect(clippy::must_use_candidate, reason = "asked for what it counts, too")]
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
            match self.waiting(now).find(key, now) {
                Some(late_ms) => return self.judge_returned(source, late_ms, is_sensitive, now),
                None => {
                    if let Some(refusal) = self.judge_newcomer(source, key, is_sensitive, now) {
                        return refusal;
                    }
                }
            }
            let Some(record) = self.claim(source, now) else { return WATCHED };
            self.note(&record, false, now);
            super::lot::grant(&record);
            return WATCHED;
        }
        if let Some(record) = self.claim(source, now) {
            return self.judge(source, record, is_sensitive, enforces, now);
        }
        // Nothing can be held against it; but the budget of the logins is not per source.
        self.meter().arrive(self.capacity(), now);
        if is_sensitive && self.meter().alarmed_since(now).is_some() && !self.draws_on_budget(now) {
            self.meter().count(Field::Other);
            return Verdict::refused(2, reason::FAILURES, NO_ROOM_WAIT_MS);
        }
        NOTHING
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
            let key = self.sources().key(source);
            return self.judge_newcomer(source, key, is_sensitive, now).unwrap_or(WATCHED);
        };
        let until_ms = now.ms.saturating_add_signed(late_ms.saturating_neg());
        let told = Told { until_ms, is_granted: false, tries: 1 };
        record.word(TOLD).set(marks::told_word(told, record.owner));
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
            Found::Untracked => {
                self.meter().count(Field::Evictions);
                None
            }
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
        let block = marks::block(record.word(BLOCK).get(), record.owner);
        let told = marks::told(record.word(TOLD).get(), record.owner);
        let left_ms = block.left_ms(now);
        if left_ms > 0 {
            self.meter().count(Field::Blocked);
            self.note_blocked(&record, now);
            return Verdict::blocked(block, left_ms);
        }
        let over = self.note(&record, told.until_ms > now.ms, now);
        meter.arrive(self.capacity(), now);
        let requests = record::requests(record.word(PACE).get());
        let is_calm = over == 0 && told.until_ms <= now.ms && meter.since() == 0;
        let was_away = now.since(last_tick) > FORGOTTEN_MS;
        if is_calm && !is_sensitive && requests > FIRST_REQUESTS && block.level == 0 && !was_away {
            return NOTHING;
        }
        let told = if was_away {
            record.word(FAILURES).set(0);
            record.word(TOLD).set(0);
            marks::told(0, record.owner)
        } else {
            told
        };
        let strikes = record.word(STRIKES).get();
        let request = Request {
            record,
            key: self.sources().key(source),
            source,
            now,
            enforces,
            is_regular: block.is_forgiven(now) && self.is_regular(&record, now),
            requests,
            strikes: marks::strikes_within(
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

    /// Counts a request of a blocked source. Its ceiling is left alone: it is told when the block ends, no more.
    fn note_blocked(&self, record: &Record<'_>, now: Now) {
        let (recent, _) = record.word(RECENT).step(|word| record::recent_after(word, now));
        let last = record::last_tick(recent);
        record.word(HABIT).step(|word| record::habit_after(word, last, true, now));
        record.word(PACE).step(|word| record::pace_after(word, now, self.pace));
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
                ceiling = ShieldConfig::ceiling_bucket(usual);
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
}
