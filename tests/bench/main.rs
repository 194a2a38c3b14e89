//! What a build costs, measured beside the real apk in the same run: `cargo bench --bench bench`.
//!
//! Three things by turns, a number of rounds, all on one tmpfs:
//!
//! - *apk*: `apk add --no-scripts` of the real apk in a chroot of the unpacked minirootfs, then `tar | gzip -6` of
//!   the result (unpacking the minirootfs is not counted, though apkcompose does its own);
//! - *cold*: `apkcompose build --scripts skip` with an empty store, to an archive;
//! - *warm*: the same again with the store the cold one left.
//!
//! Prints a table and asserts no time: a ratio of two things measured side by side says more than a limit
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

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use support::command::BINARY;
use support::data::Alpine;
use support::figures::{Figures, Spread, measure};
use support::reference::place_apart_from;
use support::{files, need};

/// What is installed: 39 packages, 58 MB of tar with the minirootfs.
const PACKAGES: [&str; 9] =
    ["git", "openssh", "jq", "wget", "make", "musl-dev", "linux-headers", "binutils", "coreutils"];
/// Set in the run inside the namespace.
const INSIDE: &str = "APKCOMPOSE_BENCH_INSIDE";
/// How many rounds, if not seven.
const ROUNDS: &str = "APKCOMPOSE_BENCH_ROUNDS";

/// Unpacks the minirootfs `$2` to `$1` anew and shows the mirror `$3` inside.
const PREPARE: &str = r#"
set -eu
! mountpoint -q "$1/.mirror" || umount "$1/.mirror"
rm -rf "$1"
mkdir -p "$1"
tar -C "$1" --numeric-owner -xpf "$2"
mkdir "$1/.mirror"
: >"$1/.none"
mount -o bind,ro "$3" "$1/.mirror"
"#;
/// Adds the packages `$3` and so on to the root `$1` and packs it to `$2`.
const APK: &str = r#"
set -eu
root=$1 packed=$2
shift 2
chroot "$root" /sbin/apk add --no-scripts --no-network --no-progress --repositories-file /.none \
    -X /.mirror/v3.19/main -X /.mirror/v3.19/community "$@" >"$packed.log"
tar -C "$root" --one-file-system --exclude=./.mirror --exclude=./.none --numeric-owner -cf - . | gzip -6 >"$packed"
"#;

fn main() -> ExitCode {
    let Some(alpine) = need::apk("bench") else { return ExitCode::SUCCESS };
    let Some(_) = need::program("bench", "time") else { return ExitCode::SUCCESS };
    if env::var_os(INSIDE).is_none() {
        let own = env::current_exe().expect("the path of this program");
        let namespace = ["--mount", "--propagation", "private"];
        let error = Command::new("unshare")
            .args(namespace)
            .arg(own)
            .args(env::args_os().skip(1))
            .env(INSIDE, "1")
            .exec();
        println!("cannot run unshare: {error}");
        return ExitCode::FAILURE;
    }
    let place = place_apart_from(&[alpine.root(), Path::new(BINARY)]);
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "apkcompose-bench", place]);
    let rounds = env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(7);
    let bench = Bench { alpine, place: place.into() };

    let mut measured = Measured::default();
    let outcome = (0..rounds).try_for_each(|_| bench.round(&mut measured));

    println!("{} over the minirootfs of 3.19", PACKAGES.join(" "));
    println!(
        "{} packages, {} MB of tar, rounds: {}\n",
        bench.count_packages(),
        bench.megabytes_of_tar(),
        measured.apk.len()
    );
    measured.print();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("\n{message}");
            ExitCode::FAILURE
        }
    }
}

/// The place and what is measured there.
struct Bench {
    alpine: Alpine,
    place: PathBuf,
}

impl Bench {
    /// Measures each of the three once.
    fn round(&self, measured: &mut Measured) -> Result<(), String> {
        let place = |name: &str| self.place.join(name).to_string_lossy().into_owned();
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let minirootfs = path(self.alpine.minirootfs("x86_64"));
        run("sh", &["-c", PREPARE, "prepare", &place("root"), &minirootfs, &path(self.alpine.mirror())]);
        let mut apk = Command::new("sh");
        apk.args(["-c", APK, "apk", &place("root"), &place("apk.tar.gz")]).args(PACKAGES);
        measured.apk.push(measure(&apk, &self.place.join("notes"))?);

        run("rm", &["-rf", &place("cache"), &place("home")]);
        measured.cold.push(self.build()?);
        measured.warm.push(self.build()?);
        Ok(())
    }

