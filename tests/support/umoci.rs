//! umoci, to see what it unpacks of an OCI layout.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::docker::{json, text_of};
use super::files;
use super::need::{self, Missing};

/// umoci.
#[derive(Debug)]
pub(crate) struct Umoci {
    program: PathBuf,
}

impl Umoci {
    /// umoci, if it is installed; as root, so that what it unpacks belongs to whom it should.
    pub(crate) fn find() -> Result<Self, Missing> {
        need::find_root()?;
        Ok(Self { program: need::find_program("umoci")? })
    }

    fn umoci(&self, arguments: &[&str]) {
        let output = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run umoci: {error}"));
        text_of(&format!("umoci {arguments:?}"), output);
    }

    /// Unpacks the image `tag` of the layout at `layout` into the bundle `bundle`: its tree is below `rootfs`.
    /// Gives the bundle's configuration.
    pub(crate) fn unpack(&self, layout: &Path, tag: &str, bundle: &Path) -> Value {
        let image = format!("{}:{tag}", layout.display());
        self.umoci(&["unpack", "--image", &image, &bundle.to_string_lossy()]);
        json(&files::read_text(&bundle.join("config.json")))
    }

    /// Makes what was changed in the bundle one more layer of the image, under another tag.
    pub(crate) fn repack(&self, layout: &Path, tag: &str, bundle: &Path) {
        let image = format!("{}:{tag}", layout.display());
        self.umoci(&["repack", "--image", &image, &bundle.to_string_lossy()]);
    }
}
