//! The entries of a table as bytes, one behind the other: in memory as in a file, a fraction of what they are as values.
//!
//! Numbers are in groups of seven bits, the lowest first (LEB128); texts and bytes come behind their length. Reading
//! such bytes never fails but with nothing, whatever they are.

use std::collections::BTreeMap;

use super::{Place, TableEntry, TableKind, Whiteout};
use crate::digest::{Sha1, Sha256};
use crate::path::TreePath;

/// Entries as bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    count: usize,
}

impl Packed {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How many bytes they take.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries in `bytes`, if they are some.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Option<Self> {
        let mut reader = Reader { rest: &bytes };
        let mut count = 0;
        while !reader.rest.is_empty() {
            reader.entry()?;
            count += 1;
        }
        Some(Self { bytes, count })
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = TableEntry> + use<'_> {
        let mut reader = Reader { rest: &self.bytes };
        std::iter::from_fn(move || reader.entry())
    }

    pub(super) fn push(&mut self, entry: &TableEntry) {
        let out = &mut self.bytes;
        let kind = match &entry.kind {
            TableKind::Directory => 0,
            TableKind::File(_) => 1,
            TableKind::HardLink(_) => 2,
            TableKind::Symlink(_) => 3,
            TableKind::CharacterDevice(..) => 4,
            TableKind::BlockDevice(..) => 5,
            TableKind::Fifo => 6,
        };
        out.push(kind);
        put(out, entry.path.as_str().as_bytes());
        for number in [entry.mode, entry.uid, entry.gid] {
            put_number(out, number.into());
        }
        put(out, entry.user.as_bytes());
        put(out, entry.group.as_bytes());
        out.extend_from_slice(&entry.mtime.to_le_bytes());
        put_number(out, entry.xattrs.len() as u64);
        for (name, value) in &entry.xattrs {
            put(out, name.as_bytes());
            put(out, value);
        }
        match &entry.kind {
            TableKind::Directory | TableKind::Fifo => {}
            TableKind::File(place) => {
                put_number(out, place.offset);
                put_number(out, place.length);
                out.extend_from_slice(place.sha256.as_bytes());
                out.extend_from_slice(place.sha1.as_bytes());
            }
            TableKind::HardLink(target) => put(out, target.as_str().as_bytes()),
            TableKind::Symlink(target) => put(out, target.as_bytes()),
            TableKind::CharacterDevice(major, minor) | TableKind::BlockDevice(major, minor) => {
                put_number(out, (*major).into());
                put_number(out, (*minor).into());
            }
        }
        self.count += 1;
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

/// Whiteouts as bytes.
pub(super) fn pack_whiteouts(whiteouts: &[Whiteout]) -> Vec<u8> {
    let mut out = Vec::new();
    for whiteout in whiteouts {
        let (kind, path) = match whiteout {
            Whiteout::Path(path) => (0, path),
            Whiteout::Contents(path) => (1, path),
        };
        out.push(kind);
        put(&mut out, path.as_str().as_bytes());
    }
    out
}

/// The whiteouts in `bytes`, if they are some.
pub(super) fn unpack_whiteouts(bytes: &[u8]) -> Option<Vec<Whiteout>> {
    let mut reader = Reader { rest: bytes };
    let mut whiteouts = Vec::new();
    while !reader.rest.is_empty() {
        whiteouts.push(match reader.byte()? {
            0 => Whiteout::Path(reader.path()?),
            1 => Whiteout::Contents(reader.path()?),
            _ => return None,
        });
    }
    Some(whiteouts)
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what was packed.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for group in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(7 * group)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn small_number(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?.try_into().ok()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn path(&mut self) -> Option<TreePath> {
        TreePath::relative(self.text()?).ok()
    }

    fn entry(&mut self) -> Option<TableEntry> {
        let kind = self.byte()?;
        let path = self.path()?;
        let (mode, uid, gid) = (self.small_number()?, self.small_number()?, self.small_number()?);
        let (user, group) = (self.text()?.into(), self.text()?.into());
        let mtime = i64::from_le_bytes(self.take(8)?.try_into().ok()?);
        let mut xattrs = BTreeMap::new();
        for _ in 0..self.number()? {
            xattrs.insert(self.text()?.into(), self.bytes()?.into());
        }
        let kind = match kind {
            0 => TableKind::Directory,
            1 => TableKind::File(Place {
                offset: self.number()?,
                length: self.number()?,
                sha256: Sha256::from_bytes(self.take(32)?.try_into().ok()?),
                sha1: Sha1::from_bytes(self.take(20)?.try_into().ok()?),
            }),
            2 => TableKind::HardLink(self.path()?),
            3 => TableKind::Symlink(self.text()?.into()),
            4 => TableKind::CharacterDevice(self.small_number()?, self.small_number()?),
            5 => TableKind::BlockDevice(self.small_number()?, self.small_number()?),
            6 => TableKind::Fifo,
            _ => return None,
        };
        Some(TableEntry { path, kind, mode, uid, gid, user, group, mtime, xattrs })
    }
}
