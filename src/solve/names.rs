//! Every package of every repository and of the base, and who provides which name.
//!
//! Nothing is laid out here: each index knows its own names, and a solution asks for few of them. A package
//! that several repositories have, or that is installed too, is one: what makes it the same is its identity.

use std::collections::HashMap;

use super::refusal::Refusal;
use super::solution::{RepositoryNumber, Source};
use super::tags::{TagSet, Tags};
use super::{Installed, Repository};
use crate::apk::dependency::Tag;
use crate::apk::index::{Index, Package, PackageNumber, Provider};
use crate::digest::Identity;

/// The installed side of a package.
#[derive(Clone, Copy)]
pub(super) struct Resident<'a> {
    pub(super) number: PackageNumber,
    pub(super) tag: Option<&'a Tag>,
}

/// A package in a repository.
#[derive(Clone, Copy)]
pub(super) struct Copy<'a> {
    pub(super) repository: RepositoryNumber,
    pub(super) number: PackageNumber,
    pub(super) tag: Option<&'a Tag>,
}

/// Everywhere a package is.
#[derive(Default)]
pub(super) struct Places<'a> {
    pub(super) installed: Option<Resident<'a>>,
    /// The repositories that have it, in their order.
    pub(super) copies: Vec<Copy<'a>>,
}

impl<'a> Places<'a> {
    /// All of them, the installed one first.
    pub(super) fn sources(&self) -> impl Iterator<Item = Source> {
        let installed = self.installed.iter().map(|resident| Source::Installed(resident.number));
        installed.chain(self.copies.iter().map(|copy| Source::Repository(copy.repository, copy.number)))
    }

    /// The tags under which the package can be had; being installed counts as its tag.
    pub(super) fn tags(&self, tags: &Tags<'_>) -> TagSet {
        let installed = self.installed.iter().map(|resident| resident.tag);
        installed
            .chain(self.copies.iter().map(|copy| copy.tag))
            .fold(TagSet::EMPTY, |set, tag| set.union(tags.set_of(tag)))
    }

    /// The first copy that may be used.
    pub(super) fn first_copy(&self, tags: &Tags<'_>, allowed: TagSet) -> Option<&Copy<'a>> {
        self.copies.iter().find(|copy| tags.set_of(copy.tag).meets(allowed))
    }
}

/// All names and packages.
pub(super) struct Universe<'a> {
    pub(super) tags: Tags<'a>,
    repositories: &'a [Repository<'a>],
    installed: Option<&'a Installed<'a>>,
}

impl<'a> Universe<'a> {
    pub(super) fn new(
        repositories: &'a [Repository<'_>],
        installed: Option<&'a Installed<'_>>,
    ) -> Result<Self, Refusal> {
        let tags = Tags::new(repositories.iter().filter_map(|repository| repository.tag.as_ref()))
            .ok_or(Refusal::TooManyTags { limit: Tags::LIMIT })?;
        Ok(Self { tags, repositories, installed })
    }

    pub(super) fn package(&self, source: Source) -> Option<Package<'a>> {
        source.package(self.repositories, self.installed)
    }

    /// The installed packages, in the order of their database.
    pub(super) fn residents(&self) -> impl Iterator<Item = (Resident<'a>, Package<'a>)> {
        let installed = self.installed;
        let packages = installed.into_iter().flat_map(|installed| installed.index.packages());
        packages
            .zip((0..).map(PackageNumber))
            .map(move |(package, number)| (Resident { number, tag: tag_of(installed, number) }, package))
    }

    /// Who provides a name, in the order of the repositories, the base first.
    pub(super) fn providers(&self, name: &'a str) -> impl Iterator<Item = (Source, Option<&'a str>)> {
        let installed = self.installed.into_iter().flat_map(move |installed| {
            let providers = installed.index.providers(name);
            providers.map(|Provider { package, version }| (Source::Installed(package), version))
        });
        installed.chain(self.numbered().flat_map(move |(number, repository)| {
            let providers = repository.index.providers(name);
            providers.map(move |Provider { package, version }| (Source::Repository(number, package), version))
        }))
    }

    /// The packages that wait for a name: that have it among the conditions of their `install_if`.
    pub(super) fn awaiting(&self, name: &'a str) -> impl Iterator<Item = Source> {
        let installed = self.installed.into_iter().flat_map(move |it| it.index.awaiting(name));
        installed.map(Source::Installed).chain(self.numbered().flat_map(move |(number, repository)| {
            repository.index.awaiting(name).map(move |package| Source::Repository(number, package))
        }))
    }

    /// All names that somebody provides, some more than once, in no order.
    pub(super) fn provided_names(&self) -> impl Iterator<Item = &'a str> {
        let installed = self.installed.into_iter().map(|installed| installed.index);
        installed
            .chain(self.repositories.iter().map(|repository| repository.index))
            .flat_map(Index::provided_names)
    }

    /// The packages that have `name` as their own, each once with everywhere it is, in the order in which they are first
    /// met. Packages without an identity are all different.
    pub(super) fn packages_named(&self, name: &'a str) -> Vec<Places<'a>> {
        let mut packages: Vec<Places<'a>> = Vec::new();
        let mut known: HashMap<Identity, usize> = HashMap::new();
        let mut last = None;
        for (source, version) in self.providers(name) {
            let Some(package) = self.package(source).filter(|package| package.name() == name) else {
                continue;
            };
            // A package that provides its own name once more is met twice in a row.
            if version.is_none() || last.replace(source) == Some(source) {
                continue;
            }
            let number = match package.identity() {
                Some(identity) => *known.entry(identity).or_insert(packages.len()),
                None => packages.len(),
            };
            if number == packages.len() {
                packages.push(Places::default());
            }
            if let Some(places) = packages.get_mut(number) {
                self.add_place(places, source, package);
            }
        }
        packages
    }

    fn add_place(&self, places: &mut Places<'a>, source: Source, package: Package<'a>) {
        match source {
            Source::Installed(number) => {
                places.installed.get_or_insert(Resident { number, tag: tag_of(self.installed, number) });
            }
            Source::Repository(repository, number) => {
                let tag = self.repositories.get(repository.0 as usize).and_then(|it| it.tag.as_ref());
                // There is nothing to fetch of it, so that its repository need not be asked for.
                let tag = tag.filter(|_| !package.is_virtual());
                places.copies.push(Copy { repository, number, tag });
            }
        }
    }

    fn numbered(&self) -> impl Iterator<Item = (RepositoryNumber, &'a Repository<'a>)> {
        (0..).map(RepositoryNumber).zip(self.repositories)
    }
}

fn tag_of<'a>(installed: Option<&'a Installed<'_>>, number: PackageNumber) -> Option<&'a Tag> {
    installed?.tags.get(number.0 as usize)?.as_ref()
}
