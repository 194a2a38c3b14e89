//! Squashing: from a proven tree to the bytes of one layer, in every form that is wanted.
//!
//! A finished layer is spooled to a file that has no name, because its digest must be known before the
//! archive it goes into can be begun; it is gone with the process, however that ends.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use super::output::ImageForm;
use super::prove::ProvenTree;
use crate::content::{Content, OpenFile};
use crate::image::{Compression, DockerfileError, Epoch, Image, ImageConfig, ImageError, Layer, PackedLayer};
use crate::kind::{Explain, Kind, SystemWords, hint_of_io};
use crate::report::Reporter;
use crate::root::{self, FileError};

/// How much of a layer is gathered before it is written.
const BUFFER: usize = 256 * 1024;

/// Why a tree cannot be squashed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SquashError {
    /// The layer cannot be planned or written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file or directory cannot be made or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The image cannot be said in a Dockerfile.
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    /// An output could not be written.
    #[error("cannot write {destination}: {}", SystemWords(.error))]
    Write {
        /// Where it should go.
        destination: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// An output wants the image, and none was made.
    #[error("an output wants an image that was not made: this is a mistake of apkcompose")]
    NoImage,
}

impl Explain for SquashError {
    fn kind(&self) -> Kind {
        match self {
            Self::Image(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Dockerfile(error) => error.kind(),
            Self::Write { error, .. } => Kind::of_io(error),
            Self::NoImage => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Dockerfile(error) => error.hint(),
            Self::Write { error, .. } => hint_of_io(error),
            Self::NoImage => None,
        }
    }
}

/// The plan of the one layer that holds everything of `proven`.
pub fn plan(proven: &ProvenTree, epoch: Epoch) -> Result<Layer<'_>, SquashError> {
    let packages: Vec<&str> =
        proven.installation().database.packages().iter().map(|package| package.name()).collect();
    Ok(Layer::plan(proven.tree().entries(), &packages, epoch)?)
}

/// The image of `layer` in each of these forms. Each compression is done once, into a spool file in
/// `directory`.
pub fn pack(
    layer: &Layer<'_>,
    config: &ImageConfig,
    forms: &BTreeSet<ImageForm>,
    directory: &Path,
    jobs: NonZeroUsize,
    reporter: &dyn Reporter,
) -> Result<BTreeMap<ImageForm, Image>, SquashError> {
    let mut packed: BTreeMap<Compression, PackedLayer> = BTreeMap::new();
    let mut images = BTreeMap::new();
    for form in forms {
        let layer = match packed.entry(form.compression) {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => {
                entry.insert(spool(layer, form.compression, directory, jobs, reporter)?).clone()
            }
        };
        images.insert(*form, Image::new(config, vec![layer], &config.labels, form.media_types)?);
    }
    Ok(images)
}

fn spool(
    layer: &Layer<'_>,
    compression: Compression,
    directory: &Path,
    jobs: NonZeroUsize,
    reporter: &dyn Reporter,
) -> Result<PackedLayer, SquashError> {
    let spool = root::nameless_file(directory)?;
    let spool_error = |action| FileError::on(action, directory);
    let mut out = BufWriter::with_capacity(BUFFER, spool);
    let descriptor = layer.pack(compression, jobs, reporter, &mut out).map_err(|error| match error {
        ImageError::Write { error, .. } => spool_error("write to")(error).into(),
        error => SquashError::Image(error),
    })?;
    out.flush().map_err(spool_error("write to"))?;
    let spool: File = out.into_inner().map_err(|error| spool_error("write to")(error.into_error()))?;
    let source = OpenFile::new(spool, directory.join("layer")).map_err(spool_error("read"))?;
    let content = Content::slice(Arc::new(source), 0, descriptor.size, descriptor.digest);
    Ok(PackedLayer::new(descriptor, content, "squashed root filesystem")?)
}
