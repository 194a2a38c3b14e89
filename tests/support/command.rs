//! Running apkcompose as a user does: in a directory of its own, with a clean environment.
//!
//! ```text
//! let dir = Dir::new();
//! dir.write("p.toml", "...");
//! let outcome = dir.command().args(["--profile", "p.toml"]).fails_with(3);
//! insta::assert_snapshot!(outcome.stderr_text());
//! ```

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use tempfile::TempDir;

use super::data::Alpine;
use super::files;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_apkcompose");

/// What a clean environment keeps of this process': where programs and libraries are, and where
/// coverage goes.
const KEPT: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"];

/// A temporary directory with a working directory, a home and a cache of its own, gone when dropped.
#[derive(Debug)]
pub(crate) struct Dir {
    temporary: TempDir,
}

impl Dir {
    /// A new directory below the system's temporary one.
    pub(crate) fn new() -> Self {
        Self::made(tempfile::Builder::new().prefix("apkcompose-test-").tempdir())
    }

    /// A new directory below `parent`, for a test that cares on which file system it is.
    pub(crate) fn below(parent: &Path) -> Self {
        Self::made(tempfile::Builder::new().prefix("apkcompose-test-").tempdir_in(parent))
    }

    fn made(temporary: std::io::Result<TempDir>) -> Self {
        let dir =
            Self { temporary: temporary.unwrap_or_else(|error| panic!("cannot make a directory: {error}")) };
        for name in ["work", "home", "cache"] {
            files::create_dir(&dir.temporary.path().join(name));
        }
        // Where the store refuses what others may read.
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(dir.cache(), private)
            .unwrap_or_else(|error| panic!("cannot chmod the cache: {error}"));
        dir
    }

    /// The working directory of the commands.
    pub(crate) fn path(&self) -> PathBuf {
        self.temporary.path().join("work")
    }

    /// The store of the commands.
    pub(crate) fn cache(&self) -> PathBuf {
        self.temporary.path().join("cache")
    }

    /// The home directory of the commands.
    pub(crate) fn home(&self) -> PathBuf {
        self.temporary.path().join("home")
    }

    /// `relative` to the working directory.
    pub(crate) fn join(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.path().join(relative)
    }

    /// Writes a file below the working directory.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(relative);
        files::write(&path, content.as_ref());
        path
    }

    /// Reads a file below the working directory.
    pub(crate) fn read(&self, relative: &str) -> Vec<u8> {
        files::read(&self.join(relative))
    }

    /// The names in the working directory, sorted: what a command left behind.
    pub(crate) fn names(&self) -> Vec<String> {
        files::names(&self.path())
    }

    /// apkcompose, without arguments yet.
    pub(crate) fn command(&self) -> TestCommand<'_> {
        TestCommand::new(self)
    }
}

/// A run of apkcompose in the making.
#[derive(Debug, Clone)]
pub(crate) struct TestCommand<'a> {
    dir: &'a Dir,
    under: Vec<OsString>,
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    working_directory: PathBuf,
    input: Vec<u8>,
}

impl<'a> TestCommand<'a> {
    fn new(dir: &'a Dir) -> Self {
        let mut environment: BTreeMap<OsString, OsString> = KEPT
            .iter()
            .filter_map(|name| std::env::var_os(name).map(|value| (OsString::from(name), value)))
            .collect();
        environment.insert("HOME".into(), dir.home().into());
        environment.insert("XDG_CACHE_HOME".into(), dir.home().join(".cache").into());
        environment.insert("APKCOMPOSE_CACHE_DIR".into(), dir.cache().into());
        environment.insert("TZ".into(), "UTC".into());
        Self {
            dir,
            under: Vec::new(),
            binary: BINARY.into(),
            arguments: Vec::new(),
            environment,
            working_directory: dir.path(),
            input: Vec::new(),
        }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Takes a variable out of the environment, for instance to give `--cache-dir` instead.
    pub(crate) fn without_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.remove(name.as_ref());
        self
    }

    /// Runs in another directory than [`Dir::path`].
    pub(crate) fn current_dir(mut self, path: impl AsRef<Path>) -> Self {
        path.as_ref().clone_into(&mut self.working_directory);
        self
    }

