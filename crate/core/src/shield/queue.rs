//! Those who are told to wait: for how long, so that those of them who come fit in.
//!
//! Not all come: attackers do not wait, and some people leave. Who is expected is counted by seconds, and compared
//! with who came; by that share the queue moves on the faster.

use super::meter::{Field, Meter, to_count, to_float};
use super::record::Now;
use super::words::Word;

/// The share of those who come as told, before any could.
const SHOW_UP: f64 = 0.2;
/// The longest queue of those who are told to wait.
const LONGEST_QUEUE_MS: f64 = 45_000.0;
/// Seconds for which is counted who is expected: a power of two.
const SECONDS: u64 = 64;
/// Where those are counted who are expected, by seconds.
const EXPECTED: usize = 64;

impl<'a> Meter<'a> {
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

    fn expected(&self, second: u64) -> Option<Word<'a>> {
        let index = EXPECTED.wrapping_add((second % SECONDS) as usize);
        self.words.get(index).map(|word| Word::new(word, self.is_alone))
    }

    pub(super) fn show_up(&self) -> f64 {
        let known = self.number(Field::ShowUp);
        if known > 0.0 { known } else { SHOW_UP }
    }

    /// Compares those who were expected with those who came, and shortens or prolongs the queue accordingly.
    pub(super) fn learn_show_up(&self, now: Now) {
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
}
