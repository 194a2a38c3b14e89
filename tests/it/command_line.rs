//! The command line as its users meet it: help, what is said while it works and afterwards, variables of the
//! environment, and what is left when somebody interrupts it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::engines::build;
use crate::support::command::{BINARY, Dir, TestCommand};
use crate::support::data::Alpine;
use crate::support::{files, need};

/// Every command that has a help of its own.
const COMMANDS: [&str; 14] = [
    "build",
    "resolve",
    "why",
    "why-not",
    "profiles",
    "profiles list",
    "profiles show",
    "profiles check",
    "package",
    "index",
    "cache",
    "cache info",
    "cache prune",
    "completions",
];

/// Help as it is on a terminal of 100 columns.
fn help(command: &str) -> String {
    let dir = Dir::new();
    // As anywhere but in the tests: no variable is set.
    let command =
        dir.command().args(command.split_whitespace()).arg("--help").without_env("APKCOMPOSE_CACHE_DIR");
    command.env("COLUMNS", "100").success().stdout_text()
}

/// The demo, which takes no time and needs nothing.
fn demo(dir: &Dir) -> TestCommand<'_> {
    dir.command().args(["--profile", "demo"])
}

/// `text` with what differs from run to run replaced, times; and what has tests of its own, digests.
fn without_figures(text: &str) -> String {
    let is_time = |word: &str| word.parse::<f64>().is_ok();
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut words: Vec<&str> = line.split(' ').collect();
        let units: Vec<usize> = (1..words.len()).filter(|&at| matches!(words[at], "ms" | "s")).collect();
        for at in units {
            if is_time(words[at - 1]) {
                words[at - 1] = "[TIME]";
                words[at] = "";
            }
        }
        for word in words.iter_mut().filter(|word| word.starts_with("sha256:")) {
            *word = "sha256:[DIGEST]";
        }
        lines.push(words.join(" ").trim_end().to_owned());
    }
    lines.join("\n")
}

#[test]
fn help_says_what_can_be_typed() {
    insta::assert_snapshot!("help", help(""));
    insta::assert_snapshot!("help_build", help("build"));
}

#[test]
fn the_help_of_every_command_has_an_example_that_is_of_that_command() {
    for command in COMMANDS {
        let text = help(command);
        let examples = text.split_once("\nExample").unwrap_or_else(|| panic!("{command} has no example")).1;
        assert!(examples.contains(&format!("\n  apkcompose {command}")), "{command}: {examples}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{command}: {text}");
    }
}

#[test]
fn a_build_says_what_it_does_and_what_it_made() {
    let dir = Dir::new();

    let outcome = demo(&dir).args(["--progress", "plain", "--arch", "x86_64"]).success();

    assert_eq!(outcome.stdout(), b"");
    let said = without_figures(&outcome.stderr_text());
    insta::assert_snapshot!(said.replace(" --platform linux/amd64", ""));
}

#[test]
fn a_build_for_another_machine_says_how_to_run_it_here() {
    let dir = Dir::new();
    let arch = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };

    let outcome = demo(&dir).args(["--arch", arch]).success();

    let said = outcome.stderr_text();
    assert!(said.contains(" && docker run --rm --platform linux/"), "{said}");
}

#[test]
fn quiet_says_nothing_and_verbose_names_every_package() {
    let dir = Dir::new();

    assert_eq!(demo(&dir).arg("-q").success().stderr_text(), "");
    let verbose = demo(&dir).arg("-v").success().stderr_text();
    let none = demo(&dir).args(["--progress", "none"]).success().stderr_text();

    assert!(
        verbose.contains("\nstage: demo-hello\n") && verbose.contains("\nstage: demo-docs\n"),
        "{verbose}"
    );
    assert!(!none.contains("stage") && none.contains("wrote ./demo.tar"), "{none}");
    assert_eq!(demo(&dir).args(["-q", "-v"]).fails_with(2).stdout_text(), "");
    // Errors are said however quiet.
    assert!(dir.command().args(["-q", "-p", "x"]).fails_with(3).stderr_text().contains("no profile `x`"));
}

