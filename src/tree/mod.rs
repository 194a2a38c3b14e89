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

use crate::path::TreePath;

/// A root filesystem.
#[derive(Debug, Clone)]
pub struct Tree {
    inodes: Vec<Inode>,
    names: BTreeMap<TreePath, InodeNumber>,
}

/// Which inode of a tree a name points at. Meaningless in another tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeNumber(usize);

impl Tree {
    /// All names with their inodes, each directory directly before what it contains; the root first.
    pub fn entries(&self) -> impl Iterator<Item = (&TreePath, InodeNumber, &Inode)> {
        self.names.iter().filter_map(|(path, number)| Some((path, *number, self.inodes.get(number.0)?)))
    }
}
