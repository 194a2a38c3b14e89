//! Removing all that is in a directory, however deep it goes and whatever the modes in it are.
//!
//! Whoever filled the directory may have meant it ill: directories a hundred thousand deep, millions of names,
//! modes that keep their owner out. So nothing here goes as deep as the directories do: a directory that is not
//! empty is moved to the top and emptied there. A few descriptors are open and a few thousand names in memory at
//! a time. Nothing on another file system is touched, and no link is followed.
//!
//! Nobody else may change the directory meanwhile.
//!
//! Source: rename(2), unlink(2), openat2(2).

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use super::FileError;

/// How many names are read before what they name is removed.
const BATCH: usize = 4096;
/// What lets the owner do everything and nobody else anything.
const OPEN: Mode = Mode::RWXU;

/// Removes all that is in `directory`, called `path` in messages, and leaves it open to its owner alone.
pub(super) fn clear(directory: &OwnedFd, path: &Path) -> Result<(), FileError> {
    let cleared = change_own_mode(directory, OPEN.as_raw_mode())
        .and_then(|()| open_inside(directory, c"."))
        .and_then(|top| Clearing { top, moved: 0 }.run());
    cleared.map_err(io::Error::from).map_err(FileError::on("empty", path))
}

/// Sets the mode of the directory that is open, which may be open as a path only.
pub(super) fn change_own_mode(directory: &OwnedFd, mode: u32) -> rustix::io::Result<()> {
    let mode = Mode::from_raw_mode(mode);
    match rustix::fs::fchmod(directory, mode) {
        Err(Errno::BADF) => rustix::fs::chmod(format!("/proc/self/fd/{}", directory.as_raw_fd()), mode),
        other => other,
    }
}

struct Clearing {
    /// The directory that is emptied.
    top: OwnedFd,
    /// How many directories were moved into it.
    moved: u64,
}

impl Clearing {
    fn run(mut self) -> rustix::io::Result<()> {
        let mut listing = Dir::read_from(&self.top)?;
        loop {
            let names = some_names(&mut listing)?;
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                self.remove(&name)?;
            }
        }
    }

    /// Removes what has that name at the top; directories in it that are not empty come to the top.
    fn remove(&mut self, name: &CStr) -> rustix::io::Result<()> {
        if remove_single(&self.top, name)? {
            return Ok(());
        }
        rustix::fs::chmodat(&self.top, name, OPEN, AtFlags::empty())?;
        let inside = open_inside(&self.top, name)?;
        let mut listing = Dir::read_from(&inside)?;
        loop {
            let names = some_names(&mut listing)?;
            if names.is_empty() {
                return rustix::fs::unlinkat(&self.top, name, AtFlags::REMOVEDIR);
            }
            for name in names {
                if !remove_single(&inside, name.as_c_str())? {
                    self.move_up(&inside, &name)?;
                }
            }
        }
    }

    /// Moves a directory to the top, under a name that is free there.
    fn move_up(&mut self, from: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
        // What is moved to another directory must be writable itself: its `..` changes.
        rustix::fs::chmodat(from, name, OPEN, AtFlags::empty())?;
        loop {
            self.moved += 1;
            match rustix::fs::renameat(from, name, &self.top, self.moved.to_string()) {
                // The name is taken; an empty directory that has it may be replaced.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::ISDIR) => {}
                other => return other,
            }
        }
    }
}

/// Removes a file or an empty directory; whether it was one.
pub(super) fn remove_single(directory: &OwnedFd, name: impl Arg + Copy) -> rustix::io::Result<bool> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
        Ok(()) => return Ok(true),
    }
    match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
        Ok(()) => Ok(true),
    }
}

fn open_inside(directory: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve)
}

/// The names in a directory from its beginning: all, or as many as are dealt with at a time.
fn some_names(listing: &mut Dir) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    listing.rewind();
    for entry in listing {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
        if names.len() == BATCH {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn cleared(path: &Path) -> usize {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        clear(&rustix::fs::open(path, flags, Mode::empty()).unwrap(), path).unwrap();
        fs::read_dir(path).unwrap().count()
    }

    #[test]
    fn directories_deeper_than_any_path_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let open = |directory: &OwnedFd| open_inside(directory, c"d").unwrap();
        let mut directory = rustix::fs::open(place.path(), OFlags::RDONLY, Mode::empty()).unwrap();
        for _ in 0..20_000 {
            rustix::fs::mkdirat(&directory, "d", OPEN).unwrap();
            directory = open(&directory);
        }
        drop(directory);
        assert_eq!(cleared(place.path()), 0);
    }

    #[test]
    fn closed_directories_many_names_and_names_in_the_way_are_removed() {
        let (place, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("a/b/c/d")).unwrap();
        fs::create_dir_all(at("a/x/y/z")).unwrap();
        for name in ["1", "2", "3"] {
            File::create(at(name)).unwrap();
        }
        fs::create_dir_all(at("4/in")).unwrap();
        for number in 0..2 * BATCH {
            File::create(at(&format!("a/b/{number}"))).unwrap();
        }
        File::create(outside.path().join("kept")).unwrap();
        std::os::unix::fs::symlink(outside.path(), at("a/b/c/out")).unwrap();
        for directory in ["a/b/c", "a/b", "a", "4/in", "4", ""] {
            fs::set_permissions(at(directory), fs::Permissions::from_mode(0o000)).unwrap();
        }
        assert_eq!(cleared(place.path()), 0);
        assert!(outside.path().join("kept").exists());
    }
}
