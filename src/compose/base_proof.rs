//! Proving a base by signed packages: every file of it is one of theirs.
//!
//! A minirootfs has no signature of its own, but the packages it was made of have. If each of them is in a
//! verified index, by identity, and every file, link and directory of the base is as a package has it, then
//! the base is believed for them and not for a checksum beside it. What no package owns must be of the
//! handful that a minirootfs is known to have: short texts about the release, apk's own records, which must say what
//! the indexes and packages say, and links of BusyBox where BusyBox makes them.
//!
//! Nothing here fails: a base that cannot be proved so is believed for a lesser reason, or not at all.
//!
//! Source: design, "Trust"; the unowned files of minirootfs 3.19.4, counted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::sources::NamedRepository;
use crate::apk::index_file::VerifiedIndex;
use crate::apk::installed::{Access, InstalledDirectory, InstalledFile, InstalledPackage};
use crate::apk::package::Expected;
use crate::archive::table::{Place, TableEntry, TableKind};
use crate::content::Content;
use crate::digest::{Identity, Sha1};
use crate::fetch::{self, Fetcher, PackageRequest};
use crate::path::TreePath;
use crate::store::StoredPackage;
use crate::tree::accounts::Accounts;
use crate::tree::busybox;
use crate::tree::database::Database;
use crate::tree::place::Installation;
use crate::tree::{Inode, InodeKind, Mode, Owner};

/// Files that a minirootfs has and no package: text about the release, and apk's own records, which are checked
/// against the packages apart.
const KNOWN: [&str; 11] = [
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
];
/// The file of passwords, in which a minirootfs locks root.
const SHADOW: &str = "etc/shadow";
/// The longest text about the release, in bytes.
const MAX_TEXT: u64 = 4096;

/// Whether every file of `base` is one of signed packages that `repositories` have.
pub(super) fn is_proved(
    fetcher: &Fetcher<'_>,
    base: &Installation,
    repositories: &[NamedRepository],
    indexes: &[Arc<VerifiedIndex>],
) -> bool {
    let Some(listed) = listed(&base.database, repositories, indexes).filter(|listed| !listed.is_empty())
    else {
        return false;
    };
    let requests: Vec<PackageRequest<'_>> = listed
        .iter()
        .map(|listed| PackageRequest::new(listed.expected.clone(), &listed.named.repository))
        .collect();
    let Ok(packages) = fetch::packages(fetcher, &requests) else { return false };
    let (Ok(accounts), Ok(links)) = (Accounts::of(&base.tree), busybox::link_paths(&base.tree)) else {
        return false;
    };
    Proof { base, listed: &listed, packages: &packages, accounts, links }.holds()
}

/// A package of the base, as an index lists it.
struct Listed<'a> {
    entry: InstalledPackage,
    expected: Expected,
    named: &'a NamedRepository,
}

/// The packages of a base in the order of its database, as the repositories list them; nothing if one is
/// missing.
fn listed<'a>(
    database: &Database,
    repositories: &'a [NamedRepository],
    indexes: &[Arc<VerifiedIndex>],
) -> Option<Vec<Listed<'a>>> {
    let identity = |package: &InstalledPackage| package.field('C').parse::<Identity>().ok();
    let wanted: HashSet<Identity> = database.packages().into_iter().map(identity).collect::<Option<_>>()?;
    let mut found: HashMap<Identity, (InstalledPackage, Expected, &NamedRepository)> = HashMap::new();
    for (named, index) in repositories.iter().zip(indexes).filter(|(named, _)| named.tag.is_none()) {
        for package in index.index().packages() {
            if let Some(identity) = package.identity().filter(|identity| wanted.contains(identity))
                && let Some(expected) = Expected::of(package)
            {
                found.entry(identity).or_insert((InstalledPackage::of_index(package), expected, named));
            }
        }
    }
    let packages = database.packages();
    let as_listed = |package: &&InstalledPackage| {
        let (entry, expected, named) = found.get(&identity(package)?)?;
        Some(Listed { entry: entry.clone(), expected: expected.clone(), named })
    };
    packages.iter().map(as_listed).collect()
}

struct Proof<'a> {
    base: &'a Installation,
    /// In the order of the database.
    listed: &'a [Listed<'a>],
    /// In the order of the database.
    packages: &'a [StoredPackage],
    accounts: Accounts,
    /// Where links to BusyBox may be.
    links: HashSet<TreePath>,
}

