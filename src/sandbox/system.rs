//! The system calls that no safe library offers: all of the program's unsafe code.
//!
//! Each function is a safe one over a single call: it owns what it hands to the kernel, checks what comes back, and keeps
//! no pointer. Nothing is decided here.
//!
//! Source: seccomp(2), `seccomp_unotify(2)`, `process_vm_readv(2)`, fork(2), signal(7).

#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// A system call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notification {
    /// By which it is answered.
    pub(super) id: u64,
    /// The thread that made it, as this process sees it.
    pub(super) thread: i32,
    /// The call's number.
    pub(super) call: i32,
    /// Its arguments, as they are in the registers.
    pub(super) arguments: [u64; 6],
}

/// What a system call that waited comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It returns this, without having been made.
    Value(i64),
    /// It fails with this number.
    Error(i32),
    /// It is made as if nobody had looked.
    Continue,
}

/// Which of two processes this is after a fork.
pub(super) enum Forked {
    /// The one that was made.
    Child,
    /// The one that made it, and the number of the other.
    Parent(Pid),
}

/// The proof that this process has one thread. The helper makes it before anything else, and makes no thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneThread(());

impl OneThread {
    /// Looks; an error if there are more.
    pub(super) fn prove() -> io::Result<Self> {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => Ok(Self(())),
            _ => Err(io::Error::other("the helper has several threads")),
        }
    }
}

/// Makes a second process.
pub(super) fn fork(_: OneThread) -> io::Result<Forked> {
    // SAFETY: the process has one thread, so no lock can be held by a thread that the child does not have, and the child
    // may do whatever the parent may.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        child => Pid::from_raw(child).map(Forked::Parent).ok_or_else(|| io::ErrorKind::InvalidData.into()),
    }
}

/// Leaves the namespaces that `flags` names for new ones.
pub(super) fn unshare(_: OneThread, flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: `flags` names namespaces alone. What makes the call unsafe is a thread that has a table of descriptors of
    // its own; there is one thread.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Ends this process at once, without running what is to run at exit: for a child that shares its parent's memory of it.
pub(super) fn exit_now(status: i32) -> ! {
    // SAFETY: it takes a number and does not come back.
    unsafe { libc::_exit(status) }
}

/// Gives all signals their usual effect, as a new program expects it; Rust ignores SIGPIPE.
pub(super) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: no handler is installed; those that there are, of Rust for a stack that overflows, go, which makes such a
        // signal end the process as it would a program without them. Numbers that cannot be changed are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call writes the whole set, the second only reads it; nothing is asked back.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Marks all descriptors from `first` on, so that a program that is executed does not get them.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: three numbers; marking a descriptor changes nothing for this process.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(done).map(drop)
}

/// The same for one descriptor; nothing happens if it is not open.
pub(super) fn close_on_exec(descriptor: i32) {
    // SAFETY: numbers; marking a descriptor changes nothing for this process.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Becomes the program in the file `path`. Comes back only if that fails.
pub(super) fn execute(path: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end with a null pointer, and the texts they point at live until the call comes back.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Lets `filter` decide of each system call of this process and of all that come from it. Answers of the kind "ask" come
/// to whoever has the descriptor that is returned.
pub(super) fn install_filter(filter: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    let length = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The kernel does not write to it, whatever the type says.
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
    let install = |flags: libc::c_ulong| {
        // SAFETY: `program` and the instructions it points at live until the call comes back, and `len` is their number.
        let descriptor = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
        };
        check(descriptor)
    };
    // Linux before 5.19 does not know the second flag; without it a signal may make a call wait twice.
    let descriptor = install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE_RECV)
        .or_else(|_| install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER))?;
    let descriptor = i32::try_from(descriptor).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made the descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`, which libc does not have.
const WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

/// Takes the next system call that waits; an error of the kind `NotFound` if it ended meanwhile.
pub(super) fn receive(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: the structure is made of numbers, of which zero is one; the kernel wants it zeroed.
    let mut received: libc::seccomp_notif = unsafe { mem::zeroed() };
    // SAFETY: the request is for this structure, which lives until the call comes back.
    let done =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut received) };
    check(done.into())?;
    Ok(Notification {
        id: received.id,
        thread: received.pid.cast_signed(),
        call: received.data.nr,
        arguments: received.data.args,
    })
}

/// Answers a system call that waits. That its process is gone is no error.
pub(super) fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> io::Result<()> {
    let (val, error, flags) = match answer {
        Answer::Value(value) => (value, 0, 0),
        Answer::Error(number) => (0, -number, 0),
        Answer::Continue => (0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE),
    };
    let mut response = libc::seccomp_notif_resp { id, val, error, flags };
    // SAFETY: the request is for this structure, which lives until the call comes back.
    let done =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut response) };
    match check(done.into()) {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE` in the type of the field.
const SECCOMP_USER_NOTIF_FLAG_CONTINUE: u32 = 1;

