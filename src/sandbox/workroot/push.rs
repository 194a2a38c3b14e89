//! Writing to a workroot what is newer in the tree.
//!
//! First what is to be done is found by comparing the tree with what is remembered of the disk; then names that are
//! gone or stand for something else are removed, the deepest first; then the others are made or changed in the order
//! of paths; and last each directory that something was done in gets its mode and time, the deepest first again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

use super::disk::{Disk, OWNERS, Opened};
use super::memory::{Facts, Known, Memory};
use super::{WorkrootError, is_in_mount_point};
use crate::content::Content;
use crate::path::TreePath;
use crate::root::{FileError, Node};
use crate::sandbox::Counters;
use crate::sandbox::records::{InodeKey, Record, Records};
use crate::tree::{Inode, InodeKind, InodeNumber, Tree};

/// Writes what is newer in `tree` than `memory` says the disk is.
pub(super) fn push(
    tree: &Tree,
    disk: &mut Disk,
    memory: &mut Memory,
    records: &mut Records,
    counters: &mut Counters,
) -> Result<(), WorkrootError> {
    let plan = Plan::of(tree, memory);
    let mut push = Push {
        disk,
        memory,
        records,
        counters,
        opened: Opened::default(),
        touched: BTreeSet::new(),
        written: plan.kept,
    };
    for path in plan.removed.iter().rev() {
        push.remove(path)?;
    }
    push.forget_the_dead(&plan.removed);
    for (path, number, inode) in plan.newer {
        push.write(path, number, inode)?;
    }
    push.close(tree)
}

/// What is to be done.
struct Plan<'a> {
    /// Names on the disk that are to go, some to be made again.
    removed: Vec<TreePath>,
    /// Names of the tree that are to be made, or whose inodes are to be changed.
    newer: Vec<(&'a TreePath, InodeNumber, &'a Inode)>,
    /// Inodes of the tree that are on the disk, and a name that they keep.
    kept: HashMap<InodeNumber, TreePath>,
}

impl<'a> Plan<'a> {
    fn of(tree: &'a Tree, memory: &Memory) -> Self {
        let mut plan = Self { removed: Vec::new(), newer: Vec::new(), kept: HashMap::new() };
        let mut pairs = Pairs::default();
        let mut remembered = memory.names.iter().peekable();
        for (path, number, inode) in tree.entries().filter(|(path, ..)| !is_in_mount_point(path)) {
            while let Some((gone, _)) = remembered.next_if(|(name, _)| *name < path) {
                plan.removed.push(gone.clone());
            }
            let known = remembered
                .next_if(|(name, _)| *name == path)
                .and_then(|(_, key)| Some((*key, memory.inodes.get(key)?)));
            let Some((key, known)) = known else {
                plan.newer.push((path, number, inode));
                continue;
            };
            if known.facts.kind != inode.kind || !pairs.fit(number, key) {
                plan.removed.push(path.clone());
                plan.newer.push((path, number, inode));
                continue;
            }
            plan.kept.entry(number).or_insert_with(|| path.clone());
            if !known.facts.are_of(inode) {
                plan.newer.push((path, number, inode));
            }
        }
        plan.removed.extend(remembered.map(|(gone, _)| gone.clone()));
        plan
    }
}

/// Which inode of the tree is which on the disk: one is one.
#[derive(Default)]
struct Pairs {
    keys: HashMap<InodeNumber, InodeKey>,
    numbers: HashMap<InodeKey, InodeNumber>,
}

impl Pairs {
    /// Whether the two are the same inode; they are if neither is the same as another.
    fn fit(&mut self, number: InodeNumber, key: InodeKey) -> bool {
        match (self.keys.get(&number), self.numbers.get(&key)) {
            (None, None) => {
                self.keys.insert(number, key);
                self.numbers.insert(key, number);
                true
            }
            (Some(paired), _) => *paired == key,
            (None, Some(_)) => false,
        }
    }
}

struct Push<'a> {
    disk: &'a mut Disk,
    memory: &'a mut Memory,
    records: &'a mut Records,
    counters: &'a mut Counters,
    opened: Opened,
    /// Directories that are not what they should be until they are closed.
    touched: BTreeSet<TreePath>,
    /// Inodes of the tree that are on the disk, and a name of theirs.
    written: HashMap<InodeNumber, TreePath>,
}

