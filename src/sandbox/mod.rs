//! Running a program inside a root filesystem, without privileges and without letting it out.
//!
//! A [`Sandbox`] starts nothing until a program is to run. Then the tree is written to a *workroot*, which only the
//! sandbox sees; the program runs there, alone; when everything it started is dead, what it changed is read back into
//! the tree. Owners, devices and attributes that it gives are recorded, not made (see [`records`]).
//!
//! Source: design, "Staging", "Sandbox"; namespaces(7), seccomp_unotify(2).

pub mod records;
pub mod spool;
pub mod workroot;

use std::path::PathBuf;
use std::time::Duration;

use crate::kind::{Explain, Kind};
use crate::report::Reporter;
use crate::tree::Tree;

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
}

/// What a program may use before it is ended.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long it may take.
    pub time: Duration,
    /// How many processes and threads there may be at a time.
    pub processes: u32,
    /// How many bytes of memory they may have together.
    pub memory: u64,
    /// How many bytes it may add to the root filesystem.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Killed(i32),
    /// It could not be executed; what the system said.
    NotExecuted(String),
    /// It took longer than it may.
    TooLong,
    /// It used more memory than it may.
    TooMuchMemory,
    /// It wrote more than it may.
    TooMuchSpace,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
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
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl Explain for SandboxError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { .. } => Kind::Script,
            Self::Interrupted => Kind::Interrupted,
        }
    }
}

/// Runs programs in a tree.
#[derive(Debug)]
pub struct Sandbox {
    #[expect(dead_code, reason = "until programs run")]
    options: SandboxOptions,
    counters: Counters,
}

impl Sandbox {
    /// A sandbox that starts when it is needed.
    pub fn new(options: SandboxOptions) -> Self {
        Self { options, counters: Counters::default() }
    }

    /// Runs `program` in `tree` and takes over what it changed there. Lines that it prints go to `reporter`.
    pub fn run(
        &mut self,
        tree: &mut Tree,
        program: &Program<'_>,
        reporter: &dyn Reporter,
    ) -> Result<Run, SandboxError> {
        let _ = (tree, program, reporter);
        Err(SandboxError::Unavailable { reason: "not there yet".to_owned() })
    }

    /// What was written and read back until now.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
