//! What a profile says wrong, and what it names that is not there. How every value is checked is tested
//! where the profile is read; here is how it reaches the user.

use std::os::unix::fs::symlink;

use super::hostile::{Package, Said, plain};
use super::{SCRATCH, Scene};

/// A scene with the package `app` and a profile that wants it and says `more`.
fn scene(more: &str) -> Scene {
    let scene = Scene::with_profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"app\"]\n\n{more}"));
    scene.repository(&[&app()]);
    scene
}

fn app() -> crate::made::Made {
    Package::new("app")
        .has([
            Said::dir("etc"),
            Said::file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            Said::file("etc/group", "root:x:0:root\n"),
        ])
        .made()
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
    scene("[image]\nentrypiont = [\"/bin/app\"]\n").refused("profile-unknown-key", 3);
}

#[test]
fn an_unknown_table_is_named() {
    scene("[imgae]\ncmd = [\"x\"]\n").refused("profile-unknown-table", 3);
}

#[test]
fn everything_wrong_is_said_at_once() {
    scene("[image]\nexpose = [\"99999/tcp\"]\nuser = 82\ncmd = \"app\"\n[limits]\nsize = \"big\"\n")
        .refused("profile-many-problems", 3);
}

#[test]
fn text_that_is_no_toml_is_named_with_its_line_and_column() {
    Scene::with_profile("[alpine\nrelease = \"3.19\"\n").refused("profile-syntax", 3);
}

#[test]
fn building_from_source_is_refused_by_name() {
    scene("[build]\npackages = [\"make\"]\nsteps = [\"make\"]\n").refused("profile-build", 3);
}

#[test]
fn a_tag_that_no_repository_has_is_named() {
    let scene = scene("");
    scene.profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"app@edge\"]\n"));
    scene.refused("profile-unknown-tag", 3);
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    let scene = Scene::new();
    scene.refused("profile-missing-file", 3);
    let command = scene.dir.command().args(["--profile", "bsae"]);
    scene.refused_command("profile-missing-name", 3, command);
}

#[test]
fn a_profile_that_is_no_file_is_named() {
    let scene = Scene::new();
    scene.dir.write("p.toml/x", "");
    scene.refused("profile-is-a-directory", 3);
}

#[test]
fn an_endless_profile_is_not_read_to_its_end() {
    let scene = Scene::new();
    scene.profile(&"#\n".repeat(1 << 20));
    scene.refused("profile-too-large", 8);
    std::fs::remove_file(scene.dir.join("p.toml")).unwrap();
    symlink("/dev/zero", scene.dir.join("p.toml")).unwrap();
    scene.refused("profile-is-a-device", 3);
}

#[test]
fn profiles_that_extend_each_other_endlessly_are_named() {
    let scene = Scene::with_profile("extends = [\"./a.toml\"]\n");
    scene.dir.write("a.toml", "extends = [\"./p.toml\"]\n");
    scene.refused("profile-circle", 3);
    for number in 0..100 {
        scene.dir.write(&format!("n{number}.toml"), format!("extends = [\"./n{}.toml\"]\n", number + 1));
    }
    scene.profile("extends = [\"./n0.toml\"]\n");
    scene.refused("profile-too-deep", 3);
}

#[test]
fn tables_within_tables_without_end_are_refused() {
    let scene = Scene::with_profile(&format!("x = {}1{}\n", "[".repeat(100_000), "]".repeat(100_000)));
    scene.refused("profile-deep-lists", 3);
    scene.profile(&format!("{}x = 1\n", "a.".repeat(100_000)));
    scene.refused("profile-deep-keys", 3);
}

#[test]
fn a_profile_for_another_version_is_refused() {
    Scene::with_profile("requires = \">=9\"\n").refused("profile-requires", 3);
}

#[test]
fn an_unknown_owner_of_a_file_is_named() {
    scene("[[files]]\npath = \"/etc/app\"\ncontent = \"x\"\nowner = \"www:www\"\n")
        .refused("profile-unknown-owner", 3);
    scene("[[files]]\npath = \"/etc/app\"\ncontent = \"x\"\nowner = \"root:www\"\n")
        .refused("profile-unknown-owner-group", 3);
}

#[test]
fn an_unknown_user_of_the_image_is_named() {
    scene("[image]\nuser = \"www\"\n").refused("profile-unknown-user", 3);
    scene("[image]\nuser = \"0:www\"\n").refused("profile-unknown-group", 3);
}

