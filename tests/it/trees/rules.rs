//! The rules of placing and upgrading packages, each on small packages made for it: the real apk installs
//! the same ones, and its tree and database are what ours must be.

use apkcompose::apk::package::ScriptKind;
use apkcompose::apk::write_package::{PackageFile, PackageFileKind};

use super::Ours;
use super::workshop::{Both, Package, package, workshop};
use crate::support::exceptions::{CAPABILITIES, DROPPED_COPIES};
use crate::support::listing::{Kind, Listing};
use crate::support::{installed, reference};

const SHARED: &str = "usr/share/shared";

/// Two packages that both have a file: `one` is installed before `two`.
fn pair() -> [Package; 2] {
    [package("one").file(SHARED, "one"), package("two").file(SHARED, "two").depends("one")]
}

#[test]
fn two_packages_that_own_one_file_are_refused() {
    let Some(workshop) = workshop("two_packages_that_own_one_file_are_refused") else { return };

    let (apk, ours) = workshop.refuse(&pair(), &["two"]);

    assert!(apk.contains("two-1-r0: trying to overwrite usr/share/shared owned by one-1-r0"), "{apk}");
    assert!(ours.contains("two-1-r0 and one-1-r0 both own /usr/share/shared"), "{ours}");
}

#[test]
fn a_package_takes_files_of_what_it_replaces() {
    let Some(workshop) = workshop("a_package_takes_files_of_what_it_replaces") else { return };
    let [one, two] = pair();

    let both = workshop.install(&[one, two.replaces("one<2")], &["two"]);

    assert_eq!((both.text(SHARED), both.owner(SHARED).as_deref()), ("two", Some("two")));
}

#[test]
fn the_owner_keeps_what_its_own_replaces_claims_and_the_newcomer_does_not() {
    let test = "the_owner_keeps_what_its_own_replaces_claims_and_the_newcomer_does_not";
    let Some(workshop) = workshop(test) else { return };
    let [one, two] = pair();

    let both = workshop.install(&[one.replaces("two"), two], &["two"]);

    assert_eq!((both.text(SHARED), both.owner(SHARED).as_deref()), ("one", Some("one")));
}

#[test]
fn of_two_that_replace_each_other_the_higher_priority_has_the_file_and_of_equals_the_newcomer() {
    let test = "of_two_that_replace_each_other_the_higher_priority_has_the_file_and_of_equals_the_newcomer";
    let Some(workshop) = workshop(test) else { return };
    let [one, two] = pair();
    let (one, two) = (one.replaces("two"), two.replaces("one"));

    let higher = workshop.install(&[one.clone().priority(3), two.clone().priority(2)], &["two"]);
    let lower = workshop.install(&[one.clone().priority(2), two.clone().priority(3)], &["two"]);
    let equal = workshop.install(&[one.priority(2), two.priority(2)], &["two"]);

    assert_eq!([higher, lower, equal].map(|both| both.text(SHARED).to_owned()), ["one", "two", "two"]);
}

#[test]
fn packages_of_one_origin_take_each_others_files() {
    let Some(workshop) = workshop("packages_of_one_origin_take_each_others_files") else { return };
    let [one, two] = pair();
    let (one, two) = (one.origin("same"), two.origin("same"));

    let plain = workshop.install(&[one.clone(), two.clone()], &["two"]);
    // apk 2.14 looks at the origin first, apk 3 at what the owner replaces.
    let claimed = workshop.ours_alone(&[one.replaces("two"), two], &["two"]);

    assert_eq!([plain.text(SHARED), claimed.text(SHARED)], ["two", "one"]);
}

#[test]
fn replaces_of_another_version_or_of_a_provided_name_gives_nothing() {
    let test = "replaces_of_another_version_or_of_a_provided_name_gives_nothing";
    let Some(workshop) = workshop(test) else { return };
    let [one, two] = pair();

    workshop.refuse(&[one.clone(), two.clone().replaces("one<1")], &["two"]);
    workshop.refuse(&[one.provides("other=1"), two.replaces("other")], &["two"]);
}

