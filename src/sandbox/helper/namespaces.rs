//! Going into namespaces of one's own: user, mount, pid, ipc, uts, network, cgroup and time.
//!
//! None of the system's namespaces is kept: a program can open its namespaces below `/proc`, and root owns the system's.
//!
//! In the user namespace one user and one group exist: this process's, as root. More would need subordinate ids, which
//! not every machine has, and which this program does not use: the same way everywhere.
//!
//! Source: `user_namespaces(7)`, `mount_namespaces(7)`.

use std::io;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;

use super::{Begun, Failure, MACHINE_NAME, Place, PlaceKind, mounts, working_directory};
use crate::sandbox::protocol::Room;
use crate::sandbox::system::{self, Forked, OneThread};

/// Makes the namespaces, and in them the workroot: in memory with `room`, or in the working directory.
pub(super) fn enter(one: OneThread, room: Option<Room>) -> Result<Begun, Failure> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let directory = std::env::current_dir().map_err(Failure::at("find the working directory"))?;

    let namespaces = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWCGROUP;
    let unshared = match system::unshare(one, namespaces | UnshareFlags::NEWTIME) {
        // Linux before 5.6 has no namespaces of time, and some are built without.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => system::unshare(one, namespaces),
        unshared => unshared,
    };
    unshared.map_err(|error| Failure::at("make namespaces")(explained(error)))?;
    // Without it nobody but root may say which groups there are.
    say("/proc/self/setgroups", "deny")?;
    say("/proc/self/uid_map", &format!("0 {user} 1"))?;
    say("/proc/self/gid_map", &format!("0 {group} 1"))?;

    let alone = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", alone).map_err(Failure::at("part from the system's mounts"))?;
    match room {
        Some(room) => {
            let options = format!("mode=0755,{}", mounts::size_options(room));
            let options = std::ffi::CString::new(options).unwrap_or_default();
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            rustix::mount::mount("workroot", ".", "tmpfs", flags, Some(options.as_c_str()))
        }
        None => rustix::mount::mount_bind(".", "."),
    }
    .map_err(Failure::at("mount the workroot"))?;
    // The working directory is still the one below the mount.
    rustix::process::chdir(&directory).map_err(Failure::at("enter the workroot"))?;
    rustix::system::sethostname(MACHINE_NAME.as_bytes()).map_err(Failure::at("name the machine"))?;

    match system::fork(one).map_err(Failure::at("start a process"))? {
        Forked::Parent(child) => Ok(Begun::There(child)),
        Forked::Child => {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                .map_err(Failure::at("tie the helper to its parent"))?;
            let place = Place {
                workroot: working_directory()?,
                kind: PlaceKind::Namespaces { in_memory: room.is_some() },
            };
            Ok(Begun::Here(place))
        }
    }
}

/// The system's words for too many namespaces are those for a full disk.
fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::StorageFull => io::Error::other("no more of them are allowed"),
        _ => error,
    }
}

/// Writes `text` to a file of `/proc`, which takes it whole or not at all.
fn say(path: &str, text: &str) -> Result<(), Failure> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let written = file.and_then(|file| rustix::io::write(file, text.as_bytes()));
    written.map(drop).map_err(Failure::at(format!("write {path}")))
}
