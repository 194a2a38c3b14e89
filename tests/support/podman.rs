//! podman with a storage of its own, to see what it makes of an archive. It is not asked to run anything:
//! that depends on the machine's limits.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::docker::{json, text_of};
use super::need::{self, Missing};

/// podman, and its storage, which is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Podman {
    program: PathBuf,
    storage: TempDir,
}

impl Podman {
    /// podman with an empty storage.
    pub(crate) fn find() -> Result<Self, Missing> {
        need::find_root()?;
        let program = need::find_program("podman")?;
        let storage = tempfile::Builder::new().prefix("apkcompose-podman-").tempdir();
        Ok(Self {
            program,
            storage: storage.unwrap_or_else(|error| panic!("cannot make a directory: {error}")),
        })
    }

    fn podman(&self, arguments: &[&str]) -> String {
        let place = |name: &str| self.storage.path().join(name);
        let output = Command::new(&self.program)
            .arg("--root")
            .arg(place("root"))
            .arg("--runroot")
            .arg(place("run"))
            .arg("--tmpdir")
            .arg(place("tmp"))
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run podman: {error}"));
        text_of(&format!("podman {arguments:?}"), output)
    }

    /// Loads the archive at `path` and gives the names it says it loaded.
    pub(crate) fn load(&self, path: &Path) -> Vec<String> {
        let said = self.podman(&["load", "--input", &path.to_string_lossy()]);
        let names = said.lines().filter_map(|line| line.strip_prefix("Loaded image: "));
        names.map(str::to_owned).collect()
    }

    /// What podman knows about `image`.
    pub(crate) fn inspect(&self, image: &str) -> Value {
        let all = json(&self.podman(&["image", "inspect", image]));
        all.get(0).unwrap_or_else(|| panic!("podman knows no {image}")).clone()
    }
}
