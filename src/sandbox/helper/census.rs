//! Who is in the sandbox: how many there are, what memory they use, and the end of all of them.
//!
//! In a pid namespace that is everybody but its first process, this one. Without one it is whoever descends from this
//! process, which adopts those whose parents are gone.
//!
//! Source: proc(5).

use std::collections::HashMap;
use std::io::Read as _;
use std::os::fd::BorrowedFd;
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
    /// How many bytes of memory that no file stands behind they have together, with what says where it is.
    pub(super) memory: u64,
}

struct Status {
    parent: i32,
    threads: u32,
    memory: u64,
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
            census.memory = census.memory.saturating_add(status.memory);
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
    let memory = if is_over && threads > 1 { memory_of_a_thread(proc, number) } else { memory(&text) };
    Some(Status {
        parent: field(&text, "PPid")?.parse().ok()?,
        threads,
        memory,
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

/// The memory of a process in bytes, with what says where it is: that may be more, if all of it is the same page.
fn memory(text: &str) -> u64 {
    let kilobytes = |name| field(text, name).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    ["RssAnon", "RssShmem", "VmPTE"]
        .into_iter()
        .map(kilobytes)
        .fold(0, u64::saturating_add)
        .saturating_mul(1024)
}

/// The memory of a process whose first thread is over: all others have the same.
fn memory_of_a_thread(proc: BorrowedFd<'_>, number: i32) -> u64 {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(threads) = rustix::fs::openat(proc, format!("{number}/task"), flags, Mode::empty()) else {
        return 0;
    };
    let statuses = numbers_in(Dir::new(threads)).into_iter();
    let mut statuses = statuses.filter_map(|thread| read(proc, &format!("{number}/task/{thread}/status")));
    statuses.find(|text| !is_over(text)).map_or(0, |text| memory(&text))
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
