//! Making files, directories, links and devices below a directory, and never outside of it; looking at what is
//! there, and removing it.
//!
//! The way to whatever is made leads through directories alone, resolved by the kernel from the directory's
//! own descriptor (`openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`): no link on it is followed,
//! whoever put it there. Nothing that exists is replaced.
//!
//! Owners, modes, attributes and times are set one by one, so that whoever may not set one of them can go on
//! with the others. Set in this order they stay: owner, attributes, mode, time; a change of the owner takes
//! set-user-ID bits and capabilities away.
//!
//! Source: openat2(2), chown(2), capabilities(7).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Statx, StatxFlags, Timespec, Timestamps, Uid,
    XattrFlags,
};
use rustix::io::Errno;

use super::clear::{change_own_mode, clear, remove_single};
use super::{FileError, regular};

/// A directory in which things are made. Paths are relative to it, `/`-separated; the empty path is the
/// directory itself.
#[derive(Debug)]
pub struct DirectoryWriter {
    descriptor: OwnedFd,
    path: PathBuf,
    /// The directory that something was made in last, and its path.
    last: Option<(String, OwnedFd)>,
}

/// Something that is no file, directory or link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A named pipe.
    Fifo,
    /// A character device, major and minor.
    CharacterDevice(u32, u32),
    /// A block device, major and minor.
    BlockDevice(u32, u32),
}

impl DirectoryWriter {
    /// Makes things below `path`, which is a directory.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open", path))?;
        Ok(Self { descriptor, path: path.to_owned(), last: None })
    }

    /// Makes things below the directory that is open as `descriptor`, called `path` in messages.
    pub fn of(descriptor: OwnedFd, path: &Path) -> Self {
        Self { descriptor, path: path.to_owned(), last: None }
    }

    /// The same, called `path` in messages: the name it is going to have.
    pub(super) fn called(self, path: &Path) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// What the directory is called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory.
    pub fn directory(&mut self, path: &str) -> Result<(), FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)).map_err(failed("create", &whole))
    }

    /// Makes a file, to be written.
    pub fn file(&mut self, path: &str) -> Result<File, FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o666));
        Ok(File::from(file.map_err(failed("create", &whole))?))
    }

    /// Makes a symbolic link, which may say whatever it likes.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<(), FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        rustix::fs::symlinkat(target, parent, name).map_err(failed("create", &whole))
    }

    /// Gives what is at `target` one more name. A link is not followed.
    pub fn hard_link(&mut self, path: &str, target: &str) -> Result<(), FileError> {
        let whole = self.path.join(path);
        let (directory, first) = split(target);
        let directory = self.open_directory(directory)?;
        let (parent, name) = self.parent(path)?;
        rustix::fs::linkat(&directory, first, parent, name, AtFlags::empty())
            .map_err(failed("create", &whole))
    }

    /// Makes a device or a pipe.
    pub fn node(&mut self, path: &str, node: Node) -> Result<(), FileError> {
        let whole = self.path.join(path);
        let (kind, device) = match node {
            Node::Fifo => (FileType::Fifo, 0),
            Node::CharacterDevice(major, minor) => {
                (FileType::CharacterDevice, rustix::fs::makedev(major, minor))
            }
            Node::BlockDevice(major, minor) => (FileType::BlockDevice, rustix::fs::makedev(major, minor)),
        };
        let (parent, name) = self.parent(path)?;
        rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(0o600), device)
            .map_err(failed("create", &whole))
    }

    /// Says whose it is.
    pub fn set_owner(&mut self, path: &str, uid: u32, gid: u32) -> Result<(), FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("change the owner of", &whole))
    }

    /// Sets the permission bits of something that is no link.
    pub fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), FileError> {
        let whole = self.path.join(path);
        if path.is_empty() {
            return change_own_mode(&self.descriptor, mode).map_err(failed("change the mode of", &whole));
        }
        let (parent, name) = self.parent(path)?;
        rustix::fs::chmodat(parent, name, Mode::from_raw_mode(mode), AtFlags::empty())
            .map_err(failed("change the mode of", &whole))
    }

    /// Sets an extended attribute.
    pub fn set_attribute(&mut self, path: &str, attribute: &str, value: &[u8]) -> Result<(), FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        // There is no call for a name in a directory that is open.
        let place = format!("/proc/self/fd/{}/{name}", parent.as_raw_fd());
        rustix::fs::lsetxattr(place, attribute, value, XattrFlags::empty())
            .map_err(failed("set an extended attribute of", &whole))
    }

    /// Sets when it was modified, in seconds since 1970; when it was read too.
    pub fn set_time(&mut self, path: &str, seconds: i64) -> Result<(), FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("set the time of", &whole))
    }

    /// What is said of what stands at `path`; a link is not followed.
    pub fn status(&mut self, path: &str) -> Result<Statx, FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        // Of the directory itself it can be asked whatever its mode, but not by the name `.` in it.
        let (name, flags) = match name {
            "." => ("", AtFlags::EMPTY_PATH),
            name => (name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT),
        };
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        rustix::fs::statx(parent, name, flags, wanted).map_err(failed("look at", &whole))
    }

    /// The names in a directory, sorted; nothing if there are more than `most`. It must be on the same file
    /// system.
    pub fn names(&self, path: &str, most: usize) -> Result<Option<Vec<Vec<u8>>>, FileError> {
        let whole = self.path.join(path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listing = self.resolved(path, flags, ResolveFlags::NO_XDEV)?;
        let mut names = Vec::new();
        for entry in Dir::new(listing).map_err(failed("list", &whole))? {
            let entry = entry.map_err(failed("list", &whole))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if names.len() == most {
                return Ok(None);
            }
            names.push(name.to_vec());
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    /// Opens a regular file for reading.
    pub fn open_file(&mut self, path: &str) -> Result<File, FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(failed("open", &whole))?;
        regular(File::from(file), &whole)
    }

    /// What a symbolic link says.
    pub fn read_link(&mut self, path: &str) -> Result<Vec<u8>, FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        let target = rustix::fs::readlinkat(parent, name, Vec::new());
        Ok(target.map_err(failed("read the link", &whole))?.into_bytes())
    }

    /// Removes what stands at `path`, of a directory with all that is in it.
    pub fn remove(&mut self, path: &str) -> Result<(), FileError> {
        let whole = self.path.join(path);
        let (parent, name) = self.parent(path)?;
        if !remove_single(parent, name).map_err(failed("remove", &whole))? {
            self.set_mode(path, 0o700)?;
            clear(&self.open_directory(path)?, &whole)?;
            let (parent, name) = self.parent(path)?;
            remove_single(parent, name).map_err(failed("remove", &whole))?;
        }
        // It may have been the directory that was open, or one on the way to it.
        self.last = None;
        Ok(())
    }

    /// Looks for directories anew from now on: somebody else may have put others in their places.
    pub fn look_anew(&mut self) {
        self.last = None;
    }

    /// Removes all that is in the directory, and leaves it open to its owner alone.
    pub fn clear(&mut self) -> Result<(), FileError> {
        self.last = None;
        clear(&self.descriptor, &self.path)
    }

    /// The directory that `path` is in, and its name there.
    fn parent<'a>(&mut self, path: &'a str) -> Result<(&OwnedFd, &'a str), FileError> {
        let (directory, name) = split(path);
        if name == ".." {
            return Err(FileError::on("reach", &self.path.join(path))(io::ErrorKind::InvalidInput.into()));
        }
        if directory.is_empty() {
            return Ok((&self.descriptor, name));
        }
        let last = match self.last.take() {
            Some(last) if last.0 == directory => last,
            _ => (directory.to_owned(), self.open_directory(directory)?),
        };
        let (_, descriptor) = self.last.insert(last);
        Ok((descriptor, name))
    }

    fn open_directory(&self, path: &str) -> Result<OwnedFd, FileError> {
        self.resolved(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, ResolveFlags::empty())
    }

    /// Opens what stands at `path`, no link on the way followed.
    fn resolved(&self, path: &str, flags: OFlags, also: ResolveFlags) -> Result<OwnedFd, FileError> {
        let whole = self.path.join(path);
        let path = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | also;
        rustix::fs::openat2(&self.descriptor, path, flags, Mode::empty(), resolve)
            .map_err(failed("open", &whole))
    }
}

