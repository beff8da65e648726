//! One request, from top to bottom: who is it, and is it let in?

use super::meter::{Field, to_count, to_float};
use super::record::{
    self, BLOCK, Block, CEILING, FAILURES, HABIT, Now, PACE, RECENT, STRIKES, TOLD, Told,
};
use super::source::Source;
use super::table::{Found, Record};
use super::{Blocks, Shield, ShieldConfig};
use crate::key::Key;
use crate::nanos::Nanos;

/// Reasons, as bits.
pub mod reason {
    /// More than one source may ever send.
    pub const CEILING: u8 = 1;
    /// Failures where they are enough.
    pub const FAILURES: u8 = 2;
    /// Failures on many paths.
    pub const SCAN: u8 = 4;
    /// Back before the time told.
    pub const INSISTENT: u8 = 8;
    /// One of many new sources of one network.
    pub const PREFIX: u8 = 16;
    /// Not drawn.
    pub const LOT: u8 = 32;
    /// The service is offered more than it can do.
    pub const PRESSURE: u8 = 64;
}

/// What the shield says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether to refuse it.
    pub is_refused: bool,
    /// 0 nothing, 1 watched, 2 paced, 3 told to wait, 4 blocked.
    pub level: u8,
    /// Bits of [`reason`].
    pub reasons: u8,
    /// How long to wait.
    pub retry_ms: u64,
    /// Whether it is refused for the service's sake, not for its own.
    pub is_lot: bool,
    /// Whether this request began a block.
    pub begins_block: bool,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Whether it failed by the client's fault.
    pub has_failed: bool,
    /// Whether the route is sensitive.
    pub is_sensitive: bool,
    /// A hash of the path.
    pub path: u64,
}

const NOTHING: Verdict = Verdict {
    is_refused: false,
    level: 0,
    reasons: 0,
    retry_ms: 0,
    is_lot: false,
    begins_block: false,
};
const WATCHED: Verdict = Verdict { level: 1, reasons: reason::PRESSURE, ..NOTHING };

/// A source with so much time and so many requests before the pressure was not sent with it.
const KNOWN_MS: u64 = 5_000;
const KNOWN_REQUESTS: u64 = 3;
/// By how many of its first requests a source counts among the new ones of its prefix.
const FIRST_REQUESTS: u64 = 2;
/// Under lasting pressure a newcomer is a regular after this many times the usual.
const PATIENCE: u64 = 8;
/// What newcomers are told, doubled each time up to a minute. People press F5 after 4 to 8 seconds: half of them
/// wait for as long as told.
const WAIT_MS: u64 = 6_000;
const LONGEST_WAIT_MS: u64 = 60_000;
/// A newcomer that comes back up to so much later has waited as told.
const KEEPS_PLACE_MS: u64 = 120_000;
/// A source may send so many seconds' worth of its ceiling at once.
const CEILING_SECONDS: f64 = 2.4;
/// The lots are drawn anew after this time.
const EPOCH_MS: u64 = 300_000;
const HOUR_MS: u64 = 3_600_000;

/// A request on its way through the rules.
struct Request<'a> {
    record: Record<'a>,
    key: Key,
    source: Source,
    now: Now,
    enforces: bool,
    is_regular: bool,
    requests: u64,
    first_tick: u64,
    told: Told,
    block: Block,
}

enum Class {
    Regular,
    Granted,
    Patient,
    Fresh,
    Offender,
}

