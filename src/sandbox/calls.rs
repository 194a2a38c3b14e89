//! Which system calls a program may make, which only seem to work, and which the supervisor answers.
//!
//! What is not named here is allowed: programs of distributions use what they like, and nothing that is left reaches
//! out of the root. Numbers above those that were looked at do not exist for the program, so that what a newer kernel
//! brings is not allowed by accident; nor do calls of another architecture than this program's.
//!
//! Source: the system calls of Linux 6.10; design, "Sandbox".

use libc::{EAFNOSUPPORT, ENOSYS, EPERM};

/// What happens to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is made.
    Allow,
    /// The supervisor answers it.
    Ask,
    /// It fails with this number; with 0 it seems to work.
    Fail(i32),
}

/// When the other verdict of a rule counts. Of an argument the lower 32 bits are looked at, which is all that the kernel
/// looks at in those that are named here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// One of the bits is set.
    AnyBit {
        /// Which argument, counted from 0.
        argument: u32,
        /// The bits.
        bits: u32,
    },
    /// What the mask leaves is one of the values.
    OneOf {
        /// Which argument, counted from 0.
        argument: u32,
        /// The bits that count.
        mask: u32,
        /// The values.
        values: &'static [u32],
    },
}

/// What happens to a system call, and what else, on conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// What counts if no condition holds.
    pub(super) usually: Verdict,
    /// Conditions, and what counts if one of them holds.
    pub(super) unless: Option<(&'static [Condition], Verdict)>,
}

impl Rule {
    const fn always(verdict: Verdict) -> Self {
        Self { usually: verdict, unless: None }
    }

    const fn allowed_unless(conditions: &'static [Condition], verdict: Verdict) -> Self {
        Self { usually: Verdict::Allow, unless: Some((conditions, verdict)) }
    }
}

/// The highest number that was looked at: `mseal`.
pub(super) const LAST: u32 = 462;

/// `fchmodat2`, which not every libc has.
pub(super) const FCHMODAT2: u32 = 452;

/// What `AUDIT_ARCH` is for this program, if programs can be supervised there.
pub(super) const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xc000_00f3)
} else {
    None
};

/// The bits of the flags of `clone` that make namespaces.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET)
    .cast_unsigned();

/// Namespaces are made.
const MAKES_NAMESPACES: &[Condition] = &[Condition::AnyBit { argument: 0, bits: NAMESPACES }];

/// `mknod` and `mknodat` make devices.
#[cfg(target_arch = "x86_64")]
const IS_DEVICE: &[Condition] = &[is_device(1)];
const IS_DEVICE_AT: &[Condition] = &[is_device(2)];

const fn is_device(argument: u32) -> Condition {
    Condition::OneOf { argument, mask: libc::S_IFMT, values: &[libc::S_IFCHR, libc::S_IFBLK] }
}

/// It is done to another process: 0 is the process itself.
const IS_ANOTHER: &[Condition] = &[Condition::AnyBit { argument: 0, bits: u32::MAX }];

/// The requests of `fcntl` by which a process is chosen that gets signals (`F_SETOWN`, `F_SETSIG`, `F_SETOWN_EX`), or by
/// which a file that is only open for reading delays or watches others (`F_SETLEASE`, `F_NOTIFY`).
const REACHES_OTHERS: &[Condition] =
    &[Condition::OneOf { argument: 1, mask: u32::MAX, values: &[8, 10, 15, 1024, 1026] }];

/// Requests of `ioctl` that put input into a terminal (the first two), choose a process that gets signals (the next
/// two), or change what no image has of a file that is only open for reading: flags, version, encryption, verity and
/// shared blocks.
const CHANGES_MORE: &[Condition] = &[Condition::OneOf {
    argument: 1,
    mask: u32::MAX,
    values: &[
        0x5412,
        0x541c,
        0x8901,
        0x8902,
        0x4008_6602,
        0x4004_6602,
        0x401c_5820,
        0x4008_7602,
        0x4004_7602,
        0x800c_6613,
        0xc050_6617,
        0x4080_6685,
        0xc018_9436,
    ],
}];

/// Options of sockets that enlarge buffers: `SO_SNDBUF`, `SO_RCVBUF`, `SO_SNDBUFFORCE`, `SO_RCVBUFFORCE`.
const ENLARGES_BUFFERS: &[Condition] =
    &[Condition::OneOf { argument: 2, mask: u32::MAX, values: &[7, 8, 32, 33] }];

/// Shared memory is mapped (`MAP_SHARED`, `MAP_SHARED_VALIDATE`).
const IS_SHARED: &[Condition] = &[Condition::AnyBit { argument: 3, bits: 1 }];

/// The pair of sockets is of another family than `AF_UNIX`, or takes datagrams (`SOCK_DGRAM`, `SOCK_RAW`): those can
/// be sent to others than the peer.
const CAN_LEAVE: &[Condition] =
    &[Condition::AnyBit { argument: 0, bits: !1 }, Condition::AnyBit { argument: 1, bits: 2 }];

