//! Taking a package out of a tree, and what an older version leaves to a newer one.
//!
//! The files of a package that goes go with it, changed or not, as with `apk del --purge`: an image has nobody who
//! would want the settings of a program that is not there. Of one that another version replaces, what the new one
//! has not goes, but for what somebody changed where changes are protected. Directories go when they are empty and
//! nobody else's; others are handed over to a package that is left. A directory that stands where a file was, a link
//! that stands where a directory was, and files beside the package's own are not its own, and stay.
//!
//! Source: spec apk v2, "Install semantics"; measured on apk 2.14.4.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::directories;
use super::place::Installation;
use super::protected::{ProtectedError, Protection};
use super::{Inode, InodeKind, Origin};
use crate::apk::installed::{InstalledDirectory, InstalledFile, InstalledPackage};
use crate::content::ContentError;
use crate::digest::Sha1;
use crate::path::TreePath;

impl Installation {
    /// Takes out the package `name`, if it is there; returns those of its files that somebody changed where changes
    /// are protected: they are gone too.
    pub fn purge(&mut self, name: &str) -> Result<Vec<TreePath>, ProtectedError> {
        let Some(former) = self.database.remove(name) else { return Ok(Vec::new()) };
        let changed = self.changed_files(&former)?;
        self.remove_unowned(&former);
        Ok(changed)
    }

    /// Removes what `former`, the version before the one that the database has now, had and nobody has now, but for
    /// `places`, which the new one took through links; returns the changed files that stay.
    pub(super) fn leave(
        &mut self,
        former: &InstalledPackage,
        mut places: HashSet<TreePath>,
    ) -> Result<Vec<TreePath>, ProtectedError> {
        let kept = self.changed_files(former)?;
        for path in &kept {
            let Ok(physical) = self.tree.physical(path) else { continue };
            if let Some(inode) = self.tree.get_mut(&physical) {
                inode.origin = Origin::Generated;
            }
            places.insert(physical);
        }
        self.remove_all_of(former, &places);
        Ok(kept)
    }

    /// Removes what `former` had and nobody has now, changed or not.
    pub(super) fn remove_unowned(&mut self, former: &InstalledPackage) {
        self.remove_all_of(former, &HashSet::new());
    }

    /// The files of `former` that nobody has now and that somebody changed where changes are protected.
    fn changed_files(&mut self, former: &InstalledPackage) -> Result<Vec<TreePath>, ProtectedError> {
        let protected = self.known_rules.of(&self.tree)?;
        let mut changed = Vec::new();
        for (directory, file) in former.files() {
            let Ok(path) = directory.join(&file.name) else { continue };
            if self.database.owner(&path).is_none()
                && protected.protection(&path) == Protection::Changed
                && let Ok(physical) = self.tree.physical(&path)
                && !self.is_of_another(&physical, former)
                && let Some(there) = self.tree.get(&physical)
                && !there.is_directory()
                && !is_as_recorded(there, file)?
            {
                changed.push(path);
            }
        }
        Ok(changed)
    }

    /// Removes the files and directories of `former` that nobody has now, but for what lies at `places`.
    fn remove_all_of(&mut self, former: &InstalledPackage, places: &HashSet<TreePath>) {
        for (directory, file) in former.files() {
            let Ok(path) = directory.join(&file.name) else { continue };
            if self.database.owner(&path).is_some() {
                continue;
            }
            if let Ok(physical) = self.tree.physical(&path)
                && !self.tree.is_directory(&physical)
                && !self.is_of_another(&physical, former)
                && !places.contains(&physical)
            {
                // A name that is no directory can always go.
                let _ = self.tree.remove(&physical);
            }
        }
        let mut directories: Vec<&InstalledDirectory> = former.directories.iter().collect();
        directories.sort_by(|one, other| one.path.cmp(&other.path));
        for directory in directories.into_iter().rev().filter(|directory| !directory.path.is_root()) {
            self.leave_directory(former, directory);
        }
    }

    fn leave_directory(&mut self, former: &InstalledPackage, directory: &InstalledDirectory) {
        let path = &directory.path;
        let Ok(physical) = self.tree.physical(path) else { return };
        let Some(there) = self.tree.get(&physical).filter(|there| there.is_directory()) else { return };
        match self.database.directory_holder(path) {
            // One that is not empty stays, by the tree's own rule.
            None if there.origin != Origin::Profile => drop(self.tree.remove(&physical)),
            None => {}
            Some(holder) => {
                let has_it_still = self.database.has_directory(former.name(), path);
                if !has_it_still
                    && directories::comes_before(former, holder.package)
                    && directories::is_as_recorded(there, directory.access)
                {
                    directories::hand_over(&mut self.tree, &physical, holder);
                }
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
}

/// Whether what is there has the content, or the target, that is recorded. Owner and mode do not count.
pub(super) fn is_as_recorded(there: &Inode, recorded: &InstalledFile) -> Result<bool, ContentError> {
    let checksum = match &there.kind {
        InodeKind::File(content) => Some(Sha1::of(&content.to_vec()?)),
        InodeKind::Symlink(target) => Some(Sha1::of(target.as_bytes())),
        InodeKind::CharacterDevice(_) | InodeKind::BlockDevice(_) | InodeKind::Fifo => None,
        InodeKind::Directory => return Ok(false),
    };
    Ok(recorded.checksum == checksum)
}