impl Proof<'_> {
    fn holds(&self) -> bool {
        let mut covered: HashSet<TreePath> = HashSet::new();
        let recorded = self.base.database.packages();
        for ((recorded, listed), stored) in recorded.into_iter().zip(self.listed).zip(self.packages) {
            let as_recorded = self.records_agree(recorded, listed, stored)
                && stored.table().entries().all(|entry| self.is_as_packaged(recorded, &entry, &mut covered));
            if !as_recorded {
                return false;
            }
        }
        self.base.tree.entries().all(|(path, _, inode)| covered.contains(path) || self.is_known(path, inode))
    }

    /// Whether the base's database says of a package what its index and the package itself say.
    fn records_agree(
        &self,
        recorded: &InstalledPackage,
        listed: &Listed<'_>,
        stored: &StoredPackage,
    ) -> bool {
        let verified = stored.verified();
        let scripts = self.base.database.scripts.get(recorded.name());
        let triggers = self.base.database.triggers.get(recorded.name());
        sorted(&recorded.fields) == sorted(&listed.entry.fields)
            && recorded.flags.is_empty()
            && scripts.map_or(verified.scripts().is_empty(), |scripts| scripts == verified.scripts())
            && triggers
                .map_or(verified.info().triggers.is_empty(), |globs| *globs == verified.info().triggers)
            && self.files_agree(recorded, stored)
    }

    /// Whether every directory and file that the database lists is the package's, with its checksum.
    fn files_agree(&self, recorded: &InstalledPackage, stored: &StoredPackage) -> bool {
        let mut entries: HashMap<TreePath, (TableEntry, Option<Sha1>)> = HashMap::new();
        for entry in stored.table().entries() {
            let checksum = match &entry.kind {
                TableKind::File(place) => Some(place.sha1),
                TableKind::Symlink(target) => Some(Sha1::of(target.as_bytes())),
                // An earlier file.
                TableKind::HardLink(target) => entries.get(target).and_then(|(_, checksum)| *checksum),
                TableKind::Directory
                | TableKind::CharacterDevice(..)
                | TableKind::BlockDevice(..)
                | TableKind::Fifo => None,
            };
            entries.insert(entry.path.clone(), (entry, checksum));
        }
        let owner = |entry: &TableEntry| (self.owner(entry).uid, self.owner(entry).gid, entry.mode);
        let has_access =
            |access: Access, entry: &TableEntry| (access.uid, access.gid, access.mode) == owner(entry);
        let is_directory = |directory: &InstalledDirectory| {
            directory.path.is_root()
                || entries.get(&directory.path).is_some_and(|(entry, _)| {
                    entry.kind == TableKind::Directory && has_access(directory.access, entry)
                })
        };
        let is_file = |(directory, file): (&TreePath, &InstalledFile)| {
            let path = directory.join(&file.name).ok();
            path.and_then(|path| entries.get(&path))
                .is_some_and(|(entry, checksum)| has_access(file.access, entry) && file.checksum == *checksum)
        };
        recorded.directories.iter().all(is_directory) && recorded.files().all(is_file)
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
                self.has_access(inode, entry)
                    && (content.digest() == place.sha256
                        || (path.as_str() == SHADOW && self.only_locks_root(recorded, place, content)))
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

    /// Whether a file of passwords is the package's but for root's, which nobody can log in with.
    fn only_locks_root(&self, recorded: &InstalledPackage, place: &Place, there: &Content) -> bool {
        let number =
            self.base.database.packages().iter().position(|package| package.name() == recorded.name());
        let Some(stored) = number.and_then(|number| self.packages.get(number)) else { return false };
        if there.length() > MAX_TEXT || place.length > MAX_TEXT {
            return false;
        }
        let (Ok(packaged), Ok(there)) = (stored.content(place).to_vec(), there.to_vec()) else {
            return false;
        };
        let (packaged, there) = (String::from_utf8_lossy(&packaged), String::from_utf8_lossy(&there));
        let same_line = |(packaged, there): (&str, &str)| {
            packaged == there
                || (there.starts_with("root:*:")
                    && packaged
                        .strip_prefix("root:")
                        .and_then(|rest| rest.split_once(':'))
                        .map(|(_, rest)| rest)
                        == there.strip_prefix("root:*:"))
        };
        packaged.lines().count() == there.lines().count()
            && packaged.lines().zip(there.lines()).all(same_line)
    }

    fn has_access(&self, inode: &Inode, entry: &TableEntry) -> bool {
        inode.mode == Mode::new(entry.mode)
            && inode.owner == self.owner(entry)
            && inode.xattrs == entry.xattrs
    }

    fn owner(&self, entry: &TableEntry) -> Owner {
        Owner {
            uid: self.accounts.user(&entry.user).unwrap_or(entry.uid),
            gid: self.accounts.group(&entry.group).unwrap_or(entry.gid),
        }
    }

    /// Whether something that no package has is of the handful that a minirootfs is known to have.
    fn is_known(&self, path: &TreePath, inode: &Inode) -> bool {
        let plain = inode.owner == Owner::ROOT && inode.xattrs.is_empty();
        match &inode.kind {
            InodeKind::Directory => plain && inode.mode == Mode::DIRECTORY,
            InodeKind::Symlink(target) => {
                self.links.contains(path) && matches!(&**target, "/bin/busybox" | "/bin/bbsuid")
            }
            InodeKind::File(content) => {
                let is_record = path.as_str().starts_with("lib/apk/db/");
                plain
                    && inode.mode.bits() & 0o7133 == 0
                    && KNOWN.contains(&path.as_str())
                    && (is_record || content.length() <= MAX_TEXT)
            }
            InodeKind::CharacterDevice(_) | InodeKind::BlockDevice(_) | InodeKind::Fifo => false,
        }
    }
}

fn sorted(fields: &[(char, String)]) -> Vec<&(char, String)> {
    let mut sorted: Vec<&(char, String)> = fields.iter().collect();
    sorted.sort_unstable();
    sorted
}
