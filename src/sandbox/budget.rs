//! How much memory there is to be had: of the machine, and of the control groups that this process is in.
//!
//! A container often may use less than its machine has, and who uses more is killed. What the system keeps in memory of
//! files on disk counts as to be had, as it gives that up first. What cannot be read limits nothing.
//!
//! Source: proc(5), cgroups(7); the kernel's documentation, "Control Group v2" (memory) and "Memory Resource Controller"
//! (version 1).

use std::path::{Component, Path, PathBuf};

use crate::root;

/// How large a file of the system's may be, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// How a version of control groups tells what of memory a group may use and uses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// Where the groups are.
    pub(super) groups: &'static str,
    /// The file with the bytes that a group may use.
    pub(super) limit: &'static str,
    /// The file with the bytes that it uses, copies of files on disk among them.
    pub(super) usage: &'static str,
    /// What the kernel can reclaim, by the names of `memory.stat`, in bytes, groups below included: copies of files on
    /// disk, and its caches of file names and inodes.
    pub(super) copies: [&'static str; 3],
    /// The file with the limit of swap space (version 2), or of memory and swap space together (version 1).
    pub(super) swap_limit: &'static str,
    /// The file with the number of processes that were killed because the limit was reached.
    pub(super) killed: &'static str,
}

pub(super) const VERSION_2: Version = Version {
    groups: "sys/fs/cgroup",
    limit: "memory.max",
    usage: "memory.current",
    copies: ["inactive_file", "active_file", "slab_reclaimable"],
    swap_limit: "memory.swap.max",
    killed: "memory.events",
};

pub(super) const VERSION_1: Version = Version {
    groups: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    copies: ["total_inactive_file", "total_active_file", "total_slab_reclaimable"],
    swap_limit: "memory.memsw.limit_in_bytes",
    killed: "memory.oom_control",
};

/// How many bytes of memory are to be had; nothing if nobody says.
pub(super) fn available() -> Option<u64> {
    available_below(Path::new("/"))
}

/// The same, of a system whose root directory is `root`.
fn available_below(root: &Path) -> Option<u64> {
    let memberships = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let of_groups = groups(&memberships).flat_map(|(version, group)| {
        // A limit holds for all groups below. In a container what is above is not there, or is its own by another name.
        let directories: Vec<PathBuf> = group.ancestors().map(Path::to_owned).collect();
        directories.into_iter().filter_map(move |group| {
            let directory = root.join(version.groups).join(group);
            let file = |name| read(&directory.join(name));
            let statistics = file("memory.stat").unwrap_or_default();
            left_to_group(version, &file(version.limit)?, &file(version.usage)?, &statistics)
        })
    });
    let of_machine = read(&root.join("proc/meminfo")).and_then(|text| left_to_machine(&text));
    of_groups.chain(of_machine).min()
}

fn read(path: &Path) -> Option<String> {
    String::from_utf8(root::read_file(path, MAX_FILE).ok()?).ok()
}

/// The groups that limit memory, in the text of `/proc/self/cgroup`: relative to where they are.
pub(super) fn groups(text: &str) -> impl Iterator<Item = (&'static Version, PathBuf)> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let version = match (number, controllers) {
            ("0", "") => &VERSION_2,
            (_, controllers) if controllers.split(',').any(|name| name == "memory") => &VERSION_1,
            _ => return None,
        };
        let group = Path::new(path.strip_prefix('/')?);
        // A group outside of what this process sees begins with `..`.
        let is_seen = group.components().all(|part| matches!(part, Component::Normal(_)));
        Some((version, if is_seen { group.to_owned() } else { PathBuf::new() }))
    })
}

/// What a group may use more than it does, in the texts of its files; nothing if it may use any.
fn left_to_group(version: &Version, limit: &str, usage: &str, statistics: &str) -> Option<u64> {
    let limit: u64 = limit.trim().parse().ok()?;
    Some(limit.saturating_sub(kept_by_group(version, usage, statistics)?))
}

/// What a group uses that cannot be reclaimed, in the texts of its files.
pub(super) fn kept_by_group(version: &Version, usage: &str, statistics: &str) -> Option<u64> {
    let usage: u64 = usage.trim().parse().ok()?;
    let copies =
        version.copies.iter().filter_map(|name| number(statistics, name)).fold(0, u64::saturating_add);
    Some(usage.saturating_sub(copies))
}

/// The number after a name at the beginning of a line.
pub(super) fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// What the machine has left, in the text of `/proc/meminfo`.
fn left_to_machine(text: &str) -> Option<u64> {
    let available = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = available.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::root::write_file;

    const MEMORY: &str = "MemTotal:       16384000 kB\nMemFree:          100 kB\nMemAvailable:    2048 kB\n";

    /// What is to be had of a system with these files.
    fn available_with(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            write_file(&path, text.as_bytes()).unwrap();
        }
        available_below(root.path())
    }

    #[test]
    fn groups_that_limit_memory_are_found_in_both_versions() {
        let found = |text| groups(text).collect::<Vec<_>>();
        let legacy = "12:cpu,cpuacct:/docker/1\n4:hugetlb,memory:/docker/1:2\n1:name=systemd:/\n0::/\n";
        assert_eq!(found(legacy), [(&VERSION_1, "docker/1:2".into()), (&VERSION_2, "".into())]);
        assert_eq!(found("0::/user.slice/a.scope\n"), [(&VERSION_2, "user.slice/a.scope".into())]);
        assert_eq!(found("0::/../../elsewhere\n"), [(&VERSION_2, "".into())]);
        assert_eq!(found("3:memoryless:/\n1:name=memory:/\n\nrubbish\n2:memory\n4:memory:no-root"), []);
    }

    #[test]
    fn copies_of_files_are_to_be_had_and_no_limit_is_none() {
        let statistics = "anon 300\nfile 120\nshmem 20\ninactive_file 60\nactive_file 40\n";
        assert_eq!(left_to_group(&VERSION_2, "1000\n", "400\n", statistics), Some(700));
        assert_eq!(left_to_group(&VERSION_2, "1000\n", "400\n", ""), Some(600));
        assert_eq!(left_to_group(&VERSION_2, "100\n", "400\n", ""), Some(0));
        assert_eq!(left_to_group(&VERSION_2, "max\n", "400\n", statistics), None);
        // Its own come first, then those with the groups below.
        let statistics = "inactive_file 1\nactive_file 2\ntotal_inactive_file 30\ntotal_active_file 20\n";
        assert_eq!(left_to_group(&VERSION_1, "1000\n", "400\n", statistics), Some(650));
    }

    #[test]
    fn the_least_of_the_machine_the_group_and_those_above_is_to_be_had() {
        let machine = ("proc/meminfo", MEMORY);
        assert_eq!(available_with(&[]), None);
        assert_eq!(available_with(&[machine]), Some(2 << 20));
        let unified = [
            machine,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "100\n"),
            ("sys/fs/cgroup/a/memory.max", "5000\n"),
            ("sys/fs/cgroup/a/memory.current", "2000\n"),
        ];
        assert_eq!(available_with(&unified), Some(3000));
        // Of a container, whose own group is the root of what it sees.
        let container = [
            machine,
            ("proc/self/cgroup", "5:memory:/docker/0123\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "7000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000\n"),
        ];
        assert_eq!(available_with(&container), Some(4000));
        // No limit in the first version is the largest number.
        let unlimited = [
            machine,
            ("proc/self/cgroup", "5:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000\n"),
        ];
        assert_eq!(available_with(&unlimited), Some(2 << 20));
    }
}
