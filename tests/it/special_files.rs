//! Pipes, sockets, devices, links and directories where a file is expected: in the store, and wherever the user names one.
//! They are passed over, or an error with a name; nothing is waited for. Where the system keeps the program waiting all the
//! same, the first signal ends it.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, FlockOperation};
use rustix::process::{Pid, Signal, kill_process};

use crate::made::{self, key};
use crate::support::command::{Dir, Outcome, TestCommand};
use crate::support::files;

/// After how long it is waiting.
const LIMIT: &str = "20";

/// What stands in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Special {
    Pipe,
    Socket,
    LinkToPipe,
    LinkToNothing,
    Directory,
    /// Which takes whatever is written; only root can make it.
    Device,
}

const ALL: [Special; 6] = [
    Special::Pipe,
    Special::Socket,
    Special::LinkToPipe,
    Special::LinkToNothing,
    Special::Directory,
    Special::Device,
];

fn pipe(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap();
}

impl Special {
    /// Puts it at `path` in place of what is there. Whether that could be done.
    fn put(self, path: &Path, dir: &Dir) -> bool {
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else if path.exists() {
            fs::remove_file(path).unwrap();
        }
        match self {
            Self::Pipe => pipe(path),
            // Bound in its directory: the whole path may be longer than that of a socket may be.
            Self::Socket => {
                let short = dir.home().join("s");
                drop(UnixListener::bind(&short).unwrap());
                fs::rename(short, path).unwrap();
            }
            Self::LinkToPipe => {
                let target = dir.home().join("pipe");
                if !target.exists() {
                    pipe(&target);
                }
                symlink(target, path).unwrap();
            }
            Self::LinkToNothing => symlink(dir.home().join("nothing"), path).unwrap(),
            Self::Directory => files::create_dir(path),
            Self::Device => {
                let device = rustix::fs::makedev(1, 3);
                return rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, 0o600.into(), device)
                    .is_ok();
            }
        }
        true
    }
}

/// Runs `command`, which ends by itself, in one of `codes`.
fn ends(what: &str, command: TestCommand<'_>, codes: &[i32]) -> Outcome {
    let outcome = command.under(["timeout", LIMIT]).run();
    assert!(outcome.code().is_some_and(|code| codes.contains(&code)), "{what}: {outcome}");
    outcome
}

fn demo(dir: &Dir) -> TestCommand<'_> {
    dir.command().args(["--profile", "demo", "--quiet", "-o", "x.tar"])
}

/// Every file and directory below the store, relative to it.
fn entries(store: &Path) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(relative) = left.pop() {
        for name in files::names(&store.join(&relative)) {
            let entry = relative.join(name);
            if store.join(&entry).is_dir() {
                left.push(entry.clone());
            }
            found.push(entry);
        }
    }
    found.sort();
    found
}

#[test]
fn whatever_stands_in_the_store_in_place_of_a_file_is_replaced_or_named() {
    let dir = Dir::new();
    let store = dir.cache();
    demo(&dir).success();
    let image = dir.read("x.tar");
    let all = entries(&store);
    assert!(all.len() > 10, "{all:?}");
    let kept = dir.home().join("kept");
    for entry in &all {
        for special in ALL {
            fs::rename(store.join(entry), &kept).unwrap();
            let what = format!("{special:?} in place of {}", entry.display());
            if special.put(&store.join(entry), &dir) {
                let outcome = ends(&what, demo(&dir), &[0, 4]);
                let was_file = kept.is_file() && *entry != Path::new("lock");
                if outcome.code() == Some(0) {
                    assert_eq!(dir.read("x.tar"), image, "{what}");
                } else {
                    let named = outcome.to_string().contains(&*store.join(entry).to_string_lossy());
                    assert!(named, "{what}: {outcome}");
                    // Only what a rename cannot replace stays in the way.
                    assert!(!was_file || special == Special::Directory, "{what}: {outcome}");
                }
                ends(&what, dir.command().args(["cache", "info"]), &[0, 4]);
            }
            let place = store.join(entry);
            if place.is_dir() && !place.is_symlink() {
                fs::remove_dir_all(&place).unwrap();
            } else if place.is_symlink() || place.exists() {
                fs::remove_file(&place).unwrap();
            }
            fs::rename(&kept, place).unwrap();
        }
    }
}

#[test]
fn what_is_no_file_among_the_temporary_ones_is_removed_or_passed_over() {
    let dir = Dir::new();
    demo(&dir).success();
    let temporary = dir.cache().join("tmp");
    for (number, special) in ALL.into_iter().enumerate() {
        special.put(&temporary.join(format!("{number}.1")), &dir);
    }

    ends("special files in tmp", demo(&dir), &[0]);

    assert_eq!(files::names(&temporary), ["4.1"]);
    assert!(temporary.join("4.1").is_dir());
    // What a link led to is not touched.
    assert!(dir.home().join("pipe").exists());
}

