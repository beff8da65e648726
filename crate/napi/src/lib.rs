//! Between JavaScript and the core: this crate converts and calls. Nothing is decided here.
//!
//! Two kinds of exports. `open` and its like are called once per limiter and use napi-rs' generated
//! conversions. They return bare N-API functions (see [`callbacks`]), because for each request the
//! conversions would cost several times what the decision costs.

#![deny(unsafe_code)]

mod arguments;
mod callbacks;
mod counting;
mod details;
mod external_memory;
mod failpoints;
mod function;
mod handle;
mod insight;
mod inspect;
mod key;
mod open;
mod permits;
mod policy_args;
mod recorder;
mod registry;
mod shield;
mod shield_options;
mod stored;
mod throw;
mod values;
mod variable;
