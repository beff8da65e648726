//! A shield that processes share, and what others may know of it.

use super::marks;
use super::record::{self, Now, RECENT, TOLD};
use super::table::{self, Use};
use super::{Shield, ShieldConfig};
use crate::error::Error;
use crate::key::Encoding;
use crate::nanos::Nanos;
use crate::shared::{AttachRequest, Attachment, Platform, SystemPlatform};
use crate::table::Occupancy;

/// A source that was not seen for so long is not counted as one that is there.
const GONE_MS: u64 = 600_000;

impl Shield {
    /// The shield that all processes of this user share under this name.
    ///
    /// `generation`: how many files of this name and configuration there were before, if the caller knows.
    pub fn shared(name: &str, config: &ShieldConfig, generation: u64) -> Result<Self, Error> {
        let request = AttachRequest::shield(name, config)?.after(generation);
        Self::attach(&SystemPlatform::open_default()?, &request)
    }

    /// The shield that is shared at this place.
    pub fn attach(platform: &impl Platform, request: &AttachRequest) -> Result<Self, Error> {
        let too_short = || Error::Memory { bytes: request.bytes() };
        let config = request.purpose.shield().ok_or_else(too_short)?.clone();
        let segment = platform.attach(request)?;
        let memory = segment.memories(request)?.pop().ok_or_else(too_short)?;
        let shield = Self::over(config, segment.secret, memory)?;
        Ok(Self { attachment: Attachment(Some(segment)), ..shield })
    }

    /// How many shared files of the same name are in use with another configuration.
    #[must_use]
    pub fn conflicting(&self) -> usize {
        self.attachment.conflicting()
    }

    /// Whether another process would find the same file now. In memory it is.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.attachment.is_current()
    }

    /// How many shared files of this name and configuration there were before, if known.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.attachment.generation()
    }

    /// Sources forgotten for others.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.meter().get(super::meter::Field::Evictions)
    }

    /// A number that is the same for all users of this memory, and that no client knows.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.secret.key(b"paths", Encoding::Utf8).spread(1 << 32)
    }

    /// How the slots of the sources are used. Looks at each.
    #[must_use]
    pub fn occupancy(&self, at: Nanos) -> Occupancy {
        let now = Now::from_us(at.whole_us());
        let mut counted =
            Occupancy { slots: table::slots(self.part(&self.parts[0])), ..Default::default() };
        for slot in self.sources().uses() {
            let Use::Source(record) = slot else {
                counted.claimed = counted.claimed.saturating_add(1);
                continue;
            };
            let told = marks::told(record.word(TOLD).get(), record.owner);
            let idle = now.since(record::last_tick(record.word(RECENT).get()));
            let count = match () {
                () if record.block().left_ms(now) > 0 => &mut counted.blocked,
                () if told.until_ms > now.ms => &mut counted.denied,
                () if idle > GONE_MS => &mut counted.expired,
                () => &mut counted.owing,
            };
            *count = count.saturating_add(1);
        }
        counted
    }
}
