//! The mounts below the root directory: only of what is on them may a program change mode and times.
//!
//! A program can open more than that: targets of links in `/proc` (the file it is executed from, a namespace), pipes, and
//! inodes that the kernel shares between all processes of the system (`eventfd`, `epoll`). Root owns some of them, so
//! the kernel lets a script change them when root composes.
//!
//! Source: statx(2), `STATX_MNT_ID`; `anon_inode_getfd` of Linux before 6.15, nsfs.

use std::collections::BTreeSet;

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags};
use rustix::io::Errno;

/// The mount points of what may be changed. `/proc` and the devices are mounts of their own, and are left out.
const MOUNTED: [&str; 3] = ["/", "/dev", "/tmp"];

/// Mounts, and the devices of their file systems.
#[derive(Debug, Default)]
pub(super) struct RootMounts {
    /// The identifiers of the mounts; empty where the system does not report them (Linux before 5.8).
    mounts: BTreeSet<u64>,
    /// The devices of their file systems, as major and minor numbers.
    devices: BTreeSet<(u32, u32)>,
}

impl RootMounts {
    /// The mounts below the root directory of this process. No program may be running.
    pub(super) fn find() -> Result<Self, Errno> {
        let mut found = Self::default();
        for place in MOUNTED {
            let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
            let status = match rustix::fs::statx(CWD, place, AtFlags::SYMLINK_NOFOLLOW, wanted) {
                Err(Errno::NOENT) => continue,
                status => status?,
            };
            found.mounts.extend(mount(&status));
            found.devices.insert(device(&status));
        }
        Ok(found)
    }

    /// Whether what `status` describes is on one of them.
    pub(super) fn contain(&self, status: &Statx) -> bool {
        match mount(status).filter(|_| !self.mounts.is_empty()) {
            Some(mount) => self.mounts.contains(&mount),
            None => self.devices.contains(&device(status)),
        }
    }
}

fn mount(status: &Statx) -> Option<u64> {
    (status.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(status.stx_mnt_id)
}

fn device(status: &Statx) -> (u32, u32) {
    (status.stx_dev_major, status.stx_dev_minor)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    fn status_of(file: impl std::os::fd::AsFd) -> Statx {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, wanted).unwrap()
    }

    #[test]
    fn a_pipe_and_what_is_mounted_elsewhere_are_not_below_the_root() {
        let root_mounts = RootMounts::find().unwrap();
        let here = std::fs::File::open("/").unwrap();
        assert!(root_mounts.contain(&status_of(&here)));
        let (reading, _) = rustix::pipe::pipe().unwrap();
        let namespace = std::fs::File::open("/proc/self/ns/user").unwrap();
        let status = std::fs::File::open("/proc/self/status").unwrap();
        for other in [reading.as_fd(), namespace.as_fd(), status.as_fd()] {
            assert!(!root_mounts.contain(&status_of(other)));
        }
        // As on an older kernel.
        let root_mounts = RootMounts { mounts: BTreeSet::new(), ..root_mounts };
        assert!(root_mounts.contain(&status_of(&here)) && !root_mounts.contain(&status_of(&reading)));
    }
}
