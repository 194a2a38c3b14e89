//! What is not fetched again.

use std::fs;

use apkcompose::digest::Sha256;

use super::{BASE, INDEX, LIST, PACKAGE, SIDECAR, Scene, other_digest, package_of_version, sound};
use crate::made;
use crate::support::files;
use crate::support::server::fault::{Fault, Times};

/// The second build asks whether its documents changed, and for nothing else.
fn only_asks_for_changes(scene: &Scene) {
    scene.builds("the first build", scene.build());
    scene.mirror().log().clear();

    scene.builds("the second build", scene.build());

    let log = scene.mirror().log();
    assert!(log.requests().iter().all(|logged| logged.status == Some(304)), "{:?}", log.lines());
    let asked = [INDEX, LIST, SIDECAR, PACKAGE, BASE].map(|path| log.of(path).len());
    assert_eq!(asked, [1, 1, 1, 0, 0], "{:?}", log.lines());
}

#[test]
fn what_did_not_change_is_not_sent_again() {
    only_asks_for_changes(&Scene::new(1));
}

#[test]
fn what_has_a_time_and_no_tag_is_asked_for_by_its_time() {
    let scene = Scene::new(1);
    scene.mirror().plan("", Times::Always, Fault::answer(|_, answer| answer.without("ETag")));
    only_asks_for_changes(&scene);
}

#[test]
fn what_has_neither_is_sent_again() {
    let scene = Scene::new(1);
    let without = |_: &_, answer: crate::support::server::answer::Answer| {
        answer.without("ETag").without("Last-Modified")
    };
    scene.mirror().plan("", Times::Always, Fault::answer(without));
    scene.builds("the first build", scene.build());
    scene.mirror().log().clear();

    scene.builds("the second build", scene.build());

    let log = scene.mirror().log();
    assert_eq!((log.of(PACKAGE).len(), log.of(BASE).len()), (0, 0), "{:?}", log.lines());
    assert_eq!(log.of(INDEX)[0].status, Some(200));
}

#[test]
fn what_changed_is_taken() {
    let mut scene = Scene::new(1);
    scene.builds("the first build", scene.build());
    let app = package_of_version("app", "1-r1", b"new");
    let other = made::of_bytes(sound().file("v3.19/main/x86_64/other-1-r0.apk").to_vec());
    let index = made::index("v3.19.9-2-gabcdef", &[&app, &other], made::key());
    for (path, bytes) in [(INDEX, &index), ("v3.19/main/x86_64/app-1-r1.apk", &app.bytes)] {
        scene.keepable.insert(Sha256::of(bytes));
        scene.mirror().put(path, bytes.as_slice());
    }
    scene.mirror().log().clear();

    let report = scene.build().args(["--format", "json"]).success().stdout_json();

    let steps: Vec<String> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| format!("{} {}", step["name"].as_str().unwrap(), step["new"].as_str().unwrap()))
        .collect();
    assert!(steps.contains(&"app 1-r1".to_owned()), "{steps:?}");
    let log = scene.mirror().log();
    assert_eq!(log.of(INDEX).iter().map(|logged| logged.status).collect::<Vec<_>>(), [Some(200)]);
    assert_eq!((log.of("app-1-r1.apk").len(), log.of("other-1-r0.apk").len()), (1, 0));
    scene.store_is_sound("what changed");
}

#[test]
fn what_was_damaged_in_the_store_is_fetched_again() {
    let scene = Scene::new(1);
    scene.builds("the first build", scene.build());
    let kept =
        |path: &str| scene.dir.cache().join("blobs/sha256").join(Sha256::of(sound().file(path)).to_hex());
    for path in [INDEX, LIST, PACKAGE, BASE] {
        scene.mirror().log().clear();
        assert!(kept(path).is_file(), "{path} is not in the store");
        let _ = fs::remove_dir_all(scene.dir.cache().join("expanded"));
        files::write(&kept(path), b"something else");

        scene.builds(&format!("a store with a damaged {path}"), scene.build());

        let statuses: Vec<_> = scene.mirror().log().of(path).iter().map(|logged| logged.status).collect();
        assert_eq!(statuses, [Some(200)], "{path}");
    }
}

/// A server that says rightly of which state a file is, and whose answer was damaged on the way: what is kept must
/// not be taken for that state, or it would never be fetched again.
#[test]
fn what_was_damaged_on_the_way_is_not_taken_for_what_the_server_has() {
    for path in [LIST, SIDECAR] {
        let scene = Scene::new(1);
        let damage = Fault::answer(|_, answer| answer.with_body(|body| *body = other_digest(body)));
        // What does not fit together is read twice.
        scene.mirror().plan(path, Times::First(2), damage);
        scene.refused(path, 5, scene.build());

        scene.builds(&format!("the build after a damaged {path}"), scene.build());
    }
}
