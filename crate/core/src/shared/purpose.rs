//! What a shared file is for, and how its header says so: a kind, and what the settings of that kind are.
//!
//! ```text
//! limiter, varying   algorithm | block | capacity | limits | count, window and burst of each limit
//! insight            style of keys | keys
//! permits            of a key | of all keys | capacity
//! shield             sources | rates and times | blocks 8 | failures | blocks 8 | prefixes
//! ```

use crate::algorithm::AlgorithmKind;
use crate::config::{LimiterConfig, MAX_LIMITS};
use crate::error::Error;
use crate::insight::{self, InsightConfig, KeyStyle};
use crate::limit::Limit;
use crate::permits::{self, PermitsConfig};
use crate::shield::{self, MAX_BLOCKS, ShieldConfig};

/// Words that the settings take.
pub(super) const SETTINGS: usize = 4 + 3 * MAX_LIMITS;

/// What is in a file, and what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// The tables of a limiter.
    Limiter(LimiterConfig),
    /// A table for limits that vary from call to call: then its state words have another format. The
    /// configuration has one limit: the window, and the cells of a ring.
    Varying(LimiterConfig),
    /// A shield.
    Shield(ShieldConfig),
    /// An insight.
    Insight(InsightConfig),
    /// Permits.
    Permits(PermitsConfig),
}

impl Purpose {
    /// The number that a header has for it.
    pub(super) const fn kind(&self) -> u64 {
        match self {
            Self::Limiter(_) => 0,
            Self::Varying(_) => 1,
            Self::Shield(_) => 2,
            Self::Insight(_) => 3,
            Self::Permits(_) => 4,
        }
    }

    /// Whether they count the same thing, so that with other settings they count it separately: limits that are
    /// fixed or vary, the sources of shields, decisions, or permits.
    pub(super) const fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Shield(_), Self::Shield(_))
            | (Self::Insight(_), Self::Insight(_))
            | (Self::Permits(_), Self::Permits(_)) => true,
            _ => self.limiter().is_some() && other.limiter().is_some(),
        }
    }

    /// The settings as a header has them. `None` for a configuration that nothing can have.
    pub(super) fn settings(&self) -> Option<[u64; SETTINGS]> {
        match self {
            Self::Limiter(config) | Self::Varying(config) => of_limiter(config),
            Self::Shield(config) => Some(of_shield(config)),
            Self::Insight(config) => Some(of_insight(config)),
            Self::Permits(config) => Some(of_permits(config)),
        }
    }

    /// What a header says. `None` unless settings of this kind were written there.
    pub(super) fn read(kind: u64, settings: &[u64; SETTINGS]) -> Option<Self> {
        match kind {
            0 => read_limiter(settings).map(Self::Limiter),
            1 => read_limiter(settings).map(Self::Varying),
            2 => read_shield(settings).map(Self::Shield),
            3 => read_insight(settings).map(Self::Insight),
            4 => read_permits(settings).map(Self::Permits),
            _ => None,
        }
    }

    /// Words of each table in the file.
    pub(super) fn tables(&self) -> Result<Vec<usize>, Error> {
        match self {
            Self::Limiter(config) | Self::Varying(config) => {
                Ok(config.tables()?.iter().map(|(_, _, layout)| layout.words()).collect())
            }
            Self::Shield(config) => {
                config.check()?;
                Ok(vec![shield::words(config)])
            }
            Self::Insight(config) => {
                config.check()?;
                Ok(vec![insight::words(config)])
            }
            Self::Permits(config) => {
                config.check()?;
                Ok(vec![permits::words(config)])
            }
        }
    }

    /// Of a limiter, what it was made from.
    #[must_use]
    pub const fn limiter(&self) -> Option<&LimiterConfig> {
        match self {
            Self::Limiter(config) | Self::Varying(config) => Some(config),
            Self::Shield(_) | Self::Insight(_) | Self::Permits(_) => None,
        }
    }

    /// Of a shield, what it was made from.
    #[must_use]
    pub const fn shield(&self) -> Option<&ShieldConfig> {
        match self {
            Self::Shield(config) => Some(config),
            _ => None,
        }
    }

    /// Of an insight, what it was made from.
    #[must_use]
    pub const fn insight(&self) -> Option<&InsightConfig> {
        match self {
            Self::Insight(config) => Some(config),
            _ => None,
        }
    }

    /// Of permits, what they were made from.
    #[must_use]
    pub const fn permits(&self) -> Option<&PermitsConfig> {
        match self {
            Self::Permits(config) => Some(config),
            _ => None,
        }
    }
}

/// The words, and zeros behind them.
fn padded(words: impl IntoIterator<Item = u64>) -> [u64; SETTINGS] {
    let mut settings = [0; SETTINGS];
    for (setting, word) in settings.iter_mut().zip(words) {
        *setting = word;
    }
    settings
}

