//! Watching over a program until it and everything it started is dead.
//!
//! System calls that wait are answered, processes are counted as they are made, memory and space are looked at now and
//! then, and time runs. Memory is what the kernel charges to the control group of these processes; where there is no
//! group, it is added up from what `/proc` reports of each process and of its open files and mappings.
//! When the program ends, or may not go on, all that is left is ended too: whatever stays behind
//! would still write while the root filesystem is read back.
//!
//! Source: `seccomp_unotify(2)`, `pidfd_open(2)`, waitpid(2); design, "Sandbox".

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use libc::c_long;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::StatVfs;
use rustix::process::{Pid, PidfdFlags, Signal, WaitStatus};

use super::answers::{Answers, lower};
use super::census::{self, Census, Reaped};
use super::child::{Child, Word};
use super::pins::Pins;
use super::root_mounts::RootMounts;
use crate::sandbox::control_group::ControlGroup;
use crate::sandbox::protocol::{self, wait_for};
use crate::sandbox::records::Records;
use crate::sandbox::system::{self, Answer, Notification};
use crate::sandbox::{Ended, Limits};

/// How often memory and space are looked at.
const TICK: Duration = Duration::from_millis(100);

/// A file system in memory besides the workroot.
const TEMPORARY: &str = "/tmp";

/// How many bytes a file, a directory or a link takes on disk at least, as far as space goes: of empty ones there are only
/// so many as well.
const PER_ENTRY: u64 = 4096;

/// Watches over one program.
pub(super) struct Supervisor<'a> {
    /// Where its system calls wait.
    pub(super) listener: OwnedFd,
    /// The program.
    pub(super) child: Child,
    /// Who asked for it: when it is gone, so is the program.
    pub(super) composer: &'a UnixStream,
    /// What the system says of processes.
    pub(super) proc: BorrowedFd<'a>,
    /// Whether it says so of those of the sandbox alone.
    pub(super) has_own_processes: bool,
    /// Whether the workroot is a file system of its own.
    pub(super) in_memory: bool,
    /// The root directory.
    pub(super) workroot: BorrowedFd<'a>,
    /// What programs may use.
    pub(super) limits: &'a Limits,
    /// How many bytes of the space for all programs have been used by earlier ones.
    pub(super) spent: u64,
    /// The control group that accounts for memory; `None` where there is none.
    pub(super) group: Option<&'a ControlGroup>,
    /// The mounts on which the program may set modes and times.
    pub(super) root_mounts: &'a RootMounts,
    /// What is recorded.
    pub(super) records: &'a mut Records,
    /// The inodes of which something was recorded last.
    pub(super) pins: Pins,
}

/// What goes on.
struct Watch {
    begun: Instant,
    looked: Instant,
    free_at_first: Free,
    memory_at_first: Charged,
    /// No more threads are there than this.
    threads: u32,
    has_too_many_threads: bool,
    /// How many bytes of shared memory were ever mapped.
    shared: u64,
    /// Whether a file was mapped as shared memory.
    maps_files: bool,
    /// It could not be executed.
    not_executed: Option<String>,
    status: Option<WaitStatus>,
}

/// What the kernel accounts for.
#[derive(Debug, Clone, Copy)]
struct Charged {
    /// How many bytes the group is charged for; 0 if there is no group.
    used: u64,
    /// How many processes of the group were killed because its limit was reached.
    killed: u64,
    /// How many bytes of shared memory the whole system has.
    shared: u64,
}

/// What came of a program.
#[derive(Debug)]
pub(super) struct Watched {
    /// How it ended.
    pub(super) ended: Ended,
    /// Whether a file was mapped as shared memory: on a file system in memory, writes through it change no time.
    pub(super) maps_files: bool,
}

