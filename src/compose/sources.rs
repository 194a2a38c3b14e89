//! Where the packages and the base of a profile come from, and whose signatures they must have.
//!
//! An entry that names keys accepts exactly those. Alpine's own repositories accept Alpine's keys and the
//! profile's `mirror-keys`; others Alpine's and the profile's `keys`. Never the other way round: a key given
//! for somebody's repository cannot sign Alpine's.
//!
//! Source: design, "Trust", "The profile".

use std::path::Path;

use super::contents;
use crate::apk::dependency::Tag;
use crate::apk::keys::{self, KeyError, Keyring, PublicKey};
use crate::arch::Arch;
use crate::fetch::{self, FetchError, Fetcher, Repository, Source, SourceError, Surroundings};
use crate::kind::{Explain, Kind};
use crate::profile::release::Branch;
use crate::profile::repository::{RepositoryEntry, RepositoryLocation};
use crate::profile::{Alpine, Base, Place, ProfilePath, Stated};
use crate::root::FileError;

/// A repository of the profile.
#[derive(Debug, Clone)]
pub struct NamedRepository {
    /// Where it is and whose signatures it accepts.
    pub repository: Repository,
    /// The tag it is pinned to.
    pub tag: Option<Tag>,
    /// Of Alpine's own, the branch (never `latest-stable`) and the name below it.
    pub official: Option<(Branch, String)>,
}

/// Why it is not clear where something comes from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourcesError {
    /// A key file cannot be read.
    #[error("the key {key}: {error}")]
    KeyFile {
        /// The file, as the profile names it.
        key: String,
        /// What the system said.
        error: FileError,
    },
    /// A key file is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A place cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The mirrors could not say which branch is meant, or the base could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A base in the program itself.
    #[error("the base {path} is in a built-in profile, which can have none")]
    EmbeddedBase {
        /// The path.
        path: String,
    },
}

impl Explain for SourcesError {
    fn kind(&self) -> Kind {
        match self {
            Self::KeyFile { error, .. } => error.kind(),
            Self::Key(error) => error.kind(),
            Self::Source(error) => error.kind(),
            Self::Fetch(error) => error.kind(),
            Self::EmbeddedBase { .. } => Kind::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            Self::KeyFile { .. } | Self::Key(_) | Self::EmbeddedBase { .. } => None,
        }
    }
}

/// The repositories of a profile, in order.
pub fn repositories(
    fetcher: &Fetcher<'_>,
    alpine: &Alpine,
    arch: Arch,
) -> Result<Vec<NamedRepository>, SourcesError> {
    let keys = Keys::read(alpine, arch)?;
    let mirrors = if alpine.repositories.iter().any(|entry| entry.location.is_official()) {
        mirrors(alpine)?
    } else {
        Vec::new()
    };
    let is_below_release =
        |entry: &RepositoryEntry| matches!(entry.location, RepositoryLocation::BelowRelease(_));
    let branch = if alpine.repositories.iter().any(is_below_release) {
        fetch::resolve_branch(fetcher, alpine.release.value.branch(), &mirrors, arch)?
    } else {
        alpine.release.value.branch()
    };
    let surroundings = Surroundings { mirrors: &mirrors, branch, arch };
    alpine
        .repositories
        .iter()
        .map(|entry| {
            let official = match &entry.location {
                RepositoryLocation::BelowRelease(name) => Some((branch, name.as_str().to_owned())),
                RepositoryLocation::BelowMirror { branch, name } => {
                    let branch = fetch::resolve_branch(fetcher, *branch, &mirrors, arch)?;
                    Some((branch, name.as_str().to_owned()))
                }
                RepositoryLocation::Url(_) | RepositoryLocation::Directory(_) => None,
            };
            let repository = Repository::locate(fetcher, &entry.location, &surroundings, keys.of(entry)?)?;
            Ok(NamedRepository { repository, tag: entry.tag.clone(), official })
        })
        .collect()
}

/// The base of a profile, from the store or fetched into it; nothing if it has none.
pub fn base(fetcher: &Fetcher<'_>, alpine: &Alpine, arch: Arch) -> Result<Option<fetch::Base>, SourcesError> {
    match &alpine.base {
        Base::Scratch => Ok(None),
        Base::Minirootfs => {
            let wanted = fetch::Minirootfs {
                mirrors: &mirrors(alpine)?,
                release: &alpine.release.value,
                arch,
                sha256: alpine.base_sha256,
            };
            Ok(Some(fetch::minirootfs(fetcher, &wanted)?))
        }
        Base::Path(stated) => match stated.value.place() {
            Some(Place::Disk(path)) => Ok(Some(fetch::local_base(fetcher, &path, alpine.base_sha256, arch)?)),
            _ => Err(SourcesError::EmbeddedBase { path: stated.value.to_string() }),
        },
    }
}

fn mirrors(alpine: &Alpine) -> Result<Vec<Source>, SourcesError> {
    Ok(alpine.mirrors.iter().map(|stated| Source::of_mirror(&stated.value)).collect::<Result<_, _>>()?)
}

struct Keys {
    arch: Arch,
    /// Accepted beside Alpine's for repositories given by URL or path.
    others: Vec<PublicKey>,
    /// Accepted beside Alpine's for Alpine's own names.
    mirrors: Vec<PublicKey>,
}

impl Keys {
    fn read(alpine: &Alpine, arch: Arch) -> Result<Self, SourcesError> {
        let read = |keys: &[Stated<ProfilePath>]| -> Result<Vec<PublicKey>, SourcesError> {
            keys.iter().map(|stated| read_key(&stated.value)).collect()
        };
        Ok(Self { arch, others: read(&alpine.keys)?, mirrors: read(&alpine.mirror_keys)? })
    }

    fn of(&self, entry: &RepositoryEntry) -> Result<Keyring, SourcesError> {
        if !entry.keys.is_empty() {
            let keys: Result<Vec<PublicKey>, SourcesError> = entry.keys.iter().map(read_key).collect();
            return Ok(Keyring::of(keys?).knowing(&self.others).knowing(&self.mirrors));
        }
        let alpine = Keyring::alpine(self.arch);
        Ok(if entry.location.is_official() {
            alpine.and(self.mirrors.clone()).knowing(&self.others)
        } else {
            alpine.and(self.others.clone()).knowing(&self.mirrors)
        })
    }
}

fn read_key(path: &ProfilePath) -> Result<PublicKey, SourcesError> {
    let pem = contents::read_small(path, keys::MAX_KEY_FILE)
        .map_err(|error| SourcesError::KeyFile { key: path.to_string(), error })?;
    let name = Path::new(&path.path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(PublicKey::parse(&name, &pem)?)
}
