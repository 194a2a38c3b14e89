//! System calls, by their numbers on x86_64.

use std::ffi::CString;

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
}

/// An error's number.
pub(crate) type Result<T> = std::result::Result<T, i32>;

/// Makes a system call.
pub(crate) fn call(number: i64, arguments: &[i64]) -> Result<i64> {
    let a = |at: usize| arguments.get(at).copied().unwrap_or(0);
    // SAFETY: this program is an attacker; what it hands over is looked after by its attacks.
    let result = unsafe { syscall(number, a(0), a(1), a(2), a(3), a(4), a(5)) };
    if result == -1 { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { Ok(result) }
}

/// A text for the kernel, which lives as long as the program.
pub(crate) fn text(text: impl Into<Vec<u8>>) -> i64 {
    CString::new(text).expect("no zero").into_raw() as i64
}

/// The address of a value, for the kernel.
pub(crate) fn address<T: ?Sized>(value: &mut T) -> i64 {
    std::ptr::from_mut(value).cast::<u8>() as i64
}

/// Says how an attempt went.
pub(crate) fn say<T>(name: &str, result: Result<T>) {
    match result {
        Ok(_) => println!("{name} done"),
        Err(error) => println!("{name} refused {error}"),
    }
}

/// The errors with which the sandbox refuses calls: EPERM, ENOSYS, EAFNOSUPPORT.
const REFUSALS: [i32; 3] = [1, 38, 97];

/// Says how a call went that the kernel is not to see at all.
pub(crate) fn never<T>(name: &str, result: Result<T>) {
    match result {
        Err(error) if !REFUSALS.contains(&error) => println!("{name} reached the kernel {error}"),
        result => say(name, result),
    }
}

/// Turns what was got into an attempt: something is done, nothing is refused.
pub(crate) fn got(is_got: bool) -> Result<()> {
    if is_got { Ok(()) } else { Err(0) }
}

/// Turns an error of the standard library into its number.
pub(crate) fn of_io<T>(result: std::io::Result<T>) -> Result<T> {
    result.map_err(|error| error.raw_os_error().unwrap_or(-1))
}

pub(crate) const AT_FDCWD: i64 = -100;

pub(crate) const read: i64 = 0;
pub(crate) const write: i64 = 1;
pub(crate) const stat: i64 = 4;
pub(crate) const fstat: i64 = 5;
pub(crate) const mmap: i64 = 9;
pub(crate) const rt_sigaction: i64 = 13;
pub(crate) const ioctl: i64 = 16;
pub(crate) const pipe: i64 = 22;
pub(crate) const getpid: i64 = 39;
pub(crate) const socket: i64 = 41;
pub(crate) const sendto: i64 = 44;
pub(crate) const socketpair: i64 = 53;
pub(crate) const clone: i64 = 56;
pub(crate) const wait4: i64 = 61;
pub(crate) const gettid: i64 = 186;
pub(crate) const fork: i64 = 57;
pub(crate) const vfork: i64 = 58;
pub(crate) const exit: i64 = 60;
pub(crate) const kill: i64 = 62;
pub(crate) const semget: i64 = 64;
pub(crate) const semctl: i64 = 66;
pub(crate) const shmget: i64 = 29;
pub(crate) const shmctl: i64 = 31;
pub(crate) const msgget: i64 = 68;
pub(crate) const msgsnd: i64 = 69;
pub(crate) const msgrcv: i64 = 70;
pub(crate) const msgctl: i64 = 71;
pub(crate) const fcntl: i64 = 72;
pub(crate) const fchmod: i64 = 91;
pub(crate) const lchown: i64 = 94;
pub(crate) const chown: i64 = 92;
pub(crate) const fchown: i64 = 93;
pub(crate) const umask: i64 = 95;
pub(crate) const ptrace: i64 = 101;
pub(crate) const syslog: i64 = 103;
pub(crate) const getppid: i64 = 110;
pub(crate) const setsid: i64 = 112;
pub(crate) const rt_sigqueueinfo: i64 = 129;
pub(crate) const mknod: i64 = 133;
pub(crate) const setpriority: i64 = 141;
pub(crate) const sched_setparam: i64 = 142;
pub(crate) const sched_setscheduler: i64 = 144;
pub(crate) const modify_ldt: i64 = 154;
pub(crate) const pivot_root: i64 = 155;
pub(crate) const prctl: i64 = 157;
pub(crate) const adjtimex: i64 = 159;
pub(crate) const chroot: i64 = 161;
pub(crate) const acct: i64 = 163;
pub(crate) const settimeofday: i64 = 164;
pub(crate) const mount: i64 = 165;
pub(crate) const umount2: i64 = 166;
pub(crate) const swapon: i64 = 167;
pub(crate) const reboot: i64 = 169;
pub(crate) const sethostname: i64 = 170;
pub(crate) const iopl: i64 = 172;
pub(crate) const ioperm: i64 = 173;
pub(crate) const init_module: i64 = 175;
pub(crate) const delete_module: i64 = 176;
pub(crate) const quotactl: i64 = 179;
pub(crate) const setxattr: i64 = 188;
pub(crate) const lsetxattr: i64 = 189;
pub(crate) const getxattr: i64 = 191;
pub(crate) const listxattr: i64 = 194;
pub(crate) const removexattr: i64 = 197;
pub(crate) const tkill: i64 = 200;
pub(crate) const sched_setaffinity: i64 = 203;
pub(crate) const clock_settime: i64 = 227;
pub(crate) const tgkill: i64 = 234;
pub(crate) const mq_open: i64 = 240;
pub(crate) const mq_unlink: i64 = 241;
pub(crate) const kexec_load: i64 = 246;
pub(crate) const add_key: i64 = 248;
pub(crate) const request_key: i64 = 249;
pub(crate) const keyctl: i64 = 250;
pub(crate) const ioprio_set: i64 = 251;
pub(crate) const migrate_pages: i64 = 256;
pub(crate) const mknodat: i64 = 259;
pub(crate) const fchownat: i64 = 260;
pub(crate) const fstatat: i64 = 262;
pub(crate) const linkat: i64 = 265;
pub(crate) const unshare: i64 = 272;
pub(crate) const move_pages: i64 = 279;
pub(crate) const fallocate: i64 = 285;
pub(crate) const utimensat: i64 = 280;
pub(crate) const perf_event_open: i64 = 298;
pub(crate) const fanotify_init: i64 = 300;
pub(crate) const prlimit: i64 = 302;
pub(crate) const name_to_handle_at: i64 = 303;
pub(crate) const open_by_handle_at: i64 = 304;
pub(crate) const clock_adjtime: i64 = 305;
pub(crate) const setns: i64 = 308;
pub(crate) const process_vm_readv: i64 = 310;
pub(crate) const process_vm_writev: i64 = 311;
pub(crate) const kcmp: i64 = 312;
pub(crate) const finit_module: i64 = 313;
pub(crate) const sched_setattr: i64 = 314;
pub(crate) const seccomp: i64 = 317;
pub(crate) const memfd_create: i64 = 319;
pub(crate) const kexec_file_load: i64 = 320;
pub(crate) const bpf: i64 = 321;
pub(crate) const userfaultfd: i64 = 323;
pub(crate) const statx: i64 = 332;
pub(crate) const pidfd_send_signal: i64 = 424;
pub(crate) const io_uring_setup: i64 = 425;
pub(crate) const open_tree: i64 = 428;
pub(crate) const move_mount: i64 = 429;
pub(crate) const fsopen: i64 = 430;
pub(crate) const fspick: i64 = 433;
pub(crate) const pidfd_open: i64 = 434;
pub(crate) const clone3: i64 = 435;
pub(crate) const pidfd_getfd: i64 = 438;
pub(crate) const process_madvise: i64 = 440;
pub(crate) const mount_setattr: i64 = 442;
pub(crate) const memfd_secret: i64 = 447;
pub(crate) const process_mrelease: i64 = 448;
pub(crate) const statmount: i64 = 457;
pub(crate) const listmount: i64 = 458;
pub(crate) const open: i64 = 2;
pub(crate) const munmap: i64 = 11;
pub(crate) const madvise: i64 = 28;
pub(crate) const sendfile: i64 = 40;
pub(crate) const connect: i64 = 42;
pub(crate) const accept: i64 = 43;
pub(crate) const bind: i64 = 49;
pub(crate) const listen: i64 = 50;
pub(crate) const setsockopt: i64 = 54;
pub(crate) const getsockopt: i64 = 55;
pub(crate) const truncate: i64 = 76;
pub(crate) const chmod: i64 = 90;
pub(crate) const utime: i64 = 132;
pub(crate) const utimes: i64 = 235;
pub(crate) const futimesat: i64 = 261;
pub(crate) const fchmodat: i64 = 268;
pub(crate) const splice: i64 = 275;
pub(crate) const vmsplice: i64 = 278;
pub(crate) const timerfd_create: i64 = 283;
pub(crate) const accept4: i64 = 288;
pub(crate) const signalfd4: i64 = 289;
pub(crate) const eventfd2: i64 = 290;
pub(crate) const epoll_create1: i64 = 291;
pub(crate) const inotify_init1: i64 = 294;
pub(crate) const copy_file_range: i64 = 326;
pub(crate) const fchmodat2: i64 = 452;
