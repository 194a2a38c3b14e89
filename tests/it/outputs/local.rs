//! The root filesystem as a directory: as root exactly what the tar says, and for anybody else what can be had, and
//! said what cannot.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use apkcompose::image::Lost;
use apkcompose::report::Silent;
use apkcompose::root::DirectoryWriter;

use crate::archive::{path, plan, tree};
use crate::engines::{build, profile};
use crate::support::command::Dir;
use crate::support::listing::{Listing, diff};
use crate::support::need;

/// That every entry, not only files, has the same time in both.
fn same_times(expected: &Listing, got: &Listing) {
    for entry in expected.entries() {
        assert_eq!(got.entry(&entry.path).modified, entry.modified, "{}", entry.path);
    }
}

#[test]
fn as_root_a_directory_is_what_the_tar_says() {
    let test = "as_root_a_directory_is_what_the_tar_says";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(()) = need::root(test) else { return };
    let dir = Dir::new();

    let outcome = build(&dir, &alpine, profile("everything.toml"))
        .args(["-o", "type=tar,dest=x.tar", "-o", "type=local,dest=x"])
        .umask("077")
        .success();

    let (tar, directory) = (Listing::of_tar_file(&dir.join("x.tar")), Listing::of_directory(&dir.join("x")));
    assert_eq!(diff(&tar, &directory, &[]), [""; 0]);
    same_times(&tar, &directory);
    let root = fs::metadata(dir.join("x")).unwrap();
    assert_eq!((root.mode() & 0o7777, root.uid(), root.gid()), (0o755, 0, 0));
    assert!(!outcome.stderr_text().contains("lacks"), "{outcome}");
    assert_eq!(dir.names(), ["x", "x.tar"]);
}

#[test]
fn every_kind_of_entry_is_written_as_root() {
    let test = "every_kind_of_entry_is_written_as_root";
    let Some(()) = need::root(test) else { return };
    // Not below /tmp, which may be a file system without attributes.
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (mut tree, mut tar) = (tree(), Vec::new());
    // One that the kernel takes: CAP_NET_BIND_SERVICE, effective, of version 2.
    let capability = [&[1, 0, 0, 2][..], &[0, 4, 0, 0], &[0; 12]].concat();
    let xattrs = &mut tree.get_mut(&path("/d/capable")).unwrap().xattrs;
    xattrs.insert("security.capability".into(), capability.into());
    let layer = plan(&tree);
    layer.write_tar(&Silent, &mut tar).unwrap();

    let lost = layer.write_directory(&Silent, &mut DirectoryWriter::open(place.path()).unwrap()).unwrap();

    assert_eq!(lost, Lost::default());
    let (expected, got) = (Listing::of_tar(tar.as_slice()), Listing::of_directory(place.path()));
    assert_eq!(expected.len(), 12);
    assert_eq!(diff(&expected, &got, &[]), [""; 0]);
    same_times(&expected, &got);
}

/// A build of the demo, which has a file of somebody else's and one with a set-user-ID bit.
const PROFILE: &str = "\
extends = [\"demo\"]
[[files]]
path = \"/usr/bin/powerful\"
content = \"x\"
mode = \"6755\"
[[dirs]]
path = \"/closed\"
mode = \"0000\"
[[files]]
path = \"/closed/inside\"
content = \"y\"
mode = \"0400\"
owner = \"82:82\"
[[dirs]]
path = \"/shared\"
mode = \"3775\"
";

#[test]
fn somebody_elses_directory_has_what_they_may_make_and_says_what_is_missing() {
    let test = "somebody_elses_directory_has_what_they_may_make_and_says_what_is_missing";
    let Some(()) = need::root(test) else { return };
    let dir = Dir::new();
    dir.write("p.toml", PROFILE);

    let outputs = ["-o", "type=tar,dest=x.tar", "-o", "type=local,dest=x"];
    let outcome = dir.command().args(["--profile", "p.toml"]).args(outputs).run_by(4321).success();

    let (tar, got) = (Listing::of_tar_file(&dir.join("x.tar")), Listing::of_directory(&dir.join("x")));
    let paths = |listing: &Listing| listing.entries().map(|entry| entry.path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&tar), paths(&got));
    for (expected, got) in tar.entries().zip(got.entries()) {
        let path = &expected.path;
        assert_eq!((got.uid, got.gid), (4321, 4321), "{path}");
        assert_eq!(
            (got.kind, &got.link, &got.content),
            (expected.kind, &expected.link, &expected.content),
            "{path}"
        );
        assert_eq!((&got.hard_links, got.modified), (&expected.hard_links, expected.modified), "{path}");
        // A set-user-ID bit would now lend the rights of somebody else.
        let is_lent = path == "usr/bin/powerful";
        assert_eq!(got.mode, if is_lent { 0o755 } else { expected.mode }, "{path}");
    }
    assert_eq!(got.entry("shared").mode, 0o3775);
    let said = outcome.stderr_text();
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning: x lacks")).collect();
    let count = tar.len()
        - tar
            .entries()
            .filter(|entry| entry.hard_links.as_ref().is_some_and(|first| *first != entry.path))
            .count();
    // The root directory belongs to somebody too.
    assert_eq!(
        warnings,
        [format!(
            "warning: x lacks what only root can make, on a file system that keeps it: {} files, directories and \
             links belong to you and not to their owners; 1 of them lost its set-user-ID or set-group-ID bit",
            count + 1
        )]
    );
}

#[test]
fn what_fails_leaves_nothing_even_behind_closed_directories() {
    let test = "what_fails_leaves_nothing_even_behind_closed_directories";
    let Some(()) = need::root(test) else { return };
    let dir = Dir::new();
    dir.write("p.toml", PROFILE);
    // The second output cannot be written, and the first is complete by then.
    let full = "type=tar,dest=-";
    let outcome = dir
        .command()
        .args(["--profile", "p.toml", "--quiet", "-o", "type=local,dest=x", "-o", full])
        .run_by(4321)
        .under(["sh", "-c", "exec \"$@\" > /dev/full", "sh"])
        .fails_with(8);
    assert_eq!(dir.names(), ["p.toml"], "{outcome}");
}

#[test]
fn an_empty_directory_is_replaced_and_keeps_nothing_of_its_own() {
    let dir = Dir::new();
    dir.write("p.toml", "extends = [\"demo\"]\n");
    fs::create_dir(dir.join("x")).unwrap();
    fs::set_permissions(dir.join("x"), fs::Permissions::from_mode(0o700)).unwrap();
    let build = || dir.command().args(["--profile", "p.toml", "--quiet", "-o", "type=local,dest=x"]);
    build().success();
    assert_eq!(fs::metadata(dir.join("x")).unwrap().mode() & 0o7777, 0o755);
    assert!(Path::new(&dir.join("x/etc")).is_dir());
    let again = build().fails_with(2);
    assert!(again.stderr_text().contains("it is there and not empty"), "{again}");
}
