//! The ways in which scripts are shut in, as users meet them, and a build in each with a script that means harm.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use apkcompose::apk::package::ScriptKind;
use apkcompose::apk::write_package::PackageFileKind;
use apkcompose::content::Content;

use super::attacker;
use super::host::{self, Host};
use crate::made;
use crate::support::command::{BINARY, Dir, Outcome, TestCommand};
use crate::support::data::Alpine;
use crate::support::files;
use crate::support::listing::Listing;
use crate::trees::workshop::{Package, package};

/// Who has no name on most systems, and no subordinate ids.
const NOBODY: u32 = 65_534;

/// The loader that programs of the usual C library are linked with, as this one is where it is tested.
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

/// How somebody composes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As root, as it comes.
    Auto,
    /// As root, in namespaces.
    Root,
    /// As an ordinary user without subordinate ids.
    User,
    /// As root, where user namespaces are forbidden.
    Forbidden,
    /// As root, by chroot.
    Chroot,
}

pub(super) const MODES: [Mode; 4] = [Mode::Root, Mode::User, Mode::Forbidden, Mode::Chroot];

impl Mode {
    /// Whose files, processes and queues attacks in this mode could reach.
    pub(super) fn user(self) -> u32 {
        match self {
            Self::User => NOBODY,
            Self::Auto | Self::Root | Self::Forbidden | Self::Chroot => 0,
        }
    }

    /// `command` in this mode.
    pub(super) fn of(self, command: TestCommand<'_>) -> TestCommand<'_> {
        match self {
            Self::Auto => command,
            Self::Root => command.args(["--sandbox", "namespaces"]),
            Self::User => command.run_by(NOBODY),
            Self::Forbidden => command.without_user_namespaces(),
            Self::Chroot => command.args(["--sandbox", "chroot"]),
        }
    }
}

/// A build whose one package has a hostile script.
pub(super) struct Attack {
    pub(super) mode: Mode,
    pub(super) host: Host,
    /// The package's name, which no other has.
    pub(super) package: String,
    pub(super) dir: Dir,
    base: PathBuf,
    seconds: u32,
    has_filled_store: bool,
}

/// What came of an attack.
pub(super) struct Attacked {
    pub(super) outcome: Outcome,
    pub(super) dir: Dir,
    pub(super) took: Duration,
    described: String,
}

impl Attack {
    /// A build in `mode` over the minirootfs, whose script is `text`; in it `ATTACKER` is the attacking program and
    /// `HOST` what it is told.
    pub(super) fn new(alpine: &Alpine, mode: Mode, text: &str) -> Self {
        let host = Host::new(mode.user());
        let name = format!("hostile-{}", host.marker);
        let text = text.replace("ATTACKER", "/usr/bin/attacker").replace("HOST", &host.told());
        let program = PackageFileKind::File(Content::of_bytes(attacker::program()));
        let hostile = package(&name).entry("usr/bin/attacker", program, 0o755);
        Self::with(
            alpine,
            mode,
            host,
            &hostile.script(ScriptKind::PostInstall, &format!("#!/bin/sh\n{text}\n")),
        )
    }

    /// A build in `mode` over the minirootfs of a package whose script is run by `interpreter`, and who brings the loader
    /// of the helper.
    pub(super) fn by_loader(alpine: &Alpine, mode: Mode, interpreter: &str) -> Self {
        let host = Host::new(mode.user());
        let loader = PackageFileKind::File(Content::of_bytes(attacker::loader()));
        let hostile = package(&format!("hostile-{}", host.marker)).entry(LOADER, loader, 0o755);
        Self::with(
            alpine,
            mode,
            host,
            &hostile.script(ScriptKind::PostInstall, &format!("#!{interpreter}\n")),
        )
    }

    fn with(alpine: &Alpine, mode: Mode, host: Host, hostile: &Package) -> Self {
        let name = format!("hostile-{}", host.marker);
        let hostile = hostile.made();
        let dir = Dir::new();
        made::repository(&dir.join("repository"), "hostile", &[&hostile], made::key());
        files::write(&dir.join("test.rsa.pub"), made::key().public_key().pem());
        Self {
            mode,
            host,
            package: name,
            dir,
            base: alpine.minirootfs("x86_64"),
            seconds: 60,
            has_filled_store: false,
        }
    }

    /// With another time that a script may take.
    pub(super) fn seconds(mut self, seconds: u32) -> Self {
        self.seconds = seconds;
        self
    }

    /// With a store that has everything already, so that it is as it was before.
    pub(super) fn with_filled_store(mut self) -> Self {
        self.command().args(["--scripts", "skip"]).success();
        std::fs::remove_file(self.dir.join("tree.tar")).unwrap();
        self.has_filled_store = true;
        self
    }

