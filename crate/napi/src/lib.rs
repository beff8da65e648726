//! The border between JavaScript and the core: it converts and calls. Nothing is decided here.
//!
//! Two kinds of exports. `open` and its like are called once per limiter and use napi-rs' generated
//! conversions. What it hands back are bare N-API functions (see [`border`]), because on the way of
//! a request the conversions would cost several times what the decision costs.

#![deny(unsafe_code)]

mod border;
mod burden;
mod handle;
mod open;
mod probe;
mod stored;
mod survey;
mod text;
mod variable;
