//! A mirror that changes while it is read: an index and packages that do not belong together.

use apkcompose::digest::Sha256;

use super::{INDEX, OUTPUT, PACKAGE, Scene, base, package_of_version, sound};
use crate::made;
use crate::refusals::hostile;
use crate::support::server::Server;
use crate::support::server::answer::Answer;
use crate::support::server::fault::{Fault, Times};
use crate::support::server::site::Site;

/// The package of the mirror when it has moved on.
const NEW_PACKAGE: &str = "v3.19/main/x86_64/app-2-r0.apk";

/// The mirror when `app` has a new version, which is alone there, and what is built of it.
struct Moved {
    site: Site,
    image: Sha256,
}

impl Moved {
    fn new() -> Self {
        let dir = super::dir();
        let app = package_of_version("app", "2-r0", b"new");
        let other = made::of_bytes(sound().file("v3.19/main/x86_64/other-1-r0.apk").to_vec());
        hostile::mirror(&dir, &base(), &[&app, &other]);
        dir.command().args(["--profile", "p.toml", "--quiet", "-o", OUTPUT, "--mirror", "mirror"]).success();
        Self { site: Site::copy_of(&dir.join("mirror")), image: Sha256::of(&dir.read(OUTPUT)) }
    }

    /// A scene with this mirror, in whose store the old one may have left things.
    fn scene(&self) -> Scene {
        let mut scene = Scene::over(vec![Server::of(self.site.clone())]);
        scene.keepable.extend(self.site.files().values().map(|bytes| Sha256::of(bytes)));
        scene.image = self.image;
        scene
    }
}

fn old_index() -> Fault {
    Fault::instead(Answer::new(200, sound().file(INDEX)).with("ETag", "\"old\""))
}

#[test]
fn a_mirror_that_moved_on_is_read_again() {
    let scene = Moved::new().scene();
    scene.mirror().plan(INDEX, Times::Only(1), old_index());

    scene.builds("a mirror that moved on", scene.build());

    let log = scene.mirror().log();
    let controls: Vec<_> = log
        .of(INDEX)
        .iter()
        .map(|logged| logged.request.header("Cache-Control").map(str::to_owned))
        .collect();
    assert_eq!(controls, [None, Some("no-cache".to_owned())]);
    assert_eq!(log.of(PACKAGE).iter().map(|logged| logged.status).collect::<Vec<_>>(), [Some(404)]);
    assert_eq!(log.of(NEW_PACKAGE).len(), 1);
}

#[test]
fn an_index_that_a_cache_holds_back_is_asked_for_past_it() {
    let moved = Moved::new();
    let scene = moved.scene();
    scene.mirror().plan(INDEX, Times::First(1), old_index());
    scene.build().arg("--dry-run").success();
    // A cache on the way: it says that nothing changed to whoever does not insist.
    scene.mirror().plan(
        INDEX,
        Times::Always,
        Fault::answer(|request, answer| {
            let insists = request.header("Cache-Control").is_some_and(|control| control.contains("no-cache"));
            let is_conditional = request.header("If-None-Match").is_some();
            if is_conditional && !insists { Answer::new(304, "").without("Content-Length") } else { answer }
        }),
    );

    scene.builds("a cache that holds an index back", scene.build());

    let statuses: Vec<_> = scene.mirror().log().of(INDEX).iter().map(|logged| logged.status).collect();
    assert_eq!(statuses, [Some(200), Some(304), Some(200)]);
}

#[test]
fn a_mirror_that_never_fits_together_is_read_twice_and_no_more() {
    let scene = Moved::new().scene();
    scene.mirror().plan(INDEX, Times::Always, old_index());

    let outcome = scene.refused("a mirror that does not fit together", 4, scene.build().arg("--quiet"));

    insta::assert_snapshot!(scene.said(&outcome));
    assert_eq!(scene.mirror().log().of(INDEX).len(), 2);
    assert_eq!(scene.mirror().log().of(PACKAGE).len(), 2);
    // What it did have of the packages it was asked for once.
    assert_eq!(scene.mirror().log().of("other-1-r0.apk").len(), 1);
}

#[test]
fn what_two_mirrors_lack_is_said_of_both() {
    let moved = Moved::new();
    let mut scene = moved.scene();
    scene.mirrors.push(Server::of(sound().site.clone()));
    scene.mirror().plan(NEW_PACKAGE, Times::Always, Fault::status(404));

    let outcome = scene.refused("two mirrors", 4, scene.build().arg("--quiet"));

    insta::assert_snapshot!(scene.said(&outcome));
}

/// The index of the second fits what the second has, but is not asked for: the first has one.
#[test]
fn a_mirror_that_lags_behind_gives_what_it_has() {
    let moved = Moved::new();
    let mut scene = moved.scene();
    let lagging = Server::of(sound().site.clone());
    scene.mirrors.push(lagging);
    scene.mirror().plan("other-1-r0.apk", Times::Always, Fault::status(404));

    scene.builds("a mirror that lags behind", scene.build());

    assert_eq!(scene.mirrors[1].log().of("other-1-r0.apk").len(), 1);
    assert_eq!(scene.mirrors[1].log().of(INDEX).len(), 0);
}
