//! Which image is meant: of several the one that is named, of that the one for the architecture.
//!
//! What is found has a configuration for the architecture, as many layers as that states digests of, and
//! every document on the way was held against the size and digest by which it was named.

use serde::de::DeserializeOwned;

use super::error::BaseImageFlaw;
use super::files::Files;
use crate::arch::Arch;
use crate::digest::{DiffId, Sha256};
use crate::fetch::FetchError;
use crate::image::names::{DOCKER_LIST, INDEX, LAYOUT, blob_path};
use crate::image::stored::{
    DockerImage, Listed, StoredConfig, StoredDescriptor, StoredIndex, StoredLayout, StoredManifest, shown,
};

/// How often a list of images may lead to another one.
const MAX_DEPTH: usize = 4;
/// How many layers an image may have: what engines can mount over one another, and more.
const MAX_LAYERS: usize = 512;

/// Which image of some files is wanted.
pub(super) struct Wanted<'a> {
    pub(super) files: &'a Files,
    pub(super) name: Option<&'a str>,
    pub(super) arch: Arch,
}

/// An image that was found, its configuration checked, its layers not read yet.
pub(super) struct FoundImage {
    /// The digests by which it may be known: of the list that names it, of its manifest.
    pub(super) known_by: Vec<Sha256>,
    /// The digest of its manifest, if it has one.
    pub(super) manifest: Option<Sha256>,
    /// Its full name, if it has one.
    pub(super) name: Option<String>,
    /// What it is configured to do.
    pub(super) config: StoredConfig,
    /// The lowest first.
    pub(super) layers: Vec<FoundLayer>,
}

/// A layer that an image names.
pub(super) struct FoundLayer {
    /// Where its blob is.
    pub(super) path: String,
    /// What its blob must be.
    pub(super) digest: Sha256,
    /// How many bytes that must have.
    pub(super) size: u64,
    /// What its tar must be.
    pub(super) diff_id: DiffId,
}

