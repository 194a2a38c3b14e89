//! The base: that it is what was stated, that those who state something agree, and what may be in it.

use std::fs;

use apkcompose::digest::{Sha256, Sha512};

use super::Scene;
use super::hostile::{self, MINIROOTFS, OVER_MIRROR, RELEASES, Said, gzip, rootfs, tar};

/// A scene over a minirootfs that holds `entries`.
fn over(entries: impl IntoIterator<Item = Said>) -> Scene {
    over_bytes(&rootfs(entries))
}

/// A scene over a minirootfs of these bytes.
fn over_bytes(base: &[u8]) -> Scene {
    let scene = Scene::with_profile(OVER_MIRROR);
    hostile::mirror(&scene.dir, base, &[]);
    scene
}

fn path(extension: &str) -> String {
    format!("{RELEASES}/{MINIROOTFS}{extension}")
}

#[test]
fn a_release_that_no_mirror_has_is_named() {
    let scene = over([]);
    scene.profile(&OVER_MIRROR.replace("3.19", "3.19.2"));
    scene.refused("base-no-such-release", 4);
    fs::remove_dir_all(scene.dir.join("mirror/v3.19/releases")).unwrap();
    scene.profile(OVER_MIRROR);
    scene.refused("base-no-releases", 4);
}

#[test]
fn a_base_that_is_listed_and_not_there_is_named() {
    let scene = over([]);
    fs::remove_file(scene.dir.join(path(""))).unwrap();
    scene.refused("base-listed-and-absent", 4);
}

#[test]
fn a_base_that_is_not_as_stated_is_refused() {
    let scene = over([]);
    let original = scene.dir.read(&path(""));
    scene.dir.write(&path(""), crate::made::flipped(&original, 40));
    scene.refused("base-flipped-bit", 5);
    scene.dir.write(&path(""), &original[..original.len() - 1]);
    scene.refused("base-cut", 5);
    scene.dir.write(&path(""), [&original[..], b"x"].concat());
    scene.refused("base-longer", 5);
}

#[test]
fn a_base_that_is_not_what_the_profile_states_is_refused() {
    let scene = over([]);
    scene.profile(&format!("{OVER_MIRROR}base-sha256 = \"{}\"\n", "ab".repeat(32)));
    scene.refused("base-sha256-mismatch", 5);
    scene.profile(&format!("{OVER_MIRROR}base-sha256 = \"{}\"\n", "AB".repeat(31)));
    scene.refused("base-sha256-malformed", 3);
    let by_path = OVER_MIRROR.replace("[alpine]\n", "[alpine]\nbase = \"./rootfs.tar.gz\"\n");
    scene.dir.write("rootfs.tar.gz", rootfs([]));
    scene.profile(&format!("{by_path}base-sha256 = \"{}\"\n", "ab".repeat(32)));
    scene.refused("base-sha256-mismatch-by-path", 5);
}

#[test]
fn checksums_that_disagree_are_refused_whichever_is_right() {
    let scene = over([]);
    scene.dir.write(&path(".sha256"), format!("{}  {MINIROOTFS}\n", Sha256::of(b"other")));
    scene.refused("base-sha256-disagrees", 5);
    let scene = over([]);
    scene.dir.write(&path(".sha512"), format!("{}  {MINIROOTFS}\n", Sha512::of(b"other")));
    scene.refused("base-sha512-disagrees", 5);
    // Right by its SHA-256, and the list is alone in its SHA-512.
    fs::remove_file(scene.dir.join(path(".sha512"))).unwrap();
    let list = format!("{RELEASES}/latest-releases.yaml");
    let text = String::from_utf8(scene.dir.read(&list)).unwrap();
    let right = Sha512::of(&scene.dir.read(&path(""))).to_hex();
    scene.dir.write(&list, text.replace(&right, &Sha512::of(b"other").to_hex()));
    scene.refused("base-list-sha512-wrong", 5);
}

#[test]
fn checksums_that_are_none_are_refused() {
    for (name, text) in [
        ("base-sidecar-html", "<html>404</html>".to_owned()),
        ("base-sidecar-empty", String::new()),
        ("base-sidecar-of-another-file", format!("{}  other.tar.gz\n", "ab".repeat(32))),
        ("base-sidecar-too-long", "ab".repeat(4000)),
    ] {
        let scene = over([]);
        scene.dir.write(&path(".sha256"), text);
        scene.refused(name, if name == "base-sidecar-too-long" { 8 } else { 5 });
    }
}

#[test]
fn a_base_whose_digest_nobody_states_is_refused() {
    let scene = over([]);
    for file in [path(".sha256"), path(".sha512"), format!("{RELEASES}/latest-releases.yaml")] {
        fs::remove_file(scene.dir.join(file)).unwrap();
    }
    scene.profile(&OVER_MIRROR.replace("3.19", "3.19.9"));
    scene.refused("base-nothing-stated", 5);
}

