//! Taking over into the tree what a walk found, and making the disk say what the tree says then.
//!
//! What was is told by names: a file that was written anew, in place or under another name that it then took, is the
//! old one if its bytes are. A name that was not there before is new, whatever has it now.

use std::collections::HashMap;

use super::memory::{Facts, Known, Memory};
use super::pull::Walk;
use super::{BACKUPS, Pulled, WorkrootError};
use crate::path::TreePath;
use crate::root::FileError;
use crate::sandbox::records::{InodeKey, Record};
use crate::tree::{Inode, InodeNumber, Origin, Tree};

impl Walk<'_> {
    /// Takes over what was found. Returns what was done, how many bytes were read, and what is there.
    pub(super) fn adopt(mut self, tree: &mut Tree) -> Result<(Pulled, u64, Memory), WorkrootError> {
        let mut pulled = Pulled { sockets: std::mem::take(&mut self.sockets), ..Pulled::default() };
        pulled.removed = self.take_away(tree);
        self.put(tree, &mut pulled)?;
        self.settle(tree)?;
        for key in self.memory.inodes.keys() {
            if !self.found.inodes.contains_key(key) && !self.left_alone.contains(key) {
                self.records.set(*key, Record::default());
            }
        }
        Ok((pulled, self.bytes, self.found))
    }

    /// Takes the names away that are gone, or stand for directories where they did not or the reverse. Returns
    /// those that are gone.
    fn take_away(&self, tree: &mut Tree) -> Vec<TreePath> {
        let mut gone = Vec::new();
        for path in self.memory.names.keys().rev() {
            match self.found.get(path) {
                Some(known) if known.status.is_directory() != tree.is_directory(path) => {
                    tree.remove_all(path);
                }
                Some(_) => {}
                None if self.is_kept(path) => {}
                None => {
                    tree.remove_all(path);
                    gone.push(path.clone());
                }
            }
        }
        gone.reverse();
        gone
    }

    /// Whether the tree keeps the name though it is gone from the disk, or something else.
    fn is_kept(&self, path: &TreePath) -> bool {
        let parent = path.parent().and_then(|parent| self.found.get(&parent));
        BACKUPS.contains(&path.as_str()) && parent.is_some_and(|parent| parent.status.is_directory())
    }

    /// Puts into the tree what is new or changed.
    fn put(&self, tree: &mut Tree, pulled: &mut Pulled) -> Result<(), WorkrootError> {
        let mut numbers = self.numbers(tree);
        let models = self.models(tree, &numbers);
        for (path, key) in &self.found.names {
            let before = self.memory.names.get(path);
            let is_same = before == Some(key);
            if is_same && !self.changed.contains(key) {
                continue;
            }
            let Some(known) = self.found.inodes.get(key) else { continue };
            let there = tree.get(path);
            let was = self.memory.get(path);
            let differs = was.is_none_or(|was| !known.facts.are_left_as(&was.facts));
            let is_linked = !is_same && !known.status.is_directory() && self.was_or_is_linked(path, known);
            if before.is_none() {
                pulled.made.push(path.clone());
            } else if differs || is_linked {
                pulled.changed.push(path.clone());
            }
            if known.status.is_directory() {
                let inode = revised(there, &known.facts);
                tree.insert(path.clone(), inode)?;
            } else if let Some(number) = numbers.get(key) {
                if tree.number(path) != Some(*number) {
                    tree.link(path.clone(), *number)?;
                }
                if let Some(there) = tree.get_mut(path) {
                    *there = revised(Some(there), &known.facts);
                }
            } else {
                let inode = revised(models.get(key), &known.facts);
                numbers.insert(*key, tree.insert(path.clone(), inode)?);
            }
        }
        Ok(())
    }

    /// The inodes of the tree that still have one of their names on the disk.
    fn numbers(&self, tree: &Tree) -> HashMap<InodeKey, InodeNumber> {
        let mut numbers = HashMap::new();
        for (path, key) in &self.found.names {
            if self.memory.names.get(path) == Some(key)
                && let Some(number) = tree.number(path)
            {
                numbers.entry(*key).or_insert(number);
            }
        }
        numbers
    }

    /// For inodes that have none: what the tree had under the first of their names where it had the same.
    fn models(&self, tree: &Tree, numbers: &HashMap<InodeKey, InodeNumber>) -> HashMap<InodeKey, Inode> {
        let mut models = HashMap::new();
        for (path, key) in &self.found.names {
            if numbers.contains_key(key) || models.contains_key(key) {
                continue;
            }
            let Some(known) = self.found.inodes.get(key) else { continue };
            if let Some(there) = tree.get(path).filter(|there| there.kind == known.facts.kind) {
                models.insert(*key, there.clone());
            }
        }
        models
    }

    /// Whether what had the name has others, or what has it now.
    fn was_or_is_linked(&self, path: &TreePath, known: &Known) -> bool {
        known.status.links > 1 || self.memory.get(path).is_some_and(|known| known.status.links > 1)
    }

    /// Gives what changed the times that it has in the tree, closes the directories that were opened, and remembers
    /// how that left them. The deepest first: nothing is closed while something is done in it.
    fn settle(&mut self, tree: &Tree) -> Result<(), FileError> {
        for (path, key) in self.found.names.iter().rev() {
            let (Some(known), Some(inode)) = (self.found.inodes.get_mut(key), tree.get(path)) else {
                continue;
            };
            let closed = self.opened.closed_before.get(path);
            let is_changed = self.changed.contains(key) || known.facts.mtime != inode.mtime;
            if !is_changed && closed.is_none() {
                continue;
            }
            known.facts = Facts::of(inode);
            let has_time = known.status.mtime == (self.disk.time(inode.mtime), 0);
            if is_changed && !has_time {
                self.disk.set_time(path, inode.mtime)?;
            }
            if let Some(mode) = closed {
                self.disk.set_mode(path, *mode)?;
            }
            if closed.is_some() || !has_time {
                known.status = self.disk.status(path)?;
            }
        }
        Ok(())
    }
}

/// What `before` is when a program made it what `facts` say. What it wrote is its own and has no time; what it only
/// gave another mode or owner is what it was.
fn revised(before: Option<&Inode>, facts: &Facts) -> Inode {
    let Facts { kind, mode, owner, mtime: _, xattrs } = facts.clone();
    let before = before.filter(|before| before.kind == kind);
    let (mtime, origin) =
        before.map_or((None, Origin::Generated), |before| (before.mtime, before.origin.clone()));
    Inode { kind, mode, owner, mtime, xattrs, origin }
}
