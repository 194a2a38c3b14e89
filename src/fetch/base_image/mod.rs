//! An image as the base: an OCI layout in a directory, or an archive of an image.
//!
//! Of several images in it the one that is named is taken, and of that the one for the architecture. Every
//! blob is held against the size and the digest by which it is named, from the list down to the layers, and
//! every layer's tar against the digest that the configuration states. What an image is configured to do is not
//! taken over; what it says that it does is only told.
//!
//! An archive of Docker's own form has no list with digests. Its configuration is named after its digest, and
//! states those of the layers.
//!
//! Source: OCI image specification, "Image Layout"; Docker's image specification 1.2, "Combined Image JSON +
//! Filesystem Changeset Format"; design, "Trust".

mod choose;
mod error;
mod files;

use std::path::{Path, PathBuf};

use self::choose::{FoundImage, FoundLayer, Wanted};
use self::files::{Archive, Files};
use super::base::{Base, TrustRung, rootfs_archive};
use super::error::{FetchError, PROFILE, Statement};
use super::fetcher::Fetcher;
use super::packages::{Watched, refusal};
use crate::arch::Arch;
use crate::archive::rootfs::inflated_limit;
use crate::digest::Sha256;
use crate::image::names::{INDEX, LAYOUT};
use crate::image::stored::shown;
use crate::report::Step;
use crate::root::Root;
use crate::store::{Expanded, StoredLayer};

pub use error::{BaseImageError, BaseImageFlaw};

/// What is known of an image that is the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    /// The digest of its manifest, by which registries know it, if it has one.
    pub manifest: Option<Sha256>,
    /// Its full name, if it has one.
    pub name: Option<String>,
    /// What it is configured to do, in Docker's words.
    pub configured: Vec<&'static str>,
}

/// The base at `path`: a root filesystem's archive, an image's archive, or an OCI layout. Behind a path that
/// there is may stand a colon and the name of an image in it.
pub fn local_base(
    fetcher: &Fetcher<'_>,
    path: &Path,
    sha256: Option<Sha256>,
    arch: Arch,
) -> Result<Base, FetchError> {
    let (path, name) = named(path);
    let name = name.as_deref();
    if path.is_dir() {
        let files = Files::Directory(Root::open(&path)?);
        let image = Wanted { files: &files, name, arch }.layout()?;
        let manifest = image.manifest.ok_or_else(|| files.error(BaseImageFlaw::Empty))?;
        return Ok(Base {
            trust: image.trust(sha256, &files)?,
            sha256: manifest,
            layers: image.layers(fetcher, &files)?,
            file: file_name(&path, name),
            release: None,
            image: Some(image.described()),
        });
    }
    let base = rootfs_archive(fetcher, &path, sha256)?;
    let Some(archive) = base.layers.first() else { return Ok(base) };
    let files = Files::Archive(Archive::new(archive, &path));
    match in_archive(&Wanted { files: &files, name, arch })? {
        Some(image) => Ok(Base {
            layers: image.layers(fetcher, &files)?,
            file: file_name(&path, name),
            image: Some(image.described()),
            ..base
        }),
        None => match name {
            Some(name) => Err(files.error(BaseImageFlaw::NoImage { name: shown(name) })),
            None => Ok(base),
        },
    }
}

/// The image in an archive; nothing if it is a root filesystem's.
fn in_archive(wanted: &Wanted<'_>) -> Result<Option<FoundImage>, FetchError> {
    let has = |path| wanted.files.known(path).is_some();
    if has(LAYOUT) && has(INDEX) {
        return wanted.layout().map(Some);
    }
    wanted.docker_images().map(|images| wanted.docker(&images)).transpose()
}

/// `path`, and the name behind a colon if only the part before it is there.
fn named(path: &Path) -> (PathBuf, Option<String>) {
    let text = path.to_str().filter(|_| !path.exists()).unwrap_or_default();
    let parts = text.match_indices(':').filter_map(|(at, _)| Some((text.get(..at)?, text.get(at + 1..)?)));
    let mut parts = parts.filter(|(path, _)| !path.is_empty());
    match parts.find(|(path, _)| Path::new(path).exists()) {
        Some((path, name)) => (path.into(), Some(name.to_owned())),
        None => (path.to_owned(), None),
    }
}

