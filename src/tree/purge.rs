//! Taking a package out of a tree.
//!
//! Its files go, and the directories that nobody else has and that are empty then. A file that somebody
//! changed where changes are protected stays, as apk leaves it.
//!
//! Source: spec apk v2, "Install semantics".

#[cfg(test)]
mod tests;

use super::place::Installation;
use super::protected::{ProtectedPaths, Protection};
use super::{InodeKind, Origin};
use crate::apk::installed::{InstalledFile, InstalledPackage};
use crate::content::ContentError;
use crate::digest::Sha1;
use crate::path::TreePath;

impl Installation {
    /// Takes out the package `name`, if it is there; returns the changed files that stay.
    pub fn purge(&mut self, name: &str) -> Result<Vec<TreePath>, ContentError> {
        match self.database.remove(name) {
            Some(package) => self.leave(&package),
            None => Ok(Vec::new()),
        }
    }

    /// Removes what `former`, which the database does not have any more, had and nobody has now; returns the
    /// changed files that stay.
    pub(super) fn leave(&mut self, former: &InstalledPackage) -> Result<Vec<TreePath>, ContentError> {
        let protected = ProtectedPaths::of(&self.tree)?;
        let mut kept = Vec::new();
        for (directory, file) in former.files() {
            let Ok(path) = directory.join(&file.name) else { continue };
            if self.database.owner(&path).is_none()
                && protected.protection(&path) == Protection::Changed
                && let Ok(physical) = self.tree.physical(&path)
                && !self.is_of_another(&physical, former)
                && self.is_changed(&physical, file)?
            {
                if let Some(inode) = self.tree.get_mut(&physical) {
                    inode.origin = Origin::Generated;
                }
                kept.push(path);
            }
        }
        self.remove_files(former, &kept);
        Ok(kept)
    }

    /// Removes what `former` had and nobody has now, changed or not.
    pub(super) fn remove_unowned(&mut self, former: &InstalledPackage) {
        self.remove_files(former, &[]);
    }

    fn remove_files(&mut self, package: &InstalledPackage, kept: &[TreePath]) {
        for (directory, file) in package.files() {
            let Ok(path) = directory.join(&file.name) else { continue };
            if self.database.owner(&path).is_some() || kept.contains(&path) {
                continue;
            }
            if let Ok(physical) = self.tree.physical(&path)
                && !self.tree.is_directory(&physical)
                && !self.is_of_another(&physical, package)
            {
                // A name that is no directory can always go.
                let _ = self.tree.remove(&physical);
            }
        }
        let mut directories: Vec<&TreePath> =
            package.directories.iter().map(|directory| &directory.path).collect();
        directories.sort_unstable();
        for path in directories.into_iter().rev().filter(|path| !path.is_root()) {
            if self.database.directory_owners(path).next().is_none()
                && let Ok(physical) = self.tree.physical(path)
                && self.tree.is_directory(&physical)
                && self.tree.get(&physical).is_none_or(|inode| inode.origin != Origin::Profile)
            {
                // One that is not empty stays, by the tree's own rule.
                let _ = self.tree.remove(&physical);
            }
        }
    }

    /// Whether what lies at `path` is another package's, because links between directories may have led both there;
    /// or the profile's, which has put it there itself.
    fn is_of_another(&self, path: &TreePath, package: &InstalledPackage) -> bool {
        match self.tree.get(path).map(|inode| &inode.origin) {
            Some(Origin::Package(name)) => **name != *package.name(),
            Some(Origin::Profile) => true,
            Some(Origin::Base | Origin::Generated) | None => false,
        }
    }

    fn is_changed(&self, physical: &TreePath, file: &InstalledFile) -> Result<bool, ContentError> {
        let there = match self.tree.get(physical).map(|inode| &inode.kind) {
            Some(InodeKind::File(content)) => Sha1::of(&content.to_vec()?),
            Some(InodeKind::Symlink(target)) => Sha1::of(target.as_bytes()),
            _ => return Ok(false),
        };
        Ok(file.checksum != Some(there))
    }
}
