//! The tables that processes share, for the command line.
#![expect(
    unreachable_pub,
    clippy::needless_pass_by_value,
    clippy::cast_precision_loss,
    reason = "as #[napi] wants its exports; counts and bytes lie below 2^53"
)]

use crate::throw::report;
use napi_derive::napi;
use ratethrottle_core::permits::PermitsConfig;
use ratethrottle_core::shared::{Contents, Entry, Platform, Purpose, SystemPlatform, TableInfo};
use ratethrottle_core::table::Occupancy;
use ratethrottle_core::{Clock, Limit, Monotonic};

/// One limit of a shared table.
#[napi(object)]
pub struct SharedLimit {
    pub count: f64,
    pub window_ms: f64,
    /// Units that the bucket holds: the count, unless a burst is set.
    pub burst: f64,
    pub slots: f64,
    pub owing: f64,
    pub denied: f64,
    pub blocked: f64,
    pub expired: f64,
    pub claimed: f64,
}

/// How many sources of a shield are in which state.
#[napi(object)]
pub struct SharedSources {
    pub slots: f64,
    /// Seen in the last ten minutes, and neither told to wait nor blocked.
    pub known: f64,
    /// Told to wait.
    pub told: f64,
    pub blocked: f64,
    /// Not seen for longer.
    pub gone: f64,
    pub claimed: f64,
}

/// Permits that processes share.
#[napi(object)]
pub struct SharedPermits {
    /// Most permits of a key; 0 for no limit.
    pub per_key: f64,
    /// Most permits of all keys together; 0 for no limit.
    pub total: f64,
    /// Permits that are held now.
    pub held: f64,
    /// Keys that hold them.
    pub keys: f64,
}

/// The tables of a limiter, or the sources of a shield, that processes share.
#[napi(object)]
pub struct SharedTable {
    pub name: String,
    /// `limiter`, `insight`, `shield` or `permits`.
    pub kind: String,
    /// Of a limiter.
    pub algorithm: Option<String>,
    pub block_for_ms: f64,
    pub capacity: f64,
    pub bytes: f64,
    pub generation: f64,
    pub made_ms: f64,
    pub inode: f64,
    /// Why its times mean nothing here, if they don't.
    pub foreign: Option<String>,
    /// Of a limiter.
    pub limits: Vec<SharedLimit>,
    /// Of a shield.
    pub sources: Option<SharedSources>,
    /// Of permits.
    pub permits: Option<SharedPermits>,
    pub evictions: f64,
    pub overflows: f64,
    pub moved: f64,
}

/// A file in the place where shared tables live: a table, or why it is none.
#[napi(object)]
pub struct SharedEntry {
    pub file: String,
    pub table: Option<SharedTable>,
    pub flaw: Option<String>,
}

/// Everything that lies where this user's shared tables live. Changes nothing.
#[napi(catch_unwind)]
pub fn shared_list() -> Result<Vec<SharedEntry>, napi::Error<&'static str>> {
    crate::failpoints::panic_if_armed();
    let Some(platform) = SystemPlatform::find_default().map_err(report)? else {
        return Ok(Vec::new());
    };
    let found = platform.list(Monotonic.now()).map_err(report)?;
    Ok(found.into_iter().map(entry).collect())
}

/// Removes a file from there, unless processes are attached to it.
#[napi(catch_unwind)]
pub fn shared_remove(file: String) -> Result<(), napi::Error<&'static str>> {
    crate::failpoints::panic_if_armed();
    SystemPlatform::open_default().and_then(|platform| platform.remove(&file)).map_err(report)
}

fn entry(Entry { file, contents }: Entry) -> SharedEntry {
    match contents {
        Contents::Valid(info) => SharedEntry { file, table: Some(table(*info)), flaw: None },
        Contents::Invalid(reason) => SharedEntry { file, table: None, flaw: Some(reason) },
    }
}

fn table(info: TableInfo) -> SharedTable {
    let common = SharedTable {
        name: info.name,
        kind: "limiter".to_owned(),
        algorithm: None,
        block_for_ms: 0.0,
        capacity: 0.0,
        bytes: info.bytes as f64,
        generation: info.generation as f64,
        made_ms: info.made_ms as f64,
        inode: info.inode as f64,
        foreign: info.foreign,
        limits: Vec::new(),
        sources: None,
        permits: None,
        evictions: info.evictions as f64,
        overflows: info.overflows as f64,
        moved: info.moves as f64,
    };
    match info.purpose {
        Purpose::Limiter(config) | Purpose::Varying(config) => {
            let pairs = config.limits.iter().zip(&info.tables);
            SharedTable {
                algorithm: Some(config.algorithm.name().to_owned()),
                block_for_ms: config.block_for_ms as f64,
                capacity: config.capacity as f64,
                limits: pairs.map(|(limit, occupancy)| shared_limit(*limit, occupancy)).collect(),
                ..common
            }
        }
        Purpose::Insight(config) => {
            SharedTable { kind: "insight".to_owned(), capacity: config.top as f64, ..common }
        }
        Purpose::Permits(config) => SharedTable {
            kind: "permits".to_owned(),
            capacity: config.capacity as f64,
            permits: Some(shared_permits(&config, info.permits.unwrap_or_default())),
            ..common
        },
        Purpose::Shield(config) => SharedTable {
            kind: "shield".to_owned(),
            capacity: config.sources as f64,
            sources: info.tables.first().map(shared_sources),
            ..common
        },
    }
}

fn shared_permits(config: &PermitsConfig, (held, keys): (u64, u64)) -> SharedPermits {
    SharedPermits {
        per_key: f64::from(config.per_key),
        total: f64::from(config.total),
        held: held as f64,
        keys: keys as f64,
    }
}

const fn shared_sources(occupancy: &Occupancy) -> SharedSources {
    SharedSources {
        slots: occupancy.slots as f64,
        known: occupancy.owing as f64,
        told: occupancy.denied as f64,
        blocked: occupancy.blocked as f64,
        gone: occupancy.expired as f64,
        claimed: occupancy.claimed as f64,
    }
}

fn shared_limit(limit: Limit, occupancy: &Occupancy) -> SharedLimit {
    SharedLimit {
        count: limit.count() as f64,
        window_ms: limit.window_ms() as f64,
        burst: limit.burst() as f64,
        slots: occupancy.slots as f64,
        owing: occupancy.owing as f64,
        denied: occupancy.denied as f64,
        blocked: occupancy.blocked as f64,
        expired: occupancy.expired as f64,
        claimed: occupancy.claimed as f64,
    }
}
