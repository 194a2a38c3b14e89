//! The process that becomes the program: what it gives up before it does.
//!
//! It comes from the helper by a fork, so it is inside already. It keeps no descriptor but input and output, few
//! capabilities, no way to get more, no handler of a signal, and the filter of system calls, which it installs last and
//! whose descriptor it hands to the supervisor.
//!
//! Source: spec apk v2, "Install semantics" (directory, umask, environment); execve(2), prctl(2), capabilities(7).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use landlock::{
    ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, Scope,
};
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

use super::{Failure, census};
use crate::sandbox::protocol::{self, Task};
use crate::sandbox::system::{self, Forked, OneThread};
use crate::sandbox::{Limits, calls, filter};

/// Where apk puts a script before it runs it.
const DIRECTORIES: [&str; 3] = ["lib", "lib/apk", "lib/apk/exec"];
/// How many files a process may have open.
const OPEN_FILES: u64 = 1024;
/// The highest capability that there may be.
const LAST_CAPABILITY: u8 = 63;

/// What a program may do with files that are not its own, as root: all of them are.
const KEPT: CapabilitySet =
    CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::FOWNER).union(CapabilitySet::FSETID);

/// A program as a file in the root.
pub(super) struct Script {
    path: String,
    made: Vec<&'static str>,
}

impl Script {
    /// Writes it where apk does. The root directory is the workroot's, so no link in it leads out.
    pub(super) fn write(name: &str, text: &[u8]) -> io::Result<Self> {
        let made = DIRECTORIES
            .into_iter()
            .filter(|directory| {
                rustix::fs::mkdirat(CWD, in_root(directory), Mode::from_raw_mode(0o755)).is_ok()
            })
            .collect();
        let script = Self { path: in_root(&format!("lib/apk/exec/{name}")), made };
        script.fill(text).inspect_err(|_| script.remove())?;
        Ok(script)
    }

    fn fill(&self, text: &[u8]) -> io::Result<()> {
        match rustix::fs::unlink(&self.path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&self.path, flags, Mode::from_raw_mode(0o755))?;
        io::Write::write_all(&mut std::fs::File::from(file), text)
    }

    /// Takes it away again, and the directories that were made for it.
    pub(super) fn remove(&self) {
        // What the program did there itself stays, and is looked at with the rest.
        let _ = rustix::fs::unlink(&self.path);
        for directory in self.made.iter().rev() {
            let _ = rustix::fs::unlinkat(CWD, in_root(directory), AtFlags::REMOVEDIR);
        }
    }
}

fn in_root(path: &str) -> String {
    format!("/{path}")
}

/// What the child tells the helper before it is the program.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// The filter is installed; its descriptor comes with this.
    Filtered,
    /// It could not be done.
    Failed(Failure),
    /// The program could not be executed.
    NotExecuted { error: String },
}

/// A program being started.
#[derive(Debug)]
pub(super) struct Child {
    /// Its process.
    pub(super) process: Pid,
    /// Says [`Word::NotExecuted`], or ends when the program runs.
    pub(super) words: UnixStream,
}

/// What a process is made for.
#[derive(Clone, Copy)]
pub(super) enum Deed<'a> {
    /// To become a program.
    Execute { script: &'a Script, task: &'a Task },
    /// To try something, as a program would, and to end with 0 if it holds.
    Try(fn(OneThread) -> bool),
}

/// What is needed to start one.
pub(super) struct Start<'a> {
    pub(super) deed: Deed<'a>,
    pub(super) limits: &'a Limits,
    /// How many bytes of the space for all programs have been used by earlier ones.
    pub(super) spent: u64,
    pub(super) output: BorrowedFd<'a>,
    pub(super) proc: BorrowedFd<'a>,
    /// Whether it sees no processes but those of the sandbox.
    pub(super) is_alone: bool,
}

/// Starts the program; returns where its system calls are to be answered.
pub(super) fn start(one: OneThread, start: &Start<'_>) -> Result<(OwnedFd, Child), Failure> {
    let (ours, theirs) = UnixStream::pair().map_err(Failure::at("make a pair of sockets"))?;
    match system::fork(one).map_err(Failure::at("start a process"))? {
        Forked::Child => {
            drop(ours);
            let word = match become_program(one, start, &theirs) {
                Ok(error) => Word::NotExecuted { error: error.to_string() },
                Err(failure) => Word::Failed(failure),
            };
            // If nobody hears it, nobody waits for it.
            let _ = protocol::send(&theirs, &word, &[]);
            system::exit_now(127)
        }
        Forked::Parent(process) => {
            drop(theirs);
            let word = protocol::receive::<Word>(&ours).map_err(Failure::at("hear of the program"))?;
            match word {
                Some((Word::Filtered, descriptors)) => {
                    let listener = descriptors.into_iter().next();
                    let gone =
                        || Failure::at("supervise the program")(io::Error::from(io::ErrorKind::InvalidData));
                    Ok((listener.ok_or_else(gone)?, Child { process, words: ours }))
                }
                Some((Word::Failed(failure), _)) => Err(failure),
                Some((Word::NotExecuted { error }, _)) => {
                    Err(Failure::at("execute the program")(io::Error::other(error)))
                }
                None => Err(Failure::at("start the program")(io::Error::from(io::ErrorKind::UnexpectedEof))),
            }
        }
    }
}

