//! An OCI layout: one image, for one architecture or for several, as files named by their digests.
//!
//! It has `oci-layout`, `index.json` and the blobs, and nothing else. Of one architecture `index.json` names
//! the manifest itself; of several it names a list of manifests, each with its platform, which is one more
//! blob. All sizes and digests are known before the first byte is written.
//!
//! Source: OCI image specification, "Image Layout" and "Image Index"; spec/image, "The archive that loads
//! everywhere", for the annotations.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::content::Content;
use crate::digest::Sha256;
use crate::report::{Reporter, Step};
use crate::root::{DirectoryWriter, FileError};

use super::manifest::{Descriptor, IndexDocument, to_json};
use super::names::{FULL_NAME, INDEX, LAYOUT, REFERENCE, blob_path};
use super::{Image, ImageError, ImageReference, MediaTypes};

/// How much of a blob is read at a time.
const READ_BUFFER: usize = 128 * 1024;

/// An image's files, under any number of names.
#[derive(Debug)]
pub struct Layout {
    files: BTreeMap<String, Content>,
    digest: Sha256,
}

impl Layout {
    /// The layout of one image: `first`, and `others` for other architectures.
    pub fn new(first: &Image, others: &[Image], references: &[ImageReference]) -> Result<Self, ImageError> {
        let all = || std::iter::once(first).chain(others);
        let mut files: BTreeMap<String, Content> =
            all().flat_map(Image::blobs).map(|blob| (blob_path(blob.digest()), blob.clone())).collect();
        let (digest, top) = if others.is_empty() {
            (first.manifest_digest(), first.descriptor())
        } else {
            let list = IndexDocument::new(first.media_types(), all().map(Image::descriptor).collect());
            let list = Content::of_bytes(to_json("the list of manifests", &list)?);
            files.insert(blob_path(list.digest()), list.clone());
            (list.digest(), Descriptor::of(first.media_types().index(), &list))
        };
        let index = IndexDocument::new(MediaTypes::Oci, named(&top, references));
        files.insert(INDEX.to_owned(), Content::of_bytes(to_json(INDEX, &index)?));
        let version = Version { image_layout_version: "1.0.0" };
        files.insert(LAYOUT.to_owned(), Content::of_bytes(to_json(LAYOUT, &version)?));
        Ok(Self { files, digest })
    }

    /// The digest that its names stand for: of the manifest, or of the list of manifests.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// Its files by name, relative to it.
    pub(super) fn files(&self) -> &BTreeMap<String, Content> {
        &self.files
    }

    /// Writes it into an empty directory. Reports [`Step::Emit`] in bytes.
    pub fn write_directory(
        &self,
        reporter: &dyn Reporter,
        out: &mut DirectoryWriter,
    ) -> Result<(), ImageError> {
        reporter.begin(Step::Emit, self.files.values().map(Content::length).sum());
        for directory in ["blobs", "blobs/sha256"] {
            out.directory(directory)?;
        }
        for (name, content) in &self.files {
            let path = out.path().join(name);
            let mut file = out.file(name)?;
            let mut put = |bytes: &[u8]| Ok(file.write_all(bytes).map_err(FileError::on("write", &path))?);
            copy_blob(name, content, reporter, &mut put)?;
        }
        reporter.end(Step::Emit);
        Ok(())
    }
}

/// Gives the bytes of `content`, which is called `name` in messages, to `put`, piece by piece and checked.
pub(super) fn copy_blob(
    name: &str,
    content: &Content,
    reporter: &dyn Reporter,
    put: &mut impl FnMut(&[u8]) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let mut reader = content.reader();
    let mut buffer = vec![0; READ_BUFFER];
    loop {
        if reporter.interrupted() {
            return Err(ImageError::Interrupted { what: "the image" });
        }
        let filled = reader
            .fill(&mut buffer)
            .map_err(|error| ImageError::Blob { name: name.to_owned(), error: Box::new(error) })?;
        if filled == 0 {
            return Ok(());
        }
        put(buffer.get(..filled).unwrap_or_default())?;
        reporter.advance(Step::Emit, filled as u64, name);
    }
}

/// `top` once for each name, or once without any.
fn named(top: &Descriptor, references: &[ImageReference]) -> Vec<Descriptor> {
    let named = references.iter().map(|reference| Descriptor {
        annotations: BTreeMap::from([(FULL_NAME, reference.full()), (REFERENCE, reference.tag().to_owned())]),
        ..top.clone()
    });
    let unnamed = references.is_empty().then(|| top.clone());
    named.chain(unnamed).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    image_layout_version: &'static str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::arch::Arch;
    use crate::image::made::{image, image_for};
    use crate::report::Silent;

    fn document(layout: &Layout, name: &str) -> Value {
        serde_json::from_slice(&layout.files[name].to_vec().unwrap()).unwrap()
    }

    #[test]
    fn of_several_architectures_the_index_names_a_list_with_each_ones_platform() {
        let [amd64, arm64, armv6] =
            [Arch::X86_64, Arch::Aarch64, Arch::Armhf].map(|arch| image_for(arch, MediaTypes::Oci));
        let others = [arm64.clone(), armv6.clone()];
        let layout = Layout::new(&amd64, &others, &["x:1".parse().unwrap()]).unwrap();

        let top = &document(&layout, "index.json")["manifests"];
        assert_eq!(top.as_array().unwrap().len(), 1);
        assert_eq!(top[0]["mediaType"], "application/vnd.oci.image.index.v1+json");
        assert_eq!(top[0]["digest"], format!("sha256:{}", layout.digest()));
        assert_eq!(top[0].get("platform"), None);
        assert_eq!(top[0]["annotations"]["org.opencontainers.image.ref.name"], "1");
        let list = document(&layout, &blob_path(layout.digest()));
        let entry = |image: &Image, platform: Value| {
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{}", image.manifest_digest()),
                "size": image.descriptor().size,
                "platform": platform,
            })
        };
        assert_eq!(
            list,
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [
                    entry(&amd64, json!({"architecture": "amd64", "os": "linux"})),
                    entry(&arm64, json!({"architecture": "arm64", "os": "linux", "variant": "v8"})),
                    entry(&armv6, json!({"architecture": "arm", "os": "linux", "variant": "v6"})),
                ],
            })
        );
    }

    #[test]
    fn a_list_of_dockers_manifests_is_dockers_too() {
        let [first, other] = [Arch::X86_64, Arch::S390x].map(|arch| image_for(arch, MediaTypes::Docker));
        let layout = Layout::new(&first, &[other], &[]).unwrap();
        let index = document(&layout, "index.json");
        assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
        let list = "application/vnd.docker.distribution.manifest.list.v2+json";
        assert_eq!(index["manifests"][0]["mediaType"], list);
        assert_eq!(document(&layout, &blob_path(layout.digest()))["mediaType"], list);
    }

    #[test]
    fn the_directory_has_the_documents_and_the_blobs_under_their_digests() {
        let place = tempfile::tempdir().unwrap();
        let layout = Layout::new(&image(), &[], &["x:1".parse().unwrap()]).unwrap();
        layout.write_directory(&Silent, &mut DirectoryWriter::open(place.path()).unwrap()).unwrap();
        for (name, content) in layout.files() {
            let there = crate::root::read_file(&place.path().join(name), 1 << 20).unwrap();
            assert_eq!(Sha256::of(&there), content.digest(), "{name}");
        }
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 3);
        let blobs = std::fs::read_dir(place.path().join("blobs/sha256")).unwrap();
        assert_eq!(blobs.count(), layout.files().len() - 2);
    }
}
