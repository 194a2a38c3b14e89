//! Proving a base by signed packages: every file of it is one of theirs.
//!
//! A minirootfs has no signature of its own, but the packages it was made of have. If each of them is in a
//! verified index, by identity, and every file, link and directory of the base is as a package has it, then
//! the base is believed for them and not for a checksum beside it. What no package owns must be of the
//! handful that a minirootfs is known to have, and is only text about the release, apk's own records, or a link
//! of BusyBox.
//!
//! Nothing here fails: a base that cannot be proved so is believed for a lesser reason, or not at all.
//!
//! Source: design, "Trust"; the unowned files of minirootfs 3.19.4, counted.

use std::collections::{HashMap, HashSet};

use super::sources::NamedRepository;
use crate::apk::index_file::VerifiedIndex;
use crate::apk::installed::{InstalledFile, InstalledPackage};
use crate::apk::package::Expected;
use crate::archive::table::{TableEntry, TableKind};
use crate::digest::Identity;
use crate::fetch::{self, PackageRequest};
use crate::path::TreePath;
use crate::report::Silent;
use crate::store::{Store, StoredPackage};
use crate::tree::accounts::Accounts;
use crate::tree::database::Database;
use crate::tree::place::Installation;
use crate::tree::{Inode, InodeKind, Mode, Owner};

/// Files that a minirootfs has and no package: text about the release, and apk's own records, which are checked
/// against the packages apart.
const KNOWN: [&str; 12] = [
    "etc/alpine-release",
    "etc/apk/arch",
    "etc/apk/repositories",
    "etc/apk/world",
    "etc/issue",
    "etc/os-release",
    "etc/secfixes.d/alpine",
    "lib/apk/db/installed",
    "lib/apk/db/lock",
    "lib/apk/db/scripts.tar",
    "lib/apk/db/triggers",
    "etc/shadow",
];
/// Where links of nobody's may point.
const KNOWN_TARGETS: [&str; 2] = ["/bin/busybox", "/bin/bbsuid"];

/// Whether every file of `base` is one of signed packages that `repositories` have.
pub(super) fn is_proved(
    store: &Store,
    base: &Installation,
    repositories: &[NamedRepository],
    indexes: &[VerifiedIndex],
) -> bool {
    let Some(requests) = requests(&base.database, repositories, indexes) else { return false };
    if requests.is_empty() {
        return false;
    }
    let Ok(packages) = fetch::packages(store, &requests, std::num::NonZeroUsize::MIN, &Silent) else {
        return false;
    };
    let Ok(accounts) = Accounts::of(&base.tree) else { return false };
    let proof = Proof { base, packages: &packages, accounts };
    proof.holds()
}

/// The packages of a base, as the repositories have them; nothing if one is missing.
fn requests<'a>(
    database: &Database,
    repositories: &'a [NamedRepository],
    indexes: &[VerifiedIndex],
) -> Option<Vec<PackageRequest<'a>>> {
    let mut listed: HashMap<Identity, (usize, Expected)> = HashMap::new();
    let wanted: HashSet<Identity> =
        database.packages().iter().map(|package| package.field('C').parse().ok()).collect::<Option<_>>()?;
    for (number, (named, index)) in repositories.iter().zip(indexes).enumerate() {
        if named.tag.is_some() {
            continue;
        }
        for package in index.index().packages() {
            if let Some(identity) = package.identity().filter(|identity| wanted.contains(identity))
                && let Some(expected) = Expected::of(package)
            {
                listed.entry(identity).or_insert((number, expected));
            }
        }
    }
    database
        .packages()
        .iter()
        .map(|package| {
            let (number, expected) = listed.get(&package.field('C').parse().ok()?)?;
            Some(PackageRequest::new(expected.clone(), &repositories.get(*number)?.repository))
        })
        .collect()
}

struct Proof<'a> {
    base: &'a Installation,
    /// In the order of the database.
    packages: &'a [StoredPackage],
    accounts: Accounts,
}

