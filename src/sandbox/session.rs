//! A helper at work, seen from the composer: started, asked, and ended.
//!
//! Whatever happens to the composer's interest in it, the helper ends with this value, and with the helper everything
//! that it started.
//!
//! Source: design, "Sandbox".

use std::io::{self, ErrorKind, Read as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;

use super::control_group;
use super::directory::PrivateDirectory;
use super::executable::Executable;
use super::helper;
use super::output::Output;
use super::protocol::{self, Beginning, Failure, Reply, Request, Room, Task, wait_for};
use super::records::{InodeKey, Record};
use super::{Ended, SandboxError};
use crate::report::{Reporter, Step};

/// How long after a program's time the helper may take to end it.
const GRACE: Duration = Duration::from_secs(60);
/// How long the kernel may refuse to execute a copy of the helper because it is open for writing.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often is looked whether the helper has ended.
const SHORT: Duration = Duration::from_millis(2);
/// How often the user's wish to stop is asked for.
const TICK: Duration = Duration::from_millis(100);

/// A helper that waits for orders.
#[derive(Debug)]
pub(super) struct Session {
    process: Child,
    socket: UnixStream,
}

/// A helper that has begun.
pub(super) struct Begun {
    pub(super) session: Session,
    /// The root directory of the workroot.
    pub(super) workroot: OwnedFd,
    /// Whether programs have devices.
    pub(super) has_devices: bool,
}

/// What came of a program.
pub(super) struct Finished {
    pub(super) ended: Ended,
    pub(super) output: Vec<String>,
    pub(super) records: Vec<(InodeKey, Record)>,
    /// Whether a file was mapped as shared memory.
    pub(super) maps_files: bool,
}

/// Why a helper does not do what it is asked.
#[derive(Debug)]
pub(super) enum SessionError {
    /// It says so itself.
    Refused(Failure),
    /// It cannot be heard.
    Lost(io::Error),
}

impl SessionError {
    /// In words, for a message.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Refused(failure) => failure.to_string(),
            Self::Lost(error) => format!("the helper ended: {error}"),
        }
    }
}

impl Session {
    /// Starts a copy of the program `helper` in `place`; returns the session and what it has.
    pub(super) fn start(
        helper: &Path,
        place: &PrivateDirectory,
        beginning: Beginning,
    ) -> Result<Begun, SessionError> {
        let in_memory = Executable::in_memory(helper).and_then(|copy| spawn(&copy, place));
        let (process, ours) = in_memory
            .or_else(|first| {
                let on_disk = Executable::on_disk(helper, place.path()).and_then(|copy| spawn(&copy, place));
                on_disk.map_err(|second| {
                    let reason = io::Error::other(format!("in memory: {first}; on disk: {second}"));
                    Failure::at(format!("start a copy of {}", helper.display()))(reason)
                })
            })
            .map_err(SessionError::Refused)?;
        let session = Self { process, socket: ours };
        protocol::send(&session.socket, &Request::Begin(beginning), &[]).map_err(SessionError::Lost)?;
        match session.hear()? {
            (Reply::Ready { has_devices }, mut descriptors) => {
                let workroot = descriptors.pop().ok_or_else(out_of_turn)?;
                Ok(Begun { session, workroot, has_devices })
            }
            _ => Err(out_of_turn()),
        }
    }

    /// Makes room in a workroot in memory.
    pub(super) fn reserve(&self, room: Room) -> Result<(), SessionError> {
        protocol::send(&self.socket, &Request::Reserve(room), &[]).map_err(SessionError::Lost)?;
        match self.hear()? {
            (Reply::Reserved, _) => Ok(()),
            _ => Err(out_of_turn()),
        }
    }

