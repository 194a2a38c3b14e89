//! What is true of a file of the workroot though the disk cannot say it: whose it is, that it is a device, its
//! extended attributes.
//!
//! Whoever composes has one user number on the disk, so the owners that a package or a script gives are kept here, by
//! inode. What has no record belongs to root, is what it is on the disk, and has no attributes. Composer and helper
//! keep a copy each and tell one another what changed.
//!
//! Source: design, "Sandbox"; statx(2).

use std::collections::{BTreeMap, BTreeSet};

use rustix::fs::{Statx, StatxFlags};
use serde::{Deserialize, Serialize};

/// An inode, told apart from one that gets its number later by the time of its birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InodeKey {
    /// The number of the file system's device.
    pub device: u64,
    /// The inode's number on it.
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970; 0 where the file system does not say.
    pub born: i64,
}

impl InodeKey {
    /// The inode whose status, asked for with its basic fields and the time of its birth, is `status`.
    pub fn of(status: &Statx) -> Self {
        let born = if status.stx_mask & StatxFlags::BTIME.bits() == 0 {
            0
        } else {
            let seconds = status.stx_btime.tv_sec.saturating_mul(1_000_000_000);
            seconds.saturating_add(status.stx_btime.tv_nsec.into())
        };
        let device = rustix::fs::makedev(status.stx_dev_major, status.stx_dev_minor);
        Self { device, inode: status.stx_ino, born }
    }
}

/// What is recorded of an inode.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// The user it belongs to.
    pub uid: u32,
    /// The group it belongs to.
    pub gid: u32,
    /// The device it is; on the disk it is an empty file.
    pub device: Option<RecordedDevice>,
    /// Its extended attributes.
    pub xattrs: BTreeMap<Box<str>, Vec<u8>>,
}

/// A device that exists only as a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedDevice {
    /// Whether it is a block device and not a character device.
    pub block: bool,
    /// The driver.
    pub major: u32,
    /// The device among the driver's.
    pub minor: u32,
}

impl Record {
    /// Whether it says no more than no record would.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// How many bytes its attributes have, with their names.
    fn attribute_bytes(&self) -> u64 {
        self.xattrs.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum()
    }
}

/// How many inodes something may be recorded of, and how many bytes all their attributes may have: it is kept in memory,
/// and told from one copy to the other.
const MAX_RECORDS: usize = 1_000_000;
const MAX_ATTRIBUTE_BYTES: u64 = 16 << 20;

/// What is recorded of each inode.
#[derive(Debug, Clone, Default)]
pub struct Records {
    known: BTreeMap<InodeKey, Record>,
    changed: BTreeSet<InodeKey>,
    /// How many bytes the attributes of all have.
    attribute_bytes: u64,
}

impl Records {
    /// What is recorded of an inode; nothing if it is plain.
    pub fn get(&self, key: InodeKey) -> Option<&Record> {
        self.known.get(&key)
    }

    /// Records something; a plain record takes what was recorded away.
    pub fn set(&mut self, key: InodeKey, record: Record) {
        if self.put(key, record) {
            self.changed.insert(key);
        }
    }

    /// Whether one more thing can be recorded of an inode, an attribute of so many bytes for instance.
    pub fn have_room(&self, key: InodeKey, bytes: u64) -> bool {
        let is_known = self.known.contains_key(&key);
        (is_known || self.known.len() < MAX_RECORDS)
            && self.attribute_bytes.saturating_add(bytes) <= MAX_ATTRIBUTE_BYTES
    }

    /// Keeps a record; whether it is another one than there was.
    fn put(&mut self, key: InodeKey, record: Record) -> bool {
        let before = self.known.remove(&key).unwrap_or_default();
        let is_other = before != record;
        let others = self.attribute_bytes.saturating_sub(before.attribute_bytes());
        self.attribute_bytes = others.saturating_add(record.attribute_bytes());
        if !record.is_plain() {
            self.known.insert(key, record);
        }
        is_other
    }

    /// Changes what is recorded of an inode.
    pub fn change(&mut self, key: InodeKey, change: impl FnOnce(&mut Record)) {
        let mut record = self.get(key).cloned().unwrap_or_default();
        change(&mut record);
        self.set(key, record);
    }

    /// What changed since this was asked last, for the other copy.
    pub fn take_changes(&mut self) -> Vec<(InodeKey, Record)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (key, self.get(key).cloned().unwrap_or_default())).collect()
    }

    /// Takes over what changed in the other copy.
    pub fn apply(&mut self, changes: Vec<(InodeKey, Record)>) {
        for (key, record) in changes {
            self.put(key, record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: InodeKey = InodeKey { device: 1, inode: 2, born: 3 };

    #[test]
    fn the_other_copy_learns_what_changed_once() {
        let (mut one, mut other) = (Records::default(), Records::default());
        one.change(KEY, |record| record.uid = 82);
        one.change(KEY, |record| record.gid = 83);
        other.apply(one.take_changes());
        assert_eq!(other.get(KEY), Some(&Record { uid: 82, gid: 83, ..Record::default() }));
        assert!(one.take_changes().is_empty());
        assert!(other.take_changes().is_empty());
    }

    #[test]
    fn there_is_room_for_as_much_as_was_taken_away() {
        let mut records = Records::default();
        let large = vec![0; 10 << 20];
        records.change(KEY, |record| drop(record.xattrs.insert("user.x".into(), large)));
        assert!(records.have_room(KEY, 5 << 20) && !records.have_room(KEY, 7 << 20));
        records.apply(vec![(KEY, Record::default())]);
        assert!(records.have_room(KEY, 16 << 20));
    }

    #[test]
    fn what_is_plain_again_has_no_record_in_either() {
        let (mut one, mut other) = (Records::default(), Records::default());
        one.change(KEY, |record| record.uid = 82);
        other.apply(one.take_changes());
        one.set(KEY, Record::default());
        other.apply(one.take_changes());
        assert_eq!((one.get(KEY), other.get(KEY)), (None, None));
    }
}
