//! Ways to a file, a namespace or an inode of the system that do not begin with a path below the root directory: what is
//! behind links of `/proc`, what is open, and what the kernel has one of for everybody.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use crate::Outside;
use crate::calls::{self as c, AT_FDCWD, address, call, got, never, of_io, say, text};

/// The bits of a mode that say what a file is, and that it is a regular file.
const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;
/// The namespaces that there are.
const NAMESPACES: [&str; 10] = [
    "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts",
];

pub(crate) fn all(outside: &Outside) {
    links();
    namespaces(outside);
    anonymous();
    out_of_memory();
    proc_is_read_only();
    sockets(outside);
    requests();
}

/// Every link of `/proc` that leads to a file, a directory or a mapping: what it leads to is inside.
fn links() {
    let inside: Vec<u64> = ["/", "/dev", "/tmp", "/proc"]
        .into_iter()
        .filter_map(|place| Some(fs::metadata(place).ok()?.dev()))
        .collect();
    let mut processes: Vec<String> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.parse::<u32>().is_ok())
        .collect();
    let parent = call(c::getppid, &[]).unwrap_or(0);
    processes.extend(["self", "thread-self", "1", "2"].map(str::to_owned));
    processes.extend([parent, parent - 1, parent + 1].map(|number| number.to_string()));
    let mut leading_out = 0;
    for process in &processes {
        let mut links: Vec<String> = ["exe", "root", "cwd"].map(|name| format!("/proc/{process}/{name}")).into();
        for directory in ["fd", "map_files", "task"] {
            let entries = fs::read_dir(format!("/proc/{process}/{directory}")).into_iter().flatten().flatten();
            for entry in entries {
                let path = entry.path().display().to_string();
                match directory {
                    "task" => links.extend(["exe", "root", "cwd"].map(|name| format!("{path}/{name}"))),
                    _ => links.push(path),
                }
            }
        }
        for link in links {
            let Ok(target) = fs::metadata(&link) else { continue };
            let is_file = target.mode() & S_IFMT == S_IFREG || target.is_dir();
            if is_file && !inside.contains(&target.dev()) {
                leading_out += 1;
                println!("# {link} leads to {:?}", fs::read_link(&link));
                change(&link);
            }
        }
    }
    say("link-that-leads-out", got(leading_out > 0));
}

/// Whatever can be done to a file that is not ours.
fn change(path: &str) {
    let times = [0_i64; 4];
    let (at, times) = (text(path), times.as_ptr() as i64);
    say(&format!("change-{path}"), call(c::chmod, &[at, 0o4777]));
    say(&format!("touch-{path}"), call(c::utimensat, &[AT_FDCWD, at, times, 0]));
    say(&format!("truncate-{path}"), call(c::truncate, &[at, 0]));
    say(&format!("write-{path}"), of_io(fs::OpenOptions::new().write(true).open(path)));
    say(&format!("append-{path}"), of_io(fs::OpenOptions::new().append(true).open(path)));
    if let Ok(file) = File::open(path) {
        change_open(path, file.as_raw_fd());
    }
}

fn change_open(name: &str, descriptor: i32) {
    let times = [0_i64; 4];
    let times = times.as_ptr() as i64;
    let descriptor = i64::from(descriptor);
    let path = text(format!("/proc/self/fd/{descriptor}"));
    say(&format!("change-open-{name}"), call(c::fchmod, &[descriptor, 0o777]));
    say(&format!("change-by-link-{name}"), call(c::chmod, &[path, 0o777]));
    say(&format!("change-at-{name}"), call(c::fchmodat, &[AT_FDCWD, path, 0o777]));
    say(&format!("change-at-empty-{name}"), call(c::fchmodat2, &[descriptor, text(""), 0o777, 0x1000]));
    say(&format!("touch-open-{name}"), call(c::utimensat, &[descriptor, 0, times, 0]));
    say(&format!("touch-empty-{name}"), call(c::utimensat, &[descriptor, text(""), times, 0x1000]));
    say(&format!("touch-by-link-{name}"), call(c::utimensat, &[AT_FDCWD, path, times, 0]));
    say(&format!("touch-utime-{name}"), call(c::utime, &[path, times]));
    say(&format!("touch-utimes-{name}"), call(c::utimes, &[path, times]));
    say(&format!("touch-futimesat-{name}"), call(c::futimesat, &[descriptor, 0, times]));
}

