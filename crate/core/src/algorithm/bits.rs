//! Bit fields, times modulo a power of two, and division that rounds up.

use std::num::NonZeroU64;

/// Bits needed to write `n`.
pub(crate) const fn bits(n: u64) -> u32 {
    u64::BITS.wrapping_sub(n.leading_zeros())
}

/// The lowest `n` bits.
#[inline]
pub(crate) const fn mask(n: u32) -> u64 {
    (1_u64 << n).wrapping_sub(1)
}

/// The distance from `earlier` to `later`, both counted modulo 2^`width`, as a signed number.
#[inline]
pub(crate) const fn distance(later: u64, earlier: u64, width: u32) -> i64 {
    let shift = u64::BITS.wrapping_sub(width);
    (later.wrapping_sub(earlier) << shift).cast_signed() >> shift
}

/// Division, rounded up.
#[inline]
pub(crate) fn ceil(n: u64, by: NonZeroU64) -> u64 {
    (n / by).saturating_add(u64::from(n % by != 0))
}

/// Ticks to milliseconds, rounded up, so that waiting this long is never too short.
#[inline]
pub(crate) fn ceil_ms(ticks: u64, per_ms: NonZeroU64) -> u64 {
    ceil(ticks, per_ms)
}

/// The finest resolution, as a power of two up to 1024 ticks per millisecond, at which
/// `eight_windows_ms` milliseconds fit into `width` bits.
pub(crate) fn finest(eight_windows_ms: u64, width: u32) -> Option<NonZeroU64> {
    let room = width.checked_sub(bits(eight_windows_ms))?;
    NonZeroU64::new(1 << room.min(10))
}

/// How long an epoch lasts in milliseconds, rounded down: an eighth of a time field of `width` bits.
pub(crate) fn epoch_ms(width: u32, per_ms: NonZeroU64) -> u64 {
    (1_u64 << width.wrapping_sub(3)) / per_ms
}

/// The first of `low .. high` for which `is_before` is false, or `high`: it is true up to some number only.
#[inline]
pub(crate) fn bisect(mut low: u64, mut high: u64, is_before: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) {
            low = middle.wrapping_add(1);
        } else {
            high = middle;
        }
    }
    low
}
