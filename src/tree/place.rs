//! Putting a verified package into a tree, as apk puts it onto a disk.
//!
//! Who may overwrite whose file, whose mode a shared directory has, what happens to a file in `/etc` that
//! somebody changed, what of an old version goes: all of it is decided here. Names of owners become numbers
//! here too, by the tree's accounts of this moment.
//!
//! Source: spec apk v2, "Install semantics"; measured on apk 2.14.4.

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::accounts::{AccountError, Accounts, KnownAccounts};
use super::database::Database;
use super::directories;
use super::protected::{KnownRules, ProtectedError, ProtectedPaths, Protection};
use super::{Device, Inode, InodeKind, Mode, NameError, Origin, Owner, Tree, Xattrs};
use crate::apk::dependency::Dependency;
use crate::apk::installed::{Access, InstalledDirectory, InstalledFile, InstalledPackage, xattr_digest};
use crate::apk::package::VerifiedPackage;
use crate::archive::table::{Table, TableEntry, TableKind};
use crate::content::{Content, ContentError, ReadAt};
use crate::digest::Sha1;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// A tree and the database of what is installed in it.
#[derive(Debug, Clone, Default)]
pub struct Installation {
    /// The files.
    pub tree: Tree,
    /// The packages.
    pub database: Database,
    /// The tree's accounts and its rules of protection, as they were read last.
    pub(super) known_accounts: KnownAccounts,
    pub(super) known_rules: KnownRules,
}

impl Installation {
    /// A tree and what is installed in it.
    pub fn new(tree: Tree, database: Database) -> Self {
        Self { tree, database, ..Self::default() }
    }
}

/// A package to be placed.
#[derive(Clone)]
pub struct Incoming<'a> {
    /// The package, whose every link to the index and to a key was checked.
    pub package: &'a VerifiedPackage,
    /// What its data member holds.
    pub table: &'a Table,
    /// The inflated data member.
    pub data: Arc<dyn ReadAt>,
    /// Its index entry, with the tag it is pinned to.
    pub entry: InstalledPackage,
}

/// What placing a package did beside placing it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// Files that were changed before and stay; the package's copies were dropped.
    pub kept: Vec<TreePath>,
}

/// Why a package cannot be placed, or taken out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Another package owns a file, and nothing lets this one have it.
    #[error("{package} and {owner} both own {path}")]
    Conflict {
        /// The package that is being placed, as `name-version`.
        package: String,
        /// The package that has the file, as `name-version`.
        owner: String,
        /// The file.
        path: TreePath,
    },
    /// A name cannot be made as the package wants it.
    #[error("{package} cannot be placed: {error}")]
    Name {
        /// The package, as `name-version`.
        package: String,
        /// What is in the way.
        error: NameError,
    },
    /// The tree's accounts cannot be read.
    #[error("{package} cannot be placed: {error}")]
    Accounts {
        /// The package, as `name-version`.
        package: String,
        /// What is wrong.
        error: AccountError,
    },
    /// The tree's rules of protection are not known.
    #[error("{package} cannot be placed: {error}")]
    Protected {
        /// The package, as `name-version`.
        package: String,
        /// What is wrong.
        error: ProtectedError,
    },
    /// A file that is in the way cannot be read.
    #[error("{package} cannot be placed: {error}")]
    Content {
        /// The package, as `name-version`.
        package: String,
        /// What is wrong.
        error: ContentError,
    },
}

impl Explain for PlaceError {
    fn kind(&self) -> Kind {
        match self {
            Self::Content { error, .. } => error.kind(),
            Self::Accounts { error, .. } => error.kind(),
            Self::Protected { error, .. } => error.kind(),
            Self::Name { error, .. } => error.kind(),
            Self::Conflict { .. } => Kind::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict { package, owner, .. } => Some(format!(
                "leave out {package} or {owner}; or one of them must say `replaces` of the other, which is its maintainer's to do"
            )),
            Self::Name { error: NameError::TooMany { .. }, .. } => None,
            Self::Protected { error, .. } => error.hint(),
            Self::Name { .. } => Some(
                "what stands there is another package's, or the base's, and the two do not fit: leave one out"
                    .to_owned(),
            ),
            Self::Accounts { error, .. } => error.hint(),
            Self::Content { error, .. } => error.hint(),
        }
    }
}