/// This program as what the system runs others by that are for a foreign processor: it is a file of the system.
pub(crate) fn handler() {
    let file = "/proc/self/exe";
    let open = File::open(file).ok();
    if open.is_some() {
        change(file);
    }
    // What runs cannot be written to, so another program goes on with what is open.
    let descriptor = open.map_or(-1, std::os::fd::IntoRawFd::into_raw_fd);
    let _ = call(c::fcntl, &[descriptor.into(), 2, 0]);
    let arguments = [text("attacker"), text("handler-gone"), text(descriptor.to_string()), 0];
    println!("# {:?}", call(59, &[text("/usr/bin/attacker"), arguments.as_ptr() as i64, 0]));
}

/// The same when no process runs it any more.
pub(crate) fn handler_gone(arguments: &[String]) {
    let descriptor: i32 = arguments.first().and_then(|number| number.parse().ok()).unwrap_or(-1);
    if descriptor >= 0 {
        println!("# it was {:?}", fs::read_link(format!("/proc/self/fd/{descriptor}")));
        change(&format!("/proc/self/fd/{descriptor}"));
        change_open("handler", descriptor);
    }
    println!("end");
}

/// None is the system's, and nobody changes their files.
fn namespaces(outside: &Outside) {
    for kind in NAMESPACES {
        let path = format!("/proc/self/ns/{kind}");
        let Ok(inside) = fs::read_link(&path) else { continue };
        // Elsewhere it may be the only one that there is.
        let of_system = outside.text(&format!("ns-{kind}"));
        say(&format!("system's-namespace-{kind}"), got(inside.display().to_string() == of_system));
        if let Ok(file) = File::open(&path) {
            change_open(&format!("namespace-{kind}"), file.as_raw_fd());
        }
    }
}

/// Inodes that all processes of the system have in common, and our own that are no files.
fn anonymous() {
    let mask = [0_u64];
    let process = call(c::getpid, &[]).unwrap_or(0);
    let mut pipe = [0_i32; 2];
    let mut pair = [0_i32; 2];
    let _ = (call(c::pipe, &[address(&mut pipe)]), call(c::socketpair, &[1, 1, 0, address(&mut pair)]));
    for (name, descriptor) in [
        ("event", call(c::eventfd2, &[0, 0])),
        ("epoll", call(c::epoll_create1, &[0])),
        ("signal", call(c::signalfd4, &[-1, mask.as_ptr() as i64, 8, 0])),
        ("timer", call(c::timerfd_create, &[1, 0])),
        ("inotify", call(c::inotify_init1, &[0])),
        ("process", call(c::pidfd_open, &[process, 0])),
        ("first-process", call(c::pidfd_open, &[1, 0])),
        ("pipe", Ok(pipe[0].into())),
        ("socket", Ok(pair[0].into())),
        ("input", Ok(0)),
        ("errors", Ok(2)),
    ] {
        if let Ok(descriptor) = descriptor {
            change_open(name, descriptor as i32);
        }
    }
}

/// Who is ended first where memory runs out stays the one.
fn out_of_memory() {
    for name in ["oom_score_adj", "oom_adj"] {
        for process in ["self", "thread-self", "1"] {
            let path = format!("/proc/{process}/{name}");
            for value in ["-1000", "0", "999"] {
                let written =
                    fs::OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(value.as_bytes()));
                say(&format!("write-{value}-to-{path}"), of_io(written));
            }
        }
    }
    if let Ok(score) = fs::read_to_string("/proc/self/oom_score_adj") {
        say("be-not-the-first-to-go", got(score.trim() != "1000"));
    }
}

