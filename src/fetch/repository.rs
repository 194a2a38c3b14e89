//! A repository: where its files are, and whose signatures it accepts.

use super::branch::{is_described_by, resolve_branch};
use super::document::Keeping;
use super::error::FetchError;
use super::failover::first_of;
use super::fetcher::Fetcher;
use super::source::{Opened, Source, SourceError};
use crate::apk::index_file::{MAX_INDEX_FILE, VerifiedIndex};
use crate::apk::keys::Keyring;
use crate::arch::Arch;
use crate::profile::release::Branch;
use crate::profile::repository::RepositoryLocation;
use crate::report::Step;

/// The name of the index below the architecture's directory.
pub(super) const INDEX: &str = "APKINDEX.tar.gz";
/// The name of the text in it.
pub(super) const INDEX_TEXT: &str = "APKINDEX";

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
        fetcher: &Fetcher<'_>,
        location: &RepositoryLocation,
        surroundings: &Surroundings<'_>,
        keyring: Keyring,
    ) -> Result<Self, FetchError> {
        let Surroundings { mirrors, branch, arch } = *surroundings;
        let at = |source| Self::at(&location.to_string(), source, arch, keyring.clone());
        Ok(match location {
            RepositoryLocation::Url(url) => at(Source::Network(url.clone())),
            RepositoryLocation::Directory(path) => at(Source::of_path(path)?),
            RepositoryLocation::BelowRelease(name) => {
                Self::of_branch(mirrors, branch, name.as_str(), arch, keyring)
            }
            RepositoryLocation::BelowMirror { branch, name } => {
                let branch = resolve_branch(fetcher, *branch, mirrors, arch)?;
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

    /// The architecture.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The keys it accepts.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Whether any of its files may come over the network.
    pub(super) fn is_on_network(&self) -> bool {
        self.sources.iter().any(Source::is_on_network)
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
    pub(super) fn open<'f>(&self, fetcher: &Fetcher<'f>) -> Result<Option<Opened<'f>>, SourceError> {
        self.source.open(fetcher, &self.path)
    }

    pub(super) fn location(&self) -> String {
        self.source.locate(&self.path)
    }

    pub(super) fn is_on_network(&self) -> bool {
        self.source.is_on_network()
    }
}

/// The index of `repository`, verified.
///
/// A mirror that cannot be reached, or whose index is refused, is passed over with a warning as long as there is
/// another: whichever is taken in the end has a good signature.
pub fn index(fetcher: &Fetcher<'_>, repository: &Repository) -> Result<VerifiedIndex, FetchError> {
    let path = format!("{}/{INDEX}", repository.arch);
    let read = |place: &Place<'_>| {
        let accept = |file: &[u8]| repository.accept(file, &place.location());
        place.source.read(fetcher, &place.path, MAX_INDEX_FILE, Keeping::AtOnce, accept)
    };
    let taken = first_of(repository.places(&path), read).map_err(|refused| {
        let looked_at = || repository.places(&path).map(|place| place.source.locate_missing(&place.path));
        refused.unwrap_or_else(|| FetchError::NoIndex {
            repository: repository.name.clone(),
            arch: repository.arch,
            looked_at: looked_at().collect(),
        })
    })?;
    fetcher.warn_passed_over(taken.refused.as_ref(), &taken.place.location());
    Ok(taken.value)
}

impl Repository {
    /// Takes `file`, read from `location`, for its index.
    fn accept(&self, file: &[u8], location: &str) -> Result<VerifiedIndex, FetchError> {
        let (repository, location) = (|| self.name.clone(), || location.to_owned());
        let index = VerifiedIndex::check(INDEX_TEXT, file, &self.keyring)
            .map_err(|error| FetchError::Index { repository: repository(), location: location(), error })?;
        match self.branch {
            Some(branch) if !is_described_by(branch, index.description()) => Err(FetchError::WrongBranch {
                repository: repository(),
                location: location(),
                branch,
                description: index.description().to_owned(),
            }),
            _ => Ok(index),
        }
    }
}

/// The indexes of `repositories`, verified, in their order.
pub fn indexes(fetcher: &Fetcher<'_>, repositories: &[Repository]) -> Result<Vec<VerifiedIndex>, FetchError> {
    let reporter = fetcher.reporter;
    reporter.begin(Step::Indexes, repositories.len() as u64);
    let on_network = repositories.iter().any(Repository::is_on_network);
    let result = fetcher.all(repositories, on_network, |repository| {
        let index = index(fetcher, repository)?;
        reporter.advance(Step::Indexes, 1, &repository.name);
        Ok(index)
    });
    if result.is_ok() {
        reporter.end(Step::Indexes);
    }
    result
}
