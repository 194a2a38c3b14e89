//! One tar that is an OCI layout and a Docker archive at once: what every engine loads.
//!
//! It has `manifest.json` beside the files of the layout and nothing else, for containerd takes every other
//! entry for a blob. Entries are sorted, of `0:0`, of the time 0. All sizes are known before the first byte,
//! so it can be written to a pipe.
//!
//! Docker's list has one image: of several architectures the one that its maker chooses.
//!
//! Source: spec/image, "The archive that loads everywhere"; Docker's image specification 1.2, "Combined Image
//! JSON + Filesystem Changeset Format".

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::archive::tar_write::{self, Entry, EntryKind};
use crate::content::Content;
use crate::report::{Reporter, Step};

use super::layout::{Layout, copy_blob};
use super::manifest::to_json;
use super::names::{DOCKER_LIST, blob_path};
use super::{Image, ImageError, ImageReference};

/// An archive of a layout.
#[derive(Debug)]
pub struct Archive {
    files: BTreeMap<String, Content>,
}

impl Archive {
    /// The archive of `layout`. Docker loads of it `image`, which is in it, under these names; without names
    /// by its ID.
    pub fn new(layout: &Layout, image: &Image, references: &[ImageReference]) -> Result<Self, ImageError> {
        let mut files = layout.files().clone();
        let list = to_json(DOCKER_LIST, &[DockerManifest::of(image, references)])?;
        files.insert(DOCKER_LIST.to_owned(), Content::of_bytes(list));
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
        let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(not_written);
        for (name, content) in &self.files {
            let mut head = Vec::new();
            Entry::new(name, EntryKind::File { size: content.length() }).append_head(&mut head)?;
            put(&head)?;
            copy_blob(name, content, reporter, &mut put)?;
            let padding = tar_write::padding(content.length());
            put(padding)?;
            reporter.advance(Step::Emit, (head.len() + padding.len()) as u64, name);
        }
        put(tar_write::END)?;
        reporter.advance(Step::Emit, tar_write::END.len() as u64, "");
        out.flush().map_err(not_written)?;
        reporter.end(Step::Emit);
        Ok(())
    }
}

fn not_written(error: std::io::Error) -> ImageError {
    ImageError::Write { what: "the archive", error }
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
            config: blob_path(image.config_digest()),
            repo_tags: (!tags.is_empty()).then_some(tags),
            layers: image.layers().iter().map(|layer| blob_path(layer.descriptor().digest)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use serde_json::{Value, json};

    use super::*;
    use crate::digest::Sha256;
    use crate::image::made::image;
    use crate::report::Silent;

    fn archive(image: &Image, names: &[&str]) -> Vec<u8> {
        let references: Vec<ImageReference> = names.iter().map(|name| name.parse().unwrap()).collect();
        let layout = Layout::new(image, &[], &references).unwrap();
        let archive = Archive::new(&layout, image, &references).unwrap();
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
