//! What can go wrong with the store.

use std::io;
use std::path::PathBuf;

use crate::apk::data::DataError;
use crate::apk::package::PackageError;
use crate::archive::rootfs::RootfsError;
use crate::digest::Sha256;
use crate::kind::{Explain, Kind};
use crate::root::FileError;

/// Why the store cannot keep or give something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file of the store could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing says where the store is.
    #[error("there is no place for the cache: neither XDG_CACHE_HOME nor HOME is an absolute path")]
    NoPlace,
    /// The store belongs to somebody else.
    #[error("the cache {path} belongs to user {owner}, not to user {user} who runs this", path = .path.display())]
    Owner {
        /// The store's directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this.
        user: u32,
    },
    /// The store is no directory.
    #[error("the cache {path} is not a directory", path = .path.display())]
    NotADirectory {
        /// The store's path.
        path: PathBuf,
    },
    /// Others can write to the store.
    #[error("the cache {path} can be written to by others (its mode is {mode:04o})", path = .path.display())]
    Writable {
        /// The store's directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process uses the store.
    #[error("the cache {path} is in use by another apkcompose", path = .path.display())]
    InUse {
        /// The store's directory.
        path: PathBuf,
    },
    /// What was to be kept could not be read.
    #[error("cannot read {object}: {error}")]
    Source {
        /// What was read.
        object: String,
        /// What the system said.
        error: io::Error,
    },
    /// There is more to read than there may be.
    #[error("{object} is longer than the {expected} bytes that are stated for it")]
    TooLong {
        /// What was read.
        object: String,
        /// The length it must have, in bytes.
        expected: u64,
    },
    /// A package is not what the index lists.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The data of a package cannot be taken.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An archive is not a root filesystem.
    #[error("{object} is no root filesystem: {error}")]
    Rootfs {
        /// The archive.
        object: String,
        /// What is wrong with it.
        error: RootfsError,
    },
    /// A blob is no layer of an image.
    #[error("{object} is no layer: {error}")]
    Layer {
        /// The blob.
        object: String,
        /// What is wrong with it.
        error: RootfsError,
    },
    /// Something does not have the digest it must have.
    #[error("{object} has SHA-256 {got}, expected was {expected}")]
    Digest {
        /// What was read.
        object: String,
        /// The digest it must have.
        expected: Sha256,
        /// The digest it has.
        got: Sha256,
    },
}

impl Explain for StoreError {
    fn kind(&self) -> Kind {
        match self {
            Self::File(error) => error.kind(),
            Self::NoPlace | Self::NotADirectory { .. } | Self::Owner { .. } | Self::Writable { .. } => {
                Kind::Usage
            }
            Self::InUse { .. } => Kind::Missing,
            Self::Source { error, .. } => Kind::of_io(error),
            Self::TooLong { .. } | Self::Digest { .. } => Kind::Integrity,
            Self::Package(error) => error.kind(),
            Self::Data(error) => error.kind(),
            Self::Rootfs { error, .. } | Self::Layer { error, .. } => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NoPlace | Self::NotADirectory { .. } => Some("say where with --cache-dir DIR".to_owned()),
            Self::Owner { .. } => Some("use a cache of your own: --cache-dir DIR".to_owned()),
            Self::Writable { path, .. } => Some(format!(
                "what others can write to cannot be trusted: `chmod 0700 {}` and `apkcompose cache prune`, or --cache-dir DIR",
                path.display()
            )),
            Self::InUse { .. } => Some("try again when it is done".to_owned()),
            Self::Source { .. } => None,
            Self::Rootfs { error, .. } | Self::Layer { error, .. } => error.hint(),
            Self::TooLong { .. } => Some(
                "the mirror's index and packages do not belong together: it may be half updated, or damaged"
                    .to_owned(),
            ),
            Self::Digest { .. } => Some(
                "the file is damaged, or not the one that was meant: fetch it again, or use another mirror"
                    .to_owned(),
            ),
            Self::Package(error) => error.hint(),
            Self::Data(error) => error.hint(),
        }
    }

    fn is_transient(&self) -> bool {
        matches!(self, Self::InUse { .. })
    }
}
