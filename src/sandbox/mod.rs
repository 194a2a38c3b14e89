//! Running a program inside a root filesystem, without privileges and without letting it out.
//!
//! A [`Sandbox`] starts nothing until a program is to run. Then the tree is written to a *workroot*, which only the
//! sandbox sees; the program runs there, alone; when everything it started is dead, what it changed is read back into
//! the tree. Owners, devices and attributes that it gives are recorded, not made (see [`records`]).
//!
//! Source: design, "Staging", "Sandbox"; namespaces(7), `seccomp_unotify(2)`.

mod budget;
mod calls;
mod control_group;
mod directory;
mod executable;
mod filter;
pub mod helper;
mod output;
mod protocol;
pub mod records;
mod session;
pub mod spool;
mod system;
pub mod workroot;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kind::{Explain, Kind};
use crate::report::{Reporter, Step};
use crate::root::FileError;
use crate::tree::{Inode, InodeKind, Tree};
use directory::PrivateDirectory;
use protocol::{Beginning, Room, Task};
use records::Records;
use session::{Begun, Finished, Session};
use spool::Spool;
use workroot::{Trust, Workroot, WorkrootError, WorkrootLimits};

/// How programs are shut in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confinement {
    /// By namespaces where the system allows them, else, as root, by [`Confinement::Chroot`] with a warning.
    #[default]
    Auto,
    /// By namespaces.
    Namespaces,
    /// By a changed root directory, few capabilities and system calls; needs root.
    Chroot,
}

/// How a sandbox is made.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// The program that becomes the helper: one whose `main` calls [`crate::cli::main`].
    pub helper: PathBuf,
    /// How programs are shut in.
    pub confinement: Confinement,
    /// What programs may use.
    pub limits: Limits,
    /// A directory for the workroot where memory does not hold it, and for what scripts write.
    pub directory: PathBuf,
    /// How many bytes a workroot in memory may take at most, so none with 0; nothing for half of what is to be had.
    pub memory: Option<u64>,
}

/// What programs may use before they are ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// How long each may take.
    pub time: Duration,
    /// How many processes and threads there may be at a time.
    pub processes: u32,
    /// How many bytes of memory they may have together.
    pub memory: u64,
    /// How many bytes all programs that run in a sandbox, one after another, may add to the root filesystem.
    pub space: u64,
}

/// A program to run, given as a script of a package is.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// What it is called in messages and where it lies: `name-version.post-install`.
    pub name: &'a str,
    /// The file that is executed: a script with its `#!` line, or a program.
    pub text: &'a [u8],
    /// Its arguments.
    pub arguments: &'a [String],
    /// Its environment, all of it.
    pub environment: &'a [(String, String)],
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Killed(i32),
    /// It could not be executed; what the system said.
    NotExecuted(String),
    /// It took longer than it may.
    TooLong {
        /// How long it may take.
        limit: Duration,
    },
    /// It had more processes and threads than it may.
    TooManyProcesses {
        /// How many it may have at a time.
        limit: u32,
    },
    /// It used more memory than it may.
    TooMuchMemory {
        /// How many bytes it may use.
        limit: u64,
    },
    /// It wrote more than programs may.
    TooMuchSpace {
        /// How many bytes all programs may add together.
        limit: u64,
    },
}

/// What came of a program.
#[derive(Debug, Clone)]
pub struct Run {
    /// How it ended.
    pub ended: Ended,
    /// The last lines of what it printed, without control characters.
    pub output: Vec<String>,
}

