//! A root filesystem as a gzipped tar, as `alpine-minirootfs` is one: inflated once, with its table.
//!
//! Nothing in such an archive states checksums, so they are computed; it is trusted, or not, as a whole,
//! by its digest. Paths may begin with `./`, and the root itself may be an entry. One gzip member, with
//! nothing behind it.
//!
//! Source: alpine-minirootfs 3.19.4, as published; design, "The store".

use std::io::{BufRead, BufReader, Write};

use super::gzip::{GzipError, Member};
use super::table::{Admitted, Rules, Table, TableError, read_table};
use super::tar_read::{Entry, EntryKind, TarError};
use crate::kind::{Explain, Kind};
use crate::path::{PathError, TreePath};

/// An archive may inflate to this much, in bytes, whatever its size.
const FREE: u64 = 256 << 20;
/// Beyond that, how often its size it may inflate to.
const MAX_RATIO: u64 = 64;
/// How much is inflated at a time.
const BUFFER: usize = 64 * 1024;

/// Why an archive is not a root filesystem.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootfsError {
    /// It is no gzip member.
    #[error("it is malformed: {0}")]
    Gzip(GzipError),
    /// Its tar is malformed, or an entry may not be there.
    #[error(transparent)]
    Table(TableError),
    /// There is something behind the archive.
    #[error("there is something behind the gzip member it is made of")]
    Trailing,
}

impl Explain for RootfsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Gzip(GzipError::Read(error)) | Self::Table(TableError::Write(error)) => Kind::of_io(error),
            Self::Gzip(GzipError::TooLarge { .. }) => Kind::Limit,
            Self::Gzip(_) | Self::Table(_) | Self::Trailing => Kind::Integrity,
        }
    }
}

/// Inflates the archive of `length` bytes that `input` reads into `copy`, and returns its table.
pub fn expand(input: impl BufRead, length: u64, copy: impl Write) -> Result<Table, RootfsError> {
    let limit = length.saturating_mul(MAX_RATIO).max(FREE);
    let mut member = Member::open(input, limit).map_err(RootfsError::Gzip)?;
    let inflated = BufReader::with_capacity(BUFFER, &mut member);
    let table = read_table(inflated, copy, &RootfsRules).map_err(|error| match error {
        // An error of the gzip member surfaces as one of reading the tar; say what it is.
        TableError::Tar(TarError::Read(error)) => RootfsError::Gzip(GzipError::of_io(error)),
        other => RootfsError::Table(other),
    })?;
    let mut behind = member.finish().map_err(RootfsError::Gzip)?;
    match behind.read(&mut [0]) {
        Ok(0) => Ok(table),
        Ok(_) => Err(RootfsError::Trailing),
        Err(error) => Err(RootfsError::Gzip(GzipError::Read(error))),
    }
}

/// What may be in a root filesystem.
struct RootfsRules;

impl Rules for RootfsRules {
    fn admit(&self, entry: &Entry) -> Result<Option<Admitted>, TableError> {
        let hard_link_target = match entry.kind {
            EntryKind::HardLink => Some(path(&entry.target)?),
            _ => None,
        };
        Ok(Some(Admitted { path: path(&entry.path)?, hard_link_target, sha1: None }))
    }

    fn wants_directories_first(&self) -> bool {
        false
    }
}

fn path(bytes: &[u8]) -> Result<TreePath, PathError> {
    match bytes {
        b"." | b"./" => Ok(TreePath::root()),
        _ => TreePath::relative_bytes(bytes.strip_prefix(b"./").unwrap_or(bytes)),
    }
}
