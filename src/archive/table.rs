//! The table of a tar: what every entry is, where its bytes are, and their digests.
//!
//! Made in one pass over an inflated tar that is copied, verbatim, to where it will be read from. After
//! that nobody reads headers again. What may be in the tar is its kind's own rule: [`Rules`] says for each
//! entry whether it is taken and under which path.
//!
//! A table is kept as bytes, and its entries are made of them one at a time: a package of a million entries is a few
//! megabytes, and must not need a gigabyte. How much a table may take is limited.
//!
//! Always true of a table: paths are valid and, directories aside, stand once; a hard link's target is an
//! earlier file; offsets and lengths lie inside the tar.
//!
//! Source: design, "The store".

mod packed;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};

use packed::Packed;

use super::tar_read::{Entry, EntryKind, TarError, TarReader};
use crate::digest::{Sha1, Sha1Hasher, Sha256, Sha256Hasher};
use crate::kind::{Explain, Kind};
use crate::path::{PathError, TreePath};

/// How much of a file is hashed at a time.
const BUFFER: usize = 64 * 1024;
/// The longest target of a symbolic link: Linux' `PATH_MAX`.
const MAX_TARGET: usize = 4095;
/// The most bytes of extended attributes an entry may have: Linux' own limit for one value.
const MAX_XATTRS: usize = 64 * 1024;
/// The most entries that a table may have.
const MAX_ENTRIES: usize = 500_000;
/// The most bytes that a table may take: paths, targets, owners and attributes of its entries.
const MAX_SIZE: usize = 64 << 20;

/// What a tar holds, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    entries: Packed,
    /// What of the layers below is gone, if the tar is a layer.
    pub whiteouts: Vec<Whiteout>,
}

impl Table {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries, in the order of the tar.
    pub fn entries(&self) -> impl Iterator<Item = TableEntry> + use<'_> {
        self.entries.entries()
    }

    /// Appends an entry. That what a table promises still holds is the caller's to see to.
    pub fn push(&mut self, entry: &TableEntry) {
        self.entries.push(entry);
    }

    /// Writes the table so that [`Self::of_bytes`] reads it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&(self.entries.size() as u64).to_le_bytes())?;
        out.write_all(self.entries.bytes())?;
        out.write_all(&packed::pack_whiteouts(&self.whiteouts))
    }

    /// The table that was written as `bytes`; nothing if they are none.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_at_checked(8)?;
        let size = u64::from_le_bytes(size.try_into().ok()?).try_into().ok()?;
        let (entries, whiteouts) = rest.split_at_checked(size)?;
        let whiteouts = packed::unpack_whiteouts(whiteouts)?;
        Some(Self { entries: Packed::of_bytes(entries.to_vec())?, whiteouts })
    }
}

impl FromIterator<TableEntry> for Table {
    fn from_iter<I: IntoIterator<Item = TableEntry>>(entries: I) -> Self {
        let mut table = Self::default();
        entries.into_iter().for_each(|entry| table.push(&entry));
        table
    }
}

/// What a layer takes away from those below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whiteout {
    /// What is at the path, and below it.
    Path(TreePath),
    /// What is in the directory.
    Contents(TreePath),
}

/// An entry of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEntry {
    /// Where it belongs.
    pub path: TreePath,
    /// What it is.
    pub kind: TableKind,
    /// Permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// The user's name; empty if there is none.
    pub user: Box<str>,
    /// The group's name; empty if there is none.
    pub group: Box<str>,
    /// Modification time, in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes.
    pub xattrs: BTreeMap<Box<str>, Box<[u8]>>,
}

/// What an entry of a tar is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableKind {
    /// A regular file and where its bytes are in the tar.
    File(Place),
    /// Another name of an earlier file.
    HardLink(TreePath),
    /// A symbolic link and its target.
    Symlink(Box<str>),
    /// A directory.
    Directory,
    /// A character device, major and minor.
    CharacterDevice(u32, u32),
    /// A block device, major and minor.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Where the bytes of a file are, and what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where they begin in the tar.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
    /// Their SHA-256.
    pub sha256: Sha256,
    /// Their SHA-1, which apk's databases record.
    pub sha1: Sha1,
}