/// What was written to the workroot and read back, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// How many programs ran.
    pub runs: u64,
    /// How many files, directories and links were written to the workroot.
    pub pushed_entries: u64,
    /// How many bytes of files were written to the workroot.
    pub pushed_bytes: u64,
    /// How many files, directories and links were made, changed or removed by programs.
    pub pulled_entries: u64,
    /// How many bytes of files were read back.
    pub pulled_bytes: u64,
}

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The system lets nobody, or not this user, run programs apart.
    #[error("programs cannot be run apart here: {reason}")]
    Unavailable {
        /// What was tried and what the system said.
        reason: String,
    },
    /// The helper that runs programs failed.
    #[error("the sandbox failed: {reason}")]
    Helper {
        /// At what.
        reason: String,
    },
    /// The place for it cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The root filesystem cannot be written, or read back.
    #[error(transparent)]
    Workroot(#[from] WorkrootError),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl Explain for SandboxError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { .. } | Self::Helper { .. } => Kind::Script,
            Self::File(error) => error.kind(),
            Self::Workroot(error) => error.kind(),
            Self::Interrupted => Kind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Workroot(error) => error.hint(),
            Self::Unavailable { .. } => Some(
                "ordinary users need user namespaces: look at user.max_user_namespaces, \
                 kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns with sysctl; \
                 in a container, run as root"
                    .to_owned(),
            ),
            Self::Helper { .. } | Self::Interrupted => None,
        }
    }
}

/// Runs programs in a tree.
#[derive(Debug)]
pub struct Sandbox {
    options: SandboxOptions,
    epoch: i64,
    counters: Counters,
    running: Option<Running>,
}

/// A sandbox that has been started.
#[derive(Debug)]
struct Running {
    // In this order they go: what may still write, what was written, the place for it.
    session: Session,
    workroot: Workroot,
    #[expect(dead_code, reason = "it is there until it goes")]
    place: PrivateDirectory,
    records: Records,
    /// Nothing if the workroot is on disk.
    memory: Option<InMemory>,
}

/// A workroot in memory.
#[derive(Debug, Clone, Copy)]
struct InMemory {
    /// How many bytes it should not exceed.
    budget: u64,
    /// How much there is room for.
    room: Room,
}

/// How deep in one another directories that a program makes may be.
const MAX_DEPTH: usize = 128;
/// How many files, directories and links a program may add.
const MAX_NEW_ENTRIES: u64 = 200_000;
/// What a program may add in any case, in bytes, unless its limit is lower.
const LEAST_SPACE: u64 = 64 << 20;
/// What a file in memory is rounded up to, in bytes.
const PAGE: u64 = 4096;

impl Sandbox {
    /// A sandbox that starts when it is needed. `epoch` is the time, in seconds since 1970, of files that have none in
    /// the tree.
    pub fn new(options: SandboxOptions, epoch: i64) -> Self {
        Self { options, epoch, counters: Counters::default(), running: None }
    }

