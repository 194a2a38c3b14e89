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
        let output = self.command(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run podman: {error}"));
        text_of(&format!("podman {arguments:?}"), output)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let place = |name: &str| self.storage.path().join(name);
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(place("root"))
            .arg("--runroot")
            .arg(place("run"))
            .arg("--tmpdir")
            .arg(place("tmp"))
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"])
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Loads the archive at `path` and gives the names it says it loaded.
    pub(crate) fn load(&self, path: &Path) -> Vec<String> {
        let said = self.podman(&["load", "--input", &path.to_string_lossy()]);
        let names = said.lines().filter_map(|line| line.strip_prefix("Loaded image: "));
        names.map(str::to_owned).collect()
    }

    /// Pulls the image that skopeo would call `from`, such as `oci:layout:tag`, relative to `directory`: of a whole
    /// path it makes a name, which may have no capitals. Gives the image's identity.
    pub(crate) fn pull(&self, directory: &Path, from: &str) -> String {
        let output = self.command(&["pull", "--quiet", from]).current_dir(directory).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run podman: {error}"));
        text_of(&format!("podman pull {from}"), output).trim().to_owned()
    }

    /// What podman knows about `image`.
    pub(crate) fn inspect(&self, image: &str) -> Value {
        let all = json(&self.podman(&["image", "inspect", image]));
        all.get(0).unwrap_or_else(|| panic!("podman knows no {image}")).clone()
    }
}
