//! What is installed in a tree: packages, who owns which path, scripts, triggers, the world.
//!
//! The questions that placing a package asks are answered here, and the files under `lib/apk/db` and
//! `etc/apk` that a later `apk` in the image reads are written from here, last. Paths are those the packages
//! state; where they lie in a tree with links between directories is the tree's to say.
//!
//! Source: spec apk v2, "Installed database", "Install semantics".

use std::collections::{BTreeMap, HashMap, HashSet};

use super::directories::{self, Recorded};
use crate::apk::dependency::{Dependency, Tag};
use crate::apk::installed::{InstalledFile, InstalledPackage, sort_by_name};
use crate::apk::package::Scripts;
use crate::digest::Identity;
use crate::path::TreePath;

/// The installed packages of a tree.
#[derive(Debug, Clone, Default)]
pub struct Database {
    /// The packages by their numbers; nothing where one was taken out.
    packages: Vec<Option<InstalledPackage>>,
    /// The numbers by name. A package of the same name as one before gets its number.
    numbers: HashMap<Box<str>, PackageNumber>,
    /// Who owns each path that is no directory.
    owners: HashMap<TreePath, Owned>,
    /// Which packages have each directory.
    directories: HashMap<TreePath, SharedDirectory>,
    /// The scripts of each package that has any.
    pub scripts: BTreeMap<Box<str>, Scripts>,
    /// The trigger globs of each package that has any.
    pub triggers: BTreeMap<Box<str>, Vec<String>>,
    /// What was asked for.
    pub world: Vec<Dependency>,
}

/// A package of the database.
type PackageNumber = u32;

/// Where a path is in the record of the package that owns it.
#[derive(Debug, Clone, Copy)]
struct Owned {
    package: PackageNumber,
    /// The place of its directory among the package's.
    directory: u32,
    /// Its place in the directory when it was recorded. Files before it may have gone to other packages since.
    file: u32,
}

/// The packages that have a directory.
#[derive(Debug, Clone, Default)]
struct SharedDirectory {
    /// In the order in which they came.
    claims: Vec<Claim>,
    /// The place of the one that holds it among them.
    holder: usize,
}

/// A package's record of a directory.
#[derive(Debug, Clone, Copy)]
struct Claim {
    package: PackageNumber,
    /// The place of the directory among the package's.
    directory: u32,
}

impl Database {
    /// The package of that name.
    pub fn package(&self, name: &str) -> Option<&InstalledPackage> {
        self.numbered(*self.numbers.get(name)?)
    }

    fn numbered(&self, number: PackageNumber) -> Option<&InstalledPackage> {
        self.packages.get(number as usize)?.as_ref()
    }

    /// The packages in the order of the database: by name.
    pub fn packages(&self) -> Vec<&InstalledPackage> {
        let mut packages: Vec<&InstalledPackage> = self.packages.iter().flatten().collect();
        sort_by_name(&mut packages);
        packages
    }

    /// The package that owns a file.
    pub fn owner(&self, path: &TreePath) -> Option<&InstalledPackage> {
        self.numbered(self.owners.get(path)?.package)
    }

    /// What the owner of a file records of it.
    pub fn file(&self, path: &TreePath) -> Option<&InstalledFile> {
        let owned = self.owners.get(path)?;
        let directory = self.numbered(owned.package)?.directories.get(owned.directory as usize)?;
        // Files only ever go, so it is where it was, or before.
        let before = directory.files.get(..=owned.file as usize).unwrap_or(&directory.files);
        before.iter().rev().find(|file| file.name == path.name())
    }

    /// The packages that have a directory, in the order in which they came. All that they have is gone through.
    pub fn directory_owners(&self, path: &TreePath) -> impl Iterator<Item = &InstalledPackage> {
        let has_it =
            |package: &&InstalledPackage| package.directories.iter().any(|directory| directory.path == *path);
        self.packages.iter().flatten().filter(has_it)
    }