    /// Runs `program` in `tree` and takes over what it changed there, however it ended. Lines that it prints go to
    /// `reporter`.
    pub fn run(
        &mut self,
        tree: &mut Tree,
        program: &Program<'_>,
        reporter: &dyn Reporter,
    ) -> Result<Run, SandboxError> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start(tree, reporter)?,
        };
        let spent = running.workroot.counters().pulled_bytes;
        running.make_room(tree, self.options.limits.space.saturating_sub(spent))?;
        running.workroot.push(tree, &mut running.records)?;
        let limits = &self.options.limits;
        let task = Task {
            name: program.name.to_owned(),
            text: program.text.to_owned(),
            arguments: program.arguments.to_vec(),
            environment: program.environment.to_vec(),
            // The program is ended before the system ends anything.
            limits: Limits {
                memory: limits.memory.min(budget::available().unwrap_or(u64::MAX)),
                ..limits.clone()
            },
            spent,
            records: running.records.take_changes(),
        };
        reporter.begin_file(Step::Stage, program.name, None);
        let finished = running.session.run(task, reporter);
        reporter.end_file(Step::Stage, program.name);
        let Finished { ended, output, records, maps_files } = finished?;
        running.records.apply(records);
        let trust = if maps_files { Trust::Nothing } else { Trust::Times };
        running.workroot.pull(tree, &mut running.records, trust)?;
        self.counters = Counters { runs: self.counters.runs + 1, ..running.workroot.counters() };
        self.running = Some(running);
        Ok(Run { ended, output })
    }

    /// What was written and read back until now.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn start(&self, tree: &Tree, reporter: &dyn Reporter) -> Result<Running, SandboxError> {
        let SandboxOptions { helper, confinement, limits, directory, memory } = &self.options;
        let place = PrivateDirectory::create(directory)?;
        // Half is left to what runs there, and to the rest of the machine.
        let budget = memory.unwrap_or_else(|| budget::available().map_or(0, |bytes| bytes / 2));
        let room = room_for(tree, limits.space, budget);
        let fits = room.bytes <= budget;
        let in_namespaces = if fits { Beginning::InMemory(room) } else { Beginning::OnDisk };
        let start = |beginning| Session::start(helper, &place, beginning);
        let (beginning, started) = match confinement {
            Confinement::Namespaces => (in_namespaces, start(in_namespaces)),
            Confinement::Chroot => (Beginning::Chroot, start(Beginning::Chroot)),
            Confinement::Auto => match start(in_namespaces) {
                Err(error) if rustix::process::geteuid().is_root() => {
                    reporter.warn(&format!(
                        "package scripts are shut in by chroot alone, because namespaces are not to be had: {}",
                        error.reason()
                    ));
                    (Beginning::Chroot, start(Beginning::Chroot))
                }
                started => (in_namespaces, started),
            },
        };
        let workroot_limits = WorkrootLimits {
            depth: MAX_DEPTH,
            names: usize::try_from(MAX_NEW_ENTRIES).unwrap_or(usize::MAX),
            bytes: limits.space,
            epoch: self.epoch,
        };
        let begun = started.map_err(|error| SandboxError::Unavailable { reason: error.reason() })?;
        let Begun { session, workroot: root, has_devices } = begun;
        if !has_devices {
            reporter.warn(
                "package scripts have no devices, because they cannot be made here: /dev/null is a file that keeps \
                 what is written to it, and /dev/zero and /dev/urandom are empty",
            );
        }
        directory::hold(&root);
        Ok(Running {
            session,
            workroot: Workroot::new(root, Spool::create(directory)?, workroot_limits),
            place,
            records: Records::default(),
            memory: matches!(beginning, Beginning::InMemory(_)).then_some(InMemory { budget, room }),
        })
    }
}

impl Running {
    /// Makes room for what the tree has got more, in a workroot in memory.
    fn make_room(&mut self, tree: &Tree, space: u64) -> Result<(), SandboxError> {
        let Some(InMemory { budget, room }) = &mut self.memory else { return Ok(()) };
        let needed = room_for(tree, space, *budget);
        if needed.bytes > room.bytes || needed.entries > room.entries {
            self.session.reserve(needed).map_err(|error| SandboxError::Helper { reason: error.reason() })?;
            *room = needed;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.session.end();
        // What is in memory goes by itself. What is on disk and cannot be removed has a name that says what it is.
        if self.memory.is_none() {
            let _ = self.workroot.clear();
        }
    }
}

/// How many bytes the files of `tree` take.
fn tree_bytes(tree: &Tree) -> u64 {
    let rounded = |inode: &Inode| match &inode.kind {
        InodeKind::File(content) => content.length().div_ceil(PAGE).saturating_mul(PAGE),
        _ => PAGE,
    };
    tree.entries().map(|(_, _, inode)| rounded(inode)).fold(0, u64::saturating_add)
}

/// What a workroot of `tree` in memory gets: room for the tree, and for what a program may add, `space` at most.
fn room_for(tree: &Tree, space: u64, budget: u64) -> Room {
    let bytes = tree_bytes(tree);
    let left = budget.saturating_sub(bytes).max(LEAST_SPACE).min(space);
    Room { bytes: bytes.saturating_add(left), entries: (tree.len() as u64).saturating_add(MAX_NEW_ENTRIES) }
}
