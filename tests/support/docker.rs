//! A private Docker Engine: one for the test process, started at the first use, without a network, gone
//! when the process is, however that ends (`docker.sh`).
//!
//! Tests share it and run side by side, so each names its images after itself.
//!
//! Source: the specification of images, "Docker Engine for tests".

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::files;
use super::need::{self, Missing};

/// What runs the engine.
const SCRIPT: &str = include_str!("docker.sh");
/// How long the engine may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running Docker Engine.
#[derive(Debug)]
pub(crate) struct Engine {
    directory: PathBuf,
    client: PathBuf,
    /// Holds the pipe whose end is the engine's end; never dropped, since the engine is a static.
    _keeper: Child,
}

/// The engine of this process, started if it is not running yet; or what it lacks.
pub(crate) fn engine() -> Result<&'static Engine, Missing> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    ENGINE
        .get_or_init(|| Engine::start().map_err(|Missing(what)| what))
        .as_ref()
        .map_err(|what| Missing(what.clone()))
}

impl Engine {
    fn start() -> Result<Self, Missing> {
        need::find_root()?;
        let lacking = |Missing(what): Missing| Missing(format!("docker ({what})"));
        need::find_program("dockerd").map_err(lacking)?;
        need::find_namespace("mount", "--mount").map_err(lacking)?;
        let client = need::find_program("docker")?;

        let temporary = tempfile::Builder::new().prefix("apkcompose-docker-").tempdir();
        let directory = temporary.unwrap_or_else(|error| panic!("cannot make a directory: {error}")).keep();
        let socket = directory.join("notify");
        let notices =
            UnixDatagram::bind(&socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        let keeper = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "sh",
                "-c",
                SCRIPT,
                "docker.sh",
            ])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What the terminal interrupts is the test process, not this one.
            .process_group(0)
            .spawn()
            .map_err(|error| Missing(format!("docker (unshare: {error})")))?;
        let engine = Self { directory, client, _keeper: keeper };
        engine.wait(&notices)?;
        Ok(engine)
    }

    /// Waits until the engine answers. It says when it is ready, as does its containerd, in the way systemd
    /// defines (`sd_notify`); after each such notice it is asked.
    fn wait(&self, notices: &UnixDatagram) -> Result<(), Missing> {
        notices.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout that is not zero");
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let mut notice = [0; 4096];
            match notices.recv(&mut notice) {
                Ok(_) if self.docker(&["version"]).status.success() => return Ok(()),
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    panic!("the engine's notices: {error}")
                }
                _ if self.directory.join("log").exists() && self.has_ended() => break,
                _ => {}
            }
        }
        let log = files::read_text(&self.directory.join("log"));
        let last: Vec<_> = log.lines().rev().take(5).collect();
        Err(Missing(format!("docker (dockerd did not start: {})", last.join(" / "))))
    }

    /// Whether the daemon said its last word.
    fn has_ended(&self) -> bool {
        let log = files::read_text(&self.directory.join("log"));
        log.contains("failed to start daemon") || log.contains("failed to load listeners")
    }

    /// The client with `arguments`, not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.client);
        command
            .env("DOCKER_HOST", format!("unix://{}/docker.sock", self.directory.display()))
            .env("DOCKER_CONFIG", self.directory.join("config"))
            .env_remove("DOCKER_CONTEXT")
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs the client with `arguments`.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap_or_else(|error| panic!("cannot run docker: {error}"))
    }

    /// Runs the client with `arguments`, which must succeed, and gives its standard output.
    fn succeeds(&self, arguments: &[&str]) -> String {
        text_of(&format!("docker {arguments:?}"), self.docker(arguments))
    }

    /// Loads the archive at `path` and gives the names it says it loaded.
    pub(crate) fn load(&self, path: &Path) -> Vec<String> {
        let said = self.succeeds(&["load", "--input", &path.to_string_lossy()]);
        let named = |line: &str| {
            line.split_once("Loaded image")
                .and_then(|(_, rest)| rest.split_once(": ").map(|(_, name)| name.to_owned()))
        };
        said.lines().filter_map(named).collect()
    }

    /// Makes the image `name` from the tar of a root filesystem at `path`, compressed or not, which it gets on
    /// standard input. Gives the image's identity.
    pub(crate) fn import(&self, path: &Path, name: &str) -> String {
        let tar = File::open(path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
        let done = self.command(&["import", "-", name]).stdin(tar).output();
        text_of("docker import", done.unwrap_or_else(|error| panic!("cannot run docker: {error}")))
            .trim()
            .to_owned()
    }

    /// Builds the image `name` from the directory `context`, as a builder does that is not `BuildKit`, without a
    /// network.
    pub(crate) fn build(&self, context: &Path, name: &str) {
        let mut command =
            self.command(&["build", "--network", "none", "--tag", name, &context.to_string_lossy()]);
        let done = command.env("DOCKER_BUILDKIT", "0").output();
        text_of("docker build", done.unwrap_or_else(|error| panic!("cannot run docker: {error}")));
    }

    /// Writes the root filesystem of a new container of `image` to `path` as a tar: its layers put over one
    /// another, and what the engine itself puts there.
    pub(crate) fn export(&self, image: &str, path: &Path) {
        let container = self.succeeds(&["create", "--network", "none", image, "nothing"]);
        self.succeeds(&["export", "--output", &path.to_string_lossy(), container.trim()]);
        self.succeeds(&["rm", container.trim()]);
    }

    /// What `docker load` says of the archive at `path`, which it must refuse.
    pub(crate) fn refuses(&self, path: &Path) -> String {
        let done = self.docker(&["load", "--input", &path.to_string_lossy()]);
        assert!(!done.status.success(), "docker loads {}", path.display());
        String::from_utf8_lossy(&done.stderr).into_owned()
    }

    /// Runs `arguments` in a new container of `image`, without a network, with `options` of `docker run` before the
    /// image's name. Gives what it came to, whether or not it succeeded.
    pub(crate) fn run(&self, image: &str, arguments: &[&str], options: &[&str]) -> Output {
        let words =
            ["run", "--rm", "--network", "none"].iter().chain(options).chain([&image]).chain(arguments);
        self.docker(&words.copied().collect::<Vec<_>>())
    }

    /// Runs `arguments` in a new container of `image`, which must succeed, and gives their standard output.
    pub(crate) fn run_text(&self, image: &str, arguments: &[&str]) -> String {
        text_of(&format!("{image} {arguments:?}"), self.run(image, arguments, &[]))
    }

    /// What the engine knows about `image`.
    pub(crate) fn inspect(&self, image: &str) -> Value {
        let all = json(&self.succeeds(&["image", "inspect", image]));
        all.get(0).unwrap_or_else(|| panic!("docker knows no {image}")).clone()
    }

    /// The rows of `docker history`, newest first.
    pub(crate) fn history(&self, image: &str) -> Vec<Value> {
        self.succeeds(&["history", "--no-trunc", "--format", "{{json .}}", image]).lines().map(json).collect()
    }

    /// Writes `image` to `path` as `docker save` does.
    pub(crate) fn save(&self, image: &str, path: &Path) {
        self.succeeds(&["save", "--output", &path.to_string_lossy(), image]);
    }

    /// The size of `image` in bytes, uncompressed, as the engine counts it.
    pub(crate) fn size(&self, image: &str) -> u64 {
        self.inspect(image)["Size"].as_u64().unwrap_or_else(|| panic!("{image} has no size"))
    }
}

/// The standard output of `what`, which must have succeeded.
pub(crate) fn text_of(what: &str, output: Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}: {words}", output.status);
    String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// `text` as JSON.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}
