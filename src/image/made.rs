//! Images for tests, of a layer that is none.

use std::collections::BTreeMap;

use super::{Epoch, Image, ImageConfig, LayerDescriptor, MediaTypes, PackedLayer};
use crate::arch::Arch;
use crate::archive::codec::Algorithm;
use crate::content::Content;
use crate::digest::{DiffId, Sha256};

/// A layer whose compressed bytes are `compressed`.
pub(super) fn layer(algorithm: Option<Algorithm>, created_by: &str) -> PackedLayer {
    let content = Content::of_bytes(*b"compressed");
    let descriptor = LayerDescriptor {
        diff_id: DiffId(Sha256::of(b"tar")),
        digest: content.digest(),
        size: content.length(),
        tar_size: 3,
        algorithm,
    };
    PackedLayer::new(descriptor, content, created_by).unwrap()
}

/// An image for `arch`.
pub(super) fn image_for(arch: Arch, media_types: MediaTypes) -> Image {
    let config = ImageConfig::new(arch, Epoch::new(0).unwrap());
    let layers = vec![layer(Some(Algorithm::Gzip), "x")];
    Image::new(&config, layers, &BTreeMap::new(), media_types).unwrap()
}

/// Any image.
pub(super) fn image() -> Image {
    image_for(Arch::Aarch64, MediaTypes::Oci)
}