/// What the rules say of an entry.
#[derive(Debug)]
pub struct Admitted {
    /// The path it is taken under.
    pub path: TreePath,
    /// The target of a hard link.
    pub hard_link_target: Option<TreePath>,
    /// The SHA-1 its file must have, if something states one.
    pub sha1: Option<Sha1>,
}

/// What becomes of an entry.
#[derive(Debug)]
pub enum Admission {
    /// It stands in the table.
    Taken(Admitted),
    /// It says what of the layers below is gone.
    Whiteout(Whiteout),
    /// It is passed over.
    Skipped,
}

/// What may be in a tar.
pub trait Rules {
    /// Judges an entry.
    fn admit(&self, entry: &Entry) -> Result<Admission, TableError>;

    /// Whether every entry must come after an entry for the directory it is in.
    fn wants_directories_first(&self) -> bool;

    /// Whether a hard link may name a file that is not in the tar, but in a layer below it.
    fn links_may_lead_below(&self) -> bool {
        false
    }
}

/// Why a tar cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// It is no acceptable tar.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A path leaves the root, or is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A path stands twice.
    #[error("{path} stands twice in the archive")]
    Twice {
        /// The path.
        path: TreePath,
    },
    /// An entry comes without its directory.
    #[error("{path} comes before the directory it is in")]
    NoDirectory {
        /// The entry's path.
        path: TreePath,
    },
    /// A hard link points at no earlier file.
    #[error("the hard link {path} points at {target}, which is no earlier file of the archive")]
    HardLink {
        /// The link's path.
        path: TreePath,
        /// Where it points.
        target: String,
    },
    /// A whiteout is no plain file, or names nothing.
    #[error("`{path}` should delete something, and is no whiteout that a layer can have")]
    Whiteout {
        /// The entry's path.
        path: String,
    },
    /// The target of a symbolic link is no text a link can have.
    #[error("the symbolic link {path} has a malformed target")]
    Target {
        /// The link's path.
        path: TreePath,
    },
    /// A file has no checksum and must have one.
    #[error("{path} has no checksum (the package is of an obsolete format)")]
    NoChecksum {
        /// The file's path.
        path: String,
    },
    /// The checksum of a file is no SHA-1.
    #[error("{path} has a malformed checksum")]
    MalformedChecksum {
        /// The file's path.
        path: String,
    },
    /// The bytes of a file are not what the archive states.
    #[error("{path} has SHA-1 {got}, the archive states {expected}")]
    Checksum {
        /// The file's path.
        path: TreePath,
        /// What the archive states.
        expected: Sha1,
        /// What the bytes have.
        got: Sha1,
    },
    /// An extended attribute has a meaning to overlay file systems, or cannot be one.
    #[error("{path} has the extended attribute `{name}`, which is not accepted")]
    Xattr {
        /// The file's path.
        path: TreePath,
        /// The attribute's name.
        name: String,
    },
    /// There are more extended attributes than any file system keeps.
    #[error("{path} has more bytes of extended attributes than the limit of {MAX_XATTRS}")]
    LongXattrs {
        /// The file's path.
        path: TreePath,
    },
    /// There are too many entries.
    #[error("the archive has more files, directories and links than the limit of {MAX_ENTRIES}")]
    TooMany,
    /// The entries say too much.
    #[error(
        "the paths, link targets, owners and attributes in the archive take more bytes than the limit of {MAX_SIZE}"
    )]
    TooLong,
    /// The copy could not be written.
    #[error("cannot write the inflated archive: {0}")]
    Write(#[source] io::Error),
}

impl Explain for TableError {
    fn kind(&self) -> Kind {
        match self {
            Self::Tar(error) => error.kind(),
            Self::LongXattrs { .. } | Self::TooMany | Self::TooLong => Kind::Limit,
            Self::Write(error) => Kind::of_io(error),
            Self::Path(_)
            | Self::Twice { .. }
            | Self::NoDirectory { .. }
            | Self::HardLink { .. }
            | Self::Whiteout { .. }
            | Self::Target { .. }
            | Self::NoChecksum { .. }
            | Self::MalformedChecksum { .. }
            | Self::Checksum { .. }
            | Self::Xattr { .. } => Kind::Integrity,
        }
    }
}