/// Whether a system call waits still: then the thread that made it is the one whose number it gave.
pub(super) fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the request is for a number of this size, which lives until the call comes back.
    unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_ID_VALID as _, &raw const id) == 0 }
}

/// `SECCOMP_IOCTL_NOTIF_ID_VALID`: the request for writing a number of 8 bytes.
const NOTIF_ID_VALID: u64 = 0x4008_2102;

/// Sends a signal to a thread of a process.
pub(super) fn signal_thread(process: i32, thread: i32, signal: i32) -> io::Result<()> {
    // SAFETY: three numbers; of a thread that is not of the process nothing is done.
    check(unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) }).map(drop)
}

/// Copies memory of another process, as far as it has any at `address`; returns how much was there.
pub(super) fn read_memory(thread: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast::<c_void>(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: buffer.len() };
    // SAFETY: `local` is the buffer and its length; `remote` is looked at by the kernel alone, in the other process.
    let count = unsafe { libc::process_vm_readv(thread, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Writes all of `bytes` to the memory of another process at `address`.
pub(super) fn write_memory(thread: i32, address: u64, bytes: &[u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
    // SAFETY: the kernel only reads `local`, which is the slice and its length; `remote` is in the other process.
    let count = unsafe { libc::process_vm_writev(thread, &raw const local, 1, &raw const remote, 1, 0) };
    match usize::try_from(count) {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(_) => Err(io::Error::from_raw_os_error(libc::EFAULT)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// A structure of numbers that the kernel fills in, zero before, padding too.
struct Filled<T>(Box<MaybeUninit<T>>);

impl<T> Filled<T> {
    fn new() -> Self {
        Self(Box::new(MaybeUninit::zeroed()))
    }

    fn pointer(&mut self) -> *mut T {
        self.0.as_mut_ptr()
    }

    /// Its bytes, as they lie there.
    fn bytes(&self) -> Vec<u8> {
        // SAFETY: all bytes were zeroed where they are, and since then only written to: each has a value. They are not
        // moved as a `T`, which might lose those of the padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast::<u8>(), size_of::<T>()) }.to_vec()
    }
}

/// What `newfstatat` says of an open file, with another owner, and of a recorded device its kind and numbers; as the
/// bytes that the kernel would write.
pub(super) fn stat_bytes(
    file: BorrowedFd<'_>,
    uid: u32,
    gid: u32,
    device: Option<(u32, u64)>,
) -> io::Result<Vec<u8>> {
    let mut filled = Filled::<libc::stat>::new();
    // SAFETY: the path is empty and ends with a zero; the structure is the one that the kernel fills in.
    let done = unsafe {
        libc::syscall(
            libc::SYS_newfstatat,
            file.as_raw_fd(),
            c"".as_ptr(),
            filled.pointer(),
            libc::AT_EMPTY_PATH,
        )
    };
    check(done)?;
    // SAFETY: it is made of numbers, which were zeroed and filled in, and nobody else has it.
    let stat = unsafe { &mut *filled.pointer() };
    (stat.st_uid, stat.st_gid) = (uid, gid);
    if let Some((kind, number)) = device {
        stat.st_mode = stat.st_mode & !libc::S_IFMT | kind;
        stat.st_rdev = number;
    }
    Ok(filled.bytes())
}

/// The same of `statx`.
pub(super) fn statx_bytes(
    file: BorrowedFd<'_>,
    mask: u32,
    owner: (u32, u32),
    device: Option<(u32, u32, u32)>,
) -> io::Result<Vec<u8>> {
    let mut filled = Filled::<libc::statx>::new();
    // SAFETY: the path is empty and ends with a zero; the structure is the one that the kernel fills in.
    let done = unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            mask,
            filled.pointer(),
        )
    };
    check(done)?;
    // SAFETY: it is made of numbers, which were zeroed and filled in, and nobody else has it.
    let statx = unsafe { &mut *filled.pointer() };
    (statx.stx_uid, statx.stx_gid) = owner;
    if let Some((kind, major, minor)) = device {
        // The kinds are in the lower 16 bits.
        let mode = u32::from(statx.stx_mode) & !libc::S_IFMT | kind;
        statx.stx_mode = u16::try_from(mode).unwrap_or(statx.stx_mode);
        (statx.stx_rdev_major, statx.stx_rdev_minor) = (major, minor);
    }
    Ok(filled.bytes())
}

/// What `uname` says, but for the name of the machine, which is `name`; as the bytes that the kernel would write.
pub(super) fn uname_bytes(name: &str) -> io::Result<Vec<u8>> {
    let mut filled = Filled::<libc::utsname>::new();
    // SAFETY: the structure is the one that the call fills in.
    check(unsafe { libc::uname(filled.pointer()) }.into())?;
    // SAFETY: it is made of arrays of numbers, which were zeroed and filled in, and nobody else has it.
    let names = unsafe { &mut *filled.pointer() };
    names.nodename = [0; 65];
    for (place, byte) in names.nodename.iter_mut().zip(name.bytes().take(64)) {
        *place = byte.cast_signed();
    }
    Ok(filled.bytes())
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