#[test]
fn a_newcomer_that_loses_a_file_keeps_its_others() {
    let Some(workshop) = workshop("a_newcomer_that_loses_a_file_keeps_its_others") else { return };
    let one = package("one").file("usr/share/b", "one").replaces("two");
    let two = package("two").depends("one").file("usr/share/a", "a").file("usr/share/b", "two");

    let both = workshop.install(&[one, two.file("usr/share/c", "c")], &["two"]);

    assert_eq!((both.text("usr/share/b"), both.text("usr/share/c")), ("one", "c"));
    assert_eq!(both.owner("usr/share/c").as_deref(), Some("two"));
}

const DIRECTORY: &str = "srv/shared";

/// Packages that have one directory with modes of their own, `one` before `two`. apk 2.14 gives such a directory
/// the bits that all of them have; apk 3 chooses one of them.
fn sharing() -> [Package; 2] {
    [package("one").directory(DIRECTORY, 0o711), package("two").directory(DIRECTORY, 0o722).depends("one")]
}

#[test]
fn a_shared_directory_is_of_the_first_by_name_whatever_the_order() {
    let Some(workshop) = workshop("a_shared_directory_is_of_the_first_by_name_whatever_the_order") else {
        return;
    };
    let [one, two] = sharing();
    let after = package("after").directory(DIRECTORY, 0o733).depends("two");

    let earlier = workshop.ours_alone(&[one.clone(), two.clone()], &["two"]);
    let later = workshop.ours_alone(&[one, two, after], &["after"]);

    assert_eq!([earlier, later].map(|tree| tree.entry(DIRECTORY).mode), [0o711, 0o733]);
}

#[test]
fn a_shared_directory_is_of_the_higher_replaces_priority() {
    let Some(workshop) = workshop("a_shared_directory_is_of_the_higher_replaces_priority") else { return };
    let [one, two] = sharing();

    let tree = workshop.ours_alone(&[one, two.priority(1)], &["two"]);

    assert_eq!(tree.entry(DIRECTORY).mode, 0o722);
}

#[test]
fn a_shared_directory_is_of_the_main_package_of_one_origin() {
    let Some(workshop) = workshop("a_shared_directory_is_of_the_main_package_of_one_origin") else { return };
    let [one, two] = sharing();

    let main = workshop.ours_alone(&[one.clone().origin("two"), two.clone()], &["two"]);
    let others = workshop.ours_alone(&[one, two.origin("three")], &["two"]);

    assert_eq!([main, others].map(|tree| tree.entry(DIRECTORY).mode), [0o722, 0o711]);
}

#[test]
fn a_directory_with_owners_and_special_bits_is_as_its_package_says() {
    let Some(workshop) = workshop("a_directory_with_owners_and_special_bits_is_as_its_package_says") else {
        return;
    };
    let one = package("one").directory("var/spool", 0o2750).directory("var/spool/tmp", 0o1777);
    let one = one.owned("var/spool", ("spool", 70), ("mail", 80)).file("var/spool/run", "#!");
    let one = one.owned("var/spool/run", ("spool", 70), ("mail", 80));
    let one = one.with("var/spool/run", |file| file.mode = 0o6755);

    let both = workshop.install(&[one], &["one"]);

    let directory = both.ours.listing.entry("var/spool");
    assert_eq!((directory.mode, directory.uid, directory.gid), (0o2750, 70, 80));
    assert_eq!((both.mode("var/spool/tmp"), both.mode("var/spool/run")), (0o1777, 0o6755));
}

