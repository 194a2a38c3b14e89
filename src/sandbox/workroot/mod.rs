//! A directory that is kept equal to a tree while programs change it.
//!
//! [`Workroot::push`] writes what is newer in the tree than on the disk; [`Workroot::pull`] reads back what a program
//! changed. In between both are the same: every name of the one is a name of the other, with the same content, mode,
//! time and hard links. Owners, devices and extended attributes are not on the disk but in [`Records`], so nothing
//! here needs a privilege.
//!
//! What differs on purpose: nothing is in `dev`, `proc` and `tmp` but what whoever runs programs puts there; the
//! same holds of `lib/apk/exec`, where scripts lie; the account tools' backups are never taken over, nor are sockets.
//!
//! While `push` and `pull` run nothing else changes the directory. What programs left there is not trusted: every
//! count is bounded, no link is followed, nothing is opened that has an effect when opened. After an error the
//! workroot is good for [`Workroot::clear`] only.
//!
//! Source: design, "Staging", "Sandbox"; statx(2), inode(7).

mod adopt;
mod disk;
mod error;
mod memory;
mod pull;
mod push;
#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;

use super::Counters;
use super::records::Records;
use super::spool::Spool;
use crate::path::TreePath;
use crate::tree::Tree;

use disk::Disk;
use memory::Memory;

pub use error::WorkrootError;

/// Directories in which other file systems are while a program runs.
const MOUNT_POINTS: [&str; 3] = ["dev", "proc", "tmp"];
/// Where scripts lie while they run.
const SCRIPTS: &str = "lib/apk/exec";
/// What the tools that change accounts leave behind.
const BACKUPS: [&str; 3] = ["etc/group-", "etc/passwd-", "etc/shadow-"];

/// A directory that is kept equal to a tree.
#[derive(Debug)]
pub struct Workroot {
    disk: Disk,
    memory: Memory,
    spool: Spool,
    limits: WorkrootLimits,
    counters: Counters,
    /// How many names programs made.
    made: usize,
}

/// What programs may leave in a workroot.
#[derive(Debug, Clone)]
pub struct WorkrootLimits {
    /// How deep the directories that they make may be in one another.
    pub depth: usize,
    /// How many names all of them together may make.
    pub names: usize,
    /// How many bytes the files that they make or change may have together, each time that they do.
    pub bytes: u64,
    /// The time, in seconds since 1970, of what has none in the tree.
    pub epoch: i64,
}

/// How a pull finds out whether the content of a file was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// By its status: no file was mapped as shared memory, so every write changes its time of change.
    Times,
    /// By its bytes: on a file system in memory, what is written through shared memory changes no time.
    Nothing,
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pulled {
    /// The names it made, each directory before what it contains.
    pub made: Vec<TreePath>,
    /// The names that have another kind, content, mode, owner or other attributes, or are links of something else.
    pub changed: Vec<TreePath>,
    /// The names it took away.
    pub removed: Vec<TreePath>,
    /// The sockets it made, which are not taken over.
    pub sockets: Vec<TreePath>,
}

impl Workroot {
    /// A workroot in `directory`, which is empty, on one file system, and its owner the one who calls.
    pub fn new(directory: OwnedFd, spool: Spool, limits: WorkrootLimits) -> Self {
        let disk = Disk::new(directory, limits.epoch);
        Self { disk, memory: Memory::default(), spool, limits, counters: Counters::default(), made: 0 }
    }

    /// Writes what is newer in `tree` than on the disk, in the order of paths, and records what the disk cannot say.
    /// Afterwards whatever changes has a later time of change than anything written here.
    pub fn push(&mut self, tree: &Tree, records: &mut Records) -> Result<(), WorkrootError> {
        self.disk.writer.look_anew();
        let Self { disk, memory, counters, .. } = self;
        push::push(tree, disk, memory, records, counters)?;
        self.disk.wait_for_the_clock();
        Ok(())
    }

    /// Takes over into `tree`, which is as it was last pushed, what a program changed on the disk.
    pub fn pull(
        &mut self,
        tree: &mut Tree,
        records: &mut Records,
        trust: Trust,
    ) -> Result<Pulled, WorkrootError> {
        self.disk.writer.look_anew();
        // Where times have whole seconds, a change within the second of the push has no later time.
        let trust = if self.disk.tells_times_apart() { trust } else { Trust::Nothing };
        let Self { disk, memory, spool, limits, counters, made, .. } = self;
        let before = pull::Before { trust, bytes: counters.pulled_bytes, names: *made };
        let mut walk = pull::Walk::new(disk, memory, records, spool, limits, before);
        walk.run()?;
        *made = walk.names_made();
        let (pulled, bytes, found) = walk.adopt(tree)?;
        self.memory = found;
        let entries = [&pulled.made, &pulled.changed, &pulled.removed].map(|paths| paths.len() as u64);
        self.counters.pulled_entries += entries.iter().sum::<u64>();
        self.counters.pulled_bytes += bytes;
        Ok(pulled)
    }

    /// Removes all that is in the directory, whatever programs left there.
    pub fn clear(&mut self) -> Result<(), WorkrootError> {
        self.memory = Memory::default();
        Ok(self.disk.clear()?)
    }

    /// What was written and read back until now; how many programs ran is not known here.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

/// Whether `path` is in a directory in which another file system is while a program runs.
fn is_in_mount_point(path: &TreePath) -> bool {
    let mut names = path.components();
    names.next().is_some_and(|first| MOUNT_POINTS.contains(&first)) && names.next().is_some()
}
