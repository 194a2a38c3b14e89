//! The documents of an image that somebody stored: what is believed of them, and which of several is meant.
//!
//! Pure: bytes in, values out. A digest is one of SHA-256, a size a number of bytes, a media type one that is
//! known; anything else is refused. What a document says beside that (annotations, history) is not looked at.
//!
//! Source: OCI image specification 1.0 ("Image Index", "Image Manifest", "Image Configuration"); Docker's image
//! manifest version 2, schema 2, and its image specification 1.2.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::names::{FULL_NAME, REFERENCE};
use super::{ImageReference, MediaTypes};
use crate::arch::Arch;
use crate::archive::codec::Algorithm;
use crate::digest::{DiffId, Sha256, plain};

/// How much of a media type or a name is shown, in characters.
const MAX_SHOWN: usize = 100;
/// What an image can be configured to do, in Docker's words.
const CONFIGURED: [&str; 10] = [
    "Entrypoint",
    "Cmd",
    "Env",
    "User",
    "WorkingDir",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "StopSignal",
    "Healthcheck",
];

/// What a layout says of itself, in `oci-layout`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "what a layout says of itself")]
pub struct StoredLayout {
    /// The version of the format.
    pub image_layout_version: String,
}

/// A list of images, or of one image's manifests for several architectures.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a list of images")]
pub struct StoredIndex {
    /// What it lists.
    pub manifests: Vec<StoredDescriptor>,
}

/// A reference to a blob.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a descriptor")]
pub struct StoredDescriptor {
    /// What the blob is.
    pub media_type: String,
    /// Its digest.
    #[serde(deserialize_with = "digest")]
    pub digest: Sha256,
    /// Its length, in bytes.
    pub size: u64,
    /// For which machine it is, if it says so.
    #[serde(default)]
    pub platform: Option<StoredPlatform>,
    /// Its names, and whatever else is said of it.
    #[serde(default, deserialize_with = "or_null")]
    annotations: BTreeMap<String, String>,
}

/// The machine that an image is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(expecting = "a platform")]
pub struct StoredPlatform {
    /// The processor.
    pub architecture: String,
    /// The system.
    pub os: String,
    /// The variant of the processor.
    #[serde(default)]
    pub variant: Option<String>,
}

/// What a blob that a list names is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// A list of manifests.
    Index,
    /// A manifest.
    Manifest,
    /// Something that is no image.
    Other,
}

/// The manifest of an image.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a manifest")]
pub struct StoredManifest {
    /// The image's configuration.
    pub config: StoredDescriptor,
    /// Its layers, the lowest first.
    pub layers: Vec<StoredDescriptor>,
}

/// The configuration of an image.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a configuration")]
pub struct StoredConfig {
    architecture: String,
    os: String,
    #[serde(default)]
    variant: Option<String>,
    /// The digests of the layers' tars.
    rootfs: StoredRootFs,
    /// What it runs and how.
    #[serde(default, deserialize_with = "or_null")]
    config: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "the digests of layers")]
struct StoredRootFs {
    #[serde(deserialize_with = "digests")]
    diff_ids: Vec<Sha256>,
}

/// An image of a Docker archive, in its `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", expecting = "an image")]
pub struct DockerImage {
    /// The path of its configuration.
    pub config: String,
    /// Its names.
    #[serde(default, deserialize_with = "or_null")]
    pub repo_tags: Vec<String>,
    /// The paths of its layers, the lowest first.
    pub layers: Vec<String>,
}

impl StoredDescriptor {
    /// What the blob is.
    pub fn listed(&self) -> Listed {
        let is = |of: fn(MediaTypes) -> &'static str| {
            [MediaTypes::Oci, MediaTypes::Docker].into_iter().any(|types| of(types) == self.media_type)
        };
        match () {
            () if is(MediaTypes::index) => Listed::Index,
            () if is(MediaTypes::manifest) => Listed::Manifest,
            () => Listed::Other,
        }
    }

    /// Whether it is an image's configuration.
    pub fn is_config(&self) -> bool {
        [MediaTypes::Oci, MediaTypes::Docker].into_iter().any(|types| types.config() == self.media_type)
    }

    /// Whether it is a layer that is read.
    pub fn is_layer(&self) -> bool {
        [MediaTypes::Oci, MediaTypes::Docker].into_iter().any(|types| {
            [None, Some(Algorithm::Gzip), Some(Algorithm::Zstd)]
                .into_iter()
                .any(|algorithm| types.layer(algorithm) == Some(&self.media_type))
        })
    }

    /// What the image is called: its tag, as layouts have it, and its full name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [REFERENCE, FULL_NAME].into_iter().filter_map(|key| self.annotations.get(key).map(String::as_str))
    }

    /// Its full name, if it has one.
    pub fn full_name(&self) -> Option<String> {
        full_name(self.annotations.get(FULL_NAME)?)
    }
}

