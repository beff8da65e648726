//! What is held against a source: strikes, failures, blocks; and the budgets of those that are suspect.

use super::Shield;
use super::class::Request;
use super::config::{Blocks, Bucket};
use super::marks::{self, Block, Told};
use super::meter::{Field, to_count, to_float};
use super::record::{self, BLOCK, CEILING, FAILURES, HABIT, Now, PACE, RECENT, STRIKES, TOLD};
use super::source::Source;
use super::table::{Found, Record};
use super::verdict::{NOTHING, Outcome, Verdict, reason};
use super::words::Word;
use crate::nanos::Nanos;

/// Share of the capacity that those have who were blocked not long ago.
const PROBATION_SHARE: f64 = 0.05;
/// If more than this share of the sources wait as told, they are a crowd, and a block takes three times the strikes.
const CROWD_SHOW_UP: f64 = 0.25;
const CROWD_STRIKES: u64 = 3;
/// The most that are counted.
const MOST_STRIKES: u64 = 255;
/// With fewer requests a source has no pace yet.
const FEW_REQUESTS: u64 = 6;
/// A source whose gap is at most this many times its usual one has not slowed down.
const UNDETERRED: f64 = 1.5;
/// Requests at once that a shared budget allows.
const BUDGET_BURST: u64 = 5;
/// A block takes this share of the configured number of paths, because the number is estimated.
const PATHS_TOLERANCE: f64 = 0.75;

impl Shield {
    /// Tells the source to wait, and counts a strike if it was told before and did not.
    pub(super) fn turn_away(
        &self,
        request: &Request<'_>,
        level: u8,
        reasons: u8,
        wait_ms: u64,
    ) -> Verdict {
        let Request { record, now, told, enforces, .. } = *request;
        let mut verdict = Verdict::refused(level, reasons, wait_ms);
        if !enforces {
            return verdict;
        }
        let is_early = told.until_ms > now.ms;
        if is_early && is_undeterred(request) {
            let within = self.config.strikes_within_ms;
            let next = |word| marks::strike(word, now, within, record.owner);
            let (_, strikes) = record.step_own(STRIKES, next);
            if marks::strikes(strikes) >= self.strikes_for_block() {
                return block_for(
                    &record,
                    &self.config.insistence_blocks,
                    self.ceiling,
                    reason::INSISTENT,
                    now,
                );
            }
            verdict.reasons |= reason::INSISTENT;
        }
        let until_ms = told.until_ms.max(now.ms.saturating_add(wait_ms));
        let tries = if is_early { told.tries } else { told.tries.saturating_add(1) };
        let next = Told { until_ms, is_granted: told.is_granted, tries };
        record.word(TOLD).set(marks::told_word(next, record.owner));
        verdict.retry_ms = until_ms.saturating_sub(now.ms);
        verdict
    }

    /// Behind the address of a company some come too early while others wait. So it takes more where most of those
    /// who are told to wait do: that is a crowd, not an attack.
    fn strikes_for_block(&self) -> u64 {
        let is_crowd = self.meter().show_up() > CROWD_SHOW_UP;
        let strikes = self.config.strikes;
        if is_crowd { strikes.saturating_mul(CROWD_STRIKES).min(MOST_STRIKES) } else { strikes }
    }

    /// Whether many new sources of the same network come at once, of which this is one that has no place.
    pub(super) fn is_of_hot_prefix(&self, source: Source, has_waited: bool, now: Now) -> bool {
        let config = &self.config;
        if config.prefix_share >= 1.0 {
            return false;
        }
        let Some(prefix) = source.prefix(config.v4_prefix, config.v6_prefix) else { return false };
        let found = self.prefixes().find_or_claim(prefix, self.worth(), now);
        let (Found::Known(record) | Found::New(record, _)) = found else { return false };
        let (before, recent) = record.word(RECENT).step(|word| record::burst_after(word, now));
        let rate = record::burst_rate(recent, now);
        let habit = record::habit_rate(record.word(HABIT).get());
        let all = self.meter().number(Field::Offered);
        let is_many = rate > if self.meter().since() != 0 { 2.0 } else { config.ceiling };
        if is_many && rate > config.prefix_share * all && rate > 8.0 * habit {
            return !self.has_place(&record, has_waited, now);
        }
        let last = record::last_tick(before);
        record.word(HABIT).step(|word| record::habit_after(word, last, false, now));
        false
    }

