//! The root filesystem as programs in namespaces see it: the workroot, and over it `/proc`, a small `/dev` and `/tmp`.
//!
//! The workroot is mounted twice. What is mounted over it lies on the second, so that the composer, who has the first,
//! never sees it.
//!
//! Source: mount(2), `pivot_root(2)`, proc(5), tmpfs(5).

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::Failure;
use crate::sandbox::protocol::Room;

/// The devices that programs have.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Links of `/dev`.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// How large a file system in memory is, as its mount options.
pub(super) fn size_options(room: Room) -> String {
    format!("size={},nr_inodes={}", room.bytes, room.entries)
}

/// Lets nobody change what is said of the system's device that is mounted at `path`: for a program that root composes,
/// it would be its own. Devices can be written to all the same.
fn protect(path: &str) -> Result<(), Errno> {
    use rustix::fs::StatVfsMountFlags as There;
    // What the system's mount forbids must stay forbidden, or the kernel refuses.
    let there = rustix::fs::statvfs(path)?.f_flag;
    let kept = [
        (There::NOSUID, MountFlags::NOSUID),
        (There::NODEV, MountFlags::NODEV),
        (There::NOEXEC, MountFlags::NOEXEC),
        (There::NOATIME, MountFlags::NOATIME),
        (There::NODIRATIME, MountFlags::NODIRATIME),
        (There::RELATIME, MountFlags::RELATIME),
    ];
    let flags = kept.into_iter().filter(|(set, _)| there.contains(*set)).map(|(_, flag)| flag);
    let flags =
        flags.fold(MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID, |all, flag| all | flag);
    rustix::mount::mount_remount(path, flags, c"")
}

/// Changes how much the workroot, which is in memory, may hold: it is the working directory, or the root.
pub(super) fn resize(room: Room) -> Result<(), Failure> {
    let options = CString::new(size_options(room)).unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount_remount(".", flags, options.as_c_str()).map_err(Failure::at("resize the workroot"))
}

/// Makes the working directory the root, with what is mounted over it; returns the helper's `/proc`.
pub(super) fn enter() -> Result<OwnedFd, Failure> {
    let here = std::env::current_dir().map_err(Failure::at("find the workroot"))?;
    rustix::mount::mount_bind(".", ".").map_err(Failure::at("mount the workroot once more"))?;
    rustix::process::chdir(&here).map_err(Failure::at("enter the workroot"))?;

    // The system lets only those mount a /proc who see all of one, so this comes before the old root is gone.
    let (nosuid, nodev, noexec) = (MountFlags::NOSUID, MountFlags::NODEV, MountFlags::NOEXEC);
    mount_proc(nosuid | nodev | noexec)?;
    let proc = keep_and_cover_proc(nosuid | nodev | noexec)?;
    mount_over("dev", "tmpfs", nosuid | noexec, Some(c"mode=0755,size=4m,nr_inodes=256"))?;
    fill_dev()?;
    mount_over("tmp", "tmpfs", nosuid | nodev, Some(c"mode=1777,size=256m,nr_inodes=100000"))?;

    rustix::process::pivot_root(".", ".").map_err(Failure::at("change the root directory"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(Failure::at("part from the old root"))?;
    rustix::process::chdir("/").map_err(Failure::at("enter the new root"))?;
    Ok(proc)
}

/// Keeps `/proc` open for the helper and mounts it read-only for programs, which otherwise could change their own
/// `oom_score_adj`. Returns the helper's.
fn keep_and_cover_proc(flags: MountFlags) -> Result<OwnedFd, Failure> {
    let to_open = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::open("proc", to_open, Mode::empty()).map_err(Failure::at("open /proc"))?;
    rustix::mount::mount_bind("proc", "proc").map_err(Failure::at("mount /proc once more"))?;
    rustix::mount::mount_remount("proc", MountFlags::BIND | MountFlags::RDONLY | flags, c"")
        .map_err(Failure::at("protect /proc"))?;
    Ok(proc)
}

/// Mounts over the directory `name` of the working directory, which is made if it is missing. A link is not followed.
fn mount_over(name: &str, kind: &str, flags: MountFlags, options: Option<&CStr>) -> Result<(), Failure> {
    match rustix::fs::mkdir(name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(Failure::at(format!("make /{name}"))(error)),
    }
    let to_open = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place =
        rustix::fs::open(name, to_open, Mode::empty()).map_err(Failure::at(format!("open /{name}")))?;
    let path = format!("/proc/self/fd/{}", place.as_raw_fd());
    rustix::mount::mount(name, path, kind, flags, options).map_err(Failure::at(format!("mount /{name}")))
}

/// What a program sees of `/proc` are its own processes, and not the helper, which has more rights: for one that root
/// composes, the system's settings would be its own to change.
fn mount_proc(flags: MountFlags) -> Result<(), Failure> {
    // Linux before 5.8 does not know the first option; then nothing there can be written.
    mount_over("proc", "proc", flags, Some(c"subset=pid,hidepid=4"))
        .or_else(|_| mount_over("proc", "proc", flags | MountFlags::RDONLY, Some(c"hidepid=2")))
}

/// Puts devices and links into `dev` of the working directory, which is ours alone.
fn fill_dev() -> Result<(), Failure> {
    for name in DEVICES {
        let (inside, outside) = (format!("dev/{name}"), format!("/dev/{name}"));
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::open(&inside, flags, Mode::from_raw_mode(0o666))
            .map_err(Failure::at(format!("make {outside}")))?;
        match rustix::mount::mount_bind(&outside, &inside) {
            Ok(()) => protect(&inside).map_err(Failure::at(format!("protect {outside}")))?,
            // A container may lack some.
            Err(Errno::NOENT) => {}
            Err(error) => return Err(Failure::at(format!("mount {outside}"))(error)),
        }
    }
    for (name, target) in LINKS {
        rustix::fs::symlink(target, format!("dev/{name}"))
            .map_err(Failure::at(format!("make /dev/{name}")))?;
    }
    rustix::fs::mkdir("dev/shm", Mode::from_raw_mode(0o1777)).map_err(Failure::at("make /dev/shm"))
}
