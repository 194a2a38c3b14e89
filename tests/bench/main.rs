//! What a build costs, measured beside the real apk in the same run: `cargo bench`.
//!
//! [`local`] measures builds from a directory, [`network`] over HTTP, [`resolve`] answers alone, [`scripts`] builds with
//! package scripts, [`hostile`] what much of one thing costs; `cargo bench -- network` does one of them. In the others, what is compared takes turns, round by round, on
//! one tmpfs: what disturbs the machine disturbs both sides.
//!
//! Prints tables and asserts no time: a ratio of two things measured side by side says more than a limit
//! that depends on the machine. Needs root, since the real apk does, and runs itself in a mount namespace of
//! its own, so that nothing is left.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints; a failed expectation is its failure"
)]

// A support function may be used by the tests alone or by the benchmark alone.
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the integration tests, which use another part of it"
)]
#[path = "../support/mod.rs"]
mod support;

/// Much of one thing, for each thing there can be much of.
mod hostile;
/// From a directory, against apk and a packer.
mod local;
/// Over HTTP, with latency, against apk from the same server.
mod network;
// The packages of the tests are made as the tests make them.
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the integration tests, which use another part of it"
)]
#[path = "../it/made.rs"]
mod made;
/// Where it is measured, and what is built.
mod place;
/// Answers, without building anything, against apk and zcat.
mod resolve;
/// Builds with package scripts, against apk and a packer.
mod scripts;
/// Figures as they are printed.
mod table;

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use support::command::BINARY;
use support::need;
use support::reference::place_apart_from;

use place::{Place, run};

/// Set in the run inside the namespace.
const INSIDE: &str = "APKCOMPOSE_BENCH_INSIDE";
/// How many rounds, if not seven.
const ROUNDS: &str = "APKCOMPOSE_BENCH_ROUNDS";
/// The benchmarks by their names.
const BENCHMARKS: [(&str, Benchmark); 5] = [
    ("hostile", hostile::measure),
    ("local", local::measure),
    ("network", network::measure),
    ("resolve", resolve::measure),
    ("scripts", scripts::measure),
];

/// Measures some rounds and prints what came of them.
type Benchmark = fn(&Place, usize) -> Result<(), String>;

fn main() -> ExitCode {
    let Some(alpine) = need::apk("bench") else { return ExitCode::SUCCESS };
    let Some(_) = need::program("bench", "time") else { return ExitCode::SUCCESS };
    if env::var_os(INSIDE).is_none() {
        return inside_a_namespace();
    }
    let directory = place_apart_from(&[alpine.root(), Path::new(BINARY)]);
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "apkcompose-bench", directory]);
    let place = Place::new(alpine, directory);
    let rounds = env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(7);
    // Cargo adds options of its own.
    let asked: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, benchmark) in BENCHMARKS {
        if !asked.is_empty() && !asked.iter().any(|word| word == name) {
            continue;
        }
        println!("=== {name}");
        if let Err(message) = benchmark(&place, rounds) {
            println!("\n{message}");
            return ExitCode::FAILURE;
        }
        println!();
    }
    ExitCode::SUCCESS
}

/// Runs this program again, where mounts are its own.
fn inside_a_namespace() -> ExitCode {
    let own = env::current_exe().expect("the path of this program");
    let mut again = Command::new("unshare");
    again.args(["--mount", "--propagation", "private"]).arg(own).args(env::args_os().skip(1));
    let error = again.env(INSIDE, "1").exec();
    println!("cannot run unshare: {error}");
    ExitCode::FAILURE
}
