//! What the shield says about a request.

use super::marks::Block;

/// Reasons, as bits.
pub mod reason {
    /// More than one source may ever send.
    pub const CEILING: u8 = 1;
    /// Failures where they are enough.
    pub const FAILURES: u8 = 2;
    /// Failures on many paths.
    pub const SCAN: u8 = 4;
    /// Back before the time told.
    pub const INSISTENT: u8 = 8;
    /// One of many new sources of one network.
    pub const PREFIX: u8 = 16;
    /// Not drawn.
    pub const LOT: u8 = 32;
    /// The service is offered more than it can do.
    pub const PRESSURE: u8 = 64;
}

/// What the shield says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether to refuse it.
    pub is_refused: bool,
    /// 0 nothing, 1 watched, 2 paced, 3 told to wait, 4 blocked.
    pub level: u8,
    /// Bits of [`reason`].
    pub reasons: u8,
    /// How long to wait.
    pub retry_ms: u64,
    /// Whether it is refused for the service's sake, not for its own.
    pub is_lot: bool,
    /// Whether this request began a block.
    pub begins_block: bool,
}

pub(super) const NOTHING: Verdict = Verdict {
    is_refused: false,
    level: 0,
    reasons: 0,
    retry_ms: 0,
    is_lot: false,
    begins_block: false,
};
pub(super) const WATCHED: Verdict = Verdict { level: 1, reasons: reason::PRESSURE, ..NOTHING };

impl Verdict {
    /// To wait for so long.
    pub(super) const fn refused(level: u8, reasons: u8, retry_ms: u64) -> Self {
        let is_lot = reasons & reason::LOT != 0;
        Self { is_refused: true, level, reasons, retry_ms, is_lot, begins_block: false }
    }

    pub(super) const fn blocked(block: Block, left_ms: u64) -> Self {
        let reasons = if block.reason < 7 { 1 << block.reason } else { 0 };
        Self::refused(4, reasons, left_ms)
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Whether it failed by the client's fault.
    pub has_failed: bool,
    /// Whether the route is sensitive.
    pub is_sensitive: bool,
    /// A hash of the path.
    pub path: u64,
}
