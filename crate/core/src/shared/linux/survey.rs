//! Looking at what is there, without attaching: by copy, so that a table that is being used is only read.

use super::Directory;
use super::directory::{is_whole, read_label};
use super::file::{Spot, check, open, read_at};
use crate::algorithm::{Steps, Varying};
use crate::atomic::AtomicU64;
use crate::error::{Error, Trouble};
use crate::nanos::Nanos;
use crate::shared::label::Label;
use crate::shared::{Contents, Entry, Sound, Wanted};
use crate::table::Table;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;

const WORD: usize = size_of::<u64>();

impl Directory {
    pub(super) fn survey(&self, now: Nanos) -> Result<Vec<Entry>, Error> {
        let entry = |file: String| {
            let contents = match self.look(&self.spot(&file), now) {
                Ok(sound) => Contents::Sound(Box::new(sound)),
                Err(Error::Shared(shared)) => Contents::Unsound(shared.what),
                Err(error) => Contents::Unsound(error.to_string()),
            };
            Entry { file, contents }
        };
        Ok(self.names()?.into_iter().map(entry).collect())
    }

    fn look(&self, spot: &Spot<'_>, now: Nanos) -> Result<Sound, Error> {
        let gone = || spot.error(Trouble::Missing, "it was removed meanwhile");
        let file = open(self.fd.as_fd(), spot, OFlags::RDONLY)?.ok_or_else(gone)?;
        let (stat, _) = check(&file, spot, self.host.uid)?;
        let label = read_label(&file, spot)?;
        if label.layout != self.host.layout {
            let what = format!("its layout is version {}", label.layout);
            return Err(spot.error(Trouble::Mismatch, what));
        }
        let make = if label.varying { Wanted::varying } else { Wanted::new };
        let wanted = make(&label.name, &label.policy)?;
        if label.bytes != wanted.bytes() as u64 || !is_whole(&file, spot) {
            let what = format!("it is {} bytes long, not {}", stat.st_size, wanted.bytes());
            return Err(spot.error(Trouble::Untrusted, what));
        }
        let foreign = self.foreign(&label);
        let sound = sound(label, foreign, stat.st_ino);
        count(sound, &wanted, &file, spot, now)
    }
}

fn sound(label: Label, foreign: Option<String>, inode: u64) -> Sound {
    Sound {
        name: label.name,
        policy: label.policy,
        bytes: label.bytes,
        generation: label.generation,
        made_ms: label.made_ms,
        inode,
        foreign,
        tables: Vec::new(),
        evictions: 0,
        overflows: 0,
    }
}

fn count(
    mut sound: Sound,
    wanted: &Wanted,
    file: &OwnedFd,
    spot: &Spot<'_>,
    now: Nanos,
) -> Result<Sound, Error> {
    let kind = wanted.policy.kind;
    let algorithms = wanted.policy.algorithms()?;
    for (((limit, layout), (_, algorithm)), start) in
        wanted.tables.iter().zip(algorithms).zip(wanted.starts())
    {
        let words = copy(file, start, layout.words(), spot)?;
        if wanted.varying {
            let varying = Varying::of(kind, *limit, limit.count())?;
            add(&mut sound, Table::new(words, *layout, varying, *limit), spot, now)?;
        } else {
            add(&mut sound, Table::new(words, *layout, algorithm, *limit), spot, now)?;
        }
    }
    Ok(sound)
}

fn add<A: Steps>(
    sound: &mut Sound,
    made: Option<Table<Vec<AtomicU64>, A>>,
    spot: &Spot<'_>,
    now: Nanos,
) -> Result<(), Error> {
    let table = made.ok_or_else(|| spot.error(Trouble::Untrusted, "it is too short"))?;
    sound.tables.push(table.census(now));
    sound.evictions = sound.evictions.saturating_add(table.evictions());
    sound.overflows = sound.overflows.saturating_add(table.overflows());
    Ok(())
}

fn copy(
    file: &OwnedFd,
    start: usize,
    words: usize,
    spot: &Spot<'_>,
) -> Result<Vec<AtomicU64>, Error> {
    const CHUNK: usize = 1 << 20;
    let mut copied = Vec::with_capacity(words);
    let mut buffer = vec![0; CHUNK];
    while copied.len() < words {
        let offset = start.saturating_add(copied.len()).saturating_mul(WORD) as u64;
        let left = words.saturating_sub(copied.len()).saturating_mul(WORD);
        let chunk = buffer.get_mut(..left.min(CHUNK)).unwrap_or_default();
        match read_at(file, chunk, offset) {
            Ok(true) => {}
            Ok(false) => return Err(spot.error(Trouble::Untrusted, "it was truncated meanwhile")),
            Err(error) => return Err(spot.failed("read", error)),
        }
        let (read, _) = chunk.as_chunks::<WORD>();
        copied.extend(read.iter().map(|bytes| AtomicU64::new(u64::from_ne_bytes(*bytes))));
    }
    Ok(copied)
}