    /// Gives `input` on standard input, which is empty otherwise.
    pub(crate) fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs it by another program: `.under(["unshare", "--net"])`. Of several the last is the outermost.
    pub(crate) fn under<A: AsRef<OsStr>>(mut self, program: impl IntoIterator<Item = A>) -> Self {
        self.under.splice(0..0, program.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Runs it with another umask, as `sh` writes it: `077`.
    pub(crate) fn umask(self, mask: &str) -> Self {
        self.under(["sh", "-c", &format!("umask {mask}; exec \"$@\""), "sh"])
    }

    /// Runs it with the clock `days` on (`faketime`, to be asked for with `need::program`). What the kernel writes
    /// down, such as the times of files, stays as it is.
    pub(crate) fn days_later(self, days: u32) -> Self {
        self.under(["faketime", "-f", &format!("+{days}d")])
    }

    /// Runs it as a root that cannot make user namespaces.
    pub(crate) fn without_user_namespaces(self) -> Self {
        let forbid = "echo 0 >/proc/sys/user/max_user_namespaces; exec \"$@\"";
        self.under(["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh"])
    }

    /// Runs it as user and group `id`, who gets the whole [`Dir`]. Needs root. The binary is copied there,
    /// because the user may not reach the build directory.
    pub(crate) fn run_by(mut self, id: u32) -> Self {
        let copy = self.dir.temporary.path().join("apkcompose");
        // By another process: what this one has open to write, others that it starts meanwhile have too, and the kernel
        // then executes it for nobody.
        let copied = Command::new("cp").arg(BINARY).arg(&copy).status();
        assert!(copied.is_ok_and(|status| status.success()), "cannot copy {BINARY}");
        give(self.dir.temporary.path(), id);
        self.binary = copy;
        let setpriv = [
            "setpriv".to_owned(),
            format!("--reuid={id}"),
            format!("--regid={id}"),
            "--clear-groups".to_owned(),
        ];
        self.under(setpriv)
    }

    /// The command itself, for a test that does more than wait for its end.
    pub(crate) fn to_command(&self) -> Command {
        let mut words = self.under.iter().map(OsString::as_os_str).chain([self.binary.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_else(|| OsStr::new(BINARY)));
        command.args(words).args(&self.arguments);
        command.env_clear().envs(&self.environment).current_dir(&self.working_directory);
        command
    }

    /// Runs it, whatever comes out.
    pub(crate) fn run(self) -> Outcome {
        let described = self.to_string();
        let mut child = self
            .to_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {described}: {error}"));
        let stdin = child.stdin.take();
        let input = self.input;
        // From a thread of its own: the command may fill its output before it reads its input.
        let feeder = thread::spawn(move || {
            // A command that does not read its input is no failure of the test.
            stdin.map(|mut stdin| stdin.write_all(&input))
        });
        let output =
            child.wait_with_output().unwrap_or_else(|error| panic!("cannot wait for {described}: {error}"));
        drop(feeder.join());
        Outcome { described, output, dir: self.dir.temporary.path().to_owned() }
    }

    /// Runs it; it must succeed.
    pub(crate) fn success(self) -> Outcome {
        self.fails_with(0)
    }

    /// Runs it; it must end with the exit code `code`.
    pub(crate) fn fails_with(self, code: i32) -> Outcome {
        let outcome = self.run();
        assert_eq!(outcome.code(), Some(code), "the exit code of {outcome}");
        outcome
    }
}

impl std::fmt::Display for TestCommand<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = self.under.iter().map(OsString::as_os_str).chain([self.binary.as_os_str()]);
        let words: Vec<_> =
            words.chain(self.arguments.iter().map(OsString::as_os_str)).map(OsStr::to_string_lossy).collect();
        f.write_str(&words.join(" "))
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    described: String,
    output: Output,
    dir: PathBuf,
}

impl Outcome {
    /// The exit code; none if a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// The bytes on standard output.
    pub(crate) fn stdout(&self) -> &[u8] {
        &self.output.stdout
    }

    /// Standard output as text, ready for a snapshot (see [`normalised`]).
    pub(crate) fn stdout_text(&self) -> String {
        self.normal(&self.output.stdout)
    }

    /// Standard output as JSON: what `--format json` prints.
    pub(crate) fn stdout_json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.output.stdout).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// Standard error as text, ready for a snapshot (see [`normalised`]).
    pub(crate) fn stderr_text(&self) -> String {
        self.normal(&self.output.stderr)
    }

    fn normal(&self, bytes: &[u8]) -> String {
        normalised(&String::from_utf8_lossy(bytes), &self.dir)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { described, output, .. } = self;
        writeln!(f, "{described} ({})", output.status)?;
        writeln!(f, "--- standard error\n{}", String::from_utf8_lossy(&output.stderr))?;
        // Binary output would bury the words.
        match std::str::from_utf8(&output.stdout) {
            Ok(text) => write!(f, "--- standard output\n{text}"),
            Err(_) => write!(f, "--- standard output: {} bytes that are no text", output.stdout.len()),
        }
    }
}

/// `text` with what differs from machine to machine named instead: `[DIR]` for the [`Dir`] (its working
/// directory, home and cache are `[DIR]/work`, `[DIR]/home`, `[DIR]/cache`), `[ALPINE]` for the Alpine data
/// and `[CRATE]` for the checkout.
pub(crate) fn normalised(text: &str, dir: &Path) -> String {
    let alpine = Alpine::find().ok().map(|alpine| (alpine.root().to_owned(), "[ALPINE]"));
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places =
        [(dir.to_owned(), "[DIR]")].into_iter().chain(alpine).chain([(checkout.to_owned(), "[CRATE]")]);
    places.fold(text.to_owned(), |text, (path, name)| text.replace(&*path.to_string_lossy(), name))
}

/// Makes `id` owner and group of `path` and what is below.
fn give(path: &Path, id: u32) {
    let kind = fs::symlink_metadata(path)
        .unwrap_or_else(|error| panic!("cannot look at {}: {error}", path.display()));
    if kind.is_symlink() {
        return;
    }
    chown(path, Some(id), Some(id))
        .unwrap_or_else(|error| panic!("cannot chown {}: {error}", path.display()));
    if kind.is_dir() {
        for name in files::names(path) {
            give(&path.join(name), id);
        }
    }
}