/// The rules, by the numbers of the calls. A number has at most one.
///
/// Programs that are not alone, in namespaces of their own, could send signals to the system's processes, and learn its
/// name.
pub(super) fn rules(is_alone: bool) -> Vec<(u32, Rule)> {
    let mut rules = Vec::new();
    let mut add = |numbers: &[libc::c_long], rule: Rule| {
        rules.extend(numbers.iter().filter_map(|number| Some((u32::try_from(*number).ok()?, rule))));
    };
    add(&answered(), Rule::always(Verdict::Ask));
    add(&[libc::SYS_mknodat], Rule::allowed_unless(IS_DEVICE_AT, Verdict::Ask));
    #[cfg(target_arch = "x86_64")]
    add(&[libc::SYS_mknod], Rule::allowed_unless(IS_DEVICE, Verdict::Ask));
    add(&identity(), Rule::always(Verdict::Fail(0)));
    // Of all processes of a user too, so that it could not be told who is meant.
    add(&[libc::SYS_setpriority, libc::SYS_ioprio_set], Rule::always(Verdict::Fail(0)));
    add(&forbidden(), Rule::always(Verdict::Fail(EPERM)));
    // Programs have another way where these do not exist.
    add(
        &[
            libc::SYS_clone3,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_register,
            libc::SYS_memfd_create,
            447, // memfd_secret
            libc::SYS_userfaultfd,
            // Pages in a pipe stay allocated when the process has unmapped them.
            libc::SYS_vmsplice,
            libc::SYS_shmget,
            libc::SYS_shmat,
            libc::SYS_shmctl,
            // Those that others made could be had by their numbers and names, without being opened.
            libc::SYS_msgget,
            libc::SYS_msgsnd,
            libc::SYS_msgrcv,
            libc::SYS_msgctl,
            libc::SYS_semget,
            libc::SYS_semop,
            libc::SYS_semtimedop,
            libc::SYS_semctl,
            libc::SYS_mq_open,
            libc::SYS_mq_unlink,
        ],
        Rule::always(Verdict::Fail(ENOSYS)),
    );
    add(&[libc::SYS_socket], Rule::always(Verdict::Fail(EAFNOSUPPORT)));
    add(&[libc::SYS_socketpair], Rule::allowed_unless(CAN_LEAVE, Verdict::Fail(EAFNOSUPPORT)));
    add(
        &[
            libc::SYS_prlimit64,
            libc::SYS_sched_setaffinity,
            libc::SYS_sched_setscheduler,
            libc::SYS_sched_setparam,
            libc::SYS_sched_setattr,
            libc::SYS_migrate_pages,
            libc::SYS_move_pages,
        ],
        Rule::allowed_unless(IS_ANOTHER, Verdict::Fail(EPERM)),
    );
    add(&[libc::SYS_fcntl], Rule::allowed_unless(REACHES_OTHERS, Verdict::Fail(EPERM)));
    add(&[libc::SYS_ioctl], Rule::allowed_unless(CHANGES_MORE, Verdict::Fail(EPERM)));
    add(&[libc::SYS_setsockopt], Rule::allowed_unless(ENLARGES_BUFFERS, Verdict::Fail(0)));
    // The supervisor must know: `/proc` does not report how much of it is allocated, and times do not show what is
    // written through it.
    add(&[libc::SYS_mmap], Rule::allowed_unless(IS_SHARED, Verdict::Ask));
    // Namespaces are refused before anybody is asked; what is left counts processes.
    let refused = Some((MAKES_NAMESPACES, Verdict::Fail(EPERM)));
    add(&[libc::SYS_clone], Rule { usually: Verdict::Ask, unless: refused });
    if !is_alone {
        add(
            &[libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_uname],
            Rule::always(Verdict::Ask),
        );
        add(
            &[libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo, libc::SYS_pidfd_send_signal],
            Rule::always(Verdict::Fail(EPERM)),
        );
    }
    rules
}

/// Calls that the supervisor answers, whatever their arguments.
fn answered() -> Vec<libc::c_long> {
    let mut calls = vec![
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        FCHMODAT2.into(),
        libc::SYS_utimensat,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_getxattr,
        libc::SYS_lgetxattr,
        libc::SYS_fgetxattr,
        libc::SYS_listxattr,
        libc::SYS_llistxattr,
        libc::SYS_flistxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        libc::SYS_fremovexattr,
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_chmod,
        libc::SYS_utime,
        libc::SYS_utimes,
        libc::SYS_futimesat,
        libc::SYS_stat,
        libc::SYS_lstat,
        libc::SYS_fork,
        libc::SYS_vfork,
    ]);
    calls.shrink_to_fit();
    calls
}

/// Calls by which a process becomes somebody else: there is one user inside, and it seems to work.
fn identity() -> [libc::c_long; 9] {
    [
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        libc::SYS_setgroups,
    ]
}

/// Calls that change the system, look into other processes or lead out of the root.
fn forbidden() -> Vec<libc::c_long> {
    let mut calls = vec![
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_open_tree,
        457, // statmount
        458, // listmount
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        // By chroot the names of sockets are those of the whole system.
        libc::SYS_bind,
        libc::SYS_connect,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        440, // process_madvise
        448, // process_mrelease
        libc::SYS_kcmp,
        libc::SYS_pidfd_getfd,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_fanotify_init,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_acct,
        libc::SYS_quotactl,
        443, // quotactl_fd
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_adjtimex,
        libc::SYS_clock_adjtime,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_syslog,
        libc::SYS_vhangup,
        libc::SYS_lookup_dcookie,
        libc::SYS_nfsservctl,
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([
        libc::SYS_kexec_file_load,
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_modify_ldt,
        libc::SYS_uselib,
        libc::SYS_ustat,
        libc::SYS_sysfs,
        libc::SYS__sysctl,
    ]);
    calls
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_call_has_one_rule_and_every_rule_a_call_that_is_looked_at() {
        for is_alone in [true, false] {
            let rules = rules(is_alone);
            let numbers: HashSet<u32> = rules.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers.len(), rules.len());
            assert!(numbers.iter().all(|number| *number <= LAST));
        }
    }
}