impl Push<'_> {
    fn remove(&mut self, path: &TreePath) -> Result<(), WorkrootError> {
        self.enter_parent(path)?;
        self.disk.writer.remove(path.as_str())?;
        self.memory.names.remove(path);
        Ok(())
    }

    /// Forgets inodes that have no name any more, and what was recorded of them.
    fn forget_the_dead(&mut self, removed: &[TreePath]) {
        if removed.is_empty() {
            return;
        }
        let alive: HashSet<InodeKey> = self.memory.names.values().copied().collect();
        let records = &mut *self.records;
        self.memory.inodes.retain(|key, _| {
            let is_alive = alive.contains(key);
            if !is_alive {
                records.set(*key, Record::default());
            }
            is_alive
        });
    }

    /// Makes the name, or amends its inode.
    fn write(&mut self, path: &TreePath, number: InodeNumber, inode: &Inode) -> Result<(), WorkrootError> {
        let is_there = self.memory.names.contains_key(path);
        if inode.is_directory() {
            self.counters.pushed_entries += 1;
            if is_there {
                self.open_parent(path)?;
            } else {
                self.make_directory(path)?;
            }
            self.touched.insert(path.clone());
            return Ok(());
        }
        if is_there {
            // Under another of its names it may have been changed.
            if self.memory.get(path).is_some_and(|known| known.facts.are_of(inode)) {
                return Ok(());
            }
            return self.describe(path, inode);
        }
        self.enter_parent(path)?;
        if let Some(first) = self.written.get(&number).cloned() {
            self.enter_parent(&first)?;
            self.make(path, |disk| disk.writer.hard_link(path.as_str(), first.as_str()))?;
        } else {
            self.make_inode(path, inode)?;
            self.written.insert(number, path.clone());
        }
        self.describe(path, inode)
    }

    fn make_inode(&mut self, path: &TreePath, inode: &Inode) -> Result<(), WorkrootError> {
        let name = path.as_str();
        match &inode.kind {
            InodeKind::File(content) => self.make_file(path, Some(content)),
            InodeKind::CharacterDevice(_) | InodeKind::BlockDevice(_) => self.make_file(path, None),
            InodeKind::Symlink(target) => self.make(path, |disk| disk.writer.symlink(name, target)),
            InodeKind::Fifo => self.make(path, |disk| disk.writer.node(name, Node::Fifo)),
            InodeKind::Directory => self.make_directory(path),
        }
    }

    fn make_file(&mut self, path: &TreePath, content: Option<&Content>) -> Result<(), WorkrootError> {
        let mut file = self.make(path, |disk| disk.writer.file(path.as_str()))?;
        if let Some(content) = content {
            content
                .copy_to(&mut file)
                .map_err(|error| WorkrootError::Content { path: path.clone(), error })?;
            self.counters.pushed_bytes += content.length();
        }
        Ok(())
    }

    /// Makes a directory that its owner can do everything in, or takes one that is there though nobody remembers it:
    /// where other file systems are, or scripts.
    fn make_directory(&mut self, path: &TreePath) -> Result<(), WorkrootError> {
        if !path.is_root() {
            self.enter_parent(path)?;
            self.make(path, |disk| match disk.writer.directory(path.as_str()) {
                Err(error) if exists(&error) && disk.status(path)?.is_directory() => Ok(()),
                made => made,
            })?;
        }
        Ok(self.disk.set_mode(path, OWNERS)?)
    }

    /// Makes something by `make`; what nobody remembers and is in its way goes.
    fn make<T>(
        &mut self,
        path: &TreePath,
        make: impl Fn(&mut Disk) -> Result<T, FileError>,
    ) -> Result<T, WorkrootError> {
        match make(self.disk) {
            Err(error) if exists(&error) => {
                self.disk.writer.remove(path.as_str())?;
                Ok(make(self.disk)?)
            }
            other => Ok(other?),
        }
    }

    /// Gives what stands at `path`, which is no directory, what is said of `inode`.
    fn describe(&mut self, path: &TreePath, inode: &Inode) -> Result<(), WorkrootError> {
        self.counters.pushed_entries += 1;
        self.open_parent(path)?;
        if !matches!(inode.kind, InodeKind::Symlink(_)) {
            self.disk.set_mode(path, inode.mode.bits())?;
        }
        self.disk.set_time(path, inode.mtime)?;
        self.remember(path, inode)
    }

    fn remember(&mut self, path: &TreePath, inode: &Inode) -> Result<(), WorkrootError> {
        let status = self.disk.status(path)?;
        let facts = Facts::of(inode);
        self.records.set(status.key, facts.record());
        self.memory.insert(path.clone(), Known { facts, status });
        Ok(())
    }

    /// Sees to it that something can be made or removed in the directory of `path`, which changes it.
    fn enter_parent(&mut self, path: &TreePath) -> Result<(), WorkrootError> {
        self.open_parent(path)?;
        self.touched.extend(path.parent());
        Ok(())
    }

    /// Sees to it that what stands at `path` can be reached.
    fn open_parent(&mut self, path: &TreePath) -> Result<(), WorkrootError> {
        let Some(parent) = path.parent() else { return Ok(()) };
        Ok(self.opened.open_remembered(self.disk, self.memory, &parent)?)
    }

    /// Gives the directories that something was done in what is said of them.
    fn close(mut self, tree: &Tree) -> Result<(), WorkrootError> {
        self.touched.extend(self.opened.closed_before.keys().cloned());
        for path in std::mem::take(&mut self.touched).iter().rev() {
            let Some(inode) = tree.get(path).filter(|inode| inode.is_directory()) else { continue };
            self.disk.set_time(path, inode.mtime)?;
            self.disk.set_mode(path, inode.mode.bits())?;
            self.remember(path, inode)?;
        }
        Ok(())
    }
}

fn exists(error: &FileError) -> bool {
    error.error.kind() == io::ErrorKind::AlreadyExists
}
