//! Keys: hashed with a secret, never stored.

use crate::error::Error;
use crate::siphash::hash;

/// The hash key of one limiter. Without it, an attacker can't aim keys at one set or at another key's fingerprint.
#[derive(Clone, Copy)]
pub struct Secret {
    k0: u64,
    k1: u64,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How the bytes of a key are to be read. Two encodings never give the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Well-formed text.
    Utf8,
    /// 16-bit units in the machine's byte order: text that UTF-8 can't hold (lone surrogates).
    Utf16,
}

/// A hashed key: 55 bits of fingerprint, and 64 other bits that choose the sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    sets: u64,
    tag: u64,
}

impl Secret {
    /// Fresh bytes from the operating system.
    pub fn random() -> Result<Self, Error> {
        let k0 = getrandom::u64().map_err(|_| Error::Random)?;
        let k1 = getrandom::u64().map_err(|_| Error::Random)?;
        Ok(Self { k0, k1 })
    }

    /// A known secret, for tests.
    #[must_use]
    pub const fn known(k0: u64, k1: u64) -> Self {
        Self { k0, k1 }
    }

    /// Its two words, for the header of a file that processes share.
    #[cfg(not(loom))]
    #[must_use]
    pub(crate) const fn words(self) -> [u64; 2] {
        [self.k0, self.k1]
    }

    /// SipHash-1-3 with 128 bits of output: specified, keyed, and the same on every machine.
    #[inline(always)]
    #[must_use]
    pub fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        let k1 = match encoding {
            Encoding::Utf8 => self.k1,
            Encoding::Utf16 => !self.k1,
        };
        let [sets, tag] = hash(self.k0, k1, bytes);
        Key { sets, tag: tag & !1 }
    }
}

impl Key {
    /// The key under which this key's block is kept.
    #[inline]
    #[must_use]
    pub const fn block(self) -> Self {
        Self { sets: self.sets, tag: self.tag | 1 }
    }

    /// 56 bits: 55 of the hash, and whether this is a block. Never 0, which is an empty slot.
    #[inline]
    pub(crate) const fn fingerprint(self) -> u64 {
        match self.tag >> 9 {
            0 => 2 | (self.tag & 1),
            tag => (tag << 1) | (self.tag & 1),
        }
    }

    /// The two sets the key may live in, different where there is more than one.
    #[inline]
    pub(crate) const fn sets(self, sets: u64) -> [u64; 2] {
        let first = ((self.sets >> 32).wrapping_mul(sets)) >> 32;
        let other = ((self.sets & 0xffff_ffff).wrapping_mul(sets.wrapping_sub(1))) >> 32;
        [first, if other >= first { other.wrapping_add(1) } else { other }]
    }

    /// One of `n` numbers, a power of two: known before the fingerprint is.
    #[inline(always)]
    pub(crate) const fn spread(self, n: u64) -> u64 {
        self.sets & n.wrapping_sub(1)
    }

    /// A number for this key under something else that is counted, never 0.
    #[inline(always)]
    pub(crate) const fn mixed(self, what: u64) -> u64 {
        (self.tag ^ what.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1
    }

    /// The index of the key's overflow bucket, of `n`.
    #[inline]
    pub(crate) const fn among(self, n: u64) -> u64 {
        ((self.tag >> 32).wrapping_mul(n)) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_and_blocks_give_different_keys() {
        let secret = Secret::known(1, 2);
        let text = secret.key(b"user", Encoding::Utf8);
        let units = secret.key(b"user", Encoding::Utf16);
        assert_ne!(text.fingerprint(), units.fingerprint());
        assert_ne!(text.fingerprint(), text.block().fingerprint());
        assert_eq!(text.sets(1000), text.block().sets(1000));
    }

    #[test]
    fn the_two_sets_differ_and_exist() {
        let secret = Secret::known(3, 4);
        for sets in [2, 3, 7, 1000, 1 << 32] {
            for n in 0_u32..2_000 {
                let [a, b] = secret.key(&n.to_le_bytes(), Encoding::Utf8).sets(sets);
                assert!(a != b && a < sets && b < sets, "{a} {b} of {sets}");
            }
        }
    }

    #[test]
    fn another_secret_spreads_the_same_keys_another_way() {
        let (a, b) = (Secret::known(5, 6), Secret::known(7, 8));
        let same = (0_u32..10_000)
            .map(u32::to_le_bytes)
            .filter(|k| a.key(k, Encoding::Utf8).sets(4096) == b.key(k, Encoding::Utf8).sets(4096))
            .count();
        assert!(same < 10, "{same}");
    }
}
