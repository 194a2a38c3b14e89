//! What can go wrong when packages and indexes are made.

use std::path::PathBuf;

use crate::apk::package::PackageError;
use crate::apk::package_info::PackageInfoError;
use crate::apk::sign::SignError;
use crate::apk::write_index::WriteIndexError;
use crate::apk::write_package::WritePackageError;
use crate::kind::{Explain, Kind};
use crate::path::PathError;
use crate::root::FileError;

/// Why a package or an index cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The description of the package is malformed.
    #[error("{path}: {error}", path = .path.display())]
    Info {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: PackageInfoError,
    },
    /// The description of the package has a key that apk does not know.
    #[error("line {line} of {path}: `{key}` is not a key of .PKGINFO", path = .path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// Known keys that are spelt nearly so.
        near: Vec<&'static str>,
    },
    /// Nothing says when the package was built.
    #[error("{path} has no `builddate`", path = .path.display())]
    NoBuildDate {
        /// The description of the package.
        path: PathBuf,
    },
    /// A file cannot be in a package.
    #[error("{path} is {what}, which cannot be in a package", path = .path.display())]
    Unpackable {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The name of a file cannot be in a package.
    #[error("{path}: {error}", path = .path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// What is wrong with its path.
        error: PathError,
    },
    /// An owner is stated for something that is not there.
    #[error("an owner is given for {path}, which is not in the package")]
    NoOwned {
        /// The path in the package.
        path: crate::path::TreePath,
    },
    /// An owner is not of the form that is wanted.
    #[error("`{0}` is not an owner: wanted is PATH=USER[/NUMBER]:GROUP[/NUMBER]")]
    Owner(String),
    /// A private key cannot be used.
    #[error("{path}: {error}", path = .path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong.
        error: SignError,
    },
    /// The package cannot be written.
    #[error(transparent)]
    WritePackage(#[from] WritePackageError),
    /// A package that should be listed cannot be accepted.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The file of a package is not named as apk would look for it.
    #[error("{path} must be named {expected}, or apk will not find it", path = .path.display())]
    FileName {
        /// The file.
        path: PathBuf,
        /// The name that its content calls for.
        expected: String,
    },
    /// A package is for another architecture than the index.
    #[error("{path} is for {got}, the index for {expected}", path = .path.display())]
    Arch {
        /// The file.
        path: PathBuf,
        /// The index's architecture.
        expected: &'static str,
        /// The package's.
        got: String,
    },
    /// The index cannot be written.
    #[error(transparent)]
    WriteIndex(#[from] WriteIndexError),
}

impl Explain for AuthorError {
    fn kind(&self) -> Kind {
        match self {
            Self::File(error) => error.kind(),
            Self::WritePackage(error) => error.kind(),
            Self::Package(error) => error.kind(),
            Self::WriteIndex(error) => error.kind(),
            Self::Key { error, .. } => error.kind(),
            Self::Owner(_) => Kind::Usage,
            Self::Info { .. }
            | Self::UnknownKey { .. }
            | Self::NoBuildDate { .. }
            | Self::Unpackable { .. }
            | Self::Path { .. }
            | Self::NoOwned { .. }
            | Self::FileName { .. }
            | Self::Arch { .. } => Kind::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::WritePackage(error) => error.hint(),
            Self::Package(error) => error.hint(),
            Self::WriteIndex(error) => error.hint(),
            Self::Key { error, .. } => error.hint(),
            Self::UnknownKey { near, .. } => {
                (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
            }
            Self::NoBuildDate { .. } => Some(
                "add `builddate = SECONDS`, or set SOURCE_DATE_EPOCH: every time in the package is that"
                    .to_owned(),
            ),
            Self::Arch { .. } => {
                Some("an index has the packages of one architecture, and noarch ones".to_owned())
            }
            _ => None,
        }
    }
}
