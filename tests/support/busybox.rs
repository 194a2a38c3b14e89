//! The BusyBox of the minirootfs 3.19.4 as an oracle: scripts run by it, one after another, in a chroot.
//!
//! ```text
//! let mut busybox = Busybox::start(&alpine);
//! let status = busybox.run(b"#!/bin/sh\naddgroup -S a\n");
//! ```
//!
//! What is in the root is the caller's to set back between two runs. Nothing is mounted, and all of it is gone
//! when dropped.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::command::Dir;
use super::data::Alpine;
use super::files;

/// Runs a copy of the script for every line it reads, and writes its exit code.
///
/// What this process writes cannot always be executed: while another of its threads starts a program, that one has the
/// file open for writing for a moment, too. Nobody shares files with `cp`.
const SESSION: &str = "while read -r _; do cp /.text /.script && /.script 1.0-r0 </dev/null >/dev/null 2>&1; \
    echo $?; done";
/// Where the text is that is copied, from the root.
const TEXT: &str = ".text";
/// Where the script is, from the root.
const SCRIPT: &str = ".script";

/// A root with a shell in it that runs scripts.
#[derive(Debug)]
pub(crate) struct Busybox {
    dir: Dir,
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Busybox {
    /// The minirootfs, with a `/dev/null`.
    pub(crate) fn start(alpine: &Alpine) -> Self {
        let dir = Dir::new();
        let root = dir.join("root");
        files::create_dir(&root);
        let status = Command::new("tar")
            .arg("-C")
            .arg(&root)
            .args(["--numeric-owner", "-xpf"])
            .arg(alpine.minirootfs("x86_64"))
            .status();
        assert!(status.expect("tar").success(), "the minirootfs cannot be unpacked");
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, root.join("dev/null"), FileType::CharacterDevice, mode, makedev(1, 3))
            .expect("a device of root's");
        let mut command = Command::new("chroot");
        command.arg(&root).args(["/bin/sh", "-c", SESSION]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run chroot: {error}"));
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("a piped output"));
        Self { dir, child, requests, answers }
    }

    /// Where its root is.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Runs the script as apk runs those of packages, and returns its exit code.
    pub(crate) fn run(&mut self, script: &[u8]) -> i32 {
        let text = self.root().join(TEXT);
        files::write(&text, script);
        fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).expect("a file of ours");
        let requests = self.requests.as_mut().expect("an open session");
        writeln!(requests).expect("a session that listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("an answer in UTF-8");
        for file in [TEXT, SCRIPT] {
            fs::remove_file(self.root().join(file)).expect("a file of ours");
        }
        answer.trim().parse().expect("an exit code")
    }
}

impl Drop for Busybox {
    fn drop(&mut self) {
        // It ends when nothing more can be asked.
        self.requests = None;
        // Nothing can be done about a child that cannot be waited for.
        let _ = self.child.wait();
    }
}
