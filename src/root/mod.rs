//! File access on the host: below a directory and never out of it, with errors that name their path.
//!
//! [`Root`] opens files through `openat2` with `RESOLVE_IN_ROOT`, so that no `..` and no link, however
//! it is placed or changed meanwhile, reaches a file outside; [`DirectoryWriter`] makes files so that none
//! lies outside, reads them back and removes them, whatever became of them. [`AtomicFile`] and [`AtomicDirectory`] take their names when they are complete. The free
//! functions are for paths the user gave us, which may lie anywhere. Not for the target tree, which is a value
//! (see [`crate::tree`]).
//!
//! Source: openat2(2).

mod atomic;
mod clear;
mod writer;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::kind::{Explain, Kind, SystemWords, hint_of_io};

pub use atomic::{AtomicDirectory, AtomicFile, nameless_file, write_file};
pub use writer::{DirectoryWriter, Node};

/// A failed file operation.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {}", SystemWords(.error), path = .path.display())]
pub struct FileError {
    /// What was attempted: "read", "create", ...
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

impl FileError {
    /// A failed `action` on `path`. The result is a function, for `map_err`.
    pub fn on(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self { action, path, error }
    }

    /// Whether the file does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.error.kind() == io::ErrorKind::NotFound
    }

    /// Whether something else than a file stands there: a directory, a pipe, a socket or a device.
    #[must_use]
    pub fn is_not_regular(&self) -> bool {
        self.error.get_ref().and_then(|error| error.downcast_ref::<NotRegular>()).is_some()
    }
}

/// What stands in the place of a file.
#[derive(Debug, thiserror::Error)]
enum NotRegular {
    #[error("it is a directory")]
    Directory,
    #[error("it is a named pipe")]
    Pipe,
    #[error("it is not a regular file")]
    Other,
}

impl Explain for FileError {
    fn kind(&self) -> Kind {
        Kind::of_io(&self.error)
    }

    fn hint(&self) -> Option<String> {
        hint_of_io(&self.error)
    }
}

/// A directory of the host below which files are opened.
#[derive(Debug)]
pub struct Root {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens the directory `path`.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path, flags, Mode::empty())
            .map_err(io::Error::from)
            .map_err(FileError::on("open", path))?;
        Ok(Self { descriptor, path: path.to_owned() })
    }

    /// The directory's own path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens `relative` for reading; links are followed, but the directory is their root. Nothing that
    /// blocks or has effects when opened (a pipe, a device) is returned.
    pub fn open_file(&self, relative: &Path) -> Result<File, FileError> {
        let whole = self.path.join(relative);
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let descriptor = rustix::fs::openat2(&self.descriptor, relative, AT_ONCE, Mode::empty(), resolve)
            .map_err(not_opened(&whole))?;
        regular(File::from(descriptor), &whole)
    }
}

/// Something found below a [`Root`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is, relative to where the search began; empty for that itself.
    pub path: PathBuf,
    /// What it is.
    pub kind: FoundKind,
    /// Its permission bits.
    pub mode: u32,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundKind {
    /// A regular file.
    File,
    /// A directory; what is in it follows.
    Directory,
    /// A symbolic link, not followed, and its target.
    Symlink(PathBuf),
    /// A device, pipe or socket.
    Special,
}

/// How deep directories may be in one another.
const MAX_DEPTH: usize = 128;

impl Root {
    /// `relative` and everything below it, each directory's contents by name. The way to `relative` may lead
    /// through links, which must not leave the root; links below it are found, not followed.
    pub fn search(&self, relative: &Path) -> Result<Vec<Found>, FileError> {
        let whole = self.path.join(relative);
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let top = rustix::fs::openat2(&self.descriptor, nonempty(relative), flags, Mode::empty(), resolve)
            .map_err(io::Error::from)
            .map_err(FileError::on("open", &whole))?;
        let mut found = Vec::new();
        search_below(&top, &whole, Path::new(""), MAX_DEPTH, &mut found)?;
        Ok(found)
    }

