//! Under pressure: who is let in, of the regulars and of the others.

use super::Shield;
use super::class::Request;
use super::marks::{self, Told};
use super::meter::{Field, to_count, to_float};
use super::record::{self, HABIT, Now, PACE, RECENT, TOLD};
use super::source::Source;
use super::table::Record;
use super::verdict::{NOTHING, Verdict, WATCHED, reason};
use crate::key::Key;

/// What newcomers are told, doubled each time up to a minute. People press F5 after 4 to 8 seconds: half of them
/// wait for as long as told.
const WAIT_MS: u64 = 6_000;
const LONGEST_WAIT_MS: u64 = 60_000;
/// What regulars are told, at least and at most.
const REGULAR_WAIT_MS: u64 = 2_000;
const LONGEST_REGULAR_WAIT_MS: u64 = 300_000;
/// What one request adds to a rate of the last minute, after a wait in which the habit has decayed too.
const ONE_REQUEST: f64 = 0.03;
/// The lots are drawn again after this time.
const EPOCH_MS: u64 = 300_000;

impl Shield {
    /// A regular is let in up to three times its habit, and above that while there is room.
    pub(super) fn judge_regular(&self, request: &Request<'_>) -> Verdict {
        let Request { record, now, .. } = request;
        let threshold = self.meter().number(Field::RegularThreshold);
        let rate = record::recent_rate(record.word(RECENT).get(), *now);
        let usual = 3.0 * record::habit_rate(record.word(HABIT).get());
        if rate <= threshold || rate <= usual.max(self.config.newcomer_rate) {
            return NOTHING;
        }
        // Then its rate of the last minute has decayed to what it may send, with room for one request. Its habit decays
        // a tenth as fast.
        let most = threshold.max(usual).max(self.config.newcomer_rate) - ONE_REQUEST;
        let wait = to_count(60_000.0 / 0.9 * (rate / most.max(ONE_REQUEST)).ln());
        let wait = wait.saturating_add(128).clamp(REGULAR_WAIT_MS, LONGEST_REGULAR_WAIT_MS);
        Verdict::refused(2, reason::LOT | reason::PRESSURE, wait)
    }

    /// Who was let in stays in, at a newcomer's pace.
    pub(super) fn judge_granted(&self, request: &Request<'_>) -> Verdict {
        let Request { record, now, key, .. } = *request;
        if self.meter().get(Field::Scarce) == 0 {
            return WATCHED;
        }
        let ahead = record::pace_ahead_ms(record.word(PACE).get(), now, self.pace);
        if ahead > 0 {
            let quarter = (self.pace.interval / 16).saturating_mul(self.pace.burst / 4);
            return self.turn_away(
                request,
                2,
                reason::PRESSURE,
                ahead.saturating_add(quarter).max(1_000),
            );
        }
        let rate = record::recent_rate(record.word(RECENT).get(), now);
        let threshold = self.meter().number(Field::Threshold);
        if rate > threshold {
            // Then its rate of the last minute has decayed to the threshold.
            let wait =
                to_count(60_000.0 * (rate / threshold).ln()).clamp(3_000, LONGEST_WAIT_MS / 2);
            return self.turn_away(request, 2, reason::PRESSURE, wait);
        }
        let share = self.meter().number(Field::GrantedShare);
        if share < 1.0 && lot(key, now, GRANTED) >= share {
            // The service's fault, not the source's: it may come back when it likes.
            return Verdict::refused(2, reason::LOT | reason::PRESSURE, REGULAR_WAIT_MS);
        }
        WATCHED
    }

    /// One that waited, or is new, or has struck before.
    pub(super) fn draw(&self, request: &Request<'_>, share: f64) -> Verdict {
        let Request { record, now, key, told, .. } = *request;
        if share < 1.0 && lot(key, now, NEWCOMER) >= share {
            let wait = self.appointment(wait_of(told, key), now);
            return self.turn_away(request, 3, reason::LOT | reason::PRESSURE, wait);
        }
        if request.enforces {
            grant(&record);
        }
        WATCHED
    }

    /// How long to wait, so that those who come as told fit in: at least `wait_ms`.
    fn appointment(&self, wait_ms: u64, now: Now) -> u64 {
        let queued = self.meter().queue(now);
        let wait = wait_ms.saturating_add(queued).min(LONGEST_WAIT_MS);
        self.meter().expect(now.ms.saturating_add(wait));
        wait
    }

    /// A source that has no record and was told nothing: refused, or `None`.
    pub(super) fn judge_newcomer(
        &self,
        source: Source,
        key: Key,
        is_sensitive: bool,
        now: Now,
    ) -> Option<Verdict> {
        let meter = self.meter();
        meter.arrive(self.capacity(), now);
        let wait = wait_of(Told { until_ms: 0, is_granted: false, tries: 0 }, key);
        let is_alarmed = is_sensitive && meter.alarmed_since(now).is_some();
        let (level, reasons) = if is_alarmed && !self.draws_on_budget(now) {
            meter.count(Field::Other);
            (2, reason::FAILURES)
        } else if self.is_of_hot_prefix(source, false, now) {
            meter.count(Field::Other);
            (3, reason::PREFIX)
        } else {
            meter.count(Field::Fresh);
            let share = meter.number(Field::FreshShare);
            if share >= 1.0 || lot(key, now, NEWCOMER) < share {
                return None;
            }
            (3, reason::LOT | reason::PRESSURE)
        };
        let is_drawn = reasons & reason::LOT != 0;
        let wait = if is_drawn { self.appointment(wait, now) } else { wait };
        self.waiting(now).tell(key, now.ms.saturating_add(wait), now);
        Some(Verdict::refused(level, reasons, wait))
    }
}

/// Lets a source in for as long as it keeps to its pace.
pub(super) fn grant(record: &Record<'_>) {
    let granted = Told { until_ms: 0, is_granted: true, tries: 0 };
    record.word(TOLD).set(marks::told_word(granted, record.owner));
}

/// How long a newcomer is told to wait at least: longer each time, and not all for the same time.
pub(super) fn wait_of(told: Told, key: Key) -> u64 {
    let doubled = WAIT_MS << told.tries.min(4);
    doubled.saturating_add(key.spread(1 << 10)).min(LONGEST_WAIT_MS)
}

/// Two draws that have nothing to do with each other.
const NEWCOMER: u64 = 0xd6e8_feb8_6659_fd93;
const GRANTED: u64 = 0xa076_1d64_78bd_642f;

/// A number below 1 that is a source's for an epoch.
#[inline(always)]
fn lot(key: Key, now: Now, draw: u64) -> f64 {
    let epoch = now.ms / EPOCH_MS;
    let mixed = (key.spread(1 << 32) ^ epoch.wrapping_mul(0x9e37_79b9)).wrapping_mul(draw);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(draw);
    to_float(mixed >> 32) / 4_294_967_296.0
}
