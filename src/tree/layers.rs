//! A tree made of layers, the lowest first: what each of them has, put over what those below have.
//!
//! A layer takes away from those below it what its whiteouts name, never anything of its own, wherever the
//! whiteout stands in it. Then each entry takes the place of what is at its path; a directory over a directory
//! changes what is said of it and keeps what is in it. A root filesystem is a single layer.
//!
//! Nothing goes through a link, neither an entry nor a whiteout: a layer that would is refused.
//!
//! Source: OCI image specification, "Image Layer Filesystem Changeset", "Applying Changesets".

use std::sync::Arc;

use super::{Device, Inode, InodeKind, Mode, NameError, Origin, Owner, Tree};
use crate::archive::table::{Table, TableEntry, TableKind, Whiteout};
use crate::content::{Content, ReadAt};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

#[cfg(test)]
mod tests;

/// A layer: what its tar holds, and the tar.
#[derive(Clone, Copy)]
pub struct TableLayer<'a> {
    /// What the tar holds.
    pub table: &'a Table,
    /// The tar, inflated.
    pub tar: &'a Arc<dyn ReadAt>,
}

/// Why layers do not make a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayersError {
    /// A name cannot be made.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A hard link names no file.
    #[error("the hard link {path} points at {target}, which is no file of its layer or of one below")]
    HardLink {
        /// The link.
        path: TreePath,
        /// What it points at.
        target: TreePath,
    },
}

impl Explain for LayersError {
    fn kind(&self) -> Kind {
        match self {
            Self::Name(error) => error.kind(),
            Self::HardLink { .. } => Kind::Integrity,
        }
    }
}

/// The tree of `layers`. Whatever is in it belongs to the base.
pub fn tree_of(layers: &[TableLayer<'_>]) -> Result<Tree, LayersError> {
    let mut tree = Tree::new();
    for layer in layers {
        for whiteout in &layer.table.whiteouts {
            take_away(&mut tree, whiteout)?;
        }
        make_way(&mut tree, layer.table);
        for entry in layer.table.entries() {
            put(&mut tree, &entry, layer.tar)?;
        }
    }
    Ok(tree)
}

fn take_away(tree: &mut Tree, whiteout: &Whiteout) -> Result<(), LayersError> {
    let (Whiteout::Path(path) | Whiteout::Contents(path)) = whiteout;
    for parent in path.ancestors() {
        if tree.get(&parent).is_some_and(|above| !above.is_directory()) {
            return Err(NameError::ParentIsNoDirectory { path: path.clone(), parent }.into());
        }
    }
    match whiteout {
        Whiteout::Path(path) => tree.remove_all(path),
        Whiteout::Contents(directory) => {
            if tree.get(directory).is_some_and(|there| !there.is_directory()) {
                return Err(NameError::IsNoDirectory { path: directory.clone() }.into());
            }
            let inside: Vec<TreePath> = tree.children(directory).cloned().collect();
            for path in inside {
                tree.remove_all(&path);
            }
        }
    }
    Ok(())
}

/// Takes away what lower layers have where this one has something of another kind. Within one layer the two do
/// not go together, which putting its entries finds.
fn make_way(tree: &mut Tree, table: &Table) {
    for entry in table.entries() {
        let is_directory = entry.kind == TableKind::Directory;
        if tree.get(&entry.path).is_some_and(|there| there.is_directory() != is_directory) {
            tree.remove_all(&entry.path);
        }
    }
}

fn put(tree: &mut Tree, entry: &TableEntry, tar: &Arc<dyn ReadAt>) -> Result<(), LayersError> {
    tree.make_parents(&entry.path, &Origin::Base)?;
    let kind = match &entry.kind {
        TableKind::HardLink(target) => {
            let number = tree.number(target).filter(|_| !tree.is_directory(target));
            let number = number
                .ok_or_else(|| LayersError::HardLink { path: entry.path.clone(), target: target.clone() })?;
            return Ok(tree.link(entry.path.clone(), number)?);
        }
        TableKind::File(place) => {
            InodeKind::File(Content::slice(Arc::clone(tar), place.offset, place.length, place.sha256))
        }
        TableKind::Symlink(target) => InodeKind::Symlink(target.clone()),
        TableKind::Directory => InodeKind::Directory,
        TableKind::CharacterDevice(major, minor) => InodeKind::CharacterDevice(device(*major, *minor)),
        TableKind::BlockDevice(major, minor) => InodeKind::BlockDevice(device(*major, *minor)),
        TableKind::Fifo => InodeKind::Fifo,
    };
    let inode = Inode {
        kind,
        mode: Mode::new(entry.mode),
        owner: Owner { uid: entry.uid, gid: entry.gid },
        mtime: Some(entry.mtime),
        xattrs: entry.xattrs.clone(),
        origin: Origin::Base,
    };
    tree.insert(entry.path.clone(), inode)?;
    Ok(())
}

const fn device(major: u32, minor: u32) -> Device {
    Device { major, minor }
}
