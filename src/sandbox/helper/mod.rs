//! The helper: a process of its own that shuts programs in, watches over them and ends them.
//!
//! It is this same program, started anew from a copy ([`super::executable`]), because a user namespace can only be made
//! by a process of one thread. It gets its orders through its standard input ([`super::protocol`]), goes into the
//! namespaces or below the root directory itself, and stays there: whatever it does for a program it does from inside,
//! where nothing of the host can be reached. When the composer is gone it ends, and everything in it.
//!
//! In namespaces there are two processes: the first made the namespaces and waits, the second is the first process of
//! the new pid namespace, with which everything in it dies.
//!
//! Source: namespaces(7), `user_namespaces(7)`, `pid_namespaces(7)`; design, "Sandbox".

mod answers;
mod census;
mod child;
mod chroot;
mod memory;
mod metadata;
mod mounts;
mod namespaces;
mod pins;
mod probe;
mod root_mounts;
mod supervisor;

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{Mode, OFlags};

use super::control_group::ControlGroup;
use super::protocol::{self, Beginning, Failure, Reply, Request, Room, Task};
use super::records::Records;
use super::system::OneThread;
use child::{Deed, Script, Start};
use pins::Pins;
use probe::Findings;
use root_mounts::RootMounts;
use supervisor::{Supervisor, Watched};

/// The argument that makes this program the helper.
pub const ARGUMENT: &str = "sandbox-helper";

/// What programs are told that the machine is called.
const MACHINE_NAME: &str = "localhost";

/// Whether this process was started as a helper.
pub fn is_meant() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().as_deref() == Some(OsStr::new(ARGUMENT)) && arguments.next().is_none()
}

/// Serves until nothing more is asked.
///
/// An error is one of the way to the composer, who is gone then, or never was there.
pub fn main() -> io::Result<()> {
    let one = OneThread::prove()?;
    // What is made has the mode that is asked for.
    rustix::process::umask(Mode::empty());
    let socket = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
    let Some((request, _)) = protocol::receive::<Request>(&socket)? else { return Ok(()) };
    let Request::Begin(beginning) = request else { return Err(io::ErrorKind::InvalidData.into()) };
    // Before the namespaces, in which the system's groups cannot be reached.
    let group = ControlGroup::enter();
    let begun = match beginning {
        Beginning::InMemory(room) => namespaces::enter(one, Some(room)),
        Beginning::OnDisk => namespaces::enter(one, None),
        Beginning::Chroot => chroot::begin(),
    };
    match begun {
        Ok(Begun::Here(place)) => match probe::try_out(one, &place.kind, &socket) {
            Ok(findings) => Helper { one, socket, place, group, records: Records::default() }.serve(findings),
            Err(failure) => reply(&socket, &Reply::Failed(failure)),
        },
        // The other one serves.
        Ok(Begun::There(child)) => {
            drop(socket);
            rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())?;
            Ok(())
        }
        Err(failure) => reply(&socket, &Reply::Failed(failure)),
    }
}

/// Which process goes on.
enum Begun {
    /// This one, in that place.
    Here(Place),
    /// Another one.
    There(rustix::process::Pid),
}

/// Where programs run.
struct Place {
    /// The root directory that composer and helper write to.
    workroot: OwnedFd,
    /// How it is entered.
    kind: PlaceKind,
}

enum PlaceKind {
    /// The second process of namespaces, before the root directory is changed.
    Namespaces { in_memory: bool },
    /// A directory, before it is the root directory.
    Chroot,
    /// The root directory of this process; `proc` shows the processes that it can see.
    Entered { proc: OwnedFd, root_mounts: RootMounts, in_memory: bool, has_own_processes: bool },
}

fn reply(socket: &UnixStream, reply: &Reply) -> io::Result<()> {
    protocol::send(socket, reply, &[])
}