#[test]
fn a_directory_that_somebody_changed_or_made_is_left_alone() {
    let Some(workshop) = workshop("a_directory_that_somebody_changed_or_made_is_left_alone") else { return };
    let [one, two] = sharing();
    let changed = format!(
        "[[dirs]]\npath = \"/{DIRECTORY}\"\nmode = \"0700\"\n\n[[dirs]]\npath = \"/srv/nobodys\"\nmode = \"0701\"\n"
    );
    let first = workshop.changed(std::slice::from_ref(&one), &["one"], &changed);
    let two = two.priority(1).directory("srv/nobodys", 0o755).version("2-r0");

    let both = workshop.add(&first.dir.join("tree.tar"), &[one, two], &["two"], &[]);

    assert_eq!([both.mode(DIRECTORY), both.mode("srv/nobodys")], [0o700, 0o701]);
}

#[test]
fn an_upgrade_brings_a_directory_its_new_mode_unless_somebody_changed_it() {
    let Some(workshop) = workshop("an_upgrade_brings_a_directory_its_new_mode_unless_somebody_changed_it")
    else {
        return;
    };
    let one = |version: &str, mode| {
        package("one").version(version).directory("srv/same", mode).directory("srv/changed", mode)
    };
    let first = workshop.changed(
        &[one("1-r0", 0o711)],
        &["one"],
        "[[dirs]]\npath = \"/srv/changed\"\nmode = \"0700\"\n",
    );

    let both = workshop.upgrade(&first.dir.join("tree.tar"), &[one("2-r0", 0o722)], &[]);

    assert_eq!([both.mode("srv/same"), both.mode("srv/changed")], [0o722, 0o700]);
}

/// A `[[files]]` of a profile.
pub(super) fn changed_file(path: &str, content: &str) -> String {
    format!("\n[[files]]\npath = \"/{path}\"\ncontent = \"{content}\"\n")
}

#[test]
fn a_changed_file_in_etc_stays_and_others_are_upgraded() {
    let Some(workshop) = workshop("a_changed_file_in_etc_stays_and_others_are_upgraded") else { return };
    let paths = [
        "etc/changed",
        "etc/same",
        "etc/already",
        "etc/apk/changed",
        "etc/init.d/changed",
        "usr/share/changed",
    ];
    let one = |version: &str| {
        paths.iter().fold(package("one").version(version), |package, path| package.file(path, version))
    };
    let changes: String = ["etc/changed", "etc/apk/changed", "etc/init.d/changed", "usr/share/changed"]
        .map(|path| changed_file(path, "mine"))
        .concat();
    let first = workshop.changed(&[one("1-r0")], &["one"], &(changes + &changed_file("etc/already", "2-r0")));

    let both = workshop.upgrade(&first.dir.join("tree.tar"), &[one("2-r0")], &[DROPPED_COPIES]);

    assert_eq!(paths.map(|path| both.text(path)), ["mine", "2-r0", "2-r0", "mine", "mine", "2-r0"]);
    let words = both.ours.outcome.stderr_text();
    assert!(words.contains("/etc/changed") && !words.contains("/etc/already"), "{words}");
}

#[test]
fn a_file_that_was_in_etc_before_its_package_stays() {
    let Some(workshop) = workshop("a_file_that_was_in_etc_before_its_package_stays") else { return };
    let changes = changed_file("etc/mine", "mine") + &changed_file("etc/equal", "theirs");
    let first = workshop.changed(&[package("zero")], &["zero"], &changes);
    let one = package("one").file("etc/mine", "theirs").file("etc/equal", "theirs");

    let both =
        workshop.add(&first.dir.join("tree.tar"), &[package("zero"), one], &["one"], &[DROPPED_COPIES]);

    assert_eq!([both.text("etc/mine"), both.text("etc/equal")], ["mine", "theirs"]);
}

#[test]
fn links_are_protected_in_etc_and_below_init_d() {
    let Some(workshop) = workshop("links_are_protected_in_etc_and_below_init_d") else { return };
    let paths = ["etc/link", "etc/init.d/link", "usr/share/link"];
    let one = |version: &str| {
        paths.iter().fold(package("one").version(version), |package, path| package.link(path, version))
    };
    let changes = paths.map(|path| format!("\n[[links]]\npath = \"/{path}\"\ntarget = \"mine\"\n"));
    let first = workshop.changed(&[one("1-r0")], &["one"], &changes.concat());

    let both = workshop.upgrade(&first.dir.join("tree.tar"), &[one("2-r0")], &[DROPPED_COPIES]);

    let targets = paths.map(|path| both.ours.listing.entry(path).link.clone().unwrap());
    assert_eq!(targets, ["mine", "mine", "2-r0"]);
}