impl Shield {
    /// Decides about a request of this source, and counts it.
    ///
    /// `enforces`: whether the source will be told; else nothing is held against it that only one who was told can do.
    #[inline(always)]
    pub fn decide(&self, source: Source, is_sensitive: bool, enforces: bool, at: Nanos) -> Verdict {
        let now = Now::from_us(at.whole_us());
        let verdict = match self.sources().find_or_claim(source, self.worth(), now) {
            Found::Known(record) => self.judge(source, record, is_sensitive, enforces, now),
            Found::New(record, has_evicted) => {
                if has_evicted {
                    self.meter().count(Field::Evictions);
                }
                self.judge(source, record, is_sensitive, enforces, now)
            }
            Found::Untracked => self.judge_untracked(source, now),
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
            if verdict.level < 4 {
                meter.count(Field::Turned);
            }
        } else {
            meter.count(Field::WouldRefuse);
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
        let over = self.note(&record, now);
        let block = record::block(record.word(BLOCK).get(), record.owner);
        let left_ms = block.left_ms(now);
        if left_ms > 0 {
            meter.count(Field::Blocked);
            return blocked(block, left_ms);
        }
        meter.arrive(self.capacity(), now);
        let told = record::told(record.word(TOLD).get(), record.owner);
        let requests = record::requests(record.word(PACE).get());
        let is_calm = over == 0 && told.until_ms <= now.ms && meter.since() == 0;
        if is_calm && !is_sensitive && requests > FIRST_REQUESTS {
            return NOTHING;
        }
        let request = Request {
            record,
            key: self.sources().key(source),
            source,
            now,
            enforces,
            is_regular: block.is_forgiven(now) && self.is_regular(&record, now),
            requests,
            first_tick: record::first_tick(record.word(HABIT).get()),
            told,
            block,
        };
        self.judge_closely(&request, over, is_sensitive)
    }

    /// Counts the request in the source's record. Returns by how much it is over the ceiling, in microseconds.
    #[inline(always)]
    fn note(&self, record: &Record<'_>, now: Now) -> u64 {
        let (recent, _) = record.word(RECENT).step(|word| record::recent_after(word, now));
        let last = record::last_tick(recent);
        let (_, habit) = record.word(HABIT).step(|word| record::habit_after(word, last, now));
        let (_, pace) =
            record.word(PACE).step(|w| record::with_request(w, record::pace_empty_at(w)));
        let mut ceiling = self.config.ceiling;
        if now.since(record::first_tick(habit)) > HOUR_MS
            && record::requests(pace) >= self.config.regular_requests
        {
            ceiling = ceiling.max(8.0 * record::habit_rate(habit));
        }
        let interval = to_count(1e6 / ceiling).max(1);
        let burst = to_count(ceiling * CEILING_SECONDS).max(1);
        let word = record.word(CEILING);
        let seen = word.get();
        let (filled, over) = record::fill(seen, now.us, interval, burst, burst);
        if filled != seen {
            word.step(|word| record::fill(word, now.us, interval, burst, burst).0);
        }
        over
    }

    #[cold]
    #[inline(never)]
    fn judge_closely(&self, request: &Request<'_>, over: u64, is_sensitive: bool) -> Verdict {
        let meter = self.meter();
        let Request { now, told, enforces, .. } = *request;
        if over > 0 {
            let drained = over / 1_000 + to_count(CEILING_SECONDS * 500.0);
            let wait = drained.max(told.until_ms.saturating_sub(now.ms)).max(1_000);
            meter.count(Field::Other);
            return self.turn_away(request, 3, reason::CEILING, wait);
        }
        if told.until_ms > now.ms && enforces {
            meter.count(Field::Other);
            return self.turn_away(
                request,
                3,
                reason::INSISTENT,
                told.until_ms.saturating_sub(now.ms),
            );
        }
        if is_sensitive
            && !request.is_regular
            && meter.is_alarmed(now)
            && !self.draws_on_budget(now)
        {
            meter.count(Field::Other);
            let wait =
                WAIT_MS.saturating_add(WAIT_MS.saturating_mul(told.tries)).min(LONGEST_WAIT_MS);
            return self.turn_away(request, 2, reason::FAILURES, wait);
        }
        let hot = self.is_of_hot_prefix(request);
        if hot {
            meter.count(Field::Other);
            return self.turn_away(request, 3, reason::PREFIX, wait_of(told, request.key));
        }
        if meter.since() == 0 {
            return NOTHING;
        }
        self.judge_under_pressure(request)
    }

    fn judge_under_pressure(&self, request: &Request<'_>) -> Verdict {
        let meter = self.meter();
        let Request { told, key, .. } = *request;
        match self.class(request) {
            Class::Regular => self.judge_regular(request),
            Class::Granted => {
                meter.count(Field::Granted);
                self.judge_granted(request)
            }
            Class::Patient => {
                meter.count(Field::Patient);
                self.draw(request, meter.number(Field::PatientShare))
            }
            Class::Fresh => {
                meter.count(Field::Fresh);
                self.draw(request, meter.number(Field::FreshShare))
            }
            Class::Offender => {
                meter.count(Field::Other);
                if meter.number(Field::FreshShare) >= 1.0 {
                    return WATCHED;
                }
                self.turn_away(request, 3, reason::LOT | reason::PRESSURE, wait_of(told, key))
            }
        }
    }

    /// A regular is let in up to three times its habit, and above that while there is room.
    fn judge_regular(&self, request: &Request<'_>) -> Verdict {
        let Request { record, now, .. } = request;
        let threshold = self.meter().number(Field::Threshold);
        let rate = record::recent_rate(record.word(RECENT).get(), *now);
        let usual = 3.0 * record::habit_rate(record.word(HABIT).get());
        if rate <= threshold || rate <= usual.max(self.config.newcomer_rate) {
            return NOTHING;
        }
        Verdict {
            is_refused: true,
            level: 2,
            reasons: reason::PRESSURE,
            retry_ms: 2_000,
            is_lot: true,
            begins_block: false,
        }
    }

    /// Who was let in stays in, at a newcomer's pace.
    fn judge_granted(&self, request: &Request<'_>) -> Verdict {
        let Request { record, now, key, .. } = *request;
        let interval = to_count(16_000.0 / self.config.newcomer_rate).max(1);
        let burst = to_count(self.config.newcomer_burst).max(1);
        let at = now.ms.saturating_mul(16);
        let filled =
            |word, cap| record::fill(record::pace_empty_at(word), at, interval, burst, cap);
        let (_, ahead) = filled(record.word(PACE).get(), 1);
        if ahead > 0 {
            let wait = ahead / 16 + (interval / 16).saturating_mul(burst / 4);
            return self.turn_away(request, 2, reason::PRESSURE, wait.max(1_000));
        }
        let share = self.meter().number(Field::GrantedShare);
        if share < 1.0 && lot(key, now) >= share {
            return self.turn_away(request, 3, reason::LOT | reason::PRESSURE, WAIT_MS);
        }
        record.word(PACE).step(|word| (filled(word, 0).0 << 20) | record::requests(word));
        WATCHED
    }

    fn draw(&self, request: &Request<'_>, share: f64) -> Verdict {
        let Request { record, now, key, told, .. } = *request;
        if share < 1.0 && lot(key, now) >= share {
            let wait = wait_of(told, key);
            return self.turn_away(request, 3, reason::LOT | reason::PRESSURE, wait);
        }
        self.meter().count(Field::Grants);
        if request.enforces {
            let granted = Told { until_ms: 0, is_granted: true, tries: 0 };
            record.word(TOLD).set(record::told_word(granted, record.owner));
        }
        WATCHED
    }

    fn class(&self, request: &Request<'_>) -> Class {
        let Request { now, told, block, .. } = *request;
        if !block.is_forgiven(now) {
            return Class::Offender;
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
        let waited = now.ms.saturating_sub(told.until_ms);
        if told.until_ms > 0 && waited <= KEEPS_PLACE_MS { Class::Patient } else { Class::Fresh }
    }

    /// Tells the source to wait, and counts a strike if it was told before and did not.
    fn turn_away(&self, request: &Request<'_>, level: u8, reasons: u8, wait_ms: u64) -> Verdict {
        let Request { record, now, told, enforces, .. } = *request;
        let is_lot = reasons & reason::LOT != 0;
        let mut verdict = Verdict {
            is_refused: true,
            level,
            reasons,
            retry_ms: wait_ms,
            is_lot,
            begins_block: false,
        };
        if !enforces {
            return verdict;
        }
        if told.until_ms > now.ms {
            let within = self.config.strikes_within_ms;
            let next = |word| record::strike(word, now, within, record.owner);
            let (_, strikes) = record.word(STRIKES).step(next);
            if record::strikes(strikes) >= self.config.strikes {
                return self.block_for(
                    &record,
                    &self.config.insistence_blocks,
                    reason::INSISTENT,
                    now,
                );
            }
            verdict.reasons |= reason::INSISTENT;
        }
        let until_ms = told.until_ms.max(now.ms.saturating_add(wait_ms));
        let tries = if told.until_ms > now.ms { told.tries } else { told.tries.saturating_add(1) };
        let next = Told { until_ms, is_granted: told.is_granted, tries };
        record.word(TOLD).set(record::told_word(next, record.owner));
        verdict.retry_ms = until_ms.saturating_sub(now.ms);
        verdict
    }

    fn block_for(&self, record: &Record<'_>, blocks: &Blocks, reason: u8, now: Now) -> Verdict {
        let word = record.word(BLOCK);
        let next = |word| {
            let before = record::block(word, record.owner);
            let level = if before.is_forgiven(now) { 1 } else { before.level.saturating_add(1) };
            let given = blocks.iter().filter(|&&ms| ms > 0).count().max(1) as u64;
            let index = level.min(given).saturating_sub(1);
            let ms = blocks.iter().nth(usize::try_from(index).unwrap_or(0)).copied().unwrap_or(0);
            let reason = u64::from(reason.trailing_zeros());
            let until_ms = now.ms.saturating_add(ms).max(before.until_ms);
            record::block_word(Block { until_ms, level, reason }, record.owner)
        };
        let (_, made) = word.step(next);
        record.word(STRIKES).set(0);
        record.word(TOLD).set(0);
        let block = record::block(made, record.owner);
        Verdict { begins_block: true, ..blocked(block, block.left_ms(now)) }
    }

    /// Whether many new sources of the same network come at once, of which this is one that has no place.
    fn is_of_hot_prefix(&self, request: &Request<'_>) -> bool {
        let Request { now, told, .. } = *request;
        let ShieldConfig { v4_prefix, v6_prefix, prefix_share, ceiling, .. } = self.config;
        if request.is_regular
            || request.requests > FIRST_REQUESTS
            || told.is_granted
            || prefix_share >= 1.0
        {
            return false;
        }
        // Who waited as told is not one of those that are never seen again.
        if told.until_ms > 0 && now.ms >= told.until_ms {
            return false;
        }
        let Some(prefix) = request.source.prefix(v4_prefix, v6_prefix) else { return false };
        let found = self.prefixes().find_or_claim(prefix, self.worth(), now);
        let (Found::Known(record) | Found::New(record, _)) = found else { return false };
        let (before, recent) = record.word(RECENT).step(|word| record::burst_after(word, now));
        let rate = record::burst_rate(recent, now);
        let habit = record::habit_rate(record.word(HABIT).get());
        let all = self.meter().number(Field::Offered);
        let is_many = if self.meter().since() != 0 { rate > 2.0 } else { rate > ceiling };
        if is_many && rate > prefix_share * all && rate > 8.0 * habit {
            return !self.has_place(&record, now);
        }
        let last = record::last_tick(before);
        record.word(HABIT).step(|word| record::habit_after(word, last, now));
        false
    }

    /// Whether the prefix, as one newcomer, may send one more.
    fn has_place(&self, prefix: &Record<'_>, now: Now) -> bool {
        let interval = to_count(1e6 / self.config.newcomer_rate).max(1);
        let burst = to_count(self.config.newcomer_burst).max(1);
        let word = prefix.word(CEILING);
        let (_, over) = record::fill(word.get(), now.us, interval, burst, 1);
        if over > 0 {
            return false;
        }
        word.step(|word| record::fill(word, now.us, interval, burst, 0).0);
        true
    }

    /// Whether newcomers at sensitive routes, together, may try once more while most tries fail.
    fn draws_on_budget(&self, now: Now) -> bool {
        let meter = self.meter();
        let rate = (2.0 * meter.number(Field::Successes)).max(1.0);
        let interval = to_count(1e6 / rate).max(1);
        let word = meter.word(Field::Budget);
        let (_, over) = record::fill(word.get(), now.us, interval, 5, 1);
        if over > 0 {
            return false;
        }
        word.step(|word| record::fill(word, now.us, interval, 5, 0).0);
        true
    }

    /// A source that there is no room for: by lot alone.
    #[cold]
    fn judge_untracked(&self, source: Source, now: Now) -> Verdict {
        let meter = self.meter();
        meter.arrive(self.capacity(), now);
        if meter.since() == 0 {
            return NOTHING;
        }
        meter.count(Field::Fresh);
        if lot(self.sources().key(source), now) < meter.number(Field::FreshShare) {
            return WATCHED;
        }
        Verdict {
            is_refused: true,
            level: 3,
            reasons: reason::LOT | reason::PRESSURE,
            retry_ms: WAIT_MS,
            is_lot: true,
            begins_block: false,
        }
    }

    /// Takes note of how a request ended. Answers a verdict of level 4 if a block begins with it.
    pub fn settle(&self, source: Source, outcome: Outcome, at: Nanos) -> Verdict {
        let now = Now::from_us(at.whole_us());
        if outcome.is_sensitive {
            self.meter().sensitive_outcome(outcome.has_failed, now);
        }
        if !outcome.has_failed {
            return NOTHING;
        }
        let Some(record) = self.sources().find(source) else { return NOTHING };
        let requests = record::requests(record.word(PACE).get());
        let step = |word| record::failures_after(word, now, requests, outcome.path);
        let (_, word) = record.word(FAILURES).step(step);
        let failures = record::failures(word, requests);
        let config = &self.config;
        let is_scan = failures.paths >= config.failure_paths;
        let made = failures.requests.max(failures.count);
        if failures.count < config.failures
            || to_float(failures.count) < config.failure_share * to_float(made)
            || !(is_scan || outcome.is_sensitive)
            || record::block(record.word(BLOCK).get(), record.owner).left_ms(now) > 0
        {
            return NOTHING;
        }
        record.word(FAILURES).set(0);
        let reason = if outcome.is_sensitive { reason::FAILURES } else { reason::SCAN };
        self.block_for(&record, &config.failure_blocks, reason, now)
    }
}

const fn blocked(block: Block, left_ms: u64) -> Verdict {
    let reasons = if block.reason < 7 { 1 << block.reason } else { 0 };
    Verdict {
        is_refused: true,
        level: 4,
        reasons,
        retry_ms: left_ms,
        is_lot: false,
        begins_block: false,
    }
}

/// How long a newcomer is told to wait: longer each time, and not all for the same time.
fn wait_of(told: Told, key: Key) -> u64 {
    let doubled = WAIT_MS << told.tries.min(4);
    doubled.saturating_add(key.spread(1 << 10)).min(LONGEST_WAIT_MS)
}

/// A number below 1 that is a source's for an epoch.
#[inline(always)]
fn lot(key: Key, now: Now) -> f64 {
    let epoch = now.ms / EPOCH_MS;
    let mixed =
        (key.spread(1 << 32) ^ epoch.wrapping_mul(0x9e37_79b9)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    to_float(mixed >> 32) / 4_294_967_296.0
}