/// What the base is called in the report.
fn file_name(path: &Path, name: Option<&str>) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file = whole.file_name().unwrap_or_default().to_string_lossy();
    name.map_or_else(|| file.to_string(), |name| format!("{file}:{name}"))
}

impl FoundImage {
    /// Why it is believed: it is the one that the profile states, by its manifest or the list that names it; or
    /// the profile states nothing.
    fn trust(&self, sha256: Option<Sha256>, files: &Files) -> Result<TrustRung, FetchError> {
        let Some(expected) = sha256 else { return Ok(TrustRung::LocalFile) };
        if self.known_by.contains(&expected) {
            return Ok(TrustRung::ExpectedSha256);
        }
        let got: Vec<String> = self.known_by.iter().map(ToString::to_string).collect();
        let stated = Statement { by: PROFILE.to_owned(), algorithm: "SHA-256", value: expected.to_string() };
        Err(FetchError::NotAsStated {
            file: files.location(),
            stated: Box::new(stated),
            got: got.join(", that of its manifest "),
        })
    }

    fn described(&self) -> BaseImage {
        BaseImage { manifest: self.manifest, name: self.name.clone(), configured: self.config.configured() }
    }

    /// Its layers, the lowest first: from the store, or copied into it.
    fn layers(&self, fetcher: &Fetcher<'_>, files: &Files) -> Result<Vec<Expanded>, FetchError> {
        let sizes = self.layers.iter().map(|layer| layer.size);
        let mut left = inflated_limit(sizes.fold(0, u64::saturating_add));
        let mut layers = Vec::with_capacity(self.layers.len());
        for (number, layer) in (1..).zip(&self.layers) {
            let stored = match fetcher.store.recall_layer(layer.digest)? {
                Some(stored) => stored,
                None => layer.fetch(fetcher, files, left)?,
            };
            let (expected, got) = (layer.diff_id, stored.diff_id());
            if expected != got {
                return Err(files.error(BaseImageFlaw::DiffId { number, expected, got }));
            }
            left = left.saturating_sub(stored.expanded().tar().length());
            layers.push(stored.expanded().clone());
        }
        Ok(layers)
    }
}

impl FoundLayer {
    /// Copies it into the store; it may inflate to `limit` bytes.
    fn fetch(&self, fetcher: &Fetcher<'_>, files: &Files, limit: u64) -> Result<StoredLayer, FetchError> {
        let Fetcher { store, reporter, .. } = *fetcher;
        let name = self.digest.to_hex();
        let opened = files.open(&self.path)?;
        let opened = opened.ok_or_else(|| files.error(BaseImageFlaw::NoBlob(name.clone())))?;
        let got = opened.length.unwrap_or(self.size);
        if got != self.size {
            return Err(files.error(BaseImageFlaw::Size { name, stated: self.size, got }));
        }
        reporter.begin(Step::Fetch, self.size);
        let (object, mut advanced) = (format!("layer {name}"), 0);
        let reader = Watched::new(opened.reader, Some(self.size), reporter, &object, &mut advanced);
        let stored = store
            .add_layer(self.digest, self.size, limit, &object, reader)
            .map_err(|error| refusal(error, &files.location(), reporter))?;
        reporter.end(Step::Fetch);
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_behind_what_is_there_and_a_path_may_have_colons() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::create_dir(at("layout")).unwrap();
        std::fs::create_dir(at("a:b")).unwrap();
        for (given, path, name) in [
            ("layout", "layout", None),
            ("layout:1.2", "layout", Some("1.2")),
            ("layout:docker.io/library/x:1", "layout", Some("docker.io/library/x:1")),
            ("a:b", "a:b", None),
            ("a:b:c", "a:b", Some("c")),
            ("missing:1", "missing:1", None),
        ] {
            assert_eq!(named(&at(given)), (at(path), name.map(str::to_owned)), "{given}");
        }
    }
}
