//! Why a tree cannot be written to a workroot, or read back.

use crate::content::ContentError;
use crate::kind::{Explain, Kind};
use crate::path::{PathError, TreePath};
use crate::root::FileError;
use crate::tree::NameError;

/// Why a tree cannot be written to a workroot, or what a program did there not be taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkrootError {
    /// A file of the workroot, or the spool, cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bytes of a file are not to be had.
    #[error("cannot give {path} to a program: {error}")]
    Content {
        /// The file.
        path: TreePath,
        /// What is wrong.
        error: ContentError,
    },
    /// A program made a name that no image may have.
    #[error("a program made a file that no image may have: {0}")]
    Path(#[from] PathError),
    /// A program made a link to something that is no path.
    #[error("a program made {path}, a link to something that is not text or has control characters")]
    Target {
        /// The link.
        path: TreePath,
    },
    /// A program gave an extended attribute that no image may have.
    #[error("a program gave {path} the extended attribute `{name}`, which no image may have")]
    Attribute {
        /// The file.
        path: TreePath,
        /// The attribute, control characters escaped.
        name: String,
    },
    /// A program made directories too deep in one another.
    #[error("a program made {path}, which is more than {limit} directories deep")]
    TooDeep {
        /// The directory.
        path: TreePath,
        /// How deep directories may be.
        limit: usize,
    },
    /// A program made too many files.
    #[error("a program made more than {limit} files: the names in {path} are too many")]
    TooManyNames {
        /// The directory whose names were too many.
        path: TreePath,
        /// How many names a program may make.
        limit: usize,
    },
    /// A program wrote too much.
    #[error("a program wrote more than {limit} bytes: {path} has {length}")]
    TooManyBytes {
        /// The file that was too much.
        path: TreePath,
        /// How many bytes it has.
        length: u64,
        /// How many bytes a program may write.
        limit: u64,
    },
    /// What a program made does not go together.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Explain for WorkrootError {
    fn kind(&self) -> Kind {
        match self {
            Self::File(error) => error.kind(),
            Self::Content { error, .. } => error.kind(),
            Self::Name(error) => error.kind(),
            Self::Path(_) | Self::Target { .. } | Self::Attribute { .. } => Kind::Integrity,
            Self::TooDeep { .. } | Self::TooManyNames { .. } | Self::TooManyBytes { .. } => Kind::Limit,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            _ => None,
        }
    }
}
