//! The command line: all that prints.
//!
//! [`args`] says what can be typed; a file per command turns that into calls of the library and shows what
//! came of them. Data goes to standard output, words to standard error; errors are rendered in one place.

mod args;
mod build;
mod cache;
mod completions;
mod dot;
mod index;
mod interrupt;
mod package;
mod profiles;
mod progress;
mod render;
mod resolve;
mod session;
mod summary;
mod why;
mod why_not;

use std::process::ExitCode;

use args::{Arguments, Command};
use render::Failure;

use crate::kind::Kind;
use crate::sandbox::helper;

/// Runs the command and returns its exit code.
pub fn main() -> ExitCode {
    // Before anything else: a helper must never have more than one thread.
    if helper::is_meant() {
        if helper::main().is_ok() {
            return ExitCode::SUCCESS;
        }
        render::words("error: apkcompose starts this itself, where package scripts run\n");
        return ExitCode::from(Kind::Usage.exit_code());
    }
    let arguments = Arguments::of_process();
    allow_many_open_files();
    interrupt::outlive_the_limit_of_file_sizes();
    let progress = arguments.progress();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(render::Look::of_terminal(), progress);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        None => build::run(&arguments.build),
        Some(Command::Build(build)) => build::run(&build),
        Some(Command::Resolve(resolve)) => resolve::run(&resolve),
        Some(Command::Why(why)) => why::run(&why),
        Some(Command::WhyNot(why_not)) => why_not::run(&why_not),
        Some(Command::Profiles { command }) => profiles::run(&command),
        Some(Command::Package(package)) => package::run(&package),
        Some(Command::Index(index)) => index::run(&index),
        Some(Command::Cache { command }) => cache::run(&command),
        Some(Command::Completions { shell }) => completions::run(shell),
    }
}

/// Every package of an image is an open file while it is built; the usual soft limit of 1024 would not do for
/// the largest closures.
fn allow_many_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is not allowed, the limit that there is will do for most images.
    let _ = setrlimit(Resource::Nofile, limit);
}
