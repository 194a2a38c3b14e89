//! A directory of the sandbox's own, which nobody else can enter and which is gone in the end.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::root::FileError;

/// A directory below another one, with an empty directory in it whose mode may be any; both are removed when it is
/// dropped, if they are empty again.
#[derive(Debug)]
pub(super) struct PrivateDirectory(PathBuf);

/// What the inner one is called.
const INNER: &str = "root";

impl PrivateDirectory {
    /// Makes one in `place`.
    pub(super) fn create(place: &Path) -> Result<Self, FileError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        // A helper goes there by its name once it has left where it was.
        let place = fs::canonicalize(place).map_err(FileError::on("find", place))?;
        loop {
            let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = place.join(format!(".apkcompose.{}.{unique}.sandbox", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let made = Self(path);
                    fs::create_dir(made.inner()).map_err(FileError::on("create", &made.inner()))?;
                    return Ok(made);
                }
                // Left by a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(FileError::on("create", &path)(error)),
            }
        }
    }

    /// Where the inner one is.
    pub(super) fn inner(&self) -> PathBuf {
        self.0.join(INNER)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the name says what it is.
        let _ = fs::remove_dir(self.inner());
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_private_and_goes() {
        let place = tempfile::tempdir().unwrap();
        let (one, other) = (
            PrivateDirectory::create(place.path()).unwrap(),
            PrivateDirectory::create(place.path()).unwrap(),
        );
        assert_ne!(one.inner(), other.inner());
        assert_eq!(fs::metadata(&one.0).unwrap().permissions().mode() & 0o777, 0o700);
        drop((one, other));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
