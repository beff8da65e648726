//! How a breach comes about, for a person to read.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::config::Config;
use crate::explore::{Mover, successors};
use crate::slot::Key;
use crate::state::State;

type Parents = HashMap<State, Option<(State, Mover)>>;

/// The shortest way to a state, searched again: parents kept throughout would double the memory.
pub(crate) fn trace(config: &Config, goal: State) -> String {
    let mut parents = Parents::from([(config.start(), None)]);
    let mut queue = VecDeque::from([config.start()]);
    while let Some(state) = queue.pop_front().filter(|state| *state != goal) {
        successors(config, state, |child, mover| {
            if let Entry::Vacant(place) = parents.entry(child) {
                place.insert(Some((state, mover)));
                queue.push_back(child);
            }
        });
    }
    retrace(config, goal, &parents)
}

fn retrace(config: &Config, goal: State, parents: &Parents) -> String {
    let mut lines = Vec::new();
    let mut state = goal;
    while let Some((parent, mover)) = parents.get(&state).copied().flatten() {
        lines.push(line(config, parent, mover, state));
        state = parent;
    }
    lines.reverse();
    lines.join("\n")
}

/// Who made which access to which slot, and then the table as `F/S`. The search swaps actors of one
/// key and renames generations, so neither keeps its number from line to line.
fn line(config: &Config, before: State, mover: Mover, after: State) -> String {
    let access = match mover {
        Mover::Time => "time passes".to_owned(),
        Mover::Actor(index) => access(config, before, index),
    };
    let table: Vec<String> = (0..config.slot_count()).map(|slot| show(after, slot)).collect();
    format!("    {access:<40} {}", table.join("   "))
}

fn access(config: &Config, before: State, index: u8) -> String {
    let (key, actor) = (letter(config.key(index)), before.actor(index));
    format!("{key}: {:?} (slot {}, cursor {})", actor.pc, actor.slot, actor.cursor)
}

fn show(state: State, slot: u8) -> String {
    let (tag, word) = (state.tag(slot), state.word(slot));
    let pair =
        format!("{}{}/{:?}{}", letter(tag.key()), tag.generation(), word.kind(), word.generation());
    format!("{pair:<12}")
}

fn letter(key: Key) -> char {
    match key {
        0 => '-',
        1 => 'a',
        2 => 'b',
        _ => 'c',
    }
}