    /// Measures one build with the store as it is.
    fn build(&self) -> Result<Figures, String> {
        let [profile, archive, home] = ["bench.toml", "bench.tar", "home"].map(|name| self.place.join(name));
        files::create_dir(&home);
        files::write(&profile, self.profile().as_bytes());
        run("rm", &["-f", &archive.to_string_lossy()]);
        let mut build = Command::new(BINARY);
        build.args(["build", "--scripts", "skip", "--quiet", "--profile"]).arg(profile);
        build.arg("--cache-dir").arg(self.place.join("cache"));
        build.arg("--output").arg(format!("type=archive,dest={}", archive.display()));
        build.env("HOME", home).env_remove("XDG_CACHE_HOME");
        let figures = measure(&build, &self.place.join("notes"))?;
        if archive.is_file() { Ok(figures) } else { Err(format!("{build:?} wrote no {}", archive.display())) }
    }

    /// What `apk add` is asked for, as a profile.
    fn profile(&self) -> String {
        let mirror = self.alpine.mirror().to_string_lossy().into_owned();
        format!(
            "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nmirror = [{mirror:?}]\n\
             repositories = [\"main\", \"community\"]\nupgrade = false\n\n[packages]\nruntime = {PACKAGES:?}\n"
        )
    }

    /// How many packages apk said it installed.
    fn count_packages(&self) -> usize {
        let log = files::read_text(&self.place.join("apk.tar.gz.log"));
        log.lines().filter(|line| line.contains(") Installing ")).count()
    }

    /// How large the tar is that gzip got, in units of 1,000,000 bytes.
    fn megabytes_of_tar(&self) -> u64 {
        let unpacked = Command::new("sh")
            .args(["-c", "gzip -dc \"$1\" | wc -c", "sh"])
            .arg(self.place.join("apk.tar.gz"))
            .output()
            .expect("sh is there");
        let bytes: u64 =
            String::from_utf8_lossy(&unpacked.stdout).trim().parse().expect("wc prints a number");
        bytes / 1_000_000
    }
}

/// The figures of all rounds.
#[derive(Default)]
struct Measured {
    apk: Vec<Figures>,
    cold: Vec<Figures>,
    warm: Vec<Figures>,
}

impl Measured {
    fn print(&self) {
        println!("{:24}{:^26}{:^26}{:^23}", "", "wall (s)", "CPU (s)", "peak (MiB)");
        let heads = ["min", "median", "max"].map(|head| format!("{head:>7}")).join(" ");
        println!("{:24}{heads:26}{heads:26}{heads}", "");
        let rows = [
            ("apk, then tar | gzip -6", &self.apk),
            ("apkcompose, store cold", &self.cold),
            ("apkcompose, store warm", &self.warm),
        ];
        for (name, figures) in rows.iter().filter(|(_, figures)| !figures.is_empty()) {
            row(name, |column| Spread::of(figures.iter().map(column)));
        }
        if self.cold.is_empty() {
            return;
        }
        println!("\nratio to apk, round by round");
        for (name, figures) in rows[1..].iter().filter(|(_, figures)| !figures.is_empty()) {
            row(name, |column| {
                let numbers = |figures: &[Figures]| figures.iter().map(column).collect::<Vec<_>>();
                Spread::of_ratios(&numbers(figures), &numbers(&self.apk))
            });
        }
    }
}

/// Prints a row: what `spread` makes of each of the three columns.
fn row(name: &str, spread: impl Fn(fn(&Figures) -> f64) -> Spread) {
    let columns: [fn(&Figures) -> f64; 3] =
        [|figures| figures.wall, |figures| figures.cpu, |figures| figures.peak];
    let [wall, cpu, peak] = columns.map(|column| spread(column).to_string());
    println!("{name:24}{wall:26}{cpu:26}{peak}");
}

/// Runs `program`, which must succeed.
fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).current_dir(Path::new("/")).status();
    let succeeded = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    assert!(succeeded, "{program} {arguments:?}: {status:?}");
}
