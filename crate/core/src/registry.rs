//! Named limiters and shields: one state for all threads of the process that ask for the same name.

use crate::config::LimiterConfig;
use crate::error::Error;
use crate::insight::{Insight, InsightConfig};
use crate::permits::{Permits, PermitsConfig};
use crate::raw_limiter::RawLimiter;
use crate::shield::{Shield, ShieldConfig};
use crate::variable::{VariableConfig, VariableLimiter};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A limiter that can have a name.
pub trait Named {
    /// What it is made from.
    type Config: PartialEq;

    /// What it was made from.
    fn config(&self) -> &Self::Config;
    /// Whether other processes would attach to the same state now.
    fn is_current(&self) -> bool;
}

impl Named for RawLimiter {
    type Config = LimiterConfig;

    fn config(&self) -> &LimiterConfig {
        Self::config(self)
    }

    fn is_current(&self) -> bool {
        Self::is_current(self)
    }
}

impl Named for VariableLimiter {
    type Config = VariableConfig;

    fn config(&self) -> &VariableConfig {
        Self::config(self)
    }

    fn is_current(&self) -> bool {
        Self::is_current(self)
    }
}

impl Named for Shield {
    type Config = ShieldConfig;

    fn config(&self) -> &ShieldConfig {
        Self::config(self)
    }

    fn is_current(&self) -> bool {
        Self::is_current(self)
    }
}

impl Named for Insight {
    type Config = InsightConfig;

    fn config(&self) -> &InsightConfig {
        Self::config(self)
    }

    fn is_current(&self) -> bool {
        Self::is_current(self)
    }
}

impl Named for Permits {
    type Config = PermitsConfig;

    fn config(&self) -> &PermitsConfig {
        Self::config(self)
    }

    fn is_current(&self) -> bool {
        Self::is_current(self)
    }
}

/// The names in use. A name is free again when its last user is gone.
#[derive(Debug, Default)]
pub struct Registry<L = RawLimiter> {
    names: Mutex<Option<HashMap<String, Weak<L>>>>,
}

impl<L: Named> Registry<L> {
    /// No names.
    #[must_use]
    pub const fn new() -> Self {
        Self { names: Mutex::new(None) }
    }

    /// The limiter of this name, made from `config` by `make` if there is none yet, or if other processes
    /// would no longer attach to its state.
    ///
    /// Fails when the name is in use with another configuration, because two parts of a program then
    /// disagree on a limit.
    pub fn open(
        &self,
        name: &str,
        config: L::Config,
        make: impl FnOnce(&str, L::Config) -> Result<L, Error>,
    ) -> Result<Arc<L>, Error> {
        // A thread that panicked while it held the map left it whole: every change is one call.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.get_or_insert_with(HashMap::new);
        if let Some(limiter) = names.get(name).and_then(Weak::upgrade) {
            if *limiter.config() != config {
                return Err(Error::Name);
            }
            if limiter.is_current() {
                return Ok(limiter);
            }
        }
        names.retain(|_, limiter| limiter.strong_count() > 0);
        let limiter = Arc::new(make(name, config)?);
        names.insert(name.to_owned(), Arc::downgrade(&limiter));
        Ok(limiter)
    }
}
