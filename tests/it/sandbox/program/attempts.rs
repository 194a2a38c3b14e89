//! What must not be possible, one attempt after another.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::Outside;
use crate::calls::{self as c, address, call, got, never, of_io, say, text};
use crate::indirect;

/// Namespaces by the bits that ask for them.
const NAMESPACES: [(&str, i64); 8] = [
    ("time", 0x80),
    ("mount", 0x2_0000),
    ("cgroup", 0x0200_0000),
    ("uts", 0x0400_0000),
    ("ipc", 0x0800_0000),
    ("user", 0x1000_0000),
    ("pid", 0x2000_0000),
    ("network", 0x4000_0000),
];
/// A signal that ends who does not expect it.
const SIGUSR1: i64 = 10;

pub(crate) fn all(outside: &Outside) {
    inherited();
    network(outside);
    mounts();
    namespaces();
    processes(outside);
    kernel(outside);
    other_numbers();
    filters();
    files(outside);
    devices(outside);
    indirect::all(outside);
    println!("end");
}

fn network(outside: &Outside) {
    for family in 0..46 {
        let opened = [1, 2, 3, 5].into_iter().find_map(|kind| call(c::socket, &[family, kind, 0]).ok());
        say(&format!("socket-of-family-{family}"), got(opened.is_some()));
        if family != 1 {
            let mut pair = [0_i32; 2];
            let made = [1, 2, 5]
                .into_iter()
                .find_map(|kind| call(c::socketpair, &[family, kind, 0, address(&mut pair)]).ok());
            say(&format!("pair-of-family-{family}"), got(made.is_some()));
        }
    }
    // A pair of sockets can be sent elsewhere from, or connected anew.
    for kind in [1, 2, 3, 5] {
        let mut pair = [0_i32; 2];
        let _ = call(c::socketpair, &[1, kind, 0, address(&mut pair)]);
        let mut to = vec![1, 0, 0];
        to.extend(outside.text("abstract").bytes());
        let length = to.len() as i64;
        let sent = call(c::sendto, &[pair[0].into(), text("out"), 3, 0, address(to.as_mut_slice()), length]);
        // To its peer it may.
        say(&format!("leave-a-pair-of-kind-{kind}"), sent.and_then(|_| got(kind == 2 || kind == 3)));
        let connected = call(42, &[pair[0].into(), address(to.as_mut_slice()), length]);
        say(&format!("connect-a-pair-of-kind-{kind}"), connected);
    }
}

fn mounts() {
    let (root, tmp) = (text("/"), text("/tmp"));
    fs::create_dir_all("/mnt").expect("a directory");
    let place = text("/mnt");
    never("mount-tmpfs", call(c::mount, &[text("x"), place, text("tmpfs"), 0, 0]));
    never("mount-proc", call(c::mount, &[text("x"), place, text("proc"), 0, 0]));
    never("mount-sysfs", call(c::mount, &[text("x"), place, text("sysfs"), 0, 0]));
    never("bind-root", call(c::mount, &[root, place, 0, 4096, 0]));
    never("remount-root", call(c::mount, &[0, root, 0, 32, 0]));
    for what in ["/", "/proc", "/dev", "/dev/null", "/tmp"] {
        never(&format!("unmount-{what}"), call(c::umount2, &[text(what), 2]));
    }
    never("pivot-root", call(c::pivot_root, &[root, tmp]));
    never("fsopen", call(c::fsopen, &[text("tmpfs"), 0]));
    never("fspick", call(c::fspick, &[c::AT_FDCWD, root, 0]));
    never("open-tree", call(c::open_tree, &[c::AT_FDCWD, root, 1]));
    never("move-mount", call(c::move_mount, &[c::AT_FDCWD, tmp, c::AT_FDCWD, place, 0]));
    let mut attributes = [0_u64; 4];
    never("mount-setattr", call(c::mount_setattr, &[c::AT_FDCWD, root, 0, address(&mut attributes), 32]));
    // The classic: a directory that stays open above a new root.
    let above = File::open("/").expect("the root directory");
    never("chroot", call(c::chroot, &[tmp]));
    drop(above);
    let mut request = [24_u64, 0xffff_ffff_ffff_ffff, 0];
    let mut list = [0_u64; 64];
    never("list-mounts", call(c::listmount, &[address(&mut request), address(&mut list), 64, 0]));
    never("ask-of-a-mount", call(c::statmount, &[address(&mut request), address(&mut list), 512, 0]));
}

