//! Where the real Alpine data is: a mirror, keys and recorded answers, which are not part of the
//! repository. Always used read-only.

use std::env;
use std::path::{Path, PathBuf};

/// The environment variable that names the data's directory.
const VARIABLE: &str = "APKCOMPOSE_ALPINE_DATA";

/// The directory of real Alpine data.
#[derive(Debug, Clone)]
pub(crate) struct Alpine {
    root: PathBuf,
}

impl Alpine {
    /// The data, or where it was looked for in vain.
    pub(crate) fn find() -> Result<Self, PathBuf> {
        let root = env::var_os(VARIABLE)
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/alpine"), PathBuf::from);
        match root.canonicalize() {
            Ok(root) if root.join("mirror").is_dir() => Ok(Self { root }),
            _ => Err(root),
        }
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The mirror: what `--mirror` takes.
    pub(crate) fn mirror(&self) -> PathBuf {
        self.root.join("mirror")
    }

    /// A directory below the mirror, such as `v3.19/main` or `iso-3.19.1`: what `-X` takes.
    pub(crate) fn repository(&self, path: &str) -> PathBuf {
        let directory = self.mirror().join(path);
        assert!(directory.is_dir(), "{} is not there", directory.display());
        directory
    }

    /// The directory of Alpine's public keys.
    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The public key of the repository `php7`.
    pub(crate) fn php7_key(&self) -> PathBuf {
        self.root.join("test-php7.rsa.pub")
    }

    /// The minirootfs of 3.19.4 for `arch`, a gzipped tar.
    pub(crate) fn minirootfs(&self, arch: &str) -> PathBuf {
        self.mirror().join(format!("v3.19/releases/{arch}/alpine-minirootfs-3.19.4-{arch}.tar.gz"))
    }

    /// The directory of recorded answers of the real apk.
    pub(crate) fn oracle(&self) -> PathBuf {
        self.root.join("oracle")
    }

    /// The directory of indexes that come without packages.
    pub(crate) fn indexes(&self) -> PathBuf {
        self.root.join("indexes")
    }
}
