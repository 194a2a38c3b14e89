//! What is installed in a tree: packages, who owns which path, scripts, triggers, the world.
//!
//! The questions that placing a package asks are answered here, and the files under `lib/apk/db` and
//! `etc/apk` that a later `apk` in the image reads are written from here, last. Paths are those the packages
//! state; where they lie in a tree with links between directories is the tree's to say.
//!
//! Source: spec apk v2, "Installed database", "Install semantics".

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::apk::dependency::{Dependency, Tag};
use crate::apk::installed::{InstalledPackage, sort_by_name};
use crate::apk::package::Scripts;
use crate::digest::Identity;
use crate::path::TreePath;

/// The installed packages of a tree.
#[derive(Debug, Clone, Default)]
pub struct Database {
    packages: HashMap<Box<str>, InstalledPackage>,
    /// Which package owns each path that is no directory.
    owners: HashMap<TreePath, Box<str>>,
    /// Which packages have each directory.
    directories: HashMap<TreePath, Vec<Box<str>>>,
    /// The scripts of each package that has any.
    pub scripts: BTreeMap<Box<str>, Scripts>,
    /// The trigger globs of each package that has any.
    pub triggers: BTreeMap<Box<str>, Vec<String>>,
    /// What was asked for.
    pub world: Vec<Dependency>,
}

impl Database {
    /// The package of that name.
    pub fn package(&self, name: &str) -> Option<&InstalledPackage> {
        self.packages.get(name)
    }

    /// The packages in the order of the database: by name.
    pub fn packages(&self) -> Vec<&InstalledPackage> {
        let mut packages: Vec<&InstalledPackage> = self.packages.values().collect();
        sort_by_name(&mut packages);
        packages
    }

    /// The package that owns a file.
    pub fn owner(&self, path: &TreePath) -> Option<&InstalledPackage> {
        self.packages.get(self.owners.get(path)?)
    }

    /// The packages that have a directory.
    pub fn directory_owners(&self, path: &TreePath) -> impl Iterator<Item = &InstalledPackage> {
        self.directories.get(path).into_iter().flatten().filter_map(|name| self.packages.get(name))
    }

    /// The directories that any package has, sorted.
    pub fn directories(&self) -> Vec<&TreePath> {
        let owned = self.directories.iter().filter(|(_, owners)| !owners.is_empty());
        let mut paths: Vec<&TreePath> = owned.map(|(path, _)| path).collect();
        paths.sort_unstable();
        paths
    }

    /// Puts in a package with its files, which become its own; one of the same name is replaced.
    pub fn insert(&mut self, package: InstalledPackage) {
        let name: Box<str> = package.name().into();
        self.remove(&name);
        for directory in &package.directories {
            self.directories.entry(directory.path.clone()).or_default().push(name.clone());
            for file in &directory.files {
                if let Ok(path) = directory.path.join(&file.name) {
                    self.claim(&path, &name);
                }
            }
        }
        self.packages.insert(name, package);
    }

    /// Takes a package out, with what is its own.
    pub fn remove(&mut self, name: &str) -> Option<InstalledPackage> {
        let package = self.packages.remove(name)?;
        self.owners.retain(|_, owner| **owner != *name);
        for directory in &package.directories {
            if let Some(owners) = self.directories.get_mut(&directory.path) {
                owners.retain(|owner| **owner != *name);
            }
        }
        self.scripts.remove(name);
        self.triggers.remove(name);
        Some(package)
    }

    /// Pins the package `name`, if it is there, to `tag`.
    pub fn repin(&mut self, name: &str, tag: Option<Tag>) {
        if let Some(package) = self.packages.get_mut(name) {
            package.tag = tag;
        }
    }

    /// Notes of the package `name`, if it is there, that a script of it failed.
    pub fn mark_failed_script(&mut self, name: &str) {
        if let Some(package) = self.packages.get_mut(name) {
            package.mark_failed_script();
        }
    }

    /// Changes something of every package but what it owns.
    pub fn change_all(&mut self, change: impl FnMut(&mut InstalledPackage)) {
        self.packages.values_mut().for_each(change);
    }

    /// Gives `path` to the package `name`; a former owner's list loses it.
    fn claim(&mut self, path: &TreePath, name: &str) {
        let Some(former) = self.owners.insert(path.clone(), name.into()) else { return };
        if *former == *name {
            return;
        }
        let Some(package) = self.packages.get_mut(&former) else { return };
        let parent = path.parent().unwrap_or_default();
        for directory in package.directories.iter_mut().filter(|directory| directory.path == parent) {
            directory.files.retain(|file| file.name != path.name());
        }
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
        self.packages.keys().map(|name| &**name).collect()
    }
}
