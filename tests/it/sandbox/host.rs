//! The system outside the sandbox: what an attack is aimed at, and whether it is as it was.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use apkcompose::digest::Sha256;

use crate::support::command::Dir;
use crate::support::files;

/// Devices that programs are given, and the permissions that they have on any system.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// The kernel's settings that root could change.
const SETTINGS: [&str; 3] =
    ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/modprobe"];
/// How long what was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an attack is aimed at.
pub(super) struct Host {
    /// A word that nobody inside may ever see, and that names what this host started.
    pub(super) marker: String,
    place: Dir,
    victim: Child,
    listener: UnixDatagram,
    queues: Vec<(char, String)>,
    before: String,
}

impl Host {
    /// A host with a file, a process of the user `user`, a listener and queues to reach for.
    pub(super) fn new(user: u32) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let marker = format!("m{}x{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let place = Dir::new();
        place.write("canary", format!("secret {marker}\n"));
        for path in [place.path(), place.join("canary")] {
            std::os::unix::fs::chown(&path, Some(user), Some(user)).unwrap();
        }
        let above = place.path();
        fs::set_permissions(above.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        let victim = Command::new("setpriv")
            .args([format!("--reuid={user}"), format!("--regid={user}")])
            .args(["--clear-groups", "sleep", "1000"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&marker).unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let queues = [("--queue", 'q'), ("--shmem=4096", 'm'), ("--semaphore=1", 's')]
            .map(|(option, kind)| (kind, made_queue(option)));
        let mut host = Self { marker, place, victim, listener, queues: queues.into(), before: String::new() };
        host.before = host.state();
        host
    }

    /// The file that nobody inside may touch.
    pub(super) fn canary(&self) -> PathBuf {
        self.place.join("canary")
    }

    /// What an attacker is told of the host, as its arguments.
    pub(super) fn told(&self) -> String {
        let mut told = format!(
            "victim={} canary={} marker={} abstract={} mq={}",
            self.victim.id(),
            self.canary().display(),
            self.marker,
            self.marker,
            self.marker
        );
        for (kind, number) in &self.queues {
            let name = match kind {
                'q' => "msg",
                'm' => "shm",
                _ => "sem",
            };
            write!(told, " {name}={number}").unwrap();
        }
        let disk = fs::metadata(self.place.path()).unwrap().dev();
        for kind in files::names(Path::new("/proc/self/ns")) {
            let namespace = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            write!(told, " ns-{kind}={}", namespace.display()).unwrap();
        }
        write!(told, " disk-major={} disk-minor={}", rustix::fs::major(disk), rustix::fs::minor(disk))
            .unwrap();
        told
    }

    /// That everything is as it was, and nothing of `package`'s script goes on.
    pub(super) fn assert_untouched(&mut self, package: &str, what: &str) {
        let after = self.state();
        // Before anything fails: others need them.
        restore_devices();
        assert_eq!(self.before, after, "{what}");
        assert_eq!(self.victim.try_wait().unwrap(), None, "the process outside was ended: {what}");
        let heard = self.listener.recv(&mut [0; 64]).map_err(|error| error.kind());
        assert_eq!(heard, Err(std::io::ErrorKind::WouldBlock), "{what}");
        assert_eq!(processes_of(package), Vec::<String>::new(), "{what}");
        let mounts = files::read_text(Path::new("/proc/self/mountinfo"));
        assert!(!mounts.contains("workroot") && !mounts.contains(".sandbox"), "{what}\n{mounts}");
    }

    /// What can be said of it.
    fn state(&self) -> String {
        let mut state = String::new();
        for device in DEVICES {
            let it = fs::metadata(format!("/dev/{device}")).unwrap();
            // What is written to a terminal changes its time.
            let time = if device == "tty" || device.contains("random") { 0 } else { it.mtime() };
            writeln!(state, "{device} {:o} {}:{} {time}", it.mode(), it.uid(), it.gid()).unwrap();
        }
        for path in [self.place.path(), self.canary()] {
            let it = fs::metadata(&path).unwrap();
            let (mode, links) = (it.mode(), it.nlink());
            writeln!(state, "{mode:o} {}:{} {} {links}", it.uid(), it.gid(), it.mtime_nsec()).unwrap();
        }
        writeln!(state, "{} {:?}", files::read_text(&self.canary()), files::names(&self.place.path()))
            .unwrap();
        for setting in SETTINGS {
            state.push_str(&fs::read_to_string(setting).unwrap_or_default());
        }
        let process = files::read_text(&PathBuf::from(format!("/proc/{}/stat", self.victim.id())));
        let nice = process.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().to_owned();
        writeln!(state, "nice {nice}").unwrap();
        for (kind, number) in &self.queues {
            let there = Command::new("ipcs").args([format!("-{kind}"), "-i".into(), number.clone()]).output();
            writeln!(state, "{kind} {}", there.unwrap().status.success()).unwrap();
        }
        state
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for (kind, number) in &self.queues {
            let _ = Command::new("ipcrm").args([format!("-{kind}"), number.clone()]).status();
        }
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

/// The number of a new queue, piece of memory or set of semaphores.
fn made_queue(option: &str) -> String {
    let made = Command::new("ipcmk").arg(option).output().unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    text.split_whitespace().last().unwrap_or_else(|| panic!("ipcmk {option} says nothing")).to_owned()
}

/// What can be said of everything at `path`, a line each: its mode, owner, times and content. A directory that others
/// write to has a name and no time.
pub(super) fn described(path: &Path) -> BTreeMap<PathBuf, String> {
    let mut described = BTreeMap::new();
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        let it = fs::symlink_metadata(&path).unwrap();
        let owned = format!("{:o} {}:{}", it.mode(), it.uid(), it.gid());
        let line = if it.is_file() {
            let times = format!("{}.{} {}.{}", it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec());
            format!("{owned} {times} {}", Sha256::of(&files::read(&path)).to_hex())
        } else {
            owned
        };
        if it.is_dir() {
            left.extend(files::names(&path).into_iter().map(|name| path.join(name)));
        }
        described.insert(path, line);
    }
    described
}

/// Gives the system's devices the permissions back that they have everywhere.
fn restore_devices() {
    for device in DEVICES {
        let path = format!("/dev/{device}");
        let it = fs::metadata(&path).unwrap();
        if it.mode() & 0o7777 != 0o666 {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        }
    }
}

/// The environment of a process; nothing if it is gone.
fn environment_of(number: &str) -> Vec<u8> {
    let mut environment = Vec::new();
    let read = fs::File::open(format!("/proc/{number}/environ"))
        .and_then(|mut file| file.read_to_end(&mut environment));
    drop(read);
    environment
}

/// The processes that have the name of `package` in their environment, as scripts of it do.
pub(super) fn processes_of(package: &str) -> Vec<String> {
    let wanted = format!("APK_PACKAGE={package}");
    let mut found = Vec::new();
    for number in files::names(Path::new("/proc")).into_iter().filter(|name| name.parse::<u32>().is_ok()) {
        let environment = environment_of(&number);
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            found.push(number);
        }
    }
    found
}

/// Waits until no process of `package` is there any more.
pub(super) fn wait_until_gone(package: &str) {
    let begun = Instant::now();
    while !processes_of(package).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "still there: {:?}", processes_of(package));
        std::thread::sleep(Duration::from_millis(20));
    }
}
