//! The search: every state that can be reached, breadth first, until a property breaks.

use crate::config::{Ageing, Config};
use crate::model;
use crate::property::Property;
use crate::renaming::renamed;
use crate::seen::Seen;
use crate::slot::Kind;
use crate::state::State;

/// What a search found.
pub(crate) struct Report {
    /// How many states were met: all there are, unless a property broke.
    pub(crate) states: usize,
    pub(crate) breach: Option<(Property, State)>,
}

/// Who takes a step: an operation by its index, or time.
#[derive(Clone, Copy)]
pub(crate) enum Mover {
    Actor(u8),
    Time,
}

pub(crate) fn explore(config: &Config, properties: &[Property]) -> Report {
    let mut seen = Seen::new();
    let mut level = vec![config.start()];
    seen.insert(config.start());
    while !level.is_empty() {
        for state in &level {
            if let Some(broken) = broken(config, properties, *state) {
                return Report { states: seen.len(), breach: Some((broken, *state)) };
            }
        }
        level = next_level(config, &level, &mut seen);
    }
    Report { states: seen.len(), breach: None }
}

fn broken(config: &Config, properties: &[Property], state: State) -> Option<Property> {
    properties.iter().copied().find(|property| !property.holds(config, state))
}

/// The states one step further that were never met before.
pub(crate) fn next_level(config: &Config, level: &[State], seen: &mut Seen) -> Vec<State> {
    let mut next = Vec::new();
    for state in level {
        successors(config, *state, |child, _| {
            if seen.insert(child) {
                next.push(child);
            }
        });
    }
    next
}

/// Every state one step away, each in the form that stands for all that behave like it.
pub(crate) fn successors(config: &Config, state: State, mut visit: impl FnMut(State, Mover)) {
    let form = |next| canonical(config, next);
    for index in 0..config.actor_count() {
        for choice in 0..model::choices(config, state.actor(index)) {
            let next = model::step(config, state, index, choice);
            visit(form(next), Mover::Actor(index));
        }
    }
    aged(config, state, |next| visit(form(next), Mover::Time));
}

fn canonical(config: &Config, state: State) -> State {
    let named = if config.renaming { renamed(config, state) } else { state };
    named.sorted(config.keys)
}

/// What time, or a reset, does to one slot. A key whose entry goes has its budget again.
fn aged(config: &Config, state: State, mut visit: impl FnMut(State)) {
    for slot in 0..config.slot_count() {
        let word = state.word(slot);
        let Some(kind) = fate(config.ageing, word.kind()) else { continue };
        let mut next = state;
        next.set_word(slot, word.turned(kind));
        if word.kind() == Kind::Spent {
            let key = state.tag(slot).key();
            next.set_admitted(key, state.admitted(key).saturating_sub(1));
        }
        visit(next);
    }
}

fn fate(ageing: Ageing, kind: Kind) -> Option<Kind> {
    match (ageing, kind) {
        (Ageing::Expiry, Kind::Spent) => Some(Kind::Expired),
        (Ageing::Reset, Kind::Spent | Kind::Expired | Kind::Trans) => Some(Kind::Free),
        _ => None,
    }
}
