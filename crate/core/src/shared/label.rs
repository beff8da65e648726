//! The first page of a shared file: what it is, whose, and for which clock. Written once before the
//! file has a name, read once by whoever attaches, by copy. Nothing in it is looked at again.
//!
//! ```text
//! magic | byte order | layout | label bytes | file bytes | checksum | uid | boot id 2
//! | time namespace | secret 2 | made at | generation | varying | name bytes | policy 52 | name
//! ```

use super::policy;
use crate::key::Secret;
use crate::policy::Policy;
use crate::siphash::hash;

/// Bytes before the first table.
pub const LABEL_BYTES: usize = 4096;
/// The layout of label and tables, and the protocol on them. Goes up with any change to one of them.
pub const LAYOUT_VERSION: u64 = 2;
/// The longest name, in UTF-8.
pub const MAX_NAME_BYTES: usize = 1024;

const WORD: usize = size_of::<u64>();
const MAGIC: u64 = u64::from_be_bytes(*b"ratethro");
/// Reads as another number on a machine with the other byte order.
const ORDER: u64 = 0x0102_0304_0506_0708;
const NAME_START: usize = 72;
const CHECKSUM: usize = 5;
const POLICY: usize = 16;
const HEAD: usize = POLICY + policy::WORDS;

/// What a shared file says about itself.
#[derive(Clone, Debug)]
pub struct Label {
    /// Layout of label and tables.
    pub layout: u64,
    /// Length of the file.
    pub bytes: u64,
    /// The user all its processes run as.
    pub uid: u64,
    /// The boot during which it was made.
    pub boot: [u64; 2],
    /// The time namespace whose monotonic clock its times are of.
    pub time_namespace: u64,
    /// The secret that all its users hash keys with.
    pub secret: Secret,
    /// When it was made, in milliseconds of the wall clock. Only for people.
    pub made_ms: u64,
    /// How many files of this name and policy there were before, as far as its maker knew.
    pub generation: u64,
    /// Whether the limits in it change from call to call: then its words are others.
    pub varying: bool,
    /// The name it is asked for by.
    pub name: String,
    /// What the limiter was made from.
    pub policy: Policy,
}

/// Why some bytes are no label.
pub(super) type Flaw = &'static str;

impl Label {
    /// The page. `None` for a name that is too long or a policy no limiter can have.
    #[must_use]
    pub fn page(&self) -> Option<Vec<u8>> {
        let mut words = vec![0; LABEL_BYTES / WORD];
        let [boot_high, boot_low] = self.boot;
        let [k0, k1] = self.secret.words();
        let varying = u64::from(self.varying);
        let head = [
            [MAGIC, ORDER, self.layout, LABEL_BYTES as u64, self.bytes, 0, self.uid, boot_high],
            [boot_low, self.time_namespace, k0, k1, self.made_ms, self.generation, varying, 0],
        ];
        let head = head.as_flattened().iter().copied().chain(policy::write(&self.policy)?);
        for (word, value) in words.iter_mut().zip(head) {
            *word = value;
        }
        put_name(&mut words, &self.name)?;
        let sum = checksum(&words);
        *words.get_mut(CHECKSUM)? = sum;
        Some(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
    }

    /// Reads a page, whatever bytes it holds.
    pub fn read(page: &[u8]) -> Result<Self, Flaw> {
        const SHORT: Flaw = "it is too short for a label";
        let (chunks, _) = page.get(..LABEL_BYTES).ok_or(SHORT)?.as_chunks::<WORD>();
        let words: Vec<u64> = chunks.iter().copied().map(u64::from_ne_bytes).collect();
        let head: &[u64; HEAD] = words.first_chunk().ok_or(SHORT)?;
        let &[magic, order, layout, label_bytes, bytes, sum, uid, boot_high, boot_low, rest @ ..] =
            head;
        let &[time_namespace, k0, k1, made_ms, generation, varying, ..] = &rest;
        if magic != MAGIC {
            return Err("it is no file of ratethrottle's");
        }
        if order != ORDER {
            return Err("it was made on a machine with another byte order");
        }
        if label_bytes != LABEL_BYTES as u64 || sum != checksum(&words) {
            return Err("its label is damaged");
        }
        if layout < LAYOUT_VERSION {
            return Err("its layout is that of an earlier version");
        }
        Ok(Self {
            layout,
            bytes,
            uid,
            boot: [boot_high, boot_low],
            time_namespace,
            secret: Secret::known(k0, k1),
            made_ms,
            generation,
            varying: varying != 0,
            name: name(&words).ok_or("its name is damaged")?,
            policy: words
                .get(POLICY..HEAD)
                .and_then(policy::read)
                .ok_or("its policy is damaged")?,
        })
    }
}

/// The name of the file: of layout, limiter and policy, so that what does not fit never meets.
pub(super) fn file_name(layout: u64, name: &str, policy: &Policy, varying: bool) -> Option<String> {
    let policy: Vec<u8> =
        policy::write(policy)?.iter().flat_map(|word| word.to_le_bytes()).collect();
    let [of_policy, _] = hash(MAGIC, if varying { 3 } else { 2 }, &policy);
    Some(format!("{}{of_policy:016x}", file_prefix(layout, name)))
}

/// What the files of one name have in common, whatever their policy.
pub(super) fn file_prefix(layout: u64, name: &str) -> String {
    let [of_name, _] = hash(MAGIC, 1, name.as_bytes());
    format!("v{layout}-{of_name:016x}-")
}

/// The length takes the last word before the policy; the text stands behind it.
fn put_name(words: &mut [u64], name: &str) -> Option<()> {
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    *words.get_mut(POLICY - 1)? = name.len() as u64;
    for (word, bytes) in words.get_mut(NAME_START..)?.iter_mut().zip(name.as_bytes().chunks(WORD)) {
        let mut padded = [0; WORD];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        *word = u64::from_ne_bytes(padded);
    }
    Some(())
}

fn name(words: &[u64]) -> Option<String> {
    let length = usize::try_from(*words.get(POLICY - 1)?).ok()?;
    let words = words.get(NAME_START..)?.iter().take(MAX_NAME_BYTES / WORD);
    let bytes: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).collect();
    String::from_utf8(bytes.get(..length)?.to_vec()).ok()
}

fn checksum(words: &[u64]) -> u64 {
    let counted = words.iter().enumerate().map(|(i, word)| if i == CHECKSUM { 0 } else { *word });
    let bytes: Vec<u8> = counted.flat_map(u64::to_ne_bytes).collect();
    let [sum, _] = hash(MAGIC, ORDER, &bytes);
    sum
}
