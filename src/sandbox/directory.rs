//! A directory of the sandbox's own, which nobody else can enter and which is gone in the end.
//!
//! A process that is killed leaves its directory behind. So each is locked (flock) as long as it is used, and whoever
//! makes one removes those beside it that nobody holds any more.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::root::{DirectoryWriter, FileError};

/// A directory below another one, with an empty directory in it whose mode may be any; both are removed when it is
/// dropped, if they are empty again.
#[derive(Debug)]
pub(super) struct PrivateDirectory {
    path: PathBuf,
    /// The directory, locked.
    #[expect(dead_code, reason = "it is locked while it is open")]
    lock: File,
}

/// What the name of one begins and ends with; between them are two numbers.
const PREFIX: &str = ".apkcompose.";
const SUFFIX: &str = ".sandbox";
/// What the inner one is called.
const INNER: &str = "root";

impl PrivateDirectory {
    /// Makes one in `place`, and removes those there that were left behind.
    pub(super) fn create(place: &Path) -> Result<Self, FileError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        // A helper goes there by its name once it has left where it was.
        let place = fs::canonicalize(place).map_err(FileError::on("find", place))?;
        loop {
            let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = place.join(format!("{PREFIX}{}.{unique}{SUFFIX}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                // Left by a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(FileError::on("create", &path)(error)),
            }
            // Until it is locked another process may take it for one left behind.
            let Some(lock) = locked(&path)? else { continue };
            let made = Self { path, lock };
            fs::create_dir(made.inner()).map_err(FileError::on("create", &made.inner()))?;
            remove_left_behind(&place);
            return Ok(made);
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the inner one is.
    pub(super) fn inner(&self) -> PathBuf {
        self.path.join(INNER)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; another process removes it.
        let _ = fs::remove_dir(self.inner());
        let _ = fs::remove_dir(&self.path);
    }
}

/// Says that what is in an inner directory, open as `workroot` here or in another process, is in use as long as it is
/// open anywhere: a helper may be at work a moment longer than the composer.
pub(super) fn hold(workroot: impl AsFd) {
    // Where there are no locks nothing is removed.
    let _ = rustix::fs::flock(workroot, FlockOperation::NonBlockingLockShared);
}

/// Opens and locks a directory that was just made; nothing if it is not there any more.
fn locked(path: &Path) -> Result<Option<File>, FileError> {
    let directory = match open(path) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::on("open", path)(error)),
    };
    // Where there are no locks nothing is removed either.
    let _ = rustix::fs::flock(&directory, FlockOperation::LockExclusive);
    let ours = directory.metadata().map_err(FileError::on("look at", path))?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(((there.dev(), there.ino()) == (ours.dev(), ours.ino())).then_some(directory)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::on("look at", path)(error)),
    }
}

/// Removes what killed processes of this user left in `place`. Failures are no matter: it is tried each time.
fn remove_left_behind(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(is_name_of_one) {
            let _ = remove_if_unused(&entry.path());
        }
    }
}

fn is_name_of_one(name: &str) -> bool {
    let numbers = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers
        .and_then(|numbers| numbers.split_once('.'))
        .is_some_and(|(process, unique)| is_number(process) && is_number(unique))
}

