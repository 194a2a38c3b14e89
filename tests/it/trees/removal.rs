//! What goes when a package is removed, or gives way to another version, and what stays: the real apk does the same to
//! the same tree.
//!
//! A removal is a purge, `apk del --purge`: changed files in `/etc` go as well.

use std::collections::BTreeSet;

use apkcompose::apk::package::ScriptKind;
use apkcompose::apk::write_package::PackageFileKind;

use super::rules::changed_file;
use super::workshop::{Both, Package, package, workshop};
use super::{OVER_A_BASE, Ours, apk_over_minirootfs, assert_equal, links_to};
use crate::support::data::Alpine;
use crate::support::exceptions::{DROPPED_COPIES, PROC, REPOSITORY_KEYS};
use crate::support::listing::{Exception, Kind, Listing};
use crate::support::{need, reference};

/// Those of `paths` that `tree` has.
fn there<'a>(tree: &Listing, paths: &[&'a str]) -> Vec<&'a str> {
    paths.iter().copied().filter(|path| tree.get(path).is_some()).collect()
}

/// A package with files and links of the same names in and outside of `/etc`.
fn everywhere(version: &str, files: &[&str], links: &[&str]) -> Package {
    let mut one = package("one").version(version);
    for directory in ["etc/d", "usr/d"] {
        for name in files {
            one = one.file(&format!("{directory}/{name}"), &format!("{name} {version}"));
        }
        for name in links {
            one = one.link(&format!("{directory}/{name}"), &format!("to-{version}"));
        }
        let first = format!("{directory}/h1");
        one = one.file(&first, "hard").hard_link(&format!("{directory}/h2"), &first);
        one = one.hard_link(&format!("{directory}/h3"), &first);
    }
    one
}

/// What somebody did to them.
const CHANGES: &str = "for d in etc/d usr/d; do (cd $d
    echo mine >changed; rm deleted; rm directory; mkdir directory; rm full; mkdir full; echo mine >full/mine
    rm linked; ln -s same linked; rm dangling; ln -s nowhere dangling; chmod 600 mode; chown 5:6 owner
    rm aimed; ln -s mine aimed; rm filled; echo mine >filled; rm unlinked; rm h2; echo mine >h2
    echo mine >changed.apk-new; echo mine >same.apk-new
) done
rm usr/d/pipe; mkfifo usr/d/pipe";
const FILES: [&str; 10] =
    ["same", "changed", "deleted", "directory", "full", "linked", "dangling", "mode", "owner", "pipe"];
const LINKS: [&str; 4] = ["link", "aimed", "filled", "unlinked"];

#[test]
fn a_removed_package_takes_its_files_along_whatever_somebody_made_of_them() {
    let test = "a_removed_package_takes_its_files_along_whatever_somebody_made_of_them";
    let Some(workshop) = workshop(test) else { return };
    let first = workshop.install(&[everywhere("1-r0", &FILES, &LINKS)], &["one"]);

    let base = workshop.edited(&first.tar, CHANGES);
    let both = workshop.remove(&base, &["one"], &[]);

    let left: Vec<&str> = both.ours.listing.entries().map(|entry| entry.path.as_str()).collect();
    let left: Vec<&str> = left.into_iter().filter(|path| path.contains("/d/")).collect();
    let names = ["changed.apk-new", "directory", "full", "full/mine", "same.apk-new"];
    let expected = ["etc/d", "usr/d"].map(|directory| names.map(|name| format!("{directory}/{name}")));
    assert_eq!(left, expected.concat());
    // Those that apk would have left without `--purge`.
    let deleted = workshop.delete(&base, &["one"]);
    let kept = deleted.listing.entries().map(|entry| entry.path.as_str());
    let kept = kept.filter(|path| path.starts_with("etc/d/") && both.ours.listing.get(path).is_none());
    let kept: Vec<String> = kept.map(|path| format!("/{path}")).collect();
    assert_eq!(kept.len(), 6);
    assert_eq!(super::listed(&both.ours.outcome, "files went with removed packages"), kept);
}

