//! The files of a package from a directory of the disk.
//!
//! Kinds, modes, links, devices and extended attributes are taken as they are; owners are not, because
//! who makes a package is rarely who shall own its files: everything is root's unless a rule says
//! otherwise. Hard links are names of one inode, the first in path order being the file. Files are opened
//! when they are read and not kept open.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::AuthorError;
use crate::apk::write_package::{PackageFile, PackageFileKind, PackageOwner};
use crate::content::{ClosedFile, Content, ReadAt};
use crate::digest::Sha256Hasher;
use crate::path::TreePath;
use crate::root::{self, FileError};

/// How much of a file is hashed at a time.
const BUFFER: usize = 128 * 1024;
/// The longest list of attributes, and the longest value of one, in bytes: Linux' own limits.
const MAX_XATTRS: usize = 64 * 1024;

/// Whom a path of the package, and everything below it, belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRule {
    /// The path.
    pub path: TreePath,
    /// The owner.
    pub owner: PackageOwner,
}

impl FromStr for OwnerRule {
    type Err = AuthorError;

    /// Parses `PATH=USER[/NUMBER]:GROUP[/NUMBER]`; `USER` and `GROUP` may themselves be numbers. apk takes
    /// the number where the target has no such name.
    fn from_str(text: &str) -> Result<Self, AuthorError> {
        let malformed = || AuthorError::Owner(text.to_owned());
        let (path, owner) = text.rsplit_once('=').ok_or_else(malformed)?;
        let (user, group) = owner.split_once(':').ok_or_else(malformed)?;
        let (user, uid) = account(user).ok_or_else(malformed)?;
        let (group, gid) = account(group).ok_or_else(malformed)?;
        Ok(Self {
            path: TreePath::absolute(path).map_err(|_| malformed())?,
            owner: PackageOwner { user, group, uid, gid },
        })
    }
}

fn account(text: &str) -> Option<(Box<str>, u32)> {
    if let Ok(number) = text.parse() {
        let name = if number == 0 { "root" } else { "" };
        return Some((name.into(), number));
    }
    let (name, number) = match text.split_once('/') {
        Some((name, number)) => (name, number.parse().ok()?),
        None => (text, 0),
    };
    let is_name = !name.is_empty()
        && name.len() <= 32
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    is_name.then(|| (name.into(), number))
}

/// All files below `directory`, with the time `mtime`.
pub(super) fn files(
    directory: &Path,
    rules: &[OwnerRule],
    mtime: i64,
) -> Result<Vec<PackageFile>, AuthorError> {
    let mut walk = Walk { rules, mtime, found: Vec::new(), inodes: HashMap::new() };
    walk.directory(directory, &TreePath::root())?;
    for rule in rules {
        if !rule.path.is_root() && !walk.found.iter().any(|file| file.path == rule.path) {
            return Err(AuthorError::NoOwned { path: rule.path.clone() });
        }
    }
    Ok(walk.found)
}

struct Walk<'a> {
    rules: &'a [OwnerRule],
    mtime: i64,
    found: Vec<PackageFile>,
    /// The first name of each inode that has several.
    inodes: HashMap<(u64, u64), TreePath>,
}