    /// Opens a regular file for reading whose way must not leave the root, not even through a link.
    pub fn open_beneath(&self, relative: &Path) -> Result<File, FileError> {
        let whole = self.path.join(relative);
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let descriptor =
            rustix::fs::openat2(&self.descriptor, nonempty(relative), AT_ONCE, Mode::empty(), resolve)
                .map_err(not_opened(&whole))?;
        regular(File::from(descriptor), &whole)
    }
}

/// The system calls take no empty path.
fn nonempty(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn search_below(
    place: &OwnedFd,
    whole: &Path,
    relative: &Path,
    depth_left: usize,
    found: &mut Vec<Found>,
) -> Result<(), FileError> {
    let fail = |action| {
        let path = whole.join(relative);
        move |error: Errno| FileError::on(action, &path)(error.into())
    };
    let status = rustix::fs::fstat(place).map_err(fail("look at"))?;
    let kind = match rustix::fs::FileType::from_raw_mode(status.st_mode) {
        rustix::fs::FileType::RegularFile => FoundKind::File,
        rustix::fs::FileType::Directory => FoundKind::Directory,
        rustix::fs::FileType::Symlink => {
            let target = rustix::fs::readlinkat(place, "", Vec::new()).map_err(fail("read the link"))?;
            FoundKind::Symlink(std::ffi::OsString::from_vec(target.into_bytes()).into())
        }
        _ => FoundKind::Special,
    };
    let is_directory = kind == FoundKind::Directory;
    found.push(Found { path: relative.to_owned(), kind, mode: status.st_mode & 0o7777 });
    if !is_directory {
        return Ok(());
    }
    let depth_left = depth_left.checked_sub(1).ok_or_else(|| fail("search")(Errno::NAMETOOLONG))?;
    let mut names = Vec::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listing = rustix::fs::openat(place, ".", flags, Mode::empty()).map_err(fail("list"))?;
    for entry in rustix::fs::Dir::new(listing).map_err(fail("list"))? {
        let name = entry.map_err(fail("list"))?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    for name in names {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let below = rustix::fs::openat(place, name.as_slice(), flags, Mode::empty()).map_err(fail("open"))?;
        let path = relative.join(std::ffi::OsString::from_vec(name));
        search_below(&below, whole, &path, depth_left, found)?;
    }
    Ok(())
}

/// Opens without waiting for the other end of a pipe, and without becoming a terminal's process.
const AT_ONCE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Only regular files are data; a directory or a device is named in the error.
fn regular(file: File, path: &Path) -> Result<File, FileError> {
    let kind = file.metadata().map_err(FileError::on("look at", path))?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    let what = if kind.is_dir() { NotRegular::Directory } else { NotRegular::Other };
    Err(FileError::on("read", path)(io::Error::other(what)))
}

/// What it is that `path` could not be opened. Sockets cannot be, and have no error of their own.
fn not_opened(path: &Path) -> impl FnOnce(Errno) -> FileError {
    move |error| match error {
        Errno::NXIO => FileError::on("read", path)(io::Error::other(NotRegular::Other)),
        error => FileError::on("open", path)(error.into()),
    }
}

/// Opens a regular file for reading.
pub fn open_file(path: &Path) -> Result<File, FileError> {
    let descriptor = rustix::fs::open(path, AT_ONCE, Mode::empty()).map_err(not_opened(path))?;
    regular(File::from(descriptor), path)
}

/// Opens the file at `path` to lock it, and makes it if it is not there; for reading alone if it cannot be written. A link
/// is not followed.
pub fn open_lock(path: &Path) -> Result<File, FileError> {
    let (flags, mode) = (AT_ONCE | OFlags::NOFOLLOW, Mode::RUSR | Mode::WUSR);
    let opened = rustix::fs::open(path, flags | OFlags::RDWR | OFlags::CREATE, mode);
    let descriptor = opened.or_else(|_| rustix::fs::open(path, flags, mode)).map_err(not_opened(path))?;
    regular(File::from(descriptor), path)
}

/// Reads a whole regular file of at most `limit` bytes.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    read_whole(open_file(path)?, path, limit)
}

/// Reads what the user gives as a file, which may be `/dev/null` or what a shell has for `<(COMMAND)` too, of at most
/// `limit` bytes. A named pipe is refused: nobody may ever write to it.
pub fn read_given(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let descriptor = rustix::fs::open(path, AT_ONCE, Mode::empty()).map_err(not_opened(path))?;
    let file = File::from(descriptor);
    let kind = file.metadata().map_err(FileError::on("look at", path))?.file_type();
    if kind.is_dir() {
        return regular(file, path).and_then(|file| read_whole(file, path, limit));
    }
    if kind.is_fifo() && !has_no_name(&file) {
        return Err(FileError::on("read", path)(io::Error::other(NotRegular::Pipe)));
    }
    read_whole(Waiting(file), path, limit)
}

/// Whether `pipe` is one that a program made for another one, which ends when that one does.
fn has_no_name(pipe: &File) -> bool {
    const PIPES: u64 = 0x5049_5045;
    rustix::fs::fstatfs(pipe).is_ok_and(|system| u64::try_from(system.f_type) == Ok(PIPES))
}

/// Reads what was opened without waiting, and waits.
struct Waiting(File);

impl io::Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut there = [PollFd::new(&self.0, PollFlags::IN)];
                    match rustix::event::poll(&mut there, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                read => return read,
            }
        }
    }
}