/// Gives up what a program does not get, and becomes it. Comes back only if that fails, with what the system said.
fn become_program(one: OneThread, start: &Start<'_>, words: &UnixStream) -> Result<io::Error, Failure> {
    rustix::process::setsid().map_err(Failure::at("make a session"))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Failure::at("tie the program to the helper"))?;
    be_the_first_to_go(start.proc);
    give_no_input()?;
    rustix::stdio::dup2_stdout(start.output).map_err(Failure::at("give it an output"))?;
    rustix::stdio::dup2_stderr(start.output).map_err(Failure::at("give it an output"))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::process::chdir("/").map_err(Failure::at("enter the root directory"))?;
    limit(start)?;
    rustix::thread::set_no_new_privs(true).map_err(Failure::at("give up new privileges"))?;
    give_up_capabilities()?;
    stay_below_the_root(start.is_alone);
    system::reset_signals();
    keep_nothing_open(start.proc);

    let Some(architecture) = calls::ARCHITECTURE else {
        return Err(Failure::at("supervise a program")(io::Error::from(io::ErrorKind::Unsupported)));
    };
    let program = filter::program(architecture, &calls::rules(start.is_alone));
    let listener = system::install_filter(&program).map_err(Failure::at("filter system calls"))?;
    protocol::send(words, &Word::Filtered, &[listener.as_fd()])
        .map_err(Failure::at("hand over the filter"))?;
    drop(listener);
    match start.deed {
        Deed::Execute { script, task } => execute(script, task),
        Deed::Try(deed) => system::exit_now(i32::from(!deed(one))),
    }
}

fn execute(script: &Script, task: &Task) -> Result<io::Error, Failure> {
    let path = text(&script.path)?;
    let mut arguments = vec![path.clone()];
    for argument in &task.arguments {
        arguments.push(text(argument)?);
    }
    let variables = task.environment.iter().map(|(name, value)| text(&format!("{name}={value}")));
    let environment: Vec<CString> = variables.collect::<Result<_, _>>()?;
    Ok(system::execute(&path, &arguments, &environment))
}

/// Lets the program have no descriptor but input and output.
fn keep_nothing_open(proc: BorrowedFd<'_>) {
    // Linux before 5.11 cannot mark them all at once.
    if system::close_on_exec_from(3).is_err() {
        let listed = rustix::fs::openat(proc, "self/fd", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        for number in census::numbers_in(listed.and_then(Dir::new)).into_iter().filter(|number| *number > 2) {
            system::close_on_exec(number);
        }
    }
}

/// Makes the input one that is at its end: a pipe of its own. The system's `/dev/null` would be as good to read, but a
/// program that root composes could change its mode for everybody.
fn give_no_input() -> Result<(), Failure> {
    let (reading, _) = rustix::pipe::pipe().map_err(Failure::at("make an input"))?;
    rustix::stdio::dup2_stdin(reading).map_err(Failure::at("give it an input"))
}

fn text(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(Failure::at("pass arguments"))
}

fn limit(start: &Start<'_>) -> Result<(), Failure> {
    let limits = start.limits;
    let set = |resource, value| {
        let there = rustix::process::getrlimit(resource);
        let value = there.maximum.map_or(value, |maximum| maximum.min(value));
        rustix::process::setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
            .map_err(Failure::at("limit what it uses"))
    };
    // Of 1 byte there is no dump, and the kernel does not call the program that takes dumps either, as for 0 it would.
    set(Resource::Core, 1)?;
    set(Resource::Fsize, limits.space.saturating_sub(start.spent))?;
    set(Resource::Data, limits.memory)?;
    set(Resource::Nofile, OPEN_FILES)
}

/// If memory runs out, this is ended and not the composer.
fn be_the_first_to_go(proc: BorrowedFd<'_>) {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    // Only a matter of who is asked to go first.
    if let Ok(file) = rustix::fs::openat(proc, "self/oom_score_adj", flags, Mode::empty()) {
        let _ = rustix::io::write(file, b"1000");
    }
}

/// Lets nothing be changed but what is below the root directory; a program that is not alone cannot read anything else
/// either, nor send signals to other processes. A file of the host that can be reached is the emulator of a foreign
/// architecture: the system opened it when it was registered (`binfmt_misc`, flag `F`).
fn stay_below_the_root(is_alone: bool) {
    let everything = AccessFs::from_all(ABI::V5);
    let handled = if is_alone { AccessFs::from_write(ABI::V5) } else { everything };
    let Ok(root) = PathFd::new("/") else { return };
    let restrict = || -> Result<(), RulesetError> {
        let rules = Ruleset::default().handle_access(handled)?;
        let rules = if is_alone { rules } else { rules.scope(Scope::from_all(ABI::V6))? };
        rules.create()?.add_rule(PathBeneath::new(root, handled))?.restrict_self().map(drop)
    };
    // One more wall where the system has it.
    let _ = restrict();
}

/// Keeps [`KEPT`] alone, for this process and whatever it executes.
fn give_up_capabilities() -> Result<(), Failure> {
    for number in 0..=LAST_CAPABILITY {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if KEPT.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            // There are fewer.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(Failure::at("give up capabilities")(error)),
        }
    }
    let there = rustix::thread::capabilities(None).map_err(Failure::at("look at capabilities"))?;
    let kept = KEPT & there.permitted;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(Failure::at("give up capabilities"))
}