impl Wanted<'_> {
    fn error(&self, flaw: BaseImageFlaw) -> FetchError {
        self.files.error(flaw)
    }

    /// The image in an OCI layout.
    pub(super) fn layout(&self) -> Result<FoundImage, FetchError> {
        let Some(layout) = self.files.document(LAYOUT)? else {
            return Err(self.error(BaseImageFlaw::NoLayout));
        };
        let StoredLayout { image_layout_version: version } = self.parse(LAYOUT, &layout)?;
        if version.split('.').next() != Some("1") {
            return Err(self.error(BaseImageFlaw::Version(shown(&version))));
        }
        let index = self.files.document(INDEX)?;
        let index = index.ok_or_else(|| self.error(BaseImageFlaw::NoDocument(INDEX.to_owned())))?;
        let top: StoredIndex = self.parse(INDEX, &index)?;
        let candidates = self.called(&top.manifests)?;
        let name = candidates.iter().find_map(|descriptor| descriptor.full_name());
        let mut known_by = Vec::new();
        let mut chosen = self.one_of(&candidates)?;
        loop {
            known_by.push(chosen.digest);
            if known_by.len() > MAX_DEPTH {
                return Err(self.error(BaseImageFlaw::TooDeep { limit: MAX_DEPTH }));
            }
            let blob = self.blob(&chosen)?;
            let path = blob_path(chosen.digest);
            if chosen.listed() == Listed::Index {
                let list: StoredIndex = self.parse(&path, &blob)?;
                chosen = self.of_platform(&list.manifests.iter().collect::<Vec<_>>())?;
                continue;
            }
            let manifest: StoredManifest = self.parse(&path, &blob)?;
            return self.of_manifest(&manifest, chosen.digest, known_by, name);
        }
    }

    /// Those that are called as is wanted; all if nothing is said. Never none.
    fn called<'a>(&self, listed: &'a [StoredDescriptor]) -> Result<Vec<&'a StoredDescriptor>, FetchError> {
        let images: Vec<&StoredDescriptor> =
            listed.iter().filter(|descriptor| descriptor.listed() != Listed::Other).collect();
        if images.is_empty() {
            return Err(self.error(BaseImageFlaw::Empty));
        }
        let Some(name) = self.name else { return Ok(images) };
        let called: Vec<&StoredDescriptor> =
            images.iter().copied().filter(|descriptor| descriptor.names().any(|one| one == name)).collect();
        if called.is_empty() {
            return Err(self.error(BaseImageFlaw::NoName { name: shown(name), names: names(&images) }));
        }
        Ok(called)
    }

    /// The one that is meant of those that a layout lists: they are the same under several names, or one image
    /// for several architectures.
    fn one_of(&self, candidates: &[&StoredDescriptor]) -> Result<StoredDescriptor, FetchError> {
        let first = candidates.first().copied().ok_or_else(|| self.error(BaseImageFlaw::Empty))?;
        if candidates.iter().all(|other| other.digest == first.digest) {
            return Ok(first.clone());
        }
        let same_names = |other: &&&StoredDescriptor| other.names().eq(first.names());
        if candidates.iter().all(|other| same_names(&other) && other.platform.is_some()) {
            return self.of_platform(candidates);
        }
        Err(self.error(BaseImageFlaw::Ambiguous { names: names(candidates) }))
    }

    /// The one for the architecture of several manifests of one image.
    fn of_platform(&self, manifests: &[&StoredDescriptor]) -> Result<StoredDescriptor, FetchError> {
        let platforms = || manifests.iter().filter_map(|manifest| manifest.platform.as_ref());
        let fits = |manifest: &&&StoredDescriptor| {
            manifest.listed() != Listed::Other
                && manifest.platform.as_ref().is_some_and(|platform| platform.is(self.arch))
        };
        let mut fitting: Vec<&StoredDescriptor> = manifests.iter().filter(fits).copied().collect();
        fitting.dedup_by_key(|manifest| manifest.digest);
        match fitting.as_slice() {
            [one] => Ok((*one).clone()),
            [] => {
                let platforms = platforms().map(|platform| shown(&platform.to_string())).collect();
                Err(self.error(BaseImageFlaw::NoPlatform { arch: self.arch, platforms }))
            }
            several => Err(self.error(BaseImageFlaw::Ambiguous { names: names(several) })),
        }
    }

    fn of_manifest(
        &self,
        manifest: &StoredManifest,
        digest: Sha256,
        known_by: Vec<Sha256>,
        name: Option<String>,
    ) -> Result<FoundImage, FetchError> {
        let media_type = |what: String, descriptor: &StoredDescriptor| {
            let media_type = shown(&descriptor.media_type);
            self.error(BaseImageFlaw::MediaType { what, media_type })
        };
        if !manifest.config.is_config() {
            return Err(media_type("configuration".to_owned(), &manifest.config));
        }
        let config = self.parse(&blob_path(manifest.config.digest), &self.blob(&manifest.config)?)?;
        let mut layers = Vec::new();
        for ((number, layer), diff_id) in
            (1..).zip(&manifest.layers).zip(self.diff_ids(&config, manifest.layers.len())?)
        {
            if !layer.is_layer() {
                return Err(media_type(format!("layer {number}"), layer));
            }
            layers.push(FoundLayer {
                path: blob_path(layer.digest),
                digest: layer.digest,
                size: layer.size,
                diff_id,
            });
        }
        Ok(FoundImage { known_by, manifest: Some(digest), name, config, layers })
    }

    /// The images that Docker's own list names, if the files are such an archive's.
    pub(super) fn docker_images(&self) -> Option<Vec<DockerImage>> {
        // A root filesystem may well have a file of that name; it then holds something else.
        let list = self.files.document(DOCKER_LIST).ok().flatten()?;
        serde_json::from_slice(&list).ok().filter(|images: &Vec<DockerImage>| !images.is_empty())
    }

    /// The image in an archive of Docker's own form.
    pub(super) fn docker(&self, images: &[DockerImage]) -> Result<FoundImage, FetchError> {
        let tags = |images: &[&DockerImage]| {
            once(images.iter().flat_map(|image| &image.repo_tags).map(String::as_str))
        };
        let all: Vec<&DockerImage> = images.iter().collect();
        let called: Vec<&DockerImage> = match self.name {
            None => all.clone(),
            Some(name) => {
                all.iter().copied().filter(|image| image.repo_tags.iter().any(|tag| tag == name)).collect()
            }
        };
        let image = match (called.as_slice(), self.name) {
            ([one], _) => *one,
            ([], Some(name)) => {
                return Err(self.error(BaseImageFlaw::NoName { name: shown(name), names: tags(&all) }));
            }
            _ => return Err(self.error(BaseImageFlaw::Ambiguous { names: tags(&called) })),
        };
        let missing = |path: &str| self.error(BaseImageFlaw::NoBlob(shown(path)));
        let text = self.files.document(&image.config)?.ok_or_else(|| missing(&image.config))?;
        let got = Sha256::of(&text);
        let name = image.config.rsplit('/').next().unwrap_or_default();
        if name.trim_end_matches(".json") != got.to_hex() {
            return Err(self.error(BaseImageFlaw::Digest { name: shown(&image.config), got }));
        }
        let config = self.parse(&image.config, &text)?;
        let diff_ids = self.diff_ids(&config, image.layers.len())?;
        let layers = image.layers.iter().zip(diff_ids).map(|(path, diff_id)| {
            let (digest, size) = self.files.known(path).ok_or_else(|| missing(path))?;
            Ok(FoundLayer { path: path.clone(), digest, size, diff_id })
        });
        let layers = layers.collect::<Result<_, FetchError>>()?;
        Ok(FoundImage { known_by: Vec::new(), manifest: None, name: image.full_name(), config, layers })
    }

    /// The digests of so many layers' tars, of a configuration for the architecture.
    fn diff_ids(&self, config: &StoredConfig, layers: usize) -> Result<Vec<DiffId>, FetchError> {
        let platform = config.platform();
        if !platform.is(self.arch) {
            let platforms = vec![shown(&platform.to_string())];
            return Err(self.error(BaseImageFlaw::NoPlatform { arch: self.arch, platforms }));
        }
        if layers > MAX_LAYERS {
            return Err(self.error(BaseImageFlaw::TooManyLayers { count: layers, limit: MAX_LAYERS }));
        }
        let diff_ids: Vec<DiffId> = config.diff_ids().collect();
        if diff_ids.len() != layers {
            return Err(self.error(BaseImageFlaw::LayerCount { layers, diff_ids: diff_ids.len() }));
        }
        Ok(diff_ids)
    }

    /// The document that `descriptor` names.
    fn blob(&self, descriptor: &StoredDescriptor) -> Result<Vec<u8>, FetchError> {
        let path = blob_path(descriptor.digest);
        let name = || descriptor.digest.to_hex();
        let blob = self.files.document(&path)?.ok_or_else(|| self.error(BaseImageFlaw::NoBlob(name())))?;
        let (stated, got) = (descriptor.size, blob.len() as u64);
        if stated != got {
            return Err(self.error(BaseImageFlaw::Size { name: name(), stated, got }));
        }
        let got = Sha256::of(&blob);
        if got != descriptor.digest {
            return Err(self.error(BaseImageFlaw::Digest { name: name(), got }));
        }
        Ok(blob)
    }

    fn parse<T: DeserializeOwned>(&self, name: &str, text: &[u8]) -> Result<T, FetchError> {
        serde_json::from_slice(text)
            .map_err(|error| self.error(BaseImageFlaw::Document { name: shown(name), error }))
    }
}

/// Where a layout has the blob with that digest.
/// What images are called.
fn names(images: &[&StoredDescriptor]) -> Vec<String> {
    once(images.iter().flat_map(|image| image.names()))
}

/// Names as they are shown, sorted, each once.
fn once<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(shown).collect();
    names.sort_unstable();
    names.dedup();
    names
}
