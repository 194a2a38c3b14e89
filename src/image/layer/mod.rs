//! A layer: which entries a tar has and in which order, and the tar itself, plain or compressed.
//!
//! The order: all directories, sorted; then a segment for each package, in the order of the installed
//! database, sorted within; then a segment of everything else. A package's segment so depends on the
//! package alone. Of the names of one inode the first in this order carries the content, the others are
//! hard links to it. The root has an entry only if it is not `0755 0:0` as every engine makes it.
//!
//! Planning is pure and finds everything that tar could refuse; writing reads each file once, checks it
//! against its digest and stops when the user asks to.
//!
//! Source: design, "Bytes"; spec/image, "Layer"; the OCI image layer specification.

mod write;

use std::collections::{HashMap, HashSet};

use crate::archive::codec::{Algorithm, Codec};
use crate::archive::tar_write::{self, Entry, EntryKind};
use crate::content::Content;
use crate::digest::{DiffId, Sha256};
use crate::path::TreePath;
use crate::tree::{Inode, InodeKind, InodeNumber, Mode, Origin, Owner};

use super::{Epoch, ImageError};

/// In which form a layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compression {
    /// The tar as it is.
    Uncompressed,
    /// Compressed with this.
    Compressed(Codec),
}

impl Compression {
    /// With which algorithm, if with any.
    #[must_use]
    pub const fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::Uncompressed => None,
            Self::Compressed(codec) => Some(codec.algorithm()),
        }
    }
}

/// What a finished layer is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDescriptor {
    /// The digest of the tar.
    pub diff_id: DiffId,
    /// The digest of the bytes that are stored.
    pub digest: Sha256,
    /// How many bytes are stored.
    pub size: u64,
    /// The length of the tar, in bytes.
    pub tar_size: u64,
    /// With which algorithm they are compressed, if with any.
    pub algorithm: Option<Algorithm>,
}

/// The plan of a layer: its entries in their order. Borrowed from a tree, and holding no content.
#[derive(Debug)]
pub struct Layer<'tree> {
    entries: Vec<Planned<'tree>>,
    epoch: Epoch,
    tar_size: u64,
    content_size: u64,
}

/// An entry of a layer.
#[derive(Debug)]
pub(super) struct Planned<'tree> {
    segment: Segment,
    pub(super) path: &'tree TreePath,
    pub(super) inode: &'tree Inode,
    number: InodeNumber,
    /// The name that came first, if this is another one of the same inode.
    pub(super) first_name: Option<&'tree TreePath>,
}

/// The part of a layer an entry is in. Parts come in the order of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Directories,
    /// The package's place in the database.
    Package(usize),
    Rest,
}

impl<'tree> Layer<'tree> {
    /// Plans a layer of `entries`: those of a whole tree ([`Tree::entries`](crate::tree::Tree::entries)),
    /// or the part of it that this layer shall have.
    ///
    /// `packages` are the names of the packages in database order; files of packages that are not named
    /// are among the rest.
    pub fn plan(
        entries: impl IntoIterator<Item = (&'tree TreePath, InodeNumber, &'tree Inode)>,
        packages: &[impl AsRef<str>],
        epoch: Epoch,
    ) -> Result<Self, ImageError> {
        let places: HashMap<&str, usize> =
            packages.iter().enumerate().rev().map(|(place, name)| (name.as_ref(), place)).collect();
        let mut layer = Self { entries: Vec::new(), epoch, tar_size: 0, content_size: 0 };
        // Nearly every inode has one name, about which nothing is to be remembered.
        let (mut numbers, mut shared) = (HashSet::new(), HashMap::new());
        for (path, number, inode) in entries {
            if path.is_root() && is_plain_root(inode) {
                continue;
            }
            if !inode.is_directory() && !numbers.insert(number) {
                shared.insert(number, None);
            }
            let segment = Segment::of(inode, &places);
            layer.entries.push(Planned { segment, path, inode, number, first_name: None });
        }
        drop(numbers);
        layer.entries.sort_by(|one, other| (one.segment, one.path).cmp(&(other.segment, other.path)));

        let mut head = Vec::new();
        for planned in &mut layer.entries {
            refuse_whiteout(planned.path, planned.inode)?;
            match shared.get_mut(&planned.number) {
                Some(first @ None) => *first = Some(planned.path),
                Some(Some(first)) => planned.first_name = Some(*first),
                None => {}
            }
            head.clear();
            let entry = planned.tar_entry(epoch);
            entry.append_head(&mut head)?;
            let size = entry.content_size();
            layer.tar_size += head.len() as u64 + size + tar_write::padding(size).len() as u64;
            layer.content_size += size;
        }
        layer.tar_size += tar_write::END.len() as u64;
        Ok(layer)
    }

