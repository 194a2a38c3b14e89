//! What the files and annotations of an image are called, for those who write them and those who read them.
//!
//! Source: OCI image specification, "Image Layout"; Docker's image specification 1.2; spec/image, "The archive that
//! loads everywhere".

use crate::digest::Sha256;

/// The file that makes a directory an OCI layout.
pub const LAYOUT: &str = "oci-layout";
/// The list of what a layout has.
pub const INDEX: &str = "index.json";
/// The list of what Docker's archive has.
pub const DOCKER_LIST: &str = "manifest.json";
/// The annotation with an image's full name.
pub const FULL_NAME: &str = "io.containerd.image.name";
/// The annotation with an image's tag, or whatever its maker calls it.
pub const REFERENCE: &str = "org.opencontainers.image.ref.name";

/// The path of a blob in a layout.
#[must_use]
pub fn blob_path(digest: Sha256) -> String {
    format!("blobs/sha256/{digest}")
}