    /// The directories and files that it takes.
    pub(super) fn files(&self) -> [PathBuf; 2] {
        self.write_profile();
        [self.dir.path(), self.base.clone()]
    }

    fn write_profile(&self) {
        let profile = format!(
            "[alpine]\nbase = '{}'\nrepositories = ['{}']\nkeys = ['{}']\narch = ['x86_64']\n\
             [packages]\nruntime = ['{}']\n[image]\nlock-root = false\n",
            self.base.display(),
            self.dir.join("repository").display(),
            self.dir.join("test.rsa.pub").display(),
            self.package
        );
        self.dir.write("p.toml", profile);
    }

    /// What composes.
    pub(super) fn command(&self) -> TestCommand<'_> {
        self.write_profile();
        let command = self
            .dir
            .command()
            .args(["--profile", "p.toml", "--output", "type=tar,dest=tree.tar"])
            .args(["--script-timeout", &self.seconds.to_string()])
            .env("SECRET", format!("secret-{}", self.host.marker));
        self.mode.of(command)
    }

    /// The program that makes calls fail for another one.
    pub(super) fn refuser(&self) -> PathBuf {
        let path = self.dir.home().join("refuser");
        // By another process: what this one has open to write, others that it starts meanwhile have too, and the kernel
        // then executes it for nobody.
        let mut writer = Command::new("sh")
            .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writer.stdin.take().unwrap().write_all(attacker::program()).unwrap();
        assert!(writer.wait().unwrap().success());
        path
    }

    /// Builds. The system must be as it was, and nothing left.
    pub(super) fn run(self) -> Attacked {
        self.run_under(&[])
    }

    /// The same, run by another program.
    pub(super) fn run_under(mut self, under: &[&OsStr]) -> Attacked {
        let command = self.command().under(under);
        let programs = [
            PathBuf::from(BINARY),
            self.dir.path().with_file_name("apkcompose"),
            self.dir.home().join("refuser"),
        ];
        let mut watched: Vec<PathBuf> = programs.into_iter().filter(|program| program.exists()).collect();
        watched.extend(["p.toml", "repository", "test.rsa.pub"].map(|name| self.dir.join(name)));
        if self.has_filled_store {
            watched.push(self.dir.cache());
        }
        let state = || watched.iter().flat_map(|path| host::described(path)).collect::<BTreeMap<_, _>>();
        let places = || [BINARY.as_ref(), self.dir.path().as_path(), &self.dir.cache()].map(place_of);
        let before = (state(), places());
        let begun = Instant::now();
        let outcome = command.run();
        let took = begun.elapsed();
        let described = format!("{:?}: {outcome}", self.mode);
        let after = (state(), places());
        assert!(before == after, "{described}\nbefore: {before:#?}\nafter: {after:#?}");
        self.host.assert_untouched(&self.package, &described);
        let mut left = self.dir.names();
        left.retain(|name| !["p.toml", "repository", "test.rsa.pub", "tree.tar"].contains(&name.as_str()));
        assert_eq!(left, Vec::<String>::new(), "left behind: {described}");
        Attacked { outcome, dir: self.dir, took, described }
    }
}

/// The mode and owner of the directory that `path` is in.
fn place_of(path: &Path) -> (u32, u32, u32) {
    let it = std::fs::metadata(path.parent().unwrap()).unwrap();
    (it.mode(), it.uid(), it.gid())
}

impl Attacked {
    /// It ended with `code` and said `words`, if any.
    #[track_caller]
    pub(super) fn ends_with(&self, code: i32, words: &str) -> &Self {
        assert_eq!(self.outcome.code(), Some(code), "{}", self.described);
        assert!(self.outcome.stderr_text().contains(words), "{words} is not said: {}", self.described);
        self
    }

    /// It took no longer than `seconds`.
    #[track_caller]
    pub(super) fn within(&self, seconds: u64) -> &Self {
        assert!(self.took <= Duration::from_secs(seconds), "{:?}: {}", self.took, self.described);
        self
    }

    /// What was made.
    pub(super) fn tree(&self) -> Listing {
        assert_eq!(self.outcome.code(), Some(0), "{}", self.described);
        Listing::of_tar_file(&self.dir.join("tree.tar"))
    }

    /// What the attacker reported in the file `report`, which must have come to its end.
    pub(super) fn report(&self) -> String {
        let report = self.tree().text("report").to_owned();
        assert!(
            report.lines().last().is_some_and(|line| line.starts_with("end")),
            "{}\n{report}",
            self.described
        );
        report
    }
}