/// Reads an inflated tar to its last byte, copying it to `copy`, and returns its table.
pub fn read_table(tar: impl Read, copy: impl Write, rules: &impl Rules) -> Result<Table, TableError> {
    let mut reader = TarReader::new(Tee { input: tar, copy, write_error: None });
    let mut builder = Builder { table: Table::default(), whiteouts: 0, seen: HashMap::new() };
    let result = builder.read_all(&mut reader, rules);
    let mut tee = reader.into_inner();
    if let Some(error) = tee.write_error.take() {
        return Err(TableError::Write(error));
    }
    result?;
    tee.copy.flush().map_err(TableError::Write)?;
    Ok(builder.table)
}

/// Copies what is read.
struct Tee<R, W> {
    input: R,
    copy: W,
    /// A failure to write, kept apart so that it is not mistaken for one to read.
    write_error: Option<io::Error>,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        if let Err(error) = self.copy.write_all(buffer.get(..count).unwrap_or_default()) {
            self.write_error = Some(error);
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(count)
    }
}

struct Builder {
    table: Table,
    /// How many bytes the whiteouts take.
    whiteouts: usize,
    /// What each path is that has an entry.
    seen: HashMap<TreePath, Seen>,
}

/// What an entry is to those that come later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Directory,
    /// Something that a hard link may name.
    File,
    Other,
}

impl Builder {
    fn read_all<R: Read>(&mut self, reader: &mut TarReader<R>, rules: &impl Rules) -> Result<(), TableError> {
        let mut buffer = vec![0; BUFFER];
        while let Some(entry) = reader.next_entry()? {
            let admitted = match rules.admit(&entry)? {
                Admission::Taken(admitted) => admitted,
                Admission::Whiteout(whiteout) => {
                    let (Whiteout::Path(path) | Whiteout::Contents(path)) = &whiteout;
                    self.whiteouts += path.as_str().len() + 1;
                    self.table.whiteouts.push(whiteout);
                    self.check_size()?;
                    continue;
                }
                Admission::Skipped => continue,
            };
            let path = admitted.path;
            if rules.wants_directories_first() {
                self.check_directory(&path)?;
            }
            let kind = match entry.kind {
                EntryKind::File => {
                    TableKind::File(read_file(reader, &entry, &path, admitted.sha1, &mut buffer)?)
                }
                EntryKind::HardLink => {
                    let target = admitted.hard_link_target;
                    TableKind::HardLink(self.hard_link(&path, &entry, target, rules)?)
                }
                EntryKind::Symlink => TableKind::Symlink(symlink_target(&path, &entry.target)?),
                EntryKind::Directory => TableKind::Directory,
                EntryKind::CharacterDevice => TableKind::CharacterDevice(entry.device.0, entry.device.1),
                EntryKind::BlockDevice => TableKind::BlockDevice(entry.device.0, entry.device.1),
                EntryKind::Fifo => TableKind::Fifo,
            };
            self.push(path, kind, entry)?;
        }
        Ok(())
    }

    fn push(&mut self, path: TreePath, kind: TableKind, entry: Entry) -> Result<(), TableError> {
        let seen = match &kind {
            TableKind::Directory => Seen::Directory,
            TableKind::File(_) | TableKind::HardLink(_) => Seen::File,
            TableKind::Symlink(_)
            | TableKind::CharacterDevice(..)
            | TableKind::BlockDevice(..)
            | TableKind::Fifo => Seen::Other,
        };
        if let Some(before) = self.seen.insert(path.clone(), seen)
            && (before, seen) != (Seen::Directory, Seen::Directory)
        {
            return Err(TableError::Twice { path });
        }
        let xattrs = checked_xattrs(&path, entry.xattrs)?;
        self.table.push(&TableEntry {
            path,
            kind,
            mode: entry.mode & 0o7777,
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user.into(),
            group: entry.group.into(),
            mtime: entry.mtime,
            xattrs,
        });
        self.check_size()
    }

