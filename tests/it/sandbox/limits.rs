//! What a program may use: each limit reached by a program alone in an empty root filesystem, in namespaces and by
//! chroot, with limits small enough to be reached soon.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use apkcompose::report::Reporter;
use apkcompose::sandbox::{Confinement, Ended, Limits, Program, Run, Sandbox, SandboxError, SandboxOptions};
use apkcompose::tree::Tree;

use super::attacker;
use crate::support::command::{BINARY, Dir};
use crate::support::need;

const MEGABYTE: u64 = 1 << 20;
/// How a program ends that uses more memory than these tests let it.
const TOO_MUCH_MEMORY: Ended = Ended::TooMuchMemory { limit: 256 * MEGABYTE };

/// Hears what a program prints, and lets nobody stop it.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn output(&self, _: &str, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

/// The variable that says that control groups cannot be used.
const UNGROUPED: &str = "APKCOMPOSE_TEST_UNGROUPED";

/// What an attack comes to that may add `space` megabytes to the root, and what it printed.
fn attacked(confinement: Confinement, space: u64, attack: &str) -> (Result<Run, SandboxError>, Vec<String>) {
    let dir = Dir::new();
    let mut sandbox = sandbox(confinement, space, &dir);
    let heard = Heard::default();
    let begun = Instant::now();
    let run = run(&mut sandbox, &mut Tree::default(), &[attack], &heard);
    drop(sandbox);
    assert!(begun.elapsed() < Duration::from_secs(110), "{attack} took {:?}", begun.elapsed());
    assert_eq!(dir.names(), Vec::<String>::new(), "{attack}");
    (run, heard.0.into_inner().unwrap())
}

/// A sandbox with small limits, whose programs may add `space` megabytes to the root.
fn sandbox(confinement: Confinement, space: u64, dir: &Dir) -> Sandbox {
    let limits = Limits {
        time: Duration::from_secs(120),
        processes: 64,
        memory: 256 * MEGABYTE,
        space: space * MEGABYTE,
    };
    let options =
        SandboxOptions { helper: BINARY.into(), confinement, limits, directory: dir.path(), memory: None };
    Sandbox::new(options, 0)
}

/// Runs the attacking program with `arguments`.
fn run(
    sandbox: &mut Sandbox,
    tree: &mut Tree,
    arguments: &[&str],
    heard: &Heard,
) -> Result<Run, SandboxError> {
    let arguments: Vec<String> = arguments.iter().copied().map(str::to_owned).collect();
    let program =
        Program { name: "attack", text: attacker::program(), arguments: &arguments, environment: &[] };
    sandbox.run(tree, &program, heard)
}

/// Runs `check` of `attack` in both confinements.
fn in_both(test: &str, attack: &str, check: impl Fn(Result<Run, SandboxError>, Vec<String>)) {
    // On disk others write too, so that there the limit of space is one that they do not reach.
    in_both_with_space(test, attack, 1 << 20, check);
}

/// Runs `check` of `attack`, which is about space, in both confinements, with `on_disk` megabytes on disk.
fn in_both_with_space(
    test: &str,
    attack: &str,
    on_disk: u64,
    check: impl Fn(Result<Run, SandboxError>, Vec<String>),
) {
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    for (confinement, space) in [(Confinement::Namespaces, 128), (Confinement::Chroot, on_disk)] {
        let (run, lines) = attacked(confinement, space, attack);
        check(run, lines);
    }
}

/// It was ended for what it wrote, or what it wrote was too much to be read back. On a disk that others write to as
/// well, either may come first.
fn wrote_too_much(run: Result<Run, SandboxError>) {
    match run {
        Ok(run) => assert!(matches!(run.ended, Ended::TooMuchSpace { .. }), "{run:?}"),
        Err(error) => assert!(error.to_string().contains("a program wrote more than"), "{error}"),
    }
}