fn remove_if_unused(path: &Path) -> io::Result<()> {
    let directory = open(path)?;
    if directory.metadata()?.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
    // Its composer is gone, and now nobody makes another one of it. A helper that is left has it open inside.
    let inner = match rustix::fs::chmodat(&directory, INNER, Mode::RWXU, rustix::fs::AtFlags::empty()) {
        Ok(()) => Some(File::from(rustix::fs::openat(&directory, INNER, FLAGS, Mode::empty())?)),
        Err(_) => None,
    };
    if let Some(inner) = &inner {
        rustix::fs::flock(inner, FlockOperation::NonBlockingLockExclusive)?;
    }
    // What is open is emptied, whatever has its name meanwhile.
    DirectoryWriter::of(OwnedFd::from(directory.try_clone()?), path).clear().map_err(io::Error::other)?;
    fs::remove_dir(path)
}

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn open(path: &Path) -> io::Result<File> {
    Ok(File::from(rustix::fs::open(path, FLAGS, Mode::empty())?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;
    use crate::root::{read_file, write_file};

    /// The names in a directory, in order.
    fn names(place: &Path) -> Vec<String> {
        let entries = fs::read_dir(place).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Makes one and lets it go.
    fn pass_by(place: &Path) {
        drop(PrivateDirectory::create(place).unwrap());
    }

    #[test]
    fn it_is_private_and_goes() {
        let place = tempfile::tempdir().unwrap();
        let (one, other) = (
            PrivateDirectory::create(place.path()).unwrap(),
            PrivateDirectory::create(place.path()).unwrap(),
        );
        assert_ne!(one.inner(), other.inner());
        assert_eq!(fs::metadata(&one.path).unwrap().permissions().mode() & 0o777, 0o700);
        drop((one, other));
        assert_eq!(names(place.path()), Vec::<String>::new());
    }

    #[test]
    fn one_left_behind_is_removed_with_all_that_is_in_it() {
        let place = tempfile::tempdir().unwrap();
        let left = place.path().join(".apkcompose.4194305.0.sandbox");
        fs::create_dir_all(left.join("root/usr/bin")).unwrap();
        write_file(&left.join("root/usr/bin/env"), b"text").unwrap();
        for directory in ["root/usr", "root"] {
            fs::set_permissions(left.join(directory), fs::Permissions::from_mode(0o000)).unwrap();
        }
        // Killed before anything was in it.
        fs::create_dir(place.path().join(".apkcompose.4194305.1.sandbox")).unwrap();
        pass_by(place.path());
        assert_eq!(names(place.path()), Vec::<String>::new());
    }

    #[test]
    fn one_in_use_stays() {
        let place = tempfile::tempdir().unwrap();
        let used = PrivateDirectory::create(place.path()).unwrap();
        write_file(&used.inner().join("file"), b"text").unwrap();
        pass_by(place.path());
        assert_eq!(read_file(&used.inner().join("file"), 10).unwrap(), b"text");
    }

    #[test]
    fn one_stays_that_a_helper_is_still_in() {
        let place = tempfile::tempdir().unwrap();
        let left = place.path().join(".apkcompose.4194305.0.sandbox");
        fs::create_dir_all(left.join("root/usr")).unwrap();
        let workroot = open(&left.join("root")).unwrap();
        hold(&workroot);
        pass_by(place.path());
        assert!(left.join("root/usr").exists());
        drop(workroot);
        pass_by(place.path());
        assert_eq!(names(place.path()), Vec::<String>::new());
    }

    #[test]
    fn what_has_another_name_or_is_another_users_or_no_directory_stays() {
        let (place, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| place.path().join(name);
        let mut expected = vec![
            ".apkcompose.1.2.sandbox.d",
            ".apkcompose.1.sandbox",
            ".apkcompose.1.x.sandbox",
            ".apkcompose..2.sandbox",
            ".apkcompose.1.2.3.sandbox",
            "apkcompose.1.2.sandbox",
        ];
        for name in &expected {
            fs::create_dir_all(at(name).join("root")).unwrap();
        }
        write_file(&outside.path().join("kept"), b"").unwrap();
        std::os::unix::fs::symlink(outside.path(), at(".apkcompose.1.4.sandbox")).unwrap();
        write_file(&at(".apkcompose.1.5.sandbox"), b"").unwrap();
        expected.extend([".apkcompose.1.4.sandbox", ".apkcompose.1.5.sandbox"]);
        if rustix::process::geteuid().is_root() {
            fs::create_dir(at(".apkcompose.1.6.sandbox")).unwrap();
            chown(at(".apkcompose.1.6.sandbox"), Some(65534), None).unwrap();
            expected.push(".apkcompose.1.6.sandbox");
        }
        pass_by(place.path());
        expected.sort_unstable();
        assert_eq!(names(place.path()), expected);
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn one_that_is_not_at_its_name_any_more_is_not_taken() {
        let place = tempfile::tempdir().unwrap();
        assert!(locked(&place.path().join("gone")).unwrap().is_none());
    }

    #[test]
    fn many_at_the_same_time_do_not_take_one_anothers() {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let made = PrivateDirectory::create(place.path()).unwrap();
                        write_file(&made.inner().join("file"), b"text").unwrap();
                        fs::remove_file(made.inner().join("file")).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(place.path()), Vec::<String>::new());
    }
}
