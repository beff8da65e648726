//! Under pressure: the share of each class that is let in, so that what is let in fits.

use super::meter::{Field, Meter, TARGET};

/// The most that is let in of all classes, as a share of capacity.
const MOST: f64 = 0.91;
/// Below this share of capacity there is enough for all who are let in.
const AMPLE: f64 = 0.75;
/// What is kept for newcomers while some of them are refused.
const RESERVE: f64 = 0.08;

impl Meter<'_> {
    /// Sets the shares.
    pub(super) fn steer(&self, capacity: f64, seconds: f64) {
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
        // While all that is not refused for what it does fits easily, no one is paced.
        let is_scarce = rate < patient + fresh || admitted > AMPLE * capacity;
        self.word(Field::Scarce).set(u64::from(is_scarce));
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

    /// Most of a newcomer's pace: people send less.
    fn least_threshold(&self) -> f64 {
        self.number(Field::Pace) * 0.9
    }
}
