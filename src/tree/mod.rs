//! The root filesystem as a value: inodes, and names that point at them.
//!
//! A [`Tree`] holds everything an image contains: kinds, modes, owners, times, extended attributes,
//! which package each file came from, and where its bytes are. Nothing is on a disk, so no privilege is
//! needed to give a file to somebody or to make it set-user-ID. Two names of one inode are a hard link.
//!
//! Always true of a tree: every name but the root has a parent that is a directory; no name passes
//! through a link; every inode has a name.
//!
//! Not for running anything, and not for the bytes of a layer: those are [`crate::image`]'s.

mod inode;

pub use inode::{Device, Inode, InodeKind, Mode, Origin, Owner, Xattrs};

use std::collections::BTreeMap;

use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// Why a tree refuses a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The name is there already.
    #[error("{path} is there already")]
    Exists {
        /// The name.
        path: TreePath,
    },
    /// The directory it should be in is not there, or is no directory.
    #[error("{path} has no directory to be in")]
    NoParent {
        /// The name.
        path: TreePath,
    },
    /// Directories have one name only.
    #[error("{path} would be a second name of a directory")]
    SecondName {
        /// The new name.
        path: TreePath,
    },
}

impl Explain for TreeError {
    fn kind(&self) -> Kind {
        Kind::Integrity
    }
}

/// A root filesystem.
#[derive(Debug, Clone)]
pub struct Tree {
    inodes: Vec<Inode>,
    names: BTreeMap<TreePath, InodeNumber>,
}

/// Which inode of a tree a name points at. Meaningless in another tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeNumber(usize);

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree of a root directory, `0755 0:0`, and nothing else.
    #[must_use]
    pub fn new() -> Self {
        let root = Inode {
            kind: InodeKind::Directory,
            mode: Mode::DIRECTORY,
            owner: Owner::ROOT,
            mtime: None,
            xattrs: Xattrs::new(),
            origin: Origin::Generated,
        };
        Self { inodes: vec![root], names: BTreeMap::from([(TreePath::root(), InodeNumber(0))]) }
    }

    /// Gives a new inode its first name.
    pub fn insert(&mut self, path: TreePath, inode: Inode) -> Result<InodeNumber, TreeError> {
        let number = InodeNumber(self.inodes.len());
        self.add_name(path, number)?;
        self.inodes.push(inode);
        Ok(number)
    }

    /// Gives an inode of this tree another name: a hard link.
    pub fn link(&mut self, path: TreePath, number: InodeNumber) -> Result<(), TreeError> {
        match self.inodes.get(number.0) {
            Some(inode) if inode.kind != InodeKind::Directory => self.add_name(path, number),
            _ => Err(TreeError::SecondName { path }),
        }
    }

    fn add_name(&mut self, path: TreePath, number: InodeNumber) -> Result<(), TreeError> {
        if self.names.contains_key(&path) {
            return Err(TreeError::Exists { path });
        }
        let parent = path.parent().and_then(|parent| self.inodes.get(self.names.get(&parent)?.0));
        if parent.is_none_or(|parent| parent.kind != InodeKind::Directory) {
            return Err(TreeError::NoParent { path });
        }
        self.names.insert(path, number);
        Ok(())
    }

    /// All names with their inodes, each directory directly before what it contains; the root first.
    pub fn entries(&self) -> impl Iterator<Item = (&TreePath, InodeNumber, &Inode)> {
        self.names.iter().filter_map(|(path, number)| Some((path, *number, self.inodes.get(number.0)?)))
    }
}