#[test]
fn events_are_json_from_the_first_line_to_the_last() {
    let dir = Dir::new();

    let events = |command: TestCommand<'_>, code: i32| -> Vec<Value> {
        let said = command.args(["--progress", "json"]).fails_with(code).stderr_text();
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    };
    let good = events(demo(&dir), 0);
    let bad = events(dir.command().args(["--profile", "demo", "-o", "missing/x.tar"]), 4);

    let steps = |what: &str| -> Vec<&str> {
        let of = good.iter().filter(|event| event["event"] == what);
        of.map(|event| event["step"].as_str().unwrap()).collect()
    };
    assert_eq!(steps("begin"), ["indexes", "fetch", "stage", "squash", "emit"]);
    assert_eq!(steps("end"), steps("begin"));
    for step in steps("begin") {
        let total = good.iter().find(|event| event["event"] == "begin" && event["step"] == step).unwrap();
        let done = good.iter().filter(|event| event["event"] == "advance" && event["step"] == step);
        let done: u64 = done.map(|event| event["amount"].as_u64().unwrap()).sum();
        assert_eq!(Some(done), total["total"].as_u64(), "{step}");
    }
    let last = good.last().unwrap();
    assert_eq!((&last["event"], &last["report"]["packages"]), (&json!("done"), &json!(5)));
    let last = bad.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&json!("error"), &json!(4)));
    assert_eq!(last["hint"], "make it first: mkdir -p missing");
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let dir = Dir::new();

    let outcome = demo(&dir).args(["--dry-run", "-q"]).success();

    insta::assert_snapshot!(outcome.stdout_text());
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn a_dry_run_says_what_becomes_of_the_packages_of_the_base() {
    let test = "a_dry_run_says_what_becomes_of_the_packages_of_the_base";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    dir.write(
        "old.toml",
        "extends = [\"base\"]\nalpine.release = \"3.19\"\npackages.runtime = [\"libcrypto3<3.1.6\"]\n",
    );

    let command = dir.command().args(["--profile", "old", "--dry-run", "-q", "--mirror"]);
    let outcome = command.arg(alpine.mirror()).success();

    // The minirootfs is newer than the index.
    let text = outcome.stdout_text();
    assert!(text.contains(" downgrade libcrypto3 (3.1.7-r0 -> 3.1.5-r0)\n"), "{text}");
    assert!(text.contains(" packages in the image; "), "{text}");
}

#[test]
fn variables_of_the_environment_stand_for_options() {
    let dir = Dir::new();
    let root = dir.write("a directory/x.txt", "");
    let root = root.parent().unwrap();

    dir.command().env("APKCOMPOSE_PROFILE", "demo").env("APKCOMPOSE_OUTPUT", "a.tar\nb.tar").success();
    let quiet = demo(&dir).env("APKCOMPOSE_QUIET", "1").env("APKCOMPOSE_JOBS", "").success();
    let tags = demo(&dir).env("APKCOMPOSE_TAG", "x/one:1,x/two:2").env("APKCOMPOSE_FORMAT", "json").success();
    // A directory may have a space in its name.
    let mirror = dir.command().args(["--profile", "base"]).env("APKCOMPOSE_MIRROR", root).fails_with(4);

    assert_eq!(dir.names(), ["a directory", "a.tar", "b.tar", "demo.tar"]);
    assert_eq!(quiet.stderr_text(), "");
    assert_eq!(tags.stdout_json()["image"]["tags"], json!(["x/one:1", "x/two:2"]));
    assert!(mirror.stderr_text().contains("/a directory/latest-stable"), "{mirror}");
    // What continuous integration leaves empty is not there.
    let none = dir.command().env("APKCOMPOSE_PROFILE", "").fails_with(2);
    insta::assert_snapshot!(none.stderr_text());
}

