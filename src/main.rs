//! The `apkcompose` command: see [`apkcompose::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    apkcompose::cli::main()
}