    /// The length of the tar, in bytes.
    #[must_use]
    pub fn tar_size(&self) -> u64 {
        self.tar_size
    }

    /// The sum of the lengths of all files, hard links counted once: what docker calls an image's size.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        self.content_size
    }

    /// The entries in their order: every directory before what it holds, and the first name of an inode
    /// before the others.
    pub(super) fn entries(&self) -> &[Planned<'tree>] {
        &self.entries
    }

    /// The time that nothing in it is newer than.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// When an entry was modified, in seconds since 1970.
    pub(super) fn mtime(&self, planned: &Planned<'_>) -> i64 {
        self.epoch.clamp(planned.inode.mtime)
    }

    /// How many entries the tar has.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }
}

impl Segment {
    fn of(inode: &Inode, places: &HashMap<&str, usize>) -> Self {
        match (&inode.kind, &inode.origin) {
            (InodeKind::Directory, _) => Self::Directories,
            (_, Origin::Package(name)) => {
                places.get(&**name).map_or(Self::Rest, |place| Self::Package(*place))
            }
            (_, Origin::Base | Origin::Profile | Origin::Generated) => Self::Rest,
        }
    }
}

impl<'tree> Planned<'tree> {
    fn tar_entry(&self, epoch: Epoch) -> Entry<'tree> {
        let kind = match (self.first_name, &self.inode.kind) {
            (Some(first), _) => EntryKind::HardLink { target: first.as_str() },
            (None, InodeKind::Directory) => EntryKind::Directory,
            (None, InodeKind::File(content)) => EntryKind::File { size: content.length() },
            (None, InodeKind::Symlink(target)) => EntryKind::Symlink { target },
            (None, InodeKind::CharacterDevice(device)) => {
                EntryKind::CharacterDevice { major: device.major, minor: device.minor }
            }
            (None, InodeKind::BlockDevice(device)) => {
                EntryKind::BlockDevice { major: device.major, minor: device.minor }
            }
            (None, InodeKind::Fifo) => EntryKind::Fifo,
        };
        Entry {
            mode: self.inode.mode.bits(),
            uid: self.inode.owner.uid.into(),
            gid: self.inode.owner.gid.into(),
            mtime: epoch.clamp(self.inode.mtime),
            // A hard link has those of the entry it names.
            xattrs: self.first_name.is_none().then_some(&self.inode.xattrs),
            ..Entry::new(if self.path.is_root() { "." } else { self.path.as_str() }, kind)
        }
    }

    /// The content that follows the head, if any does.
    fn content(&self) -> Option<&'tree Content> {
        match (self.first_name, &self.inode.kind) {
            (None, InodeKind::File(content)) => Some(content),
            _ => None,
        }
    }
}

fn is_plain_root(inode: &Inode) -> bool {
    inode.mode == Mode::DIRECTORY && inode.owner == Owner::ROOT && inode.xattrs.is_empty()
}

/// Whiteout names cannot be in a tree; this is overlayfs' other way of deleting a file.
fn refuse_whiteout(path: &TreePath, inode: &Inode) -> Result<(), ImageError> {
    match inode.kind {
        InodeKind::CharacterDevice(device) if device.major == 0 && device.minor == 0 => {
            Err(ImageError::WhiteoutDevice { path: path.clone() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
