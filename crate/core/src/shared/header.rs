//! The first page of a shared file: what it is, whose, and for which clock. Written once before the file
//! has a name; read once, by copy, by each process that attaches. Nothing in it is looked at again.
//!
//! ```text
//! magic | byte order | layout | header bytes | file bytes | checksum | uid | boot id 2
//! | time namespace | secret 2 | made at | generation | kind | name bytes | settings 52 | name
//! ```

use super::purpose::{Purpose, SETTINGS};
use crate::key::Secret;
use crate::siphash::hash;

/// Bytes before the first table.
pub const HEADER_BYTES: usize = 4096;
/// The layout of header and tables, and the protocol on them. Goes up with any change to one of them.
pub const LAYOUT_VERSION: u64 = 4;
/// The longest name, in UTF-8.
pub const MAX_NAME_BYTES: usize = 1024;

const WORD: usize = size_of::<u64>();
const MAGIC: u64 = u64::from_be_bytes(*b"ratethro");
/// Reads as another number on a machine with the other byte order.
const ORDER: u64 = 0x0102_0304_0506_0708;
const NAME_START: usize = 72;
const CHECKSUM: usize = 5;
const START: usize = 16;
const FIELDS: usize = START + SETTINGS;

/// What a shared file says about itself.
#[derive(Clone, Debug)]
pub struct FileHeader {
    /// Layout of header and tables.
    pub layout: u64,
    /// Length of the file.
    pub bytes: u64,
    /// The user that all its processes run as.
    pub uid: u64,
    /// The boot during which it was made.
    pub boot: [u64; 2],
    /// The time namespace whose monotonic clock its times are of.
    pub time_namespace: u64,
    /// The secret that all its users hash keys with.
    pub secret: Secret,
    /// When it was made, in milliseconds of the wall clock. Only for people.
    pub made_ms: u64,
    /// How many files of this name and purpose there were before, as far as its maker knew.
    pub generation: u64,
    /// The name of the limiter or the shield.
    pub name: String,
    /// What is in it, and what that was made from.
    pub purpose: Purpose,
}

/// Why some bytes are no header.
pub(super) type InvalidReason = &'static str;

impl FileHeader {
    /// The page. `None` for a name that is too long or a configuration that nothing can have.
    #[must_use]
    pub fn page(&self) -> Option<Vec<u8>> {
        let mut words = vec![0; HEADER_BYTES / WORD];
        let [boot_high, boot_low] = self.boot;
        let [k0, k1] = self.secret.words();
        let kind = self.purpose.kind();
        let fields = [
            [MAGIC, ORDER, self.layout, HEADER_BYTES as u64, self.bytes, 0, self.uid, boot_high],
            [boot_low, self.time_namespace, k0, k1, self.made_ms, self.generation, kind, 0],
        ];
        let fields = fields.as_flattened().iter().copied().chain(self.purpose.settings()?);
        for (word, value) in words.iter_mut().zip(fields) {
            *word = value;
        }
        put_name(&mut words, &self.name)?;
        let sum = checksum(&words);
        *words.get_mut(CHECKSUM)? = sum;
        Some(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
    }

    /// Reads a page, whatever bytes it holds.
    pub fn read(page: &[u8]) -> Result<Self, InvalidReason> {
        const SHORT: InvalidReason = "it is too short for a header";
        let (chunks, _) = page.get(..HEADER_BYTES).ok_or(SHORT)?.as_chunks::<WORD>();
        let words: Vec<u64> = chunks.iter().copied().map(u64::from_ne_bytes).collect();
        let fields: &[u64; FIELDS] = words.first_chunk().ok_or(SHORT)?;
        let &[_, _, layout, _, bytes, _, uid, boot_high, boot_low, rest @ ..] = fields;
        let &[time_namespace, k0, k1, made_ms, generation, kind, ..] = &rest;
        check_format(fields, checksum(&words))?;
        let settings = words.get(START..FIELDS).and_then(|words| words.first_chunk());
        let purpose = settings.and_then(|settings| Purpose::read(kind, settings));
        Ok(Self {
            layout,
            bytes,
            uid,
            boot: [boot_high, boot_low],
            time_namespace,
            secret: Secret::known(k0, k1),
            made_ms,
            generation,
            name: read_name(&words).ok_or("its name is damaged")?,
            purpose: purpose.ok_or("its configuration is damaged")?,
        })
    }
}

/// Whether the page is a header that this version can read.
fn check_format(fields: &[u64; FIELDS], expected: u64) -> Result<(), InvalidReason> {
    let &[magic, order, layout, header_bytes, _, sum, ..] = fields;
    if magic != MAGIC {
        return Err("it is no file of ratethrottle's");
    }
    if order != ORDER {
        return Err("it was made on a machine with another byte order");
    }
    if header_bytes != HEADER_BYTES as u64 || sum != expected {
        return Err("its header is damaged");
    }
    if layout < LAYOUT_VERSION {
        return Err("its layout is that of an earlier version");
    }
    Ok(())
}

/// The name of the file: of layout, name, kind and settings, so that different ones never meet in a file.
pub(super) fn file_name(layout: u64, name: &str, purpose: &Purpose) -> Option<String> {
    let words = purpose.settings()?;
    let settings: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let [of_settings, _] = hash(MAGIC, purpose.kind().wrapping_add(2), &settings);
    Some(format!("{}{of_settings:016x}", file_prefix(layout, name)))
}

/// What the files of one name have in common, whatever is in them.
pub(super) fn file_prefix(layout: u64, name: &str) -> String {
    let [of_name, _] = hash(MAGIC, 1, name.as_bytes());
    format!("v{layout}-{of_name:016x}-")
}

/// The length takes the last word before the settings; the text stands behind it.
fn put_name(words: &mut [u64], name: &str) -> Option<()> {
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    *words.get_mut(START - 1)? = name.len() as u64;
    for (word, bytes) in words.get_mut(NAME_START..)?.iter_mut().zip(name.as_bytes().chunks(WORD)) {
        let mut padded = [0; WORD];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        *word = u64::from_ne_bytes(padded);
    }
    Some(())
}

fn read_name(words: &[u64]) -> Option<String> {
    let length = usize::try_from(*words.get(START - 1)?).ok()?;
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
