//! Where it is measured: a directory on a tmpfs, with the root that apk works on and what apkcompose writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::command::BINARY;
use crate::support::data::Alpine;
use crate::support::figures::{Figures, measure};
use crate::support::files;

/// What is installed: 39 packages, 58 MB of tar with the minirootfs.
pub(crate) const PACKAGES: [&str; 9] =
    ["git", "openssh", "jq", "wget", "make", "musl-dev", "linux-headers", "binutils", "coreutils"];

/// Where the root of apk has the mirror.
pub(crate) const MIRROR: &str = "/.mirror";
/// Where packages come from, below the mirror.
pub(crate) const REPOSITORIES: [&str; 2] = ["v3.19/main", "v3.19/community"];

/// Unpacks the minirootfs `$2` to `$1` anew and shows the mirror `$3` inside.
const PREPARE: &str = r#"
set -eu
for mounted in .mirror proc; do ! mountpoint -q "$1/$mounted" || umount "$1/$mounted"; done
rm -rf "$1"
mkdir -p "$1"
tar -C "$1" --numeric-owner -xpf "$2"
mkdir "$1/.mirror"
: >"$1/.none"
mount -o bind,ro "$3" "$1/.mirror"
"#;

/// The installed database of the root of apk.
const INSTALLED: &str = "root/lib/apk/db/installed";
/// Its world.
const WORLD: &str = "root/etc/apk/world";

/// What apk is asked for.
const ADD: [&str; 2] = ["add", "--no-progress"];

/// Packs the root `$1` to `$2`, without what was only shown inside.
const PACK: &str = r#"
set -eu
tar -C "$1" --one-file-system --exclude=./.mirror --exclude=./.none --numeric-owner -cf - . | gzip -6 >"$2"
"#;

/// The place and the real mirror.
pub(crate) struct Place {
    alpine: Alpine,
    directory: PathBuf,
}

impl Place {
    pub(crate) fn new(alpine: Alpine, directory: &str) -> Self {
        Self { alpine, directory: directory.into() }
    }

    pub(crate) fn alpine(&self) -> &Alpine {
        &self.alpine
    }

    /// Unpacks the root of apk anew.
    pub(crate) fn unpack(&self) {
        let (root, minirootfs, mirror) =
            (self.join("root"), self.alpine.minirootfs("x86_64"), self.alpine.mirror());
        let arguments = [&root, &minirootfs, &mirror].map(|path| path.to_string_lossy().into_owned());
        run("sh", &["-c", PREPARE, "prepare", &arguments[0], &arguments[1], &arguments[2]]);
    }

    /// Measures `apk add` with `options` of what is installed, over the root, from `mirror`, which is as apk sees it.
    pub(crate) fn add(&self, options: &[&str], mirror: &str) -> Result<Figures, String> {
        self.measure(self.apk(mirror, &PACKAGES).arg("--no-scripts").args(options))
    }

    /// What asks apk which `packages` it would add to the root.
    pub(crate) fn simulate(&self, packages: &[&str]) -> Command {
        let mut apk = self.apk(MIRROR, packages);
        apk.args(["--simulate", "--no-network"]);
        apk
    }

    fn apk(&self, mirror: &str, packages: &[&str]) -> Command {
        let mut apk = self.apk_with("/.none", packages);
        for repository in REPOSITORIES {
            apk.args(["-X", &format!("{mirror}/{repository}")]);
        }
        apk
    }

    /// What adds `packages` to the root from the repositories in the file `repositories` of the root.
    pub(crate) fn apk_with(&self, repositories: &str, packages: &[&str]) -> Command {
        let mut apk = Command::new("chroot");
        apk.arg(self.join("root")).arg("/sbin/apk").args(ADD).args(["--repositories-file", repositories]);
        apk.args(packages);
        apk
    }

    /// What asks apkcompose the same.
    pub(crate) fn resolve(&self, packages: &[&str]) -> Command {
        let mut resolve = Command::new(BINARY);
        resolve.args(["resolve", "--quiet", "--arch", "x86_64"]);
        for repository in REPOSITORIES {
            resolve.arg("--repository").arg(self.alpine.repository(repository));
        }
        resolve.arg("--installed").arg(self.join(INSTALLED)).arg("--world").arg(self.join(WORLD));
        resolve.args(packages).env("HOME", self.join("home")).env_remove("XDG_CACHE_HOME");
        resolve
    }

