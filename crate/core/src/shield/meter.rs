//! What the whole service is offered: counters, pressure, and the shares of those who are let in.
//!
//! Requests count themselves, each in one class. Every 250 ms one of them takes a look at the sums:
//!
//! ```text
//! pressure begins   a bucket that leaks at 0.95 of capacity holds 0.15 s of it: a crowd's ripples do not fill it
//! pressure ends     two seconds below 0.85 of capacity
//! meanwhile         regulars first; then those let in before; then those who waited as told; then the others:
//!                   each class gets what the ones before it leave of 0.87 of capacity
//! ```

use super::record::Now;
use super::words::Word;
use crate::atomic::AtomicU64;

/// Words of the header.
pub(super) const HEADER: usize = 128;

/// How often the shares are set.
const TICK_MS: u64 = 250;
/// After a longer pause the past says nothing.
const PAUSE_MS: u64 = 10_000;
const ONSET_SECONDS: f64 = 0.15;
const LEAVE: f64 = 0.85;
const LEAVE_MS: u64 = 2_000;
/// What is to be let in, of capacity.
pub(super) const TARGET: f64 = 0.87;
/// Pressure begins when more than this share of capacity is offered.
const ENTER: f64 = 0.95;

/// A word of the header.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum Field {
    /// Time of the last look.
    LookedAt = 0,
    /// Sum of requests at which to look at once.
    LookFrom,
    /// Requests of sources that are not blocked.
    Total,
    /// Of these, those of sources that were let in before.
    Granted,
    /// First requests of those who waited as told.
    Patient,
    /// First requests of others.
    Fresh,
    /// Those of sources that were blocked not long ago, or were back too early.
    Impatient,
    /// Those that no share decides about.
    Other,
    /// Requests refused, also of blocked sources.
    Refused,
    /// Requests refused of sources that are not blocked.
    Turned,
    /// When the waiting room was last used.
    WaitedAt,
    /// Requests that would have been refused.
    WouldRefuse,
    /// Sources forgotten for others.
    Evictions,
    /// Requests of blocked sources.
    Blocked,
    /// When the pressure began, 0 without.
    Since,
    /// Since when the load is low.
    LowSince,
    /// Whether most sensitive requests fail.
    Alarm,
    /// Since when, and when it was last so.
    AlarmSince,
    LastAlarmed,
    /// When sensitive outcomes were last counted.
    AlarmAt,
    /// When the budget of newcomers under alarm is empty.
    Budget,
    /// The same for those who were blocked not long ago.
    Probation,
    /// The last second whose expected ones were counted.
    ExpectedUntil,
    /// Whether there is not enough for all who are let in.
    Scarce,
    SeenTotal = 25,
    SeenGranted,
    SeenPatient,
    SeenFresh,
    SeenImpatient,
    SeenOther,
    SeenTurned,
    Capacity = 32,
    Excess,
    Offered,
    Admitted,
    RegularRate,
    GrantedRate,
    PatientRate,
    FreshRate,
    ImpatientRate,
    GrantRate,
    GrantedShare,
    PatientShare,
    FreshShare,
    ImpatientShare,
    /// Rate of the last minute above which who was let in is paced.
    Threshold,
    /// The same for regulars above their habit.
    RegularThreshold,
    /// When the last of those who wait is expected, in milliseconds.
    QueueEnd,
    /// Share of those who come as told.
    ShowUp,
    /// A newcomer's pace, as configured.
    Pace,
    Sensitive,
    SensitiveFailures,
    Successes,
}

/// The counters, in memory that threads or processes share.
#[derive(Clone, Copy)]
pub(super) struct Meter<'a> {
    pub(super) words: &'a [AtomicU64],
    pub(super) is_alone: bool,
}

impl<'a> Meter<'a> {
    #[inline(always)]
    pub(super) const fn new(words: &'a [AtomicU64], is_alone: bool) -> Self {
        Self { words, is_alone }
    }

