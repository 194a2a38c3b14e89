//! Finding what a program changed: one walk over the workroot.
//!
//! An unchanged entry costs one call, and where times do not show changes ([`Trust`]) the digest of its content. Of the
//! rest everything is read, files to the spool. Modes that keep their owner
//! out are changed for that; those of directories until the walk and what follows it are over.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;

use rustix::fs::FileType;

use super::disk::{Disk, Opened};
use super::memory::{Facts, Known, Memory, Status};
use super::{BACKUPS, MOUNT_POINTS, SCRIPTS, Trust, WorkrootError, WorkrootLimits};
use crate::archive::table::{may_be_attribute, may_be_target};
use crate::content::Content;
use crate::digest::Sha256Hasher;
use crate::path::TreePath;
use crate::root::FileError;
use crate::sandbox::records::{InodeKey, Record, Records};
use crate::sandbox::spool::{Spool, SpoolError};
use crate::tree::{Device, InodeKind, Mode, Owner, Xattrs};

/// The bit of a directory's mode by which what is made in it gets its group.
const SET_GROUP_ID: u32 = 0o2000;
/// What lets the owner read a file.
const OWNER_READS: u32 = 0o400;
/// How much is read at a time.
const BUFFER: usize = 128 * 1024;
/// The attribute that is gone when a file is written to.
const CAPABILITY: &str = "security.capability";

/// A walk over a workroot.
pub(super) struct Walk<'a> {
    pub(super) disk: &'a mut Disk,
    /// What was there before.
    pub(super) memory: &'a Memory,
    pub(super) records: &'a mut Records,
    spool: &'a mut Spool,
    limits: &'a WorkrootLimits,
    /// What is there.
    pub(super) found: Memory,
    /// The inodes that are new or not as they were.
    pub(super) changed: HashSet<InodeKey>,
    /// Inodes that are there but not taken over.
    pub(super) left_alone: HashSet<InodeKey>,
    pub(super) sockets: Vec<TreePath>,
    pub(super) opened: Opened,
    /// How many names were found.
    names: usize,
    /// How many of them are new, and how many were in earlier walks.
    new_names: usize,
    /// What was known before this walk.
    before: Before,
    /// How many bytes went to the spool.
    pub(super) bytes: u64,
}

/// What was known before a walk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// How changes of content are found.
    pub(super) trust: Trust,
    /// How many bytes went to the spool in earlier walks.
    pub(super) bytes: u64,
    /// How many names earlier walks found to be new.
    pub(super) names: usize,
}

