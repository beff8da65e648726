//! Reading shared tables without attaching: by copy, so that a table in use is only read.

use super::Directory;
use super::file::{FilePath, check, is_whole, open, read_at, read_header};
use crate::algorithm::{Algorithm, Varying};
use crate::atomic::Ordering;
use crate::error::{Error, SharedErrorKind};
use crate::key::Secret;
use crate::nanos::Nanos;
use crate::permits::{Permits, PermitsConfig};
use crate::shared::header::FileHeader;
use crate::shared::{AttachRequest, Contents, Entry, Purpose, TableInfo};
use crate::shield::{Shield, ShieldConfig};
use crate::table::{Heap, Table};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;

const WORD: usize = size_of::<u64>();

impl Directory {
    pub(super) fn inspect(&self, now: Nanos) -> Result<Vec<Entry>, Error> {
        let entry = |file: String| {
            let contents = match self.read_table(&self.path_of(&file), now) {
                Ok(info) => Contents::Valid(Box::new(info)),
                Err(Error::Shared(shared)) => Contents::Invalid(shared.reason),
                Err(error) => Contents::Invalid(error.to_string()),
            };
            Entry { file, contents }
        };
        Ok(self.names()?.into_iter().map(entry).collect())
    }

    fn read_table(&self, path: &FilePath<'_>, now: Nanos) -> Result<TableInfo, Error> {
        let gone = || path.error(SharedErrorKind::Missing, "it was removed meanwhile");
        let file = open(self.fd.as_fd(), path, OFlags::RDONLY)?.ok_or_else(gone)?;
        let (stat, _) = check(&file, path, self.host.uid)?;
        let header = read_header(&file, path)?;
        if header.layout != self.host.layout {
            let reason = format!("its layout is version {}", header.layout);
            return Err(path.error(SharedErrorKind::Mismatch, reason));
        }
        let request = AttachRequest::with(&header.name, header.purpose.clone())?;
        if header.bytes != request.bytes() as u64 || !is_whole(&file, path) {
            let (length, expected) = (stat.st_size, request.bytes());
            return Err(path.untrusted(format!("it is {length} bytes long, not {expected}")));
        }
        let foreign = self.foreign(&header);
        let secret = header.secret;
        let mut info = describe(header, foreign, stat.st_ino);
        let parts = request.tables.iter().zip(request.starts());
        let copies = parts.map(|(words, start)| copy(&file, start, *words, path));
        let copies = copies.collect::<Result<Vec<Heap>, Error>>()?;
        match &request.purpose {
            Purpose::Shield(config) => count_sources(&mut info, config, secret, copies, now)?,
            Purpose::Insight(_) => {}
            Purpose::Permits(config) => count_permits(&mut info, config, secret, copies),
            Purpose::Limiter(config) => {
                for ((limit, algorithm, layout), words) in config.tables()?.into_iter().zip(copies)
                {
                    add(&mut info, Table::new(words, layout, algorithm, limit), path, now)?;
                }
            }
            Purpose::Varying(config) => {
                for ((limit, _, layout), words) in config.tables()?.into_iter().zip(copies) {
                    let algorithm = Varying::new(config.algorithm, limit, limit.count())?;
                    add(&mut info, Table::new(words, layout, algorithm, limit), path, now)?;
                }
            }
        }
        Ok(info)
    }
}

fn describe(header: FileHeader, foreign: Option<String>, inode: u64) -> TableInfo {
    TableInfo {
        name: header.name,
        purpose: header.purpose,
        bytes: header.bytes,
        generation: header.generation,
        made_ms: header.made_ms,
        inode,
        foreign,
        tables: Vec::new(),
        evictions: 0,
        overflows: 0,
        moves: 0,
        permits: None,
    }
}

fn count_permits(info: &mut TableInfo, config: &PermitsConfig, secret: Secret, copies: Vec<Heap>) {
    for words in copies {
        info.permits = Some(Permits::copied(config.clone(), secret, words.into()).in_use());
    }
}

fn count_sources(
    info: &mut TableInfo,
    config: &ShieldConfig,
    secret: Secret,
    copies: Vec<Heap>,
    now: Nanos,
) -> Result<(), Error> {
    for words in copies {
        let shield = Shield::over(config.clone(), secret, words.into())?;
        info.tables.push(shield.occupancy(now));
        info.evictions = shield.state(false, now).evictions;
    }
    Ok(())
}

fn add<A: Algorithm>(
    info: &mut TableInfo,
    made: Option<Table<Heap, A>>,
    path: &FilePath<'_>,
    now: Nanos,
) -> Result<(), Error> {
    let table = made.ok_or_else(|| path.untrusted("it is too short"))?;
    info.tables.push(table.occupancy(now));
    info.evictions = info.evictions.saturating_add(table.evictions());
    info.overflows = info.overflows.saturating_add(table.overflows());
    info.moves = info.moves.saturating_add(table.moves());
    Ok(())
}

fn copy(file: &OwnedFd, start: usize, words: usize, path: &FilePath<'_>) -> Result<Heap, Error> {
    const CHUNK: usize = 1 << 17;
    let copied = Heap::zeroed(words)?;
    let mut buffer = vec![0; CHUNK.saturating_mul(WORD)];
    for (index, part) in copied.chunks(CHUNK).enumerate() {
        let before = start.saturating_add(index.saturating_mul(CHUNK));
        let offset = before.saturating_mul(WORD) as u64;
        let chunk = buffer.get_mut(..part.len().saturating_mul(WORD)).unwrap_or_default();
        match read_at(file, chunk, offset) {
            Ok(true) => {}
            Ok(false) => return Err(path.untrusted("it was truncated meanwhile")),
            Err(error) => return Err(path.failed("read", error)),
        }
        let (read, _) = chunk.as_chunks::<WORD>();
        for (word, bytes) in part.iter().zip(read) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
    }
    Ok(copied)
}
