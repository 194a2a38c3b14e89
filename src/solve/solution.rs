//! What the solver answers: the packages of the resulting tree and the steps that lead there.

use super::{Installed, Repository};
use crate::apk::dependency::{Dependency, Tag};
use crate::apk::index::{Package, PackageNumber};

/// The number of a repository in the order they were given, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryNumber(pub u32);

/// Where a package is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// In a repository, from which it is fetched.
    Repository(RepositoryNumber, PackageNumber),
    /// In the installed database.
    Installed(PackageNumber),
}

/// What a step does. `old` is the number of the installed package that gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A package comes that was not there in any version.
    Install,
    /// A higher version replaces the old one.
    Upgrade {
        /// The installed package.
        old: PackageNumber,
    },
    /// A lower version replaces the old one.
    Downgrade {
        /// The installed package.
        old: PackageNumber,
    },
    /// Another package of the same version replaces the old one: it was built again.
    Replace {
        /// The installed package.
        old: PackageNumber,
    },
    /// The package stays and is pinned to another tag.
    Repin,
    /// The package goes.
    Purge,
}

impl Action {
    /// What it is called: `install`, `upgrade`, `downgrade`, `replace`, `repin` or `purge`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade { .. } => "upgrade",
            Self::Downgrade { .. } => "downgrade",
            Self::Replace { .. } => "replace",
            Self::Repin => "repin",
            Self::Purge => "purge",
        }
    }

    /// The installed package that a step with the package at `source` begins with, if there is one.
    #[must_use]
    pub fn old(self, source: Source) -> Option<PackageNumber> {
        match (self, source) {
            (Self::Upgrade { old } | Self::Downgrade { old } | Self::Replace { old }, _) => Some(old),
            (Self::Repin | Self::Purge, Source::Installed(number)) => Some(number),
            (Self::Install | Self::Repin | Self::Purge, _) => None,
        }
    }
}

/// One step, in apk's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// With which package: of the installed ones for [`Action::Purge`] and [`Action::Repin`], of a repository
    /// for all others.
    pub source: Source,
    /// The tag it is pinned to from then on (`s:` in the installed database).
    pub tag: Option<Tag>,
}

/// A package of the resulting tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Where it is described: in the installed database if it stays as it is.
    pub source: Source,
    /// The tag it is pinned to.
    pub tag: Option<Tag>,
    /// Why it is needed: the first reason found, nearest to the world.
    pub reason: Reason,
}

/// Why a package is part of a solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The world asks for it.
    World(Dependency),
    /// A package depends on it.
    Package(Source, Dependency),
    /// It comes by itself with a package that completed what it waits for.
    With(Source),
}

/// A world satisfied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Solution {
    /// What to do, in this order.
    pub steps: Vec<Step>,
    /// All packages of the resulting tree, by name.
    pub packages: Vec<Chosen>,
    /// The same in the order in which apk comes to them, those that stay as they are among the others.
    pub order: Vec<Source>,
}

impl Source {
    /// The package's description, if the repositories and the base are those that were solved with.
    #[must_use]
    pub fn package<'a>(
        self,
        repositories: &'a [Repository<'_>],
        installed: Option<&'a Installed<'_>>,
    ) -> Option<Package<'a>> {
        match self {
            Self::Repository(RepositoryNumber(repository), number) => {
                repositories.get(repository as usize)?.index.package(number)
            }
            Self::Installed(number) => installed?.index.package(number),
        }
    }
}