#[test]
fn lists_of_protected_paths_add_rules() {
    let Some(workshop) = workshop("lists_of_protected_paths_add_rules") else { return };
    let paths = ["etc/plain/file", "usr/share/keep/file", "opt/file", "usr/lib/link"];
    let one = |version: &str| {
        let package = package("one").version(version);
        let package =
            package.file("etc/apk/protected_paths.d/one.list", "-etc/plain\n+usr/share/keep\n@usr/lib\n");
        let package = package.file("etc/apk/protected_paths.d/other", "+opt\n");
        paths.iter().fold(package, |package, path| package.file(path, version))
    };
    let changes = paths.map(|path| changed_file(path, "mine"));
    let first = workshop.changed(&[one("1-r0")], &["one"], &changes.concat());

    let both = workshop.upgrade(&first.dir.join("tree.tar"), &[one("2-r0")], &[DROPPED_COPIES]);

    assert_eq!(paths.map(|path| both.text(path)), ["2-r0", "mine", "2-r0", "mine"]);
}

#[test]
fn files_move_to_a_package_that_comes_in_the_place_of_their_owner() {
    let Some(workshop) = workshop("files_move_to_a_package_that_comes_in_the_place_of_their_owner") else {
        return;
    };
    let base = package("base").depends("tool");
    let one = package("one").provides("tool=1").file("usr/bin/tool", "one").file("usr/share/one", "one");
    let first = workshop.changed(&[base.clone(), one.clone()], &["base", "one"], "");
    let two = package("two").provides("tool=2").file("usr/bin/tool", "two");

    let both = workshop.add(&first.dir.join("tree.tar"), &[base, one, two], &["two", "!one"], &[]);

    assert_eq!((both.text("usr/bin/tool"), both.owner("usr/bin/tool").as_deref()), ("two", Some("two")));
    assert!(both.ours.listing.get("usr/share/one").is_none());
}

#[test]
fn names_of_owners_are_those_of_the_tree_at_that_moment() {
    let Some(workshop) = workshop("names_of_owners_are_those_of_the_tree_at_that_moment") else { return };
    let accounts = package("accounts")
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:123:124::/:/bin/false\n")
        .file("etc/group", "root:x:0:\nweb:x:124:\n");
    let late = package("late").file("usr/share/late", "late").owned("usr/share/late", ("web", 7), ("web", 8));
    let early = package("early").file("usr/share/early", "early");
    let early = early.owned("usr/share/early", ("nobody", 7), ("nogroup", 8));

    let both = workshop.install(&[accounts.depends("early"), early, late.depends("accounts")], &["late"]);

    let owner = |path: &str| {
        let entry = both.ours.listing.entry(path);
        (entry.uid, entry.gid)
    };
    assert_eq!([owner("usr/share/early"), owner("usr/share/late")], [(7, 8), (123, 124)]);
}

#[test]
fn hard_links_are_one_file_until_a_version_parts_them() {
    let Some(workshop) = workshop("hard_links_are_one_file_until_a_version_parts_them") else { return };
    let linked = package("one").file("usr/a", "text").with("usr/a", |file| file.mode = 0o755);
    let linked = linked.hard_link("usr/b", "usr/a").hard_link("usr/lib/c", "usr/a");
    let parted = package("one")
        .version("2-r0")
        .file("usr/a", "other")
        .file("usr/b", "text")
        .hard_link("usr/c", "usr/a");

    let before = workshop.install(&[linked], &["one"]);
    let after = workshop.upgrade(&before.tar, &[parted], &[]);

    let first = |both: &Both, path: &str| both.ours.listing.entry(path).hard_links.clone();
    assert_eq!(first(&before, "usr/lib/c").as_deref(), Some("usr/a"));
    assert_eq!((first(&after, "usr/b"), after.text("usr/b")), (None, "text"));
    assert_eq!(first(&after, "usr/c").as_deref(), Some("usr/a"));
}

