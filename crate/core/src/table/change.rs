//! Changes that are no charges: refunds, resets and blocks.

use super::claim::{Claim, Content, exchange, store_state};
use super::layout::HeaderWord;
use super::memo_entry::Entry;
use super::slot::SlotState;
use super::{Receipt, Seen, Table};
use crate::algorithm::{Algorithm, State};
use crate::atomic::{AtomicU64, Ordering};
use crate::clock::Clock;
use crate::key::Key;
use crate::nanos::Nanos;
use std::ops::Deref;

impl<M: Deref<Target = [AtomicU64]>, A: Algorithm> Table<M, A> {
    /// Gives `units` back to the key. Nothing happens when it owes none.
    pub fn refund(&self, key: Key, units: u64, clock: &impl Clock) {
        self.change(key, clock, |state, now| self.algorithm.refund(state, now, units));
    }

    /// Takes back the charge that the receipt is for.
    pub fn undo(&self, key: Key, units: u64, receipt: Receipt, clock: &impl Clock) {
        match receipt {
            Receipt::Overflow => self.refund_overflow(key, units, clock.now()),
            Receipt::Slot(value) => {
                self.change(key, clock, |state, now| self.algorithm.undo(state, now, value, units));
            }
        }
    }

    /// Replaces the key's state by `next`, if it has a slot.
    pub(super) fn change(
        &self,
        key: Key,
        clock: &impl Clock,
        next: impl Fn(State<'_>, Nanos) -> u64,
    ) {
        loop {
            let now = clock.now();
            self.enter_epoch(key, now);
            let Some(seen) = self.find_held(key) else {
                if self.change_known(key, now, &next) {
                    return;
                }
                continue;
            };
            let state = self.state(seen);
            let value = next(state, now);
            if value == state.value {
                return;
            }
            self.algorithm.flush(state, now);
            if store_state(seen, Content::live(value)) == Claim::Done {
                return;
            }
        }
    }

    /// Forgets the key and its block.
    pub fn reset(&self, key: Key) {
        for key in [key, key.block()] {
            while let Some(Seen { slot, s }) = self.find(key) {
                exchange(slot.s, s, s.freed());
            }
            self.forget(key.fingerprint());
        }
    }

    /// Denies the key until `until_us`. `false` when every slot it may use holds a blocked key.
    pub fn block(&self, key: Key, until_us: u64, clock: &impl Clock) -> bool {
        let content = Content { kind: SlotState::Blocked, value: until_us, known: None };
        let (key, now) = (key.block(), clock.now());
        if let Some(flag) = self.region.header(HeaderWord::Blocks) {
            // Release: a thread that sees the block's slot sees the flag.
            flag.store(1, Ordering::Release);
        }
        let longer = self.recollect(key.fingerprint(), now);
        let left_us = until_us.saturating_sub(now.whole_us());
        let latest_us = left_us.saturating_add(Entry::latest_us(left_us));
        let longer = longer.filter(|found| found.left_us > latest_us);
        loop {
            let claim = match self.find(key) {
                Some(seen) if seen.s.kind() == SlotState::Blocked => store_state(seen, content),
                Some(seen) => self.promote(key, seen, content),
                None => self.claim(key, now, content),
            };
            match claim {
                Claim::Done => {
                    // An earlier block, which would outlast this one.
                    if let Some(longer) = longer {
                        longer.remove();
                    }
                    return true;
                }
                Claim::Full => {
                    return self.remember(key.fingerprint(), (now, left_us)).is_some();
                }
                Claim::Lost => {}
            }
        }
    }

    /// Whether any key of this table was ever blocked, by a call or after a denial.
    #[inline(always)]
    pub fn has_blocks(&self) -> bool {
        // Acquire: pairs with the release in `block`.
        let flag = self.region.header(HeaderWord::Blocks);
        flag.is_some_and(|flag| flag.load(Ordering::Acquire) != 0)
    }

    /// Microseconds from `now` for which the key is blocked; 0 when it is not.
    pub fn blocked_for_us(&self, key: Key, now: Nanos) -> u64 {
        let key = key.block();
        let Some(seen) = self.find_held(key) else {
            return self.recollect(key.fingerprint(), now).map_or(0, |found| found.left_us);
        };
        seen.s.value().saturating_sub(now.whole_us())
    }
}
