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

/// Hears what a program prints, and lets nobody stop it.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn output(&self, _: &str, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

/// What an attack comes to that may add `space` megabytes to the root, and what it printed.
fn attacked(confinement: Confinement, space: u64, attack: &str) -> (Result<Run, SandboxError>, Vec<String>) {
    let dir = Dir::new();
    let limits = Limits {
        time: Duration::from_secs(30),
        processes: 64,
        memory: 256 * MEGABYTE,
        space: space * MEGABYTE,
    };
    let options =
        SandboxOptions { helper: BINARY.into(), confinement, limits, directory: dir.path(), memory: None };
    let mut sandbox = Sandbox::new(options, 0);
    let arguments = [attack.to_owned()];
    let program =
        Program { name: "attack", text: attacker::program(), arguments: &arguments, environment: &[] };
    let heard = Heard::default();
    let begun = Instant::now();
    let run = sandbox.run(&mut Tree::default(), &program, &heard);
    drop(sandbox);
    assert!(begun.elapsed() < Duration::from_secs(25), "{attack} took {:?}", begun.elapsed());
    assert_eq!(dir.names(), Vec::<String>::new(), "{attack}");
    (run, heard.0.into_inner().unwrap())
}

/// Runs `check` of `attack` in both confinements.
fn in_both(test: &str, attack: &str, check: impl Fn(Result<Run, SandboxError>, Vec<String>)) {
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    // On disk others write too, so there is more room there.
    for (confinement, space) in [(Confinement::Namespaces, 128), (Confinement::Chroot, 512)] {
        let (run, lines) = attacked(confinement, space, attack);
        check(run, lines);
    }
}

/// It was ended for what it wrote, or what it wrote was too much to be read back. On a disk that others write to as
/// well, either may come first.
fn wrote_too_much(run: Result<Run, SandboxError>) {
    match run {
        Ok(run) => assert_eq!(run.ended, Ended::TooMuchSpace),
        Err(error) => assert!(error.to_string().contains("a program wrote more than"), "{error}"),
    }
}

fn ended(run: Result<Run, SandboxError>) -> Ended {
    run.unwrap().ended
}

#[test]
fn memory_of_many_processes_is_counted_together() {
    in_both("memory_of_many_processes_is_counted_together", "memory", |run, _| {
        assert_eq!(ended(run), Ended::TooMuchMemory);
    });
}

#[test]
fn shared_memory_is_counted() {
    in_both("shared_memory_is_counted", "shared-memory", |run, _| {
        assert_eq!(ended(run), Ended::TooMuchMemory);
    });
}

#[test]
fn memory_of_a_process_without_a_first_thread_is_counted() {
    in_both("memory_of_a_process_without_a_first_thread_is_counted", "headless-memory", |run, _| {
        assert_eq!(ended(run), Ended::TooMuchMemory);
    });
}

#[test]
fn memory_that_tells_where_memory_is_is_counted() {
    in_both("memory_that_tells_where_memory_is_is_counted", "page-tables", |run, _| {
        assert_eq!(ended(run), Ended::TooMuchMemory);
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
    in_both("one_file_may_be_no_larger_than_all_may_be", "one-file", |run, lines| {
        assert_eq!(ended(run), Ended::Exited(0), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("refused")), "{lines:?}");
    });
}

#[test]
fn who_fills_the_root_is_ended() {
    in_both("who_fills_the_root_is_ended", "many-bytes", |run, _| wrote_too_much(run));
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
    in_both("what_takes_no_room_but_says_so_is_refused", "sparse", |run, _| wrote_too_much(run));
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