#[test]
fn one_name_of_a_hard_linked_file_can_be_taken() {
    let Some(workshop) = workshop("one_name_of_a_hard_linked_file_can_be_taken") else { return };
    let one = package("one").file("usr/a", "one").hard_link("usr/b", "usr/a").hard_link("usr/c", "usr/a");
    let two = package("two").depends("one").replaces("one").file("usr/a", "two");

    let both = workshop.install(&[one, two], &["two"]);

    assert_eq!([both.text("usr/a"), both.text("usr/b")], ["two", "one"]);
    assert_eq!(both.ours.listing.entry("usr/c").hard_links.as_deref(), Some("usr/b"));
}

#[test]
fn extended_attributes_are_kept_and_recorded() {
    let Some(workshop) = workshop("extended_attributes_are_kept_and_recorded") else { return };
    let capability: Box<[u8]> = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into();
    let capable = |file: &mut PackageFile| {
        file.xattrs.insert("security.capability".into(), capability.clone());
    };
    let trusted = |file: &mut PackageFile| {
        file.xattrs.insert("trusted.note".into(), (*b"a\nb\0c").into());
        file.xattrs.insert("security.note".into(), (*b"x").into());
    };
    let one = package("one").file("usr/bin/ping", "ping").with("usr/bin/ping", capable);
    let one = one.with("usr/bin/ping", |file| file.mode = 0o755).hard_link("usr/bin/ping6", "usr/bin/ping");
    let one = one
        .directory("srv/noted", 0o755)
        .with("srv/noted", trusted)
        .file("srv/file", "")
        .with("srv/file", trusted);

    let both = workshop.install_except(&[one], &["one"], &[CAPABILITIES]);

    assert_eq!(both.ours.listing.entry("usr/bin/ping").xattrs["security.capability"], *capability);
    assert!(both.text(installed::PATH).contains("R:ping\na:0:0:755:Q1"), "{}", both.text(installed::PATH));
}

#[test]
fn files_links_and_pipes_take_each_others_place() {
    let Some(workshop) = workshop("files_links_and_pipes_take_each_others_place") else { return };
    let old =
        package("one").file("usr/a", "old").link("usr/b", "a").entry("usr/c", PackageFileKind::Fifo, 0o600);
    let old = old.file("usr/target", "stays").link("usr/d", "target");
    let new = package("one").version("2-r0").link("usr/a", "c").entry("usr/b", PackageFileKind::Fifo, 0o640);
    let new = new.file("usr/c", "new").file("usr/target", "stays").file("usr/d", "new");

    let before = workshop.install(&[old], &["one"]);
    let after = workshop.upgrade(&before.tar, &[new], &[]);

    let kinds = ["usr/a", "usr/b", "usr/c", "usr/d"].map(|path| after.ours.listing.entry(path).kind);
    assert_eq!(kinds, [Kind::Link, Kind::Pipe, Kind::File, Kind::File]);
    assert_eq!(after.text("usr/target"), "stays");
}

#[test]
fn a_directory_where_a_link_to_one_is_lies_behind_the_link() {
    let Some(workshop) = workshop("a_directory_where_a_link_to_one_is_lies_behind_the_link") else { return };
    let one =
        package("one").directory("srv/data", 0o750).link("data", "srv/data").link("srv/again", "../data");
    let two = package("two").depends("one").directory("data", 0o711).file("data/file", "two");
    let two = two.directory("srv/again/deep", 0o700).file("srv/again/deep/file", "two");

    let both = workshop.install(&[one, two], &["two"]);

    assert_eq!([both.text("srv/data/file"), both.text("srv/data/deep/file")], ["two", "two"]);
    assert_eq!((both.mode("srv/data"), both.mode("srv/data/deep")), (0o750, 0o700));
    assert_eq!(both.ours.listing.entry("data").kind, Kind::Link);
    assert_eq!(both.owner("data/file").as_deref(), Some("two"));
}

