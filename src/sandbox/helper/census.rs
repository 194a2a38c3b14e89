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
    /// How many bytes of memory that no file stands behind they have together.
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
        while reap().is_some() {}
        if census.processes.is_empty() {
            return true;
        }
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Takes note of a process of ours that ended.
pub(super) fn reap() -> Option<(Pid, WaitStatus)> {
    rustix::process::wait(WaitOptions::NOHANG).ok().flatten()
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
    let Ok(directory) = Dir::read_from(proc) else { return Vec::new() };
    directory.flatten().filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok()).collect()
}

fn status(proc: BorrowedFd<'_>, number: i32) -> Option<Status> {
    let text = read(proc, &format!("{number}/status"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()
    };
    let kilobytes = |name| field(name).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    Some(Status {
        parent: field("PPid")?.parse().ok()?,
        threads: field("Threads").and_then(|number| number.parse().ok()).unwrap_or(1),
        memory: (kilobytes("RssAnon") + kilobytes("RssShmem")).saturating_mul(1024),
        is_dead: matches!(field("State"), Some("Z" | "X")),
    })
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
