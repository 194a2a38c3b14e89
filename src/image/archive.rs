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
            reporter.advance(Step::Emit, head.len() as u64, name);
            copy(name, content, &mut buffer, reporter, out)?;
            let padding = tar_write::padding(content.length());
            put(out, padding)?;
            reporter.advance(Step::Emit, padding.len() as u64, name);
        }
        put(out, tar_write::END)?;
        reporter.advance(Step::Emit, tar_write::END.len() as u64, "");
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use serde_json::{Value, json};

    use super::*;
    use crate::arch::Arch;
    use crate::digest::{DiffId, Sha256};
    use crate::image::{Epoch, ImageConfig, LayerDescriptor, MediaTypes, PackedLayer};
    use crate::report::Silent;

    fn image() -> Image {
        let content = Content::of_bytes(*b"compressed");
        let descriptor = LayerDescriptor {
            diff_id: DiffId(Sha256::of(b"tar")),
            digest: content.digest(),
            size: content.length(),
            tar_size: 3,
        };
        let layer = PackedLayer::new(descriptor, content, "x").unwrap();
        let config = ImageConfig::new(Arch::Aarch64, Epoch::new(0).unwrap());
        Image::new(&config, vec![layer], &BTreeMap::new(), MediaTypes::Oci).unwrap()
    }

    fn archive(image: &Image, names: &[&str]) -> Vec<u8> {
        let references: Vec<ImageReference> = names.iter().map(|name| name.parse().unwrap()).collect();
        let archive = Archive::new(image, &references).unwrap();
        let mut bytes = Vec::new();
        archive.write(&Silent, &mut bytes).unwrap();
        assert_eq!(archive.size(), bytes.len() as u64);
        bytes
    }

    fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
        tar::Archive::new(archive)
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let header = entry.header();
                let plain = (header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap());
                assert_eq!(plain, (0, 0, 0));
                let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                (name, bytes)
            })
            .collect()
    }

    fn document(archive: &[u8], name: &str) -> Value {
        let (_, bytes) = files(archive).into_iter().find(|(file, _)| file == name).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn the_archive_has_the_three_documents_and_the_blobs_sorted_and_nothing_else() {
        let image = image();
        let files = files(&archive(&image, &["x:1"]));
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let digests = [image.config_digest(), image.manifest_digest(), Sha256::of(b"compressed")];
        let mut expected: Vec<String> = digests.map(|digest| format!("blobs/sha256/{digest}")).into();
        expected.extend(["oci-layout", "index.json", "manifest.json"].map(str::to_owned));
        expected.sort();
        assert_eq!(names, expected);
        for (name, bytes) in files {
            if let Some(digest) = name.strip_prefix("blobs/sha256/") {
                assert_eq!(Sha256::of(&bytes).to_hex(), digest);
            }
        }
    }

    #[test]
    fn every_name_is_in_both_indexes_in_the_form_its_reader_wants() {
        let image = image();
        let bytes = archive(&image, &["x:1", "ghcr.io/o/x:2"]);
        let descriptor = |name: &str, tag: &str| {
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{}", image.manifest_digest()),
                "size": image.descriptor().size,
                "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"},
                "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag},
            })
        };
        assert_eq!(
            document(&bytes, "index.json"),
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [descriptor("docker.io/library/x:1", "1"), descriptor("ghcr.io/o/x:2", "2")],
            })
        );
        assert_eq!(
            document(&bytes, "manifest.json"),
            json!([{
                "Config": format!("blobs/sha256/{}", image.config_digest()),
                "RepoTags": ["x:1", "ghcr.io/o/x:2"],
                "Layers": [format!("blobs/sha256/{}", Sha256::of(b"compressed"))],
            }])
        );
        assert_eq!(document(&bytes, "oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
    }

    #[test]
    fn an_image_without_a_name_is_there_without_annotations() {
        let bytes = archive(&image(), &[]);
        let index = document(&bytes, "index.json");
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        assert_eq!(index["manifests"][0].get("annotations"), None);
        assert_eq!(document(&bytes, "manifest.json")[0]["RepoTags"], Value::Null);
    }
}
