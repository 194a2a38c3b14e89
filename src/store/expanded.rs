//! An archive inflated once: the tar, verbatim, and its table, which is closed by its own hash.
//!
//! The table's file (`.toc`) is a line of JSON saying what it is of, the table as bytes, and a line with the SHA-256 of
//! those two in hex. One of another version, of another blob, damaged or cut short is as
//! if it were not there: it can always be made again from the blob.
//!
//! Source: design, "The store".

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files::{self, Temporary};
use super::{Paths, StoreError};
use crate::archive::table::{Place, Table, TableKind};
use crate::content::{Content, OpenFile, ReadAt};
use crate::digest::{Sha256, Sha512};
use crate::root::{self, FileError};

/// Of the format of the table's file and of everything in it: a table written by another version is made
/// again.
const VERSION: u32 = 2;
/// The largest table that is read, in bytes.
const MAX_TABLE: u64 = 1 << 28;
/// The length of a SHA-256 in hex.
const DIGEST: usize = 64;
/// How much is written at a time.
const BUFFER: usize = 256 * 1024;

/// What an archive is, which says by which rules it was expanded, and what is noted about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Origin {
    /// A package that was verified.
    Package {
        /// The fingerprint of the key that signed it.
        key: Sha256,
    },
    /// A root filesystem.
    Rootfs {
        /// The SHA-512 of the archive, with which it may be compared too.
        sha512: Sha512,
    },
    /// A layer of an image.
    Layer {
        /// The SHA-256 of its tar.
        diff_id: Sha256,
    },
}

/// What the first line of a table's file says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Header {
    version: u32,
    origin: Origin,
    blob: Sha256,
    tar_length: u64,
}

/// An archive of the store, inflated: its table and its bytes.
#[derive(Clone)]
pub struct Expanded {
    blob: Sha256,
    pub(super) origin: Origin,
    table: Arc<Table>,
    tar: Arc<dyn ReadAt>,
}

impl std::fmt::Debug for Expanded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expanded({}, {} entries)", self.blob, self.table.len())
    }
}

impl Expanded {
    /// The digest of the original, under which the store keeps it.
    pub fn blob(&self) -> Sha256 {
        self.blob
    }

    /// What it holds.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The inflated tar.
    pub fn tar(&self) -> &Arc<dyn ReadAt> {
        &self.tar
    }

    /// The bytes of the file at `place`, which must be of this table.
    pub fn content(&self, place: &Place) -> Content {
        Content::slice(Arc::clone(&self.tar), place.offset, place.length, place.sha256)
    }

    /// Whether every file in it still has the bytes that were recorded. Reads all of it.
    pub fn is_intact(&self) -> bool {
        let mut places = self.table.entries().filter_map(|entry| match entry.kind {
            TableKind::File(place) => Some(place),
            _ => None,
        });
        places.all(|place| self.content(&place).copy_to(&mut io::sink()).is_ok())
    }

    /// The expanded form of `blob`, if it is there and whole.
    pub(super) fn read(paths: &Paths, blob: Sha256) -> Result<Option<Self>, StoreError> {
        let (toc, tar) = (paths.toc(blob), paths.tar(blob));
        let Some(bytes) = if_there(root::read_file(&toc, MAX_TABLE))? else { return Ok(None) };
        let Some((header, table)) = parse(&bytes) else { return Ok(None) };
        if (header.version, header.blob) != (VERSION, blob) {
            return Ok(None);
        }
        let Some(file) = if_there(root::open_file(&tar))? else { return Ok(None) };
        let tar = open(file, &tar)?;
        if tar.length() != header.tar_length {
            return Ok(None);
        }
        Ok(Some(Self { blob, origin: header.origin, table: Arc::new(table), tar: Arc::new(tar) }))
    }
}

/// An expanded archive that does not have its names yet.
pub(super) struct Unnamed {
    tar: Temporary,
    table: Table,
}

impl Unnamed {
    /// Lets `expand` inflate an archive into a temporary file, whose path it is given for its errors, and gives what else
    /// it found out.
    pub(super) fn make<T>(
        paths: &Paths,
        expand: impl FnOnce(&mut dyn Write, &Path) -> Result<(Table, T), StoreError>,
    ) -> Result<(Self, T), StoreError> {
        let tar = Temporary::create(&paths.temporary())?;
        let mut out = BufWriter::with_capacity(BUFFER, tar.file()?);
        let (table, found) = expand(&mut out, tar.path())?;
        out.flush().map_err(FileError::on("write", tar.path()))?;
        drop(out);
        Ok((Self { tar, table }, found))
    }

    /// Gives it its names. Of two processes that do so at once the later replaces the earlier's files by
    /// equal ones; whoever has the earlier ones open keeps them.
    pub(super) fn commit(self, paths: &Paths, blob: Sha256, origin: Origin) -> Result<Expanded, StoreError> {
        let path = paths.tar(blob);
        let tar_length = self.tar.file()?.metadata().map_err(FileError::on("look at", &path))?.len();
        let header = Header { version: VERSION, origin, blob, tar_length };
        let toc = Temporary::create(&paths.temporary())?;
        toc.file()?
            .write_all(&serialise(&header, &self.table).map_err(FileError::on("write", toc.path()))?)
            .map_err(FileError::on("write", toc.path()))?;
        // The table comes last: where it is, the tar is.
        let tar = open(self.tar.commit(&path)?, &path)?;
        toc.commit(&paths.toc(blob))?;
        Ok(Expanded { blob, origin, table: Arc::new(self.table), tar: Arc::new(tar) })
    }
}

/// Removes the expanded form of `blob`, the table first.
pub(super) fn remove(paths: &Paths, blob: Sha256) -> Result<(), FileError> {
    files::remove(&paths.toc(blob))?;
    files::remove(&paths.tar(blob))
}

fn serialise(header: &Header, table: &Table) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(header)?;
    bytes.push(b'\n');
    table.write(&mut bytes)?;
    let digest = Sha256::of(&bytes);
    writeln!(bytes, "{digest}")?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Option<(Header, Table)> {
    let body = bytes.strip_suffix(b"\n")?;
    let (body, digest) = body.split_at_checked(body.len().checked_sub(DIGEST)?)?;
    if Sha256::of(body).to_hex().as_bytes() != digest {
        return None;
    }
    let line = body.iter().position(|byte| *byte == b'\n')?;
    let header = serde_json::from_slice(body.get(..line)?).ok()?;
    let table = Table::of_bytes(body.get(line + 1..)?)?;
    Some((header, table))
}

fn open(file: File, path: &Path) -> Result<OpenFile, FileError> {
    OpenFile::new(file, path.to_owned()).map_err(FileError::on("look at", path))
}

/// Nothing, where a file is not there, or something stands in its place that is none: it is then made again, as if it were
/// damaged.
pub(super) fn if_there<T>(result: Result<T, FileError>) -> Result<Option<T>, FileError> {
    match result {
        Err(error) if error.is_not_found() || error.is_not_regular() => Ok(None),
        other => other.map(Some),
    }
}
