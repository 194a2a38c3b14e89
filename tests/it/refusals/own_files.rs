//! What apkcompose itself writes into an image: never through something that a package, a base or a script has put in
//! its place, and never into a file that has another name too.

use super::hostile::{self, OVER_MIRROR, Package, Said};
use super::{SCRATCH, Scene};
use crate::made::Made;
use crate::support::{files, need};

/// A root and its accounts, with a root that can log in, so that there is something to write.
fn ground() -> Made {
    let directories = ["etc", "etc/apk", "lib", "lib/apk", "lib/apk/db"].map(Said::dir);
    let accounts = [
        Said::file("etc/target", "root::0:0:root:/root:/bin/sh\n"),
        Said::file("etc/target-shadow", "root::::::::\n"),
    ];
    Package::new("ground").has(directories).has(accounts).made()
}

/// The scene of an image of the ground and of a package `evil` with `entries` and the directories above them.
fn beside(entries: &[Said], lines: &str) -> Scene {
    let directories = ["etc", "etc/apk", "lib", "lib/apk", "lib/apk/db"].map(Said::dir);
    let evil = Package::new("evil").says("depend", "ground").has(directories).has(entries.to_vec()).made();
    let scene = Scene::with_profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"evil\"]\n{lines}"));
    scene.repository(&[&ground(), &evil]);
    scene
}

/// What the image of `scene` has at `path`.
fn text_in_image(scene: &Scene, path: &str) -> String {
    let output = "type=tar,dest=root.tar";
    scene.dir.command().args(["--profile", "p.toml", "--quiet", "-o", output]).success();
    let image = files::read(&scene.dir.join("root.tar"));
    let mut archive = tar::Archive::new(image.as_slice());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| &*entry.path_bytes() == path.as_bytes()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
    text
}