#[test]
fn files_that_a_new_version_has_not_go_but_for_changed_ones_in_etc() {
    let test = "files_that_a_new_version_has_not_go_but_for_changed_ones_in_etc";
    let Some(workshop) = workshop(test) else { return };
    let first = workshop.install(&[everywhere("1-r0", &FILES, &LINKS)], &["one"]);
    let new = package("one").version("2-r0").file("etc/d/h1", "parted").file("usr/d/h1", "parted");

    let both = workshop.upgrade(&workshop.edited(&first.tar, CHANGES), &[new], &[]);

    let changed = ["changed", "linked", "dangling", "aimed", "filled", "h2", "full/mine", "directory"];
    let of = |directory: &str| {
        let paths = changed.map(|name| format!("{directory}/{name}"));
        let paths = paths.each_ref().map(String::as_str);
        there(&both.ours.listing, &paths).len()
    };
    assert_eq!([of("etc/d"), of("usr/d")], [changed.len(), 2]);
}

#[test]
fn files_that_a_new_version_has_too_are_its_own_but_for_changed_ones_in_etc() {
    let test = "files_that_a_new_version_has_too_are_its_own_but_for_changed_ones_in_etc";
    let Some(workshop) = workshop(test) else { return };
    // apk does not put a file in the place of a directory that somebody made outside of /etc.
    let of_files = |name: &&str| !["directory", "full"].contains(name);
    let files: Vec<&str> = FILES.into_iter().filter(of_files).collect();
    let one = |version: &str| {
        let one = everywhere(version, &files, &LINKS).file("etc/d/directory", version);
        one.file("etc/d/full", version)
    };
    let first = workshop.install(&[one("1-r0").file("usr/d/directory", "").file("usr/d/full", "")], &["one"]);
    let undone = format!("{CHANGES}; rm -r usr/d/directory usr/d/full */d/changed.apk-new");

    let base = workshop.edited(&first.tar, &undone);
    let both = workshop.upgrade(&base, &[one("2-r0")], &[DROPPED_COPIES]);

    let texts = ["etc/d/changed", "usr/d/changed", "etc/d/deleted", "etc/d/mode"].map(|path| both.text(path));
    assert_eq!(texts, ["mine\n", "changed 2-r0", "deleted 2-r0", "mode 2-r0"]);
    assert_eq!(both.mode("etc/d/mode"), 0o644);
}

#[test]
fn directories_go_when_they_are_empty_and_nobody_elses() {
    let Some(workshop) = workshop("directories_go_when_they_are_empty_and_nobody_elses") else { return };
    let one = package("one").directory("opt/one/empty", 0o755).directory("opt/one/mode", 0o700);
    let one = one.file("opt/one/file/f", "").file("opt/one/deep/a/b/c/f", "").file("opt/one/unowned/f", "");
    let one = one.directory("opt/one/below", 0o755).file("opt/one/owner/f", "").file("opt/one/link/f", "");
    let one = one.file("opt/one/relative/f", "").directory("opt/one/bare", 0o755).file("top", "");
    let one = one.directory("opt/one/filled", 0o755).directory("etc/one/empty", 0o755);
    let one = one.file("etc/one/conf/f", "").file("srv/shared/one", "").directory("srv/single", 0o755);
    let two = package("two").file("srv/shared/two", "");
    let first = workshop.install(&[one, two], &["one", "two"]);
    let script = "echo mine >opt/one/unowned/mine; mkdir opt/one/below/mine; chmod 755 opt/one/mode
        chown 3:3 opt/one/owner; echo mine >etc/one/conf/f
        mkdir srv/far srv/near; mv opt/one/link/f srv/far/f; echo mine >srv/far/mine; rmdir opt/one/link
        ln -s ../../srv/far opt/one/link; rm opt/one/relative/f; rmdir opt/one/relative
        ln -s ../../srv/near opt/one/relative; rmdir opt/one/bare; ln -s ../../srv/near opt/one/bare
        rmdir opt/one/filled; echo mine >opt/one/filled";
    let base = workshop.edited(&first.tar, script);

    let both = workshop.remove(&base, &["one"], &[]);

    let left: Vec<&str> = both.ours.listing.entries().map(|entry| entry.path.as_str()).collect();
    let left: Vec<&str> =
        left.into_iter().filter(|path| path.starts_with("opt/") || path.starts_with("srv/")).collect();
    let expected = [
        "opt/one",
        "opt/one/bare",
        "opt/one/below",
        "opt/one/below/mine",
        "opt/one/filled",
        "opt/one/link",
        "opt/one/relative",
        "opt/one/unowned",
        "opt/one/unowned/mine",
        "srv/far",
        "srv/far/mine",
        "srv/near",
        "srv/shared",
        "srv/shared/two",
    ];
    assert_eq!(left, expected);
    workshop.remove(&base, &["one", "two"], &[]);
}

