//! The command line: all that prints.
//!
//! [`args`] says what can be typed; a file per command turns that into calls of the library and shows what
//! came of them. Data goes to standard output, words to standard error; errors are rendered in one place.

mod args;
mod build;
mod cache;
mod completions;
mod index;
mod interrupt;
mod package;
mod profiles;
mod progress;
mod render;

use std::process::ExitCode;

use args::{Arguments, Command};
use render::Failure;

/// Runs the command and returns its exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::of_process();
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
        Some(Command::Profiles { command }) => profiles::run(&command),
        Some(Command::Package(package)) => package::run(&package),
        Some(Command::Index(index)) => index::run(&index),
        Some(Command::Cache { command }) => cache::run(&command),
        Some(Command::Completions { shell }) => completions::run(shell),
    }
}
