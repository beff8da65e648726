//! Whether most requests to sensitive routes fail, over all sources.

use super::meter::{Field, Meter, to_float};
use super::record::Now;

/// An alarm that comes back sooner is the same one: refusals make it pause.
const FORGOTTEN_MS: u64 = 600_000;
/// Without an outcome for this long there is no alarm.
const QUIET_MS: u64 = 30_000;

impl Meter<'_> {
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
            let last = self.word(Field::LastAlarmed);
            if alarm.get() == 0 && now.ms.saturating_sub(last.get()) > FORGOTTEN_MS {
                self.word(Field::AlarmSince).set(now.ms);
            }
            last.set(now.ms);
            alarm.set(1);
        } else if failed < 0.5 * all || all < 4.0 {
            alarm.set(0);
        }
        if alarm.get() == 0 && !has_failed {
            let word = self.word(Field::Successes);
            word.set_number(word.number() * (-elapsed / 300.0).exp() + 1.0 / 300.0);
        }
    }

    /// Since when most sensitive requests fail, as of the last half minute.
    #[inline(always)]
    pub(super) fn alarmed_since(&self, now: Now) -> Option<u64> {
        let is_recent = now.ms.saturating_sub(self.get(Field::AlarmAt)) < QUIET_MS;
        (is_recent && self.get(Field::Alarm) != 0).then(|| self.get(Field::AlarmSince))
    }
}