#[test]
fn a_shared_directory_is_handed_over_to_the_package_that_is_left() {
    let Some(workshop) = workshop("a_shared_directory_is_handed_over_to_the_package_that_is_left") else {
        return;
    };
    // apk 2.14 gives a shared directory the bits that all have, so that these say the same of it.
    let one = |version: &str| {
        let one = package("one").version(version).directory("srv/narrow", 0o700).directory("srv/both", 0o711);
        one.directory("srv/changed", 0o711)
    };
    let two = package("two").directory("srv/narrow", 0o755).directory("srv/both", 0o711);
    let two = two.directory("srv/changed", 0o755).version("2-r0");
    let first = workshop.install(&[one("1-r0"), two.clone()], &["one", "two"]);
    let base = workshop.edited(&first.tar, "chmod 1777 srv/changed");

    let without_one = workshop.remove(&base, &["one"], &[]);
    let without_two = workshop.remove(&base, &["two"], &[]);
    let lighter = package("one").version("2-r0").file("usr/one", "");
    let upgraded = workshop.upgrade(&base, &[lighter, two], &[]);

    let modes = |both: &Both| ["srv/narrow", "srv/both", "srv/changed"].map(|path| both.mode(path));
    assert_eq!(modes(&without_one), [0o755, 0o711, 0o1777]);
    assert_eq!(modes(&without_two), [0o700, 0o711, 0o1777]);
    assert_eq!(modes(&upgraded), [0o755, 0o711, 0o1777]);
}

#[test]
fn a_file_does_not_come_back_to_the_package_that_had_it_before() {
    let Some(workshop) = workshop("a_file_does_not_come_back_to_the_package_that_had_it_before") else {
        return;
    };
    let one = package("one").file("usr/share/f", "one").file("etc/f", "one").file("usr/share/one", "");
    let two = package("two").replaces("one").priority(5).depends("one");
    let two = two.file("usr/share/f", "two").file("etc/f", "two");
    let first = workshop.install(&[one, two], &["one", "two"]);

    let both = workshop.remove(&first.tar, &["two"], &[]);

    assert_eq!(there(&both.ours.listing, &["usr/share/f", "etc/f", "usr/share/one"]), ["usr/share/one"]);
    assert_eq!(both.owner("usr/share/f"), None);
}

#[test]
fn the_package_goes_with_what_only_it_needed_and_what_only_it_brought() {
    let Some(workshop) = workshop("the_package_goes_with_what_only_it_needed_and_what_only_it_brought")
    else {
        return;
    };
    let one = package("one").depends("needed").depends("both").file("usr/one", "");
    let brought = package("brought").install_if("one").install_if("two").file("usr/brought", "");
    let packages = [
        one,
        package("two").depends("both").file("usr/two", ""),
        package("needed").file("usr/needed", "").script(ScriptKind::PostDeinstall, "#!/bin/sh\n"),
        package("both").file("usr/both", "").trigger("/usr").script(ScriptKind::Trigger, "#!/bin/sh\n"),
        brought,
    ];
    let first = workshop.install(&packages, &["one", "two"]);
    assert!(first.ours.listing.get("usr/brought").is_some());

    let both = workshop.remove(&first.tar, &["one"], &[]);

    let names = ["usr/one", "usr/two", "usr/needed", "usr/both", "usr/brought"];
    assert_eq!(there(&both.ours.listing, &names), ["usr/two", "usr/both"]);
    assert_eq!(both.text("etc/apk/world"), "ground\ntwo\n");
    assert!(both.text("lib/apk/db/triggers").ends_with(" /usr\n"));
}

