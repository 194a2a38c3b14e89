//! What a server serves: a directory of the disk, files in memory, or both, of which the latter come first.
//!
//! Directories are shown as web servers show Alpine's mirrors: as a page of links, at a path that ends in a slash.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::files;

/// When files in memory were last changed, in seconds since 1970.
const MODIFIED: u64 = 1_700_000_000;

/// What there is to be had.
#[derive(Debug, Clone, Default)]
pub(crate) struct Site {
    directory: Option<PathBuf>,
    files: BTreeMap<String, Vec<u8>>,
}

/// What is at a path.
#[derive(Debug)]
pub(super) enum Found {
    File(File),
    /// A directory, and the names in it.
    Directory(Vec<String>),
}

/// A file with its validators.
#[derive(Debug)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// Strong, with its quotation marks.
    pub(super) etag: String,
    pub(super) modified: SystemTime,
}

impl Site {
    /// Everything below the directory at `path`, links followed.
    pub(crate) fn directory(path: &Path) -> Self {
        assert!(path.is_dir(), "{} is no directory", path.display());
        Self { directory: Some(path.to_owned()), ..Self::default() }
    }

    /// What is below the directory at `path` now, whatever becomes of it.
    pub(crate) fn copy_of(path: &Path) -> Self {
        let mut site = Self::default();
        let mut left = vec![String::new()];
        while let Some(directory) = left.pop() {
            for name in files::names(&path.join(&directory)) {
                let below = format!("{directory}{name}");
                let place = path.join(&below);
                if place.is_dir() {
                    left.push(below + "/");
                } else {
                    site.put(&below, files::read(&place));
                }
            }
        }
        site
    }

    /// The files in memory, by path.
    pub(crate) fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// With `bytes` at `path`, which is without a slash at its beginning.
    pub(crate) fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.put(path, bytes);
        self
    }

    /// Makes `bytes` what is at `path`.
    pub(super) fn put(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.to_owned(), bytes.into());
    }

    /// What is at `path`.
    pub(super) fn find(&self, path: &str) -> Option<Found> {
        if let Some(bytes) = self.files.get(path) {
            let modified = UNIX_EPOCH + Duration::from_secs(MODIFIED);
            return Some(Found::File(File { etag: etag(bytes, modified), modified, bytes: bytes.clone() }));
        }
        let relative = Path::new(path);
        let is_below = relative.components().all(|part| matches!(part, Component::Normal(_)));
        let place = self.directory.as_ref().filter(|_| is_below)?.join(relative);
        let metadata = fs::metadata(&place).ok()?;
        if metadata.is_dir() {
            return Some(Found::Directory(files::names(&place)));
        }
        let modified = metadata.modified().ok()?;
        let bytes = files::read(&place);
        Some(Found::File(File { etag: etag(&bytes, modified), modified, bytes }))
    }
}

/// Another one for other bytes and for another time.
fn etag(bytes: &[u8], modified: SystemTime) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    modified.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}