fn namespaces() {
    for (name, flag) in NAMESPACES {
        never(&format!("unshare-{name}"), call(c::unshare, &[flag]));
        if flag != 0x80 {
            never(&format!("clone-into-{name}"), cloned(call(c::clone, &[flag | 17, 0, 0, 0, 0])));
        }
        let mut arguments = [0_u64; 11];
        (arguments[0], arguments[4]) = (flag.unsigned_abs(), 17);
        never(&format!("clone3-into-{name}"), cloned(call(c::clone3, &[address(&mut arguments), 88])));
    }
    for kind in ["mnt", "net", "pid", "user", "ipc", "uts", "cgroup"] {
        for of in ["self", "1"] {
            let namespace = File::open(format!("/proc/{of}/ns/{kind}"));
            let set = of_io(namespace).and_then(|file| {
                use std::os::fd::AsRawFd as _;
                call(c::setns, &[file.as_raw_fd().into(), 0])
            });
            say(&format!("setns-{of}-{kind}"), set);
        }
    }
}

/// Ends the child that should not be there.
fn cloned(result: c::Result<i64>) -> c::Result<i64> {
    if result == Ok(0) {
        let _ = call(c::exit, &[0]);
    }
    result
}

fn processes(outside: &Outside) {
    // What is sent to everybody reaches this one and its parents too.
    let ignore = [1_usize, 0, 0, 0];
    let _ = call(c::rt_sigaction, &[SIGUSR1, ignore.as_ptr() as i64, 0, 8]);
    let victim = outside.number("victim");
    // The helper starts the program, and the composer the helper.
    let parent = call(c::getppid, &[]).unwrap_or(0);
    let composer = if parent > 1 { parent - 1 } else { outside.number("victim") };
    let mut buffer = [0_u8; 64];
    let mut local = [address(&mut buffer), 64];
    let mut remote = [0x40_0000_i64, 64];
    for (name, process) in [("victim", victim), ("composer", composer), ("parent", parent), ("first", 1)] {
        for request in [16, 0x4206] {
            say(&format!("ptrace-{request:x}-{name}"), call(c::ptrace, &[request, process, 0, 0]));
        }
        let vector = [process, address(&mut local), 1, address(&mut remote), 1, 0];
        say(&format!("read-memory-of-{name}"), call(c::process_vm_readv, &vector));
        say(&format!("write-memory-of-{name}"), call(c::process_vm_writev, &vector));
        say(&format!("compare-with-{name}"), call(c::kcmp, &[process, 1, 0, 0, 0]));
        let limit = [0_u64; 2];
        say(&format!("limit-{name}"), call(c::prlimit, &[process, 7, limit.as_ptr() as i64, 0]));
        say(&format!("schedule-{name}"), call(c::sched_setscheduler, &[process, 5, limit.as_ptr() as i64]));
        say(&format!("parameters-of-{name}"), call(c::sched_setparam, &[process, limit.as_ptr() as i64]));
        say(
            &format!("affinity-of-{name}"),
            call(c::sched_setaffinity, &[process, 8, [1_u64].as_ptr() as i64]),
        );
        say(
            &format!("attributes-of-{name}"),
            call(c::sched_setattr, &[process, [48_u64, 0, 0, 0, 0, 0].as_ptr() as i64, 0]),
        );
        say(
            &format!("migrate-{name}"),
            call(c::migrate_pages, &[process, 8, limit.as_ptr() as i64, limit.as_ptr() as i64]),
        );
        say(&format!("move-pages-of-{name}"), call(c::move_pages, &[process, 0, 0, 0, 0, 0]));
        let descriptor = call(c::pidfd_open, &[process, 0]).unwrap_or(-1);
        say(&format!("take-descriptor-of-{name}"), call(c::pidfd_getfd, &[descriptor, 0, 0]));
        say(&format!("release-{name}"), call(c::process_mrelease, &[descriptor, 0]));
        say(
            &format!("advise-{name}"),
            call(c::process_madvise, &[descriptor, address(&mut local), 1, 21, 0]),
        );
        say(&format!("setns-process-{name}"), call(c::setns, &[descriptor, 0x2_0000]));
    }
    for (name, process) in [("victim", victim), ("composer", composer)] {
        let descriptor = call(c::pidfd_open, &[process, 0]).unwrap_or(-1);
        say(
            &format!("signal-{name}-by-descriptor"),
            call(c::pidfd_send_signal, &[descriptor, SIGUSR1, 0, 0]),
        );
        say(&format!("kill-{name}"), call(c::kill, &[process, SIGUSR1]));
        say(&format!("is-{name}-there"), call(c::kill, &[process, 0]));
        say(&format!("kill-group-of-{name}"), call(c::kill, &[-process, SIGUSR1]));
        say(&format!("tkill-{name}"), call(c::tkill, &[process, SIGUSR1]));
        say(&format!("tgkill-{name}"), call(c::tgkill, &[process, process, SIGUSR1]));
        let mut info = [0_i32; 32];
        (info[0], info[2]) = (SIGUSR1 as i32, -1);
        say(
            &format!("queue-signal-to-{name}"),
            call(c::rt_sigqueueinfo, &[process, SIGUSR1, address(&mut info)]),
        );
        let mut pair = [0_i32; 2];
        let _ = call(c::pipe, &[address(&mut pair)]);
        let end = i64::from(pair[0]);
        say(&format!("own-signals-of-{name}"), call(c::fcntl, &[end, 8, process]));
        let mut owner = [1_i32, process as i32];
        say(&format!("own-signals-of-{name}-too"), call(c::fcntl, &[end, 15, address(&mut owner)]));
        let mut number = process as i32;
        say(&format!("own-signals-of-{name}-by-ioctl"), call(c::ioctl, &[end, 0x8901, address(&mut number)]));
    }
    // These work, but reach nobody outside; the tests look at who is outside.
    for (name, process) in [("everybody", -1), ("own-group", 0), ("first", 1), ("first-group", -1)] {
        println!("# {name}: {:?}", call(c::kill, &[process, SIGUSR1]));
    }
    println!("# parent: {:?}", call(c::kill, &[parent, SIGUSR1]));
    for which in 0..3 {
        println!("# priority {which}: {:?}", call(c::setpriority, &[which, 0, 7]));
        println!("# priority of victim {which}: {:?}", call(c::setpriority, &[which, victim, 7]));
        println!("# io priority {which}: {:?}", call(c::ioprio_set, &[which + 1, 0, 3 << 13]));
        println!("# io priority of victim {which}: {:?}", call(c::ioprio_set, &[which + 1, victim, 3 << 13]));
    }
}

