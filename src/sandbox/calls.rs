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

/// What happens to a system call, and what else, on a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// What counts if the condition does not hold.
    pub(super) usually: Verdict,
    /// A condition, and what counts if it holds.
    pub(super) unless: Option<(Condition, Verdict)>,
}

impl Rule {
    const fn always(verdict: Verdict) -> Self {
        Self { usually: verdict, unless: None }
    }

    const fn allowed_unless(condition: Condition, verdict: Verdict) -> Self {
        Self { usually: Verdict::Allow, unless: Some((condition, verdict)) }
    }
}

/// The highest number that was looked at: `mseal`.
pub(super) const LAST: u32 = 462;

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

/// The kinds of `mknod` that are devices.
const DEVICES: &[u32] = &[libc::S_IFCHR, libc::S_IFBLK];

/// The requests of `fcntl` by which a process is chosen that gets signals.
const OWNER_REQUESTS: &[u32] = &[8, 10, 15];

/// The requests of `ioctl` that put input into a terminal, or choose a process that gets signals.
const TERMINAL_REQUESTS: &[u32] = &[0x5412, 0x541c, 0x8901, 0x8902];

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
    let device = |argument| {
        let condition = Condition::OneOf { argument, mask: libc::S_IFMT, values: DEVICES };
        Rule::allowed_unless(condition, Verdict::Ask)
    };
    add(&[libc::SYS_mknodat], device(2));
    #[cfg(target_arch = "x86_64")]
    add(&[libc::SYS_mknod], device(1));
    add(&identity(), Rule::always(Verdict::Fail(0)));
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
            libc::SYS_shmget,
            libc::SYS_shmat,
            libc::SYS_shmctl,
            libc::SYS_msgget,
            libc::SYS_semget,
            libc::SYS_mq_open,
        ],
        Rule::always(Verdict::Fail(ENOSYS)),
    );
    add(&[libc::SYS_socket], Rule::always(Verdict::Fail(EAFNOSUPPORT)));
    // 0 is the process itself.
    let another = |argument| {
        let condition = Condition::AnyBit { argument, bits: u32::MAX };
        Rule::allowed_unless(condition, Verdict::Fail(EPERM))
    };
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
        another(0),
    );
    add(&[libc::SYS_setpriority, libc::SYS_ioprio_set], another(1));
    let request = |values| {
        let condition = Condition::OneOf { argument: 1, mask: u32::MAX, values };
        Rule::allowed_unless(condition, Verdict::Fail(EPERM))
    };
    add(&[libc::SYS_fcntl], request(OWNER_REQUESTS));
    add(&[libc::SYS_ioctl], request(TERMINAL_REQUESTS));
    // Namespaces are refused before anybody is asked; what is left counts processes.
    let namespaces = Condition::AnyBit { argument: 0, bits: NAMESPACES };
    add(&[libc::SYS_clone], Rule { usually: Verdict::Ask, unless: Some((namespaces, Verdict::Fail(EPERM))) });
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
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
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
