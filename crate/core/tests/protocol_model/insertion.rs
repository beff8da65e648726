//! Steps 4 and 5 of the protocol: claim a slot, tag it, look whether the key is elsewhere, promote.
#![expect(clippy::arithmetic_side_effects, reason = "counters of a few bits")]

use crate::actor::{Actor, Pc};
use crate::departure::Departure;
use crate::model::Turn;
use crate::slot::{Kind, Tag, Word};

impl Turn<'_> {
    /// 4: F is read before 4a, because 4b may only replace the F of the owner that 4a displaces.
    pub(crate) fn victim_tag(&mut self, choice: u8) {
        self.actor.slot = choice;
        self.actor.tag = self.state.tag(choice);
        self.go(Pc::VictimWord);
    }

    pub(crate) fn victim_word(&mut self) {
        let word = self.state.word(self.actor.slot);
        if !self.config.is_claimable(word) {
            return if self.config.patient { self.give_up() } else { self.choose_again() };
        }
        self.actor.mine = word;
        self.go(match self.config.departure {
            Some(Departure::TagReadAfterWord) => Pc::LateTag,
            Some(Departure::TagFirst) => Pc::WriteTag,
            _ => Pc::Claim,
        });
    }

    fn choose_again(&mut self) {
        self.actor = Actor { pc: Pc::VictimTag, ..Actor::default() };
    }

    fn give_up(&mut self) {
        self.actor = Actor::default();
    }

    /// 4a: every claim takes a new generation.
    pub(crate) fn claim(&mut self) {
        let held = self.actor.mine;
        self.actor.mine = self.next_trans();
        if self.is(Departure::TagFirst) {
            self.state.set_word(self.actor.slot, self.actor.mine);
            return self.begin_pass();
        }
        if !self.swap_word(self.actor.slot, held, self.actor.mine) {
            return self.lose_claim();
        }
        self.forgive(held);
        self.go(match self.config.departure {
            Some(Departure::TagReadAfterClaim) => Pc::LateTag,
            Some(Departure::PassBeforeTag) => Pc::EarlyPass,
            _ => Pc::WriteTag,
        });
    }

    fn next_trans(&self) -> Word {
        let from_tag = self.is(Departure::GenerationFromTag);
        let (word, tag) = (self.actor.mine.generation(), self.actor.tag.generation());
        let last = if from_tag { tag } else { word };
        let wraps = last == 1 && self.is(Departure::OneBitGeneration);
        Word::new(Kind::Trans, if wraps { 0 } else { last + 1 })
    }

    fn lose_claim(&mut self) {
        if self.is(Departure::NextVictimAtOnce) { self.choose_again() } else { self.restart() }
    }

    /// An entry in force was evicted, which only some configurations allow.
    fn forgive(&mut self, held: Word) {
        if held.kind() == Kind::Spent {
            let key = self.state.tag(self.actor.slot).key();
            self.state.set_admitted(key, self.state.admitted(key).saturating_sub(1));
        }
    }

    /// 4b: a failure means that another claimer tagged this slot, so it is given back.
    pub(crate) fn write_tag(&mut self) {
        let early = self.is(Departure::TagFirst);
        let trans = if early { self.next_trans() } else { self.actor.mine };
        let won = self.swap_tag(Tag::new(self.key, trans.generation()));
        match (won, early) {
            (false, true) => self.restart(),
            (false, false) => self.leave(Pc::Release),
            (true, true) => self.go(Pc::Claim),
            (true, false) if self.is(Departure::PassBeforeTag) => self.leave(Pc::Promote),
            (true, false) => self.begin_pass(),
        }
    }

    /// 4c: the other slots in ascending order, for an inserter and for an adopter alike.
    pub(crate) fn begin_pass(&mut self) {
        self.leave(Pc::Promote);
        if !self.is(Departure::NoUniquenessPass) {
            self.pass_to(0);
        }
    }

    fn pass_on(&mut self) {
        self.pass_to(self.actor.cursor + 1);
    }

    fn pass_to(&mut self, slot: u8) {
        let cursor = slot + u8::from(slot == self.actor.slot);
        if cursor >= self.config.slot_count() {
            return self.leave(Pc::Promote);
        }
        self.leave(Pc::PassTag);
        self.actor.cursor = cursor;
    }

    pub(crate) fn pass_tag(&mut self) {
        let tag = self.state.tag(self.actor.cursor);
        if tag.key() != self.key {
            return self.pass_on();
        }
        self.actor.tag = tag;
        self.go(Pc::PassWord);
    }

    /// 4c: a torn pair may be ignored here too, for whoever tags that slot next will see ours.
    pub(crate) fn pass_word(&mut self) {
        let word = self.state.word(self.actor.cursor);
        let torn = word.generation() != self.actor.tag.generation();
        match word.kind() {
            _ if torn && self.is(Departure::PassFearsTornPair) => self.leave(Pc::Release),
            _ if torn => self.pass_on(),
            Kind::Free => self.pass_on(),
            Kind::Spent if self.is(Departure::PassIgnoresSpent) => self.pass_on(),
            Kind::Spent | Kind::Expired => self.leave(Pc::Release),
            Kind::Trans if self.yields() => self.leave(Pc::Release),
            Kind::Trans if self.is(Departure::RivalLeftAlive) => self.pass_on(),
            Kind::Trans => self.go(Pc::Kill),
        }
    }

    /// 4c: of two insertions of one key, the one at the lower index goes on.
    fn yields(&self) -> bool {
        let stubborn = self.is(Departure::RivalsKillEachOther);
        self.actor.cursor < self.actor.slot && !stubborn
    }

    /// 4c: won or lost, the slot is looked at again: it may have been promoted just before.
    pub(crate) fn kill(&mut self) {
        let rival = Word::new(Kind::Trans, self.actor.tag.generation());
        self.swap_word(self.actor.cursor, rival, self.freed(rival));
        let again = !self.is(Departure::NoSecondLook);
        self.pass_to(self.actor.cursor + u8::from(!again));
    }

    pub(crate) fn release(&mut self) {
        let held = self.actor.mine;
        self.swap_word(self.actor.slot, held, self.freed(held));
        self.restart();
    }

    fn freed(&self, word: Word) -> Word {
        let forgets = self.is(Departure::FreeForgetsGeneration);
        if forgets { Word::default() } else { word.turned(Kind::Free) }
    }

    /// A departure: only the loads of F come early, and any match gives way.
    pub(crate) fn early_pass(&mut self) {
        let own = self.actor.slot;
        let tag = self.state.tag(self.actor.cursor);
        if self.actor.cursor != own && tag.key() == self.key {
            return self.leave(Pc::Release);
        }
        self.actor.cursor += 1;
        if self.actor.cursor == self.config.slot_count() {
            self.actor.cursor = 0;
            self.go(Pc::WriteTag);
        }
    }

    /// A departure, harmless before 4a and fatal after it.
    pub(crate) fn late_tag(&mut self) {
        self.actor.tag = self.state.tag(self.actor.slot);
        let claimed = self.is(Departure::TagReadAfterClaim);
        self.go(if claimed { Pc::WriteTag } else { Pc::Claim });
    }

    fn swap_tag(&mut self, new: Tag) -> bool {
        let won = self.state.tag(self.actor.slot) == self.actor.tag;
        if won {
            self.state.set_tag(self.actor.slot, new);
        }
        won
    }
}