/// What is to be done with something that was found.
enum Verdict {
    /// It is taken over, and of a directory what is in it.
    Taken,
    /// It is taken over without what is in it.
    TakenAlone,
    /// It is as it was, whatever is mounted on it.
    Covered,
    /// It stays where it is and is not taken over.
    LeftAlone,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        disk: &'a mut Disk,
        memory: &'a Memory,
        records: &'a mut Records,
        spool: &'a mut Spool,
        limits: &'a WorkrootLimits,
        before: Before,
    ) -> Self {
        Self {
            disk,
            memory,
            records,
            spool,
            limits,
            found: Memory::default(),
            changed: HashSet::new(),
            left_alone: HashSet::new(),
            sockets: Vec::new(),
            opened: Opened::default(),
            // The root's.
            names: 1,
            new_names: before.names,
            before,
            bytes: 0,
        }
    }

    /// How many names were new in this walk and those before.
    pub(super) fn names_made(&self) -> usize {
        self.new_names
    }

    /// Finds everything.
    pub(super) fn run(&mut self) -> Result<(), WorkrootError> {
        let root = TreePath::root();
        let status = self.disk.status(&root)?;
        self.take(&root, status, None)?;
        let mut left = vec![root];
        while let Some(directory) = left.pop() {
            let below = self.list(&directory)?;
            left.extend(below.into_iter().rev());
        }
        Ok(())
    }

    /// Takes over what is in a directory that was taken over, and returns the directories in it to be listed.
    fn list(&mut self, directory: &TreePath) -> Result<Vec<TreePath>, WorkrootError> {
        let group = self.found.get(directory).and_then(given_group);
        let mode = self.found.get(directory).map_or(0, |known| known.status.mode);
        self.opened.open(self.disk, directory, mode)?;
        let room = self.memory.names.len().saturating_add(self.limits.names).saturating_sub(self.names);
        let names = self.disk.writer.names(directory.as_str(), room)?;
        let too_many = || WorkrootError::TooManyNames { path: directory.clone(), limit: self.limits.names };
        let names = names.ok_or_else(too_many)?;
        self.names = self.names.saturating_add(names.len());
        let mut below = Vec::new();
        for name in names {
            let path = child(directory, &name)?;
            self.new_names += usize::from(!self.memory.names.contains_key(&path));
            if self.new_names > self.limits.names {
                return Err(too_many());
            }
            let status = self.disk.status(&path)?;
            match self.verdict(&path, &status) {
                Verdict::LeftAlone => {
                    self.left_alone.insert(status.key);
                }
                Verdict::Covered => {
                    if let Some(known) = self.memory.get(&path) {
                        self.found.insert(path, known.clone());
                    }
                }
                Verdict::Taken if status.is_directory() => {
                    self.check_depth(&path)?;
                    self.take(&path, status, group)?;
                    below.push(path);
                }
                Verdict::Taken | Verdict::TakenAlone => self.take(&path, status, group)?,
            }
        }
        Ok(below)
    }

    fn verdict(&mut self, path: &TreePath, status: &Status) -> Verdict {
        let known = self.memory.get(path);
        if matches!(status.kind, FileType::Socket | FileType::Unknown) {
            self.sockets.push(path.clone());
            return Verdict::LeftAlone;
        }
        if BACKUPS.contains(&path.as_str()) {
            let is_as_it_was = known.is_some_and(|known| known.status == *status);
            return if is_as_it_was { Verdict::Taken } else { Verdict::LeftAlone };
        }
        if known.is_none() && is_where_scripts_lie(path) {
            return Verdict::LeftAlone;
        }
        if MOUNT_POINTS.contains(&path.as_str()) && status.is_directory() {
            let root = self.found.names.get(&TreePath::root());
            return match known {
                None => Verdict::LeftAlone,
                Some(_) if root.is_some_and(|root| root.device != status.key.device) => Verdict::Covered,
                Some(_) => Verdict::TakenAlone,
            };
        }
        Verdict::Taken
    }

    fn check_depth(&self, path: &TreePath) -> Result<(), WorkrootError> {
        let limit = self.limits.depth;
        if path.components().count() > limit && !self.memory.names.contains_key(path) {
            return Err(WorkrootError::TooDeep { path: path.clone(), limit });
        }
        Ok(())
    }

    /// Takes over what stands at `path`, in a directory that gives what is made in it the group `group`.
    fn take(&mut self, path: &TreePath, status: Status, group: Option<u32>) -> Result<(), WorkrootError> {
        // Another name of something that was read under its first.
        if self.found.inodes.contains_key(&status.key) {
            self.found.names.insert(path.clone(), status.key);
            return Ok(());
        }
        let memory = self.memory;
        let known = memory.inodes.get(&status.key);
        let record = self.records.get(status.key);
        let record = record.cloned();
        let as_it_was = match known.filter(|known| known.status == status) {
            Some(known) => self.content_as_it_was(path, known)?,
            None => None,
        };
        let status = as_it_was.clone().unwrap_or(status);
        if let Some(known) = known
            && as_it_was.is_some()
            && known.facts.are_recorded_as(record.as_ref())
        {
            self.found.insert(path.clone(), Known { status, ..known.clone() });
            return Ok(());
        }
        let mut record = record.unwrap_or_else(|| match known {
            None => Record { gid: group.unwrap_or_default(), ..Record::default() },
            Some(_) => Record::default(),
        });
        self.changed.insert(status.key);
        let unchanged = known.filter(|_| as_it_was.is_some());
        let (kind, status) = self.kind(path, status, known, unchanged, &record)?;
        if let Some(known) = known
            && matches!(kind, InodeKind::File(_))
            && known.facts.kind != kind
            && let Some(before) = known.facts.xattrs.get(CAPABILITY)
            && record.xattrs.get(CAPABILITY).is_some_and(|now| **now == **before)
        {
            record.xattrs.remove(CAPABILITY);
        }
        let mode = match (known, status.kind) {
            // The disk may not have been able to say what the tree says.
            (Some(known), _) if known.status.mode == status.mode => known.facts.mode,
            (_, FileType::Symlink) => Mode::SYMLINK,
            _ => Mode::new(status.mode),
        };
        let owner = Owner { uid: record.uid, gid: record.gid };
        let xattrs = xattrs(path, &record)?;
        self.records.set(status.key, record);
        self.found
            .insert(path.clone(), Known { facts: Facts { kind, mode, owner, mtime: None, xattrs }, status });
        Ok(())
    }

    /// What is at `path`, and what the disk says of it after it was read. Of what is `unchanged` nothing is read.
    fn kind(
        &mut self,
        path: &TreePath,
        status: Status,
        known: Option<&Known>,
        unchanged: Option<&Known>,
        record: &Record,
    ) -> Result<(InodeKind, Status), WorkrootError> {
        let kind = match status.kind {
            FileType::Directory => InodeKind::Directory,
            FileType::Symlink => InodeKind::Symlink(self.target(path)?),
            FileType::CharacterDevice => InodeKind::CharacterDevice(status.device),
            FileType::BlockDevice => InodeKind::BlockDevice(status.device),
            FileType::RegularFile => {
                if let Some(device) = record.device {
                    let numbers = Device { major: device.major, minor: device.minor };
                    let kind = if device.block { InodeKind::BlockDevice } else { InodeKind::CharacterDevice };
                    return Ok((kind(numbers), status));
                }
                if let Some(known) = unchanged {
                    return Ok((known.facts.kind.clone(), status));
                }
                return self.content(path, status, known);
            }
            FileType::Fifo | FileType::Socket | FileType::Unknown => InodeKind::Fifo,
        };
        Ok((kind, status))
    }

    fn target(&mut self, path: &TreePath) -> Result<Box<str>, WorkrootError> {
        let target = String::from_utf8(self.disk.writer.read_link(path.as_str())?).ok();
        let target = target.filter(|target| may_be_target(target));
        target.map(String::into_boxed_str).ok_or_else(|| WorkrootError::Target { path: path.clone() })
    }

    /// What is in a file: what was in it, or at its path, if its bytes are those.
    fn content(
        &mut self,
        path: &TreePath,
        status: Status,
        known: Option<&Known>,
    ) -> Result<(InodeKind, Status), WorkrootError> {
        let left = self.limits.bytes.saturating_sub(self.before.bytes).saturating_sub(self.bytes);
        if status.size > left {
            let limit = self.limits.bytes;
            return Err(WorkrootError::TooManyBytes { path: path.clone(), length: status.size, limit });
        }
        let (file, status) = self.open(path, status)?;
        let copied = self.spool.copy(file, status.size).map_err(|error| match error {
            SpoolError::Read(error) => {
                FileError::on("read", &self.disk.writer.path().join(path.as_str()))(error)
            }
            SpoolError::Write(error) => error,
        })?;
        let before = [known, self.memory.get(path)].into_iter().flatten();
        let same = before.filter_map(content_of).find(|content| copied.is(content));
        let content = same.cloned().unwrap_or_else(|| {
            self.bytes = self.bytes.saturating_add(status.size);
            copied.keep()
        });
        Ok((InodeKind::File(content), status))
    }
}