struct Helper {
    one: OneThread,
    socket: UnixStream,
    place: Place,
    /// None where none can be made.
    group: Option<ControlGroup>,
    records: Records,
}

impl Helper {
    fn serve(mut self, findings: Findings) -> io::Result<()> {
        let ready = Reply::Ready { has_devices: findings.has_devices };
        protocol::send(&self.socket, &ready, &[self.place.workroot.as_fd()])?;
        while let Some((request, descriptors)) = protocol::receive::<Request>(&self.socket)? {
            let answer = match request {
                Request::Begin(_) => return Err(io::ErrorKind::InvalidData.into()),
                Request::Reserve(room) => self.reserve(room).map(|()| Reply::Reserved),
                Request::Run(task) => match descriptors.into_iter().next() {
                    Some(output) => self.run(task, output),
                    None => return Err(io::ErrorKind::InvalidData.into()),
                },
            };
            reply(&self.socket, &answer.unwrap_or_else(Reply::Failed))?;
        }
        Ok(())
    }

    /// Makes room for what the composer is going to write.
    fn reserve(&mut self, room: Room) -> Result<(), Failure> {
        match &self.place.kind {
            PlaceKind::Namespaces { in_memory: true } | PlaceKind::Entered { in_memory: true, .. } => {
                mounts::resize(room)
            }
            PlaceKind::Namespaces { .. } | PlaceKind::Chroot | PlaceKind::Entered { .. } => Ok(()),
        }
    }

    fn run(&mut self, mut task: Task, output: OwnedFd) -> Result<Reply, Failure> {
        self.enter()?;
        let PlaceKind::Entered { proc, root_mounts, has_own_processes, in_memory } = &self.place.kind else {
            return Err(Failure::at("enter the root")(io::Error::from(io::ErrorKind::InvalidData)));
        };
        self.records.apply(std::mem::take(&mut task.records));
        let script = match Script::write(&task.name, &task.text) {
            Ok(script) => script,
            Err(error) => {
                let ended = super::Ended::NotExecuted(error.to_string());
                return Ok(Reply::Done { ended, records: Vec::new(), maps_files: false });
            }
        };
        let start = Start {
            deed: Deed::Execute { script: &script, task: &task },
            limits: &task.limits,
            spent: task.spent,
            output: output.as_fd(),
            proc: proc.as_fd(),
            is_alone: *has_own_processes,
        };
        let (listener, child) = child::start(self.one, &start)?;
        // What the program holds is all that holds it now: it ends when everything is dead.
        drop(output);
        let supervisor = Supervisor {
            listener,
            child,
            composer: &self.socket,
            proc: proc.as_fd(),
            has_own_processes: *has_own_processes,
            in_memory: *in_memory,
            workroot: self.place.workroot.as_fd(),
            limits: &task.limits,
            spent: task.spent,
            group: self.group.as_ref(),
            root_mounts,
            records: &mut self.records,
            pins: Pins::new(),
        };
        let watched = supervisor.watch();
        script.remove();
        let Watched { ended, maps_files } = watched.map_err(Failure::at("watch over the program"))?;
        Ok(Reply::Done { ended, records: self.records.take_changes(), maps_files })
    }

    /// Makes the workroot the root directory, before the first program.
    fn enter(&mut self) -> Result<(), Failure> {
        let (proc, in_memory, has_own_processes) = match self.place.kind {
            PlaceKind::Entered { .. } => return Ok(()),
            PlaceKind::Namespaces { in_memory } => (mounts::enter()?, in_memory, true),
            PlaceKind::Chroot => (chroot::enter()?.0, false, false),
        };
        let root_mounts = RootMounts::find().map_err(Failure::at("look at the root directory"))?;
        self.place.kind = PlaceKind::Entered { proc, root_mounts, in_memory, has_own_processes };
        Ok(())
    }
}

/// Opens the working directory.
fn working_directory() -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(".", flags, Mode::empty()).map_err(Failure::at("open the workroot"))
}