fn kernel(outside: &Outside) {
    let zeros = [0_u64; 64];
    let nothing = zeros.as_ptr() as i64;
    let empty = text("");
    let null = File::open("/dev/null");
    let file = null.as_ref().map_or(-1, |file| i64::from(std::os::fd::AsRawFd::as_raw_fd(file)));
    for (name, number, arguments) in [
        ("load-module", c::init_module, vec![nothing, 64, empty]),
        ("load-module-file", c::finit_module, vec![file, empty, 0]),
        ("unload-module", c::delete_module, vec![text("loop"), 0o4000]),
        ("bpf", c::bpf, vec![0, nothing, 64]),
        ("perf", c::perf_event_open, vec![nothing, 0, -1, -1, 0]),
        ("add-key", c::add_key, vec![text("user"), text("x"), text("y"), 1, -3]),
        ("request-key", c::request_key, vec![text("user"), text("x"), 0, -3]),
        ("keyctl", c::keyctl, vec![0, -3, 1]),
        ("io-uring", c::io_uring_setup, vec![8, nothing]),
        ("userfaultfd", c::userfaultfd, vec![1]),
        ("memfd", c::memfd_create, vec![text("x"), 0]),
        ("memfd-secret", c::memfd_secret, vec![0]),
        ("shm", c::shmget, vec![0, 4096, 0o1600]),
        ("shm-remove", c::shmctl, vec![outside.number("shm"), 0, 0]),
        ("msg", c::msgget, vec![0, 0o1600]),
        ("msg-look", c::msgctl, vec![outside.number("msg"), 2, nothing]),
        ("msg-send", c::msgsnd, vec![outside.number("msg"), [1_u64, 1].as_ptr() as i64, 8, 0o4000]),
        ("msg-receive", c::msgrcv, vec![outside.number("msg"), nothing, 8, 0, 0o4000]),
        ("msg-remove", c::msgctl, vec![outside.number("msg"), 0, 0]),
        ("sem", c::semget, vec![0, 1, 0o1600]),
        ("sem-remove", c::semctl, vec![outside.number("sem"), 0, 0, 0]),
        ("mq", c::mq_open, vec![text("x"), 0o102, 0o600, 0]),
        ("mq-remove", c::mq_unlink, vec![text(outside.text("mq"))]),
        ("iopl", c::iopl, vec![3]),
        ("ioperm", c::ioperm, vec![0x80, 1, 1]),
        ("ldt", c::modify_ldt, vec![0, nothing, 16]),
        ("reboot", c::reboot, vec![0xfee1_dead, 672_274_793, 0, 0]),
        ("name-host", c::sethostname, vec![text("owned"), 5]),
        ("set-time", c::settimeofday, vec![nothing, 0]),
        ("set-clock", c::clock_settime, vec![0, nothing]),
        ("adjust-time", c::adjtimex, vec![nothing]),
        ("adjust-clock", c::clock_adjtime, vec![0, nothing]),
        ("swap", c::swapon, vec![text("/dev/null"), 0]),
        ("account", c::acct, vec![0]),
        ("kernel-log", c::syslog, vec![3, nothing, 64]),
        ("quota", c::quotactl, vec![0x0080_0007, 0, 0, nothing]),
        ("kexec", c::kexec_load, vec![0, 0, nothing, 0]),
        ("kexec-file", c::kexec_file_load, vec![file, file, 0, empty, 0]),
        ("fanotify", c::fanotify_init, vec![0, 0]),
        ("handle", c::name_to_handle_at, vec![c::AT_FDCWD, text("/"), nothing, nothing, 0]),
        ("open-by-handle", c::open_by_handle_at, vec![c::AT_FDCWD, nothing, 0]),
    ] {
        never(name, call(number, &arguments));
    }
    println!("# terminal: {:?}", call(c::ioctl, &[0, 0x5412, text("x")]));
}

