//! A private containerd and its client `ctr`: a daemon with its own socket and directories, ended with the test
//! that started it.
//!
//! Nothing is run in it; it is asked what it makes of an archive. Layers are unpacked by its `native`
//! snapshotter, which needs nothing of the kernel.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::docker::{json, text_of};
use super::files;
use super::need::{self, Missing};

/// How long the daemon may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running containerd.
#[derive(Debug)]
pub(crate) struct Containerd {
    daemon: Child,
    client: PathBuf,
    directory: TempDir,
}

/// An image as `ctr images ls` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its full name.
    pub(crate) name: String,
    /// What the name stands for.
    pub(crate) media_type: String,
    /// The digest of that, with `sha256:`.
    pub(crate) digest: String,
    /// For which machines there is an image.
    pub(crate) platforms: Vec<String>,
}

impl Containerd {
    /// A new containerd, which has nothing.
    pub(crate) fn start() -> Result<Self, Missing> {
        need::find_root()?;
        let lacking = |Missing(what): Missing| Missing(format!("containerd ({what})"));
        let program = need::find_program("containerd").map_err(lacking)?;
        let client = need::find_program("ctr").map_err(lacking)?;
        let setpriv = need::find_program("setpriv").map_err(lacking)?;
        let temporary = tempfile::Builder::new().prefix("apkcompose-containerd-").tempdir();
        let directory = temporary.unwrap_or_else(|error| panic!("cannot make a directory: {error}"));
        let at = |name: &str| directory.path().join(name);
        let config = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{}\"\n[ttrpc]\naddress = \"{}\"\n",
            at("root").display(),
            at("state").display(),
            at("socket").display(),
            at("socket.ttrpc").display(),
        );
        files::write(&at("config.toml"), config.as_bytes());
        let notices =
            UnixDatagram::bind(at("notify")).unwrap_or_else(|error| panic!("cannot bind a socket: {error}"));
        let log = File::create(at("log")).unwrap_or_else(|error| panic!("cannot create a log: {error}"));
        let daemon = Command::new(setpriv)
            // Whoever ends this process without asking ends the daemon too.
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .arg("--config")
            .arg(at("config.toml"))
            .env("NOTIFY_SOCKET", at("notify"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // What the terminal interrupts is the test process, not this one.
            .process_group(0)
            .spawn()
            .map_err(|error| Missing(format!("containerd ({error})")))?;
        let mut started = Self { daemon, client, directory };
        started.wait(&notices)?;
        Ok(started)
    }

    /// Waits until the daemon says that it is ready, in the way systemd defines (`sd_notify`).
    fn wait(&mut self, notices: &UnixDatagram) -> Result<(), Missing> {
        notices.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout that is not zero");
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            match notices.recv(&mut [0; 4096]) {
                Ok(_) if self.ctr(&["version"]).status.success() => return Ok(()),
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    panic!("containerd's notices: {error}")
                }
                _ if self.daemon.try_wait().is_ok_and(|ended| ended.is_some()) => break,
                _ => {}
            }
        }
        let log = files::read_text(&self.directory.path().join("log"));
        let last: Vec<_> = log.lines().rev().take(5).collect();
        Err(Missing(format!("containerd (it did not start: {})", last.join(" / "))))
    }

    /// Runs `ctr` with `arguments`.
    fn ctr(&self, arguments: &[&str]) -> Output {
        Command::new(&self.client)
            .arg("--address")
            .arg(self.directory.path().join("socket"))
            .args(["--namespace", "test"])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run ctr: {error}"))
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        text_of(&format!("ctr {arguments:?}"), self.ctr(arguments))
    }

    /// Imports the archive at `path` for this machine and unpacks its layers, which checks them.
    pub(crate) fn import(&self, path: &Path) {
        self.succeeds(&["images", "import", "--snapshotter", "native", &path.to_string_lossy()]);
    }

    /// Imports the archive at `path` for every machine it has an image for, without unpacking.
    pub(crate) fn import_all(&self, path: &Path) {
        self.succeeds(&["images", "import", "--all-platforms", "--no-unpack", &path.to_string_lossy()]);
    }

    /// The images it knows.
    pub(crate) fn images(&self) -> Vec<Known> {
        let text = self.succeeds(&["images", "ls"]);
        let known = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // REF TYPE DIGEST SIZE UNIT PLATFORMS LABELS
            let [name, media_type, digest, _, _, platforms, ..] = words.as_slice() else {
                panic!("ctr images ls says {line}")
            };
            Known {
                name: (*name).to_owned(),
                media_type: (*media_type).to_owned(),
                digest: (*digest).to_owned(),
                platforms: platforms.split(',').map(str::to_owned).collect(),
            }
        };
        text.lines().skip(1).map(known).collect()
    }

    /// The JSON in the blob with `digest`, which begins with `sha256:`, as it was ingested.
    pub(crate) fn blob(&self, digest: &str) -> Value {
        json(&self.succeeds(&["content", "get", digest]))
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // By its own id; nothing can be done about a failure.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
