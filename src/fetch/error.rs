//! What can go wrong with fetching.

use super::base_image::BaseImageError;
use super::http::HttpError;
use super::source::SourceError;
use crate::apk::index::Flaw;
use crate::apk::index_file::IndexFileError;
use crate::apk::keys::SignatureError;
use crate::arch::Arch;
use crate::kind::{Explain, Kind};
use crate::profile::release::Branch;
use crate::root::FileError;
use crate::store::StoreError;

/// Who states it, where the profile does.
pub(super) const PROFILE: &str = "base-sha256 of the profile";

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A place cannot be reached, or does not give what it has.
    #[error(transparent)]
    Source(SourceError),
    /// A file of this machine could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is on the network, which may not be used, and not in the store.
    #[error("not in the cache, and the network may not be used:\n  {}", .missing.join("\n  "))]
    Offline {
        /// Everything that is known to be missing.
        missing: Vec<String>,
    },
    /// Nothing but a checksum that came in the clear speaks for the base.
    #[error(
        "{file} cannot be trusted: its checksum came over http like the file itself\n  anybody on the way could have changed both"
    )]
    BaseInTheClear {
        /// The base.
        file: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What a mirror has is refused.
    #[error("{error}\n  read from {location}")]
    Refused {
        /// Where it was read.
        location: String,
        /// Why it is refused.
        error: StoreError,
    },
    /// A repository has no index.
    #[error("the repository {repository} has no index for {arch}\n  looked at {}", .looked_at.join("\n  looked at "))]
    NoIndex {
        /// The repository.
        repository: String,
        /// The architecture.
        arch: Arch,
        /// Where the index would be.
        looked_at: Vec<String>,
    },
    /// The index of a repository is refused.
    #[error("the index of {repository} cannot be trusted\n  {error}\n  read from {location}")]
    Index {
        /// The repository.
        repository: String,
        /// Where it was read.
        location: String,
        /// Why it is refused.
        error: IndexFileError,
    },
    /// An index that is given by itself cannot be used.
    #[error("{location} cannot be used\n  {error}")]
    GivenIndex {
        /// Where it is.
        location: String,
        /// Why it is refused.
        error: IndexFileError,
    },
    /// The index is of another branch than the directory it lies in.
    #[error(
        "the index of {repository} is not of {branch}\n  it describes itself as `{description}`\n  read from {location}"
    )]
    WrongBranch {
        /// The repository.
        repository: String,
        /// Where it was read.
        location: String,
        /// The branch it should be of.
        branch: Branch,
        /// What it says.
        description: String,
    },
    /// A package is listed and cannot be fetched as it is listed.
    #[error("{package}, as {repository} lists it, cannot be fetched: {flaw}")]
    Unfetchable {
        /// The package, as `name-version`.
        package: String,
        /// The repository that lists it.
        repository: String,
        /// What is wrong with its entry.
        flaw: Flaw,
    },
    /// A package's name, version or architecture cannot be part of a path.
    #[error("{repository} lists a package that no file can be named after: {package:?} for {arch:?}")]
    Unnameable {
        /// The package, as `name-version`.
        package: String,
        /// Its architecture.
        arch: String,
        /// The repository that lists it.
        repository: String,
    },
    /// A package is listed and not there.
    #[error("{package} is in the index of {repository}, but its file is not there\n  looked at {}", .looked_at.join("\n  looked at "))]
    NoPackage {
        /// The package, as `name-version`.
        package: String,
        /// The repository that lists it.
        repository: String,
        /// Where the file would be.
        looked_at: Vec<String>,
    },
    /// No mirror has the release.
    #[error("there is no release {release} of alpine-minirootfs for {arch}\n  looked at {}", .looked_at.join("\n  looked at "))]
    NoRelease {
        /// The release.
        release: String,
        /// The architecture.
        arch: Arch,
        /// Where it was looked for.
        looked_at: Vec<String>,
    },
    /// A list of releases is malformed.
    #[error("{location} is malformed: {flaw}")]
    ReleaseList {
        /// The list.
        location: String,
        /// What is wrong with it.
        flaw: ReleaseListFlaw,
    },
    /// A file that states a digest is malformed.
    #[error("{location} is malformed: it does not state the {algorithm} of {file} as sha256sum writes it")]
    Sidecar {
        /// The file.
        location: String,
        /// `SHA-256` or `SHA-512`.
        algorithm: &'static str,
        /// What it should state the digest of.
        file: String,
    },
    /// Two files state different digests.
    #[error("what {file} must be is stated differently:\n  {one}\n  {other}")]
    Disagreement {
        /// The file it is about.
        file: String,
        /// One statement.
        one: Box<Statement>,
        /// The other.
        other: Box<Statement>,
    },
    /// A file is not what was stated.
    #[error("{file} is not what it must be: its {} is {got}\n  {stated}", .stated.algorithm)]
    NotAsStated {
        /// The file.
        file: String,
        /// What was stated.
        stated: Box<Statement>,
        /// What it is.
        got: String,
    },
    /// Nothing states what the base must be.
    #[error("nothing states the digest of {file}, so it cannot be trusted")]
    NothingStated {
        /// The file.
        file: String,
    },
    /// An image cannot be the base.
    #[error(transparent)]
    BaseImage(#[from] BaseImageError),
    /// The base is not there.
    #[error("the base is not there\n  looked at {location}")]
    NoBase {
        /// Where it would be.
        location: String,
    },
    /// A file that the profile names by URL is not there.
    #[error("{location} is not there")]
    NoFile {
        /// Where it would be.
        location: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Somebody's word on what a file must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Who says it: a file, or a key of the profile.
    pub by: String,
    /// `SHA-256`, `SHA-512` or `size`.
    pub algorithm: &'static str,
    /// The digest, in hexadecimal, or the size in bytes.
    pub value: String,
}

impl Statement {
    /// Whether it is the profile that states it.
    fn is_the_profiles(&self) -> bool {
        self.by == PROFILE
    }
}

impl std::fmt::Display for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} states {} {}", self.by, self.algorithm, self.value)
    }
}