#[test]
fn profiles_are_listed_shown_and_checked() {
    let dir = Dir::new();
    let run = |arguments: &str| dir.command().args(["profiles"]).args(arguments.split(' ')).success();

    insta::assert_snapshot!("profiles_list", run("list").stdout_text());
    let listed = run("list --format json").stdout_json();
    assert_eq!(listed.as_array().unwrap().len(), run("list").stdout_text().lines().count());
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo.toml");
    assert_eq!(run("show demo").stdout(), files::read(&built_in));
    insta::assert_snapshot!("profiles_show_resolved", run("show demo --resolved").stdout_text());
    let shown = run("show demo --format json").stdout_json();
    assert_eq!(shown["image"]["user"]["value"], "2000:2000");
    assert!(shown["image"]["user"]["origin"].as_str().unwrap().starts_with("demo (built-in):"));
    let checked = run("check --text-only").stdout_text();
    let listed = listed.as_array().unwrap().iter().map(|listed| listed["name"].as_str().unwrap());
    let names: Vec<&str> = checked.lines().map(|line| line.strip_suffix(" ok").unwrap().trim()).collect();
    assert_eq!(names, listed.collect::<Vec<_>>());
    assert_eq!(run("check demo --arch x86_64").stdout_text(), "demo  ok, 5 packages, 5.0 kB to fetch\n");
}

#[test]
fn what_is_shown_of_a_profile_is_that_profile() {
    let dir = Dir::new();
    let shown = dir.command().args(["profiles", "show", "demo", "--resolved"]).success();
    // The repository and its key lie beside the built-in profile, and so beside the copy.
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo");
    for name in ["demo.rsa.pub", "x86_64/APKINDEX.tar.gz"] {
        dir.write(&format!("demo/{name}"), files::read(&beside.join(name)));
    }
    for name in files::names(&beside.join("x86_64")) {
        dir.write(&format!("demo/x86_64/{name}"), files::read(&beside.join("x86_64").join(name)));
    }
    dir.write("copy.toml", shown.stdout());

    dir.command().args(["-p", "./copy.toml", "-o", "copy.tar", "--arch", "x86_64"]).success();
    demo(&dir).args(["--arch", "x86_64"]).success();

    assert_eq!(dir.read("copy.tar"), dir.read("demo.tar"));
}

#[test]
fn checking_profiles_names_every_one_that_is_wrong() {
    let test = "checking_profiles_names_every_one_that_is_wrong";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    dir.write("typo.toml", "extends = [\"base\"]\npackages.runtme = [\"jq\"]\n");
    dir.write("unknown.toml", "extends = [\"base\"]\npackages.runtime = [\"jqq\"]\n");
    dir.write("good.toml", "extends = [\"base\"]\npackages.runtime = [\"jq\"]\n");
    let check = |options: &[&str]| {
        let names = ["./typo.toml", "./unknown.toml", "./good.toml"];
        dir.command()
            .args(["profiles", "check", "-q", "--mirror"])
            .arg(alpine.mirror())
            .args(names)
            .args(options)
    };

    let outcome = check(&[]).fails_with(3);
    let checked = check(&["--format", "json"]).fails_with(3).stdout_json();

    insta::assert_snapshot!(outcome.stdout_text() + &outcome.stderr_text());
    let ok: Vec<_> = checked.as_array().unwrap().iter().map(|one| one["ok"].as_bool().unwrap()).collect();
    assert_eq!(ok, [false, false, true]);
    assert_eq!(checked[2]["images"][0]["packages"], 17);
}

#[test]
fn the_cache_is_counted_and_pruned() {
    let dir = Dir::new();
    demo(&dir).success();
    let cache = |arguments: &str| {
        let command = dir.command().arg("cache").args(arguments.split(' ')).args(["--format", "json"]);
        command.success().stdout_json()
    };
    let kinds = |of: &Value| [of["originals"]["files"].as_u64(), of["expanded"]["files"].as_u64()];

    let full = cache("info");
    assert_eq!(
        kinds(&full),
        [Some(4), Some(8)],
        "four packages with a file each, and a tar and a table of each"
    );
    assert_eq!(kinds(&cache("prune --days 1")), [Some(0), Some(0)]);
    assert_eq!(kinds(&cache("prune")), [Some(0), Some(8)]);
    let text = dir.command().args(["cache", "info"]).success().stdout_text();
    assert!(text.starts_with("[DIR]/cache\n  originals        5.0 kB in 4 files\n"), "{text}");
    demo(&dir).success();
    assert_eq!(kinds(&cache("info")), kinds(&full));
    assert_eq!(kinds(&cache("prune --all")), kinds(&full));
    assert_eq!(kinds(&cache("info")), [Some(0), Some(0)]);
    demo(&dir).success();
}

