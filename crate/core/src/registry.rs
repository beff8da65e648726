//! Named limiters: one state for all threads of the process that ask for the same name.

use crate::error::Error;
use crate::limiter::Limiter;
use crate::policy::Policy;
use crate::variable::{VariableLimiter, VariablePolicy};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What can have a name.
pub trait Named {
    /// What it is made from.
    type Policy: PartialEq;

    /// What it was made from.
    fn policy(&self) -> &Self::Policy;
    /// Whether what it counts on is what other processes find.
    fn is_current(&self) -> bool;
}

impl Named for Limiter {
    type Policy = Policy;

    fn policy(&self) -> &Policy {
        Self::policy(self)
    }

    fn is_current(&self) -> bool {
        Self::is_current(self)
    }
}

impl Named for VariableLimiter {
    type Policy = VariablePolicy;

    fn policy(&self) -> &VariablePolicy {
        Self::policy(self)
    }

    fn is_current(&self) -> bool {
        Self::is_current(self)
    }
}

/// The names in use. A name is free again when its last holder is gone.
#[derive(Debug, Default)]
pub struct Registry<L = Limiter> {
    names: Mutex<Option<HashMap<String, Weak<L>>>>,
}

impl<L: Named> Registry<L> {
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
        policy: L::Policy,
        make: impl FnOnce(&str, L::Policy) -> Result<L, Error>,
    ) -> Result<Arc<L>, Error> {
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
