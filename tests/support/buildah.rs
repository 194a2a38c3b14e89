//! buildah with a storage of its own, to see what it makes of an image.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::docker::{json, text_of};
use super::need::{self, Missing};

/// buildah, and its storage, which is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Buildah {
    program: PathBuf,
    storage: TempDir,
}

impl Buildah {
    /// buildah with an empty storage.
    pub(crate) fn find() -> Result<Self, Missing> {
        need::find_root()?;
        let program = need::find_program("buildah")?;
        let storage = tempfile::Builder::new().prefix("apkcompose-buildah-").tempdir();
        Ok(Self {
            program,
            storage: storage.unwrap_or_else(|error| panic!("cannot make a directory: {error}")),
        })
    }

    fn buildah(&self, directory: &Path, arguments: &[&str]) -> String {
        let policy = self.storage.path().join("policy.json");
        super::files::write(&policy, b"{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}");
        let output = Command::new(&self.program)
            .arg("--root")
            .arg(self.storage.path().join("root"))
            .arg("--runroot")
            .arg(self.storage.path().join("run"))
            .args(["--storage-driver", "vfs"])
            .args(arguments)
            .env("TMPDIR", self.storage.path())
            .current_dir(directory)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run buildah: {error}"));
        text_of(&format!("buildah {arguments:?}"), output)
    }

    /// Pulls the image that skopeo would call `from`, such as `oci:layout:tag`, relative to `directory`: of a whole
    /// path it makes a name, which may have no capitals. Gives the image's identity.
    pub(crate) fn pull(&self, directory: &Path, from: &str) -> String {
        let policy = self.storage.path().join("policy.json");
        let pull = ["pull", "--quiet", "--signature-policy", &policy.to_string_lossy(), from];
        self.buildah(directory, &pull).trim().to_owned()
    }

    /// What buildah knows about the image.
    pub(crate) fn inspect(&self, image: &str) -> Value {
        json(&self.buildah(self.storage.path(), &["inspect", "--type", "image", image]))
    }
}
