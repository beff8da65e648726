//! What the whole service is offered: counters, pressure, and the shares of those who are let in.
//!
//! Requests count themselves, each in one class. Every 250 ms one of them takes a look at the sums:
//!
//! ```text
//! pressure begins   a bucket that leaks at 0.95 of capacity holds 0.15 s of it: a crowd's ripples do not fill it
//! pressure ends     two seconds below 0.85 of capacity
//! meanwhile         regulars first; then those let in before; then those who waited as told; then the others:
//!                   each class gets what the ones before it leave of 0.9 of capacity
//! ```

use super::record::Now;
use super::words::Word;
use crate::atomic::AtomicU64;

/// Words of the header.
pub(super) const HEADER: usize = 128;
/// Where those are counted who are expected, by seconds.
const EXPECTED: usize = 64;

/// How often the shares are set.
const TICK_MS: u64 = 250;
/// After a longer pause the past says nothing.
const PAUSE_MS: u64 = 10_000;
const ONSET_SECONDS: f64 = 0.15;
const LEAVE: f64 = 0.85;
const LEAVE_MS: u64 = 2_000;
const TARGET: f64 = 0.87;
/// The most that is let in, whoever asks.
const MOST: f64 = 0.91;
/// Offered more than so much of capacity, it begins.
const ENTER: f64 = 0.95;
/// What is kept for newcomers while some of them are refused.
const RESERVE: f64 = 0.08;
/// The share of those who come as told, before any could.
const SHOW_UP: f64 = 0.2;
/// The longest queue of those who are told to wait.
const LONGEST_QUEUE_MS: f64 = 45_000.0;
/// Seconds for which is counted who is expected: a power of two.
const SECONDS: u64 = 64;

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
    /// Sources let in under pressure.
    Grants,
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
    /// Whether the logins mostly fail.
    Alarm,
    /// When sensitive outcomes were last counted.
    AlarmAt,
    /// When the budget of newcomers under alarm is empty.
    Budget,
    /// The same for those who were blocked not long ago.
    Probation,
    /// The last second whose expected ones were counted.
    ExpectedUntil,
    /// How often pressure has begun.
    Episodes,
    SeenTotal = 24,
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
    words: &'a [AtomicU64],
    is_alone: bool,
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

    /// Most of a newcomer's pace: people send less.
    fn least_threshold(&self) -> f64 {
        self.number(Field::Pace) * 0.9
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
        self.count(Field::Episodes);
        let before = self.number(Field::RegularRate).min(offered);
        let left = (TARGET * capacity - before).max(0.0);
        // A little too much may be a ripple: then all go on until it is known.
        let rate = if offered < 1.5 * capacity { 0.1 * capacity } else { left * 0.25 };
        self.word(Field::GrantRate).set_number(rate);
        self.word(Field::GrantedShare).set_number(1.0);
        self.word(Field::Threshold).set_number(4.0);
        self.word(Field::RegularThreshold).set_number(capacity);
    }

    /// Sets the shares.
    fn steer(&self, capacity: f64, seconds: f64) {
        let number = |field| self.number(field);
        let admitted = number(Field::Admitted);
        let goal = TARGET * capacity;
        let over = (admitted - goal) / capacity;
        let grants = self.word(Field::GrantRate);
        let rate = if over > 0.0 {
            grants.number() * (-seconds * 20.0 * over).exp()
        } else {
            grants.number() + (goal - admitted) * seconds * 0.35
        };
        let [patient, fresh] = [number(Field::PatientRate), number(Field::FreshRate)];
        let impatient = number(Field::ImpatientRate);
        // While all are let in who ask, the rate is not known to be too low.
        let most = 1.5 * (patient + fresh + impatient) + 0.05 * capacity;
        let rate = rate.clamp(0.0, most.min(2.0 * capacity));
        grants.set_number(rate);
        let share =
            |budget: f64, asked: f64| if asked <= budget { 1.0 } else { (budget / asked).max(0.0) };
        let set = |field, value| self.word(field).set_number(value);
        let regular = number(Field::RegularRate);
        let granted = number(Field::GrantedRate);
        set(Field::GrantedShare, share(MOST * capacity - regular, granted));
        set(Field::PatientShare, share(rate, patient));
        set(Field::FreshShare, share(rate - patient, fresh));
        set(Field::ImpatientShare, share(rate - patient - fresh, impatient));
        let reserve = if rate < patient + fresh { RESERVE * capacity } else { 0.0 };
        let is_over = granted > goal - regular - reserve;
        self.move_threshold(Field::Threshold, is_over, seconds, 4.0);
        self.move_threshold(Field::RegularThreshold, regular > MOST * capacity, seconds, capacity);
    }

    /// Lower while too much is asked for, higher when not.
    fn move_threshold(&self, field: Field, is_over: bool, seconds: f64, most: f64) {
        let word = self.word(field);
        let factor = if is_over { (-0.4 * seconds).exp() } else { (0.15 * seconds).exp() };
        let least = self.least_threshold();
        word.set_number((word.number() * factor).clamp(least, most.max(least)));
    }

    /// How long those who are told to wait would wait for the others, in milliseconds; one more then does.
    pub(super) fn queue(&self, now: Now) -> u64 {
        let end = self.word(Field::QueueEnd);
        let at = to_float(now.ms);
        let start = end.number().clamp(at, at + LONGEST_QUEUE_MS);
        let rate = self.number(Field::GrantRate).max(10.0);
        end.set_number((start + 1_000.0 * self.show_up() / rate).min(at + LONGEST_QUEUE_MS));
        to_count(start - at)
    }

    /// Counts one who is expected then.
    pub(super) fn expect(&self, at_ms: u64) {
        if let Some(word) = self.expected(at_ms / 1_000) {
            word.add(1);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "below 64")]
    fn expected(&self, second: u64) -> Option<Word<'a>> {
        let index = EXPECTED.wrapping_add((second % SECONDS) as usize);
        self.words.get(index).map(|word| Word::new(word, self.is_alone))
    }

    pub(super) fn show_up(&self) -> f64 {
        let known = self.number(Field::ShowUp);
        if known > 0.0 { known } else { SHOW_UP }
    }

    /// Compares those who were expected with those who came, and shortens or prolongs the queue accordingly.
    fn learn_show_up(&self, now: Now) {
        let second = now.ms / 1_000;
        let until = self.word(Field::ExpectedUntil);
        let from = until.get().max(second.saturating_sub(SECONDS));
        if second <= from {
            return;
        }
        until.set(second);
        let mut due = 0_u64;
        for passed in from..second {
            due = due.saturating_add(self.expected(passed).map_or(0, |word| word.step(|_| 0).0));
        }
        let passed = to_float(second.saturating_sub(from));
        let came = self.number(Field::PatientRate) * passed;
        let before = self.show_up();
        let weight = 2.0 + to_float(due);
        let smoothing = 0.5_f64.powf(passed.min(8.0)) * 100.0;
        let after = ((came.min(to_float(due)) + before * smoothing) / (weight - 2.0 + smoothing))
            .clamp(0.001, 1.0);
        self.word(Field::ShowUp).set_number(after);
        let end = self.word(Field::QueueEnd);
        let at = to_float(now.ms);
        end.set_number(at + (end.number() - at).max(0.0) * (after / before).min(1.0));
    }

    /// Counts the outcome of a sensitive request, and says whether most of them fail.
    pub(super) fn sensitive_outcome(&self, has_failed: bool, now: Now) {
        let elapsed = to_float(now.ms.saturating_sub(self.get(Field::AlarmAt))) / 1_000.0;
        self.word(Field::AlarmAt).set(now.ms);
        let kept = (-elapsed / 10.0).exp();
        let add = |field: Field, one: bool| {
            let word = self.word(field);
            word.set_number(word.number() * kept + f64::from(u8::from(one)));
            word.number()
        };
        let all = add(Field::Sensitive, true);
        let failed = add(Field::SensitiveFailures, has_failed);
        let alarm = self.word(Field::Alarm);
        if failed > 0.7 * all && all >= 10.0 {
            alarm.set(1);
        } else if failed < 0.5 * all || all < 4.0 {
            alarm.set(0);
        }
        if alarm.get() == 0 && !has_failed {
            let word = self.word(Field::Successes);
            word.set_number(word.number() * (-elapsed / 300.0).exp() + 1.0 / 300.0);
        }
    }

    /// Whether most sensitive requests fail, as of the last half minute.
    #[inline(always)]
    pub(super) fn is_alarmed(&self, now: Now) -> bool {
        self.get(Field::Alarm) != 0 && now.ms.saturating_sub(self.get(Field::AlarmAt)) < 30_000
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
