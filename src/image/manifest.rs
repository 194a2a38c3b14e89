//! An image: its configuration, its layers, and the manifest that binds them by digest.
//!
//! An [`Image`] is complete and its digests are known; nothing has been written yet. Layers are content,
//! compressed before, and no larger in memory than what they are read from.
//!
//! Source: OCI image specification, "Image Manifest" and "Content Descriptors"; Docker's image manifest
//! version 2, schema 2.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::arch::Arch;
use crate::archive::codec::Algorithm;
use crate::content::Content;
use crate::digest::Sha256;

use super::{ImageConfig, ImageError, LayerDescriptor};

/// Under which names an image's parts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub enum MediaTypes {
    /// OCI's, which every engine reads.
    #[default]
    Oci,
    /// Docker's own, from which podman keeps a health check that it drops from OCI's.
    Docker,
}

impl MediaTypes {
    /// Of a manifest.
    #[must_use]
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    /// Of an image configuration.
    #[must_use]
    pub const fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    /// Of a list of one image's manifests for several architectures.
    #[must_use]
    pub const fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    /// Of a layer stored so. Docker's own have none for zstd.
    #[must_use]
    pub const fn layer(self, algorithm: Option<Algorithm>) -> Option<&'static str> {
        match (self, algorithm) {
            (Self::Oci, None) => Some("application/vnd.oci.image.layer.v1.tar"),
            (Self::Oci, Some(Algorithm::Gzip)) => Some("application/vnd.oci.image.layer.v1.tar+gzip"),
            (Self::Oci, Some(Algorithm::Zstd)) => Some("application/vnd.oci.image.layer.v1.tar+zstd"),
            (Self::Docker, None) => Some("application/vnd.docker.image.rootfs.diff.tar"),
            (Self::Docker, Some(Algorithm::Gzip)) => {
                Some("application/vnd.docker.image.rootfs.diff.tar.gzip")
            }
            (Self::Docker, Some(Algorithm::Zstd)) => None,
        }
    }
}

/// A finished layer and what it is known by.
#[derive(Debug, Clone)]
pub struct PackedLayer {
    descriptor: LayerDescriptor,
    content: Content,
    created_by: String,
}

impl PackedLayer {
    /// The layer of `descriptor`, whose bytes are `content`. `created_by` says in the image's history what
    /// it is, after the word "apkcompose".
    pub fn new(
        descriptor: LayerDescriptor,
        content: Content,
        created_by: impl Into<String>,
    ) -> Result<Self, ImageError> {
        if descriptor.digest != content.digest() || descriptor.size != content.length() {
            return Err(ImageError::OtherLayer {
                expected: descriptor.digest,
                expected_size: descriptor.size,
                got: content.digest(),
                got_size: content.length(),
            });
        }
        Ok(Self { descriptor, content, created_by: created_by.into() })
    }

    /// What it is known by.
    #[must_use]
    pub fn descriptor(&self) -> &LayerDescriptor {
        &self.descriptor
    }

    /// What it is, for the history.
    #[must_use]
    pub fn created_by(&self) -> &str {
        &self.created_by
    }
}

/// An image of one architecture, complete.
#[derive(Debug, Clone)]
pub struct Image {
    arch: Arch,
    media_types: MediaTypes,
    config: Content,
    manifest: Content,
    layers: Vec<PackedLayer>,
}

impl Image {
    /// The image of `layers`, lowest first, with this configuration. `annotations` go into the manifest.
    pub fn new(
        config: &ImageConfig,
        layers: Vec<PackedLayer>,
        annotations: &BTreeMap<String, String>,
        media_types: MediaTypes,
    ) -> Result<Self, ImageError> {
        let config_content = Content::of_bytes(config.to_json(&layers)?);
        let layer_descriptor = |layer: &PackedLayer| {
            let algorithm = layer.descriptor.algorithm;
            let media_type = media_types.layer(algorithm).ok_or(ImageError::NoMediaType)?;
            Ok::<_, ImageError>(Descriptor::of(media_type, &layer.content))
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: media_types.manifest(),
            config: Descriptor::of(media_types.config(), &config_content),
            layers: layers.iter().map(layer_descriptor).collect::<Result<_, _>>()?,
            annotations,
        };
        let manifest = to_json("the manifest", &manifest)?;
        Ok(Self {
            arch: config.arch,
            media_types,
            config: config_content,
            manifest: Content::of_bytes(manifest),
            layers,
        })
    }

    /// The digest of the configuration: docker's image ID.
    #[must_use]
    pub fn config_digest(&self) -> Sha256 {
        self.config.digest()
    }

    /// The digest of the manifest: what a registry knows the image by.
    #[must_use]
    pub fn manifest_digest(&self) -> Sha256 {
        self.manifest.digest()
    }

