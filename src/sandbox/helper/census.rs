//! Who is in the sandbox: how many there are, what memory they use, and the end of all of them.
//!
//! In a pid namespace that is everybody but its first process, this one. Without one it is whoever descends from this
//! process, which adopts those whose parents are gone.
//!
//! Source: proc(5).

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

/// How long ending everything may take: the kernel may need time for what it does for a process.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much is read of what the system says of a process, in bytes.
const MAX_STATUS: u64 = 16 * 1024;

/// The processes of the sandbox.
#[derive(Debug, Default)]
pub(super) struct Census {
    processes: Vec<i32>,
    /// How many threads they have together.
    pub(super) threads: u32,
    /// How many bytes of private memory they have, page tables, swap space and huge pages among them.
    pub(super) private: u64,
    /// How many bytes of shared memory they have mapped; what several have mapped counts several times.
    pub(super) shared: u64,
}

struct Status {
    parent: i32,
    threads: u32,
    private: u64,
    shared: u64,
    is_dead: bool,
}

impl Census {
    /// Counts, by what `proc` shows.
    pub(super) fn take(proc: BorrowedFd<'_>, has_own_processes: bool) -> Self {
        let us = rustix::process::getpid().as_raw_nonzero().get();
        let all: HashMap<i32, Status> = numbers(proc)
            .into_iter()
            .filter(|number| *number != us)
            .filter_map(|number| Some((number, status(proc, number)?)))
            .collect();
        let mut census = Self::default();
        for (number, status) in &all {
            if status.is_dead || !(has_own_processes || descends(&all, *number, us)) {
                continue;
            }
            census.processes.push(*number);
            census.threads = census.threads.saturating_add(status.threads);
            census.private = census.private.saturating_add(status.private);
            census.shared = census.shared.saturating_add(status.shared);
        }
        census
    }

    /// Whether the process `number` is one of them.
    pub(super) fn has(&self, number: i32) -> bool {
        self.processes.contains(&number)
    }

    /// Their numbers.
    pub(super) fn processes(&self) -> &[i32] {
        &self.processes
    }
}

/// Ends everybody and waits until they are gone; whether they are. Nobody is let make another process meanwhile.
pub(super) fn end_all(proc: BorrowedFd<'_>, has_own_processes: bool) -> bool {
    let begun = Instant::now();
    loop {
        let census = Census::take(proc, has_own_processes);
        for number in &census.processes {
            if let Some(process) = Pid::from_raw(*number) {
                // One that is gone already is what is wanted.
                let _ = rustix::process::kill_process(process, Signal::KILL);
            }
        }
        // Whoever descends from this process has somebody above who is its child: what is counted could miss one
        // that loses its parent meanwhile.
        loop {
            match reap() {
                Reaped::Ended(..) => {}
                Reaped::NoneYet => break,
                Reaped::NobodyLeft => return true,
            }
        }
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What came of looking for processes of ours that ended.
pub(super) enum Reaped {
    /// This one ended, so.
    Ended(Pid, WaitStatus),
    /// There are some, and none that ended.
    NoneYet,
    /// There are none.
    NobodyLeft,
}

/// Takes note of a process of ours that ended.
pub(super) fn reap() -> Reaped {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(Some((process, status))) => Reaped::Ended(process, status),
        Err(Errno::CHILD) => Reaped::NobodyLeft,
        Ok(None) | Err(_) => Reaped::NoneYet,
    }
}

fn descends(all: &HashMap<i32, Status>, number: i32, from: i32) -> bool {
    let mut at = number;
    // No more steps than there are processes: numbers may be given anew while they are read.
    for _ in 0..all.len() {
        match all.get(&at) {
            Some(status) if status.parent == from => return true,
            Some(status) => at = status.parent,
            None => return false,
        }
    }
    false
}

fn numbers(proc: BorrowedFd<'_>) -> Vec<i32> {
    numbers_in(Dir::read_from(proc))
}

/// The numbers among the names of a directory.
pub(super) fn numbers_in(directory: Result<Dir, Errno>) -> Vec<i32> {
    let Ok(directory) = directory else { return Vec::new() };
    directory.flatten().filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok()).collect()
}

fn status(proc: BorrowedFd<'_>, number: i32) -> Option<Status> {
    let text = read(proc, &format!("{number}/status"))?;
    let threads = field(&text, "Threads").and_then(|number| number.parse().ok()).unwrap_or(1);
    let is_over = is_over(&text);
    // A process seems to be dead when its first thread is, whatever the others do; that one has no memory any more.
    let of_memory = if is_over && threads > 1 { status_of_a_thread(proc, number) } else { text.clone() };
    Some(Status {
        parent: field(&text, "PPid")?.parse().ok()?,
        threads,
        private: bytes(&of_memory, &["RssAnon", "VmPTE", "VmSwap", "HugetlbPages"]),
        shared: bytes(&of_memory, &["RssShmem"]),
        is_dead: is_over && threads <= 1,
    })
}

