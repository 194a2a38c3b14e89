//! The files of the store: a private directory, names that appear only when complete, nothing left behind.
//!
//! Temporary files lie in `tmp/`, each locked (flock) by the process that writes it. A lock ends with its
//! process, so one that can be taken is of a dead process, whichever container it ran in; process numbers
//! could not tell that.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::FlockOperation;

use super::StoreError;
use crate::root::{self, FileError};

/// Makes the store's directory if it is not there, and refuses one that is not private.
pub(super) fn private_directory(path: &Path) -> Result<(), StoreError> {
    if path.exists() && !path.is_dir() {
        return Err(StoreError::NotADirectory { path: path.to_owned() });
    }
    make_directory(path)?;
    let metadata = fs::metadata(path).map_err(FileError::on("look at", path))?;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(StoreError::Owner { path: path.to_owned(), owner: metadata.uid(), user });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(StoreError::Writable { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Makes a directory, and those above it, for nobody but the user.
pub(super) fn make_directory(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::on("create", path))
}

/// Removes a file; that it is not there is no error.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(FileError::on("remove", path)),
    }
}

/// A file being written, which gets its name when it is complete. Dropped before, it disappears.
#[derive(Debug)]
pub(super) struct Temporary {
    file: Option<File>,
    path: PathBuf,
}

impl Temporary {
    /// Creates one in `directory`.
    pub(super) fn create(directory: &Path) -> Result<Self, FileError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!("{}.{unique}", std::process::id()));
            let file = match new_file(&path) {
                // A process of another container may have the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make_directory(directory)?;
                    continue;
                }
                other => other.map_err(FileError::on("create", &path))?,
            };
            rustix::fs::flock(&file, FlockOperation::LockExclusive)
                .map_err(io::Error::from)
                .map_err(FileError::on("lock", &path))?;
            // Between the two calls another process may have taken it for a dead one's.
            let links = file.metadata().map_err(FileError::on("look at", &path))?.nlink();
            if links > 0 {
                return Ok(Self { file: Some(file), path });
            }
        }
    }

    /// The open file.
    pub(super) fn file(&self) -> Result<&File, FileError> {
        self.file.as_ref().ok_or_else(|| FileError::on("write", &self.path)(io::ErrorKind::NotFound.into()))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, replacing what was there, and returns it, open for reading.
    pub(super) fn commit(mut self, destination: &Path) -> Result<File, FileError> {
        if let Some(directory) = destination.parent() {
            make_directory(directory)?;
        }
        fs::rename(&self.path, destination).map_err(FileError::on("create", destination))?;
        self.file.take().ok_or_else(|| FileError::on("create", destination)(io::ErrorKind::NotFound.into()))
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Nothing can be done about a failure here; the next process cleans up.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what dead processes left in `directory`, and what no process of ours makes: links, pipes, sockets, devices. A
/// directory stays. Failures are no matter: it is tried each time.
pub(super) fn remove_stale(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let is_stale = match root::open_file(&path) {
            Ok(file) if is_file => rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok(),
            Ok(_) | Err(_) => !is_file,
        };
        if is_stale {
            // Fails for a directory.
            let _ = fs::remove_file(&path);
        }
    }
}

/// The lock by which those who use the store keep those out who would empty it.
#[derive(Debug)]
pub(super) struct UseLock(Option<File>);

impl UseLock {
    /// Takes part in using the store, waiting for a pruning to end. A store that cannot be written to has no
    /// lock, and needs none: nobody can empty it.
    pub(super) fn share(path: &Path) -> Result<Self, FileError> {
        let file = match root::open_lock(path) {
            Ok(file) => file,
            Err(error) if is_unwritable(&error.error) || error.is_not_found() => return Ok(Self(None)),
            Err(error) => return Err(error),
        };
        rustix::fs::flock(&file, FlockOperation::LockShared)
            .map_err(io::Error::from)
            .map_err(FileError::on("lock", path))?;
        Ok(Self(Some(file)))
    }

    /// Does `work` while nobody else uses the store; nothing if somebody does.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let Some(file) = &self.0 else { return Some(work()) };
        rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).ok()?;
        let result = work();
        // The lock is ours; making it a shared one cannot fail for anybody else's sake.
        let _ = rustix::fs::flock(file, FlockOperation::LockShared);
        Some(result)
    }
}

/// Whether the place cannot be written to, rather than something being wrong.
pub(super) fn is_unwritable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
