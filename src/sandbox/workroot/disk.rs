//! The directory of a workroot on the disk: what [`DirectoryWriter`] can do, for directories that may be closed to
//! their owner and times that must be told apart.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::memory::{Memory, Moment, Status};
use crate::path::TreePath;
use crate::root::{DirectoryWriter, FileError};

/// What the owner needs to list a directory and change what is in it.
pub(super) const OWNERS: u32 = 0o700;
/// What the workroot is called in messages.
const NAME: &str = "workroot";
/// How long the clock is waited for at most: should it be set back, nobody waits until it is there again.
const PATIENCE: Duration = Duration::from_millis(100);

/// The directory of a workroot.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) writer: DirectoryWriter,
    epoch: i64,
    /// The newest time of change that was seen.
    newest: Moment,
}

impl Disk {
    pub(super) fn new(directory: OwnedFd, epoch: i64) -> Self {
        Self { writer: DirectoryWriter::of(directory, Path::new(NAME)), epoch, newest: (0, 0) }
    }

    /// What the disk says of what stands at `path`.
    pub(super) fn status(&mut self, path: &TreePath) -> Result<Status, FileError> {
        let status = Status::of(&self.writer.status(path.as_str())?);
        self.newest = self.newest.max(status.ctime);
        Ok(status)
    }

    /// The time that something has on the disk whose time in the tree is `mtime`.
    pub(super) fn time(&self, mtime: Option<i64>) -> i64 {
        mtime.unwrap_or(self.epoch)
    }

    /// Sets the time of what stands at `path` to what it is in the tree.
    pub(super) fn set_time(&mut self, path: &TreePath, mtime: Option<i64>) -> Result<(), FileError> {
        let time = self.time(mtime);
        self.writer.set_time(path.as_str(), time)
    }

    pub(super) fn set_mode(&mut self, path: &TreePath, mode: u32) -> Result<(), FileError> {
        self.writer.set_mode(path.as_str(), mode)
    }

    /// Whether the file system's times of change are finer than seconds, as far as those that were seen show.
    pub(super) fn tells_times_apart(&self) -> bool {
        self.newest.1 != 0
    }

    pub(super) fn clear(&mut self) -> Result<(), FileError> {
        self.writer.clear()
    }

    /// Waits until the clock that times of change are taken from has passed the newest of them, so that whatever
    /// changes now gets a later one: it goes in steps of some milliseconds.
    pub(super) fn wait_for_the_clock(&self) {
        let began = Instant::now();
        while coarse_now() <= self.newest && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn coarse_now() -> Moment {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    (now.tv_sec, u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Directories that are open to their owner while something is done in them, whatever their modes.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// The directories known to be open.
    open: HashSet<TreePath>,
    /// Those that were not, and their modes before.
    pub(super) closed_before: BTreeMap<TreePath, u32>,
}

impl Opened {
    /// Opens `directory`, whose mode on the disk is `mode`, to its owner. Those above it are open.
    pub(super) fn open(&mut self, disk: &mut Disk, directory: &TreePath, mode: u32) -> Result<(), FileError> {
        if self.open.insert(directory.clone()) && mode & OWNERS != OWNERS {
            disk.set_mode(directory, mode | OWNERS)?;
            self.closed_before.insert(directory.clone(), mode);
        }
        Ok(())
    }

    /// Opens `directory` and those above it as far as they are remembered; others were made open.
    pub(super) fn open_remembered(
        &mut self,
        disk: &mut Disk,
        memory: &Memory,
        directory: &TreePath,
    ) -> Result<(), FileError> {
        if self.open.contains(directory) {
            return Ok(());
        }
        for place in directory.ancestors().chain([directory.clone()]) {
            let mode = memory.get(&place).map_or(OWNERS, |known| known.status.mode);
            self.open(disk, &place, mode)?;
        }
        Ok(())
    }
}