#[test]
fn an_account_that_stands_in_the_way_of_another_is_named() {
    scene("[[users]]\nname = \"www\"\nuid = 0\nhome = \"/\"\nshell = \"/sbin/nologin\"\n")
        .refused("profile-user-taken", 3);
    scene(
        "[[users]]\nname = \"www\"\nuid = 82\ngroup = \"nobody\"\nhome = \"/\"\nshell = \"/sbin/nologin\"\n",
    )
    .refused("profile-user-without-group", 3);
}

#[test]
fn a_source_outside_of_the_profiles_directory_is_refused() {
    let files = |source: &str| format!("[[files]]\npath = \"/etc/app\"\nsource = \"{source}\"\n");
    let outside = scene(&files("../home"));
    outside.refused("profile-source-outside", 3);
    let absolute = scene(&files("/etc/passwd"));
    absolute.refused("profile-source-absolute", 3);
    let through = scene(&files("way/passwd"));
    symlink("/etc", through.dir.join("way")).unwrap();
    through.refused("profile-source-through-link", 3);
    let link = scene(&files("way"));
    symlink("/etc/passwd", link.dir.join("way")).unwrap();
    link.refused("profile-source-is-link", 3);
}

#[test]
fn a_source_that_is_not_there_is_named() {
    scene("[[files]]\npath = \"/etc/app\"\nsource = \"nothing\"\n").refused("profile-source-missing", 4);
}

#[test]
fn a_source_that_is_no_file_is_refused() {
    let scene = scene("[[files]]\npath = \"/etc/app\"\nsource = \"pipe\"\n");
    let pipe = scene.dir.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    scene.refused("profile-source-is-pipe", 3);
}

#[test]
fn sources_on_the_network_are_named_offline_all_at_once() {
    let file = |name: &str| {
        let sha256 = "ab".repeat(32);
        format!(
            "[[files]]\npath = \"/etc/{name}\"\nurl = \"https://me:secret@example.org/{name}\"\nsha256 = \"{sha256}\"\n"
        )
    };
    let scene = scene(&(file("one") + &file("other")));
    let command = scene.build().args(["--offline"]);
    scene.refused_command("profile-source-url", 4, command);
}

#[test]
fn whiteouts_and_other_names_that_files_cannot_have_are_refused() {
    let files = |path: &str| scene(&format!("[[files]]\npath = \"{path}\"\ncontent = \"x\"\n"));
    files("/etc/.wh.passwd").refused("profile-whiteout", 3);
    files("/etc/../../passwd").refused("profile-path-leaves", 3);
    files("/etc/a\\u0007b").refused("profile-path-control", 3);
    files("etc/passwd").refused("profile-path-relative", 3);
    let directory = scene("[[files]]\npath = \"/app\"\nsource = \"app\"\n");
    directory.dir.write("app/sub/.wh..wh..opq", "");
    directory.refused("profile-whiteout-in-source", 3);
}

#[test]
fn a_file_in_place_of_a_directory_is_refused() {
    scene("[[files]]\npath = \"/etc\"\ncontent = \"x\"\n").refused("profile-file-over-directory", 3);
    scene("[[dirs]]\npath = \"/etc/passwd\"\n").refused("profile-directory-over-file", 3);
}

#[test]
fn limits_that_are_passed_are_named() {
    scene("[limits]\nsize = \"1kB\"\n").refused("profile-limit-size", 8);
    let two = scene("[limits]\npackages = 1\n");
    two.repository(&[&app(), &plain("b").says("install_if", "app=1-r0").made()]);
    two.refused("profile-limit-packages", 8);
}

#[test]
fn a_package_to_prune_that_is_not_there_is_named() {
    scene("[prune]\npackages = [\"busybox\"]\n").refused("profile-prune-missing", 3);
}

#[test]
fn a_key_that_cannot_be_read_is_named() {
    let scene = scene("");
    scene.dir.write("test.rsa.pub", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    scene.refused("profile-key-malformed", 3);
    std::fs::remove_file(scene.dir.join("test.rsa.pub")).unwrap();
    scene.refused("profile-key-missing", 4);
}

#[test]
fn what_is_on_the_network_is_named_offline_and_without_its_password() {
    let scene = scene("");
    let command = scene.build().args(["--offline", "--mirror", "https://me:secret@example.org/alpine"]);
    let mirror = "[alpine]\nrelease = \"3.19\"\nrepositories = [\"main\"]\narch = [\"x86_64\"]\n";
    scene.profile(mirror);
    scene.refused_command("profile-http-mirror", 4, command);
    scene.profile(&format!("{SCRATCH}\n").replace("./repo", "https://me:secret@example.org/repo"));
    scene.refused_command("profile-http-repository", 4, scene.build().args(["--offline"]));
}