    #[inline(always)]
    pub(super) fn word(&self, field: Field) -> Word<'a> {
        static NONE: AtomicU64 = AtomicU64::new(0);
        Word::new(self.words.get(field as usize).unwrap_or(&NONE), self.is_alone)
    }

    #[inline(always)]
    pub(super) fn get(&self, field: Field) -> u64 {
        self.word(field).get()
    }

    #[inline(always)]
    pub(super) fn number(&self, field: Field) -> f64 {
        self.word(field).number()
    }

    /// Counts one.
    #[inline(always)]
    pub(super) fn count(&self, field: Field) {
        self.word(field).add(1);
    }

    /// Counts a request that is not of a blocked source, and looks at the sums if it is time.
    #[inline(always)]
    pub(super) fn arrive(&self, capacity: f64, now: Now) {
        let total = self.word(Field::Total).add(1);
        let due = now.ms.saturating_sub(self.get(Field::LookedAt)) >= TICK_MS;
        if due || total >= self.get(Field::LookFrom) {
            self.look(capacity, now);
        }
    }

    /// Whether there is pressure.
    #[inline(always)]
    pub(super) fn since(&self) -> u64 {
        self.get(Field::Since)
    }

    /// One of those who find that it is time looks; the others go on.
    #[cold]
    pub(super) fn look(&self, capacity: f64, now: Now) {
        let looked_at = self.get(Field::LookedAt);
        let elapsed = now.ms.saturating_sub(looked_at);
        if elapsed == 0 || !self.word(Field::LookedAt).exchange(looked_at, now.ms) {
            return;
        }
        let seconds = to_float(elapsed) / 1_000.0;
        if elapsed > PAUSE_MS {
            self.word(Field::Excess).set_number(0.0);
        }
        let offered = self.measure(seconds);
        self.detect(capacity, offered, seconds, now);
        if self.since() != 0 {
            self.steer(capacity, seconds);
            self.learn_show_up(now);
        }
        let bound = capacity * (ONSET_SECONDS + to_float(TICK_MS) / 1_000.0);
        let bound = if bound.is_finite() { to_count(bound) } else { u64::MAX >> 1 };
        self.word(Field::LookFrom).set(self.get(Field::Total).saturating_add(bound.max(8)));
    }

    /// What came since the last look, as a rate; and all rates, smoothed.
    fn measure(&self, seconds: f64) -> f64 {
        let delta = |now: Field, seen: Field| {
            let sum = self.get(now);
            let before = self.word(seen);
            // A stopped process that goes on late does not set it back.
            let (seen, _) = before.step(|seen| seen.max(sum));
            to_float(sum.saturating_sub(seen)) / seconds
        };
        let total = delta(Field::Total, Field::SeenTotal);
        let granted = delta(Field::Granted, Field::SeenGranted);
        let patient = delta(Field::Patient, Field::SeenPatient);
        let fresh = delta(Field::Fresh, Field::SeenFresh);
        let impatient = delta(Field::Impatient, Field::SeenImpatient);
        let other = delta(Field::Other, Field::SeenOther);
        let turned = delta(Field::Turned, Field::SeenTurned);
        let smooth = |field: Field, rate: f64| {
            let word = self.word(field);
            let weight = 1.0 - (-seconds / 0.6).exp();
            word.set_number(word.number() + weight * (rate - word.number()));
        };
        smooth(Field::Offered, total);
        smooth(Field::Admitted, (total - turned).max(0.0));
        smooth(
            Field::RegularRate,
            (total - granted - patient - fresh - impatient - other).max(0.0),
        );
        smooth(Field::GrantedRate, granted);
        smooth(Field::PatientRate, patient);
        smooth(Field::FreshRate, fresh);
        smooth(Field::ImpatientRate, impatient);
        total
    }

    /// Whether pressure begins or ends.
    fn detect(&self, capacity: f64, offered: f64, seconds: f64, now: Now) {
        let excess = self.word(Field::Excess);
        excess.set_number((excess.number() + (offered - ENTER * capacity) * seconds).max(0.0));
        if self.since() == 0 {
            if excess.number() > ONSET_SECONDS * capacity {
                self.begin(capacity, offered, now);
            }
            return;
        }
        excess.set_number(0.0);
        let low = self.word(Field::LowSince);
        if self.number(Field::Offered) >= LEAVE * capacity {
            low.set(now.ms);
        } else if now.ms.saturating_sub(low.get()) >= LEAVE_MS {
            self.word(Field::Since).set(0);
            self.word(Field::FreshShare).set_number(1.0);
        }
    }

    /// At once with the rates of this moment: the smoothed ones are of the peace before.
    fn begin(&self, capacity: f64, offered: f64, now: Now) {
        self.word(Field::Since).set(now.ms);
        self.word(Field::LowSince).set(now.ms);
        let before = self.number(Field::RegularRate).min(offered);
        let left = (TARGET * capacity - before).max(0.0);
        // A little too much may be a ripple: then all go on until it is known.
        let rate = if offered < 1.5 * capacity { 0.1 * capacity } else { left * 0.25 };
        self.word(Field::GrantRate).set_number(rate);
        self.word(Field::GrantedShare).set_number(1.0);
        self.word(Field::Scarce).set(1);
        self.word(Field::Threshold).set_number(4.0);
        self.word(Field::RegularThreshold).set_number(capacity);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and times lie below 2^53")]
#[inline(always)]
pub(super) const fn to_float(n: u64) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
#[inline(always)]
pub(super) const fn to_count(n: f64) -> u64 {
    n as u64
}
