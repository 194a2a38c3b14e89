//! What the tests run with: commands in a clean environment, needs that are said to be missing, mirrors that
//! may be damaged, figures.

use std::env;
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::command::{Dir, normalised};
use crate::support::figures::{Spread, measure};
use crate::support::mirror::Mirror;
use crate::support::{files, need};

/// Runs the test below in a process of its own, without Alpine data, with `require_all` for
/// `APKCOMPOSE_REQUIRE_ALL`.
fn run_a_test_that_lacks_its_data(require_all: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "harness::a_mirror_of_a_tests_own_is_damaged_without_the_original"])
        .env("APKCOMPOSE_ALPINE_DATA", "/nowhere")
        .env("APKCOMPOSE_REQUIRE_ALL", require_all)
        .output()
        .unwrap()
}

#[test]
fn a_mirror_of_a_tests_own_is_damaged_without_the_original() {
    let Some(alpine) = need::alpine("a_mirror_of_a_tests_own_is_damaged_without_the_original") else {
        return;
    };
    let json = "php7/x86_64/php7-json-7.1.2-r0.apk";
    let original = files::read(&alpine.mirror().join(json));
    let mirror = Mirror::of(&alpine, &["php7/x86_64/APKINDEX.tar.gz"]).with_packages(
        &alpine,
        "php7/x86_64",
        &["php7-json-7.1.2-r0"],
    );

    mirror.flip(json, 100);
    assert_ne!(mirror.read(json), original);
    mirror.flip(json, 100);
    assert_eq!(mirror.read(json), original);
    mirror.truncate(json, 10);
    assert_eq!(mirror.read(json).len(), 10);
    mirror.remove(json);

    assert_eq!(files::names(&mirror.path().join("php7/x86_64")), ["APKINDEX.tar.gz"]);
    assert_eq!(files::read(&alpine.mirror().join(json)), original);
}

#[test]
fn a_spread_has_the_middle_in_the_middle() {
    assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 3.0 });
    assert_eq!(Spread::of([4.0, 1.0]), Spread { min: 1.0, median: 2.5, max: 4.0 });
    assert_eq!(
        Spread::of_ratios(&[1.0, 4.0, 9.0], &[2.0, 4.0, 3.0]),
        Spread { min: 0.5, median: 1.0, max: 3.0 }
    );
}

#[test]
fn a_test_that_lacks_something_is_skipped_by_name() {
    let output = run_a_test_that_lacks_its_data("0");

    let words = String::from_utf8_lossy(&output.stderr);
    let test = "a_mirror_of_a_tests_own_is_damaged_without_the_original";
    assert_eq!(words, format!("skipped: {test}: needs the Alpine data (/nowhere has no mirror)\n"));
    assert!(output.status.success());
}

#[test]
fn a_test_that_lacks_something_fails_where_all_is_required() {
    let output = run_a_test_that_lacks_its_data("1");

    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("APKCOMPOSE_REQUIRE_ALL is set"));
}

#[test]
fn a_command_has_a_home_and_a_cache_of_its_own_and_nothing_else() {
    let dir = Dir::new();

    let outcome = dir
        .command()
        .env("ADDED", "yes")
        .under(["sh", "-c", "env | sort; pwd; cat"])
        .stdin("input")
        .success();

    let text = outcome.stdout_text();
    let lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with("PATH=") && !line.starts_with('L')).collect();
    assert_eq!(
        lines,
        [
            "ADDED=yes",
            "APKCOMPOSE_CACHE_DIR=[DIR]/cache",
            "HOME=[DIR]/home",
            "PWD=[DIR]/work",
            "TZ=UTC",
            "XDG_CACHE_HOME=[DIR]/home/.cache",
            "[DIR]/work",
            "input"
        ]
    );
}

#[test]
fn what_a_command_is_run_under_reaches_it() {
    let test = "what_a_command_is_run_under_reaches_it";
    let Some(()) = need::root(test) else { return };
    let Some(()) = need::network_namespace(test) else { return };
    let Some(_) = need::program(test, "faketime") else { return };
    let dir = Dir::new();
    let script = "umask; id -u; id -g; date +%s; touch here";

    let outcome = dir
        .command()
        .under(["sh", "-c", script])
        .umask("027")
        .days_later(3)
        .run_by(65534)
        .under(["unshare", "--net"])
        .success();

    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86400;
    let printed = outcome.stdout_text();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[..3], ["0027", "65534", "65534"]);
    let day = lines[3].parse::<u64>().unwrap() / 86400;
    assert!((today + 2..=today + 4).contains(&day), "{day} is not three days after {today}");
    assert_eq!(dir.names(), ["here"]);
}

#[test]
fn a_failing_command_is_described_with_what_it_said() {
    let dir = Dir::new();

    let outcome = dir.command().under(["sh", "-c", "echo words >&2; echo data; exit 3"]).fails_with(3);

    assert_eq!((outcome.stdout(), outcome.stderr_text().as_str()), (b"data\n".as_slice(), "words\n"));
    assert!(outcome.to_string().contains("(exit status: 3)\n--- standard error\nwords\n"), "{outcome}");
}

#[test]
fn places_of_this_machine_are_named_in_texts() {
    let dir = Dir::new();
    let text = format!("{}/x and {}/y", dir.path().display(), env!("CARGO_MANIFEST_DIR"));

    assert_eq!(normalised(&text, dir.path().parent().unwrap()), "[DIR]/work/x and [CRATE]/y");
}

#[test]
fn a_measured_command_costs_what_it_does() {
    let Some(_) = need::program("a_measured_command_costs_what_it_does", "time") else { return };
    let dir = Dir::new();
    let mut command = Command::new("dd");
    command.args(["if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]);

    let figures = measure(&command, &dir.join("notes")).unwrap();

    assert!((64.0..80.0).contains(&figures.peak), "{figures:?}");
    assert!(figures.wall > 0.0 && figures.cpu < 10.0, "{figures:?}");
    assert!(measure(&Command::new("false"), &dir.join("notes")).unwrap_err().contains("exit status: 1"));
}
