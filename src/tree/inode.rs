//! What a name of the tree points at.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::content::Content;

/// A file, directory, link or device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// What it is.
    pub kind: InodeKind,
    /// Its permission bits.
    pub mode: Mode,
    /// Whom it belongs to.
    pub owner: Owner,
    /// When it was modified, in seconds since 1970; nothing means the image's epoch.
    pub mtime: Option<i64>,
    /// Its extended attributes.
    pub xattrs: Xattrs,
    /// Where it came from.
    pub origin: Origin,
}

impl Inode {
    /// Something of root's, without time or attributes.
    pub fn new(kind: InodeKind, mode: Mode, origin: Origin) -> Self {
        Self { kind, mode, owner: Owner::ROOT, mtime: None, xattrs: Xattrs::new(), origin }
    }

    /// A directory of root's with mode 0755.
    pub fn directory(origin: Origin) -> Self {
        Self::new(InodeKind::Directory, Mode::DIRECTORY, origin)
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, InodeKind::Directory)
    }
}

/// What an inode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link and its target, which may be any text.
    Symlink(Box<str>),
    /// A character device.
    CharacterDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// The numbers of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The device among the driver's.
    pub minor: u32,
}

/// Permission bits: set-user-ID, set-group-ID, sticky and the nine of access. Never more than `0o7777`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode(u16);

impl Mode {
    /// `0755`.
    pub const DIRECTORY: Self = Self(0o755);
    /// `0644`.
    pub const FILE: Self = Self(0o644);
    /// `0777`, which symbolic links always have.
    pub const SYMLINK: Self = Self(0o777);

    /// The permission bits of `bits`; others are dropped.
    pub const fn new(bits: u32) -> Self {
        Self((bits & 0o7777) as u16)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

/// Numeric owner and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Owner {
    /// `0:0`.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// Extended attributes by name, without overlay's own.
pub type Xattrs = BTreeMap<Box<str>, Box<[u8]>>;

/// Where an inode came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The package of that name, installed now or in the base, as the database says.
    Package(Arc<str>),
    /// The base, though no package of it owns it.
    Base,
    /// The profile.
    Profile,
    /// Made by apkcompose, or by a package's script: links, databases, changed files.
    Generated,
}
