//! Ways out of the root, and names by which an image deletes files: from a package, from the base, through
//! links of one's own and of others.

use super::hostile::{self, OVER_MIRROR, Package, Said};
use super::{SCRATCH, Scene};
use crate::made::Made;
use crate::support::files;

/// A scene whose package `app` holds `entries`.
fn holding(entries: impl IntoIterator<Item = Said>) -> Scene {
    Scene::wanting(&["app"], &[&Package::new("app").has(entries).made()])
}

/// The paths of the image's tar, with the kinds and targets of its entries.
fn listing(image: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(image);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let show = |entry: tar::Entry<'_, &[u8]>| {
        let target =
            entry.link_name_bytes().map(|target| format!(" -> {}", String::from_utf8_lossy(&target)));
        format!("{}{}", String::from_utf8_lossy(&entry.path_bytes()), target.unwrap_or_default())
    };
    entries.map(show).filter(|line| !line.starts_with("lib/apk") && !line.starts_with("etc/apk")).collect()
}

/// What building `scene` as a bare tar gives.
fn tar_of(scene: &Scene) -> Vec<String> {
    let output = "type=tar,dest=root.tar";
    scene.dir.command().args(["--profile", "p.toml", "-o", output]).success();
    listing(&files::read(&scene.dir.join("root.tar")))
}

#[test]
fn an_entry_that_leaves_the_root_is_refused() {
    holding([Said::file("x/../../etc/passwd", "x")]).refused("way-out-dots", 5);
    holding([Said::file("/etc/passwd", "x")]).refused("way-out-absolute", 5);
    holding([Said::dir("usr"), Said::file("usr/..", "x")]).refused("way-out-only-dots", 5);
    holding([Said::dir("usr"), Said::file("usr//app", "x")]).refused("way-out-empty-name", 5);
    holding([Said::dir("usr"), Said::file("usr/./app", "x")]).refused("way-out-dot", 5);
    let long = "d/".repeat(2100);
    holding([Said::of(format!("{long}x"), b'0')]).refused("way-out-too-long", 5);
}

/// apk keeps every name with a dot in front to itself and skips it; so do we.
#[test]
fn an_entry_that_begins_with_a_dot_reaches_no_image() {
    let app = Package::new("app").has([
        Said::file("../etc/passwd", "x"),
        Said::file("./usr", "x"),
        Said::symlink("../../x", "/etc"),
        Said::file("app", "x"),
    ]);
    let paths = tar_of(&Scene::wanting(&["app"], &[&app.made()]));
    assert_eq!(paths, ["etc/", "lib/", "app"]);
}

#[test]
fn a_hard_link_to_what_is_not_in_the_package_is_refused() {
    holding([Said::hard_link("app", "../etc/shadow")]).refused("way-out-hard-link-dots", 5);
    holding([Said::hard_link("app", "/etc/shadow")]).refused("way-out-hard-link-absolute", 5);
    holding([Said::hard_link("app", "etc/shadow")]).refused("way-out-hard-link-elsewhere", 5);
    holding([Said::hard_link("app", "app")]).refused("way-out-hard-link-to-itself", 5);
    holding([Said::hard_link("app", "b"), Said::file("b", "x")]).refused("way-out-hard-link-forward", 5);
    holding([Said::dir("d"), Said::hard_link("app", "d")]).refused("way-out-hard-link-to-directory", 5);
    holding([Said::symlink("l", "/etc/shadow"), Said::hard_link("app", "l")])
        .refused("way-out-hard-link-to-link", 5);
}

#[test]
fn an_entry_through_a_link_of_its_own_package_is_refused() {
    holding([Said::symlink("data", "/srv/x"), Said::file("data/f", "x")])
        .refused("way-out-through-own-link", 5);
    holding([Said::symlink("data", "../../.."), Said::file("data/f", "x")])
        .refused("way-out-through-own-link-up", 5);
    holding([Said::symlink("data", "/srv/x"), Said::dir("data"), Said::file("data/f", "x")])
        .refused("way-out-link-as-directory", 5);
}

/// Two packages, of which the second has `d/f`.
fn two(link: Said) -> (Made, Made) {
    let first = Package::new("app").has([link]).made();
    let second = Package::new("b").has([Said::dir("d"), Said::file("d/f", "x")]).made();
    (first, second)
}

#[test]
fn a_link_of_another_package_that_leads_out_is_not_followed_out() {
    let (first, second) = two(Said::symlink("d", "../../../../tmp/out"));
    Scene::wanting(&["app", "b"], &[&first, &second]).refused("way-out-others-link", 5);
    let (first, second) = two(Said::symlink("d", "/tmp"));
    Scene::wanting(&["app", "b"], &[&first, &second]).refused("way-out-others-link-absolute", 5);
    let (first, second) = two(Said::symlink("d", "d"));
    Scene::wanting(&["app", "b"], &[&first, &second]).refused("way-out-others-link-circle", 5);
}

/// Inside the tree a link between directories serves as apk lets it: the file lies where it leads.
#[test]
fn a_link_of_another_package_is_followed_inside_the_tree() {
    let target = [Said::dir("real"), Said::symlink("d", "../../real")];
    let first = Package::new("app").has(target).made();
    let (_, second) = two(Said::dir("unused"));
    let paths = tar_of(&Scene::wanting(&["app", "b"], &[&first, &second]));
    assert!(paths.contains(&"real/f".to_owned()), "{paths:?}");
    assert!(!paths.contains(&"d/f".to_owned()), "{paths:?}");
}