#[test]
fn a_version_without_files_takes_those_of_the_other_version_away() {
    let Some(workshop) = workshop("a_version_without_files_takes_those_of_the_other_version_away") else {
        return;
    };
    let old = package("one").file("usr/one/f", "").file("etc/one", "").file("etc/mine", "");
    let old = old.script(ScriptKind::PreDeinstall, "#!/bin/sh\n");
    let first = workshop.changed(&[old], &["one"], &changed_file("etc/mine", "mine"));
    let new = package("one").version("2-r0").depends("two");

    let both = workshop.upgrade(&first.dir.join("tree.tar"), &[new, package("two").file("usr/two", "")], &[]);

    assert_eq!(
        there(&both.ours.listing, &["usr/one", "etc/one", "etc/mine", "usr/two"]),
        ["etc/mine", "usr/two"]
    );
}

#[test]
fn an_upgrade_takes_away_what_the_new_version_has_not() {
    let Some(workshop) = workshop("an_upgrade_takes_away_what_the_new_version_has_not") else { return };
    let old = package("one").file("usr/share/gone/file", "old").file("usr/share/full/file", "old");
    let old = old.file("etc/gone", "old").file("etc/changed", "old").directory("srv/empty", 0o755);
    let old = old.file("usr/share/moved", "old").directory("srv/shared", 0o755);
    let other = package("two").directory("srv/shared", 0o755);
    let changes = changed_file("usr/share/full/mine", "mine") + &changed_file("etc/changed", "mine");
    let first = workshop.changed(&[old, other.clone()], &["one", "two"], &changes);
    let new = package("one").version("2-r0").file("usr/share/new", "new");

    let both = workshop.upgrade(&first.dir.join("tree.tar"), &[new, other], &[]);

    let is_there = |path: &&str| both.ours.listing.get(path).is_some();
    let looked_for = [
        "usr/share/gone",
        "usr/share/full/file",
        "etc/gone",
        "srv/empty",
        "usr/share/moved",
        "usr/share/full/mine",
        "etc/changed",
        "srv/shared",
        "usr/share/new",
    ];
    let there: Vec<&str> = looked_for.into_iter().filter(is_there).collect();
    assert_eq!(there, ["usr/share/full/mine", "etc/changed", "srv/shared", "usr/share/new"]);
}

#[test]
fn what_lies_behind_a_link_goes_with_its_package() {
    let Some(workshop) = workshop("what_lies_behind_a_link_goes_with_its_package") else { return };
    let one = package("one").directory("srv/data", 0o755).link("data", "srv/data");
    let two = package("two").depends("one").file("data/sub/file", "two");
    let before = workshop.install(&[one, two], &["one", "two"]);

    let after = workshop.remove(&before.tar, &["two"], &[]);

    assert!(after.ours.listing.get("srv/data/sub").is_none());
    assert_eq!(after.ours.listing.entry("data").kind, Kind::Link);
}

/// Holds the minirootfs without `names`, which its world has, against the real apk, scripts aside.
fn minirootfs_without_equals(alpine: &Alpine, names: &[&str], more: &[Exception]) {
    let reference = apk_over_minirootfs(alpine).purge(names);

    let ours = Ours::minirootfs(alpine, "upgrade = false", []).without(names).tree();

    let repositories = ["v3.19/main/x86_64", "v3.19/community/x86_64"].map(|path| alpine.repository(path));
    assert_equal(
        &reference,
        &ours,
        &[&OVER_A_BASE, more].concat(),
        &repositories.each_ref().map(std::path::PathBuf::as_path),
    );
    let world = ours.listing.text("etc/apk/world");
    assert!(names.iter().all(|name| world.lines().all(|line| line != *name)), "{world}");
}

#[test]
fn the_minirootfs_without_packages_of_its_world_equals_the_real_apks() {
    let test = "the_minirootfs_without_packages_of_its_world_equals_the_real_apks";
    let Some(alpine) = need::apk(test) else { return };
    minirootfs_without_equals(&alpine, &["apk-tools"], &[]);
    minirootfs_without_equals(&alpine, &["libc-utils"], &[]);
    // The image keeps apk, which does nothing without the keys.
    minirootfs_without_equals(&alpine, &["alpine-keys"], &[REPOSITORY_KEYS]);
    minirootfs_without_equals(&alpine, &["alpine-baselayout"], &[PROC]);
    minirootfs_without_equals(&alpine, &["apk-tools", "libc-utils"], &[]);
    minirootfs_without_equals(
        &alpine,
        &["alpine-baselayout", "alpine-keys", "apk-tools", "libc-utils"],
        &[PROC],
    );
}