/// Calls of other architectures, and numbers beyond what is known.
fn other_numbers() {
    let number: i64;
    // SAFETY: the number is of a call without arguments.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => number, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    say("32-bit-call", got(number > 0));
    say("x32-call", call(0x4000_0000 | c::getpid, &[]));
    say("x32-socket", call(0x4000_0000 | c::socket, &[1, 1, 0]));
    for number in [463, 466, 467, 500, 512, 546, 1000] {
        say(&format!("call-{number}"), call(number, &[0, 0, 0, 0, 0, 0]));
    }
}

/// Another filter, with an end of its own to answer at.
fn filters() {
    let allow = [0x7fff_0000_0000_0006_u64];
    let mut program = [1_u64, allow.as_ptr() as u64];
    say("filter-with-listener", call(c::seccomp, &[1, 8, address(&mut program)]));
    say("debug-mode", call(c::prctl, &[22, 0, 0, 0, 0]).and_then(|_| got(false)));
    say("new-privileges", call(c::prctl, &[38, 0, 0, 0, 0]));
    // Ambient capabilities, for each there may be.
    let raised = (0..64).any(|number| call(c::prctl, &[47, 2, number, 0, 0]).is_ok());
    say("raise-capabilities", got(raised));
}

fn files(outside: &Outside) {
    let parent = call(c::getppid, &[]).unwrap_or(0);
    let composer = if parent > 1 { parent - 1 } else { outside.number("victim") };
    for process in [1, parent, composer] {
        for what in
            ["environ", "mem", "maps", "exe", "fd/0", "root/etc/passwd", "cwd/etc/passwd", "stack", "io"]
        {
            say(
                &format!("open-proc-{}-{what}", name_of(process, parent, composer)),
                of_io(File::open(format!("/proc/{process}/{what}"))),
            );
        }
    }
    for path in [
        "/proc/sysrq-trigger",
        "/proc/kcore",
        "/proc/kmsg",
        "/proc/kallsyms",
        "/proc/cmdline",
        "/proc/version",
        "/proc/keys",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/vm/drop_caches",
        "/proc/timer_list",
        "/proc/sched_debug",
        "/proc/bus/pci",
        "/proc/config.gz",
        "/proc/acpi",
        "/sys/kernel",
        "/sys/power/state",
        "/sys/fs/cgroup",
        "/dev/mem",
        "/dev/kmem",
        "/dev/port",
        "/dev/kmsg",
        "/dev/vda",
        "/dev/sda",
        "/dev/kvm",
        "/dev/fuse",
        "/dev/loop-control",
        "/dev/mapper/control",
        "/dev/pts/0",
        "/dev/ptmx",
        "/dev/net/tun",
        "/dev/vsock",
        "/dev/vhost-vsock",
        "/dev/userfaultfd",
        "/dev/cpu/0/msr",
        "/run/docker.sock",
    ] {
        say(&format!("open-{path}"), of_io(File::open(path)));
    }
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/modprobe",
        "/proc/self/uid_map",
        "/proc/self/setgroups",
    ] {
        let written = OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"0 0 4294967295"));
        say(&format!("write-{path}"), of_io(written));
    }
    let canary = outside.text("canary");
    let up = "../".repeat(64);
    let ways = [
        canary.to_owned(),
        format!("{up}{canary}"),
        format!("/proc/self/root{canary}"),
        format!("/proc/self/root/{up}{canary}"),
        format!("/proc/self/cwd/{up}{canary}"),
        format!("/proc/self/task/../../../../..{canary}"),
        format!("/proc/1/root{canary}"),
        format!("/proc/{composer}/root{canary}"),
        format!("/dev/fd/0/../../../..{canary}"),
        format!("/lib/apk/exec/../../../../../..{canary}"),
    ];
    for (number, way) in ways.iter().enumerate() {
        let link = format!("/way-{number}");
        let _ = std::os::unix::fs::symlink(way, &link);
        say(&format!("read-canary-{number}"), of_io(File::open(way)));
        say(&format!("read-canary-by-link-{number}"), of_io(File::open(&link)));
        let opened = OpenOptions::new()
            .append(true)
            .open(&link)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"owned"));
        say(&format!("write-canary-{number}"), of_io(opened));
        say(&format!("chown-canary-{number}"), call(c::chown, &[text(way.as_str()), 65_533, 65_533]));
        say(&format!("link-canary-{number}"), of_io(fs::hard_link(way, format!("/canary-{number}"))));
        say(&format!("move-canary-{number}"), of_io(fs::rename(way, format!("/canary-{number}"))));
        say(&format!("remove-canary-{number}"), of_io(fs::remove_file(way)));
        say(
            &format!("attribute-canary-{number}"),
            call(c::setxattr, &[text(way.as_str()), text("user.x"), text("x"), 1, 0]),
        );
        let _ = fs::remove_file(&link);
    }
    say("rename-root", of_io(fs::rename("/", "/tmp/x")));
    say(
        "rename-up",
        of_io(fs::rename("/mnt", "/../../mnt-outside"))
            .and_then(|()| got(!fs::exists("/mnt-outside").unwrap_or(true))),
    );
    let _ = fs::rename("/mnt-outside", "/mnt");
    let secret = format!("secret-{}", outside.text("marker"));
    let seen = numbers().into_iter().filter(|number| {
        let mut text = Vec::new();
        let _ =
            File::open(format!("/proc/{number}/environ")).and_then(|mut file| file.read_to_end(&mut text));
        String::from_utf8_lossy(&text).contains(&secret)
    });
    say(
        "read-secret-of-environment",
        got(seen.count() > 0 || std::env::vars().any(|(_, value)| value.contains(&secret))),
    );
}