    /// The package that holds a directory, and how it records it. See [`directories`].
    pub(super) fn directory_holder(&self, path: &TreePath) -> Option<Recorded<'_>> {
        let shared = self.directories.get(path)?;
        self.recorded(*shared.claims.get(shared.holder)?)
    }

    /// The package that would hold a directory without the one called `name`, and how it records it.
    pub(super) fn directory_holder_without(&self, path: &TreePath, name: &str) -> Option<Recorded<'_>> {
        let shared = self.directories.get(path)?;
        let number = self.numbers.get(name);
        if shared.claims.iter().all(|claim| Some(&claim.package) != number) {
            return self.directory_holder(path);
        }
        let others = shared.claims.iter().filter(|claim| Some(&claim.package) != number);
        directories::holder(others.filter_map(|claim| self.recorded(*claim)))
    }

    fn recorded(&self, claim: Claim) -> Option<Recorded<'_>> {
        let package = self.numbered(claim.package)?;
        let access = package.directories.get(claim.directory as usize)?.access;
        Some(Recorded { package, access })
    }

    /// Whether the package `name` has a directory.
    pub(super) fn has_directory(&self, name: &str, path: &TreePath) -> bool {
        let number = self.numbers.get(name);
        let mut claims = self.directories.get(path).into_iter().flat_map(|shared| &shared.claims);
        claims.any(|claim| Some(&claim.package) == number)
    }

    /// The directories that any package has, sorted.
    pub fn directories(&self) -> Vec<&TreePath> {
        let mut paths: Vec<&TreePath> = self.directories.keys().collect();
        paths.sort_unstable();
        paths
    }

    /// Puts in a package with its files, which become its own; one of the same name is replaced.
    pub fn insert(&mut self, package: InstalledPackage) {
        self.insert_sharing(package, |path| path);
    }

    /// As [`Self::insert`]; `shared` gives paths that are kept elsewhere already.
    pub(super) fn insert_sharing(
        &mut self,
        package: InstalledPackage,
        shared: impl Fn(TreePath) -> TreePath,
    ) {
        let name: Box<str> = package.name().into();
        self.remove(&name);
        // More packages than that do not fit into memory.
        let next = PackageNumber::try_from(self.packages.len()).unwrap_or(PackageNumber::MAX);
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.packages.push(None);
        }
        let mut taken: HashMap<(PackageNumber, u32), HashSet<String>> = HashMap::new();
        for (directory, recorded) in (0..).zip(&package.directories) {
            for (file, recorded_file) in (0..).zip(&recorded.files) {
                let Ok(path) = recorded.path.join(&recorded_file.name) else { continue };
                let owned = Owned { package: number, directory, file };
                if let Some(former) = self.owners.insert(shared(path), owned)
                    && former.package != number
                {
                    let names = taken.entry((former.package, former.directory)).or_default();
                    names.insert(recorded_file.name.clone());
                }
            }
        }
        for ((package, directory), names) in taken {
            self.lose(package, directory, &names);
        }
        let paths: Vec<TreePath> =
            package.directories.iter().map(|directory| directory.path.clone()).collect();
        if let Some(there) = self.packages.get_mut(number as usize) {
            *there = Some(package);
        }
        for (directory, path) in (0..).zip(paths) {
            self.claim(path, Claim { package: number, directory });
        }
    }

    /// Takes the files called `names` out of a directory of a package: another one has them.
    fn lose(&mut self, package: PackageNumber, directory: u32, names: &HashSet<String>) {
        let package = self.packages.get_mut(package as usize).and_then(Option::as_mut);
        let directory = package.and_then(|package| package.directories.get_mut(directory as usize));
        if let Some(directory) = directory {
            directory.files.retain(|file| !names.contains(&file.name));
        }
    }

    /// Notes that a package has a directory too.
    fn claim(&mut self, path: TreePath, claim: Claim) {
        let shared = self.directories.entry(path).or_default();
        shared.claims.push(claim);
        let last = shared.claims.len() - 1;
        let package = |place: usize| self.packages.get(shared.claims.get(place)?.package as usize)?.as_ref();
        if let (Some(new), Some(holder)) = (package(last), package(shared.holder))
            && directories::comes_before(new, holder)
        {
            shared.holder = last;
        }
    }

    /// Takes a package out, with what is its own.
    pub fn remove(&mut self, name: &str) -> Option<InstalledPackage> {
        let number = *self.numbers.get(name)?;
        let package = self.packages.get_mut(number as usize)?.take()?;
        for (directory, file) in package.files() {
            if let Ok(path) = directory.join(&file.name)
                && self.owners.get(&path).is_some_and(|owned| owned.package == number)
            {
                self.owners.remove(&path);
            }
        }
        for directory in &package.directories {
            self.disclaim(&directory.path, number);
        }
        self.scripts.remove(name);
        self.triggers.remove(name);
        Some(package)
    }

    /// Notes that a package does not have a directory any more.
    fn disclaim(&mut self, path: &TreePath, number: PackageNumber) {
        let Some(shared) = self.directories.get_mut(path) else { return };
        shared.claims.retain(|claim| claim.package != number);
        if shared.claims.is_empty() {
            self.directories.remove(path);
            return;
        }
        let packages = &self.packages;
        let package = |claim: &Claim| packages.get(claim.package as usize)?.as_ref();
        let mut holder: Option<(usize, &InstalledPackage)> = None;
        for (place, next) in
            shared.claims.iter().enumerate().filter_map(|(place, claim)| Some((place, package(claim)?)))
        {
            if holder.is_none_or(|(_, holder)| directories::comes_before(next, holder)) {
                holder = Some((place, next));
            }
        }
        shared.holder = holder.map_or(0, |(place, _)| place);
    }

    fn package_mut(&mut self, name: &str) -> Option<&mut InstalledPackage> {
        self.packages.get_mut(*self.numbers.get(name)? as usize)?.as_mut()
    }

    /// Pins the package `name`, if it is there, to `tag`.
    pub fn repin(&mut self, name: &str, tag: Option<Tag>) {
        if let Some(package) = self.package_mut(name) {
            package.tag = tag;
        }
    }

    /// Notes of the package `name`, if it is there, that a script of it failed.
    pub fn mark_failed_script(&mut self, name: &str) {
        if let Some(package) = self.package_mut(name) {
            package.mark_failed_script();
        }
    }

    /// Changes something of every package but what it owns.
    pub fn change_all(&mut self, change: impl FnMut(&mut InstalledPackage)) {
        self.packages.iter_mut().flatten().for_each(change);
    }

    /// Forgets who owns which path. The packages still say what they have.
    pub(super) fn forget_owners(&mut self) {
        self.owners = HashMap::new();
        self.directories = HashMap::new();
    }

    /// Forgets all files and directories. What is known of the packages beside stays.
    pub fn forget_files(&mut self) {
        self.forget_owners();
        self.change_all(|package| package.directories = Vec::new());
    }

    /// The text of `lib/apk/db/installed`.
    pub fn installed_text(&self) -> String {
        let mut text = String::new();
        for package in self.packages() {
            package.write(&mut text);
        }
        text
    }

    /// The text of `lib/apk/db/triggers`.
    pub fn triggers_text(&self) -> String {
        self.packages()
            .into_iter()
            .filter_map(|package| {
                let globs = self.triggers.get(package.name())?;
                Some(format!("{} {}\n", package.field('C'), globs.join(" ")))
            })
            .collect()
    }

    /// The text of `etc/apk/world`.
    pub fn world_text(&self) -> String {
        let mut world: Vec<(String, String)> = self
            .world
            .iter()
            .map(|dependency| (dependency.name.to_ascii_lowercase(), dependency.to_string()))
            .collect();
        // By the names alone: `php7@tag` comes before `php7-fpm`, which its text would not.
        world.sort();
        world.dedup();
        world.into_iter().map(|(_, line)| line + "\n").collect()
    }

    /// The entries of `lib/apk/db/scripts.tar`: name, time and text, in the order of the database.
    pub fn script_entries(&self) -> Vec<(String, i64, &[u8])> {
        let mut entries = Vec::new();
        for package in self.packages() {
            let Some(scripts) = self.scripts.get(package.name()) else { continue };
            let Ok(identity) = package.field('C').parse::<Identity>() else { continue };
            let time = package.field('t').parse().unwrap_or(0);
            for (kind, text) in scripts {
                let name = format!("{}-{}.{}.{kind}", package.name(), package.version(), identity.to_x1());
                entries.push((name, time, text.as_slice()));
            }
        }
        entries
    }

    /// The names of all packages.
    pub fn names(&self) -> HashSet<&str> {
        self.packages.iter().flatten().map(InstalledPackage::name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apk::installed::{Access, InstalledDirectory};

    fn path(text: &str) -> TreePath {
        TreePath::relative(text).unwrap()
    }

    /// The package `name` with `files`, each with the checksum of the package's name.
    fn package(name: &str, files: &[&str]) -> InstalledPackage {
        let mut directories: Vec<InstalledDirectory> = Vec::new();
        for file in files.iter().map(|file| path(file)) {
            let parent = file.parent().unwrap();
            if directories.last().is_none_or(|last| last.path != parent) {
                let access = Access::DIRECTORY;
                directories.push(InstalledDirectory { path: parent, access, files: Vec::new() });
            }
            let checksum = Some(crate::digest::Sha1::of(name.as_bytes()));
            let file = InstalledFile { name: file.name().to_owned(), access: Access::FILE, checksum };
            directories.last_mut().unwrap().files.push(file);
        }
        let fields = vec![('P', name.to_owned()), ('V', "1".to_owned())];
        InstalledPackage { fields, directories, ..InstalledPackage::default() }
    }

    fn owner<'a>(database: &'a Database, file: &str) -> Option<&'a str> {
        database.owner(&path(file)).map(InstalledPackage::name)
    }

    #[test]
    fn what_a_package_records_of_a_file_is_found_after_others_took_files_before_it() {
        let mut database = Database::default();
        database.insert(package("a", &["d/1", "d/2", "d/3", "d/4", "e/1"]));
        database.insert(package("b", &["d/1", "d/3"]));
        for (file, name) in [("d/1", "b"), ("d/2", "a"), ("d/3", "b"), ("d/4", "a"), ("e/1", "a")] {
            assert_eq!(owner(&database, file), Some(name), "{file}");
            let checksum = database.file(&path(file)).unwrap().checksum;
            assert_eq!(checksum, Some(crate::digest::Sha1::of(name.as_bytes())), "{file}");
        }
        let left: Vec<String> =
            database.package("a").unwrap().files().map(|(_, file)| file.name.clone()).collect();
        assert_eq!(left, ["2", "4", "1"]);
        assert!(database.file(&path("d/5")).is_none());
    }

    #[test]
    fn a_package_that_goes_takes_only_what_it_still_owns() {
        let mut database = Database::default();
        database.insert(package("a", &["d/1", "d/2"]));
        database.insert(package("b", &["d/1"]));
        assert!(database.remove("a").is_some());
        assert!(database.remove("a").is_none());
        assert_eq!([owner(&database, "d/1"), owner(&database, "d/2")], [Some("b"), None]);
        database.insert(package("a", &["d/2"]));
        assert_eq!([owner(&database, "d/1"), owner(&database, "d/2")], [Some("b"), Some("a")]);
        assert_eq!(database.names().len(), 2);
    }

    #[test]
    fn the_holder_of_a_directory_is_the_one_that_going_through_all_gives() {
        let mut database = Database::default();
        let expected = |database: &Database| {
            let directory = path("d");
            let all = database
                .directory_owners(&directory)
                .map(|package| Recorded { package, access: Access::DIRECTORY });
            directories::holder(all).map(|holder| holder.package.name().to_owned())
        };
        let holder = |database: &Database| {
            database.directory_holder(&path("d")).map(|holder| holder.package.name().to_owned())
        };
        for (name, priority) in [("m", 0), ("c", 0), ("x", 2), ("a", 0), ("y", 2)] {
            database.insert(InstalledPackage { replaces_priority: priority, ..package(name, &["d/f"]) });
            assert_eq!(holder(&database), expected(&database), "with {name}");
        }
        assert_eq!(holder(&database).as_deref(), Some("x"));
        let without = database.directory_holder_without(&path("d"), "x").unwrap();
        assert_eq!(without.package.name(), "y");
        for name in ["x", "m", "y", "a", "c"] {
            database.remove(name);
            assert_eq!(holder(&database), expected(&database), "without {name}");
        }
        assert!(database.directories().is_empty());
    }
}