    /// The machine it is for.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Its layers, lowest first.
    #[must_use]
    pub fn layers(&self) -> &[PackedLayer] {
        &self.layers
    }

    /// Under which names its parts go.
    #[must_use]
    pub fn media_types(&self) -> MediaTypes {
        self.media_types
    }

    /// The parts of it that are stored by digest.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &Content> {
        [&self.config, &self.manifest].into_iter().chain(self.layers.iter().map(|layer| &layer.content))
    }

    /// The descriptor of the manifest, without annotations.
    pub(super) fn descriptor(&self) -> Descriptor {
        let platform = self.arch.platform();
        Descriptor {
            platform: Some(PlatformDocument {
                architecture: platform.architecture,
                os: "linux",
                variant: platform.variant,
            }),
            ..Descriptor::of(self.media_types.manifest(), &self.manifest)
        }
    }
}

/// A document as it is stored.
pub(super) fn to_json(what: &'static str, document: &impl Serialize) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec(document).map_err(|error| ImageError::Encode { what, error })
}

/// A list of manifests: an image for several architectures, or all that a layout has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IndexDocument {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

impl IndexDocument {
    /// The list of `manifests`.
    pub(super) fn new(media_types: MediaTypes, manifests: Vec<Descriptor>) -> Self {
        Self { schema_version: 2, media_type: media_types.index(), manifests }
    }
}

/// A reference to a blob, as JSON has it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: &'static str,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<PlatformDocument>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<&'static str, String>,
}

impl Descriptor {
    pub(super) fn of(media_type: &'static str, content: &Content) -> Self {
        Self {
            media_type,
            digest: format!("sha256:{}", content.digest()),
            size: content.length(),
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct PlatformDocument {
    architecture: &'static str,
    os: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::image::Epoch;
    use crate::image::made::layer;

    fn image(media_types: MediaTypes) -> Image {
        stored(media_types, Some(Algorithm::Gzip)).unwrap()
    }

    fn stored(media_types: MediaTypes, algorithm: Option<Algorithm>) -> Result<Image, ImageError> {
        let config = ImageConfig::new(Arch::X86_64, Epoch::new(0).unwrap());
        let annotations = BTreeMap::from([("org.opencontainers.image.title".to_owned(), "x".to_owned())]);
        Image::new(&config, vec![layer(algorithm, "x")], &annotations, media_types)
    }

    #[test]
    fn a_manifest_binds_configuration_and_layers_by_digest_and_size() {
        let image = image(MediaTypes::Oci);
        let manifest: Value = serde_json::from_slice(&image.manifest.to_vec().unwrap()).unwrap();
        assert_eq!(
            manifest,
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": format!("sha256:{}", image.config_digest()),
                    "size": image.config.length(),
                },
                "layers": [{
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": format!("sha256:{}", Sha256::of(b"compressed")),
                    "size": 10,
                }],
                "annotations": {"org.opencontainers.image.title": "x"},
            })
        );
    }

    #[test]
    fn dockers_media_types_are_those_of_schema_2() {
        let image = image(MediaTypes::Docker);
        let manifest: Value = serde_json::from_slice(&image.manifest.to_vec().unwrap()).unwrap();
        assert_eq!(manifest["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.docker.container.image.v1+json");
        assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
    }

    #[test]
    fn a_layers_media_type_says_how_it_is_stored() {
        let media_type = |media_types, algorithm| {
            let image = stored(media_types, algorithm).unwrap();
            let manifest: Value = serde_json::from_slice(&image.manifest.to_vec().unwrap()).unwrap();
            manifest["layers"][0]["mediaType"].as_str().unwrap().to_owned()
        };
        assert_eq!(media_type(MediaTypes::Oci, None), "application/vnd.oci.image.layer.v1.tar");
        let zstd = media_type(MediaTypes::Oci, Some(Algorithm::Zstd));
        assert_eq!(zstd, "application/vnd.oci.image.layer.v1.tar+zstd");
        assert_eq!(media_type(MediaTypes::Docker, None), "application/vnd.docker.image.rootfs.diff.tar");
        let error = stored(MediaTypes::Docker, Some(Algorithm::Zstd)).unwrap_err();
        assert!(matches!(error, ImageError::NoMediaType), "{error}");
    }

    #[test]
    fn a_layer_described_as_another_is_refused() {
        let PackedLayer { descriptor, .. } = layer(None, "x");
        let error = PackedLayer::new(descriptor, Content::of_bytes(*b"other"), "x").unwrap_err();
        assert!(matches!(error, ImageError::OtherLayer { got_size: 5, expected_size: 10, .. }), "{error}");
    }
}
