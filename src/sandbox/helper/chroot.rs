//! Going below another root directory, where namespaces are not to be had: as root, in a container for instance.
//!
//! There is no `/proc` inside, and `/dev` holds devices only where the system lets them be made. What keeps programs in
//! is that they have few capabilities and system calls (see [`super::child`] and [`crate::sandbox::calls`]), Landlock
//! where the system has it, and that they may send signals to one another only.
//!
//! Source: chroot(2), capabilities(7).

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Begun, Failure, Place, PlaceKind, working_directory};

/// The devices that programs have: name and numbers.
const DEVICES: [(&str, u32, u32); 5] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9)];

/// Makes ready to use the working directory.
pub(super) fn begin() -> Result<Begun, Failure> {
    // What programs leave behind becomes this process's, so that it can be ended.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(Failure::at("adopt what programs leave behind"))?;
    Ok(Begun::Here(Place { workroot: working_directory()?, kind: PlaceKind::Chroot }))
}

/// Makes the working directory the root directory; returns the system's `/proc`, and whether there are devices.
pub(super) fn enter() -> Result<(OwnedFd, bool), Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::open("/proc", flags, Mode::empty()).map_err(Failure::at("open /proc"))?;
    rustix::process::chroot(".").map_err(Failure::at("change the root directory"))?;
    rustix::process::chdir("/").map_err(Failure::at("enter the new root"))?;
    for (name, mode) in [("proc", 0o555), ("dev", 0o755), ("tmp", 0o1777)] {
        directory(name, mode)?;
    }
    directory("dev/shm", 0o1777)?;
    let mut has_devices = true;
    for (name, major, minor) in DEVICES {
        has_devices &= device(name, major, minor)?;
    }
    Ok((proc, has_devices))
}

fn directory(name: &str, mode: u32) -> Result<(), Failure> {
    match rustix::fs::mkdir(name, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(Failure::at(format!("make /{name}"))(error)),
    }
}

/// Makes a device, or an empty file where that is not allowed, or where devices have no effect; whether it is a device.
fn device(name: &str, major: u32, minor: u32) -> Result<bool, Failure> {
    let path = format!("dev/{name}");
    let mode = Mode::from_raw_mode(0o666);
    let made =
        rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, mode, rustix::fs::makedev(major, minor));
    let open = || rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    if made.is_ok() && open().is_ok() {
        return rustix::fs::chmod(&path, mode)
            .map(|()| true)
            .map_err(Failure::at(format!("open /{path} to all")));
    }
    if made.is_ok() {
        rustix::fs::unlink(&path).map_err(Failure::at(format!("remove /{path}")))?;
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(&path, flags, mode).map(|_| false).map_err(Failure::at(format!("make /{path}")))
}
