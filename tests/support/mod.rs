//! What the integration tests and the benchmark share: the command under test, the mirrors it reads (one to
//! damage, and a server that goes wrong as planned), the oracles it is compared with (the real apk, Docker
//! Engine, podman, containerd, skopeo, umoci, buildah, BusyBox), and the comparison itself.
//!
//! Nothing here uses the library under test: an oracle that shares its code shares its mistakes. What a
//! test needs beyond cargo is asked for through [`need`], which skips by name in the output. Every
//! helper panics with a message that names its object; there is nobody to hand an error to.

pub(crate) mod buildah;
pub(crate) mod busybox;
pub(crate) mod command;
pub(crate) mod container;
pub(crate) mod containerd;
pub(crate) mod data;
pub(crate) mod docker;
pub(crate) mod draws;
pub(crate) mod exceptions;
pub(crate) mod figures;
pub(crate) mod files;
pub(crate) mod image;
pub(crate) mod installed;
pub(crate) mod listing;
pub(crate) mod mirror;
pub(crate) mod need;
pub(crate) mod podman;
pub(crate) mod reference;
pub(crate) mod server;
pub(crate) mod skopeo;
pub(crate) mod umoci;
