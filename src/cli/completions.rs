//! `apkcompose completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Arguments;
use super::render::{self, Failure};

pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "apkcompose", &mut script);
    render::data(&String::from_utf8_lossy(&script))
}
