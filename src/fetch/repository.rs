//! A repository: where its files are, and whose signatures it accepts.

use std::num::NonZeroUsize;

use super::branch::{is_described_by, resolve_branch};
use super::error::FetchError;
use super::parallel;
use super::source::{Opened, Source};
use crate::apk::index_file::{MAX_INDEX_FILE, VerifiedIndex};
use crate::apk::keys::Keyring;
use crate::arch::Arch;
use crate::profile::release::Branch;
use crate::profile::repository::RepositoryLocation;
use crate::report::{Reporter, Step};
use crate::root::FileError;

/// The name of the index below the architecture's directory.
const INDEX: &str = "APKINDEX.tar.gz";
/// The name of the text in it.
const INDEX_TEXT: &str = "APKINDEX";

/// A repository of one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    name: String,
    arch: Arch,
    keyring: Keyring,
    branch: Option<Branch>,
    sources: Vec<Source>,
    /// Where it is below each source: empty, or ending in a slash.
    directory: String,
}

/// What a repository's place depends on beside its own entry.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The mirrors, tried in order.
    pub mirrors: &'a [Source],
    /// The branch of the release, as [`resolve_branch`] returned it.
    pub branch: Branch,
    /// The architecture.
    pub arch: Arch,
}

impl Repository {
    /// The repository at `location`, which accepts the keys of `keyring`.
    pub fn locate(
        location: &RepositoryLocation,
        surroundings: &Surroundings<'_>,
        keyring: Keyring,
    ) -> Result<Self, FetchError> {
        let Surroundings { mirrors, branch, arch } = *surroundings;
        let at = |source| Self::at(&location.to_string(), source, arch, keyring.clone());
        Ok(match location {
            RepositoryLocation::Url(url) => at(Source::of_url(url)?),
            RepositoryLocation::Directory(path) => at(Source::of_path(path)?),
            RepositoryLocation::BelowRelease(name) => {
                Self::of_branch(mirrors, branch, name.as_str(), arch, keyring)
            }
            RepositoryLocation::BelowMirror { branch, name } => {
                let branch = resolve_branch(*branch, mirrors, arch)?;
                Self::of_branch(mirrors, branch, name.as_str(), arch, keyring)
            }
        })
    }

    /// One of Alpine's own, `BRANCH/NAME` below every one of `mirrors`, which are tried in order. Its
    /// index must be of that branch.
    pub fn of_branch(mirrors: &[Source], branch: Branch, name: &str, arch: Arch, keyring: Keyring) -> Self {
        let name = format!("{branch}/{name}");
        let directory = format!("{name}/");
        Self { name, arch, keyring, branch: Some(branch), sources: mirrors.to_vec(), directory }
    }

    /// One that is given by itself: `source` has the architectures' directories. `name` is what messages
    /// call it.
    pub fn at(name: &str, source: Source, arch: Arch, keyring: Keyring) -> Self {
        Self {
            name: name.to_owned(),
            arch,
            keyring,
            branch: None,
            sources: vec![source],
            directory: String::new(),
        }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The branch of Alpine's that it is of, if it is one of Alpine's own; never `latest-stable`.
    pub fn branch(&self) -> Option<Branch> {
        self.branch
    }

    /// The architecture.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The keys it accepts.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The places that may have the file at `path` of this repository, in order.
    pub(super) fn places(&self, path: &str) -> impl Iterator<Item = Place<'_>> {
        let path = format!("{}{path}", self.directory);
        self.sources.iter().map(move |source| Place { source, path: path.clone() })
    }
}

/// A file below a source.
pub(super) struct Place<'a> {
    source: &'a Source,
    path: String,
}

impl Place<'_> {
    pub(super) fn open(&self) -> Result<Option<Opened>, FileError> {
        self.source.open(&self.path)
    }

    pub(super) fn read(&self, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
        self.source.read(&self.path, limit)
    }

    pub(super) fn location(&self) -> String {
        self.source.locate(&self.path)
    }
}

/// The index of `repository`, verified.
///
/// The first mirror that has one decides: that it is refused there is an error, not a reason to ask another.
pub fn index(repository: &Repository) -> Result<VerifiedIndex, FetchError> {
    let path = format!("{}/{INDEX}", repository.arch);
    let mut looked_at = Vec::new();
    for place in repository.places(&path) {
        let location = place.location();
        let Some(file) = place.read(MAX_INDEX_FILE)? else {
            looked_at.push(place.source.locate_missing(&place.path));
            continue;
        };
        let name = repository.name.clone();
        let index = match VerifiedIndex::check(INDEX_TEXT, &file, &repository.keyring) {
            Ok(index) => index,
            Err(error) => return Err(FetchError::Index { repository: name, location, error }),
        };
        return match repository.branch {
            Some(branch) if !is_described_by(branch, index.description()) => Err(FetchError::WrongBranch {
                repository: name,
                location,
                branch,
                description: index.description().to_owned(),
            }),
            _ => Ok(index),
        };
    }
    Err(FetchError::NoIndex { repository: repository.name.clone(), arch: repository.arch, looked_at })
}

/// The indexes of `repositories`, verified, in their order.
pub fn indexes(
    repositories: &[Repository],
    jobs: NonZeroUsize,
    reporter: &dyn Reporter,
) -> Result<Vec<VerifiedIndex>, FetchError> {
    reporter.begin(Step::Indexes, repositories.len() as u64);
    let result = parallel::map(repositories, jobs, reporter, |repository| {
        let index = index(repository)?;
        reporter.advance(Step::Indexes, 1, &repository.name);
        Ok(index)
    });
    if result.is_ok() {
        reporter.end(Step::Indexes);
    }
    result
}