#[test]
fn links_of_busybox_take_the_place_of_removed_commands() {
    let Some(alpine) = need::apk("links_of_busybox_take_the_place_of_removed_commands") else { return };
    let apk =
        |reference: reference::Reference| reference.repository("v3.19/main").repository("v3.19/community");
    let ours = Ours::minirootfs(&alpine, "upgrade = false", ["coreutils", "wget"]).with_scripts();
    let base = ours.tree();
    let workshop = super::workshop::Workshop::new(alpine.clone());
    let tar = workshop.compressed(&ours.dir.join("tree.tar"));

    let reference = apk(reference::inside_tar(&alpine, &tar)).purge(&["coreutils", "wget"]);
    let table = format!("upgrade = false\nbase = '{}'", tar.display());
    let ours = Ours::minirootfs(&alpine, &table, []).without(&["coreutils", "wget"]).with_scripts().tree();

    let links = links_to(&ours.listing, "/bin/busybox");
    assert_eq!(links_to(&reference.listing, "/bin/busybox"), links);
    assert!(!links_to(&base.listing, "/bin/busybox").contains("bin/ls") && links.contains("bin/ls"));
    assert_eq!(
        there(&ours.listing, &["usr/bin/wget", "usr/bin/sort", "usr/bin/stdbuf"]),
        ["usr/bin/wget", "usr/bin/sort"]
    );
}

#[test]
fn another_version_of_busybox_renews_its_links() {
    let Some(workshop) = workshop("another_version_of_busybox_renews_its_links") else { return };
    let alpine = workshop.alpine.clone();
    let base = Ours::minirootfs(&alpine, "upgrade = false", []);
    base.tree();
    let script = "ln -s /bin/busybox bin/stale; ln -s /bin/other bin/others; rm usr/bin/vi
        mkdir -p usr/local/bin; ln -s /bin/busybox usr/local/bin/vi";
    let tar = workshop.compressed(&workshop.edited(&base.dir.join("tree.tar"), script));
    let packages = [
        "busybox=1.36.1-r15",
        "busybox-binsh=1.36.1-r15",
        "ssl_client=1.36.1-r15",
        "libcrypto3=3.1.4-r5",
        "libssl3=3.1.4-r5",
        "apk-tools=2.14.0-r5",
    ];

    let reference = reference::inside_tar(&alpine, &tar).repository("iso-3.19.1").add(&packages);
    let more = format!(
        "base = '{}'\nrepositories = ['{}']",
        tar.display(),
        alpine.repository("iso-3.19.1").display()
    );
    let ours = Ours::minirootfs(&alpine, &more, packages).with_scripts().tree();

    let links = links_to(&ours.listing, "/bin/busybox");
    assert!(
        reference.apk_output.contains("Executing busybox-1.36.1-r15.post-upgrade"),
        "{}",
        reference.apk_output
    );
    assert_eq!(links_to(&reference.listing, "/bin/busybox"), links);
    assert!(
        links.contains("usr/bin/vi") && links.contains("usr/local/bin/vi") && !links.contains("bin/stale")
    );
    assert_eq!(there(&ours.listing, &["bin/others"]), ["bin/others"]);
    assert!(!ours.outcome.stderr_text().contains("busybox-1.36.1"), "{}", ours.outcome);
}

#[test]
fn a_removed_busybox_takes_its_links_along_unless_no_script_is_applied() {
    let test = "a_removed_busybox_takes_its_links_along_unless_no_script_is_applied";
    let Some(alpine) = need::apk(test) else { return };
    let names = ["alpine-baselayout", "alpine-keys", "apk-tools", "busybox", "libc-utils"];
    let reference = apk_over_minirootfs(&alpine).purge(&names);
    let without = || Ours::minirootfs(&alpine, "upgrade = false", ["musl"]).without(&names);

    let skipped = without().tree();
    let applied = without().with_scripts().tree();

    // apk leaves them, leading nowhere.
    let links = links_to(&reference.listing, "/bin/busybox");
    assert!(links.len() > 250 && links == links_to(&skipped.listing, "/bin/busybox"));
    assert_eq!(links_to(&applied.listing, "/bin/busybox"), BTreeSet::new());
    assert_eq!(
        there(&applied.listing, &["bin/busybox", "lib/ld-musl-x86_64.so.1"]),
        ["lib/ld-musl-x86_64.so.1"]
    );
}