impl Supervisor<'_> {
    /// Watches until everything is dead, and says what came of it.
    pub(super) fn watch(mut self) -> io::Result<Watched> {
        let process = rustix::process::pidfd_open(self.child.process, PidfdFlags::empty())?;
        let now = Instant::now();
        let free_at_first = self.free()?;
        if let Some(group) = self.group {
            let files = if self.in_memory { free_at_first.bytes } else { 0 };
            // If this fails, the group is still measured at each tick.
            let _ = group.allow(self.limits.memory.saturating_add(files));
        }
        let mut watch = Watch {
            begun: now,
            looked: now,
            free_at_first,
            memory_at_first: self.charged()?,
            threads: 1,
            has_too_many_threads: false,
            shared: 0,
            maps_files: false,
            not_executed: None,
            status: None,
        };
        let ended = self.go_on(&process, &mut watch);
        let all_dead = census::end_all(self.proc, self.has_own_processes);
        let ended = ended?;
        if !all_dead {
            return Err(io::Error::other("what the program started does not end"));
        }
        // However the program reacted to one of its processes being killed.
        let was_stopped = self.charged()?.killed > watch.memory_at_first.killed;
        let ended = if was_stopped { self.too_much_memory() } else { ended };
        Ok(Watched { ended, maps_files: watch.maps_files })
    }

    fn go_on(&mut self, process: &OwnedFd, watch: &mut Watch) -> io::Result<Ended> {
        let mut hears_words = true;
        loop {
            let mut descriptors = vec![
                PollFd::new(&self.listener, PollFlags::IN),
                PollFd::new(process, PollFlags::IN),
                PollFd::new(self.composer, PollFlags::RDHUP),
            ];
            if hears_words {
                descriptors.push(PollFd::new(&self.child.words, PollFlags::IN));
            }
            wait_for(&mut descriptors, TICK)?;
            let has = |at: usize, flags: PollFlags| {
                descriptors.get(at).is_some_and(|descriptor| descriptor.revents().intersects(flags))
            };
            let (waits, is_over) = (has(0, PollFlags::IN), has(1, PollFlags::IN));
            let is_abandoned = has(2, PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR);
            let has_word = has(3, PollFlags::IN | PollFlags::HUP);
            drop(descriptors);
            if is_abandoned {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if has_word {
                // Nothing said means that it runs.
                hears_words = false;
                if let Ok(Some((Word::NotExecuted { error }, _))) =
                    protocol::receive::<Word>(&self.child.words)
                {
                    watch.not_executed = Some(error);
                }
            }
            if waits {
                self.answer(watch)?;
            }
            if watch.has_too_many_threads {
                return Ok(Ended::TooManyProcesses { limit: self.limits.processes });
            }
            self.reap(watch);
            if let Some(status) = watch.status {
                let ended = self.ended(status, watch.not_executed.take());
                // What fails because nothing more can be written often says so in many words, or in none.
                let is_full = ended != Ended::Exited(0) && self.has_no_space_left(watch)?;
                return Ok(if is_full { self.too_much_space() } else { ended });
            }
            if is_over && !waits {
                // Its end is known, and its status is somebody's secret: that cannot be.
                return Err(io::ErrorKind::InvalidData.into());
            }
            if watch.begun.elapsed() >= self.limits.time {
                return Ok(Ended::TooLong { limit: self.limits.time });
            }
            if watch.looked.elapsed() >= TICK {
                watch.looked = Instant::now();
                if let Some(ended) = self.uses_too_much(watch)? {
                    return Ok(ended);
                }
            }
        }
    }

    /// Takes note of all that ended.
    fn reap(&self, watch: &mut Watch) {
        while let Reaped::Ended(process, status) = census::reap() {
            if process == self.child.process {
                watch.status = Some(status);
            }
        }
    }

    fn answer(&mut self, watch: &mut Watch) -> io::Result<()> {
        let call = match system::receive(self.listener.as_fd()) {
            Ok(call) => call,
            // It was ended while it waited.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let answer = if makes_process(&call) {
            self.admit(watch)
        } else if let Some((process, signal)) = sends_signal(&call) {
            // The numbers are in registers, so what is let go on is what was looked at.
            self.send_signal(&call, process, signal)
        } else if let Some(mapping) = shares_memory(&call) {
            // These numbers are in registers too.
            watch.shared = watch.shared.saturating_add(mapping.length);
            watch.maps_files |= mapping.is_of_file;
            Answer::Continue
        } else {
            let Self { listener, proc, root_mounts, records, pins, .. } = self;
            Answers { listener: listener.as_fd(), proc: *proc, root_mounts, records, pins }.answer(&call)
        };
        system::answer(self.listener.as_fd(), call.id, answer)
    }

    /// Whether one more process or thread may be made. Those that ended are only noticed when it matters.
    fn admit(&self, watch: &mut Watch) -> Answer {
        if watch.threads >= self.limits.processes {
            watch.threads = Census::take(self.proc, self.has_own_processes).threads;
        }
        if watch.threads >= self.limits.processes {
            watch.has_too_many_threads = true;
            return Answer::Error(libc::EAGAIN);
        }
        watch.threads += 1;
        Answer::Continue
    }

    /// Sends a signal for a program that sees the system's processes: to those of the sandbox alone.
    fn send_signal(&self, call: &Notification, process: i32, signal: i32) -> Answer {
        let own = census::group_leader(self.proc, call.thread);
        if process == call.thread || Some(process) == own {
            return Answer::Continue;
        }
        if let Some(own) = own
            && c_long::from(call.call) == libc::SYS_tkill
            && census::group_leader(self.proc, process) == Some(own)
        {
            // The process waits, so that its number stays its own whatever becomes of the thread.
            return match system::signal_thread(own, process, signal) {
                Ok(()) => Answer::Value(0),
                Err(error) => Answer::Error(error.raw_os_error().unwrap_or(libc::ESRCH)),
            };
        }
        let census = Census::take(self.proc, self.has_own_processes);
        let group_of =
            |number: i32| Pid::from_raw(number).and_then(|pid| rustix::process::getpgid(Some(pid)).ok());
        let targets: Vec<i32> = match process {
            1.. => vec![process],
            // All but the sender.
            -1 => census.processes().iter().copied().filter(|number| Some(*number) != own).collect(),
            _ => {
                let group = if process == 0 {
                    group_of(call.thread)
                } else {
                    Pid::from_raw(process.saturating_neg())
                };
                census.processes().iter().copied().filter(|number| group_of(*number) == group).collect()
            }
        };
        let known = || {
            targets.iter().filter(|number| census.has(**number)).filter_map(|number| Pid::from_raw(*number))
        };
        if known().next().is_none() {
            return Answer::Error(libc::ESRCH);
        }
        if signal == 0 {
            return Answer::Value(0);
        }
        let Some(signal) = Signal::from_named_raw(signal) else { return Answer::Error(libc::EINVAL) };
        for target in known() {
            // By a descriptor, which stays this process's though its number may be given anew.
            let Ok(descriptor) = rustix::process::pidfd_open(target, PidfdFlags::empty()) else { continue };
            let is_still_ours =
                Census::take(self.proc, self.has_own_processes).has(target.as_raw_nonzero().get());
            if is_still_ours {
                // It may have ended meanwhile, which is what most signals are for.
                let _ = rustix::process::pidfd_send_signal(descriptor, signal);
            }
        }
        Answer::Value(0)
    }

    fn uses_too_much(&self, watch: &Watch) -> io::Result<Option<Ended>> {
        let files =
            if self.in_memory { watch.free_at_first.bytes.saturating_sub(self.free()?.bytes) } else { 0 };
        let memory = match self.group {
            Some(_) => self.charged()?.used.saturating_sub(watch.memory_at_first.used).saturating_sub(files),
            None => self.counted(watch, files),
        };
        if memory > self.limits.memory {
            return Ok(Some(self.too_much_memory()));
        }
        Ok(self.has_no_space_left(watch)?.then(|| self.too_much_space()))
    }

    /// How many bytes of memory the processes have, from what `/proc` and the system report; `files` is what the workroot
    /// has grown by, if it is in memory.
    fn counted(&self, watch: &Watch, files: u64) -> u64 {
        let census = Census::take(self.proc, self.has_own_processes);
        // Shared memory stays allocated when no process has it mapped. It is at most what the program ever mapped, and at
        // most what the whole system has more of.
        let come = shared_memory().saturating_sub(watch.memory_at_first.shared).saturating_sub(files);
        let shared = census.shared.max(come.min(watch.shared));
        let of_kernel = census::kernel_memory(self.proc, census.processes());
        census.private.saturating_add(shared).saturating_add(of_kernel)
    }

    fn charged(&self) -> io::Result<Charged> {
        let shared = shared_memory();
        Ok(match self.group {
            Some(group) => Charged { used: group.used()?, killed: group.killed()?, shared },
            None => Charged { used: 0, killed: 0, shared },
        })
    }

    fn too_much_memory(&self) -> Ended {
        Ended::TooMuchMemory { limit: self.limits.memory }
    }

    fn too_much_space(&self) -> Ended {
        Ended::TooMuchSpace { limit: self.limits.space }
    }

    fn has_no_space_left(&self, watch: &Watch) -> io::Result<bool> {
        // In namespaces it is a file system of its own.
        if self.has_own_processes && Free::of(&rustix::fs::statvfs(TEMPORARY)?).is_none() {
            return Ok(true);
        }
        Ok(if self.in_memory {
            self.free()?.is_none()
        } else {
            let (before, Free { bytes, entries }) = (watch.free_at_first, self.free()?);
            let entries = before.entries.saturating_sub(entries).saturating_mul(PER_ENTRY);
            let used = before.bytes.saturating_sub(bytes).saturating_add(entries);
            used > self.limits.space.saturating_sub(self.spent)
        })
    }

    /// What the workroot's file system has left.
    fn free(&self) -> io::Result<Free> {
        Ok(Free::of(&rustix::fs::fstatvfs(self.workroot)?))
    }

    fn ended(&self, status: WaitStatus, not_executed: Option<String>) -> Ended {
        match (not_executed, status.exit_status(), status.terminating_signal()) {
            (Some(error), ..) => Ended::NotExecuted(error),
            // A shell says so of a program that wrote a larger file than it may.
            (None, Some(status), _) if status == 128 + libc::SIGXFSZ => self.too_much_space(),
            (None, Some(status), _) => Ended::Exited(u8::try_from(status & 0xff).unwrap_or(u8::MAX)),
            // It wrote a larger file than it may.
            (None, None, Some(libc::SIGXFSZ)) => self.too_much_space(),
            (None, None, signal) => Ended::Killed(signal.unwrap_or_default()),
        }
    }
}

