//! Owners, devices and attributes as a program sees them, in every mode and from the kernel itself, as root.

use std::process::Command;

use super::attacker;
use super::modes::{Attack, MODES};
use crate::support::command::Dir;
use crate::support::need;

/// What the program prints below a root directory of its own, without a sandbox.
fn from_the_kernel() -> String {
    let root = Dir::new();
    let program = root.write("attacker", attacker::program());
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = Command::new("chroot").arg(root.path()).args(["/attacker", "kernel"]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn the_sandbox_answers_as_the_kernel_does() {
    let test = "the_sandbox_answers_as_the_kernel_does";
    let Some(alpine) = need::alpine(test) else { return };
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    let expected = from_the_kernel();
    for mode in MODES {
        let attacked = Attack::new(&alpine, mode, "exec ATTACKER kernel > /report").run();
        assert_same_lines(&attacked.report(), &expected, &format!("{mode:?}"));
    }
}

#[test]
fn calls_that_are_answered_take_this_long() {
    let test = "calls_that_are_answered_take_this_long";
    let Some(alpine) = need::alpine(test) else { return };
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    for mode in MODES {
        let attacked = Attack::new(&alpine, mode, "exec ATTACKER speed").run();
        attacked.ends_with(0, "1000 stats");
        let words = attacked.outcome.stderr_text();
        let lines: Vec<&str> = words.lines().filter(|line| line.contains("1000 stats")).collect();
        println!("{mode:?}: {lines:?}");
    }
}

/// Says which lines differ.
fn assert_same_lines(got: &str, expected: &str, what: &str) {
    let differing: Vec<(&str, &str)> =
        expected.lines().zip(got.lines()).filter(|(expected, got)| expected != got).collect();
    assert!(
        differing.is_empty() && got.lines().count() == expected.lines().count(),
        "{what}: {differing:#?}"
    );
}