#[test]
fn completions_know_the_commands() {
    let dir = Dir::new();

    for shell in ["bash", "zsh", "fish"] {
        let script = dir.command().args(["completions", shell]).success().stdout_text();
        assert!(script.contains("profiles") && script.contains("dry-run"), "{shell}: {script}");
    }
    let script = dir.command().args(["completions", "bash"]).success();
    let checked = Command::new("bash").arg("-n").arg(dir.write("completions", script.stdout())).status();
    assert!(checked.unwrap().success());
}

#[test]
fn a_full_standard_output_is_a_failure_and_a_closed_one_is_not() {
    let dir = Dir::new();

    let full = dir.command().args(["profiles", "list"]).under(["sh", "-c", "exec \"$@\" >/dev/full", "sh"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = Command::new(BINARY).args(["profiles", "show", "demo"]).stdout(writer).status();

    insta::assert_snapshot!(full.fails_with(8).stderr_text());
    assert_eq!(closed.unwrap().code(), Some(0));
}

/// Builds the archive and the tar of large packages, interrupts that when `step` has begun, and gives the exit
/// code, with what was said afterwards.
fn interrupted(dir: &Dir, alpine: &Alpine, step: &str, signal: Signal) -> (Option<i32>, String) {
    let mut child = Command::new(BINARY)
        .args(["--profile", "big.toml", "--jobs", "1", "--progress", "json", "-o", "x.tar", "-o"])
        .arg("type=tar,dest=rootfs.tar")
        .arg("--mirror")
        .arg(alpine.mirror())
        .arg("--cache-dir")
        .arg(dir.cache())
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let (mut line, begin) = (String::new(), format!("\"step\":\"{step}\""));
    while !(line.contains("\"begin\"") && line.contains(&begin)) {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "{step} never began");
    }
    kill_process(Pid::from_child(&child), signal).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

#[test]
fn whoever_interrupts_a_build_finds_nothing_of_it() {
    let test = "whoever_interrupts_a_build_finds_nothing_of_it";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    let packages =
        "\"git\", \"wget\", \"make\", \"musl-dev\", \"linux-headers\", \"binutils\", \"coreutils\"";
    let text = format!("extends = [\"base\"]\nalpine.release = \"3.19\"\npackages.runtime = [{packages}]\n");
    dir.write("big.toml", text);

    for (step, signal) in [
        ("indexes", Signal::INT),
        ("fetch", Signal::TERM),
        ("stage", Signal::INT),
        ("squash", Signal::INT),
        ("squash", Signal::HUP),
        ("emit", Signal::INT),
    ] {
        let (code, rest) = interrupted(&dir, &alpine, step, signal);

        assert_eq!(code, Some(130), "{step}: {rest}");
        let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["exit_code"]), (&json!("error"), &json!(130)));
        assert_eq!(dir.names(), ["big.toml"], "{step}");
        let temporary = dir.cache().join("tmp");
        let left = if temporary.is_dir() { files::names(&temporary) } else { Vec::new() };
        assert_eq!(left, [""; 0], "{step}");
    }
    // What it had fetched is whole.
    let report = build(&dir, &alpine, "./big.toml").args(["-o", "x.tar"]).success().stdout_json();
    assert_eq!(fs::metadata(dir.join("x.tar")).unwrap().is_file(), report["image"].is_object());
}

#[test]
fn a_profile_by_name_is_looked_for_beside_before_it_is_built_in() {
    let dir = Dir::new();
    dir.write("profiles/demo.toml", "extends = [\"demo\"]\ndescription = \"mine\"\n");

    let outcome = demo(&dir).args(["--dry-run"]).success();

    let said = outcome.stderr_text();
    assert!(said.starts_with("note: profile profiles/demo.toml\n"), "{said}");
}