    fn check_size(&self) -> Result<(), TableError> {
        if self.table.len() + self.table.whiteouts.len() > MAX_ENTRIES {
            return Err(TableError::TooMany);
        }
        if self.table.entries.size() + self.whiteouts > MAX_SIZE {
            return Err(TableError::TooLong);
        }
        Ok(())
    }

    fn check_directory(&self, path: &TreePath) -> Result<(), TableError> {
        let Some(parent) = path.parent().filter(|parent| !parent.is_root()) else { return Ok(()) };
        if self.seen.get(&parent) == Some(&Seen::Directory) {
            Ok(())
        } else {
            Err(TableError::NoDirectory { path: path.clone() })
        }
    }

    fn hard_link(
        &self,
        path: &TreePath,
        entry: &Entry,
        target: Option<TreePath>,
        rules: &impl Rules,
    ) -> Result<TreePath, TableError> {
        target
            .filter(|target| match self.seen.get(target) {
                Some(earlier) => *earlier == Seen::File,
                None => rules.links_may_lead_below(),
            })
            .ok_or_else(|| TableError::HardLink {
                path: path.clone(),
                target: String::from_utf8_lossy(&entry.target).escape_debug().to_string(),
            })
    }
}

fn read_file<R: Read>(
    reader: &mut TarReader<R>,
    entry: &Entry,
    path: &TreePath,
    stated: Option<Sha1>,
    buffer: &mut [u8],
) -> Result<Place, TableError> {
    let (mut sha1, mut sha256) = (Sha1Hasher::default(), Sha256Hasher::default());
    loop {
        let count = reader.read_data(buffer)?;
        if count == 0 {
            break;
        }
        let part = buffer.get(..count).unwrap_or_default();
        sha1.update(part);
        sha256.update(part);
    }
    let place =
        Place { offset: entry.offset, length: entry.size, sha256: sha256.finish(), sha1: sha1.finish() };
    match stated {
        Some(expected) if expected != place.sha1 => {
            Err(TableError::Checksum { path: path.clone(), expected, got: place.sha1 })
        }
        _ => Ok(place),
    }
}

fn symlink_target(path: &TreePath, target: &[u8]) -> Result<Box<str>, TableError> {
    match std::str::from_utf8(target) {
        Ok(text) if may_be_target(text) => Ok(text.into()),
        _ => Err(TableError::Target { path: path.clone() }),
    }
}

/// Whether an extended attribute of an image may be called `name`: not by what overlay file systems give a meaning.
pub fn may_be_attribute(name: &str) -> bool {
    let is_name = name.contains('.') && name.len() <= 255 && !name.chars().any(char::is_control);
    is_name && !is_of_overlay(name)
}

/// Whether an extended attribute is one by which file systems that lie over others delete and replace files.
pub fn is_of_overlay(name: &str) -> bool {
    name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.")
}

/// Whether a symbolic link of an image may point at `target`.
pub fn may_be_target(target: &str) -> bool {
    !target.is_empty() && target.len() <= MAX_TARGET && !target.chars().any(char::is_control)
}

fn checked_xattrs(
    path: &TreePath,
    xattrs: BTreeMap<String, Vec<u8>>,
) -> Result<BTreeMap<Box<str>, Box<[u8]>>, TableError> {
    let mut room = MAX_XATTRS;
    let mut checked = BTreeMap::new();
    for (name, value) in xattrs {
        let refused = || TableError::Xattr { path: path.clone(), name: name.escape_debug().to_string() };
        if !may_be_attribute(&name) {
            return Err(refused());
        }
        let size = name.len() + value.len();
        room = room.checked_sub(size).ok_or_else(|| TableError::LongXattrs { path: path.clone() })?;
        checked.insert(name.into_boxed_str(), value.into_boxed_slice());
    }
    Ok(checked)
}

#[cfg(test)]
mod tests;
