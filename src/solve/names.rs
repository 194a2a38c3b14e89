//! Every package of every repository and of the base, and who provides which name.
//!
//! This is built for each solution over all packages there are, so it looks only at names: provides are
//! split but not copied, dependencies are not looked at. A package that several repositories have, or that
//! is installed too, is one candidate: what makes it the same is its identity.

use std::collections::HashMap;

use super::refusal::Refusal;
use super::solution::RepositoryNumber;
use super::table::{Lists, Table, key};
use super::tags::{TagSet, Tags};
use super::{Installed, Repository};
use crate::apk::dependency::{Dependency, Provide, Tag};
use crate::apk::index::{Package, PackageNumber};
use crate::digest::Identity;

key!(
    /// A name, of packages or provided.
    NameKey
);
key!(
    /// A package, wherever it is.
    CandidateKey
);

/// A package that may be in the solution.
pub(super) struct Candidate<'a> {
    pub(super) package: Package<'a>,
    pub(super) installed: Option<Resident<'a>>,
    /// The repositories that have it, in their order.
    pub(super) copies: Vec<Copy<'a>>,
}

/// The installed side of a candidate.
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

/// That a package provides a name.
#[derive(Clone, Copy)]
pub(super) struct Provider<'a> {
    pub(super) candidate: CandidateKey,
    pub(super) version: Option<&'a str>,
}

/// All names and packages.
pub(super) struct Universe<'a> {
    pub(super) names: Table<NameKey, &'a str>,
    pub(super) candidates: Table<CandidateKey, Candidate<'a>>,
    pub(super) tags: Tags<'a>,
    keys: HashMap<&'a str, NameKey>,
    providers: Lists<NameKey, Provider<'a>>,
    conditional: Lists<NameKey, CandidateKey>,
}

impl<'a> Universe<'a> {
    pub(super) fn new(
        repositories: &'a [Repository<'_>],
        installed: Option<&'a Installed<'_>>,
    ) -> Result<Self, Refusal> {
        let tags = Tags::new(repositories.iter().filter_map(|repository| repository.tag.as_ref()))
            .ok_or(Refusal::TooManyTags { limit: Tags::LIMIT })?;
        let count = repositories.iter().map(|repository| repository.index.len()).sum();
        let mut builder = Builder::with_capacity(count);
        if let Some(installed) = installed {
            for (number, package) in (0..).map(PackageNumber).zip(installed.index.packages()) {
                let tag = installed.tags.get(number.0 as usize).and_then(Option::as_ref);
                let candidate = builder.candidate(package);
                builder.candidates[candidate].installed.get_or_insert(Resident { number, tag });
            }
        }
        for (repository, number) in repositories.iter().zip((0..).map(RepositoryNumber)) {
            let tag = repository.tag.as_ref();
            for (package_number, package) in (0..).map(PackageNumber).zip(repository.index.packages()) {
                let candidate = builder.candidate(package);
                let copy = Copy { repository: number, number: package_number, tag };
                builder.candidates[candidate].copies.push(copy);
            }
        }
        Ok(builder.finish(tags))
    }

    pub(super) fn key_of(&self, name: &str) -> Option<NameKey> {
        self.keys.get(name).copied()
    }

    /// Who provides a name, in the order of the repositories, the base first.
    pub(super) fn providers(&self, name: NameKey) -> &[Provider<'a>] {
        self.providers.of(name)
    }

    /// The packages that have a name among their `install_if` conditions.
    pub(super) fn conditional(&self, name: NameKey) -> &[CandidateKey] {
        self.conditional.of(name)
    }

    /// The tags under which a package can be had; being installed counts as its tag.
    pub(super) fn tags_of(&self, candidate: CandidateKey) -> TagSet {
        let candidate = &self.candidates[candidate];
        let installed = candidate.installed.iter().map(|resident| resident.tag);
        installed
            .chain(candidate.copies.iter().map(|copy| copy.tag))
            .fold(TagSet::EMPTY, |set, tag| set.union(self.tags.set_of(tag)))
    }
}

/// Collects names and packages; the lists by name are laid out when all are known.
struct Builder<'a> {
    keys: HashMap<&'a str, NameKey>,
    names: Table<NameKey, &'a str>,
    candidates: Table<CandidateKey, Candidate<'a>>,
    known: HashMap<(NameKey, Identity), CandidateKey>,
    provides: Vec<(NameKey, Provider<'a>)>,
    conditions: Vec<(NameKey, CandidateKey)>,
}

impl<'a> Builder<'a> {
    fn with_capacity(packages: usize) -> Self {
        Self {
            keys: HashMap::with_capacity(packages * 3),
            names: Table::new(),
            candidates: Table::new(),
            known: HashMap::with_capacity(packages),
            provides: Vec::with_capacity(packages * 4),
            conditions: Vec::new(),
        }
    }

    fn name(&mut self, spelling: &'a str) -> NameKey {
        *self.keys.entry(spelling).or_insert_with(|| self.names.push(spelling))
    }

    /// The candidate that is this package, made if it is the first with its name and identity.
    fn candidate(&mut self, package: Package<'a>) -> CandidateKey {
        let name = self.name(package.name());
        let identity = package.identity().map(|identity| (name, identity));
        if let Some(known) = identity.and_then(|identity| self.known.get(&identity)) {
            return *known;
        }
        let candidate = self.candidates.push(Candidate { package, installed: None, copies: Vec::new() });
        self.known.extend(identity.map(|identity| (identity, candidate)));
        self.provides.push((name, Provider { candidate, version: Some(package.version()) }));
        for (provided, version) in package.provides().filter_map(Provide::split) {
            let provided = self.name(provided);
            self.provides.push((provided, Provider { candidate, version }));
        }
        // A malformed condition voids them all; parsing tells, and there are few.
        if !package.parse_install_if().is_empty() {
            for condition in package.install_if() {
                let condition = self.name(Dependency::name_in(condition));
                self.conditions.push((condition, candidate));
            }
        }
        candidate
    }

    fn finish(self, tags: Tags<'a>) -> Universe<'a> {
        let count = self.names.len();
        Universe {
            names: self.names,
            candidates: self.candidates,
            tags,
            keys: self.keys,
            providers: Lists::new(count, self.provides),
            conditional: Lists::new(count, self.conditions),
        }
    }
}