#[test]
fn a_directory_and_something_else_do_not_take_each_others_place() {
    let Some(workshop) = workshop("a_directory_and_something_else_do_not_take_each_others_place") else {
        return;
    };
    let one = package("one").directory("usr/a", 0o755);
    let two = package("two").depends("one").file("usr/a", "two");

    let (apk, ours) = workshop.refuse(&[one, two], &["two"]);

    assert!(apk.contains("usr/a"), "{apk}");
    assert!(ours.contains("two-1-r0") && ours.contains("/usr/a"), "{ours}");
}

#[test]
fn packages_without_anything_to_fetch_are_recorded() {
    let Some(workshop) = workshop("packages_without_anything_to_fetch_are_recorded") else { return };
    let virtual_one = package("meta").depends("one").provides("something=3").origin("");
    let one = package("one").file("usr/share/one", "one");
    let made = virtual_one.made();
    assert_eq!(made.indexed.info.installed_size, 0);

    let both = workshop.install(&[virtual_one, one], &["meta"]);

    let packages = installed::parse(both.text(installed::PATH));
    assert_eq!(packages["meta"].fields[&'I'], "0");
    assert!(packages["meta"].directories.is_empty());
}

#[test]
fn scripts_triggers_and_priorities_are_written_down() {
    let Some(workshop) = workshop("scripts_triggers_and_priorities_are_written_down") else { return };
    let one =
        package("one").script(ScriptKind::PostInstall, "#!/bin/sh\necho one\n").priority(7).replaces("x");
    let one =
        one.script(ScriptKind::Trigger, "#!/bin/sh\necho $*\n").trigger("/usr/share/*").trigger("+/srv");
    let two = package("Two").file("usr/share/two", "two").script(ScriptKind::PreDeinstall, "#!/bin/sh\n");

    let both = workshop.install(&[one, two, package("three")], &["one", "Two", "three"]);

    let packages = installed::parse(both.text(installed::PATH));
    assert_eq!(packages["one"].fields[&'q'], "7");
    let triggers = both.text("lib/apk/db/triggers");
    assert_eq!(triggers, format!("{} /usr/share/* +/srv\n", packages["one"].fields[&'C']));
    assert_eq!(both.text("etc/apk/world"), "ground\none\nthree\nTwo\n");
}

#[test]
fn a_file_that_moves_to_a_needed_package_in_one_upgrade_is_there_afterwards() {
    let Some(workshop) = workshop("a_file_that_moves_to_a_needed_package_in_one_upgrade_is_there_afterwards")
    else {
        return;
    };
    let first = workshop.install(&[package("one").file("usr/bin/tool", "1").file("etc/tool", "1")], &["one"]);
    let one = package("one").version("2-r0").depends("two").file("usr/bin/other", "2");
    let two = package("two").version("2-r0").replaces("one<2").file("usr/bin/tool", "2");

    let both = workshop.upgrade(&first.tar, &[one, two.file("etc/tool", "2")], &[]);

    assert_eq!([both.text("usr/bin/tool"), both.text("etc/tool")], ["2", "2"]);
    assert_eq!(both.owner("usr/bin/tool").as_deref(), Some("two"));
}

#[test]
fn a_file_in_etc_that_somebody_removed_comes_back_with_the_next_version() {
    let Some(workshop) = workshop("a_file_in_etc_that_somebody_removed_comes_back_with_the_next_version")
    else {
        return;
    };
    let one = |version: &str| package("one").version(version).file("etc/one", version);
    let first = workshop.changed(&[one("1-r0")], &["one"], "\n[prune]\npaths = [\"/etc/one\"]\n");

    let both = workshop.upgrade(&first.dir.join("tree.tar"), &[one("2-r0")], &[]);

    assert_eq!(both.text("etc/one"), "2-r0");
}

