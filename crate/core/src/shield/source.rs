//! Who sends a request: an address, in one word.
//!
//! The word is the address itself, not a hash of it: two sources never meet in one word, so no client can act
//! under another's, and the biggest sources can be named.

use crate::key::Key;
use crate::siphash::hash;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An IPv4 address, or the /64 of an IPv6 address, or another text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(u64);

// IPv6 networks as they are, and what has none under networks of ff00::/8: those are groups, never clients.
const V4: u64 = 0xff01 << 48;
const TEXT: u64 = 0xff02 << 48;
/// `::/64`, which would be the zero of an empty slot.
const ZERO: u64 = 0xff03 << 48;
const KIND: u64 = 0xffff << 48;
const HALF: u64 = 0xffff_ffff;

impl Source {
    /// Reads an address; what is none, such as `unix`, is a source of its own.
    #[inline]
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        if let Some(address) = v4(text) {
            return Self(V4 | address);
        }
        Self::parse_other(text)
    }

    #[cold]
    fn parse_other(text: &[u8]) -> Self {
        let address = text.split(|&byte| byte == b'%' || byte == b'/').next();
        let address = address.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let address = address.and_then(|text| text.parse::<Ipv6Addr>().ok());
        // A group is no client: it is a text like another.
        if let Some(address) = address.filter(|address| !address.is_multicast()) {
            return match address.to_ipv4_mapped() {
                Some(v4) => Self(V4 | u64::from(u32::from(v4))),
                None => Self::network(high(address)),
            };
        }
        let [word, _] = hash(0, 0, text);
        Self(TEXT | (word >> 16))
    }

    /// The source of a text that is no address, by a hash of it.
    #[must_use]
    pub fn of_text(hash: Key) -> Self {
        Self(TEXT | (hash.fingerprint() >> 8))
    }

    const fn network(word: u64) -> Self {
        Self(if word == 0 { ZERO } else { word })
    }

    /// The word. Never 0.
    #[inline]
    pub(super) const fn word(self) -> u64 {
        self.0
    }

    /// The source of a word that was one; `None` for that of an empty slot.
    pub(super) const fn of_word(word: u64) -> Option<Self> {
        if word == 0 { None } else { Some(Self(word)) }
    }

    /// The network that it belongs to, as a source; `None` for what has no address.
    #[inline]
    pub(super) fn prefix(self, v4_bits: u8, v6_bits: u8) -> Option<Self> {
        match self.0 & KIND {
            V4 => Some(Self(V4 | (self.0 & HALF & mask(u32::from(v4_bits).saturating_add(32))))),
            TEXT | ZERO => None,
            _ => Some(Self::network(self.0 & mask(u32::from(v6_bits)))),
        }
    }
}

/// The first `bits` of 64.
const fn mask(bits: u32) -> u64 {
    match u64::MAX.checked_shr(bits) {
        Some(rest) => !rest,
        None => u64::MAX,
    }
}

const fn high(address: Ipv6Addr) -> u64 {
    (address.to_bits() >> 64) as u64
}

/// Four decimal numbers without leading zeros. The standard parser takes three times as long.
#[inline]
fn v4(text: &[u8]) -> Option<u64> {
    let (mut address, mut part, mut digits, mut dots) = (0_u64, 0_u64, 0_u32, 0_u32);
    if text.len() > 15 {
        return None;
    }
    for &byte in text {
        if byte == b'.' {
            if digits == 0 || dots == 3 {
                return None;
            }
            address = (address << 8) | part;
            (part, digits, dots) = (0, 0, dots.wrapping_add(1));
        } else {
            let digit = u64::from(byte.wrapping_sub(b'0'));
            part = part.wrapping_mul(10).wrapping_add(digit);
            let is_padded = digits > 0 && part == digit;
            if digit > 9 || part > 255 || is_padded {
                return None;
            }
            digits = digits.wrapping_add(1);
        }
    }
    (dots == 3 && digits > 0).then_some((address << 8) | part)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 & KIND {
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is the address")]
            V4 => Ipv4Addr::from_bits(self.0 as u32).fmt(f),
            TEXT => f.write_str("no address"),
            ZERO => f.write_str("::/64"),
            _ => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(self.0) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &str) -> String {
        Source::parse(bytes.as_bytes()).to_string()
    }

    #[test]
    fn an_address_comes_back_as_it_was_and_ipv6_as_its_64() {
        for same in ["0.0.0.0", "203.0.113.7", "255.255.255.255"] {
            assert_eq!(text(same), same);
        }
        assert_eq!(text("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(text("2001:db8:1:2::/64"), "2001:db8:1:2::/64");
        assert_eq!(text("fe80::1%eth0"), "fe80::/64");
        assert_eq!(text("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(text("::1"), "::/64");
    }

    #[test]
    fn what_is_no_address_is_a_source_of_its_own() {
        let odd =
            ["unix", "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1..2.3", "a.b.c.d", "::g"];
        for one in odd {
            assert_eq!(text(one), "no address", "{one}");
            for other in odd.iter().filter(|&&other| other != one) {
                assert_ne!(Source::parse(one.as_bytes()), Source::parse(other.as_bytes()));
            }
        }
    }

    #[test]
    fn no_address_is_the_word_of_another() {
        let all = [
            "1.2.3.4",
            "::102:304",
            "ff01::102:304",
            "ff01:0:102:304::",
            "ff02::",
            "ff03::",
            "ff0f::",
        ];
        let mut words: Vec<u64> =
            all.iter().map(|one| Source::parse(one.as_bytes()).word()).collect();
        assert!(words.iter().all(|&word| word != 0));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all.len());
    }

    #[test]
    fn a_prefix_keeps_the_first_bits() {
        let prefix = |one: &str| Source::parse(one.as_bytes()).prefix(24, 48).unwrap();
        assert_eq!(prefix("203.0.113.7"), prefix("203.0.113.255"));
        assert_ne!(prefix("203.0.113.7"), prefix("203.0.114.7"));
        assert_eq!(prefix("2001:db8:1:2::"), prefix("2001:db8:1:ffff::"));
        assert_ne!(prefix("2001:db8:1:2::"), prefix("2001:db8:2:2::"));
        assert_eq!(Source::parse(b"unix").prefix(24, 48), None);
        assert_ne!(prefix("0:0:0:1::").word(), 0);
    }
}
