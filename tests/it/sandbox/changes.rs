//! Every way to change a file: what a script changed is in the image, and the image is the same whatever it ran in.

use apkcompose::apk::package::ScriptKind;
use apkcompose::apk::write_package::PackageFileKind;
use apkcompose::content::Content;
use apkcompose::path::TreePath;

use super::attacker;
use super::modes::{MODES, Mode};
use crate::confinement::built_with_memory;
use crate::made;
use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::listing::Listing;
use crate::support::need;
use crate::trees::workshop::package;

/// The files that are changed, each in the way that it is called by.
const FILES: [&str; 22] = [
    "write",
    "mmap",
    "mprotect",
    "mmap-child",
    "truncate",
    "fallocate",
    "punch",
    "reserve",
    "rename",
    "link",
    "copy",
    "splice",
    "tmpfile",
    "sparse",
    "times",
    "times-mmap",
    "same",
    "closed",
    "closed-before",
    "sendfile",
    "one",
    "untouched",
];
/// How many bytes each has, all of them `a`.
const LENGTH: usize = 64 * 1024;
/// The name of the profile.
const PROFILE: &str = "changes";

/// A directory with a profile for a package whose script changes its files.
fn furnished(alpine: &Alpine) -> Dir {
    let of = |bytes: &[u8]| PackageFileKind::File(Content::of_bytes(bytes));
    let mut changing = package("changing")
        .entry("usr/bin/attacker", of(attacker::program()), 0o755)
        // Something has run before, so that what is changed was not written a moment ago.
        .script(ScriptKind::PreInstall, "#!/bin/sh\n: >/ran\n")
        .script(ScriptKind::PostInstall, "#!/bin/sh\nexec /usr/bin/attacker changes\n");
    for name in FILES {
        let mode = if name == "closed-before" { 0 } else { 0o644 };
        changing = changing.entry(&format!("srv/changes/{name}"), of(&vec![b'a'; LENGTH]), mode);
    }
    let other = PackageFileKind::HardLink(TreePath::relative("srv/changes/one").unwrap());
    let dir = Dir::new();
    let changing = changing.entry("srv/changes/two", other, 0o644).made();
    made::repository(&dir.join("repository"), "changing", &[&changing], made::key());
    dir.write("test.rsa.pub", made::key().public_key().pem());
    let profile = format!(
        "[alpine]\nbase = '{}'\nrepositories = ['./repository']\nkeys = ['./test.rsa.pub']\narch = ['x86_64']\n\
         [packages]\nruntime = ['changing']\n",
        alpine.minirootfs("x86_64").display()
    );
    dir.write(&format!("{PROFILE}.toml"), profile);
    dir
}

/// What is in a file after the script ran.
fn expected(name: &str) -> Vec<u8> {
    let with = |at: usize, text: &str| {
        let mut bytes = vec![b'a'; LENGTH];
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        bytes
    };
    match name {
        "write" => with(10, "written"),
        "mmap" | "sendfile" => with(0, "mapped"),
        "mprotect" => with(8 * 4096, "protected"),
        "mmap-child" => with(0, "by a child"),
        "truncate" => vec![b'a'; 1000],
        "fallocate" => [vec![b'a'; LENGTH], vec![0; 100_000 - LENGTH]].concat(),
        "punch" => with(4096, &"\0".repeat(4096)),
        "reserve" | "same" | "untouched" => with(0, ""),
        "rename" => b"renamed over".to_vec(),
        "link" => b"linked over".to_vec(),
        "copy" => with(100, "aaaaaaaaaawritten"),
        "splice" => with(50, "spliced"),
        "tmpfile" => b"nameless".to_vec(),
        "sparse" => [vec![0; 5 << 20], b"far".to_vec()].concat(),
        "times" => with(0, "set back"),
        "times-mmap" => with(0, "both"),
        "one" | "two" => with(0, "two names"),
        "closed" => with(0, "closed"),
        "closed-before" => with(0, "closed before"),
        other => panic!("nothing is expected of {other}"),
    }
}

#[test]
fn what_a_script_changes_in_any_way_is_the_same_in_every_image() {
    let test = "what_a_script_changes_in_any_way_is_the_same_in_every_image";
    let Some(alpine) = need::alpine(test) else { return };
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    let (dir, users) = (furnished(&alpine), furnished(&alpine));
    let (first, ran) = built_with_memory(&dir, PROFILE, Some(8 << 30));
    assert!(ran.len() == 2 && ran.values().all(|is_on_disk| !is_on_disk), "{ran:?}");
    let listing = Listing::of_tar(first.as_slice());
    for name in FILES.into_iter().chain(["two"]) {
        let entry = listing.entry(&format!("srv/changes/{name}"));
        assert!(*entry.content == *expected(name), "{name}");
    }
    assert_eq!(listing.entry("srv/changes/closed").mode & 0o7777, 0);

    let (on_disk, ran) = built_with_memory(&dir, PROFILE, Some(0));
    assert!(ran.len() == 2 && ran.values().all(|is_on_disk| *is_on_disk), "{ran:?}");
    assert!(on_disk == first, "on disk");
    for mode in MODES {
        let dir = if mode == Mode::User { &users } else { &dir };
        let command =
            dir.command().args(["--profile", &format!("{PROFILE}.toml"), "-o", "type=tar,dest=image.tar"]);
        mode.of(command).success();
        let image = dir.read("image.tar");
        std::fs::remove_file(dir.join("image.tar")).unwrap();
        assert!(image == first, "{mode:?}");
    }
}