fn of_limiter(config: &LimiterConfig) -> Option<[u64; SETTINGS]> {
    let limits = config.limits.iter();
    let limits = limits.flat_map(|limit| [limit.count(), limit.window_ms(), limit.burst()]);
    let algorithm = config.algorithm.index() as u64;
    let count = config.limits.len() as u64;
    let fields = [algorithm, config.block_for_ms, config.capacity as u64, count];
    (config.limits.len() <= MAX_LIMITS).then(|| padded(fields.into_iter().chain(limits)))
}

fn read_limiter(settings: &[u64]) -> Option<LimiterConfig> {
    let (&[algorithm, block_for_ms, capacity, count], limits) = settings.split_first_chunk()?;
    let count = usize::try_from(count).ok().filter(|count| (1..=MAX_LIMITS).contains(count))?;
    let (limits, _) = limits.as_chunks();
    let limits = limits.get(..count)?.iter().map(|&[count, window, burst]| {
        Limit::new(count, window).and_then(|limit| limit.with_burst(burst)).ok()
    });
    let config = LimiterConfig {
        limits: limits.collect::<Option<_>>()?,
        algorithm: AlgorithmKind::at(usize::try_from(algorithm).ok()?)?,
        block_for_ms,
        capacity: usize::try_from(capacity).ok()?,
    };
    config.algorithms().is_ok().then_some(config)
}

fn of_shield(config: &ShieldConfig) -> [u64; SETTINGS] {
    let ShieldConfig {
        sources,
        max_rate,
        ceiling,
        regular_after_ms,
        regular_requests,
        newcomer_rate,
        newcomer_burst,
        strikes,
        strikes_within_ms,
        insistence_blocks,
        failures,
        failure_share,
        failure_paths,
        failure_blocks,
        v4_prefix,
        v6_prefix,
        prefix_share,
    } = config;
    let newcomer = [newcomer_rate.to_bits(), newcomer_burst.to_bits()];
    let words = [*sources as u64, max_rate.to_bits(), ceiling.to_bits()].into_iter();
    let words = words.chain([*regular_after_ms, *regular_requests]).chain(newcomer);
    let words = words.chain([*strikes, *strikes_within_ms]).chain(*insistence_blocks);
    let words = words.chain([*failures, failure_share.to_bits(), failure_paths.to_bits()]);
    let words = words.chain(*failure_blocks).chain([u64::from(*v4_prefix), u64::from(*v6_prefix)]);
    padded(words.chain([prefix_share.to_bits()]))
}

fn read_shield(settings: &[u64]) -> Option<ShieldConfig> {
    let (&[sources, max_rate, ceiling, after, requests], rest) = settings.split_first_chunk()?;
    let (&[rate, burst, strikes, within], rest) = rest.split_first_chunk()?;
    let (&insistence_blocks, rest) = rest.split_first_chunk::<MAX_BLOCKS>()?;
    let (&[failures, share, paths], rest) = rest.split_first_chunk()?;
    let (&failure_blocks, rest) = rest.split_first_chunk::<MAX_BLOCKS>()?;
    let (&[v4_prefix, v6_prefix, prefix_share], _) = rest.split_first_chunk()?;
    let config = ShieldConfig {
        sources: usize::try_from(sources).ok()?,
        max_rate: f64::from_bits(max_rate),
        ceiling: f64::from_bits(ceiling),
        regular_after_ms: after,
        regular_requests: requests,
        newcomer_rate: f64::from_bits(rate),
        newcomer_burst: f64::from_bits(burst),
        strikes,
        strikes_within_ms: within,
        insistence_blocks,
        failures,
        failure_share: f64::from_bits(share),
        failure_paths: f64::from_bits(paths),
        failure_blocks,
        v4_prefix: u8::try_from(v4_prefix).ok()?,
        v6_prefix: u8::try_from(v6_prefix).ok()?,
        prefix_share: f64::from_bits(prefix_share),
    };
    config.check().is_ok().then_some(config)
}

fn of_insight(config: &InsightConfig) -> [u64; SETTINGS] {
    padded([config.keys as u64, config.top as u64])
}

fn read_insight(settings: &[u64; SETTINGS]) -> Option<InsightConfig> {
    let &[keys, top, ..] = settings;
    let keys = match keys {
        0 => KeyStyle::Hash,
        1 => KeyStyle::Mask,
        2 => KeyStyle::Plain,
        _ => return None,
    };
    let config = InsightConfig { keys, top: usize::try_from(top).ok()? };
    config.check().is_ok().then_some(config)
}

fn of_permits(config: &PermitsConfig) -> [u64; SETTINGS] {
    padded([u64::from(config.per_key), u64::from(config.total), config.capacity as u64])
}

fn read_permits(settings: &[u64; SETTINGS]) -> Option<PermitsConfig> {
    let &[per_key, total, capacity, ..] = settings;
    let count = |count: u64| u32::try_from(count).ok();
    let capacity = usize::try_from(capacity).ok()?;
    let config = PermitsConfig { per_key: count(per_key)?, total: count(total)?, capacity };
    config.check().is_ok().then_some(config)
}
