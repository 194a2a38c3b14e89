//! Packages: that each is the one the index lists, and of the right form.

use super::Scene;
use super::hostile::{self, Package, Said, gzip, index_of, noise, plain, stanza};
use crate::made::{self, Made};

const APP: &str = "repo/x86_64/app-1-r0.apk";

/// A scene that wants `app`.
fn wanting(app: &Made) -> Scene {
    Scene::wanting(&["app"], &[app])
}

/// A scene that lists `app`, with `file` in the place of its file.
fn with_file(app: &Made, file: impl AsRef<[u8]>) -> Scene {
    let scene = wanting(app);
    scene.dir.write(APP, file);
    scene
}

/// A scene whose package holds `entries`.
fn holding(entries: impl IntoIterator<Item = Said>) -> Scene {
    wanting(&Package::new("app").has(entries).made())
}

#[test]
fn a_package_that_was_swapped_for_another_signed_one_is_refused() {
    let (app, other) = (plain("app").made(), plain("other").control(".post-install", noise(500)).made());
    with_file(&app, &other.bytes).refused("package-swapped", 5);
    // Of the same length, so that the size does not tell.
    let twin = plain("twi").version("1-r0").made();
    let mut sized = app.clone();
    sized.indexed.size = twin.bytes.len() as u64;
    with_file(&sized, &twin.bytes).refused("package-swapped-same-size", 5);
}

#[test]
fn an_older_version_under_the_name_of_the_newer_one_is_refused() {
    let (mut new, old) = (plain("app").version("2-r0").made(), plain("app").version("1-r0").made());
    new.indexed.size = old.bytes.len() as u64;
    let scene = Scene::wanting(&["app"], &[&new]);
    scene.dir.write("repo/x86_64/app-2-r0.apk", &old.bytes);
    scene.refused("package-downgraded", 5);
}

#[test]
fn a_package_that_says_it_is_another_is_refused() {
    let app = plain("other").made();
    let text = stanza(&app);
    for (name, from, to) in [
        ("package-says-another-name", "P:other", "P:app"),
        ("package-says-another-version", "P:other\nV:1-r0", "P:app\nV:2-r0"),
    ] {
        let scene = wanting(&app);
        scene.dir.write("repo/x86_64/APKINDEX.tar.gz", index_of(text.replace(from, to)));
        scene.dir.write("repo/x86_64/app-1-r0.apk", &app.bytes);
        scene.dir.write("repo/x86_64/app-2-r0.apk", &app.bytes);
        scene.refused(name, 5);
    }
    let foreign = plain("app").arch("aarch64").made();
    let scene = wanting(&foreign);
    let text = stanza(&foreign).replace("A:aarch64", "A:x86_64");
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", index_of(text));
    scene.refused("package-says-another-arch", 5);
}

#[test]
fn a_package_that_nobody_or_somebody_else_signed_is_refused() {
    let tar = gzip(&hostile::tar(&[Said::file("app", "x")]));
    wanting(&plain("app").unsigned()).refused("package-unsigned", 5);
    wanting(&Package::new("app").signed(&tar, made::other_key())).refused("package-unknown-key", 5);
    let twin = apkcompose::apk::sign::SigningKey::generate("test.rsa.pub").unwrap();
    wanting(&Package::new("app").signed(&tar, &twin)).refused("package-wrong-key", 5);
}

#[test]
fn a_package_of_apk_v3_is_refused_by_name() {
    let mut app = plain("app").made();
    app.indexed.size = 8;
    with_file(&app, "ADB.pckg").refused("package-adb", 5);
}

#[test]
fn what_is_no_package_is_refused() {
    let mut app = plain("app").made();
    for (name, bytes) in [
        ("package-html", b"<html>404</html>".to_vec()),
        ("package-empty", Vec::new()),
        ("package-text", gzip(b"text")),
        ("package-no-info", gzip(&hostile::open_tar(&[Said::file(".post-install", "x").without_checksum()]))),
    ] {
        app.indexed.size = bytes.len() as u64;
        with_file(&app, bytes).refused(name, 5);
    }
}

#[test]
fn a_package_that_is_longer_or_shorter_than_listed_is_refused() {
    let app = plain("app").made();
    with_file(&app, &app.bytes[..app.bytes.len() - 1]).refused("package-cut", 5);
    with_file(&app, [&app.bytes[..], b"x"].concat()).refused("package-longer", 5);
}

#[test]
fn data_that_is_not_what_the_control_member_states_is_refused() {
    let app = plain("app").made();
    let other = gzip(&hostile::tar(&[Said::file("evil", "x")]));
    let mut mixed = app.bytes[..app.data_offset()].to_vec();
    mixed.extend(&other);
    let mut listed = app.clone();
    listed.indexed.size = mixed.len() as u64;
    with_file(&listed, mixed).refused("package-other-data", 5);
}

