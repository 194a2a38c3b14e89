//! What can be wrong with an output before anything is written.

use std::path::PathBuf;

use crate::archive::codec::NoSuchLevel;
use crate::kind::{Explain, Kind};

/// Why an output cannot be what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The form is not known.
    #[error("`{0}` is not a type of output (archive, oci, tar, local, dockerfile)")]
    Kind(String),
    /// A key is not known.
    #[error(
        "`{0}` says nothing about an output: write type=TYPE,dest=PATH, for an image also compression=, \
         compression-level= and oci-mediatypes="
    )]
    Key(String),
    /// An option has a value that it does not take.
    #[error("`{option}` is not {wanted}")]
    Value {
        /// The option with its value.
        option: String,
        /// What it takes.
        wanted: &'static str,
    },
    /// An algorithm has no such level.
    #[error(transparent)]
    Level(#[from] NoSuchLevel),
    /// A level of what is not compressed.
    #[error("compression-level says nothing about layers that are not compressed")]
    LevelOfNothing,
    /// Docker's media types have none for zstd.
    #[error(
        "oci-mediatypes=false and compression=zstd do not go together: Docker's media types have none for zstd"
    )]
    DockerZstd,
    /// The form does not have the option.
    #[error("`{option}` says nothing about type={kind}")]
    NotOfKind {
        /// The option.
        option: &'static str,
        /// The form.
        kind: &'static str,
    },
    /// An OCI layout as a tar.
    #[error("type=oci is a directory")]
    OciTar,
    /// An OCI layout under Docker's names.
    #[error("type=oci has OCI's media types: skopeo and podman read no others in an OCI layout")]
    OciOfDocker,
    /// A directory cannot go to a pipe.
    #[error("type={0} is a directory, which standard output cannot take")]
    DirectoryToStdout(&'static str),
    /// The form holds one root filesystem, and several architectures were asked for.
    #[error("type={kind} holds the root filesystem of one architecture, and {count} were asked for")]
    OneArchitecture {
        /// The form.
        kind: &'static str,
        /// How many architectures.
        count: usize,
    },
    /// There is no destination.
    #[error("`{0}` names no destination: add dest=FILE, or dest=- for standard output")]
    NoDestination(String),
    /// Two outputs go to one place.
    #[error("two outputs go to {0}")]
    Twice(String),
    /// An output goes into another one.
    #[error("the output {inner} would be inside the output {outer}")]
    Inside {
        /// What is inside.
        inner: String,
        /// What it is in.
        outer: String,
    },
    /// The directory of the destination does not exist.
    #[error("cannot write {path}: the directory {directory} does not exist", path = .path.display(), directory = .directory.display())]
    NoDirectory {
        /// The destination.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// The destination is a device, a pipe or a socket.
    #[error("cannot write {}: it is not a regular file", .0.display())]
    IsSpecial(PathBuf),
    /// What should be the directory of the destination is something else.
    #[error("cannot write {path}: {directory} is not a directory", path = .path.display(), directory = .directory.display())]
    NotADirectory {
        /// The destination.
        path: PathBuf,
        /// What is no directory.
        directory: PathBuf,
    },
    /// Nothing may be written into the directory of the destination.
    #[error("cannot write {path}: the directory {directory} cannot be written to", path = .path.display(), directory = .directory.display())]
    NoPermission {
        /// The destination.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// The destination is a directory.
    #[error("cannot write {}: it is a directory", .0.display())]
    IsDirectory(PathBuf),
    /// The destination should be a directory, and is a file.
    #[error("cannot write the directory {}: there is a file of that name", .0.display())]
    IsFile(PathBuf),
    /// The destination is a directory with something in it.
    #[error("cannot write the directory {}: it is there and not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The destination is a directory that cannot be put in another one's place.
    #[error("cannot write the directory {}: it is {what}, which cannot be replaced", .path.display())]
    Irreplaceable {
        /// The destination.
        path: PathBuf,
        /// "a mount point", "the working directory".
        what: &'static str,
    },
}

impl Explain for OutputError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoDirectory { .. } | Self::NoPermission { .. } => Kind::Missing,
            Self::Kind(_)
            | Self::Key(_)
            | Self::Value { .. }
            | Self::Level(_)
            | Self::LevelOfNothing
            | Self::DockerZstd
            | Self::NotOfKind { .. }
            | Self::OciTar
            | Self::OciOfDocker
            | Self::DirectoryToStdout(_)
            | Self::OneArchitecture { .. }
            | Self::NoDestination(_)
            | Self::Twice(_)
            | Self::Inside { .. }
            | Self::IsSpecial(_)
            | Self::NotADirectory { .. }
            | Self::IsDirectory(_)
            | Self::IsFile(_)
            | Self::NotEmpty(_)
            | Self::Irreplaceable { .. } => Kind::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::IsSpecial(_) => Some("dest=- writes to standard output, which may be anything".to_owned()),
            Self::NoDirectory { directory, .. } => {
                Some(format!("make it first: mkdir -p {}", directory.display()))
            }
            Self::IsDirectory(path) => Some(format!(
                "name a file in it: {}\na directory is written by type=oci, local or dockerfile",
                path.join("image.tar").display()
            )),
            Self::NoPermission { .. } => Some("choose another place, or another user".to_owned()),
            Self::OciTar => {
                Some("leave tar=true out; type=archive is a tar, and an OCI layout too".to_owned())
            }
            Self::OciOfDocker => Some("write type=archive,oci-mediatypes=false".to_owned()),
            Self::OneArchitecture { .. } => Some(
                "name one with --arch, and run once for each; type=archive and type=oci hold several"
                    .to_owned(),
            ),
            Self::NotEmpty(path) => Some(format!(
                "nothing in it is touched: choose another, or remove it first: rm -r {}",
                path.display()
            )),
            Self::Irreplaceable { path, .. } => {
                Some(format!("name a directory in it: {}", path.join("out").display()))
            }
            Self::IsFile(_) => Some("choose another name, or remove it first".to_owned()),
            Self::Kind(_)
            | Self::Key(_)
            | Self::Value { .. }
            | Self::Level(_)
            | Self::LevelOfNothing
            | Self::DockerZstd
            | Self::NotOfKind { .. }
            | Self::DirectoryToStdout(_)
            | Self::NoDestination(_)
            | Self::Twice(_)
            | Self::Inside { .. }
            | Self::NotADirectory { .. } => None,
        }
    }
}