#[test]
fn special_files_in_the_store_are_pruned_with_it() {
    let dir = Dir::new();
    demo(&dir).success();
    for place in ["blobs/sha256/x", "expanded/x.tar", "refs/identity/x"] {
        pipe(&dir.cache().join(place));
    }
    ends("prune", dir.command().args(["cache", "prune", "--all"]), &[0]);
    for place in ["blobs/sha256", "expanded", "refs/identity"] {
        assert_eq!(files::names(&dir.cache().join(place)), [""; 0], "{place}");
    }
}

/// A repository in `r`, and profiles that need each of the files that a user may name.
fn named() -> Dir {
    let dir = Dir::new();
    let app = made::package("app", b"text", key());
    made::repository(&dir.join("r"), "v1", &[&app], key());
    dir.write("test.rsa.pub", key().public_key().pem());
    let alpine = |base: &str, key: &str| {
        format!(
            "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nbase = \"{base}\"\n\
             repositories = [{{ url = \"./r\", keys = [\"{key}\"] }}]\n[packages]\nruntime = [\"app\"]\n"
        )
    };
    dir.write("p.toml", alpine("scratch", "test.rsa.pub"));
    dir.write("other-key.toml", alpine("scratch", "special"));
    dir.write("other-base.toml", alpine("./special", "test.rsa.pub"));
    dir.write("extends.toml", "extends = [\"./special.toml\"]\n");
    let with = "[[files]]\npath = \"/x\"\nsource = \"special\"\n";
    dir.write("source.toml", alpine("scratch", "test.rsa.pub") + with);
    dir.command().args(["--profile", "./p.toml", "--quiet", "-o", "good.tar"]).success();
    fs::remove_file(dir.join("good.tar")).unwrap();
    dir
}

#[test]
fn special_files_that_the_user_names_are_named_back() {
    let dir = named();
    let build = |profile: &str| dir.command().args(["--profile", profile, "--quiet", "-o", "x.tar"]);
    let index = "r/x86_64/APKINDEX.tar.gz";
    let package = "r/x86_64/app-1-r0.apk";
    let resolve = |arguments: &[&str]| {
        let command = dir.command().args(["resolve", "--allow-untrusted", "--arch", "x86_64"]);
        command.args(arguments).arg("app")
    };
    let cases: Vec<(&str, TestCommand<'_>)> = vec![
        ("special", build("./special")),
        ("special.toml", build("./special.toml")),
        ("special.toml", build("./extends.toml")),
        ("special", build("./other-key.toml")),
        ("special", build("./other-base.toml")),
        ("special", build("./source.toml")),
        (index, build("./p.toml")),
        (package, build("./p.toml").env("APKCOMPOSE_CACHE_DIR", dir.home().join("empty"))),
        ("special", resolve(&["--repository", "special"])),
        ("special", resolve(&["--repository", "./r", "--installed", "special"])),
        ("special", resolve(&["--repository", "./r", "--world", "special"])),
        ("special", resolve(&["--repository", "./r", "--key", "special"])),
        ("special", dir.command().args(["package", "--info", "special", "-o", "x.apk"])),
        ("special", dir.command().args(["index", "special", "-o", "x.tar.gz"])),
        ("x.tar", build("./p.toml")),
    ];
    for (number, (path, command)) in cases.into_iter().enumerate() {
        let place = dir.join(path);
        let kept = dir.home().join("kept");
        let is_there = place.exists();
        if is_there {
            fs::rename(&place, &kept).unwrap();
        }
        for special in [Special::Pipe, Special::Socket, Special::LinkToPipe, Special::Directory] {
            special.put(&place, &dir);
            let what = format!("{number}: {special:?} as {path}");
            let begin = Instant::now();
            let outcome = command.clone().under(["timeout", LIMIT]).run();
            assert!(begin.elapsed() < Duration::from_secs(10), "{what}: {outcome}");
            let is_allowed = special == Special::Directory || outcome.code() != Some(0);
            assert!(is_allowed && outcome.code() != Some(124), "{what}: {outcome}");
            let name = path.rsplit('/').next().unwrap();
            assert!(outcome.code() == Some(0) || outcome.to_string().contains(name), "{what}: {outcome}");
            assert!(!outcome.to_string().contains("panicked"), "{what}: {outcome}");
            if place.is_dir() && !place.is_symlink() {
                fs::remove_dir_all(&place).unwrap();
            } else if place.is_symlink() || place.exists() {
                fs::remove_file(&place).unwrap();
            }
        }
        if is_there {
            fs::rename(&kept, &place).unwrap();
        }
    }
}

#[test]
fn what_a_shell_has_for_a_command_is_read_to_its_end() {
    let dir = named();
    // The text comes later than it is waited for.
    let script = "exec apkcompose-under-test resolve --allow-untrusted --arch x86_64 \
        --repository <(sleep 0.5; printf 'C:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\\nP:app\\nV:1\\nA:x86_64\\nS:1\\nI:1\\n') app";
    let script = script.replace("apkcompose-under-test", "\"$0\"");
    let outcome = dir.command().under(["timeout", LIMIT, "bash", "-c", &script]).run();
    assert_eq!(outcome.code(), Some(0), "{outcome}");
}