    /// What inflates the indexes of the repositories and does nothing with them.
    pub(crate) fn zcat(&self) -> Command {
        let mut zcat = Command::new("sh");
        zcat.args(["-c", "exec zcat \"$@\" >/dev/null", "zcat"])
            .args(REPOSITORIES.map(|path| self.index(path)));
        zcat
    }

    /// The index of a repository.
    pub(crate) fn index(&self, repository: &str) -> PathBuf {
        self.alpine.repository(repository).join("x86_64/APKINDEX.tar.gz")
    }

    /// The text of the root's installed database, and its world.
    pub(crate) fn base(&self) -> (String, String) {
        (files::read_text(&self.join(INSTALLED)), files::read_text(&self.join(WORLD)))
    }

    /// Measures `tar | gzip -6` of the root.
    pub(crate) fn pack(&self) -> Result<Figures, String> {
        let mut pack = Command::new("sh");
        pack.args(["-c", PACK, "pack"]).args([self.join("root"), self.join("packed.tar.gz")]);
        self.measure(&pack)
    }

    /// Forgets what apkcompose has in its store.
    pub(crate) fn cool(&self) {
        run("rm", &["-rf", &self.join("cache").to_string_lossy(), &self.join("home").to_string_lossy()]);
    }

    /// Measures one build of an output of `kind` from `mirror`, with the store as it is.
    pub(crate) fn build(&self, kind: &str, mirror: &str) -> Result<Figures, String> {
        self.build_of(&profile_over(mirror), kind, &["--scripts", "skip", "--quiet"])
    }

    /// Measures one build of `profile` to an output of `kind`, with the store as it is.
    pub(crate) fn build_of(&self, profile: &str, kind: &str, options: &[&str]) -> Result<Figures, String> {
        let (mut build, output) = self.command_of(profile, kind);
        run("rm", &["-f", &output.to_string_lossy()]);
        let figures = self.measure(build.args(options))?;
        if output.is_file() { Ok(figures) } else { Err(format!("{build:?} wrote no {}", output.display())) }
    }

    /// What `--format json` prints of a build of `profile`.
    pub(crate) fn report_of(&self, profile: &str) -> String {
        let (mut build, _) = self.command_of(profile, "archive");
        let output = build.args(["--quiet", "--format", "json"]).output();
        let output = output.unwrap_or_else(|error| panic!("{build:?}: {error}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command_of(&self, profile: &str, kind: &str) -> (Command, PathBuf) {
        let [path, output, home] = ["bench.toml", "bench.tar", "home"].map(|name| self.join(name));
        files::create_dir(&home);
        files::write(&path, profile.as_bytes());
        let mut build = Command::new(BINARY);
        build.args(["build", "--profile"]).arg(path).arg("--cache-dir").arg(self.join("cache"));
        build.arg("--output").arg(format!("type={kind},dest={}", output.display()));
        build.env("HOME", home).env_remove("XDG_CACHE_HOME");
        (build, output)
    }

    /// Measures `command`.
    pub(crate) fn measure(&self, command: &Command) -> Result<Figures, String> {
        measure(command, &self.join("notes"))
    }

    /// `name` in the directory.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// How many packages the root has more than the minirootfs, and how large the tar is that gzip got, in units of
    /// 1,000,000 bytes.
    pub(crate) fn sizes(&self) -> (usize, u64) {
        let count = |database: &str| database.lines().filter(|line| line.starts_with("P:")).count();
        let installed = count(&files::read_text(&self.join(INSTALLED)));
        let of_base = count(&output_of("tar", &["-xOzf", &self.minirootfs(), "./lib/apk/db/installed"]));
        let packed = self.join("packed.tar.gz");
        let bytes = output_of("sh", &["-c", "gzip -dc \"$1\" | wc -c", "sh", &packed.to_string_lossy()]);
        let bytes: u64 = bytes.trim().parse().expect("wc prints a number");
        (installed - of_base, bytes / 1_000_000)
    }

    fn minirootfs(&self) -> String {
        self.alpine.minirootfs("x86_64").to_string_lossy().into_owned()
    }
}

/// What `apk add` is asked for, as a profile over `mirror`.
fn profile_over(mirror: &str) -> String {
    format!(
        "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nmirror = [{mirror:?}]\nbase-trust = \"checksum\"\n\
         repositories = [\"main\", \"community\"]\nupgrade = false\n\n[packages]\nruntime = {PACKAGES:?}\n"
    )
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} {arguments:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `program`, which must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).current_dir(Path::new("/")).status();
    let succeeded = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    assert!(succeeded, "{program} {arguments:?}: {status:?}");
}