impl Installation {
    /// Places a package. An older or newer version of it makes room; `leaving` are the names of packages
    /// that will be taken out, whose files anybody may have.
    pub fn place(&mut self, incoming: &Incoming<'_>, leaving: &HashSet<&str>) -> Result<Placed, PlaceError> {
        let package = incoming.package.to_string();
        let accounts = self.known_accounts.of(&self.tree);
        let accounts = accounts.map_err(|error| PlaceError::Accounts { package: package.clone(), error })?;
        let protected = self.known_rules.of(&self.tree);
        let protected =
            protected.map_err(|error| PlaceError::Protected { package: package.clone(), error })?;
        let former = self.database.package(incoming.entry.name()).cloned();
        let mut placing = Placing {
            tree: &mut self.tree,
            database: &self.database,
            incoming,
            name: package,
            leaving,
            accounts,
            protected,
            new: installed_of(incoming),
            origin: Origin::Package(incoming.entry.name().into()),
            numbers: HashMap::new(),
            has_hard_links: incoming
                .table
                .entries()
                .any(|entry| matches!(entry.kind, TableKind::HardLink(_))),
            checksums: HashMap::new(),
            replaced: OnceCell::new(),
            takes: HashMap::new(),
            through_links: HashSet::new(),
            placed: Placed::default(),
        };
        for entry in incoming.table.entries() {
            placing.entry(&entry)?;
        }
        let Placing { new, mut placed, through_links, .. } = placing;
        self.database.insert_sharing(new, |path| self.tree.shared(path));
        let name: Box<str> = incoming.entry.name().into();
        if !incoming.package.scripts().is_empty() {
            self.database.scripts.insert(name.clone(), incoming.package.scripts().clone());
        }
        if !incoming.package.info().triggers.is_empty() {
            self.database.triggers.insert(name, incoming.package.info().triggers.clone());
        }
        if let Some(former) = former {
            let kept = self.leave(&former, through_links);
            let package = || incoming.package.to_string();
            placed.kept.extend(kept.map_err(|error| PlaceError::Protected { package: package(), error })?);
        }
        Ok(placed)
    }

    /// Records a package that has no file to fetch (`I:0`): its stanza is all there is of it. An older or newer version
    /// of it makes room; returns those of its files that were changed and stay.
    pub fn record(&mut self, entry: InstalledPackage) -> Result<Vec<TreePath>, ProtectedError> {
        let former = self.database.package(entry.name()).cloned();
        self.database.insert(entry);
        former.map_or_else(|| Ok(Vec::new()), |former| self.leave(&former, HashSet::new()))
    }
}

/// What the database will say of the package, without its files.
fn installed_of(incoming: &Incoming<'_>) -> InstalledPackage {
    let info = incoming.package.info();
    InstalledPackage {
        replaces: info.replaces.clone(),
        replaces_priority: info.replaces_priority,
        ..incoming.entry.clone()
    }
}

/// What becomes of something that has the name of a file that comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It makes room.
    GivesWay,
    /// Somebody put there what the package brings: it stays as it is, owner, mode and all.
    IsTheSame,
    /// Somebody changed it: it stays.
    Stays,
}

/// What becomes of a file that two packages have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// The one that comes has it from now on.
    Yes,
    /// The one that has it keeps it.
    No,
    /// Neither may.
    Conflict,
}

/// A package being placed.
struct Placing<'a, 'd> {
    tree: &'a mut Tree,
    database: &'d Database,
    incoming: &'a Incoming<'a>,
    /// `name-version`, for errors.
    name: String,
    leaving: &'a HashSet<&'a str>,
    accounts: Arc<Accounts>,
    protected: Arc<ProtectedPaths>,
    new: InstalledPackage,
    origin: Origin,
    /// Where in `new` each directory is.
    numbers: HashMap<TreePath, usize>,
    /// Whether there are hard links, which are recorded with the checksums of what they name.
    has_hard_links: bool,
    checksums: HashMap<TreePath, Option<Sha1>>,
    /// What the package replaces, by name.
    replaced: OnceCell<HashMap<Box<str>, Vec<Dependency>>>,
    /// What was found out of the owners of files that come.
    takes: HashMap<Box<str>, Takes>,
    /// The links that serve the package as directories, and where the files lie that are behind them.
    through_links: HashSet<TreePath>,
    placed: Placed,
}