#[test]
fn a_package_that_is_needed_stays_and_those_that_keep_it_are_the_real_apks() {
    let test = "a_package_that_is_needed_stays_and_those_that_keep_it_are_the_real_apks";
    let Some(alpine) = need::apk(test) else { return };

    for name in ["musl", "scanelf", "ssl_client", "libcrypto3", "busybox", "alpine-baselayout-data", "zlib"] {
        let words = apk_over_minirootfs(&alpine).purge(&[name]).apk_output;
        let keepers = words.split_once(&format!("  {name}: ")).map(|(_, list)| list).unwrap_or_default();
        let keepers = keepers.split_once("\n\n").map(|(list, _)| list).unwrap_or_default();
        let expected: BTreeSet<&str> = keepers.split_whitespace().collect();
        assert!(!expected.is_empty(), "{words}");

        let ours = Ours::minirootfs(&alpine, "upgrade = false", []).without(&[name]).run();

        assert_eq!(ours.code(), Some(0), "{ours}");
        let words = ours.stderr_text();
        assert!(words.contains(&format!("`{name}` is not removed")), "{words}");
        let asked = words.lines().filter_map(|line| line.strip_prefix("  the base asks for "));
        let asked = asked.map(|line| line.split_once(',').map_or(line, |(name, _)| name));
        assert_eq!(asked.collect::<BTreeSet<_>>(), expected, "{name}: {words}");
    }
}

#[test]
fn what_is_not_removed_or_not_there_to_be_removed_is_told() {
    let Some(workshop) = workshop("what_is_not_removed_or_not_there_to_be_removed_is_told") else { return };
    let packages = [
        package("wanted").depends("middle"),
        package("middle").depends("so:needed"),
        package("needed").provides("so:needed=1"),
        package("brought").install_if("wanted").install_if("needed"),
        package("loose"),
        package("given").provides("virtual=1"),
    ];
    let first = workshop.install(&packages, &["wanted", "loose", "needed", "virtual"]);
    let tar = workshop.compressed(&first.tar);
    let repository = workshop.repository("second", &packages);

    let outcome = workshop
        .ours(&tar.display().to_string(), &repository, &["loose"])
        .without(&["needed", "brought", "given", "lose", "loose", "nowhere-near-it"])
        .run();

    assert_eq!(outcome.code(), Some(0), "{outcome}");
    let words = outcome.stderr_text();
    let warnings: Vec<&str> = words.split("warning: ").filter(|warning| warning.contains("remove")).collect();
    insta::assert_snapshot!(warnings.concat());
}

#[test]
fn a_package_that_went_before_its_turn_is_no_matter() {
    let Some(workshop) = workshop("a_package_that_went_before_its_turn_is_no_matter") else { return };
    let packages = [package("wanted").depends("needed"), package("needed").file("usr/needed", "")];
    let first = workshop.install(&packages, &["wanted"]);

    let both = workshop.remove(&first.tar, &["wanted", "needed"], &[]);

    assert_eq!(there(&both.ours.listing, &["usr/needed"]), [""; 0]);
    assert!(!both.ours.outcome.stderr_text().contains("remove"), "{}", both.ours.outcome);
}

#[test]
fn both_kinds_of_package_entries_that_are_no_files_go() {
    let Some(workshop) = workshop("both_kinds_of_package_entries_that_are_no_files_go") else { return };
    let one = package("one").entry("usr/pipe", PackageFileKind::Fifo, 0o600).link("usr/link", "nowhere");
    let first =
        workshop.install(&[one.link("usr/directory", "share").directory("usr/share", 0o755)], &["one"]);

    let both = workshop.remove(&first.tar, &["one"], &[]);

    assert_eq!(there(&both.ours.listing, &["usr/pipe", "usr/link", "usr/directory", "usr/share"]), [""; 0]);
}
