//! Looking at the tables that processes share, for the command line.
#![expect(
    unreachable_pub,
    clippy::needless_pass_by_value,
    clippy::cast_precision_loss,
    reason = "as #[napi] wants its exports; counts and bytes lie below 2^53"
)]

use crate::open::report;
use napi_derive::napi;
use ratethrottle_core::shared::{Contents, Entry, Here, Place, Sound};
use ratethrottle_core::table::Census;
use ratethrottle_core::{Clock, Limit, Monotonic};

/// One limit of a shared table.
#[napi(object)]
pub struct SharedLimit {
    pub count: f64,
    pub window_ms: f64,
    /// Units that the bucket holds: the count, unless it was told otherwise.
    pub burst: f64,
    pub slots: f64,
    pub owing: f64,
    pub denied: f64,
    pub blocked: f64,
    pub expired: f64,
    pub claimed: f64,
}

/// A table that processes share.
#[napi(object)]
pub struct SharedTable {
    pub name: String,
    pub algorithm: String,
    pub block_for_ms: f64,
    pub capacity: f64,
    pub bytes: f64,
    pub generation: f64,
    pub made_ms: f64,
    pub inode: f64,
    /// Why its times mean nothing here, if they don't.
    pub foreign: Option<String>,
    pub limits: Vec<SharedLimit>,
    pub evictions: f64,
    pub overflows: f64,
}

/// Something that lies where shared tables live: a table, or why it is none.
#[napi(object)]
pub struct SharedEntry {
    pub file: String,
    pub table: Option<SharedTable>,
    pub flaw: Option<String>,
}

/// Whatever lies where this user's shared tables live. Changes nothing.
#[napi(catch_unwind)]
pub fn shared_list() -> Result<Vec<SharedEntry>, napi::Error<&'static str>> {
    let Some(place) = Here::look().map_err(report)? else { return Ok(Vec::new()) };
    let found = place.list(Monotonic.now()).map_err(report)?;
    Ok(found.into_iter().map(entry).collect())
}

/// Removes a file from there, unless processes are attached to it.
#[napi(catch_unwind)]
pub fn shared_remove(file: String) -> Result<(), napi::Error<&'static str>> {
    Here::usual().and_then(|place| place.remove(&file)).map_err(report)
}

fn entry(Entry { file, contents }: Entry) -> SharedEntry {
    match contents {
        Contents::Sound(sound) => SharedEntry { file, table: Some(table(*sound)), flaw: None },
        Contents::Unsound(flaw) => SharedEntry { file, table: None, flaw: Some(flaw) },
    }
}

fn table(sound: Sound) -> SharedTable {
    let pairs = sound.policy.limits.iter().zip(&sound.tables);
    SharedTable {
        limits: pairs.map(|(limit, census)| shared_limit(*limit, census)).collect(),
        name: sound.name,
        algorithm: sound.policy.kind.name().to_owned(),
        block_for_ms: sound.policy.block_for_ms as f64,
        capacity: sound.policy.capacity as f64,
        bytes: sound.bytes as f64,
        generation: sound.generation as f64,
        made_ms: sound.made_ms as f64,
        inode: sound.inode as f64,
        foreign: sound.foreign,
        evictions: sound.evictions as f64,
        overflows: sound.overflows as f64,
    }
}

fn shared_limit(limit: Limit, census: &Census) -> SharedLimit {
    SharedLimit {
        count: limit.count() as f64,
        window_ms: limit.window_ms() as f64,
        burst: limit.burst() as f64,
        slots: census.slots as f64,
        owing: census.owing as f64,
        denied: census.denied as f64,
        blocked: census.blocked as f64,
        expired: census.expired as f64,
        claimed: census.claimed as f64,
    }
}
