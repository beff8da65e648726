//! The memory of permits: of this process, or of all that map the same file.

use super::both::Limits;
use super::ledger::{LANES, Layout, Ledger, TOTAL};
use super::word::{Content, MAX_PERMITS};
use crate::error::Error;
use crate::key::{Encoding, Key, Secret};
use crate::shared::{AttachRequest, Attachment, Memory, Platform, SystemPlatform};
use crate::table::Heap;
use std::sync::Mutex;

/// The most keys that can hold permits at once.
pub const MAX_CAPACITY: usize = 1_000_000;

/// What permits are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitsConfig {
    /// Most permits of a key; 0 for as many as it likes.
    pub per_key: u32,
    /// Most permits of all keys together; 0 for as many as they like.
    pub total: u32,
    /// Keys that hold permits at once.
    pub capacity: usize,
}

impl PermitsConfig {
    /// Whether the numbers are in their ranges.
    pub const fn check(&self) -> Result<(), Error> {
        if self.capacity == 0 || self.capacity > MAX_CAPACITY {
            return Err(Error::Capacity(self.capacity as u64));
        }
        let most = if self.per_key > self.total { self.per_key } else { self.total };
        if most == 0 || most > MAX_PERMITS { Err(Error::Count(most as u64)) } else { Ok(()) }
    }
}

/// Words of the memory of permits that threads or processes share.
#[must_use]
pub const fn words(config: &PermitsConfig) -> usize {
    Layout::new(config.capacity, LANES).words()
}

/// Permits, and who holds how many.
#[derive(Debug)]
pub struct Permits {
    pub(super) config: PermitsConfig,
    pub(super) layout: Layout,
    pub(super) is_alone: bool,
    pub(super) attachment: Attachment,
    /// The lanes that threads of this process have, or are looking after.
    pub(super) taken: Mutex<u128>,
    secret: Secret,
    memory: Memory,
}

impl Permits {
    /// Permits in memory of this process: of all its threads, or of one alone.
    pub fn new(config: PermitsConfig, is_alone: bool) -> Result<Self, Error> {
        config.check()?;
        let layout = Layout::new(config.capacity, if is_alone { 1 } else { LANES });
        let memory = Heap::zeroed(layout.words())?.into();
        let attachment = Attachment::default();
        Ok(Self { is_alone, ..Self::over(config, layout, Secret::random()?, memory, attachment) })
    }

    /// The permits that all processes of this user share under this name.
    ///
    /// `generation`: how many files of this name and configuration there were before, if the caller knows.
    pub fn shared(name: &str, config: &PermitsConfig, generation: u64) -> Result<Self, Error> {
        let request = AttachRequest::permits(name, config)?.after(generation);
        Self::attach(&SystemPlatform::open_default()?, &request)
    }

    /// The permits that are shared at this place.
    pub fn attach(platform: &impl Platform, request: &AttachRequest) -> Result<Self, Error> {
        let too_short = || Error::Memory { bytes: request.bytes() };
        let config = request.purpose.permits().ok_or_else(too_short)?.clone();
        let segment = platform.attach(request)?;
        let memory = segment.memories(request)?.pop().ok_or_else(too_short)?;
        let (layout, secret) = (Layout::new(config.capacity, LANES), segment.secret);
        Ok(Self::over(config, layout, secret, memory, Attachment(Some(segment))))
    }

    /// As a copy of shared memory shows them.
    pub(crate) fn copied(config: PermitsConfig, secret: Secret, memory: Memory) -> Self {
        let layout = Layout::new(config.capacity, LANES);
        Self::over(config, layout, secret, memory, Attachment::default())
    }

    fn over(
        config: PermitsConfig,
        layout: Layout,
        secret: Secret,
        memory: Memory,
        attachment: Attachment,
    ) -> Self {
        let taken = Mutex::new(0);
        Self { config, layout, is_alone: false, attachment, taken, secret, memory }
    }

    #[inline(always)]
    pub(super) fn ledger(&self) -> Ledger<'_> {
        Ledger { words: &self.memory, layout: self.layout }
    }

    /// How many shared files of this name and configuration there were before, if known.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.attachment.generation()
    }

    /// The most memory that they can occupy.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.memory.len() as u64).saturating_mul(8)
    }

    pub(super) const fn limits(&self) -> Limits {
        [self.config.per_key, self.config.total]
    }

    /// Hashes a key.
    #[inline(always)]
    #[must_use]
    pub fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.secret.key(bytes, encoding)
    }

    /// Slots of keys, and that of the total.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.layout.slots().saturating_add(1)
    }

    /// Whether another process would find the same file now. In memory it is.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.attachment.is_current()
    }

    /// How many permits the key holds, in all processes together.
    #[must_use]
    pub fn held(&self, key: Key) -> u32 {
        self.ledger().held_by(key)
    }

    /// How many permits are held in all, and by how many keys. Looks at each slot.
    #[must_use]
    pub fn in_use(&self) -> (u64, u64) {
        let ledger = self.ledger();
        let count = |index| match ledger.read(index).content() {
            Content::Count(count) => u64::from(count),
            _ => 0,
        };
        let counts = (TOTAL.saturating_add(1)..=self.layout.slots()).map(count);
        counts.filter(|&count| count > 0).fold((0, 0), |(permits, keys): (u64, u64), count| {
            (permits.saturating_add(count), keys.saturating_add(1))
        })
    }

    /// What they were made from.
    #[must_use]
    pub const fn config(&self) -> &PermitsConfig {
        &self.config
    }

    /// How many shared files of the same name are in use with another configuration.
    #[must_use]
    pub fn conflicting(&self) -> usize {
        self.attachment.conflicting()
    }
}