#[test]
fn files_of_the_control_member_that_may_not_be_there_are_refused() {
    let named = |name: &str| Package::new("app").control(name, "x");
    for (name, package) in [
        ("package-old-install", named(".INSTALL")),
        ("package-control-file", named("etc/passwd")),
        ("package-two-scripts", named(".post-install").control(".post-install", "y")),
        ("package-long-script", Package::new("app").control(".post-install", vec![b'x'; 300 << 10])),
    ] {
        // No writer of the tests reads these back, so the index is of another package of that name.
        let control = package.control_bytes();
        let data = gzip(&hostile::tar(&[]));
        let bytes = [made::key().signature_member(&control).unwrap(), control.clone(), data].concat();
        let mut listed = Package::new("app").made();
        listed.indexed.identity = apkcompose::digest::Identity::new(apkcompose::digest::Sha1::of(&control));
        listed.indexed.size = bytes.len() as u64;
        with_file(&listed, bytes).refused(name, if name == "package-long-script" { 8 } else { 5 });
    }
}

#[test]
fn a_path_that_stands_twice_is_refused() {
    holding([Said::file("app", "one"), Said::file("app", "two")]).refused("package-path-twice", 5);
    holding([Said::file("app", "one"), Said::symlink("app", "/etc")]).refused("package-file-and-link", 5);
    holding([Said::dir("app"), Said::file("app", "one")]).refused("package-directory-and-file", 5);
}

#[test]
fn an_entry_without_its_directory_is_refused() {
    holding([Said::file("usr/share/app", "x")]).refused("package-no-directory", 5);
    holding([Said::file("usr", "x"), Said::file("usr/share", "x")]).refused("package-below-a-file", 5);
}

#[test]
fn a_file_whose_checksum_is_wrong_or_missing_is_refused() {
    holding([Said::file("app", "x").without_checksum()]).refused("package-no-checksum", 5);
    let named = "APK-TOOLS.checksum.SHA1";
    holding([Said::file("app", "x").without_checksum().record(named, "ab")])
        .refused("package-malformed-checksum", 5);
    let wrong = "00".repeat(20);
    holding([Said::file("app", "x").without_checksum().record(named, &wrong)])
        .refused("package-wrong-checksum", 5);
}

#[test]
fn names_with_control_characters_are_refused_and_do_not_reach_the_terminal() {
    holding([Said::file("a\x1b[31mb", "x")]).refused("package-name-escape", 5);
    holding([Said::file("a\nb", "x")]).refused("package-name-newline", 5);
    holding([Said::of(b"a\xffb", b'0')]).refused("package-name-not-utf8", 5);
    holding([Said::symlink("app", "a\nb")]).refused("package-target-newline", 5);
    holding([Said::of(b"app\xc2\x9b31m", b'0')]).refused("package-name-c1", 5);
}

#[test]
fn entries_of_unknown_kinds_are_refused() {
    holding([Said::of("app", b'7')]).refused("package-kind-contiguous", 5);
    holding([Said::of("app", b'S')]).refused("package-kind-sparse", 5);
    holding([Said::of("app", 0)]).refused("package-kind-nul", 5);
}

#[test]
fn headers_that_contradict_each_other_are_refused() {
    holding([Said::file("app", "xy").record("size", "1")]).refused("package-two-sizes", 5);
    holding([Said::file("app", "x").record("path", "")]).refused("package-empty-path", 5);
    holding([Said::of("app", b'2')]).refused("package-link-to-nothing", 5);
    holding([Said::dir("app").size(512)]).refused("package-directory-with-data", 5);
}

#[test]
fn extended_attributes_of_overlay_file_systems_are_refused() {
    for (name, attribute) in [
        ("package-xattr-overlay", "trusted.overlay.opaque"),
        ("package-xattr-user-overlay", "user.overlay.whiteout"),
        ("package-xattr-no-name", "nonsense"),
        ("package-xattr-control", "user.a\x1bb"),
    ] {
        let entry = Said::file("app", "x").record(&format!("SCHILY.xattr.{attribute}"), "y");
        holding([entry]).refused(name, 5);
    }
}

#[test]
fn two_packages_that_own_one_file_are_refused() {
    let app = Package::new("app").has([Said::file("file", "one")]).made();
    let other = Package::new("other").has([Said::file("file", "two")]).made();
    Scene::wanting(&["app", "other"], &[&app, &other]).refused("package-file-conflict", 5);
    let same = Package::new("other").has([Said::file("file", "one")]).made();
    Scene::wanting(&["app", "other"], &[&app, &same]).refused("package-file-conflict-same-bytes", 5);
}

#[test]
fn a_file_where_another_package_has_a_directory_is_refused() {
    let app = Package::new("app").has([Said::dir("opt"), Said::file("opt/x", "x")]).made();
    let file = Package::new("b").has([Said::file("opt", "x")]).made();
    Scene::wanting(&["app", "b"], &[&app, &file]).refused("package-file-over-directory", 5);
    let link = Package::new("b").has([Said::symlink("opt", "etc")]).made();
    Scene::wanting(&["app", "b"], &[&app, &link]).refused("package-link-over-directory", 5);
    let a = Package::new("app").has([Said::file("opt", "x")]).made();
    let directory = Package::new("b").has([Said::dir("opt"), Said::file("opt/y", "y")]).made();
    Scene::wanting(&["app", "b"], &[&a, &directory]).refused("package-directory-over-file", 5);
}