/// Building `scene` is refused with exit code 5, and says all of `words`.
fn refused(scene: &Scene, words: &[&str]) {
    let outcome = scene.build().fails_with(5);
    let said = outcome.stderr_text();
    for word in words {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
    assert!(!scene.dir.names().contains(&super::OUTPUT.to_owned()), "{said}");
}

#[test]
fn a_link_of_a_package_in_the_place_of_a_record_is_refused_by_name() {
    let record = |path: &str| {
        refused(
            &beside(&[Said::symlink(path, "/etc/target")], ""),
            &[&format!("/{path} is not written: it is a symbolic link to `/etc/target` of the package evil")],
        );
    };
    for path in [
        "etc/apk/world",
        "etc/apk/arch",
        "etc/apk/repositories",
        "lib/apk/db/installed",
        "lib/apk/db/triggers",
        "lib/apk/db/scripts.tar",
    ] {
        record(path);
    }
    beside(&[Said::symlink("etc/apk/world", "../passwd")], "").refused("own-files-link", 5);
}

#[test]
fn a_link_of_a_package_above_a_record_is_refused_by_name() {
    for (link, target, record) in [
        ("etc", "srv", "/etc/apk/world"),
        ("etc/apk", "../srv", "/etc/apk/world"),
        ("lib", "srv", "/lib/apk/db/installed"),
        ("lib/apk", "/srv", "/lib/apk/db/installed"),
        ("lib/apk/db", "../../srv", "/lib/apk/db/installed"),
    ] {
        let above: Vec<Said> = link.match_indices('/').map(|(slash, _)| Said::dir(&link[..slash])).collect();
        let entries = [Said::dir("srv"), Said::dir("srv/apk"), Said::symlink(link, target)];
        let app = Package::new("app").has(above).has(entries).made();
        let scene = Scene::wanting(&["app"], &[&app]);
        refused(
            &scene,
            &[record, &format!("through /{link}, a symbolic link to `{target}` of the package app")],
        );
    }
    let srv = [Said::dir("srv"), Said::symlink("etc", "srv")];
    Scene::wanting(&["app"], &[&Package::new("app").has(srv).made()]).refused("own-files-directory-link", 5);
}

#[test]
fn on_a_merged_usr_the_database_is_in_usr_lib() {
    for target in ["usr/lib", "/usr/lib"] {
        let merged = [Said::dir("usr"), Said::dir("usr/lib"), Said::symlink("lib", target)];
        let scene = Scene::wanting(&["app"], &[&Package::new("app").has(merged).made()]);
        assert!(text_in_image(&scene, "usr/lib/apk/db/installed").contains("P:app\n"));
    }
}

#[test]
fn a_link_in_the_place_of_a_file_of_accounts_is_not_written_through() {
    let users = "[[users]]\nname = \"new\"\nuid = 7\n[[groups]]\nname = \"new\"\ngid = 7\n";
    for (file, target) in
        [("etc/passwd", "target"), ("etc/group", "target"), ("etc/shadow", "/etc/target-shadow")]
    {
        let mut entries = vec![Said::symlink(file, target)];
        if file != "etc/passwd" {
            entries.push(Said::file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"));
        }
        let words =
            format!("/{file} is not written: it is a symbolic link to `{target}` of the package evil");
        refused(&beside(&entries, users), &[&words]);
    }
    // Nor is root locked through one.
    for (file, target) in [("etc/passwd", "target"), ("etc/shadow", "target-shadow")] {
        refused(&beside(&[Said::symlink(file, target)], ""), &["of the package evil", file]);
    }
    // One through which nothing is to be written is left as it is.
    let scene = beside(&[Said::symlink("etc/shadow", "nowhere")], "");
    assert_eq!(text_in_image(&scene, "etc/target-shadow"), "root::::::::\n");
}

#[test]
fn a_hard_link_in_the_place_of_what_is_written_leaves_the_other_file_as_it_is() {
    let other = |path: &str, text: &str| [Said::file("etc/other", text), Said::hard_link(path, "etc/other")];
    for path in [
        "lib/apk/db/installed",
        "lib/apk/db/triggers",
        "etc/apk/world",
        "etc/apk/arch",
        "etc/apk/repositories",
    ] {
        let scene = beside(&other(path, "theirs\n"), "");
        assert_eq!(text_in_image(&scene, "etc/other"), "theirs\n", "{path}");
        assert_ne!(text_in_image(&scene, path), "theirs\n");
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\n";
    let scene = beside(&other("etc/passwd", passwd), "[[users]]\nname = \"new\"\nuid = 7\n");
    assert_eq!(text_in_image(&scene, "etc/other"), passwd);
    assert!(text_in_image(&scene, "etc/passwd").contains("new:x:7:7:"));
    let shadow = "root::::::::\n";
    let scene = beside(&other("etc/shadow", shadow), "");
    assert_eq!(text_in_image(&scene, "etc/other"), shadow);
    assert_eq!(text_in_image(&scene, "etc/shadow"), "root:*:::::::\n");
}

#[test]
fn what_is_no_file_in_the_place_of_a_record_is_refused_by_name() {
    for (said, what) in [
        (Said::of("etc/apk/world", b'6'), "named pipe"),
        (Said::dir("etc/apk/world"), "directory"),
        (Said::dir("lib/apk/db/installed"), "directory"),
        (Said::of("lib/apk/db/scripts.tar", b'6'), "named pipe"),
    ] {
        let words = format!("there is a {what} in its place, of the package evil");
        refused(&beside(&[said], ""), &[&words]);
    }
}

#[test]
fn a_link_of_the_base_or_of_the_profile_is_refused_as_theirs() {
    let scene = Scene::with_profile(OVER_MIRROR);
    let links = [Said::dir("./etc/apk"), Said::symlink("./etc/apk/world", "../nothing")];
    hostile::mirror(&scene.dir, &hostile::rootfs(links), &[]);
    scene.refused("own-files-base-link", 5);
    let link = "[[links]]\npath = \"/lib/apk\"\ntarget = \"/srv\"\n";
    let app = Package::new("app").has([Said::dir("srv")]).made();
    let scene = Scene::with_profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"app\"]\n{link}"));
    scene.repository(&[&app]);
    scene.refused("own-files-profile-link", 3);
}

/// What is read back after a script has run is held to the same.
#[test]
fn a_link_that_a_script_puts_in_the_place_of_a_record_is_refused() {
    let test = "a_link_that_a_script_puts_in_the_place_of_a_record_is_refused";
    let Some(alpine) = need::alpine(test) else { return };
    let script = "#!/bin/sh\nmkdir -p /etc/apk\nrm -f /etc/apk/world\nln -s ../passwd /etc/apk/world\n";
    let evil = Package::new("evil").control(".post-install", script).made();
    let scene = Scene::with_profile(&format!(
        "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nmirror = ['{}']\nupgrade = false\n\
         repositories = [\"main\", {{ url = \"./repo\", keys = [\"test.rsa.pub\"] }}]\n\
         [packages]\nruntime = [\"evil\"]\n",
        alpine.mirror().display()
    ));
    scene.repository(&[&evil]);
    refused(
        &scene,
        &["/etc/apk/world is not written: it is a symbolic link to `../passwd` that a package script made"],
    );
}
