//! Images: the tree's bytes as layers, and the documents around them.
//!
//! | file | what it makes |
//! |---|---|
//! | `epoch` | the one time of an image, and its RFC 3339 form |
//! | `layer` | the order of a layer's entries; its tar, plain or compressed, and its digests |
//! | `config` | the image configuration: what to run, and the history people read |
//! | `reference` | image names, short as people write them and full as engines store them |
//! | `manifest` | an [`Image`]: configuration, layers and the manifest that binds them |
//! | `layout` | an OCI layout: one image for one architecture or several, as files |
//! | `archive` | one tar that docker, podman, containerd and skopeo all load |
//! | `rootfs` | a layer as files of a directory |
//! | `dockerfile` | a Dockerfile that makes the same image |
//! | `names` | what the files and annotations of an image are called |
//! | `stored` | the documents of an image that somebody else made, read |
//!
//! Always true here: the same tree and the same values give the same bytes, whatever the number of
//! threads, the clock or the machine; sizes are known before the first byte is written, so everything
//! can go to a pipe; bytes of files are checked against their digest while they are copied.
//!
//! Not for deciding what is in an image (that is `compose`): content comes as
//! [`Content`](crate::content::Content) and goes to any [`Write`](std::io::Write), or through a
//! [`DirectoryWriter`](crate::root::DirectoryWriter) into a directory.
//!
//! Source: the OCI image specification 1.0; spec/image, which says what each engine really reads.

mod archive;
mod config;
mod dockerfile;
mod epoch;
mod layer;
mod layout;
#[cfg(test)]
mod made;
mod manifest;
pub mod names;
mod reference;
mod rootfs;
pub mod stored;

use std::io;

use crate::archive::codec::CompressError;
use crate::archive::tar_write::TarWriteError;
use crate::content::ContentError;
use crate::digest::Sha256;
use crate::kind::{Explain, Kind, SystemWords, hint_of_io};
use crate::path::TreePath;
use crate::root::FileError;

pub use archive::Archive;
pub use config::{Healthcheck, ImageConfig};
pub use dockerfile::{Dockerfile, DockerfileError, DockerfileFlaw, ROOTFS};
pub use epoch::{Epoch, EpochError};
pub use layer::{Compression, Layer, LayerDescriptor};
pub use layout::Layout;
pub use manifest::{Image, MediaTypes, PackedLayer};
pub use reference::{ImageReference, ReferenceError, ReferenceFlaw};
pub use rootfs::Lost;

/// Why an image could not be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The bytes of a file of the tree could not be read, or are not what they were.
    #[error("{path}: {error}")]
    File {
        /// The file's path in the image.
        path: TreePath,
        /// What is wrong.
        error: Box<ContentError>,
    },
    /// A finished layer or document could not be copied into an archive.
    #[error("{name}: {error}")]
    Blob {
        /// Its name in the archive.
        name: String,
        /// What is wrong.
        error: Box<ContentError>,
    },
    /// An entry that tar cannot hold.
    #[error(transparent)]
    Tar(#[from] TarWriteError),
    /// A character device 0:0 would delete, in an image, what it stands for.
    #[error("{path} is a character device 0:0, by which container engines mark a file as deleted")]
    WhiteoutDevice {
        /// Its path.
        path: TreePath,
    },
    /// The layer could not be compressed.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// The place an output goes to refused it.
    #[error("cannot write {what}: {}", SystemWords(.error))]
    Write {
        /// "the layer", "the archive".
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// A layer's bytes are not those its descriptor speaks of.
    #[error(
        "a layer of {got_size} bytes with SHA-256 {got} was described as {expected_size} bytes with {expected}"
    )]
    OtherLayer {
        /// The digest in the descriptor.
        expected: Sha256,
        /// The size in the descriptor, in bytes.
        expected_size: u64,
        /// The digest of the content.
        got: Sha256,
        /// The size of the content, in bytes.
        got_size: u64,
    },
    /// Docker's media types have none for the way a layer is compressed.
    #[error("Docker's media types have none for layers compressed with zstd")]
    NoMediaType,
    /// A document could not be encoded as JSON.
    #[error("cannot encode {what}: {error}")]
    Encode {
        /// "the image configuration", "the manifest".
        what: &'static str,
        /// What the encoder said.
        error: serde_json::Error,
    },
    /// A file or directory of an output could not be made.
    #[error(transparent)]
    Disk(#[from] FileError),
    /// The user asked to stop.
    #[error("interrupted while writing {what}")]
    Interrupted {
        /// "the layer", "the archive".
        what: &'static str,
    },
}

impl Explain for ImageError {
    fn kind(&self) -> Kind {
        match self {
            Self::File { error, .. } | Self::Blob { error, .. } => error.kind(),
            Self::Tar(error) => error.kind(),
            Self::WhiteoutDevice { .. } => Kind::Integrity,
            Self::Compress(error) => error.kind(),
            Self::Write { error, .. } => Kind::of_io(error),
            Self::NoMediaType => Kind::Usage,
            Self::OtherLayer { .. } | Self::Encode { .. } => Kind::Internal,
            Self::Disk(error) => error.kind(),
            Self::Interrupted { .. } => Kind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File { error, .. } | Self::Blob { error, .. } => error.hint(),
            Self::Tar(error) => error.hint(),
            Self::Compress(error) => error.hint(),
            Self::Disk(error) => error.hint(),
            Self::Write { error, .. } => hint_of_io(error),
            Self::WhiteoutDevice { path } => Some(format!(
                "leave out the package it comes from, or the device itself: paths = [\"{path}\"] under [prune]"
            )),
            Self::NoMediaType => Some("use OCI's, or gzip".to_owned()),
            Self::OtherLayer { .. } | Self::Encode { .. } | Self::Interrupted { .. } => None,
        }
    }
}
