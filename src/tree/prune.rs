//! Leaving out of the image what it was staged with: paths, and whole packages.
//!
//! Paths go without a trace in the database, as if somebody had removed them in a container: their packages
//! stay installed. A pruned package goes with everything that came from it: its files, stanza, scripts and
//! trigger, and the links that were made to it. Whoever needed it is named.
//!
//! Source: design, "The profile", `[prune]`.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use super::database::Database;
use super::place::Installation;
use super::{InodeKind, Origin};
use crate::apk::dependency::{Dependency, Provide};
use crate::apk::installed::InstalledPackage;
use crate::path::TreePath;

/// A dependency that pruning left without a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsatisfied {
    /// The package that states it, as `name-version`.
    pub package: String,
    /// The dependency.
    pub dependency: String,
}

impl Installation {
    /// Takes out every path that `matches`, and what is below it. Returns how many names went.
    pub fn prune_paths(&mut self, matches: impl Fn(&TreePath) -> bool) -> usize {
        let doomed: Vec<TreePath> = self
            .tree
            .entries()
            .map(|(path, _, _)| path)
            .filter(|path| !path.is_root() && matches(path))
            .cloned()
            .collect();
        let before = self.tree.len();
        for path in &doomed {
            self.tree.remove_all(path);
        }
        before - self.tree.len()
    }

    /// Takes out the packages `names`; those that are not installed are returned.
    pub fn prune_packages<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let (mut missing, mut before) = (Vec::new(), None);
        for name in names {
            let Some(package) = self.database.remove(name) else {
                missing.push(name);
                continue;
            };
            before.get_or_insert_with(|| self.dangling_links());
            self.remove_unowned(&package);
        }
        if let Some(before) = before {
            for link in self.dangling_links().difference(&before) {
                self.tree.remove_all(link);
            }
        }
        let mut world = std::mem::take(&mut self.database.world);
        let provided = Provided::by(&self.database);
        world.retain(|dependency| dependency.conflict || provided.satisfy(dependency));
        self.database.world = world;
        missing
    }

    /// Links of nobody's that point at nothing.
    fn dangling_links(&self) -> HashSet<TreePath> {
        let of_nobody = |origin: &Origin| matches!(origin, Origin::Base | Origin::Generated);
        self.tree
            .entries()
            .filter(|(_, _, inode)| of_nobody(&inode.origin) && matches!(inode.kind, InodeKind::Symlink(_)))
            .filter(|(path, _, _)| {
                self.tree.resolve(path).is_ok_and(|target| self.tree.get(&target).is_none())
            })
            .map(|(path, _, _)| path.clone())
            .collect()
    }

    /// The dependencies of installed packages that nothing installed satisfies.
    pub fn unsatisfied(&self) -> Vec<Unsatisfied> {
        let provided = Provided::by(&self.database);
        let mut unsatisfied = Vec::new();
        for package in self.database.packages() {
            for text in package.field('D').split_ascii_whitespace() {
                let is_satisfied = Dependency::of_index(text)
                    .is_ok_and(|dependency| dependency.conflict || provided.satisfy(&dependency));
                if !is_satisfied {
                    unsatisfied.push(Unsatisfied {
                        package: format!("{}-{}", package.name(), package.version()),
                        dependency: text.to_owned(),
                    });
                }
            }
        }
        unsatisfied
    }
}

/// What the packages of a database provide, by name: each has its own name too.
struct Provided<'a>(HashMap<&'a str, Vec<(&'a InstalledPackage, Option<&'a str>)>>);

impl<'a> Provided<'a> {
    fn by(database: &'a Database) -> Self {
        let mut by_name: HashMap<&str, Vec<(&InstalledPackage, Option<&str>)>> = HashMap::new();
        for package in database.packages() {
            let provided = package.field('p').split_ascii_whitespace().filter_map(Provide::split);
            for (name, version) in provided.chain([(package.name(), Some(package.version()))]) {
                by_name.entry(name).or_default().push((package, version));
            }
        }
        Self(by_name)
    }

    fn satisfy(&self, dependency: &Dependency) -> bool {
        self.0.get(&*dependency.name).into_iter().flatten().any(|(package, version)| {
            dependency.constraint.accepts(*version, || package.field('C').parse().ok())
        })
    }
}
