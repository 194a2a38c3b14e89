//! Everything that a program needs, done once before the first one runs.
//!
//! What a system refuses it may refuse late: a container lets namespaces be made and no `/proc` be mounted in them; the
//! memory of a program may be closed to its supervisor, so that it would be told wrong owners and go on. So a process of
//! its own goes the whole way first, in a root directory that is thrown away: it enters it, and starts a child that gives
//! a file away, under the same supervision as a program, and looks whose the file is.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags};
use rustix::mount::MountFlags;
use rustix::process::WaitOptions;
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::child::{self, Deed, Start};
use super::pins::Pins;
use super::root_mounts::RootMounts;
use super::supervisor::Supervisor;
use super::{Failure, PlaceKind, chroot, mounts, working_directory};
use crate::sandbox::protocol;
use crate::sandbox::records::Records;
use crate::sandbox::system::{self, Forked, OneThread};
use crate::sandbox::{Ended, Limits};

/// The file that is given away.
const FILE: &str = "/given-away";
/// Whom it is given to.
const OWNER: (u32, u32) = (82, 83);
/// What the root directory that is thrown away is called, where it is not in memory.
const DIRECTORY: &str = "probe";
/// What the child may use.
const LIMITS: Limits =
    Limits { time: Duration::from_secs(20), processes: 16, memory: 1 << 30, space: 1 << 20 };

/// What was found out.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Findings {
    /// Whether there are devices in `/dev`.
    pub(super) has_devices: bool,
}

/// Tries whether programs can run in a place of that kind, which is the working directory.
pub(super) fn try_out(one: OneThread, kind: &PlaceKind, composer: &UnixStream) -> Result<Findings, Failure> {
    let is_in_memory = matches!(kind, PlaceKind::Namespaces { in_memory: true });
    let flags = rustix::fs::statvfs(".").map_err(Failure::at("look at the workroot"))?.f_flag;
    if !is_in_memory && flags.contains(StatVfsMountFlags::NOEXEC) {
        let error = io::Error::other(
            "its file system lets nothing be executed (noexec); another TMPDIR or output may do",
        );
        return Err(Failure::at("run programs in the workroot")(error));
    }
    let (ours, theirs) = UnixStream::pair().map_err(Failure::at("make a pair of sockets"))?;
    match system::fork(one).map_err(Failure::at("start a process"))? {
        Forked::Child => {
            drop(ours);
            let found = go_the_whole_way(one, kind, composer);
            // If nobody hears it, nobody waits for it.
            let _ = protocol::send(&theirs, &found, &[]);
            system::exit_now(0)
        }
        Forked::Parent(process) => {
            drop(theirs);
            let found = protocol::receive::<Result<Findings, Failure>>(&ours);
            rustix::process::waitpid(Some(process), WaitOptions::empty())
                .map_err(Failure::at("wait for a process"))?;
            // What is not there is what is wanted.
            let _ = std::fs::remove_dir_all(DIRECTORY);
            match found.map_err(Failure::at("hear of a process"))? {
                Some((found, _)) => found,
                None => {
                    Err(Failure::at("try what a program does")(io::Error::from(io::ErrorKind::UnexpectedEof)))
                }
            }
        }
    }
}

fn go_the_whole_way(one: OneThread, kind: &PlaceKind, composer: &UnixStream) -> Result<Findings, Failure> {
    let (proc, has_own_processes, has_devices) = match kind {
        PlaceKind::Namespaces { .. } => {
            system::unshare(one, UnshareFlags::NEWNS).map_err(Failure::at("make namespaces"))?;
            let here = std::env::current_dir().map_err(Failure::at("find the workroot"))?;
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            rustix::mount::mount("probe", ".", "tmpfs", flags, Some(c"mode=0755,size=1m"))
                .map_err(Failure::at("mount a workroot"))?;
            rustix::process::chdir(&here).map_err(Failure::at("enter the workroot"))?;
            (mounts::enter()?, true, true)
        }
        PlaceKind::Chroot => {
            rustix::fs::mkdirat(CWD, DIRECTORY, Mode::from_raw_mode(0o755))
                .map_err(Failure::at("make a root directory"))?;
            rustix::process::chdir(DIRECTORY).map_err(Failure::at("enter a root directory"))?;
            let (proc, has_devices) = chroot::enter()?;
            (proc, false, has_devices)
        }
        PlaceKind::Entered { .. } => {
            return Err(Failure::at("enter the root")(io::Error::from(io::ErrorKind::InvalidInput)));
        }
    };
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(FILE, flags, Mode::from_raw_mode(0o644))
        .map_err(Failure::at("write to the root directory"))?;
    let (_, output) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(Failure::at("make an output"))?;
    let (listener, child) = child::start(
        one,
        &Start {
            deed: Deed::Try(give_away),
            limits: &LIMITS,
            spent: 0,
            output: output.as_fd(),
            proc: proc.as_fd(),
            is_alone: has_own_processes,
        },
    )?;
    let workroot = working_directory()?;
    let root_mounts = RootMounts::find().map_err(Failure::at("look at the root directory"))?;
    let supervisor = Supervisor {
        listener,
        child,
        composer,
        proc: proc.as_fd(),
        has_own_processes,
        in_memory: false,
        workroot: workroot.as_fd(),
        limits: &LIMITS,
        spent: 0,
        group: None,
        root_mounts: &root_mounts,
        records: &mut Records::default(),
        pins: Pins::new(),
    };
    match supervisor.watch().map_err(Failure::at("watch over a program"))?.ended {
        Ended::Exited(0) => Ok(Findings { has_devices }),
        ended => {
            let error = io::Error::other(format!(
                "the memory of a program, or its system calls, are out of its supervisor's reach ({ended:?}); \
                 look at kernel.yama.ptrace_scope with sysctl"
            ));
            Err(Failure::at("answer for the kernel")(error))
        }
    }
}

/// Gives the file away, in a process that was made for it, and says whether the kernel's answers are those that the
/// supervisor should give.
fn give_away(one: OneThread) -> bool {
    let Ok(forked) = system::fork(one) else { return false };
    match forked {
        Forked::Child => {
            let given = std::os::unix::fs::chown(FILE, Some(OWNER.0), Some(OWNER.1)).is_ok();
            system::exit_now(i32::from(!given))
        }
        Forked::Parent(process) => {
            let ended = rustix::process::waitpid(Some(process), WaitOptions::empty());
            let is_given = ended.ok().flatten().is_some_and(|(_, status)| status.exit_status() == Some(0));
            let told = rustix::fs::stat(FILE).map(|status| (status.st_uid, status.st_gid));
            is_given && told == Ok(OWNER)
        }
    }
}
