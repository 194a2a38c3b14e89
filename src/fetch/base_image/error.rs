//! What can be wrong with an image that is to be the base.

use crate::arch::Arch;
use crate::digest::{DiffId, Sha256};
use crate::kind::{Explain, Kind};

/// An image cannot be the base.
#[derive(Debug, thiserror::Error)]
#[error("{location} cannot be the base: {flaw}")]
pub struct BaseImageError {
    /// The layout, or the archive.
    pub location: String,
    /// Why not.
    pub flaw: BaseImageFlaw,
}

/// Why an image cannot be the base.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseImageFlaw {
    /// It is a directory of something else.
    #[error("it is a directory, and no OCI layout: it has no file oci-layout")]
    NoLayout,
    /// It is a root filesystem, and something in it is named.
    #[error("it is no image, and has nothing called `{name}`")]
    NoImage {
        /// What was named.
        name: String,
    },
    /// Its format is of another version.
    #[error("it is an OCI layout of version `{0}`, which is not read")]
    Version(String),
    /// A document is missing.
    #[error("it has no {0}")]
    NoDocument(String),
    /// A document is not of the form it must have.
    #[error("its {name} is malformed: {error}")]
    Document {
        /// Which.
        name: String,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// A document is larger than such documents are.
    #[error("its {name} has {size} bytes, more than the {limit} that such a document may have")]
    TooLarge {
        /// Which.
        name: String,
        /// Its size, in bytes.
        size: u64,
        /// What it may have, in bytes.
        limit: u64,
    },
    /// There is no image in it.
    #[error("it has no image")]
    Empty,
    /// There is no image of that name in it.
    #[error("it has no image called `{name}`")]
    NoName {
        /// The name.
        name: String,
        /// Those that there are.
        names: Vec<String>,
    },
    /// There are several images in it.
    #[error("it has several images, and it is not said which is meant")]
    Ambiguous {
        /// What they are called.
        names: Vec<String>,
    },
    /// There is no image for the architecture in it.
    #[error("it has no image for {arch}, but for {}", .platforms.join(", "))]
    NoPlatform {
        /// The architecture.
        arch: Arch,
        /// What it has images for.
        platforms: Vec<String>,
    },
    /// Lists lead to lists without end.
    #[error("its lists of images lead to one another more than {limit} times")]
    TooDeep {
        /// How often they may.
        limit: usize,
    },
    /// A blob is missing.
    #[error("it lacks the blob {0}")]
    NoBlob(String),
    /// A blob has another size than is said.
    #[error("the blob {name} has {got} bytes, stated are {stated}")]
    Size {
        /// Which.
        name: String,
        /// What is said, in bytes.
        stated: u64,
        /// What it has, in bytes.
        got: u64,
    },
    /// A blob is not the one that is meant.
    #[error("the blob {name} has SHA-256 {got}")]
    Digest {
        /// Which.
        name: String,
        /// What it has.
        got: Sha256,
    },
    /// A blob is of a kind that is not read.
    #[error("its {what} is of the type `{media_type}`, which is not read")]
    MediaType {
        /// "layer 2", "configuration".
        what: String,
        /// The media type, as far as it is shown.
        media_type: String,
    },
    /// There are more layers than engines take.
    #[error("it has {count} layers, more than the {limit} that an image may have")]
    TooManyLayers {
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The configuration speaks of another number of layers.
    #[error("it has {layers} layers, and its configuration states the digests of {diff_ids}")]
    LayerCount {
        /// How many the manifest names.
        layers: usize,
        /// How many the configuration names.
        diff_ids: usize,
    },
    /// A layer's tar is not the one that the configuration speaks of.
    #[error("the tar of its layer {number} has the digest {got}, its configuration states {expected}")]
    DiffId {
        /// Which, counted from 1.
        number: usize,
        /// What is stated.
        expected: DiffId,
        /// What it has.
        got: DiffId,
    },
}

impl Explain for BaseImageError {
    fn kind(&self) -> Kind {
        match &self.flaw {
            BaseImageFlaw::NoLayout | BaseImageFlaw::NoDocument(_) | BaseImageFlaw::NoBlob(_) => {
                Kind::Missing
            }
            BaseImageFlaw::NoImage { .. }
            | BaseImageFlaw::Version(_)
            | BaseImageFlaw::Empty
            | BaseImageFlaw::NoName { .. }
            | BaseImageFlaw::Ambiguous { .. }
            | BaseImageFlaw::NoPlatform { .. }
            | BaseImageFlaw::MediaType { .. } => Kind::Profile,
            BaseImageFlaw::TooLarge { .. }
            | BaseImageFlaw::TooDeep { .. }
            | BaseImageFlaw::TooManyLayers { .. } => Kind::Limit,
            BaseImageFlaw::Document { .. }
            | BaseImageFlaw::Size { .. }
            | BaseImageFlaw::Digest { .. }
            | BaseImageFlaw::LayerCount { .. }
            | BaseImageFlaw::DiffId { .. } => Kind::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        let copied =
            || Some("it is not whole, or damaged: copy the image again, as with skopeo copy".to_owned());
        match &self.flaw {
            BaseImageFlaw::NoLayout => Some(
                "name a directory that is one, as skopeo copy SOURCE oci:DIR:NAME makes it, or an archive"
                    .to_owned(),
            ),
            BaseImageFlaw::NoName { names, .. } | BaseImageFlaw::Ambiguous { names } if !names.is_empty() => {
                Some(format!(
                    "write one of its names behind a colon: {}:NAME with {}",
                    self.location,
                    names.join(", ")
                ))
            }
            BaseImageFlaw::NoPlatform { .. } => {
                Some("choose another architecture with --arch, or a base that has this one".to_owned())
            }
            BaseImageFlaw::NoDocument(_)
            | BaseImageFlaw::NoBlob(_)
            | BaseImageFlaw::Document { .. }
            | BaseImageFlaw::Size { .. }
            | BaseImageFlaw::Digest { .. }
            | BaseImageFlaw::LayerCount { .. }
            | BaseImageFlaw::DiffId { .. } => copied(),
            BaseImageFlaw::MediaType { .. } => {
                Some("layers are tars, also with gzip or zstd, of an image for containers".to_owned())
            }
            BaseImageFlaw::NoImage { .. }
            | BaseImageFlaw::Version(_)
            | BaseImageFlaw::Empty
            | BaseImageFlaw::NoName { .. }
            | BaseImageFlaw::Ambiguous { .. }
            | BaseImageFlaw::TooLarge { .. }
            | BaseImageFlaw::TooDeep { .. }
            | BaseImageFlaw::TooManyLayers { .. } => None,
        }
    }
}
