//! Reading shared tables without attaching: by copy, so that a table in use is only read.

use super::Directory;
use super::file::{FilePath, check, is_whole, open, read_at, read_header};
use crate::algorithm::{Algorithm, Varying};
use crate::atomic::AtomicU64;
use crate::error::{Error, SharedErrorKind};
use crate::nanos::Nanos;
use crate::shared::header::FileHeader;
use crate::shared::{AttachRequest, Contents, Entry, TableInfo};
use crate::table::Table;
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
        let make = if header.varying { AttachRequest::varying } else { AttachRequest::new };
        let request = make(&header.name, &header.config)?;
        if header.bytes != request.bytes() as u64 || !is_whole(&file, path) {
            let (length, expected) = (stat.st_size, request.bytes());
            return Err(path.untrusted(format!("it is {length} bytes long, not {expected}")));
        }
        let foreign = self.foreign(&header);
        let mut info = describe(header, foreign, stat.st_ino);
        count(&mut info, &request, &file, path, now)?;
        Ok(info)
    }
}

fn describe(header: FileHeader, foreign: Option<String>, inode: u64) -> TableInfo {
    TableInfo {
        name: header.name,
        config: header.config,
        bytes: header.bytes,
        generation: header.generation,
        made_ms: header.made_ms,
        inode,
        foreign,
        tables: Vec::new(),
        evictions: 0,
        overflows: 0,
    }
}

fn count(
    info: &mut TableInfo,
    request: &AttachRequest,
    file: &OwnedFd,
    path: &FilePath<'_>,
    now: Nanos,
) -> Result<(), Error> {
    let AttachRequest { config, tables, varying, .. } = request;
    for (((limit, layout), (_, algorithm)), start) in
        tables.iter().zip(config.algorithms()?).zip(request.starts())
    {
        let words = copy(file, start, layout.words(), path)?;
        if *varying {
            let algorithm = Varying::new(config.algorithm, *limit, limit.count())?;
            add(info, Table::new(words, *layout, algorithm, *limit), path, now)?;
        } else {
            add(info, Table::new(words, *layout, algorithm, *limit), path, now)?;
        }
    }
    Ok(())
}

fn add<A: Algorithm>(
    info: &mut TableInfo,
    made: Option<Table<Vec<AtomicU64>, A>>,
    path: &FilePath<'_>,
    now: Nanos,
) -> Result<(), Error> {
    let table = made.ok_or_else(|| path.untrusted("it is too short"))?;
    info.tables.push(table.occupancy(now));
    info.evictions = info.evictions.saturating_add(table.evictions());
    info.overflows = info.overflows.saturating_add(table.overflows());
    Ok(())
}

fn copy(
    file: &OwnedFd,
    start: usize,
    words: usize,
    path: &FilePath<'_>,
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
            Ok(false) => return Err(path.untrusted("it was truncated meanwhile")),
            Err(error) => return Err(path.failed("read", error)),
        }
        let (read, _) = chunk.as_chunks::<WORD>();
        copied.extend(read.iter().map(|bytes| AtomicU64::new(u64::from_ne_bytes(*bytes))));
    }
    Ok(copied)
}
