//! What needs no network: everything that was fetched before.

use super::Scene;
use crate::support::{files, need};

#[test]
fn what_was_fetched_before_is_built_again_without_a_network() {
    let scene = Scene::new(1);
    scene.builds("online", scene.build());
    scene.mirror().log().clear();

    scene.builds("offline", scene.build().arg("--offline"));
    scene.builds("offline by the environment", scene.build().env("APKCOMPOSE_OFFLINE", "1"));

    assert_eq!(scene.mirror().log().lines(), [""; 0]);
}

#[test]
fn offline_no_socket_is_opened() {
    let test = "offline_no_socket_is_opened";
    let Some(strace) = need::program(test, "strace") else { return };
    let scene = Scene::new(1);
    scene.builds("online", scene.build());
    let calls = scene.dir.home().join("calls");
    let strace = strace.to_string_lossy().into_owned();
    let under = [strace.as_str(), "-f", "-qq", "-e", "trace=socket,connect,socketpair", "-o"];
    let under: Vec<String> =
        under.iter().map(|&word| word.to_owned()).chain([calls.to_string_lossy().into_owned()]).collect();
    let sockets = || {
        let text = files::read_text(&calls);
        text.lines().filter(|line| line.contains("AF_INET")).map(str::to_owned).collect::<Vec<_>>()
    };

    scene.builds("online, traced", scene.build().under(&under));
    assert!(!sockets().is_empty(), "strace sees nothing");
    scene.builds("offline, traced", scene.build().arg("--offline").under(&under));
    assert_eq!(sockets(), [""; 0]);
    // Nor is a name looked up.
    let named = scene.build_from(["http://mirror.invalid".to_owned()]).arg("--offline").arg("--quiet");
    scene.refused("offline, by name", 4, named.under(&under));
    assert_eq!(sockets(), [""; 0]);
}

#[test]
fn offline_everything_that_is_missing_is_named_at_once() {
    let scene = Scene::new(1);

    let outcome = scene.refused("an empty store", 4, scene.build().args(["--offline", "--quiet"]));
    insta::assert_snapshot!("offline_with_an_empty_store", scene.said(&outcome));

    // Now the indexes are known, and so are the packages.
    scene.build().arg("--dry-run").success();
    scene.mirror().log().clear();
    let outcome = scene.refused("a store with indexes", 4, scene.build().args(["--offline", "--quiet"]));
    insta::assert_snapshot!("offline_with_indexes", scene.said(&outcome));
    let text = scene.said(&outcome);
    assert!(text.contains("app-1-r0") && text.contains("other-1-r0"), "{text}");
    assert_eq!(scene.mirror().log().lines(), [""; 0]);
}

#[test]
fn offline_a_directory_is_read_as_ever() {
    let scene = Scene::new(0);
    let mirror = scene.dir.home().join("mirror");
    for (path, bytes) in super::sound().site.files() {
        files::write(&mirror.join(path), bytes);
    }

    let command = scene.build_from([mirror.to_string_lossy().into_owned()]);
    scene.builds("a directory", command.arg("--offline"));
}