    /// Runs a program; what it prints goes to `reporter`.
    pub(super) fn run(&mut self, task: Task, reporter: &dyn Reporter) -> Result<Finished, SandboxError> {
        let lost = |error: io::Error| failed(&SessionError::Lost(error));
        let patience = task.limits.time.saturating_add(GRACE);
        let (name, mut output) = (task.name.clone(), Output::new(&task.name));
        let (reading, writing) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| lost(error.into()))?;
        protocol::send(&self.socket, &Request::Run(task), &[writing.as_fd()]).map_err(lost)?;
        drop(writing);
        // The program could open the other end and read there what is waited for.
        rustix::fs::fcntl_setfl(&reading, OFlags::NONBLOCK).map_err(|error| lost(error.into()))?;
        let mut reading = std::fs::File::from(reading);
        let begun = Instant::now();
        let mut reply = None;
        let mut is_open = true;
        while reply.is_none() || is_open {
            if reporter.interrupted() {
                self.end();
                return Err(SandboxError::Interrupted);
            }
            if begun.elapsed() > patience {
                self.end();
                return Err(lost(ErrorKind::TimedOut.into()));
            }
            reporter.advance_file(Step::Stage, 0, &name);
            let (has_output, has_reply) = self.wait(&reading, is_open).map_err(lost)?;
            if has_output {
                let mut buffer = [0; 8192];
                match reading.read(&mut buffer) {
                    Ok(count) => {
                        is_open = count > 0;
                        output.take(buffer.get(..count).unwrap_or_default(), reporter);
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    Err(error) => return Err(lost(error)),
                }
            }
            if has_reply && reply.is_none() {
                reply = Some(self.hear().map_err(|error| failed(&error))?.0);
            }
        }
        match reply {
            Some(Reply::Done { ended, records, maps_files }) => {
                Ok(Finished { ended, output: output.finish(reporter), records, maps_files })
            }
            _ => Err(failed(&out_of_turn())),
        }
    }

    /// Waits a moment; whether there is something to read from the program, and from the helper.
    fn wait(&self, reading: &std::fs::File, is_open: bool) -> io::Result<(bool, bool)> {
        let mut descriptors = vec![PollFd::new(&self.socket, PollFlags::IN)];
        if is_open {
            descriptors.push(PollFd::new(reading, PollFlags::IN));
        }
        wait_for(&mut descriptors, TICK)?;
        let has = |at: usize| descriptors.get(at).is_some_and(|descriptor| !descriptor.revents().is_empty());
        Ok((has(1), has(0)))
    }

    fn hear(&self) -> Result<(Reply, Vec<OwnedFd>), SessionError> {
        match protocol::receive(&self.socket).map_err(SessionError::Lost)? {
            Some((Reply::Failed(failure), _)) => Err(SessionError::Refused(failure)),
            Some(heard) => Ok(heard),
            None => Err(SessionError::Lost(ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Ends it, and all that it started.
    pub(super) fn end(&mut self) {
        // It hears that nobody asks any more, and ends what it started: without namespaces nobody else could.
        let _ = self.socket.shutdown(Shutdown::Both);
        let begun = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && begun.elapsed() < GRACE {
            std::thread::sleep(SHORT);
        }
        // It is gone already, or it goes now; both are what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
        control_group::remove_unused();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts `copy` as a helper in `place`; returns its process and our end of the socket.
fn spawn(copy: &Executable, place: &PrivateDirectory) -> Result<(Child, UnixStream), Failure> {
    let begun = Instant::now();
    loop {
        let (ours, theirs) = UnixStream::pair().map_err(Failure::at("make a pair of sockets"))?;
        let spawned = Command::new(copy.path())
            .arg0(env!("CARGO_PKG_NAME"))
            .arg(helper::ARGUMENT)
            .current_dir(place.inner())
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What the terminal says to the composer's processes is the composer's to pass on.
            .process_group(0)
            .spawn();
        match spawned {
            // A process that another thread starts has the file open for writing until it executes its program.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && begun.elapsed() < PATIENCE => {
                std::thread::sleep(SHORT);
            }
            spawned => {
                return spawned.map(|process| (process, ours)).map_err(Failure::at("execute it"));
            }
        }
    }
}

fn out_of_turn() -> SessionError {
    SessionError::Lost(ErrorKind::InvalidData.into())
}

fn failed(error: &SessionError) -> SandboxError {
    SandboxError::Helper { reason: error.reason() }
}