/// apk asks whose a file is by the path that a package states; the disk knows better.
#[test]
fn a_file_of_another_package_is_not_reached_through_a_link() {
    let owner = Package::new("a").has([Said::dir("bin"), Said::file("bin/sh", "good")]).made();
    let link = Package::new("b").has([Said::symlink("d", "bin")]).made();
    let thief = Package::new("c").has([Said::dir("d"), Said::file("d/sh", "evil")]).made();
    Scene::wanting(&["a", "b", "c"], &[&owner, &link, &thief]).refused("way-out-onto-others-file", 5);
    let own_link = [Said::symlink("e", "bin"), Said::dir("bin")];
    let both = Package::new("b").has(own_link).made();
    let late =
        Package::new("d").says("depend", "c").has([Said::dir("bin"), Said::file("bin/sh", "x")]).made();
    let early = Package::new("c").has([Said::dir("e"), Said::file("e/sh", "y")]).made();
    Scene::wanting(&["b", "c", "d"], &[&both, &early, &late]).refused("way-out-under-others-file", 5);
}

#[test]
fn whiteouts_in_a_package_are_refused() {
    holding([Said::file(".wh.etc", "")]).image();
    holding([Said::dir("etc"), Said::file("etc/.wh.passwd", "")]).refused("whiteout-package", 5);
    holding([Said::dir("etc"), Said::file("etc/.wh..wh..opq", "")]).refused("whiteout-package-opaque", 5);
    holding([Said::dir("etc"), Said::dir("etc/.wh.d"), Said::file("etc/.wh.d/f", "")])
        .refused("whiteout-package-directory", 5);
    holding([Said::file("app", "x"), Said::hard_link("b", ".wh.app")]).refused("whiteout-hard-link", 5);
}

#[test]
fn a_whiteout_at_the_top_of_a_package_reaches_no_image() {
    let app = Package::new("app").has([Said::file(".wh.etc", ""), Said::file("app", "x")]).made();
    assert_eq!(tar_of(&Scene::wanting(&["app"], &[&app])), ["etc/", "lib/", "app"]);
}

/// Whiteouts in overlay file systems are devices 0:0.
#[test]
fn a_device_that_deletes_what_is_below_is_refused() {
    holding([Said::device("app", b'3', 0, 0)]).refused("whiteout-device", 5);
}

#[test]
fn profile_files_through_links_of_packages_stay_inside() {
    let app = Package::new("app").has([Said::symlink("d", "../../../../../tmp")]).made();
    let scene = Scene::with_profile(&format!(
        "{SCRATCH}\n[packages]\nruntime = [\"app\"]\n[[files]]\npath = \"/d/sub/f\"\ncontent = \"x\"\n"
    ));
    scene.repository(&[&app]);
    let paths = tar_of(&scene);
    assert!(paths.contains(&"tmp/sub/f".to_owned()), "{paths:?}");
    let circle = Package::new("app").has([Said::symlink("d", "d")]).made();
    scene.repository(&[&circle]);
    std::fs::remove_file(scene.dir.join("root.tar")).unwrap();
    scene.refused("way-out-profile-through-circle", 3);
}

#[test]
fn databases_through_links_of_packages_stay_inside() {
    for (name, link) in [
        ("way-out-database-circle", Said::symlink("lib", "lib")),
        ("way-out-database-in-a-file", Said::file("etc", "x")),
    ] {
        holding([link]).refused(name, 5);
    }
    let app = Package::new("app").has([Said::symlink("lib", "/../../usr/lib"), Said::dir("usr")]).made();
    let scene = Scene::wanting(&["app"], &[&app]);
    let output = "type=tar,dest=root.tar";
    scene.dir.command().args(["--profile", "p.toml", "-o", output]).success();
    let image = files::read(&scene.dir.join("root.tar"));
    let mut archive = tar::Archive::new(image.as_slice());
    let paths: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| String::from_utf8_lossy(&entry.unwrap().path_bytes()).into_owned())
        .collect();
    assert!(paths.contains(&"usr/lib/apk/db/installed".to_owned()), "{paths:?}");
}

/// A scene over a minirootfs that holds `entries`.
fn over(entries: impl IntoIterator<Item = Said>) -> Scene {
    let scene = Scene::with_profile(OVER_MIRROR);
    hostile::mirror(&scene.dir, &hostile::rootfs(entries), &[]);
    scene
}

#[test]
fn a_base_that_leaves_the_root_is_refused() {
    over([Said::file("./../etc/passwd", "x")]).refused("base-way-out-dots", 5);
    over([Said::file("/etc/shadow", "x")]).refused("base-way-out-absolute", 5);
    over([Said::hard_link("./x", "../../etc/shadow")]).refused("base-way-out-hard-link", 5);
    over([Said::symlink("./d", "/tmp"), Said::file("./d/f", "x")]).refused("base-way-out-through-link", 5);
}

#[test]
fn whiteouts_in_a_base_are_refused() {
    over([Said::file("./etc/.wh.passwd", "")]).refused("whiteout-base", 5);
    over([Said::file("./.wh.etc", "")]).refused("whiteout-base-top", 5);
}