impl DockerImage {
    /// Its first full name, if it has one.
    pub fn full_name(&self) -> Option<String> {
        full_name(self.repo_tags.first()?)
    }
}

/// A name in full, if it is one.
fn full_name(name: &str) -> Option<String> {
    Some(name.parse::<ImageReference>().ok()?.full())
}

impl StoredConfig {
    /// For which machine it is.
    pub fn platform(&self) -> StoredPlatform {
        let Self { architecture, os, variant, .. } = self;
        StoredPlatform { architecture: architecture.clone(), os: os.clone(), variant: variant.clone() }
    }

    /// The digests of the layers' tars, the lowest first.
    pub fn diff_ids(&self) -> impl ExactSizeIterator<Item = DiffId> {
        self.rootfs.diff_ids.iter().copied().map(DiffId)
    }

    /// Which of the things that an image is configured to do it says something about, in Docker's words. That
    /// programs are looked for in the usual places is nothing that it says.
    pub fn configured(&self) -> Vec<&'static str> {
        let says = |key: &str| match self.config.get(key) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) if key == "Env" => !list.iter().all(is_path),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => false,
        };
        CONFIGURED.into_iter().filter(|key| says(key)).collect()
    }
}

impl StoredPlatform {
    /// Whether an image for it is one for `arch`. What leaves its variant out means the usual one.
    pub fn is(&self, arch: Arch) -> bool {
        let platform = arch.platform();
        let variant = self.variant.as_deref().filter(|variant| !variant.is_empty());
        let is_variant = match (platform.variant, variant) {
            (Some(wanted), Some(variant)) => wanted == variant,
            (Some(wanted), None) => wanted != "v6",
            (None, variant) => variant.is_none_or(|variant| variant == "v1"),
        };
        self.os == "linux" && self.architecture == platform.architecture && is_variant
    }
}

/// As engines take it: `linux/arm64/v8`.
impl std::fmt::Display for StoredPlatform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_deref() {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}

fn is_path(variable: &Value) -> bool {
    variable.as_str().is_some_and(|variable| variable.starts_with("PATH="))
}

/// What programs in Go write for nothing.
fn or_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_digest(&text).ok_or_else(|| not_a_digest(&text))
}

fn digests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Sha256>, D::Error> {
    let texts: Vec<String> = or_null(deserializer)?;
    texts.iter().map(|text| parse_digest(text).ok_or_else(|| not_a_digest(text))).collect()
}

/// The digest that `text` writes as the specification wants it: `sha256:` and 64 lower-case digits.
fn parse_digest(text: &str) -> Option<Sha256> {
    plain(text.strip_prefix("sha256:")?)
}

fn not_a_digest<E: de::Error>(text: &str) -> E {
    E::custom(format!("`{}` is no digest that is checked (`sha256:` and 64 digits)", shown(text)))
}

