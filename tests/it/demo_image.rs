//! The demo as somebody meets it who has nothing but the program: no network, no root, no Alpine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use crate::support::command::{Dir, TestCommand};
use crate::support::docker::text_of;
use crate::support::image::Image;
use crate::support::{files, need};

/// What begins the text that the demo says of itself.
const FIRST_WORDS: &str =
    "Hello from an image that apkcompose composed: without Docker, without root, without apk.\n";
/// The paragraph that its profile adds.
const LAST_WORDS: &str = "copy it, and make an image of your own.\n";

fn demo(dir: &Dir) -> TestCommand<'_> {
    dir.command().args(["--profile", "demo"])
}

#[test]
fn the_demo_needs_no_network_and_says_what_it_is_under_docker() {
    let test = "the_demo_needs_no_network_and_says_what_it_is_under_docker";
    let Some(()) = need::network_namespace(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let dir = Dir::new();

    let report = demo(&dir).args(["--format", "json"]).under(["unshare", "--net"]).success().stdout_json();

    let image = "apkcompose/demo:latest";
    assert_eq!(docker.load(&dir.join("demo.tar")), [image]);
    let said = docker.run_text(image, &[]);
    assert!(said.starts_with(FIRST_WORDS) && said.ends_with(LAST_WORDS), "{said}");
    assert_eq!(report["image"]["size"].as_u64(), Some(docker.size(image)));
    assert_eq!(docker.inspect(image)["Config"]["User"], "2000:2000");
}

#[test]
fn the_demo_is_made_by_an_ordinary_user_without_a_network() {
    let test = "the_demo_is_made_by_an_ordinary_user_without_a_network";
    let Some(()) = need::network_namespace(test) else { return };
    let (dir, other) = (Dir::new(), Dir::new());

    demo(&dir).run_by(4321).under(["unshare", "--net"]).success();
    demo(&other).success();

    assert_eq!(dir.read("demo.tar"), other.read("demo.tar"));
    assert_eq!(dir.names(), ["demo.tar"]);
}

#[test]
fn the_demo_is_made_for_another_architecture() {
    let dir = Dir::new();

    demo(&dir).args(["--arch", "aarch64", "-o", "arm.tar"]).success();
    demo(&dir).args(["--arch", "arm64", "-o", "named-as-oci.tar"]).success();

    let image = Image::of_archive(&dir.join("arm.tar"));
    let config = image.config();
    assert_eq!((&config["architecture"], &config["variant"]), (&json!("arm64"), &json!("v8")));
    let tree = image.tree();
    assert_eq!(tree.text("etc/apk/arch"), "aarch64\n");
    // The machine of an ELF header: 183 is AArch64.
    assert_eq!(tree.entry("usr/bin/hello").content[18..20], [183, 0]);
    assert_eq!(dir.read("arm.tar"), dir.read("named-as-oci.tar"));
}

#[test]
fn the_demo_for_another_architecture_says_what_it_is() {
    let test = "the_demo_for_another_architecture_says_what_it_is";
    let Some(()) = need::root(test) else { return };
    let Some(emulator) = need::program_if_there(test, "qemu-aarch64-static") else { return };
    let dir = Dir::new();
    demo(&dir).args(["--arch", "aarch64", "-o", "type=tar,dest=arm.tar"]).success();

    files::create_dir(&dir.join("root"));
    let unpacked =
        Command::new("tar").arg("-C").arg(dir.join("root")).arg("-xf").arg(dir.join("arm.tar")).status();
    assert!(unpacked.unwrap().success());
    fs::copy(emulator, dir.join("root/emulator")).unwrap();
    fs::set_permissions(dir.join("root/emulator"), fs::Permissions::from_mode(0o755)).unwrap();
    let said = Command::new("chroot").arg(dir.join("root")).args(["/emulator", "/usr/bin/hello"]).output();

    let said = text_of("the demo under qemu", said.unwrap());
    assert!(said.starts_with(FIRST_WORDS) && said.ends_with(LAST_WORDS), "{said}");
}