impl Walk<'_> {
    /// Opens a file, which may be closed to its owner; what the disk says of it then.
    fn open(&mut self, path: &TreePath, status: Status) -> Result<(File, Status), FileError> {
        if status.mode & OWNER_READS != 0 {
            return Ok((self.disk.writer.open_file(path.as_str())?, status));
        }
        self.disk.set_mode(path, status.mode | OWNER_READS)?;
        let file = self.disk.writer.open_file(path.as_str())?;
        self.disk.set_mode(path, status.mode)?;
        Ok((file, self.disk.status(path)?))
    }

    /// The status of what has the status of `known`, if it has the same content too; `None` if its content was changed.
    fn content_as_it_was(&mut self, path: &TreePath, known: &Known) -> Result<Option<Status>, FileError> {
        let status = known.status.clone();
        let content = content_of(known).filter(|_| self.before.trust == Trust::Nothing);
        let Some(content) = content else { return Ok(Some(status)) };
        let (mut file, status) = self.open(path, status)?;
        let mut hasher = Sha256Hasher::default();
        let mut buffer = vec![0; BUFFER];
        let place = self.disk.writer.path().join(path.as_str());
        loop {
            match file.read(&mut buffer).map_err(FileError::on("read", &place))? {
                0 => break,
                count => hasher.update(buffer.get(..count).unwrap_or_default()),
            }
        }
        Ok((hasher.finish() == content.digest()).then_some(status))
    }
}

/// The group that a directory gives to what is made in it, if it does.
fn given_group(directory: &Known) -> Option<u32> {
    (directory.status.mode & SET_GROUP_ID != 0).then_some(directory.facts.owner.gid)
}

fn content_of(known: &Known) -> Option<&Content> {
    match &known.facts.kind {
        InodeKind::File(content) => Some(content),
        _ => None,
    }
}

/// The path of what is called `name` in `directory`.
fn child(directory: &TreePath, name: &[u8]) -> Result<TreePath, WorkrootError> {
    let mut path = directory.as_str().as_bytes().to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    Ok(TreePath::relative_bytes(&path)?)
}

/// Whether `path` is the directory of scripts or in it.
fn is_where_scripts_lie(path: &TreePath) -> bool {
    path.as_str().strip_prefix(SCRIPTS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn xattrs(path: &TreePath, record: &Record) -> Result<Xattrs, WorkrootError> {
    let refused = record.xattrs.keys().find(|name| !may_be_attribute(name));
    if let Some(name) = refused {
        let name = name.escape_debug().to_string();
        return Err(WorkrootError::Attribute { path: path.clone(), name });
    }
    Ok(record.xattrs.iter().map(|(name, value)| (name.clone(), value.as_slice().into())).collect())
}
