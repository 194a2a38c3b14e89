//! A control group for everything that runs in a sandbox, where one can be created.
//!
//! The kernel charges a group for all memory that its processes cause to be allocated: also shared memory that no process
//! has mapped, the contents of pipes and sockets, and kernel tables. The helper enters the group before anything else, so
//! every process that it starts is in it. Where no group can be created (by an ordinary user, in a container that mounts
//! them read-only, in version 2 below a group that has processes) the helper adds up what `/proc` reports instead.
//!
//! The composer removes the group when the helper has ended, together with groups that killed composers left behind.
//!
//! Source: cgroups(7); the kernel's documentation, "Control Group v2" (memory) and "Memory Resource Controller"
//! (version 1).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};

use super::budget::{self, Version};
use crate::root;

/// The beginning of a group's name; two numbers follow.
const PREFIX: &str = "apkcompose.";
/// The file to which the number of a process is written that enters a group.
const PROCESSES: &str = "cgroup.procs";
/// The least margin of the kernel's limit, in bytes: more than a program can take between two looks of the helper.
const MARGIN: u64 = 2 << 30;
/// How large a file of a group may be, in bytes.
const MAX_FILE: usize = 64 * 1024;
/// How many times creating a group is tried: before it is entered, another composer may remove it.
const TRIES: u32 = 8;

/// The group of this process. Its files stay open, because they cannot be reached from inside the sandbox.
#[derive(Debug)]
pub(super) struct ControlGroup {
    version: &'static Version,
    limit: File,
    swap_limit: Option<File>,
    usage: File,
    statistics: File,
    killed: File,
}

impl ControlGroup {
    /// Creates a group below this process' own and enters it; `None` where that is not possible.
    pub(super) fn enter() -> Option<Self> {
        groups_of_memory(Path::new("/")).into_iter().find_map(|(version, parent)| {
            (0..TRIES).find_map(|number| Self::enter_in(version, &parent, number).ok())
        })
    }

    fn enter_in(version: &'static Version, parent: &Path, number: u32) -> io::Result<Self> {
        // Without this file it is an ordinary directory.
        fs::metadata(parent.join(PROCESSES))?;
        let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o755).create(&path)?;
        let entered = Self::of(version, &path).and_then(|group| {
            // 0 stands for the process that writes it.
            OpenOptions::new().write(true).open(path.join(PROCESSES))?.write_all(b"0")?;
            Ok(group)
        });
        entered.inspect_err(|_| drop(fs::remove_dir(&path)))
    }

    fn of(version: &'static Version, path: &Path) -> io::Result<Self> {
        let read = |name| File::open(path.join(name));
        let write = |name| OpenOptions::new().write(true).open(path.join(name));
        Ok(Self {
            version,
            limit: write(version.limit)?,
            // Missing where the kernel does not account for swap space.
            swap_limit: write(version.swap_limit).ok(),
            usage: read(version.usage)?,
            statistics: read("memory.stat")?,
            killed: read(version.killed)?,
        })
    }

    /// Limits the group to what it has now, `bytes` and a margin; beyond that the kernel kills processes of the group. The
    /// helper, which is one of them, ends the program at `bytes` itself: the kernel might choose the helper, even after the
    /// program, as it takes back some memory of a dead process late.
    pub(super) fn allow(&self, bytes: u64) -> io::Result<()> {
        let usage = text(&self.usage)?.trim().parse().unwrap_or(0_u64);
        let limit = usage.saturating_add(bytes).saturating_add(bytes.max(MARGIN));
        // In version 1 the limit of memory and swap space may not be below the limit of memory.
        let first = set(&self.limit, limit);
        if let Some(swap) = &self.swap_limit {
            let both = if *self.version == budget::VERSION_2 { 0 } else { limit };
            let _ = set(swap, both);
        }
        first.or_else(|_| set(&self.limit, limit))
    }

    /// How many bytes the group is charged for that the kernel cannot reclaim.
    pub(super) fn used(&self) -> io::Result<u64> {
        let (usage, statistics) = (text(&self.usage)?, text(&self.statistics)?);
        let used =
            budget::kept_by_group(self.version, &usage, &statistics).ok_or(io::ErrorKind::InvalidData)?;
        // Version 2 reports no such line, and the limit there is 0.
        Ok(used.saturating_add(budget::number(&statistics, "total_swap").unwrap_or(0)))
    }

    /// How many processes of the group the kernel killed because the limit was reached.
    pub(super) fn killed(&self) -> io::Result<u64> {
        Ok(budget::number(&text(&self.killed)?, "oom_kill").unwrap_or(0))
    }
}

