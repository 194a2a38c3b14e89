//! One tar that is an OCI layout and a Docker archive at once: what every engine loads.
//!
//! It has `oci-layout`, `index.json`, `manifest.json` and the blobs, and nothing else, for containerd takes
//! every other entry for a blob. Entries are sorted, of `0:0`, of the time 0. All sizes are known before
//! the first byte, so it can be written to a pipe.
//!
//! For one image; an index of several architectures would be one more blob, and the host's image the one
//! in `manifest.json`.
//!
//! Source: spec/image, "The archive that loads everywhere"; OCI image specification, "Image Layout";
//! Docker's image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::archive::tar_write::{self, Entry, EntryKind};
use crate::content::Content;
use crate::report::{Reporter, Step};

use super::manifest::Descriptor;
use super::{Image, ImageError, ImageReference};

const READ_BUFFER: usize = 128 * 1024;

/// An archive of one image, under any number of names.
#[derive(Debug)]
pub struct Archive {
    files: BTreeMap<String, Content>,
}

impl Archive {
    /// The archive of `image` with these names. Without names, an engine loads it by its ID.
    pub fn new(image: &Image, references: &[ImageReference]) -> Result<Self, ImageError> {
        let mut files: BTreeMap<String, Content> =
            image.blobs().map(|blob| (blob_path(blob), blob.clone())).collect();
        for (name, document) in [
            ("oci-layout", to_json("oci-layout", &Layout { image_layout_version: "1.0.0" })?),
            ("index.json", to_json("index.json", &Index::of(image, references))?),
            ("manifest.json", to_json("manifest.json", &[DockerManifest::of(image, references)])?),
        ] {
            files.insert(name.to_owned(), Content::of_bytes(document));
        }
        Ok(Self { files })
    }

    /// The length of the archive, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let entries: u64 = self
            .files
            .values()
            .map(|content| {
                let length = content.length();
                tar_write::BLOCK as u64 + length + tar_write::padding(length).len() as u64
            })
            .sum();
        entries + tar_write::END.len() as u64
    }

    /// Writes the archive. Reports [`Step::Emit`] in bytes. On an error `out` may have been given a part.
    pub fn write(&self, reporter: &dyn Reporter, out: &mut impl Write) -> Result<(), ImageError> {
        reporter.begin(Step::Emit, self.size());
        let mut buffer = vec![0; READ_BUFFER];
        for (name, content) in &self.files {
            let mut head = Vec::new();
            Entry::new(name, EntryKind::File { size: content.length() }).append_head(&mut head)?;
            put(out, &head)?;
            copy(name, content, &mut buffer, reporter, out)?;
            put(out, tar_write::padding(content.length()))?;
        }
        put(out, tar_write::END)?;
        out.flush().map_err(not_written)?;
        reporter.end(Step::Emit);
        Ok(())
    }
}

fn copy(
    name: &str,
    content: &Content,
    buffer: &mut [u8],
    reporter: &dyn Reporter,
    out: &mut impl Write,
) -> Result<(), ImageError> {
    let mut reader = content.reader();
    loop {
        if reporter.interrupted() {
            return Err(ImageError::Interrupted { what: "the archive" });
        }
        let filled = reader
            .fill(buffer)
            .map_err(|error| ImageError::Blob { name: name.to_owned(), error: Box::new(error) })?;
        if filled == 0 {
            return Ok(());
        }
        put(out, buffer.get(..filled).unwrap_or_default())?;
        reporter.advance(Step::Emit, filled as u64, name);
    }
}

fn put(out: &mut impl Write, bytes: &[u8]) -> Result<(), ImageError> {
    out.write_all(bytes).map_err(not_written)
}

fn not_written(error: std::io::Error) -> ImageError {
    ImageError::Write { what: "the archive", error }
}

fn blob_path(blob: &Content) -> String {
    format!("blobs/sha256/{}", blob.digest())
}

fn to_json(what: &'static str, document: &impl Serialize) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec(document).map_err(|error| ImageError::Encode { what, error })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

impl Index {
    fn of(image: &Image, references: &[ImageReference]) -> Self {
        let named = references.iter().map(|reference| Descriptor {
            annotations: BTreeMap::from([
                ("io.containerd.image.name", reference.full()),
                ("org.opencontainers.image.ref.name", reference.tag().to_owned()),
            ]),
            ..image.descriptor()
        });
        let unnamed = references.is_empty().then(|| image.descriptor());
        Self {
            schema_version: 2,
            media_type: "application/vnd.oci.image.index.v1+json",
            manifests: named.chain(unnamed).collect(),
        }
    }
}

/// Docker's own list of what is in the archive.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    /// `null` rather than empty for an image without a name, as `docker save` of an ID writes it.
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl DockerManifest {
    fn of(image: &Image, references: &[ImageReference]) -> Self {
        let tags: Vec<String> = references.iter().map(ImageReference::familiar).collect();
        Self {
            config: format!("blobs/sha256/{}", image.config_digest()),
            repo_tags: (!tags.is_empty()).then_some(tags),
            layers: image
                .layers()
                .iter()
                .map(|layer| format!("blobs/sha256/{}", layer.descriptor().digest))
                .collect(),
        }
    }
}
