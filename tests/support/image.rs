//! An image archive as a test sees it: what its manifest names, and the tree in its layers.

use std::path::Path;

use serde_json::Value;

use super::docker::json;
use super::listing::Listing;

/// An archive that `docker load` takes.
#[derive(Debug)]
pub(crate) struct Image {
    archive: Listing,
}

impl Image {
    /// The archive at `path`.
    pub(crate) fn of_archive(path: &Path) -> Self {
        Self { archive: Listing::of_tar_file(path) }
    }

    /// The OCI layout in the directory `path`.
    pub(crate) fn of_layout(path: &Path) -> Self {
        Self { archive: Listing::of_directory(path) }
    }

    /// The files of the archive itself.
    pub(crate) fn files(&self) -> &Listing {
        &self.archive
    }

    /// The first image of Docker's `manifest.json`.
    pub(crate) fn manifest(&self) -> Value {
        json(self.archive.text("manifest.json"))[0].clone()
    }

    /// The `index.json` of the OCI layout.
    pub(crate) fn index(&self) -> Value {
        json(self.archive.text("index.json"))
    }

    /// The manifest for `platform`, such as `linux/arm64/v8`, to which the OCI layout's index leads, through a list
    /// of several if there is one.
    pub(crate) fn manifest_for(&self, platform: &str) -> Value {
        let top = self.index()["manifests"][0].clone();
        if !text(&top["mediaType"]).contains("index") && !text(&top["mediaType"]).contains("list") {
            return self.blob(text(&top["digest"]));
        }
        let list = self.blob(text(&top["digest"]));
        let listed = list["manifests"].as_array().unwrap_or_else(|| panic!("no manifests in {list}"));
        let found = listed.iter().find(|manifest| platform_of(&manifest["platform"]) == platform);
        let found = found.unwrap_or_else(|| panic!("no manifest for {platform} in {list}"));
        self.blob(text(&found["digest"]))
    }

    /// The JSON in the blob with `digest`, which begins with `sha256:`.
    pub(crate) fn blob(&self, digest: &str) -> Value {
        json(self.archive.text(&format!("blobs/{}", digest.replace(':', "/"))))
    }

    /// The configuration.
    pub(crate) fn config(&self) -> Value {
        json(self.archive.text(text(&self.manifest()["Config"])))
    }

    /// The layers as they are stored, the lowest first.
    pub(crate) fn layers(&self) -> Vec<Vec<u8>> {
        let manifest = self.manifest();
        let paths = manifest["Layers"].as_array().unwrap_or_else(|| panic!("no layers in {manifest}"));
        paths.iter().map(|path| self.archive.entry(text(path)).content.to_vec()).collect()
    }

    /// The tree that the layers make, put over one another.
    pub(crate) fn flattened(&self) -> Listing {
        Listing::overlaid(self.layers().iter().map(|layer| Listing::of_tar(layer.as_slice())))
    }

    /// The tree in the only layer.
    pub(crate) fn tree(&self) -> Listing {
        let layers = self.layers();
        let [layer] = layers.as_slice() else { panic!("{} layers where one is expected", layers.len()) };
        Listing::of_tar(layer.as_slice())
    }
}

/// A platform, or a configuration with one, as engines name it: `linux/arm/v7`.
pub(crate) fn platform_of(value: &Value) -> String {
    let parts = ["os", "architecture", "variant"].map(|key| value[key].as_str());
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}

/// A value that is a string.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string"))
}