/// Removes groups of sandboxes that have no process any more.
pub(super) fn remove_unused() {
    remove_unused_below(Path::new("/"));
}

fn remove_unused_below(root: &Path) {
    for (_, parent) in groups_of_memory(root) {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
                // A group that has processes, or belongs to another user, cannot be removed.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

/// The groups of this process that account for memory, on a system whose root directory is `root`.
fn groups_of_memory(root: &Path) -> Vec<(&'static Version, PathBuf)> {
    let memberships = root::read_file(&root.join("proc/self/cgroup"), MAX_FILE as u64).unwrap_or_default();
    let memberships = String::from_utf8_lossy(&memberships);
    budget::groups(&memberships)
        .map(|(version, group)| (version, root.join(version.groups).join(group)))
        .collect()
}

fn text(file: &File) -> io::Result<String> {
    let mut bytes = vec![0; MAX_FILE];
    let count = file.read_at(&mut bytes, 0)?;
    bytes.truncate(count);
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn set(file: &File, bytes: u64) -> io::Result<()> {
    file.write_all_at(bytes.to_string().as_bytes(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::write_file;

    /// A system with a group of version 1 and the files of a group below it.
    fn system(below: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let system = tempfile::tempdir().unwrap();
        let parent = system.path().join("sys/fs/cgroup/memory/a");
        let group = parent.join("group");
        for directory in [&system.path().join("proc/self"), &group] {
            fs::create_dir_all(directory).unwrap();
        }
        write_file(&system.path().join("proc/self/cgroup"), b"4:memory:/a\n1:name=systemd:/\n").unwrap();
        for (name, text) in below {
            write_file(&group.join(name), text.as_bytes()).unwrap();
        }
        (system, parent)
    }

    #[test]
    fn memory_that_can_be_reclaimed_is_not_counted() {
        let (_system, parent) = system(&[
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.usage_in_bytes", "1000\n"),
            ("memory.stat", "cache 700\ntotal_inactive_file 300\ntotal_active_file 100\nshmem 200\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
        ]);
        let group = ControlGroup::of(&budget::VERSION_1, &parent.join("group")).unwrap();
        assert_eq!((group.used().unwrap(), group.killed().unwrap()), (600, 3));
        group.allow(500).unwrap();
        let limit = fs::read_to_string(parent.join("group/memory.limit_in_bytes")).unwrap();
        // What it has, what is allowed and the margin.
        assert!(limit.starts_with("2147485148"), "{limit}");
    }

    #[test]
    fn a_group_of_version_2_gets_no_swap_space() {
        let group = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("memory.max", "max\n"),
            ("memory.swap.max", "max\n"),
            ("memory.current", "1000\n"),
            ("memory.stat", "anon 300\ninactive_file 200\nactive_file 100\nslab_reclaimable 50\n"),
            ("memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n"),
        ] {
            write_file(&group.path().join(name), text.as_bytes()).unwrap();
        }
        let entered = ControlGroup::of(&budget::VERSION_2, group.path()).unwrap();
        assert_eq!((entered.used().unwrap(), entered.killed().unwrap()), (650, 1));
        entered.allow(500).unwrap();
        let limit = |name| fs::read_to_string(group.path().join(name)).unwrap();
        assert!(limit("memory.max").starts_with("2147485148") && limit("memory.swap.max").starts_with('0'));
    }

    #[test]
    fn a_directory_that_is_not_a_group_is_left_as_it_is() {
        let (system, parent) = system(&[]);
        assert_eq!(groups_of_memory(system.path()), [(&budget::VERSION_1, parent.clone())]);
        assert!(ControlGroup::enter_in(&budget::VERSION_1, &parent, 0).is_err());
        write_file(&parent.join(PROCESSES), b"").unwrap();
        // The directory that is created has no files of a group, so it is removed again.
        assert!(ControlGroup::enter_in(&budget::VERSION_1, &parent, 0).is_err());
        let mut names: Vec<_> =
            fs::read_dir(&parent).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [PROCESSES, "group"]);
    }

    #[test]
    fn only_unused_groups_of_sandboxes_are_removed() {
        let (system, parent) = system(&[]);
        for name in ["apkcompose.1-0", "apkcompose.2-0", "other"] {
            fs::create_dir(parent.join(name)).unwrap();
        }
        // Like a group with processes, it cannot be removed.
        write_file(&parent.join("apkcompose.2-0/process"), b"").unwrap();
        remove_unused_below(system.path());
        let mut names: Vec<_> =
            fs::read_dir(&parent).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["apkcompose.2-0", "group", "other"]);
    }
}