fn ended(run: Result<Run, SandboxError>) -> Ended {
    run.unwrap().ended
}

#[test]
fn memory_of_many_processes_is_counted_together() {
    in_both("memory_of_many_processes_is_counted_together", "memory", |run, _| {
        assert_eq!(ended(run), TOO_MUCH_MEMORY);
    });
}

#[test]
fn shared_memory_is_counted() {
    in_both("shared_memory_is_counted", "shared-memory", |run, _| {
        assert_eq!(ended(run), TOO_MUCH_MEMORY);
    });
}

#[test]
fn memory_of_a_process_without_a_first_thread_is_counted() {
    in_both("memory_of_a_process_without_a_first_thread_is_counted", "headless-memory", |run, _| {
        assert_eq!(ended(run), TOO_MUCH_MEMORY);
    });
}

#[test]
fn memory_that_tells_where_memory_is_is_counted() {
    in_both("memory_that_tells_where_memory_is_is_counted", "page-tables", |run, _| {
        assert_eq!(ended(run), TOO_MUCH_MEMORY);
    });
}

#[test]
fn attributes_are_not_kept_without_end() {
    in_both("attributes_are_not_kept_without_end", "attributes", |run, lines| {
        // ENOSPC.
        assert!(lines.contains(&"refused 28".to_owned()), "{lines:?}");
        assert_eq!(ended(run), Ended::Exited(0));
    });
}

#[test]
fn shared_memory_that_no_process_has_mapped_is_counted() {
    let test = "shared_memory_that_no_process_has_mapped_is_counted";
    for attack in ["hidden-memory", "unmapped-memory"] {
        in_both(test, attack, |run, _| assert_eq!(ended(run), TOO_MUCH_MEMORY, "{attack}"));
    }
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    // By chroot the device may be missing.
    let (run, _) = attacked(Confinement::Namespaces, 128, "zero-memory");
    assert_eq!(ended(run), TOO_MUCH_MEMORY);
}

#[test]
fn what_is_in_sockets_and_pipes_is_counted() {
    let test = "what_is_in_sockets_and_pipes_is_counted";
    for attack in ["sockets", "many-pipes"] {
        in_both(test, attack, |run, _| assert_eq!(ended(run), TOO_MUCH_MEMORY, "{attack}"));
    }
}

#[test]
fn what_the_kernel_knows_of_mappings_is_counted() {
    in_both("what_the_kernel_knows_of_mappings_is_counted", "mappings", |run, _| {
        assert_eq!(ended(run), TOO_MUCH_MEMORY);
    });
}

#[test]
fn who_fills_the_temporary_directory_is_ended() {
    let test = "who_fills_the_temporary_directory_is_ended";
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    let (run, _) = attacked(Confinement::Namespaces, 128, "temporary-files");
    // It is in memory, of which there may be as much.
    let ended = ended(run);
    assert!(matches!(ended, Ended::TooMuchSpace { .. } | Ended::TooMuchMemory { .. }), "{ended:?}");
}

#[test]
fn files_without_a_name_take_room_too() {
    in_both_with_space("files_without_a_name_take_room_too", "deleted-files", 512, |run, _| {
        wrote_too_much(run);
    });
}

#[test]
fn a_bomb_of_processes_is_ended_at_the_limit() {
    in_both("a_bomb_of_processes_is_ended_at_the_limit", "fork-bomb", |run, _| {
        assert_eq!(ended(run), Ended::TooManyProcesses { limit: 64 });
    });
}

#[test]
fn programs_share_the_space_that_there_is_for_all() {
    let test = "programs_share_the_space_that_there_is_for_all";
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    for confinement in [Confinement::Namespaces, Confinement::Chroot] {
        let (dir, heard, mut tree) = (Dir::new(), Heard::default(), Tree::default());
        let mut sandbox = sandbox(confinement, 256, &dir);
        for name in ["first", "second"] {
            let run = run(&mut sandbox, &mut tree, &["write", name, "100"], &heard).unwrap();
            assert_eq!(run.ended, Ended::Exited(0), "{confinement:?} {name}: {run:?}");
        }
        // The same file again: what was written is gone, but was written.
        wrote_too_much(run(&mut sandbox, &mut tree, &["write", "second", "100"], &heard));
    }
}