fn read_whole(file: impl io::Read, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(FileError::on("read", path))?;
    if bytes.len() as u64 > limit {
        let message = format!("it is larger than {limit} bytes");
        return Err(FileError::on("read", path)(io::Error::new(io::ErrorKind::FileTooLarge, message)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_link_out_of_the_root_stays_inside_it() {
        let directory = tempfile::tempdir().unwrap();
        write_file(&directory.path().join("passwd"), b"inside").unwrap();
        std::os::unix::fs::symlink("/passwd", directory.path().join("absolute")).unwrap();
        std::os::unix::fs::symlink("../../../passwd", directory.path().join("upwards")).unwrap();
        let root = Root::open(directory.path()).unwrap();
        for name in ["passwd", "absolute", "upwards", "../passwd"] {
            let mut text = String::new();
            root.open_file(Path::new(name)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "inside", "{name}");
        }
        assert!(root.open_file(Path::new("missing")).unwrap_err().is_not_found());
    }

    #[test]
    fn a_search_finds_links_and_does_not_leave_through_them() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("app/b")).unwrap();
        write_file(&at("app/b/file"), b"x").unwrap();
        write_file(&at("app/a"), b"x").unwrap();
        std::os::unix::fs::symlink("/etc", at("app/out")).unwrap();
        std::os::unix::fs::symlink("app/b", at("inner")).unwrap();
        std::os::unix::fs::symlink("/etc", at("outer")).unwrap();
        let root = Root::open(directory.path()).unwrap();
        let found = root.search(Path::new("app")).unwrap();
        let names: Vec<_> = found.iter().map(|found| found.path.to_str().unwrap()).collect();
        assert_eq!(names, ["", "a", "b", "b/file", "out"]);
        assert_eq!(found.last().unwrap().kind, FoundKind::Symlink("/etc".into()));
        assert_eq!(root.search(Path::new("inner")).unwrap().len(), 2);
        assert!(root.search(Path::new("outer")).is_err());
        assert!(root.search(Path::new("..")).is_err());
        assert!(root.open_beneath(Path::new("app/out/passwd")).is_err());
        assert!(root.open_beneath(Path::new("inner/file")).is_ok());
    }

    #[test]
    fn a_directory_is_not_read_as_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let error = read_file(directory.path(), 10).unwrap_err();
        assert!(error.to_string().contains("is a directory"), "{error}");
    }

    #[test]
    fn a_file_over_the_limit_is_an_error_of_kind_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("big");
        write_file(&path, &[0; 11]).unwrap();
        assert_eq!(read_file(&path, 11).unwrap().len(), 11);
        assert_eq!(read_file(&path, 10).unwrap_err().kind(), Kind::Limit);
    }
}
