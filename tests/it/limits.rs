//! The limits that the system sets for a process: of threads, of the size of files, of open files. Each is an error that
//! names it, with code 8, or makes the work slower; nothing is left behind.

use std::path::Path;

use crate::support::command::{Dir, Outcome, TestCommand};
use crate::support::draws;
use crate::support::files;
use crate::support::need;
use crate::support::server::Server;
use crate::support::server::site::Site;

fn build(dir: &Dir) -> TestCommand<'_> {
    dir.command().args(["--profile", "./p.toml", "--quiet", "-o", "x.tar"])
}

/// A profile of some size.
fn dir() -> Dir {
    let dir = Dir::new();
    dir.write("large", vec![7; 60_000]);
    let text = "extends = [\"demo\"]\n[[files]]\npath = \"/large\"\nsource = \"large\"\n";
    dir.write("p.toml", text);
    dir
}

/// Nothing half done is left, neither in the store nor in the working directory.
fn is_clean(dir: &Dir, outcome: &Outcome) {
    let temporary = dir.cache().join("tmp");
    let left = if temporary.is_dir() { files::names(&temporary) } else { Vec::new() };
    assert_eq!(left, [""; 0], "{outcome}");
    let expected: &[&str] =
        if outcome.code() == Some(0) { &["large", "p.toml", "x.tar"] } else { &["large", "p.toml"] };
    assert_eq!(dir.names(), expected, "{outcome}");
}

#[test]
fn a_file_larger_than_a_file_may_be_is_an_error_that_names_it_and_the_limit() {
    let mut seen = (0, 0);
    for limit in [512, 1024, 2048, 4096, 16_384, 50_000, 200_000] {
        let dir = dir();
        let outcome = build(&dir).under(["prlimit", &format!("--fsize={limit}")]).run();
        match outcome.code() {
            Some(0) => seen.0 += 1,
            Some(8) => {
                seen.1 += 1;
                let said = outcome.to_string();
                let limit = format!("no more than {limit} bytes (RLIMIT_FSIZE)");
                assert!(said.contains(&limit) && said.contains("error: cannot write "), "{said}");
            }
            _ => panic!("{outcome}"),
        }
        is_clean(&dir, &outcome);
    }
    assert!(seen.0 > 0 && seen.1 > 2, "{seen:?}");
}

#[test]
fn every_output_that_becomes_too_large_is_named() {
    let dir = dir();
    build(&dir).success();
    for output in [
        "x.tar",
        "type=tar,dest=x.tar",
        "type=oci,dest=x.tar",
        "type=local,dest=x.tar",
        "type=dockerfile,dest=x.tar",
    ] {
        drop(std::fs::remove_file(dir.join("x.tar")));
        let command = dir.command().args(["--profile", "./p.toml", "--quiet", "-o", output]);
        let outcome = command.under(["prlimit", "--fsize=300"]).fails_with(8);
        assert!(outcome.to_string().contains("x.tar"), "{output}: {outcome}");
        assert!(outcome.to_string().contains("no more than 300 bytes (RLIMIT_FSIZE)"), "{output}: {outcome}");
        is_clean(&dir, &outcome);
    }
    // Standard output may be a file too.
    let to = "exec \"$0\" \"$@\" >../home/out";
    let command = dir.command().args(["--profile", "./p.toml", "--quiet", "-o", "type=tar,dest=-"]);
    let outcome = command.under(["sh", "-c", to]).under(["prlimit", "--fsize=300"]).fails_with(8);
    assert!(
        outcome.to_string().contains("cannot write standard output: a file may have no more"),
        "{outcome}"
    );
}

#[test]
fn too_few_open_files_are_an_error_that_names_the_limit() {
    let mut seen = (0, 0);
    for limit in 6..40 {
        let dir = dir();
        let outcome = build(&dir).under(["prlimit", &format!("--nofile={limit}:{limit}")]).run();
        match outcome.code() {
            Some(0) => seen.0 += 1,
            // Below that it is the loader of the program that fails.
            Some(8) => {
                seen.1 += 1;
                let limit = format!("no more than {limit} files may be open (RLIMIT_NOFILE)");
                assert!(outcome.to_string().contains(&limit), "{outcome}");
            }
            _ => panic!("{limit}: {outcome}"),
        }
        is_clean(&dir, &outcome);
    }
    assert!(seen.0 > 5 && seen.1 > 2, "{seen:?}");
}

#[test]
fn without_more_threads_it_is_slower_or_an_error_and_never_a_panic() {
    let test = "without_more_threads_it_is_slower_or_an_error_and_never_a_panic";
    let Some(()) = need::root(test) else { return };
    let Some(_) = need::program(test, "prlimit") else { return };
    let server = Server::of(Site::directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo")));
    let remote = "extends = [\"demo\"]\nalpine.repositories = [{ url = \"URL\", keys = [\"KEY\"] }]\n";
    let mut seen = (0, 0);
    for (number, limit) in (1..=8).enumerate() {
        for is_remote in [false, true] {
            let dir = dir();
            if is_remote {
                let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo/demo.rsa.pub");
                dir.write("demo.rsa.pub", files::read(&key));
                let url = server.url_as("localhost");
                dir.write("p.toml", remote.replace("URL", &url).replace("KEY", "demo.rsa.pub"));
            }
            // A user of its own, whose processes are counted.
            let user = 21_000 + 2 * u32::try_from(number).unwrap() + u32::from(is_remote);
            let command = build(&dir).args(["--jobs", "4", "--retries", "0"]);
            let command = command.under(["prlimit", &format!("--nproc={limit}:{limit}")]).run_by(user);
            let outcome = command.run();
            match outcome.code() {
                Some(0) => seen.0 += 1,
                Some(4 | 8) => {
                    seen.1 += 1;
                    assert!(outcome.to_string().contains("thread"), "{limit}: {outcome}");
                }
                _ => panic!("{limit}: {outcome}"),
            }
            assert!(!outcome.to_string().contains("panicked"), "{outcome}");
        }
    }
    assert!(seen.0 > 0 && seen.1 > 1, "{seen:?}");
}

/// What in `text`, a source file without its tests, starts a thread in a way that panics where there may be no more.
fn panicking_starts(text: &str) -> Vec<&str> {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let ways = [
        "thread::spawn(",
        "scope.spawn(",
        "spawn_blocking(",
        "new_multi_thread(",
        "enable_steady_tick(",
        "rayon::",
    ];
    let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.filter(|line| ways.iter().any(|way| line.contains(way))).collect()
}

#[test]
fn every_thread_is_started_where_a_failure_is_an_error() {
    let sources = draws::sources(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("src")]);
    for (path, text) in &sources {
        let is_test = path.to_string_lossy().contains("/tests") || path.ends_with("tests.rs");
        assert!(
            is_test || panicking_starts(text).is_empty(),
            "{}: {:?}",
            path.display(),
            panicking_starts(text)
        );
    }
    assert_eq!(panicking_starts("    scope.spawn(|| 1);\n").len(), 1);
}