/// The tests of what a control group counts where there is one.
const COUNTED: [&str; 7] = [
    "memory_of_many_processes_is_counted_together",
    "shared_memory_is_counted",
    "memory_of_a_process_without_a_first_thread_is_counted",
    "memory_that_tells_where_memory_is_is_counted",
    "shared_memory_that_no_process_has_mapped_is_counted",
    "what_is_in_sockets_and_pipes_is_counted",
    "what_the_kernel_knows_of_mappings_is_counted",
];

/// What makes the place where control groups are an empty directory.
const COVER_GROUPS: &str = "mount --make-rprivate / && mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";

#[test]
fn the_limits_hold_where_there_are_no_control_groups() {
    let test = "the_limits_hold_where_there_are_no_control_groups";
    if std::env::var_os(UNGROUPED).is_some() {
        return;
    }
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    let again = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", COVER_GROUPS, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(COUNTED.map(|test| format!("sandbox::limits::{test}")))
        .args(["--exact", "--test-threads=2"])
        .env(UNGROUPED, "1")
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{words}\n{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(words.lines().filter(|line| line.ends_with(" ... ok")).count(), COUNTED.len(), "{words}");
}

#[test]
fn pipes_hold_little() {
    in_both("pipes_hold_little", "pipes", |run, lines| {
        assert_eq!(ended(run), Ended::Exited(0), "{lines:?}");
        let megabytes: u64 =
            lines.iter().find_map(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(u64::MAX);
        assert!(megabytes <= 256, "{lines:?}");
    });
}

#[test]
fn one_file_may_be_no_larger_than_all_may_be() {
    in_both_with_space("one_file_may_be_no_larger_than_all_may_be", "one-file", 512, |run, lines| {
        assert_eq!(ended(run), Ended::Exited(0), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("refused")), "{lines:?}");
    });
}

#[test]
fn who_fills_the_root_is_ended() {
    in_both_with_space("who_fills_the_root_is_ended", "many-bytes", 512, |run, _| wrote_too_much(run));
}

#[test]
fn empty_files_take_room_too() {
    let test = "empty_files_take_room_too";
    if need::root(test).is_none() {
        return;
    }
    let (run, _) = attacked(Confinement::Chroot, 16, "many-files");
    wrote_too_much(run);
}

#[test]
fn what_takes_no_room_but_says_so_is_refused() {
    in_both_with_space("what_takes_no_room_but_says_so_is_refused", "sparse", 512, |run, _| {
        wrote_too_much(run);
    });
}

#[test]
fn an_owner_goes_with_its_file() {
    in_both("an_owner_goes_with_its_file", "stale-records", |run, lines| {
        assert_eq!(ended(run), Ended::Exited(0), "{lines:?}");
        assert_eq!(lines, ["wrong 0"]);
    });
}

#[test]
fn programs_signal_one_another() {
    in_both("programs_signal_one_another", "siblings", |run, lines| {
        assert_eq!(ended(run), Ended::Exited(0), "{lines:?}");
        let expected = [
            "tkill Ok(0)",
            "tgkill Ok(0)",
            "child Ok(0)",
            "child's thread Ok(0)",
            "all Ok(0)",
            "ended true",
            "by 9",
        ];
        assert_eq!(lines, expected);
    });
}

#[test]
fn a_process_without_a_first_thread_ends_too() {
    in_both("a_process_without_a_first_thread_ends_too", "headless", |run, lines| {
        assert_eq!(ended(run), Ended::Exited(0), "{lines:?}");
    });
}
