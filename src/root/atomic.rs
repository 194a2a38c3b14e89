//! Files and directories that take their names only when they are complete.
//!
//! Until then they lie beside their place under a name that says what they are; dropped before, they
//! disappear. So whoever looks sees all or nothing, and what failed leaves nothing.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};

use super::clear::clear;
use super::{DirectoryWriter, FileError};

/// A file in `directory` that has no name: it is gone when it is closed, however the program ends.
pub fn nameless_file(directory: &Path) -> Result<File, FileError> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR);
    match opened {
        Ok(descriptor) => Ok(File::from(descriptor)),
        // Not every file system has files without names.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
            let named = AtomicFile::create(&directory.join("spool"))?;
            named.file.try_clone().map_err(FileError::on("create a file in", directory))
        }
        Err(error) => Err(FileError::on("create a file in", directory)(error.into())),
    }
}

/// Where a link at `path` leads, so that what it points at is replaced and not the link.
fn followed(path: &Path) -> PathBuf {
    if path.is_symlink() {
        fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
    } else {
        path.to_owned()
    }
}

/// Makes something under a free name beside `destination`.
fn beside<T>(
    destination: &Path,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> Result<(PathBuf, T), FileError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = destination.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = destination.with_file_name(format!(".{name}.{}.{unique}.part", std::process::id()));
        match make(&temporary) {
            // Left by a process of the same number that was killed: in containers numbers repeat.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return Ok((temporary, made.map_err(FileError::on("create", destination))?)),
        }
    }
}

/// A file that takes its final name only when it is complete. Dropped before, it disappears.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    destination: PathBuf,
    committed: bool,
}

impl AtomicFile {
    /// Creates a temporary file beside `destination`.
    pub fn create(destination: &Path) -> Result<Self, FileError> {
        let destination = followed(destination);
        // A rename would put the file in the place of a device or a pipe.
        if destination.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(FileError::on("write", &destination)(io::Error::other("it is not a regular file")));
        }
        let (temporary, file) = beside(&destination, |temporary| {
            File::options().read(true).write(true).create_new(true).open(temporary)
        })?;
        Ok(Self { file, temporary, destination, committed: false })
    }

    /// Where it will be.
    #[must_use]
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Where it is meanwhile.
    #[must_use]
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, replacing what was there.
    pub fn commit(mut self) -> Result<(), FileError> {
        self.file.flush().map_err(FileError::on("write", &self.destination))?;
        fs::rename(&self.temporary, &self.destination).map_err(FileError::on("create", &self.destination))?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing can be done about a failure here, and the name says what it is.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// A directory that takes its final name only when it is complete. Dropped before, it disappears with all
/// that is in it.
#[derive(Debug)]
pub struct AtomicDirectory {
    temporary: PathBuf,
    destination: PathBuf,
    committed: bool,
}

impl AtomicDirectory {
    /// Creates an empty temporary directory beside `destination`.
    pub fn create(destination: &Path) -> Result<Self, FileError> {
        let destination = followed(destination);
        let (temporary, ()) = beside(&destination, |temporary| DirBuilder::new().create(temporary))?;
        Ok(Self { temporary, destination, committed: false })
    }

    /// Makes things in it. Errors name them as they will be called.
    pub fn writer(&self) -> Result<DirectoryWriter, FileError> {
        Ok(DirectoryWriter::open(&self.temporary)?.called(&self.destination))
    }

    /// Gives the directory its name. What was there must be an empty directory, or nothing.
    pub fn commit(mut self) -> Result<(), FileError> {
        fs::rename(&self.temporary, &self.destination).map_err(FileError::on("create", &self.destination))?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for AtomicDirectory {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        // Nothing can be done about a failure here, and the name says what it is.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(directory) = rustix::fs::open(&self.temporary, flags, Mode::empty()) {
            let _ = clear(&directory, &self.destination);
        }
        let _ = fs::remove_dir(&self.temporary);
    }
}

/// Writes a whole file, atomically.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    file.file().write_all(bytes).map_err(FileError::on("write", path))?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::root::read_file;

    #[test]
    fn a_leftover_is_in_nobodys_way_and_a_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("out.tar"), directory.path().join("link.tar"));
        let kept = AtomicFile::create(&target).unwrap();
        let number: u64 = kept.temporary.to_str().unwrap().rsplit('.').nth(1).unwrap().parse().unwrap();
        for next in number + 1..number + 50 {
            let name = format!(".link.tar.{}.{next}.part", std::process::id());
            File::create(directory.path().join(name)).unwrap();
        }
        kept.commit().unwrap();
        std::os::unix::fs::symlink("out.tar", &link).unwrap();
        write_file(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(read_file(&target, 10).unwrap(), b"new");
    }

    #[test]
    fn an_uncommitted_file_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out.tar");
        drop(AtomicFile::create(&target).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_appears_whole_in_an_empty_ones_place_and_in_no_other() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out");
        let fill = |directory: &AtomicDirectory| {
            write_file(&directory.temporary.join("file"), b"x").unwrap();
        };
        fs::create_dir(&target).unwrap();
        let directory = AtomicDirectory::create(&target).unwrap();
        fill(&directory);
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
        directory.commit().unwrap();
        assert_eq!(read_file(&target.join("file"), 10).unwrap(), b"x");
        let other = AtomicDirectory::create(&target).unwrap();
        fill(&other);
        other.commit().unwrap_err();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_uncommitted_directory_leaves_nothing_even_if_it_keeps_everybody_out() {
        let place = tempfile::tempdir().unwrap();
        let directory = AtomicDirectory::create(&place.path().join("out")).unwrap();
        let deep = directory.temporary.join("closed/deep");
        fs::create_dir_all(&deep).unwrap();
        write_file(&deep.join("file"), b"x").unwrap();
        fs::set_permissions(deep.parent().unwrap(), fs::Permissions::from_mode(0o0)).unwrap();
        drop(directory);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
