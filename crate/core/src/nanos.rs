//! A point in time, counted in nanoseconds from the zero of whichever clock was read.

const PER_MS: u64 = 1_000_000;
const PER_US: u64 = 1_000;

/// Nanoseconds since the clock's zero. 64 bits last 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The latest time accepted from an injected clock: half of the 64-bit range.
    pub const MAX_MS: f64 = 9_223_372_036_854.0;

    /// From milliseconds, which may have a fraction. `None` unless `0 ..= MAX_MS`.
    #[must_use]
    pub fn from_ms(ms: f64) -> Option<Self> {
        if !(0.0..=Self::MAX_MS).contains(&ms) {
            return None;
        }
        let whole = ms.trunc();
        let part = ((ms - whole) * 1e6).round();
        Some(Self(as_u64(whole).saturating_mul(PER_MS).saturating_add(as_u64(part))))
    }

    /// Whole milliseconds since the clock's zero.
    #[must_use]
    pub const fn whole_ms(self) -> u64 {
        self.0 / PER_MS
    }

    /// Whole microseconds since the clock's zero.
    #[must_use]
    pub const fn whole_us(self) -> u64 {
        self.0 / PER_US
    }

    /// The time in ticks of which `per_ms` (at most 2^20) make a millisecond, rounded down.
    ///
    /// A whole millisecond is a whole number of ticks, so adding k ms adds exactly `k * per_ms`.
    #[must_use]
    pub const fn ticks(self, per_ms: u64) -> u64 {
        let part = (self.0 % PER_MS).wrapping_mul(per_ms) / PER_MS;
        self.whole_ms().wrapping_mul(per_ms).wrapping_add(part)
    }

    /// Whether that is a whole number of such ticks.
    #[must_use]
    pub const fn is_whole(self, per_ms: u64) -> bool {
        (self.0 % PER_MS).wrapping_mul(per_ms).is_multiple_of(PER_MS)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers pass whole numbers from 0 to 2^43"
)]
const fn as_u64(whole: f64) -> u64 {
    whole as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_with_a_fraction_keep_it_to_the_nanosecond() {
        assert_eq!(Nanos::from_ms(59.7), Some(Nanos(59_700_000)));
        assert_eq!(Nanos::from_ms(0.000_001), Some(Nanos(1)));
    }

    #[test]
    fn times_that_no_clock_shows_are_refused() {
        for ms in [f64::NAN, f64::INFINITY, -1.0, -0.001, 1e13] {
            assert_eq!(Nanos::from_ms(ms), None, "{ms}");
        }
    }

    #[test]
    fn a_millisecond_is_a_whole_number_of_ticks_at_any_instant() {
        for per_ms in [1, 7, 1_024, 65_536, 1_048_573] {
            for ns in [0, 1, 999_999, 1_000_000, 123_456_789_012_345] {
                let later = Nanos(ns + 1_000_000).ticks(per_ms);
                assert_eq!(later - Nanos(ns).ticks(per_ms), per_ms, "{ns} at {per_ms}");
            }
        }
    }
}
