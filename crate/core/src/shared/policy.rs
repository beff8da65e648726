//! A policy as words of a label, and back.

use crate::limit::Limit;
use crate::policy::{Kind, MAX_LIMITS, Policy};

/// Kind, block, capacity, number of limits, and three words for each limit.
pub(super) const WORDS: usize = 4 + 3 * MAX_LIMITS;

/// `None` for a policy that no limiter can have.
pub(super) fn write(policy: &Policy) -> Option<[u64; WORDS]> {
    let kind = policy.kind.index()?;
    let limits = policy.limits.iter();
    let limits = limits.flat_map(|limit| [limit.count(), limit.window_ms(), limit.burst()]);
    let head =
        [kind as u64, policy.block_for_ms, policy.capacity as u64, policy.limits.len() as u64];
    let mut words = [0; WORDS];
    if policy.limits.len() > MAX_LIMITS {
        return None;
    }
    for (word, value) in words.iter_mut().zip(head.into_iter().chain(limits)) {
        *word = value;
    }
    Some(words)
}

/// `None` unless a policy was written there.
pub(super) fn read(words: &[u64]) -> Option<Policy> {
    let (&[kind, block_for_ms, capacity, count], limits) = words.split_first_chunk()?;
    let count = usize::try_from(count).ok().filter(|count| (1..=MAX_LIMITS).contains(count))?;
    let (limits, _) = limits.as_chunks();
    let limits = limits.get(..count)?.iter().map(|&[count, window, burst]| {
        Limit::new(count, window).and_then(|limit| limit.with_burst(burst)).ok()
    });
    let policy = Policy {
        limits: limits.collect::<Option<_>>()?,
        kind: Kind::at(usize::try_from(kind).ok()?)?,
        block_for_ms,
        capacity: usize::try_from(capacity).ok()?,
    };
    policy.algorithms().is_ok().then_some(policy)
}