#[test]
fn a_pipe_as_netrc_or_as_certificates_is_not_waited_for() {
    let dir = named();
    pipe(&dir.join("pipe"));
    let build = |mirror: &str| {
        let command = dir.command().args(["--profile", "demo", "--quiet", "-o", "x.tar", "--retries", "0"]);
        let repository = format!("{mirror}/r");
        command.args(["--repository", &repository]).args(["--timeout", "5"])
    };
    // Nobody listens there.
    ends("netrc", build("http://127.0.0.1:1").env("NETRC", dir.join("pipe")), &[4]);
    let command = build("https://127.0.0.1:1").env("SSL_CERT_FILE", dir.join("pipe"));
    let outcome = ends("certificates", command, &[4]);
    assert!(outcome.to_string().contains("pipe: it is not a regular file"), "{outcome}");
}

/// Starts `command`, lets it come to where it waits, and gives how it ends after one signal, what it said, and how long
/// that took.
fn interrupted(command: &TestCommand<'_>, signal: Signal, output: Stdio) -> (Option<i32>, String, Duration) {
    let mut command = command.to_command();
    let mut child: Child =
        command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped()).spawn().unwrap();
    let mut waited = Duration::ZERO;
    // It waits when it uses no more of the processor.
    let mut used = String::new();
    while waited < Duration::from_secs(1) {
        thread::sleep(Duration::from_millis(100));
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let now = stat.split(' ').skip(13).take(2).collect::<Vec<_>>().join(" ");
        waited = if now == used { waited + Duration::from_millis(100) } else { Duration::ZERO };
        used = now;
    }
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    let begin = Instant::now();
    kill_process(Pid::from_child(&child), signal).unwrap();
    let mut said = String::new();
    while child.try_wait().unwrap().is_none() && begin.elapsed() < Duration::from_secs(15) {
        thread::sleep(Duration::from_millis(20));
    }
    let taken = begin.elapsed();
    let _ = child.kill();
    let status = child.wait().unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code(), said, taken)
}

/// The program ends this soon after a signal that it cannot look for.
const SOON: Duration = Duration::from_secs(4);

#[test]
fn the_first_signal_ends_what_waits_for_another_process() {
    let dir = Dir::new();
    demo(&dir).success();
    let lock = fs::File::open(dir.cache().join("lock")).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (code, said, taken) = interrupted(&demo(&dir), signal, Stdio::null());
        assert_eq!(code, Some(130), "{signal:?} after {taken:?}: {said}");
        assert!(taken < SOON && said.starts_with("error: interrupted"), "{signal:?} after {taken:?}: {said}");
    }
    drop(lock);
    demo(&dir).success();
}

#[test]
fn the_first_signal_ends_what_waits_for_the_writer_of_a_pipe() {
    let dir = Dir::new();
    let script = "exec \"$0\" resolve --allow-untrusted --repository <(exec sleep 30) app";
    let command = dir.command().under(["bash", "-c", script]);
    let (code, said, taken) = interrupted(&command, Signal::TERM, Stdio::null());
    assert_eq!(code, Some(130), "after {taken:?}: {said}");
    assert!(taken < SOON, "after {taken:?}: {said}");
}

#[test]
fn the_first_signal_ends_what_waits_for_the_reader_of_its_output_and_leaves_nothing() {
    let dir = Dir::new();
    dir.write("large", vec![b'x'; 300_000]);
    let text = "extends = [\"demo\"]\n[[files]]\npath = \"/large\"\nsource = \"large\"\n";
    dir.write("p.toml", text);
    let before = dir.names();
    // Its end is open, and nobody reads there.
    let (reading, writing) = std::io::pipe().unwrap();
    let command = dir.command();
    let command = command.args(["--profile", "./p.toml", "--quiet", "-o", "x.tar", "-o", "type=tar,dest=-"]);
    for signal in [Signal::INT, Signal::TERM] {
        let output = Stdio::from(writing.try_clone().unwrap());
        let (code, said, taken) = interrupted(&command, signal, output);
        assert_eq!(code, Some(130), "after {taken:?}: {said}");
        assert!(taken < Duration::from_secs(1), "after {taken:?}: {said}");
        assert_eq!(dir.names(), before);
    }
    drop(reading);
}

#[test]
fn a_lock_that_is_a_link_is_not_followed() {
    let dir = Dir::new();
    let elsewhere = dir.home().join("elsewhere");
    symlink(&elsewhere, dir.cache().join("lock")).unwrap();

    let outcome = ends("a lock that is a link", demo(&dir), &[4]);

    assert!(outcome.to_string().contains("cache/lock"), "{outcome}");
    assert!(!elsewhere.exists());
    assert!(dir.cache().join("lock").is_symlink());
}
