//! The same profile gives the same bytes: whatever the threads, the umask, the time zone, the language, the
//! user, the directory, the day, and the state of the store.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;

use crate::support::command::{Dir, TestCommand};
use crate::support::data::Alpine;
use crate::support::{files, need};

/// What a build gives: the SHA-256 of the archive, of that with zstd, and of the root filesystem's tar, in hex.
type Bytes = [String; 3];
/// What is built.
const FILES: [&str; 3] = ["x.tar", "zstd.tar", "rootfs.tar"];

/// A directory with the profile and what it takes from beside itself.
fn dir() -> Dir {
    let dir = Dir::new();
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles/real");
    for name in ["everything.toml", "start.sh", "app/index.html", "app/css/site.css"] {
        dir.write(name, files::read(&real.join(name)));
    }
    dir.write(
        "all.toml",
        "extends = [\"everything.toml\"]\npackages.runtime = [\"git\", \"openssh\", \"jq\"]\n",
    );
    dir
}

/// A build of all outputs from the real mirror.
fn build<'a>(dir: &'a Dir, alpine: &Alpine) -> TestCommand<'a> {
    let command = dir.command().args(["--profile", "all.toml"]).args(outputs(""));
    command.arg("--mirror").arg(alpine.mirror())
}

/// All outputs, below `directory`.
fn outputs(directory: &str) -> Vec<String> {
    let outputs = ["dest=", "compression=zstd,dest=", "type=tar,dest="].into_iter().zip(FILES);
    outputs.flat_map(|(options, file)| ["-o".to_owned(), format!("{options}{directory}{file}")]).collect()
}

fn sha256(path: &Path) -> String {
    apkcompose::digest::Sha256::of(&files::read(path)).to_hex()
}

fn bytes(dir: &Dir) -> Bytes {
    FILES.map(|name| sha256(&dir.join(name)))
}

/// What `command`, which builds in `dir`, gives.
fn built(dir: &Dir, command: TestCommand<'_>) -> Bytes {
    command.success();
    bytes(dir)
}

#[test]
fn the_surroundings_change_no_byte() {
    let test = "the_surroundings_change_no_byte";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(_) = need::program(test, "faketime") else { return };
    let (first, dir) = (dir(), dir());
    let expected = built(&first, build(&first, &alpine));
    // From below: another working directory, so other relative paths.
    files::create_dir(&dir.join("below"));
    let elsewhere = || {
        let outputs = outputs("../");
        let command = dir.command().current_dir(dir.join("below")).args(["--profile", "../all.toml"]);
        command.args(outputs).arg("--mirror").arg(alpine.mirror())
    };

    for (what, command) in [
        ("another directory and an empty store", build(&dir, &alpine)),
        ("a warm store", build(&dir, &alpine)),
        ("one thread", build(&dir, &alpine).args(["--jobs", "1"])),
        ("eight threads", build(&dir, &alpine).args(["--jobs", "8"])),
        ("a umask", build(&dir, &alpine).umask("077")),
        ("another umask", build(&dir, &alpine).umask("000")),
        ("a time zone", build(&dir, &alpine).env("TZ", "Pacific/Chatham")),
        ("a language", build(&dir, &alpine).env("LC_ALL", "tr_TR.UTF-8").env("LANG", "tr_TR.UTF-8")),
        ("another working directory", elsewhere()),
        ("three days later", build(&dir, &alpine).days_later(3)),
    ] {
        assert_eq!(built(&dir, command), expected, "{what}");
    }
    let empty = dir.path().join("empty");
    let cold = build(&dir, &alpine).arg("--cache-dir").arg(&empty).args(["--jobs", "8"]).days_later(3);
    assert_eq!(built(&dir, cold), expected, "an empty store three days later");
}

#[test]
fn an_epoch_changes_the_bytes_the_same_way_each_time() {
    let test = "an_epoch_changes_the_bytes_the_same_way_each_time";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = dir();
    let newest = built(&dir, build(&dir, &alpine));

    let option = built(&dir, build(&dir, &alpine).args(["--epoch", "1700000000"]));
    let variable = built(&dir, build(&dir, &alpine).env("SOURCE_DATE_EPOCH", "1700000000"));

    assert_eq!(option, variable);
    assert_ne!(option, newest);
}

/// A directory with a part of the mirror in it, for users who may not look at the real one.
fn dir_with_mirror(alpine: &Alpine) -> Dir {
    let dir = dir();
    for name in [
        "v3.19/releases/x86_64/latest-releases.yaml",
        "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz",
        "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz.sha256",
        "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz.sha512",
        "v3.19/main/x86_64/APKINDEX.tar.gz",
        "v3.19/main/x86_64/jq-1.7.1-r0.apk",
        "v3.19/main/x86_64/oniguruma-6.9.9-r0.apk",
        "v3.19/community/x86_64/APKINDEX.tar.gz",
    ] {
        dir.write(&format!("mirror/{name}"), files::read(&alpine.mirror().join(name)));
    }
    dir.write("all.toml", "extends = [\"everything.toml\"]\nalpine.mirror = [\"./mirror\"]\n");
    dir
}

#[test]
fn another_user_and_a_store_that_cannot_be_written_change_no_byte() {
    let test = "another_user_and_a_store_that_cannot_be_written_change_no_byte";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(()) = need::root(test) else { return };
    let dir = dir_with_mirror(&alpine);
    let build = || dir.command().args(["--profile", "all.toml"]).args(outputs(""));
    let expected = built(&dir, build());
    fs::remove_dir_all(dir.cache()).unwrap();
    files::create_dir(&dir.cache());
    fs::set_permissions(dir.cache(), Permissions::from_mode(0o700)).unwrap();

    assert_eq!(built(&dir, build().run_by(4321)), expected, "another user, an empty store");
    protect(&dir.cache());
    let state = listed(&dir.cache());
    assert_eq!(built(&dir, build().run_by(4321)), expected, "a store that cannot be written");

    assert_eq!(listed(&dir.cache()), state);
}

/// Takes the right to write away from everything at and below `path`.
fn protect(path: &Path) {
    if path.is_dir() {
        for name in files::names(path) {
            protect(&path.join(name));
        }
    }
    let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7555;
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Every file at and below `path`.
fn listed(path: &Path) -> Vec<String> {
    if !path.is_dir() {
        return vec![format!("{} {}", path.display(), sha256(path))];
    }
    files::names(path).iter().flat_map(|name| listed(&path.join(name))).collect()
}

#[test]
fn two_at_once_on_one_empty_store_give_the_same_bytes() {
    let test = "two_at_once_on_one_empty_store_give_the_same_bytes";
    let Some(alpine) = need::alpine(test) else { return };
    let dirs = [dir(), dir()];
    let store = &dirs[0].cache();

    let got = thread::scope(|scope| {
        let runs = dirs.each_ref().map(|dir| {
            let command = build(dir, &alpine).arg("--cache-dir").arg(store);
            scope.spawn(move || built(dir, command))
        });
        runs.map(|run| run.join().unwrap())
    });

    assert_eq!(got[0], got[1]);
    let alone = dir();
    assert_eq!(got[0], built(&alone, build(&alone, &alpine)));
}