impl Proof<'_> {
    fn holds(&self) -> bool {
        let mut covered: HashSet<TreePath> = HashSet::new();
        for (recorded, stored) in self.base.database.packages().into_iter().zip(self.packages) {
            let as_recorded = self.records_agree(recorded, stored)
                && stored
                    .table()
                    .entries
                    .iter()
                    .all(|entry| self.is_as_packaged(recorded, entry, &mut covered));
            if !as_recorded {
                return false;
            }
        }
        self.base.tree.entries().all(|(path, _, inode)| covered.contains(path) || is_known(path, inode))
    }

    /// Whether the base's database says of a package what the package says of itself.
    fn records_agree(&self, recorded: &InstalledPackage, stored: &StoredPackage) -> bool {
        let verified = stored.verified();
        let scripts = self.base.database.scripts.get(recorded.name());
        let triggers = self.base.database.triggers.get(recorded.name());
        let files: HashSet<TreePath> = stored
            .table()
            .entries
            .iter()
            .filter(|entry| entry.kind != TableKind::Directory)
            .map(|entry| entry.path.clone())
            .collect();
        recorded.name() == verified.info().name
            && recorded.version() == verified.info().version
            && scripts.map_or(verified.scripts().is_empty(), |scripts| scripts == verified.scripts())
            && triggers
                .map_or(verified.info().triggers.is_empty(), |globs| *globs == verified.info().triggers)
            && recorded.files().all(|(directory, file)| is_among(directory, file, &files))
    }

    /// Whether an entry of a package is in the base as the package has it, or belongs to another package there.
    fn is_as_packaged(
        &self,
        recorded: &InstalledPackage,
        entry: &TableEntry,
        covered: &mut HashSet<TreePath>,
    ) -> bool {
        let Ok(path) = self.base.tree.physical(&entry.path) else { return false };
        let Some(inode) = self.base.tree.get(&path) else { return false };
        if entry.kind == TableKind::Directory {
            // A directory of several packages has the mode of one of them.
            if inode.is_directory() && self.has_access(inode, entry) {
                covered.insert(path);
            }
            return true;
        }
        if self.base.database.owner(&entry.path).is_none_or(|owner| owner.name() != recorded.name()) {
            return true;
        }
        let same = match (&entry.kind, &inode.kind) {
            (TableKind::File(place), InodeKind::File(content)) => {
                (content.digest() == place.sha256 && self.has_access(inode, entry)) || is_known(&path, inode)
            }
            (TableKind::Symlink(target), InodeKind::Symlink(there)) => target == there,
            (TableKind::HardLink(target), InodeKind::File(_)) => {
                self.base.tree.number(&path) == self.base.tree.number(target)
            }
            _ => false,
        };
        covered.insert(path);
        same
    }

    fn has_access(&self, inode: &Inode, entry: &TableEntry) -> bool {
        let owner = Owner {
            uid: self.accounts.user(&entry.user).unwrap_or(entry.uid),
            gid: self.accounts.group(&entry.group).unwrap_or(entry.gid),
        };
        inode.mode == Mode::new(entry.mode) && inode.owner == owner && inode.xattrs == entry.xattrs
    }
}

fn is_among(directory: &TreePath, file: &InstalledFile, files: &HashSet<TreePath>) -> bool {
    directory.join(&file.name).is_ok_and(|path| files.contains(&path))
}

/// Whether something that no package has is of the handful that a minirootfs is known to have.
fn is_known(path: &TreePath, inode: &Inode) -> bool {
    let plain = inode.owner == Owner::ROOT && inode.xattrs.is_empty();
    match &inode.kind {
        InodeKind::Directory => plain && inode.mode == Mode::DIRECTORY,
        InodeKind::Symlink(target) => KNOWN_TARGETS.contains(&&**target),
        InodeKind::File(_) if path.as_str() == "etc/shadow" => {
            inode.owner.uid == 0 && inode.mode.bits() & 0o7137 == 0
        }
        InodeKind::File(_) => plain && inode.mode.bits() & 0o7133 == 0 && KNOWN.contains(&path.as_str()),
        InodeKind::CharacterDevice(_) | InodeKind::BlockDevice(_) | InodeKind::Fifo => false,
    }
}