#[test]
fn a_malformed_list_of_releases_is_refused() {
    let scene = over([]);
    let list = format!("{RELEASES}/latest-releases.yaml");
    let text = String::from_utf8(scene.dir.read(&list)).unwrap();
    for (name, changed) in [
        ("base-list-html", "<html>404</html>".to_owned()),
        ("base-list-of-another-branch", text.replace("v3.19", "v3.18")),
        ("base-list-file-is-path", text.replace(&format!("file: {MINIROOTFS}"), "file: ../../x.tar.gz")),
        ("base-list-size", text.replace("size: ", "size: many")),
        ("base-list-twice", text.replace("  arch: x86_64\n", "  arch: x86_64\n  arch: x86_64\n")),
    ] {
        scene.dir.write(&list, changed);
        scene.refused(name, 5);
    }
}

#[test]
fn a_base_that_is_no_root_filesystem_is_refused() {
    over_bytes(b"text").refused("base-text", 5);
    over_bytes(&gzip(b"text")).refused("base-gzipped-text", 5);
    let twice = [rootfs([]), rootfs([])].concat();
    over_bytes(&twice).refused("base-two-members", 5);
    let whole = rootfs([]);
    over_bytes(&whole[..whole.len() - 9]).refused("base-cut-and-stated-so", 5);
}

#[test]
fn hostile_entries_of_a_base_are_refused() {
    over([Said::file("./a\x1b[31mb", "x")]).refused("base-name-escape", 5);
    over([Said::file("./x", "1"), Said::file("./x", "2")]).refused("base-path-twice", 5);
    over([Said::file("./x", "1"), Said::file("./x/y", "2")]).refused("base-below-a-file", 5);
    over([Said::file("./x", "1").record("SCHILY.xattr.trusted.overlay.redirect", "/")])
        .refused("base-xattr-overlay", 5);
    over([Said::hard_link("./x", "./y")]).refused("base-hard-link-to-nothing", 5);
}

#[test]
fn devices_of_a_base_are_left_out_of_the_image() {
    let scene = over([
        Said::dir("./dev"),
        Said::device("./dev/sda", b'4', 8, 0),
        Said::device("./dev/mem", b'3', 1, 1),
        Said::file("./dev/file", "x"),
    ]);
    let command = scene.dir.command().args(["--profile", "p.toml", "--progress", "none"]);
    let outcome = command.args(["-o", "type=tar,dest=root.tar"]).success();
    let said = outcome.stderr_text();
    assert!(said.contains("warning: device nodes are left out of the image: /dev/mem, /dev/sda\n"), "{said}");
    let image = scene.dir.read("root.tar");
    let mut archive = tar::Archive::new(image.as_slice());
    let paths = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned());
    let paths: Vec<_> = paths.filter(|path| path.starts_with("dev")).collect();
    assert_eq!(paths, ["dev", "dev/file"].map(std::path::PathBuf::from));
}

#[test]
fn malformed_databases_of_a_base_are_refused() {
    let with = |path: &str, text: &[u8]| {
        over([
            Said::dir("./etc/apk"),
            Said::dir("./lib"),
            Said::dir("./lib/apk"),
            Said::dir("./lib/apk/db"),
            Said::file(path, text),
        ])
    };
    with("./lib/apk/db/installed", b"F:../../etc\n").refused("base-installed-misplaced", 5);
    with("./lib/apk/db/installed", b"P:x\nV:1\nF:../etc\nR:passwd\n\n").refused("base-installed-way-out", 5);
    with("./lib/apk/db/installed", b"P:x\nV:1\nF:etc\nR:../passwd\n\n").refused("base-installed-name", 5);
    with("./lib/apk/db/installed", b"\x1f\x8b\xff").refused("base-installed-binary", 5);
    with("./etc/apk/world", b"a@\x1b[31m").refused("base-world", 5);
    with("./lib/apk/db/scripts.tar", b"text").refused("base-scripts", 5);
    let scripts =
        tar(&[Said::program("x-1.Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=.post-install", vec![0; 300 << 10])]);
    // A script of nobody's is not read at all.
    with("./lib/apk/db/scripts.tar", &scripts).image();
}

#[test]
fn a_base_by_path_that_is_not_there_is_named() {
    let scene =
        Scene::with_profile(&OVER_MIRROR.replace("[alpine]\n", "[alpine]\nbase = \"./rootfs.tar.gz\"\n"));
    hostile::mirror(&scene.dir, &rootfs([]), &[]);
    scene.refused("base-path-missing", 4);
    fs::create_dir(scene.dir.join("rootfs.tar.gz")).unwrap();
    scene.refused("base-path-is-directory", 4);
}
