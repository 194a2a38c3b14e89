//! What a workroot remembers: for each name the inode on the disk, for each inode what the tree says of it and
//! what the disk said when both were the same.

use std::collections::{BTreeMap, HashMap};

use rustix::fs::{FileType, Statx};

use crate::path::TreePath;
use crate::sandbox::records::{InodeKey, Record, RecordedDevice};
use crate::tree::{Device, Inode, InodeKind, Mode, Owner, Xattrs};

/// What was on the disk when it was the same as the tree.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) names: BTreeMap<TreePath, InodeKey>,
    pub(super) inodes: HashMap<InodeKey, Known>,
}

impl Memory {
    /// What is known of the inode that has the name `path`.
    pub(super) fn get(&self, path: &TreePath) -> Option<&Known> {
        self.inodes.get(self.names.get(path)?)
    }

    /// Remembers what has the name `path`.
    pub(super) fn insert(&mut self, path: TreePath, known: Known) {
        self.names.insert(path, known.status.key);
        self.inodes.insert(known.status.key, known);
    }
}

/// What is known of an inode.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// What the tree says of it.
    pub(super) facts: Facts,
    /// What the disk says of it.
    pub(super) status: Status,
}

/// An inode of the tree without what no disk could say: where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: InodeKind,
    pub(super) mode: Mode,
    pub(super) owner: Owner,
    pub(super) mtime: Option<i64>,
    pub(super) xattrs: Xattrs,
}

impl Facts {
    pub(super) fn of(inode: &Inode) -> Self {
        let Inode { kind, mode, owner, mtime, xattrs, origin: _ } = inode;
        Self { kind: kind.clone(), mode: *mode, owner: *owner, mtime: *mtime, xattrs: xattrs.clone() }
    }

    /// Whether the tree says this of `inode`.
    pub(super) fn are_of(&self, inode: &Inode) -> bool {
        let Inode { kind, mode, owner, mtime, xattrs, origin: _ } = inode;
        self.mtime == *mtime
            && self.mode == *mode
            && self.owner == *owner
            && self.xattrs == *xattrs
            && self.kind == *kind
    }

    /// Whether a program that found `before` left it as it was, its time aside.
    pub(super) fn are_left_as(&self, before: &Self) -> bool {
        let Self { kind, mode, owner, mtime: _, xattrs } = before;
        self.mode == *mode && self.owner == *owner && self.xattrs == *xattrs && self.kind == *kind
    }

    /// What must be recorded of it.
    pub(super) fn record(&self) -> Record {
        let device = match self.kind {
            InodeKind::CharacterDevice(device) => Some((false, device)),
            InodeKind::BlockDevice(device) => Some((true, device)),
            InodeKind::Directory | InodeKind::File(_) | InodeKind::Symlink(_) | InodeKind::Fifo => None,
        };
        Record {
            uid: self.owner.uid,
            gid: self.owner.gid,
            device: device.map(|(block, Device { major, minor })| RecordedDevice { block, major, minor }),
            xattrs: self.xattrs.iter().map(|(name, value)| (name.clone(), value.to_vec())).collect(),
        }
    }

    /// Whether `record` is what is recorded of it.
    pub(super) fn are_recorded_as(&self, record: Option<&Record>) -> bool {
        record.map_or_else(|| self.record().is_plain(), |record| *record == self.record())
    }
}

/// A moment of the disk's clock: seconds since 1970 and nanoseconds.
pub(super) type Moment = (i64, u32);

/// What the disk says of an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) key: InodeKey,
    pub(super) kind: FileType,
    /// The permission bits.
    pub(super) mode: u32,
    /// How many names it has.
    pub(super) links: u32,
    pub(super) size: u64,
    /// When its content was changed, as far as one believes it.
    pub(super) mtime: Moment,
    /// When anything of it was changed, which nobody can set.
    pub(super) ctime: Moment,
    /// The device that it is.
    pub(super) device: Device,
}

impl Status {
    pub(super) fn of(status: &Statx) -> Self {
        let mode = u32::from(status.stx_mode);
        Self {
            key: InodeKey::of(status),
            kind: FileType::from_raw_mode(mode),
            mode: mode & 0o7777,
            links: status.stx_nlink,
            size: status.stx_size,
            mtime: (status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec),
            ctime: (status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec),
            device: Device { major: status.stx_rdev_major, minor: status.stx_rdev_minor },
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == FileType::Directory
    }
}
