//! Series: what had been counted by the end of each second, minute and hour.

use super::Insight;
use super::layout::{BEGAN, FIELDS, LIMITS, STEP, STEP_SECONDS, STEPS, TICKED};
use crate::atomic::{AtomicU64, Ordering, fence};

/// Counts of a limit by some time: admitted, denied, dry and waited.
pub type Step = [u64; 4];

/// Where a limit's counts of each kind are: from its first count on.
const ADMITTED: usize = 0;
const DRY: usize = 1;
const WAITED: usize = 3;
const DENIED: std::ops::Range<usize> = FIELDS / 2..FIELDS;

impl Insight {
    /// Ends the seconds before this one, unless another thread has.
    #[inline]
    pub fn tick(&self, second: u64) {
        let now = second.saturating_add(1);
        let last = self.word(TICKED).load(Ordering::Relaxed);
        if last < now {
            self.end_step(last, now);
        }
    }

    #[cold]
    fn end_step(&self, last: u64, now: u64) {
        let won =
            self.word(TICKED).compare_exchange(last, now, Ordering::AcqRel, Ordering::Relaxed);
        if won.is_err() {
            return;
        }
        let _ = self.word(BEGAN).compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        // What was counted since the last tick belongs to its second: with an injected clock, which may have
        // jumped, every call ticks before it counts.
        let Some(ended) = last.checked_sub(1) else { return };
        let sums = self.steps_now();
        for (limit, sums) in sums.iter().enumerate() {
            // Most rows are of no limit, and must not cost memory.
            if sums.iter().all(|&count| count == 0) {
                continue;
            }
            for (ring, (&length, &seconds)) in STEPS.iter().zip(&STEP_SECONDS).enumerate() {
                let last = now.saturating_sub(2).checked_div(seconds).unwrap_or_default();
                let first = ended.checked_div(seconds).unwrap_or_default();
                // After a pause also the steps in which nothing happened: a ring that has them all needs to know
                // nothing of what was before it.
                for step in first.max(last.saturating_sub(length as u64))..=last {
                    write(self.step_words(limit, ring, step), step, *sums);
                }
            }
        }
    }

    /// What each limit has counted by now.
    #[must_use]
    pub fn steps_now(&self) -> Vec<Step> {
        let sums = self.sums();
        sums.chunks(FIELDS).take(LIMITS).map(step_of).collect()
    }

    /// What each limit had counted by the end of the `count` steps of a ring up to the one that `second` is in,
    /// oldest first, and before that by the end of the step before them.
    #[must_use]
    pub fn series(&self, limit: usize, ring: usize, count: usize, second: u64) -> Vec<Step> {
        let all = STEPS.get(ring).copied().unwrap_or_default();
        let count = count.min(all.saturating_sub(1));
        let seconds = STEP_SECONDS.get(ring).copied().unwrap_or(1);
        let newest = second.checked_div(seconds).unwrap_or_default();
        // A clock that began lately has fewer steps behind it.
        let back = count as u64;
        let known: Vec<(u64, Step)> = (0..all)
            .filter_map(|place| read(self.words_at(limit, ring, place)))
            .filter(|&(step, _)| step < newest)
            .collect();
        let before = known
            .iter()
            .filter(|&&(step, _)| step.saturating_add(back) <= newest)
            .max_by_key(|&&(step, _)| step);
        let mut series = vec![None; count.saturating_add(1)];
        for &(step, counts) in &known {
            let place = step.saturating_add(back).checked_sub(newest);
            let place = place.and_then(|place| usize::try_from(place).ok());
            if let Some(slot) = place.and_then(|place| series.get_mut(place)) {
                *slot = Some(counts);
            }
        }
        let now = self.steps_now().get(limit).copied().unwrap_or_default();
        if let Some(last) = series.last_mut() {
            *last = Some(now);
        }
        // A step that is missing has added nothing, as far as is known.
        let mut carried = before.map_or([0; 4], |&(_, counts)| counts);
        series
            .into_iter()
            .map(|step| {
                carried = step.unwrap_or(carried);
                carried
            })
            .collect()
    }

    fn step_words(&self, limit: usize, ring: usize, step: u64) -> &[AtomicU64] {
        let steps = STEPS.get(ring).copied().unwrap_or(1) as u64;
        let place = step.checked_rem(steps).and_then(|place| usize::try_from(place).ok());
        self.words_at(limit, ring, place.unwrap_or_default())
    }

    fn words_at(&self, limit: usize, ring: usize, place: usize) -> &[AtomicU64] {
        let start = self.layout.step_start(limit, ring, place);
        self.memory.get(start..start.saturating_add(STEP)).unwrap_or_default()
    }
}

fn step_of(counts: &[u64]) -> Step {
    let count = |field: usize| counts.get(field).copied().unwrap_or_default();
    let denied =
        counts.get(DENIED).unwrap_or_default().iter().fold(0_u64, |sum, &n| sum.wrapping_add(n));
    [count(ADMITTED), denied, count(DRY), count(WAITED)]
}

/// The step's number is 0 while its counts are written. It is one more than the number, so that 0 is none.
fn write(words: &[AtomicU64], step: u64, counts: Step) {
    let Some((number, rest)) = words.split_first() else { return };
    number.store(0, Ordering::Relaxed);
    fence(Ordering::Release);
    for (word, count) in rest.iter().zip(counts) {
        word.store(count, Ordering::Relaxed);
    }
    number.store(step.saturating_add(1), Ordering::Release);
}

fn read(words: &[AtomicU64]) -> Option<(u64, Step)> {
    let (number, rest) = words.split_first()?;
    let step = number.load(Ordering::Acquire).checked_sub(1)?;
    let mut counts = [0; 4];
    for (count, word) in counts.iter_mut().zip(rest) {
        *count = word.load(Ordering::Relaxed);
    }
    fence(Ordering::Acquire);
    let is_same = number.load(Ordering::Relaxed).checked_sub(1) == Some(step);
    is_same.then_some((step, counts))
}
