//! Named limiters: one state for all threads of the process that ask for the same name.

use crate::error::Error;
use crate::limiter::Limiter;
use crate::policy::Policy;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The names in use. A name is free again when its last holder is gone.
#[derive(Debug, Default)]
pub struct Registry {
    names: Mutex<Option<HashMap<String, Weak<Limiter>>>>,
}

impl Registry {
    /// No names.
    #[must_use]
    pub const fn new() -> Self {
        Self { names: Mutex::new(None) }
    }

    /// The limiter of this name, made from `policy` by `make` if there is none yet.
    ///
    /// Fails when the name is in use with another policy: two parts of a program that disagree on
    /// a limit must hear of it. A limiter that is not what other processes find any more is made anew.
    pub fn open(
        &self,
        name: &str,
        policy: Policy,
        make: impl FnOnce(&str, Policy) -> Result<Limiter, Error>,
    ) -> Result<Arc<Limiter>, Error> {
        // A thread that panicked while it held the map left it whole: every change is one call.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.get_or_insert_with(HashMap::new);
        if let Some(limiter) = names.get(name).and_then(Weak::upgrade) {
            if *limiter.policy() != policy {
                return Err(Error::Name);
            }
            if limiter.is_current() {
                return Ok(limiter);
            }
        }
        names.retain(|_, limiter| limiter.strong_count() > 0);
        let limiter = Arc::new(make(name, policy)?);
        names.insert(name.to_owned(), Arc::downgrade(&limiter));
        Ok(limiter)
    }
}