impl Walk<'_> {
    /// Takes what is in `directory`, in path order, so that the first name of a hard link comes first.
    fn directory(&mut self, directory: &Path, path: &TreePath) -> Result<(), AuthorError> {
        let read = |error| FileError::on("read", directory)(error);
        let names = fs::read_dir(directory)
            .map_err(read)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<OsString>>>()
            .map_err(read)?;
        let mut children = Vec::with_capacity(names.len());
        for name in names {
            let on_disk = directory.join(&name);
            let child = TreePath::relative_bytes(name.as_encoded_bytes())
                .and_then(|name| path.join(name.as_str()))
                .map_err(|error| AuthorError::Path { path: on_disk.clone(), error })?;
            children.push((child, on_disk));
        }
        children.sort();
        children.into_iter().try_for_each(|(child, on_disk)| self.entry(&on_disk, &child))
    }

    fn entry(&mut self, on_disk: &Path, path: &TreePath) -> Result<(), AuthorError> {
        let metadata = fs::symlink_metadata(on_disk).map_err(FileError::on("look at", on_disk))?;
        let kind = self.kind(on_disk, path, &metadata)?;
        let is_directory = matches!(kind, PackageFileKind::Directory);
        let is_symlink = matches!(kind, PackageFileKind::Symlink(_));
        self.found.push(PackageFile {
            owner: self.owner(path),
            path: path.clone(),
            kind,
            mode: if is_symlink { 0o777 } else { metadata.mode() & 0o7777 },
            mtime: self.mtime,
            xattrs: if is_symlink { BTreeMap::new() } else { xattrs(on_disk)? },
        });
        if is_directory { self.directory(on_disk, path) } else { Ok(()) }
    }

    fn owner(&self, path: &TreePath) -> PackageOwner {
        let rule = self.rules.iter().rev().find(|rule| path.is_below(&rule.path));
        rule.map_or_else(PackageOwner::root, |rule| rule.owner.clone())
    }

    fn kind(
        &mut self,
        on_disk: &Path,
        path: &TreePath,
        metadata: &Metadata,
    ) -> Result<PackageFileKind, AuthorError> {
        let file_type = metadata.file_type();
        let unpackable = |what| AuthorError::Unpackable { path: on_disk.to_owned(), what };
        if file_type.is_dir() {
            return Ok(PackageFileKind::Directory);
        }
        if file_type.is_symlink() {
            let target = fs::read_link(on_disk).map_err(FileError::on("read the link", on_disk))?;
            let target = target.to_str().ok_or_else(|| unpackable("a link whose target is not UTF-8"))?;
            return Ok(PackageFileKind::Symlink(target.into()));
        }
        if file_type.is_file() {
            if metadata.nlink() > 1 {
                let inode = (metadata.dev(), metadata.ino());
                if let Some(first) = self.inodes.get(&inode) {
                    return Ok(PackageFileKind::HardLink(first.clone()));
                }
                self.inodes.insert(inode, path.clone());
            }
            return Ok(PackageFileKind::File(content(on_disk)?));
        }
        let device = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
        if file_type.is_char_device() {
            return Ok(PackageFileKind::CharacterDevice(device.0, device.1));
        }
        if file_type.is_block_device() {
            return Ok(PackageFileKind::BlockDevice(device.0, device.1));
        }
        if file_type.is_fifo() {
            return Ok(PackageFileKind::Fifo);
        }
        Err(unpackable("a socket"))
    }
}

/// The content of a file, hashed now and read again when it is written.
fn content(path: &Path) -> Result<Content, AuthorError> {
    let mut file = root::open_file(path)?;
    let mut hasher = Sha256Hasher::default();
    let mut buffer = vec![0; BUFFER];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer).map_err(FileError::on("read", path))?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        length += count as u64;
    }
    let source: Arc<dyn ReadAt> = Arc::new(ClosedFile::new(path.to_owned(), length));
    Ok(Content::slice(source, 0, length, hasher.finish()))
}

/// The extended attributes that mean something on another machine: capabilities and the user's own.
fn xattrs(path: &Path) -> Result<BTreeMap<Box<str>, Box<[u8]>>, AuthorError> {
    let fail = |error: rustix::io::Errno| FileError::on("read the attributes of", path)(error.into());
    let mut names = Vec::with_capacity(MAX_XATTRS);
    match rustix::fs::llistxattr(path, rustix::buffer::spare_capacity(&mut names)) {
        // Not every file system has attributes.
        Ok(_) | Err(rustix::io::Errno::NOTSUP) => {}
        Err(error) => return Err(fail(error).into()),
    }
    let mut found = BTreeMap::new();
    for name in names.split(|byte| *byte == 0) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if name == "security.capability" || name.starts_with("user.") {
            let mut value = Vec::with_capacity(MAX_XATTRS);
            rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut value)).map_err(fail)?;
            found.insert(name.into(), value.into_boxed_slice());
        }
    }
    Ok(found)
}