/// The directory of `path` and its name in it; `.` for the root itself.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(parts) => parts,
        None if path.is_empty() => ("", "."),
        None => ("", path),
    }
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(Errno) -> FileError {
    let error = FileError::on(action, path);
    move |errno| error(io::Error::from(errno))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn things_are_made_below_the_directory_with_what_is_said_of_them() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let mut writer = DirectoryWriter::open(place.path()).unwrap();

        writer.directory("d").unwrap();
        writer.file("d/file").unwrap().write_all(b"text").unwrap();
        writer.hard_link("other", "d/file").unwrap();
        writer.symlink("d/link", "/../anywhere").unwrap();
        writer.node("d/pipe", Node::Fifo).unwrap();
        writer.set_mode("d/file", 0o640).unwrap();
        writer.set_time("d/link", -5).unwrap();
        writer.set_time("d", 7).unwrap();
        writer.set_time("", 9).unwrap();

        assert_eq!(crate::root::read_file(&at("other"), 10).unwrap(), b"text");
        let file = fs::metadata(at("d/file")).unwrap();
        assert_eq!((file.mode() & 0o7777, file.nlink()), (0o640, 2));
        assert_eq!(fs::read_link(at("d/link")).unwrap(), Path::new("/../anywhere"));
        assert_eq!(fs::symlink_metadata(at("d/link")).unwrap().mtime(), -5);
        assert_eq!(fs::metadata(at("d")).unwrap().mtime(), 7);
        assert_eq!(fs::metadata(place.path()).unwrap().mtime(), 9);
    }

    #[test]
    fn no_link_on_the_way_is_followed_and_nothing_is_replaced() {
        let (place, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        crate::root::write_file(&outside.path().join("file"), b"kept").unwrap();
        std::os::unix::fs::symlink(outside.path(), place.path().join("out")).unwrap();
        let mut writer = DirectoryWriter::open(place.path()).unwrap();
        for path in ["out/new", "../new", "out", "..", "out/.."] {
            assert!(writer.directory(path).is_err(), "{path}");
            assert!(writer.file(path).is_err(), "{path}");
            assert!(writer.symlink(path, "x").is_err(), "{path}");
            assert!(writer.node(path, Node::Fifo).is_err(), "{path}");
        }
        assert!(writer.hard_link("here", "out/file").is_err());
        assert!(writer.set_mode("out/file", 0o600).is_err());
        assert!(writer.set_time("out/file", 0).is_err());
        assert!(writer.set_mode("..", 0o755).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert!(!place.path().join("../new").exists());
    }
}