fn name_of(process: i64, parent: i64, composer: i64) -> &'static str {
    match process {
        _ if process == composer => "composer",
        _ if process == parent => "parent",
        _ => "first",
    }
}

fn numbers() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Devices: a recorded one is an empty file, and those of the system stay as they are.
fn devices(outside: &Outside) {
    let (major, minor) = (outside.number("disk-major"), outside.number("disk-minor"));
    let number = minor & 0xff | major << 8 | (minor & 0xfff_ff00) << 12;
    for (name, kind) in [("block", 0o60_000), ("character", 0o20_000)] {
        let path = format!("/stolen-{name}");
        println!("# make {name} device: {:?}", call(c::mknod, &[text(path.as_str()), kind | 0o666, number]));
        let mut byte = [0; 1];
        let read = File::open(&path).and_then(|mut file| file.read(&mut byte));
        say(&format!("read-{name}-device"), of_io(read).and_then(|count| got(count > 0)));
        let _ = fs::remove_file(&path);
    }
    // What these come to inside is not looked at, but what becomes of the system's.
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        let path = text(format!("/dev/{device}"));
        println!("# {device}: {:?}", call(90, &[path, 0o600]));
        let _ = call(c::chown, &[path, 65_533, 65_533]);
        let _ = call(c::setxattr, &[path, text("user.x"), text("x"), 1, 0]);
        let times = [1_i64, 0, 1, 0];
        println!(
            "# {device} times: {:?}",
            call(c::utimensat, &[c::AT_FDCWD, path, times.as_ptr() as i64, 0])
        );
        if let Ok(file) = File::open(format!("/dev/{device}")) {
            let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file).into();
            println!("# {device} open: {:?}", call(c::fchmod, &[descriptor, 0o600]));
            let _ = call(c::utimensat, &[descriptor, 0, times.as_ptr() as i64, 0]);
        }
        let _ = call(90, &[path, 0o666]);
    }
}

