//! Reading a listing from a directory, links not followed. As root, or what is private is missing.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{lgetxattr, llistxattr, major, minor};

use super::{Entry, Kind, Listing};
use crate::support::files;

impl Listing {
    /// The tree below the directory `root`.
    pub(crate) fn of_directory(root: &Path) -> Self {
        let mut entries = Vec::new();
        walk(root, "", &mut entries);
        Self::of(entries)
    }
}

/// Adds what is in `directory`, whose path in the tree is `inside`, to `entries`.
fn walk(directory: &Path, inside: &str, entries: &mut Vec<(u64, Entry)>) {
    for name in files::names(directory) {
        let place = directory.join(&name);
        let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        let metadata = fs::symlink_metadata(&place)
            .unwrap_or_else(|error| panic!("cannot look at {}: {error}", place.display()));
        let is_directory = metadata.is_dir();
        entries.push((metadata.ino(), entry(&place, path.clone(), &metadata)));
        if is_directory {
            walk(&place, &path, entries);
        }
    }
}

/// The entry for the thing at `place`.
fn entry(place: &Path, path: String, metadata: &Metadata) -> Entry {
    let kind = kind(place, metadata);
    let link = (kind == Kind::Link).then(|| {
        let target =
            fs::read_link(place).unwrap_or_else(|error| panic!("cannot read {}: {error}", place.display()));
        target
            .into_os_string()
            .into_string()
            .unwrap_or_else(|target| panic!("{} is not UTF-8", target.display()))
    });
    let device = matches!(kind, Kind::CharacterDevice | Kind::BlockDevice)
        .then(|| (major(metadata.rdev()), minor(metadata.rdev())));
    let content: Arc<[u8]> = if kind == Kind::File { files::read(place).into() } else { Arc::default() };
    Entry {
        path,
        kind,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        link,
        hard_links: None,
        content,
        xattrs: xattrs(place),
        device,
        modified: metadata.mtime(),
    }
}

/// The kind of the thing at `place`.
fn kind(place: &Path, metadata: &Metadata) -> Kind {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => Kind::File,
        () if kind.is_dir() => Kind::Directory,
        () if kind.is_symlink() => Kind::Link,
        () if kind.is_char_device() => Kind::CharacterDevice,
        () if kind.is_block_device() => Kind::BlockDevice,
        () if kind.is_fifo() => Kind::Pipe,
        () if kind.is_socket() => Kind::Socket,
        () => panic!("{} is of no known kind", place.display()),
    }
}

/// The extended attributes of the thing at `place`.
fn xattrs(place: &Path) -> BTreeMap<String, Vec<u8>> {
    // The kernel's limit for the list and for a value (XATTR_LIST_MAX, XATTR_SIZE_MAX).
    let mut names = vec![0; 65536];
    let length = llistxattr(place, &mut names)
        .unwrap_or_else(|error| panic!("cannot list the attributes of {}: {error}", place.display()));
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 65536];
            let length = lgetxattr(place, std::ffi::OsStr::from_bytes(name), &mut value)
                .unwrap_or_else(|error| panic!("cannot read an attribute of {}: {error}", place.display()));
            value.truncate(length);
            (String::from_utf8_lossy(name).into_owned(), value)
        })
        .collect()
}