impl<'d> Placing<'_, 'd> {
    fn entry(&mut self, entry: &TableEntry) -> Result<(), PlaceError> {
        match &entry.kind {
            TableKind::Directory => self.directory(entry),
            TableKind::File(_)
            | TableKind::HardLink(_)
            | TableKind::Symlink(_)
            | TableKind::CharacterDevice(..)
            | TableKind::BlockDevice(..)
            | TableKind::Fifo => self.file(entry),
        }
    }

    fn directory(&mut self, entry: &TableEntry) -> Result<(), PlaceError> {
        let access = self.access(entry);
        let there = self.record_directory(&entry.path, access);
        if let Some(there) = self.new.directories.get_mut(there) {
            there.access = access;
        }
        let path = self.tree.physical(&entry.path).map_err(|error| self.name_error(error))?;
        match self.tree.get(&path) {
            None => self.insert(path, entry, InodeKind::Directory).map(drop),
            Some(inode) if inode.is_directory() => self.shared_directory(path, entry),
            // A link that leads to a directory serves as one, and is left as it is.
            Some(_) => {
                let leads_to = self.tree.resolve(&path).map_err(|error| self.name_error(error))?;
                if self.tree.is_directory(&leads_to) {
                    self.through_links.insert(path);
                    return Ok(());
                }
                Err(self.name_error(NameError::IsNoDirectory { path }))
            }
        }
    }

    /// A directory that is there has the owner and mode of the package that holds it from now on, if it is as its
    /// holder up to now recorded it. Nobody's stays as it is: whoever made it wanted it so.
    fn shared_directory(&mut self, path: TreePath, entry: &TableEntry) -> Result<(), PlaceError> {
        let Some(before) = self.database.directory_holder(&entry.path) else { return Ok(()) };
        let is_untouched =
            self.tree.get(&path).is_some_and(|there| directories::is_as_recorded(there, before.access));
        if !is_untouched {
            return Ok(());
        }
        match self.database.directory_holder_without(&entry.path, self.new.name()) {
            Some(other) if !directories::comes_before(&self.new, other.package) => {
                if before.package.name() == self.new.name() {
                    directories::hand_over(self.tree, &path, other);
                }
                Ok(())
            }
            _ => self.insert(path, entry, InodeKind::Directory),
        }
    }

    fn file(&mut self, entry: &TableEntry) -> Result<(), PlaceError> {
        let path = self.tree.physical(&entry.path).map_err(|error| self.name_error(error))?;
        let database = self.database;
        for owner in [database.owner(&entry.path), self.owner_by_place(&path)].into_iter().flatten() {
            if owner.name() != self.new.name()
                && !self.leaving.contains(owner.name())
                && !self.takes_from(owner, &entry.path)?
            {
                return Ok(());
            }
        }
        let checksum = self.record(entry)?;
        if path != entry.path {
            self.through_links.insert(path.clone());
        }
        match self.standing(entry, &path, checksum)? {
            Standing::GivesWay => {}
            Standing::IsTheSame => {
                if let Some(there) = self.tree.get_mut(&path) {
                    there.origin = self.origin.clone();
                }
                return Ok(());
            }
            Standing::Stays => {
                self.placed.kept.push(entry.path.clone());
                return Ok(());
            }
        }
        match &entry.kind {
            TableKind::HardLink(target) => {
                let target = self.tree.physical(target).map_err(|error| self.name_error(error))?;
                let Some(number) = self.tree.number(&target) else {
                    return Err(self.name_error(NameError::NoParent { path: target }));
                };
                self.tree.link(path, number).map_err(|error| self.name_error(error))
            }
            TableKind::File(place) => {
                let data = Arc::clone(&self.incoming.data);
                let content = Content::slice(data, place.offset, place.length, place.sha256);
                self.insert(path, entry, InodeKind::File(content))
            }
            TableKind::Symlink(target) => self.insert(path, entry, InodeKind::Symlink(target.clone())),
            TableKind::CharacterDevice(major, minor) => {
                let device = Device { major: *major, minor: *minor };
                self.insert(path, entry, InodeKind::CharacterDevice(device))
            }
            TableKind::BlockDevice(major, minor) => {
                let device = Device { major: *major, minor: *minor };
                self.insert(path, entry, InodeKind::BlockDevice(device))
            }
            TableKind::Fifo => self.insert(path, entry, InodeKind::Fifo),
            TableKind::Directory => Ok(()),
        }
    }

    /// The package whose file lies at `path`, whichever way, through links between directories, led it there.
    fn owner_by_place(&self, path: &TreePath) -> Option<&'d InstalledPackage> {
        match self.tree.get(path)? {
            inode if inode.is_directory() => None,
            Inode { origin: Origin::Package(name), .. } => self.database.package(name),
            Inode { origin: Origin::Base | Origin::Profile | Origin::Generated, .. } => None,
        }
    }

    /// Whether this package may take a file that `owner` has; false if the owner keeps it.
    fn takes_from(&mut self, owner: &InstalledPackage, path: &TreePath) -> Result<bool, PlaceError> {
        let known = self.takes.get(owner.name()).copied();
        let takes = known.unwrap_or_else(|| self.may_take_from(owner));
        if known.is_none() {
            self.takes.insert(owner.name().into(), takes);
        }
        match takes {
            Takes::Yes => Ok(true),
            Takes::No => Ok(false),
            Takes::Conflict => Err(PlaceError::Conflict {
                package: self.name.clone(),
                owner: format!("{}-{}", owner.name(), owner.version()),
                path: path.clone(),
            }),
        }
    }

    fn may_take_from(&self, owner: &InstalledPackage) -> Takes {
        let replaced = self.replaced.get_or_init(|| replaced_by(&self.new));
        let is_replaced = replaced
            .get(owner.name())
            .is_some_and(|by_name| by_name.iter().any(|dependency| is_met_by(dependency, owner)));
        let owners_claim = replaces(owner, &self.new).then_some(owner.replaces_priority);
        let our_claim = is_replaced.then_some(self.new.replaces_priority);
        if owners_claim > our_claim {
            return Takes::No;
        }
        let same_origin = !self.new.origin().is_empty() && self.new.origin() == owner.origin();
        if our_claim.is_some() || same_origin { Takes::Yes } else { Takes::Conflict }
    }

    /// Writes the file down for the database and returns the checksum it is recorded with.
    fn record(&mut self, entry: &TableEntry) -> Result<Option<Sha1>, PlaceError> {
        let checksum = match &entry.kind {
            TableKind::File(place) => Some(place.sha1),
            TableKind::Symlink(target) => Some(Sha1::of(target.as_bytes())),
            TableKind::HardLink(target) => self.checksums.get(target).copied().flatten(),
            TableKind::Directory
            | TableKind::CharacterDevice(..)
            | TableKind::BlockDevice(..)
            | TableKind::Fifo => None,
        };
        // Of a hard link too it is what its own entry says, as apk records it.
        let access = self.access(entry);
        let parent = entry.path.parent().unwrap_or_default();
        let file = InstalledFile { name: entry.path.name().to_owned(), access, checksum };
        let number = match self.numbers.get(&parent) {
            Some(number) => *number,
            None if parent.is_root() => self.record_directory(&parent, Access::DIRECTORY),
            None => return Err(self.name_error(NameError::NoParent { path: entry.path.clone() })),
        };
        if let Some(directory) = self.new.directories.get_mut(number) {
            directory.files.push(file);
        }
        if self.has_hard_links {
            self.checksums.insert(entry.path.clone(), checksum);
        }
        Ok(checksum)
    }

    /// The number of a directory in the record, put there with `access` if it is not.
    fn record_directory(&mut self, path: &TreePath, access: Access) -> usize {
        *self.numbers.entry(path.clone()).or_insert_with(|| {
            self.new.directories.push(InstalledDirectory { path: path.clone(), access, files: Vec::new() });
            self.new.directories.len() - 1
        })
    }

    /// What becomes of what stands at `path`, now that a file with the checksum `new` comes.
    fn standing(
        &self,
        entry: &TableEntry,
        path: &TreePath,
        new: Option<Sha1>,
    ) -> Result<Standing, PlaceError> {
        let Some(there) = self.tree.get(path) else { return Ok(Standing::GivesWay) };
        match self.protected.protection(&entry.path) {
            Protection::None => return Ok(Standing::GivesWay),
            Protection::Changed => {}
        }
        let there = match &there.kind {
            InodeKind::File(content) => Some(
                sha1_of(content, entry)
                    .map_err(|error| PlaceError::Content { package: self.name.clone(), error })?,
            ),
            InodeKind::Symlink(target) => Some(Sha1::of(target.as_bytes())),
            InodeKind::CharacterDevice(_) | InodeKind::BlockDevice(_) | InodeKind::Fifo => None,
            // One that packages have cannot become something else; somebody's own stays.
            InodeKind::Directory if self.database.directory_holder(&entry.path).is_some() => {
                return Ok(Standing::GivesWay);
            }
            InodeKind::Directory => return Ok(Standing::Stays),
        };
        let recorded = self.database.file(&entry.path);
        if recorded.is_some_and(|file| file.checksum == there) {
            return Ok(Standing::GivesWay);
        }
        Ok(if there.is_some() && new == there { Standing::IsTheSame } else { Standing::Stays })
    }

    fn insert(&mut self, path: TreePath, entry: &TableEntry, kind: InodeKind) -> Result<(), PlaceError> {
        let access = self.access(entry);
        // apk records those of directories and does not set them.
        let xattrs = match (&kind, self.tree.get(&path)) {
            (InodeKind::Directory, Some(there)) => there.xattrs.clone(),
            (InodeKind::Directory, None) => Xattrs::new(),
            _ => entry.xattrs.clone(),
        };
        let inode = Inode {
            kind,
            mode: Mode::new(access.mode),
            owner: Owner { uid: access.uid, gid: access.gid },
            mtime: Some(entry.mtime),
            xattrs,
            origin: self.origin.clone(),
        };
        self.tree.insert(path, inode).map(drop).map_err(|error| self.name_error(error))
    }

    fn access(&self, entry: &TableEntry) -> Access {
        let xattrs = entry.xattrs.iter().map(|(name, value)| (&**name, &**value));
        Access {
            uid: self.accounts.user(&entry.user).unwrap_or(entry.uid),
            gid: self.accounts.group(&entry.group).unwrap_or(entry.gid),
            mode: entry.mode,
            xattrs: xattr_digest(xattrs),
        }
    }

    fn name_error(&self, error: NameError) -> PlaceError {
        PlaceError::Name { package: self.name.clone(), error }
    }
}

