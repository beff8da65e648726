//! "Nobody loops": with every TRANS left alone while it is young, no run goes on for ever.
//!
//! Stealing without any patience cannot promise that: two thieves of one slot may take turns.

use std::collections::HashMap;

use crate::config::Config;
use crate::explore::successors;
use crate::state::State;

/// Whether there is a cycle of states: operations that only ever end cannot go round otherwise.
pub(crate) fn is_endless(config: &Config) -> bool {
    let start = config.start();
    let mut on_path = HashMap::from([(start, true)]);
    let mut path = vec![(start, next_states(config, start))];
    while let Some((state, ahead)) = path.last_mut() {
        let Some(next) = ahead.pop() else {
            on_path.insert(*state, false);
            path.pop();
            continue;
        };
        match on_path.insert(next, true) {
            Some(true) => return true,
            Some(false) => _ = on_path.insert(next, false),
            None => path.push((next, next_states(config, next))),
        }
    }
    false
}

fn next_states(config: &Config, state: State) -> Vec<State> {
    let mut next = Vec::new();
    successors(config, state, |child, _| next.push(child));
    next
}