#[test]
fn the_apk_in_the_image_runs_scripts_and_triggers_that_were_written_down() {
    let Some(workshop) = workshop("the_apk_in_the_image_runs_scripts_and_triggers_that_were_written_down")
    else {
        return;
    };
    let one = package("one").file("usr/share/one/file", "one").trigger("/usr/share/*");
    let one = one.script(ScriptKind::PostDeinstall, "#!/bin/sh\necho $1 >/removed\n");
    let one = one.script(ScriptKind::Trigger, "#!/bin/sh\necho $* >/triggered\n");
    let two = package("two").file("usr/share/two/file", "two");
    let repository = workshop.repository("made", &[one, two]);
    let table = format!(
        "release = '3.19'\nmirror = ['{}']\nrepositories = ['{}']\nkeys = ['{}']\narch = ['x86_64']",
        workshop.alpine.mirror().display(),
        repository.display(),
        workshop.key().display()
    );
    let ours = Ours::new(&table, ["one"]);
    ours.tree();

    let apk = reference::inside_tar(&workshop.alpine, &ours.dir.join("tree.tar"));
    let apk = apk.repository(&repository).key(workshop.key());
    let added = apk.add(&["two"]);
    let deleted = apk.delete(&["one"]);

    assert_eq!(added.listing.text("triggered"), "/usr/share/two\n", "{}", added.apk_output);
    assert_eq!(deleted.listing.text("removed"), "1-r0\n", "{}", deleted.apk_output);
}

#[test]
fn accounts_of_the_profile_are_there_for_the_packages_that_come_after_the_files_of_accounts() {
    let test = "accounts_of_the_profile_are_there_for_the_packages_that_come_after_the_files_of_accounts";
    let Some(workshop) = workshop(test) else { return };
    let of_app = |name: &str| {
        let path = format!("usr/share/{name}");
        package(name).file(&path, name).owned(&path, ("app", 7), ("app", 8))
    };
    let accounts = package("accounts").depends("early").file("etc/passwd", "").file("etc/group", "");
    let packages = [of_app("early"), accounts, of_app("late").depends("accounts")];
    let repository = workshop.repository("first", &packages);
    let user = "\n[[users]]\nname = \"app\"\nuid = 1234\nhome = \"/\"\nshell = \"/bin/false\"\n";

    let tree = workshop.ours("scratch", &repository, &["late"]).with(user).tree();

    let owner = |path: &str| {
        let entry = tree.listing.entry(path);
        (entry.uid, entry.gid)
    };
    assert_eq!([owner("usr/share/early"), owner("usr/share/late")], [(7, 8), (1234, 1234)]);
    assert!(tree.listing.text("etc/passwd").starts_with("app:x:1234:1234:"));
}

#[test]
fn links_of_busybox_that_somebody_removed_come_back_when_its_directories_change_and_only_then() {
    let test = "links_of_busybox_that_somebody_removed_come_back_when_its_directories_change_and_only_then";
    let Some(workshop) = workshop(test) else { return };
    let pruned = "\n[prune]\npaths = [\"/bin/date\"]\n";
    let minirootfs = format!("release = '3.19'\nmirror = ['{}']", workshop.alpine.mirror().display());
    let base = Ours::new(&minirootfs, []).with(pruned);
    base.tree();
    let tar = workshop.compressed(&base.dir.join("tree.tar"));
    let elsewhere = package("elsewhere").file("usr/share/elsewhere", "");
    let repository = workshop.repository("made", &[elsewhere, package("command").file("bin/command", "")]);

    let date = ["elsewhere", "command"].map(|name| {
        let apk = reference::inside_tar(&workshop.alpine, &tar).repository(&repository).key(workshop.key());
        let reference = apk.add(&[name]);
        let ours = workshop.ours(&tar.display().to_string(), &repository, &[name]).with_scripts().tree();
        let is_there = |listing: &Listing| listing.get("bin/date").is_some();
        (is_there(&reference.listing), is_there(&ours.listing))
    });

    assert_eq!(date, [(false, false), (true, true)]);
}