/// Descriptors that somebody left open, and those that a program is given.
fn inherited() {
    let open = (3..1000).filter(|number| call(c::fcntl, &[*number, 1, 0]).is_ok()).collect::<Vec<_>>();
    for number in &open {
        println!("# descriptor {number} is {:?}", fs::read_link(format!("/proc/self/fd/{number}")));
    }
    say("inherited-descriptor", got(!open.is_empty()));
    let times = [1_i64, 0, 1, 0];
    for number in 0..3 {
        println!("# change {number}: {:?}", call(c::fchmod, &[number, 0o600]));
        println!("# own {number}: {:?}", call(c::fchown, &[number, 65_533, 65_533]));
        println!("# touch {number}: {:?}", call(c::utimensat, &[number, 0, times.as_ptr() as i64, 0]));
        let path = text(format!("/proc/self/fd/{number}"));
        println!(
            "# touch path {number}: {:?}",
            call(c::utimensat, &[c::AT_FDCWD, path, times.as_ptr() as i64, 0])
        );
        println!("# change path {number}: {:?}", call(90, &[path, 0o600]));
        let name = text(format!("/descriptor-{number}"));
        let linked = call(c::linkat, &[c::AT_FDCWD, path, c::AT_FDCWD, name, 0x400]);
        // The output is a file inside.
        if number != 1 {
            say(&format!("link-descriptor-{number}"), linked);
        }
    }
}

/// Changes a path while calls that the supervisor answers are made with it: a link, and the text in memory.
pub(crate) fn race(outside: &Outside) {
    let canary = outside.text("canary").to_owned();
    fs::write("/inside", "").expect("a file");
    let is_over = Arc::new(AtomicBool::new(false));
    let targets = [
        "/inside".to_owned(),
        "/etc/passwd".to_owned(),
        format!("../../../..{canary}"),
        format!("/proc/self/root{canary}"),
        format!("/proc/1/root{canary}"),
        "/proc/self/fd/0".to_owned(),
        "/dev/null".to_owned(),
    ];
    let swaps = {
        let (is_over, targets) = (Arc::clone(&is_over), targets.clone());
        std::thread::spawn(move || {
            for target in targets.iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let _ = std::os::unix::fs::symlink(target, "/swap-new");
                let _ = fs::rename("/swap-new", "/swap");
            }
        })
    };
    let path: Arc<Vec<AtomicU8>> = Arc::new((0..256).map(|_| AtomicU8::new(0)).collect());
    let overwrites = {
        let (is_over, path) = (Arc::clone(&is_over), Arc::clone(&path));
        let texts =
            ["/inside".to_owned(), canary.clone(), "/dev/null".to_owned(), format!("/../../..{canary}")];
        std::thread::spawn(move || {
            for text in texts.iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                for (place, byte) in path.iter().zip(text.bytes().chain([0])) {
                    place.store(byte, Ordering::Relaxed);
                }
            }
        })
    };
    let (swap, changing) = (text("/swap"), path.as_ptr() as i64);
    let mut buffer = [0_u64; 64];
    let begun = Instant::now();
    let mut rounds = 0;
    while begun.elapsed() < Duration::from_millis(700) {
        for path in [swap, changing] {
            let _ = call(c::chown, &[path, 65_533, 65_533]);
            let _ = call(c::lchown, &[path, 65_533, 65_533]);
            let _ = call(c::fchownat, &[c::AT_FDCWD, path, 65_533, 65_533, 0]);
            let _ = call(c::mknod, &[path, 0o20_666, 0x103]);
            let _ = call(c::setxattr, &[path, text("user.race"), text("x"), 1, 0]);
            let _ = call(c::lsetxattr, &[path, text("user.race"), text("x"), 1, 0]);
            let _ = call(c::stat, &[path, address(&mut buffer)]);
            let _ = call(c::statx, &[c::AT_FDCWD, path, 0, 0xfff, address(&mut buffer)]);
            let _ = call(c::removexattr, &[path, text("user.race")]);
        }
        rounds += 1;
    }
    is_over.store(true, Ordering::Relaxed);
    let _ = (swaps.join(), overwrites.join());
    let _ = (fs::remove_file("/swap"), fs::remove_file("/swap-new"), fs::remove_file("/inside"));
    println!("end after {rounds} rounds");
}
