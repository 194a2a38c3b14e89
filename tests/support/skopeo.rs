//! skopeo, to see what it makes of an archive. An image is named as skopeo does: `docker-archive:x.tar`,
//! `oci-archive:x.tar`, `oci:directory:tag`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::docker::{json, text_of};
use super::need::{self, Missing};

/// skopeo.
#[derive(Debug)]
pub(crate) struct Skopeo {
    program: PathBuf,
}

impl Skopeo {
    /// skopeo, if it is installed.
    pub(crate) fn find() -> Result<Self, Missing> {
        Ok(Self { program: need::find_program("skopeo")? })
    }

    fn skopeo(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.program)
            // A policy is a matter of registries; there is none for a file just written.
            .arg("--insecure-policy")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run skopeo: {error}"));
        text_of(&format!("skopeo {arguments:?}"), output)
    }

    /// What skopeo says about `image`.
    pub(crate) fn inspect(&self, image: &str) -> Value {
        json(&self.skopeo(&["inspect", image]))
    }

    /// The configuration of `image`, as it is in it.
    pub(crate) fn config(&self, image: &str) -> Value {
        json(&self.skopeo(&["inspect", "--config", "--raw", image]))
    }

    /// The configuration that `image` has for the machine `platform`, such as `linux/arm/v6`, as it is in it.
    pub(crate) fn config_for(&self, platform: &str, image: &str) -> Value {
        let mut parts = platform.split('/');
        let names = ["--override-os", "--override-arch", "--override-variant"];
        let options: Vec<String> =
            names.iter().zip(parts.by_ref()).map(|(name, part)| format!("{name}={part}")).collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        json(&self.skopeo(&[&options[..], &["inspect", "--config", "--raw", image]].concat()))
    }

    /// Copies an image with options of `skopeo copy`.
    pub(crate) fn copy_with(&self, options: &[&str], from: &str, to: &str) {
        self.skopeo(&[&["copy", "--quiet"], options, &[from, to]].concat());
    }

    /// Copies an image, which checks every digest in it.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        self.skopeo(&["copy", "--quiet", from, to]);
    }
}
