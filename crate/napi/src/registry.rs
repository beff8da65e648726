//! Named limiters and shields of this process, and those that it shares with other processes.
//!
//! Never torn down: threads come and go, the process owns the registries.

use ratethrottle_core::insight::{Insight, InsightConfig};
use ratethrottle_core::permits::{Permits, PermitsConfig};
use ratethrottle_core::shield::{Shield, ShieldConfig};
use ratethrottle_core::{
    Error, LimiterConfig, Named, RawLimiter, Registry, VariableConfig, VariableLimiter,
};
use std::sync::Arc;

/// A kind of limiter that can have a name, or a shield.
pub(crate) trait Registered: Named + Sized + 'static {
    /// By name, in this process.
    const OWN: &'static Registry<Self>;
    /// By name, of all processes. The same name there is another limiter.
    const SHARED: &'static Registry<Self>;

    fn in_memory(config: Self::Config) -> Result<Self, Error>;
    /// For one thread alone.
    fn unnamed(config: Self::Config) -> Result<Self, Error> {
        Self::in_memory(config)
    }
    fn in_file(name: &str, config: Self::Config, generation: u64) -> Result<Self, Error>;
    fn generation(&self) -> u64;
    fn config_copy(&self) -> Self::Config;
    /// Evictions, overflows, bytes, shared tables of the name with another configuration, and moved keys.
    fn counts(&self) -> [u64; 5];
}

static OWN: Registry = Registry::new();
static SHARED: Registry = Registry::new();
static OWN_VARIABLE: Registry<VariableLimiter> = Registry::new();
static SHARED_VARIABLE: Registry<VariableLimiter> = Registry::new();
static OWN_SHIELDS: Registry<Shield> = Registry::new();
static SHARED_SHIELDS: Registry<Shield> = Registry::new();
static OWN_INSIGHTS: Registry<Insight> = Registry::new();
static SHARED_INSIGHTS: Registry<Insight> = Registry::new();
static OWN_PERMITS: Registry<Permits> = Registry::new();
static SHARED_PERMITS: Registry<Permits> = Registry::new();

impl Registered for RawLimiter {
    const OWN: &'static Registry<Self> = &OWN;
    const SHARED: &'static Registry<Self> = &SHARED;

    fn in_memory(config: LimiterConfig) -> Result<Self, Error> {
        Self::new(config)
    }

    fn unnamed(config: LimiterConfig) -> Result<Self, Error> {
        Self::for_one_thread(config)
    }

    fn in_file(name: &str, config: LimiterConfig, generation: u64) -> Result<Self, Error> {
        Self::shared(name, &config, generation)
    }

    fn generation(&self) -> u64 {
        self.generation()
    }

    fn config_copy(&self) -> LimiterConfig {
        self.config().clone()
    }

    fn counts(&self) -> [u64; 5] {
        let conflicting = self.conflicting() as u64;
        [self.evictions(), self.overflows(), self.bytes(), conflicting, self.moves()]
    }
}

impl Registered for VariableLimiter {
    const OWN: &'static Registry<Self> = &OWN_VARIABLE;
    const SHARED: &'static Registry<Self> = &SHARED_VARIABLE;

    fn in_memory(config: VariableConfig) -> Result<Self, Error> {
        Self::new(config)
    }

    fn in_file(name: &str, config: VariableConfig, generation: u64) -> Result<Self, Error> {
        Self::shared(name, config, generation)
    }

    fn generation(&self) -> u64 {
        self.generation()
    }

    fn config_copy(&self) -> VariableConfig {
        *self.config()
    }

    fn counts(&self) -> [u64; 5] {
        let conflicting = self.conflicting() as u64;
        [self.evictions(), self.overflows(), self.bytes(), conflicting, self.moves()]
    }
}

impl Registered for Shield {
    const OWN: &'static Registry<Self> = &OWN_SHIELDS;
    const SHARED: &'static Registry<Self> = &SHARED_SHIELDS;

    fn in_memory(config: ShieldConfig) -> Result<Self, Error> {
        Self::new(config, false)
    }

    fn unnamed(config: ShieldConfig) -> Result<Self, Error> {
        Self::new(config, true)
    }

    fn in_file(name: &str, config: ShieldConfig, generation: u64) -> Result<Self, Error> {
        Self::shared(name, &config, generation)
    }

    fn generation(&self) -> u64 {
        self.generation()
    }

    fn config_copy(&self) -> ShieldConfig {
        self.config().clone()
    }

    fn counts(&self) -> [u64; 5] {
        [self.evictions(), 0, self.bytes(), self.conflicting() as u64, 0]
    }
}

impl Registered for Insight {
    const OWN: &'static Registry<Self> = &OWN_INSIGHTS;
    const SHARED: &'static Registry<Self> = &SHARED_INSIGHTS;

    fn in_memory(config: InsightConfig) -> Result<Self, Error> {
        Self::new(config)
    }

    fn in_file(name: &str, config: InsightConfig, generation: u64) -> Result<Self, Error> {
        Self::shared(name, &config, generation)
    }

    fn generation(&self) -> u64 {
        self.generation()
    }

    fn config_copy(&self) -> InsightConfig {
        self.config().clone()
    }

    fn counts(&self) -> [u64; 5] {
        [0, 0, self.bytes(), self.conflicting() as u64, 0]
    }
}

impl Registered for Permits {
    const OWN: &'static Registry<Self> = &OWN_PERMITS;
    const SHARED: &'static Registry<Self> = &SHARED_PERMITS;

    fn in_memory(config: PermitsConfig) -> Result<Self, Error> {
        Self::new(config, false)
    }

    fn unnamed(config: PermitsConfig) -> Result<Self, Error> {
        Self::new(config, true)
    }

    fn in_file(name: &str, config: PermitsConfig, generation: u64) -> Result<Self, Error> {
        Self::shared(name, &config, generation)
    }

    fn generation(&self) -> u64 {
        self.generation()
    }

    fn config_copy(&self) -> PermitsConfig {
        self.config().clone()
    }

    fn counts(&self) -> [u64; 5] {
        [0, 0, self.bytes(), self.conflicting() as u64, 0]
    }
}

/// Makes a limiter, or joins the one of the same name.
pub(crate) fn open<L: Registered>(
    name: Option<&str>,
    is_shared: bool,
    config: L::Config,
) -> Result<Arc<L>, Error> {
    match name {
        Some(name) if is_shared => reopen(name, config, 0),
        Some(name) => L::OWN.open(name, config, |_, config| L::in_memory(config)),
        None => L::unnamed(config).map(Arc::new),
    }
}

/// The limiter that processes share under this name: the one this process has, as long as other processes
/// would attach to it too.
fn reopen<L: Registered>(name: &str, config: L::Config, before: u64) -> Result<Arc<L>, Error> {
    L::SHARED.open(name, config, |name, config| L::in_file(name, config, before))
}

/// The limiter to use instead, if the file that processes share under this name has been removed.
pub(crate) fn reattach<L: Registered>(
    limiter: &L,
    name: Option<&str>,
) -> Result<Option<Arc<L>>, Error> {
    match name {
        Some(name) if !limiter.is_current() => {
            let before = limiter.generation().saturating_add(1);
            reopen(name, limiter.config_copy(), before).map(Some)
        }
        _ => Ok(None),
    }
}

/// The numbers of `stats`: the counts, with how many files there were before as the last but one.
pub(crate) fn stats<L: Registered>(limiter: &L) -> [u64; 6] {
    let [evictions, overflows, bytes, conflicting, moved] = limiter.counts();
    [evictions, overflows, bytes, conflicting, limiter.generation(), moved]
}