/// A text of somebody else's, as far as it is shown.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn platform(architecture: &str, variant: Option<&str>) -> StoredPlatform {
        StoredPlatform {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    #[test]
    fn a_platform_is_that_of_one_architecture_alone() {
        for arch in Arch::ALL {
            let named = arch.platform();
            let own = platform(named.architecture, named.variant);
            let all: Vec<Arch> = Arch::ALL.into_iter().filter(|arch| own.is(*arch)).collect();
            assert_eq!(all, [arch]);
            let elsewhere = StoredPlatform { os: "windows".to_owned(), ..own };
            assert!(!elsewhere.is(arch));
        }
    }

    #[test]
    fn a_variant_that_is_left_out_is_the_usual_one() {
        assert!(platform("arm64", None).is(Arch::Aarch64) && platform("arm64", Some("")).is(Arch::Aarch64));
        assert!(platform("arm", None).is(Arch::Armv7) && !platform("arm", None).is(Arch::Armhf));
        assert!(platform("amd64", Some("v1")).is(Arch::X86_64));
        assert!(!platform("amd64", Some("v3")).is(Arch::X86_64));
        assert!(!platform("arm64", Some("v9")).is(Arch::Aarch64));
    }

    fn descriptor(value: &Value) -> Result<StoredDescriptor, serde_json::Error> {
        serde_json::from_str(&value.to_string())
    }

    #[test]
    fn a_descriptor_has_a_digest_and_a_size_that_can_be_checked() {
        let with = |digest: &str, size: Value| {
            descriptor(&json!({ "mediaType": "x", "digest": digest, "size": size, "annotations": null }))
        };
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(with(&good, json!(5)).unwrap().size, 5);
        for (digest, size) in [
            (good.to_uppercase(), json!(5)),
            (format!("sha256:{}", "0A".repeat(32)), json!(5)),
            (format!("sha512:{}", "0a".repeat(64)), json!(5)),
            ("sha256:../../etc/passwd".to_owned(), json!(5)),
            ("0a".repeat(32), json!(5)),
            (String::new(), json!(5)),
            (good.clone(), json!(-1)),
            (good.clone(), json!(1.5)),
            (good.clone(), json!("5")),
            (good, json!(null)),
        ] {
            assert!(with(&digest, size.clone()).is_err(), "{digest} {size}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let twice = format!("{{\"mediaType\":\"x\",\"digest\":\"{digest}\",\"size\":1,\"size\":2}}");
        assert!(serde_json::from_str::<StoredDescriptor>(&twice).is_err());
    }

    #[test]
    fn media_types_are_known_under_both_names_and_no_other() {
        let of = |media_type: &str| {
            let digest = format!("sha256:{}", "0a".repeat(32));
            descriptor(&json!({ "mediaType": media_type, "digest": digest, "size": 1 })).unwrap()
        };
        assert_eq!(of("application/vnd.oci.image.index.v1+json").listed(), Listed::Index);
        assert_eq!(of("application/vnd.docker.distribution.manifest.v2+json").listed(), Listed::Manifest);
        assert_eq!(of("application/vnd.docker.distribution.manifest.v1+json").listed(), Listed::Other);
        for layer in
            ["oci.image.layer.v1.tar", "oci.image.layer.v1.tar+zstd", "docker.image.rootfs.diff.tar.gzip"]
        {
            assert!(of(&format!("application/vnd.{layer}")).is_layer(), "{layer}");
        }
        for other in [
            "oci.image.layer.v1.tar+encrypted",
            "oci.image.layer.nondistributable.v1.tar+gzip",
            "docker.image.rootfs.foreign.diff.tar.gzip",
            "oci.image.config.v1+json",
        ] {
            assert!(!of(&format!("application/vnd.{other}")).is_layer(), "{other}");
        }
        assert!(of("application/vnd.docker.container.image.v1+json").is_config());
        assert!(!of("application/vnd.cncf.helm.config.v1+json").is_config());
    }

    #[test]
    fn a_configuration_says_what_it_configures() {
        let config: StoredConfig = serde_json::from_value(json!({
            "architecture": "arm64", "os": "linux", "history": [{}],
            "config": { "Env": ["PATH=/bin", "A=1"], "Cmd": null, "User": "", "Volumes": {}, "Labels": { "a": "b" }, "Image": "x" },
            "rootfs": { "type": "layers", "diff_ids": null },
        }))
        .unwrap();
        assert!(config.platform().is(Arch::Aarch64));
        assert_eq!(config.configured(), ["Env", "Labels"]);
        assert_eq!(config.diff_ids().len(), 0);
        let plain = json!({
            "architecture": "amd64", "os": "linux", "rootfs": { "diff_ids": [] }, "config": { "Env": ["PATH=/bin"] },
        });
        assert_eq!(serde_json::from_value::<StoredConfig>(plain).unwrap().configured(), [""; 0]);
    }
}