/// The SHA-1 of what is there, which is known if it is what `entry` brings.
fn sha1_of(there: &Content, entry: &TableEntry) -> Result<Sha1, ContentError> {
    match &entry.kind {
        TableKind::File(place) if there.digest() == place.sha256 => Ok(place.sha1),
        _ => Ok(Sha1::of(&there.to_vec()?)),
    }
}

/// What `package` says that it may overwrite files of, by name.
fn replaced_by(package: &InstalledPackage) -> HashMap<Box<str>, Vec<Dependency>> {
    let mut replaced: HashMap<Box<str>, Vec<Dependency>> = HashMap::new();
    for dependency in package.replaces.iter().filter_map(|text| Dependency::of_index(text).ok()) {
        replaced.entry((*dependency.name).into()).or_default().push(dependency);
    }
    replaced
}

/// Whether `package` says that it may overwrite files of `other`.
fn replaces(package: &InstalledPackage, other: &InstalledPackage) -> bool {
    // Most say nothing of it, which is told by the beginning.
    let named = package.replaces.iter().filter(|text| text.starts_with(other.name()));
    named.filter_map(|text| Dependency::of_index(text).ok()).any(|dependency| is_met_by(&dependency, other))
}

/// Whether a package has the name and the version that a line of `replaces` states.
fn is_met_by(dependency: &Dependency, package: &InstalledPackage) -> bool {
    *dependency.name == *package.name()
        && !dependency.conflict
        && dependency.constraint.accepts(Some(package.version()), || package.field('C').parse().ok())
}