/// What a file system has left.
#[derive(Debug, Clone, Copy)]
struct Free {
    bytes: u64,
    entries: u64,
}

impl Free {
    fn of(system: &StatVfs) -> Self {
        Self { bytes: system.f_bavail.saturating_mul(system.f_frsize), entries: system.f_favail }
    }

    fn is_none(self) -> bool {
        self.bytes == 0 || self.entries == 0
    }
}

/// How many bytes of shared memory, files on file systems in memory among them, the whole system has.
fn shared_memory() -> u64 {
    let system = rustix::system::sysinfo();
    system.sharedram.saturating_mul(system.mem_unit.into())
}

/// A mapping of shared memory.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    length: u64,
    is_of_file: bool,
}

/// The mapping that the call makes, if it makes one.
fn shares_memory(call: &Notification) -> Option<Mapping> {
    let [_, length, _, flags, ..] = call.arguments;
    (c_long::from(call.call) == libc::SYS_mmap)
        .then(|| Mapping { length, is_of_file: lower(flags) & libc::MAP_ANONYMOUS.unsigned_abs() == 0 })
}

/// Whether the call makes a process or a thread.
fn makes_process(call: &Notification) -> bool {
    match c_long::from(call.call) {
        #[cfg(target_arch = "x86_64")]
        libc::SYS_fork | libc::SYS_vfork => true,
        libc::SYS_clone => true,
        _ => false,
    }
}

/// The process and the signal, if the call sends one.
fn sends_signal(call: &Notification) -> Option<(i32, i32)> {
    let argument = |at: usize| call.arguments.get(at).map(|value| lower(*value).cast_signed());
    match c_long::from(call.call) {
        libc::SYS_kill | libc::SYS_tkill => Some((argument(0)?, argument(1)?)),
        libc::SYS_tgkill => Some((argument(0)?, argument(2)?)),
        _ => None,
    }
}
