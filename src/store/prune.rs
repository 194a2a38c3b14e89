//! How much the store holds, and giving room back.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Store, StoreError, files, reference};
use crate::digest::Sha256;
use crate::root::FileError;

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many.
    pub files: u64,
    /// How many bytes in all.
    pub bytes: u64,
}

/// What a store holds, or what was removed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Originals.
    pub blobs: Amount,
    /// Inflated archives and their tables.
    pub expanded: Amount,
}

/// What to remove from a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// Inflated archives, which can be made again from the originals.
    Expanded,
    /// What was not used for that long, to the day.
    Unused(Duration),
    /// Everything.
    Everything,
}

impl Usage {
    /// Originals and inflated archives together.
    pub fn total(&self) -> Amount {
        Amount {
            files: self.blobs.files.saturating_add(self.expanded.files),
            bytes: self.blobs.bytes.saturating_add(self.expanded.bytes),
        }
    }
}

impl Amount {
    fn add(&mut self, file: &Entry) {
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(file.length);
    }
}

impl Store {
    /// How much the store holds.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let mut usage = Usage::default();
        for entry in entries(&self.paths.blobs())? {
            usage.blobs.add(&entry);
        }
        for entry in entries(&self.paths.expanded())? {
            usage.expanded.add(&entry);
        }
        Ok(usage)
    }

    /// Removes `what`, and returns how much that was. Refused while another process uses the store, as its
    /// packages would go from under it.
    pub fn prune(&self, what: Prune) -> Result<Usage, StoreError> {
        self.lock
            .alone(|| self.remove(what))
            .unwrap_or_else(|| Err(StoreError::InUse { path: self.paths.root.clone() }))
    }

    fn remove(&self, what: Prune) -> Result<Usage, StoreError> {
        let now = SystemTime::now();
        let blobs = entries(&self.paths.blobs())?;
        let (gone, kept): (Vec<_>, Vec<_>) = blobs.into_iter().partition(|entry| match what {
            Prune::Expanded => false,
            Prune::Unused(duration) => now.duration_since(entry.used).is_ok_and(|age| age >= duration),
            Prune::Everything => true,
        });
        let kept: HashSet<Sha256> = kept.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        let mut usage = Usage::default();
        // An expanded form goes with its blob; one without a blob is of no use.
        for entry in entries(&self.paths.expanded())? {
            let blob = entry.name.split_once('.').and_then(|(blob, _)| blob.parse().ok());
            if what == Prune::Expanded || !blob.is_some_and(|blob| kept.contains(&blob)) {
                files::remove(&entry.path)?;
                usage.expanded.add(&entry);
            }
        }
        for entry in gone {
            files::remove(&entry.path)?;
            usage.blobs.add(&entry);
        }
        for directory in self.paths.references() {
            for entry in entries(&directory)? {
                if !reference(&entry.path)?.is_some_and(|blob| kept.contains(&blob)) {
                    files::remove(&entry.path)?;
                }
            }
        }
        Ok(usage)
    }
}

struct Entry {
    name: String,
    path: PathBuf,
    length: u64,
    used: SystemTime,
}

/// The files in `directory`; none if it is not there.
fn entries(directory: &Path) -> Result<Vec<Entry>, FileError> {
    let list = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(FileError::on("list", directory))?,
    };
    let mut entries = Vec::new();
    for entry in list {
        let entry = entry.map_err(FileError::on("list", directory))?;
        let path = entry.path();
        let metadata = entry.metadata().map_err(FileError::on("look at", &path))?;
        entries.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            length: metadata.len(),
            used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            path,
        });
    }
    Ok(entries)
}