/// What is wrong with a list of releases.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseListFlaw {
    /// A line is none that such a list has.
    #[error("line {line} is not of the form `  key: value`")]
    Form {
        /// The line, counted from 1.
        line: usize,
    },
    /// A key stands twice in one release.
    #[error("line {line} states `{key}` a second time")]
    Twice {
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// A release has a value that is none.
    #[error("the release of flavor alpine-minirootfs has no usable `{key}`")]
    Value {
        /// The key.
        key: &'static str,
    },
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// The list is of another branch than the directory it lies in.
    #[error("it is of {branch}, not of {expected}")]
    Branch {
        /// What it says.
        branch: Branch,
        /// What it should be of.
        expected: Branch,
    },
}

/// What helps where no profile names keys, and nothing is fetched.
fn given_hint(error: &IndexFileError) -> Option<String> {
    match error {
        IndexFileError::Signature(
            SignatureError::Unsigned | SignatureError::UnknownKey { .. } | SignatureError::UnboundKey { .. },
        ) => Some(
            "give its owner's public key with --key FILE, or take it unsigned with --allow-untrusted"
                .to_owned(),
        ),
        IndexFileError::Text(_) => None,
        error => error.hint(),
    }
}

impl Explain for FetchError {
    fn kind(&self) -> Kind {
        match self {
            Self::Source(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::BaseImage(error) => error.kind(),
            Self::Store(error) | Self::Refused { error, .. } => error.kind(),
            Self::Offline { .. }
            | Self::NoIndex { .. }
            | Self::NoPackage { .. }
            | Self::NoRelease { .. }
            | Self::NoBase { .. }
            | Self::NoFile { .. } => Kind::Missing,
            Self::Index { error, .. } | Self::GivenIndex { error, .. } => error.kind(),
            Self::WrongBranch { .. }
            | Self::Unfetchable { .. }
            | Self::Unnameable { .. }
            | Self::ReleaseList { .. }
            | Self::Sidecar { .. }
            | Self::Disagreement { .. }
            | Self::NotAsStated { .. }
            | Self::NothingStated { .. }
            | Self::BaseInTheClear { .. } => Kind::Integrity,
            Self::Interrupted => Kind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::BaseImage(error) => error.hint(),
            Self::Store(error) | Self::Refused { error, .. } => error.hint(),
            Self::NoIndex { .. } => Some(
                "a repository is a directory with ARCH/APKINDEX.tar.gz in it: look at the mirror, the release and the architecture"
                    .to_owned(),
            ),
            Self::NoPackage { .. } => Some(
                "the mirror is partial or half updated: add another --mirror, or complete this one".to_owned(),
            ),
            Self::NoRelease { .. } => Some(
                "look at the mirror's directory releases/ARCH, or name an exact release, as \"3.22.1\"".to_owned(),
            ),
            Self::Index { error, .. } => error.hint(),
            Self::GivenIndex { error, .. } => given_hint(error),
            Self::WrongBranch { .. } => {
                Some("the mirror has the index of another branch in this directory: use another mirror".to_owned())
            }
            Self::Offline { .. } => {
                Some("run once without --offline, with the same --cache-dir, or give a --mirror directory".to_owned())
            }
            Self::BaseInTheClear { .. } => Some(
                "use an https mirror, or state what it must be under [alpine]: base-sha256 = \"...\"; base-trust = \"checksum\" believes the checksum all the same"
                    .to_owned(),
            ),
            Self::NothingStated { .. } => {
                Some("give its digest: base-sha256 = \"...\" under [alpine]".to_owned())
            }
            Self::Disagreement { other: stated, .. } | Self::NotAsStated { stated, .. } if stated.is_the_profiles() => {
                Some("either `base-sha256` is that of another release, or the file is not the one you want: find out which before you change it".to_owned())
            }
            Self::Sidecar { .. } | Self::ReleaseList { .. } | Self::Disagreement { .. } | Self::NotAsStated { .. } => {
                Some("one of the files is damaged, or the mirror is half updated: use another mirror".to_owned())
            }
            Self::NoBase { .. } => Some(
                "look at `base` of the profile; of a mirror, that it is whole, or add another --mirror".to_owned(),
            ),
            Self::Unfetchable { .. } | Self::Unnameable { .. } => {
                Some("no apk could fetch it either: tell the repository's owner".to_owned())
            }
            Self::NoFile { .. } => Some("look at its `url` in the profile".to_owned()),
            Self::Interrupted => None,
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            _ => false,
        }
    }
}

impl FetchError {
    /// Whether another mirror may do better.
    pub(super) fn is_the_mirrors(&self) -> bool {
        match self {
            Self::Source(SourceError::Http(error)) => !matches!(error, HttpError::Interrupted),
            Self::Source(SourceError::File(_) | SourceError::Offline { .. })
            | Self::Offline { .. }
            | Self::Refused { .. }
            | Self::Index { .. }
            | Self::WrongBranch { .. }
            | Self::ReleaseList { .. }
            | Self::Sidecar { .. }
            | Self::Disagreement { .. }
            | Self::NotAsStated { .. }
            | Self::NothingStated { .. }
            | Self::NoBase { .. } => true,
            Self::Source(SourceError::Outside { .. })
            | Self::File(_)
            | Self::BaseInTheClear { .. }
            | Self::Store(_)
            | Self::NoIndex { .. }
            | Self::GivenIndex { .. }
            | Self::Unfetchable { .. }
            | Self::Unnameable { .. }
            | Self::NoPackage { .. }
            | Self::NoRelease { .. }
            | Self::BaseImage(_)
            | Self::NoFile { .. }
            | Self::Interrupted => false,
        }
    }

    /// The server that is not there, if that is what went wrong.
    pub(super) fn unreachable_server(&self) -> Option<&str> {
        match self {
            Self::Source(SourceError::Http(error)) => error.unreachable_server(),
            _ => None,
        }
    }

    /// Whether a document that was read before may be to blame: what it lists is not there any more, or
    /// something else is; because the mirror moved on, or because of what became of the document on its way.
    pub fn may_be_the_documents(&self) -> bool {
        matches!(
            self,
            Self::NoPackage { .. }
                | Self::Refused { .. }
                | Self::NoBase { .. }
                | Self::Disagreement { .. }
                | Self::NotAsStated { .. }
        )
    }

    /// Of two failures the one to tell: the first, unless that only tells what is missing offline; what is
    /// missing for both, at once.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Offline { mut missing }, Self::Offline { missing: more }) => {
                missing.extend(more);
                Self::Offline { missing }
            }
            (Self::Offline { .. }, error) | (error, _) => error,
        }
    }
}

/// What is missing offline is gathered, and so has a form of its own.
impl From<SourceError> for FetchError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Offline { location } => Self::Offline { missing: vec![location] },
            error => Self::Source(error),
        }
    }
}