    /// Whether the prefix, as one newcomer, may send one more: one that waited as told, as the many that are never
    /// seen again do not.
    fn has_place(&self, prefix: &Record<'_>, has_waited: bool, now: Now) -> bool {
        let burst = to_count(self.config.newcomer_burst).max(1);
        has_waited && takes(prefix.word(CEILING), self.config.newcomer_rate, burst, now)
    }

    /// Whether newcomers at sensitive routes, together, may try once more while most tries fail.
    pub(super) fn draws_on_budget(&self, now: Now) -> bool {
        let meter = self.meter();
        let rate = (2.0 * meter.number(Field::Successes)).max(1.0);
        takes(meter.word(Field::Budget), rate, BUDGET_BURST, now)
    }

    /// Whether there is room for one more of those who were blocked not long ago.
    pub(super) fn is_on_probation_budget(&self, now: Now) -> bool {
        let rate = self.capacity() * PROBATION_SHARE;
        !rate.is_finite()
            || takes(
                self.meter().word(Field::Probation),
                rate,
                BUDGET_BURST.max(to_count(rate)),
                now,
            )
    }

    /// Takes note of how a request ended. Answers a verdict of level 4 if a block begins with it.
    #[expect(clippy::must_use_candidate, reason = "asked for what it counts, too")]
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
        let step = |word| marks::failures_after(word, now, requests, outcome.path);
        let (_, word) = record.word(FAILURES).step(step);
        let failures = marks::failures(word, requests);
        let config = &self.config;
        let is_scan = failures.paths >= config.failure_paths * PATHS_TOLERANCE;
        let made = failures.requests.max(failures.count);
        if failures.count < config.failures
            || to_float(failures.count) < config.failure_share * to_float(made)
            || !(is_scan || outcome.is_sensitive)
            || marks::block(record.word(BLOCK).get(), record.owner).left_ms(now) > 0
        {
            return NOTHING;
        }
        record.word(FAILURES).set(0);
        let reason = if outcome.is_sensitive { reason::FAILURES } else { reason::SCAN };
        let verdict = block_for(&record, &config.failure_blocks, self.ceiling, reason, now);
        if verdict.begins_block { verdict } else { NOTHING }
    }
}

/// Whether a bucket of this rate and burst has room for one more, which then is in it.
fn takes(word: Word<'_>, rate: f64, burst: u64, now: Now) -> bool {
    let interval = to_count(1e6 / rate).max(1);
    let (_, over) = record::fill(word.get(), now.us, interval, burst, 1);
    if over == 0 {
        word.step(|word| record::fill(word, now.us, interval, burst, 0).0);
    }
    over == 0
}

/// Whether the source goes on at the pace that it had. Behind an address of many people, some of whom are told to
/// wait, others still come: but far fewer than before.
fn is_undeterred(request: &Request<'_>) -> bool {
    let Request { record, now, .. } = *request;
    if request.requests < FEW_REQUESTS {
        return true;
    }
    let rate = record::mean_rate(record.word(RECENT).get(), record.word(HABIT).get(), now);
    request.gap_seconds * rate <= UNDETERRED
}

fn block_for(
    record: &Record<'_>,
    blocks: &Blocks,
    ceiling: Bucket,
    reason: u8,
    now: Now,
) -> Verdict {
    let next = |word| {
        let before = marks::block(word, record.owner);
        if before.left_ms(now) > 0 {
            // Of those that see one offence at once, one blocks.
            return word;
        }
        let level = if before.is_forgiven(now) { 1 } else { before.level.saturating_add(1) };
        let given = blocks.iter().filter(|&&ms| ms > 0).count().max(1) as u64;
        let index = usize::try_from(level.min(given).saturating_sub(1)).unwrap_or(0);
        let until_ms = now.ms.saturating_add(blocks.get(index).copied().unwrap_or(0));
        let reason = u64::from(reason.trailing_zeros());
        marks::block_word(Block { until_ms, level, reason }, record.owner)
    };
    let (seen, made) = record.step_own(BLOCK, next);
    record.word(STRIKES).set(0);
    record.word(TOLD).set(0);
    let block = marks::block(made, record.owner);
    if made == seen {
        return Verdict::blocked(block, block.left_ms(now));
    }
    // When it ends, the bucket of the ceiling is nearly full: who goes on as before is soon over it again.
    let filled = ceiling.interval.saturating_mul(ceiling.burst.saturating_mul(3) / 4);
    let end_us = now.us.saturating_add(block.left_ms(now).saturating_mul(1_000));
    record.word(CEILING).set(end_us.saturating_add(filled));
    Verdict { begins_block: true, ..Verdict::blocked(block, block.left_ms(now)) }
}
