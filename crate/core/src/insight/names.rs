//! How a key is named where people see it.

use super::{Insight, KeyStyle};
use crate::key::{Encoding, Key};
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

/// The most characters of a key that are shown as they are.
const LONGEST: usize = 64;
/// A masked key shows this many characters, and at most a quarter of its own.
const SHOWN: usize = 4;
/// What the empty key is called: no other name has no text.
const EMPTY: &str = "(empty)";
/// Hexadecimal digits of a hash.
const DIGITS: usize = 8;

impl Insight {
    /// The name of a key, in the style of this insight. Masked addresses of one network have one name, and so have
    /// long texts that begin alike; other keys share one by chance alone.
    #[must_use]
    pub fn key_name(&self, text: &str) -> String {
        match self.config.keys {
            _ if text.is_empty() => EMPTY.to_owned(),
            KeyStyle::Hash => self.digits(text),
            KeyStyle::Mask => masked_address(text).unwrap_or_else(|| self.beginning(text)),
            KeyStyle::Plain => text.chars().take(LONGEST).collect(),
        }
    }

    /// The key of a text, for decisions that are made elsewhere.
    #[must_use]
    pub fn key(&self, bytes: &[u8], encoding: Encoding) -> Key {
        self.secret.key(bytes, encoding)
    }

    fn digits(&self, text: &str) -> String {
        let hash = self.secret.key(text.as_bytes(), Encoding::Utf8).spread(1 << 32);
        format!("{hash:0DIGITS$x}")
    }

    /// The beginning of a key that is no address, and what tells it from others.
    fn beginning(&self, text: &str) -> String {
        let shown = SHOWN.min(text.chars().take(SHOWN * SHOWN).count() / SHOWN);
        let mut name: String = text.chars().take(shown).collect();
        let _ = write!(name, "…{}", self.digits(text));
        name
    }
}

/// Whether keys of different texts have different names. Masked addresses have not, nor have texts that were cut.
pub(super) fn tells_apart(name: &str, style: KeyStyle) -> bool {
    match style {
        KeyStyle::Hash => !name.is_empty(),
        KeyStyle::Mask => name.contains('…'),
        KeyStyle::Plain => !name.is_empty() && name.chars().count() < LONGEST,
    }
}

/// `203.0.113.xxx`, or the /48 of an IPv6 address. `None` for what is no address.
fn masked_address(text: &str) -> Option<String> {
    let end = text.find(['/', '%']).unwrap_or(text.len());
    match text.get(..end)?.parse().ok()? {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Some(format!("{a}.{b}.{c}.xxx"))
        }
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            masked_address(&address.to_ipv4_mapped()?.to_string())
        }
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 80 << 80;
            Some(format!("{}/48", Ipv6Addr::from_bits(network)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::InsightConfig;

    fn named(keys: KeyStyle, text: &str) -> String {
        Insight::new(InsightConfig { keys, top: 1 }).unwrap().key_name(text)
    }

    #[test]
    fn a_hash_shows_eight_digits_and_nothing_of_the_key() {
        let name = named(KeyStyle::Hash, "alice@example.com");
        assert_eq!(name.len(), DIGITS);
        assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }

    #[test]
    fn a_mask_hides_the_end_of_an_address() {
        assert_eq!(named(KeyStyle::Mask, "203.0.113.77"), "203.0.113.xxx");
        assert_eq!(named(KeyStyle::Mask, "2001:db8:1:2::/64"), "2001:db8:1::/48");
        assert_eq!(named(KeyStyle::Mask, "fe80::1%eth0"), "fe80::/48");
        assert_eq!(named(KeyStyle::Mask, "::ffff:203.0.113.77"), "203.0.113.xxx");
    }

    #[test]
    fn a_mask_shows_at_most_a_quarter_of_another_key() {
        assert_eq!(named(KeyStyle::Mask, "abc").chars().count(), 1 + DIGITS);
        assert!(named(KeyStyle::Mask, "user").starts_with("u…"));
        assert!(named(KeyStyle::Mask, "user:alice@example.com").starts_with("user…"));
    }

    #[test]
    fn a_plain_key_is_cut_at_a_character() {
        let long = "\u{1f600}".repeat(100);
        assert_eq!(named(KeyStyle::Plain, &long), "\u{1f600}".repeat(64));
    }
}