/// What a program could otherwise say of itself.
fn proc_is_read_only() {
    for name in [
        "comm", "clear_refs", "coredump_filter", "mem", "uid_map", "gid_map", "setgroups", "projid_map", "timerslack_ns",
        "loginuid", "autogroup", "sched", "attr/current", "attr/exec", "attr/keycreate", "timens_offsets",
    ] {
        let opened = fs::OpenOptions::new().write(true).open(format!("/proc/self/{name}"));
        say(&format!("open-to-write-{name}"), of_io(opened));
    }
    for path in ["/proc", "/proc/self", "/proc/self/status", "/proc/self/fd"] {
        // By chroot there is an empty directory, which is the program's.
        if !fs::exists("/proc/self").unwrap_or(true) {
            continue;
        }
        say(&format!("change-{path}"), call(c::chmod, &[text(path), 0o777]));
    }
}

/// A pair of sockets gets no name that others know, calls nobody and holds no more than it does.
fn sockets(outside: &Outside) {
    for kind in [1, 5] {
        let mut pair = [0_i32; 2];
        let _ = call(c::socketpair, &[1, kind, 0, address(&mut pair)]);
        let socket = i64::from(pair[0]);
        let mut name = vec![1, 0, 0];
        name.extend(format!("{}-taken", outside.text("abstract")).bytes());
        let length = name.len() as i64;
        let name = address(name.as_mut_slice());
        never(&format!("name-abstract-{kind}"), call(c::bind, &[socket, name, length]));
        never(&format!("name-by-itself-{kind}"), call(c::bind, &[socket, name, 2]));
        never(&format!("call-{kind}"), call(c::connect, &[socket, name, length]));
        never(&format!("listen-{kind}"), call(c::listen, &[socket, 1]));
        never(&format!("accept-{kind}"), call(c::accept, &[socket, 0, 0]));
        never(&format!("accept4-{kind}"), call(c::accept4, &[socket, 0, 0, 0]));
        let holds = |option| {
            let (mut value, mut length) = (0_i32, 4_i32);
            let _ = call(c::getsockopt, &[socket, 1, option, address(&mut value), address(&mut length)]);
            value
        };
        for (set, asked) in [(7, 7), (8, 8), (32, 7), (33, 8)] {
            let before = holds(asked);
            let mut wanted = 1_i32 << 22;
            let _ = call(c::setsockopt, &[socket, 1, set, address(&mut wanted), 4]);
            say(&format!("hold-more-{kind}-{set}"), got(holds(asked) != before));
        }
    }
}

/// What a descriptor that is only open to be read could be used for.
fn requests() {
    let file = File::create("/requests").and_then(|_| File::open("/requests")).expect("a file");
    let descriptor = i64::from(file.as_raw_fd());
    let zeros = [0_u64; 32];
    let zeros = zeros.as_ptr() as i64;
    for (name, request) in [
        ("flags", 0x4008_6602),
        ("flags-of-32-bits", 0x4004_6602),
        ("attributes", 0x401c_5820),
        ("version", 0x4008_7602),
        ("encryption", 0x800c_6613),
        ("add-encryption-key", 0xc050_6617),
        ("verity", 0x4080_6685),
        ("share-blocks", 0xc018_9436),
    ] {
        never(&format!("request-{name}"), call(c::ioctl, &[descriptor, request, zeros]));
    }
    never("lease", call(c::fcntl, &[descriptor, 1024, 0]));
    never("notify", call(c::fcntl, &[descriptor, 1026, 2]));
    let mut pair = [0_i32; 2];
    let _ = call(c::pipe, &[address(&mut pair)]);
    let mut vector = [zeros, 8];
    never("memory-into-a-pipe", call(c::vmsplice, &[pair[1].into(), address(&mut vector), 1, 0]));
    let _ = fs::remove_file("/requests");
}
