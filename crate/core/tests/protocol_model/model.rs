//! The slot protocol as a step function: one actor makes one access to shared memory.
//!
//! The numbers are the protocol's: 1 lookup, 2 entry found, 4 insert (a claim, b tag, c uniqueness
//! pass, d promote), 5 adopt, 6 steal. Step 3, a cost above the limit, touches no memory.
#![expect(clippy::arithmetic_side_effects, reason = "counters of a few bits")]

use crate::actor::{Actor, Pc};
use crate::config::Config;
use crate::departure::Departure;
use crate::slot::{Key, Kind, Tag, Word};
use crate::state::State;

/// How many ways the actor's next step can go: one, unless it has a victim to choose.
pub(crate) fn choices(config: &Config, actor: Actor) -> u8 {
    match actor.pc {
        Pc::Done => 0,
        Pc::VictimTag => config.slot_count(),
        _ => 1,
    }
}

/// Lets one actor make its next access.
pub(crate) fn step(config: &Config, state: State, index: u8, choice: u8) -> State {
    let mut turn = Turn { config, state, actor: state.actor(index), key: config.key(index) };
    turn.take(choice);
    turn.state.set_actor(index, turn.actor);
    turn.state
}

/// One step in the making.
pub(crate) struct Turn<'a> {
    pub(crate) config: &'a Config,
    pub(crate) state: State,
    pub(crate) actor: Actor,
    pub(crate) key: Key,
}

impl Turn<'_> {
    fn take(&mut self, choice: u8) {
        match self.actor.pc {
            Pc::Done => (),
            Pc::LookTag => self.look_tag(),
            Pc::LookWord => self.look_word(),
            Pc::VictimTag => self.victim_tag(choice),
            Pc::VictimWord => self.victim_word(),
            Pc::Claim => self.claim(),
            Pc::WriteTag => self.write_tag(),
            Pc::PassTag => self.pass_tag(),
            Pc::PassWord => self.pass_word(),
            Pc::Kill => self.kill(),
            Pc::Update | Pc::Promote => self.admit(),
            Pc::Release => self.release(),
            Pc::EarlyPass => self.early_pass(),
            Pc::LateTag => self.late_tag(),
        }
    }

    /// 1: a fingerprint that does not match ends the interest in a slot.
    fn look_tag(&mut self) {
        let tag = self.state.tag(self.actor.cursor);
        if tag.key() != self.key {
            return self.look_on();
        }
        self.actor.tag = tag;
        self.go(Pc::LookWord);
    }

    /// 1: a torn pair shows as unequal generations; it is no entry of ours and the search goes on.
    fn look_word(&mut self) {
        let word = self.state.word(self.actor.cursor);
        let torn = word.generation() != self.actor.tag.generation();
        match word.kind() {
            _ if torn && self.is(Departure::TornPairRestarts) => self.restart(),
            _ if torn && !self.is(Departure::UncheckedGeneration) => self.look_on(),
            Kind::Free => self.look_on(),
            Kind::Expired => self.take_up(word, Pc::Update),
            Kind::Trans => self.adopt(word),
            Kind::Spent => self.deny(),
        }
    }

    fn look_on(&mut self) {
        let cursor = self.actor.cursor + 1;
        let more = cursor < self.config.slot_count();
        self.actor = if more { Actor { cursor, ..Actor::default() } } else { Actor::default() };
        self.go(if more { Pc::LookTag } else { Pc::VictimTag });
    }

    /// From here on the slot at the cursor is the one to work on, as long as it says `word`.
    fn take_up(&mut self, word: Word, next: Pc) {
        self.actor = Actor { slot: self.actor.cursor, mine: word, ..Actor::default() };
        self.go(next);
    }

    /// 5: an insertion of one's own key is carried on, whoever began it.
    fn adopt(&mut self, word: Word) {
        self.take_up(word, Pc::Promote);
        if !self.is(Departure::AdoptWithoutPass) {
            self.begin_pass();
        }
    }

    /// 2 and 4d: the word changes and the operation is admitted, in one step.
    fn admit(&mut self) {
        let held = self.actor.mine;
        if !self.swap_word(self.actor.slot, held, held.turned(Kind::Spent)) {
            return self.restart();
        }
        self.state.set_admitted(self.key, self.state.admitted(self.key) + 1);
        self.actor = Actor::default();
    }

    /// 2: the load of S was the moment of the denial, so it is judged by what was admitted then.
    fn deny(&mut self) {
        if self.state.admitted(self.key) == 0 {
            self.state.set_denied_early();
        }
        self.actor = Actor::default();
    }

    pub(crate) fn restart(&mut self) {
        self.actor = Actor { pc: Pc::LookTag, ..Actor::default() };
    }

    /// Goes on with the slot and its word, and forgets what was read elsewhere.
    pub(crate) fn leave(&mut self, next: Pc) {
        self.actor = Actor { cursor: 0, tag: Tag::default(), ..self.actor };
        self.go(next);
    }

    pub(crate) fn go(&mut self, pc: Pc) {
        self.actor.pc = pc;
    }

    pub(crate) fn is(&self, departure: Departure) -> bool {
        self.config.is(departure)
    }

    pub(crate) fn swap_word(&mut self, slot: u8, expected: Word, new: Word) -> bool {
        let won = self.state.word(slot) == expected;
        if won {
            self.state.set_word(slot, new);
        }
        won
    }
}