/// What a status says under a name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()
}

fn is_over(text: &str) -> bool {
    matches!(field(text, "State"), Some("Z" | "X"))
}

/// The sum of the fields `names` of a status, in bytes.
fn bytes(text: &str, names: &[&str]) -> u64 {
    let kilobytes =
        |name: &&str| field(text, name).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    names.iter().map(kilobytes).fold(0, u64::saturating_add).saturating_mul(1024)
}

/// The status of a process whose first thread is over: all others have the same memory.
fn status_of_a_thread(proc: BorrowedFd<'_>, number: i32) -> String {
    let Ok(threads) = directory(proc, &format!("{number}/task")) else { return String::new() };
    let statuses = numbers_in(Dir::new(threads)).into_iter();
    let mut statuses = statuses.filter_map(|thread| read(proc, &format!("{number}/task/{thread}/status")));
    statuses.find(|text| !is_over(text)).unwrap_or_default()
}

fn directory(proc: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// An upper bound of what the kernel allocates for `processes` besides their memory, in bytes: the buffers of their pipes
/// and sockets, and a structure for each mapping. Descriptors that are being sent through a socket are not seen; the
/// kernel lets a user have no more of them than of open files in a process.
pub(super) fn kernel_memory(proc: BorrowedFd<'_>, processes: &[i32]) -> u64 {
    let (mut buffers, mut mappings) = (HashSet::new(), 0_u64);
    for number in processes {
        let listed = directory(proc, &format!("{number}/fd"));
        if let Ok(descriptors) = &listed {
            for descriptor in numbers_in(Dir::read_from(descriptors)) {
                let target = rustix::fs::readlinkat(descriptors, descriptor.to_string(), Vec::new());
                buffers.extend(target.ok().as_deref().and_then(Buffer::of));
            }
        }
        mappings = mappings.saturating_add(count_lines(proc, &format!("{number}/maps")));
    }
    buffers.iter().map(|buffer| buffer.size()).fold(mappings.saturating_mul(PER_MAPPING), u64::saturating_add)
}

/// A pipe or a socket, which buffers what is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Buffer {
    Pipe(u64),
    Socket(u64),
}

impl Buffer {
    /// From the target of a link in `/proc/PID/fd`: `pipe:[NUMBER]` or `socket:[NUMBER]`.
    fn of(target: &CStr) -> Option<Self> {
        let (kind, number) = target.to_str().ok()?.strip_suffix(']')?.split_once(":[")?;
        let number = number.parse().ok()?;
        match kind {
            "pipe" => Some(Self::Pipe(number)),
            "socket" => Some(Self::Socket(number)),
            _ => None,
        }
    }

    /// The size of its buffer in bytes, at most.
    fn size(self) -> u64 {
        match self {
            // Without privileges only a user's first pipes may be larger (`pipe-user-pages-soft`).
            Self::Pipe(_) => 64 * 1024,
            // The default, rounded up; programs cannot change it.
            Self::Socket(_) => 256 * 1024,
        }
    }
}

/// How many bytes the kernel allocates for a mapping, at most.
const PER_MAPPING: u64 = 1024;

fn count_lines(proc: BorrowedFd<'_>, path: &str) -> u64 {
    let Ok(file) = rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
        return 0;
    };
    let mut buffer = vec![0; 64 * 1024];
    let mut lines = 0;
    while let Ok(count @ 1..) = rustix::io::read(&file, buffer.as_mut_slice()) {
        let piece = buffer.get(..count).unwrap_or_default();
        lines += memchr::memchr_iter(b'\n', piece).count() as u64;
    }
    lines
}

/// The permission bits that files made by `thread` do not get.
pub(super) fn file_mask(proc: BorrowedFd<'_>, thread: i32) -> u32 {
    let text = read(proc, &format!("{thread}/status")).unwrap_or_default();
    let mask = text.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o022)
}

/// The number of the process that `thread` is one of.
pub(super) fn group_leader(proc: BorrowedFd<'_>, thread: i32) -> Option<i32> {
    let text = read(proc, &format!("{thread}/status"))?;
    text.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

fn read(proc: BorrowedFd<'_>, path: &str) -> Option<String> {
    let file = rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = Vec::new();
    std::fs::File::from(file).take(MAX_STATUS).read_to_end(&mut text).ok()?;
    // A process may call itself anything.
    Some(String::from_utf8_lossy(&text).into_owned())
}
