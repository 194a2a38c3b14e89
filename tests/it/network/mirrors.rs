//! Several mirrors, in their order, and the forms in which one may be given.

use std::fs;
use std::time::{Duration, Instant};

use super::{BASE, INDEX, PACKAGE, PROFILE, SIDECAR, Scene, dir, sound};
use crate::support::need;
use crate::support::server::Server;
use crate::support::server::fault::{Fault, Point, Then, Times};
use crate::support::server::site::Site;

/// A port that nobody has: connecting is refused.
const NOBODY: &str = "http://127.0.0.1:1";

/// What `text` warns of that was taken from another mirror, each with the lines that belong to it, and sorted: things
/// are fetched side by side.
fn warnings(text: &str) -> String {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        match found.last_mut() {
            Some(last) if line.starts_with("  ") => last.extend(["\n", line]),
            _ => found.push(line.to_owned()),
        }
    }
    found.retain(|warning| warning.starts_with("warning: ") && warning.contains("\n  taken from "));
    found.sort();
    found.join("\n")
}

#[test]
fn what_is_taken_from_another_mirror_is_said_with_the_reason() {
    let scene = Scene::new(2);
    scene.mirror().plan(INDEX, Times::Always, Fault::stop(Point::Middle, Then::Close));
    scene.mirror().plan(PACKAGE, Times::Always, Fault::body(|body| body.truncate(1000)));
    scene.mirror().plan(SIDECAR, Times::Always, Fault::status(500));

    let outcome = scene.builds("two mirrors", scene.build());

    insta::assert_snapshot!(warnings(&scene.said(&outcome)));
}

#[test]
fn of_several_failures_the_first_is_told() {
    let scene = Scene::new(3);
    scene.mirrors[0].plan(INDEX, Times::Always, Fault::status(403));
    scene.mirrors[1].plan(INDEX, Times::Always, Fault::body(|body| body.truncate(10)));
    scene.mirrors[2].plan(INDEX, Times::Always, Fault::status(404));

    let outcome = scene.refused("three mirrors", 4, scene.build().arg("--quiet"));

    let said = scene.said(&outcome);
    assert!(
        said.starts_with(&format!("error: http://first.mirror/{INDEX}: the server answered 403")),
        "{said}"
    );
    assert!(scene.mirrors.iter().all(|mirror| !mirror.log().of(INDEX).is_empty()));
}

#[test]
fn a_mirror_that_is_not_there_is_passed_over_and_named_when_it_is_the_only_one() {
    let scene = Scene::new(1);
    let nobody = || NOBODY.to_owned();

    let outcome = scene.refused("nobody", 4, scene.build_from([nobody()]).arg("--quiet"));
    insta::assert_snapshot!(scene.said(&outcome));

    let outcome = scene.builds("nobody and a mirror", scene.build_from([nobody(), scene.mirror().url()]));
    assert_eq!(outcome.stderr_text().matches("warning: http://127.0.0.1:1/").count(), 1, "{outcome}");
}

/// Otherwise each file would cost all the patience there is.
#[test]
fn a_mirror_that_does_not_answer_is_given_up_for_good() {
    let scene = Scene::new(2);
    scene.mirror().plan("", Times::Always, Fault::stop(Point::Head(0), Then::Stall));
    let begin = Instant::now();

    scene.builds("a silent mirror", scene.build().args(["--timeout", "1", "--retries", "2"]));

    let asked = scene.mirror().log().requests().len();
    // The list of releases and the index, at the same time.
    assert!(asked <= 6, "{:?}", scene.mirror().log().lines());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn a_mirror_and_a_directory_help_each_other_out() {
    let scene = Scene::new(1);
    let directory = scene.directory();
    fs::remove_file(scene.dir.home().join("mirror").join(PACKAGE)).unwrap();
    scene.mirror().plan(BASE, Times::Always, Fault::status(404));

    scene.builds("a directory first", scene.build_from([directory.clone(), scene.mirror().url()]));
    assert_eq!(scene.mirror().log().lines(), [format!("GET {PACKAGE} 200")]);

    fs::remove_dir_all(scene.dir.cache().join("blobs")).unwrap();
    scene.builds("a directory second", scene.build_from([scene.mirror().url(), directory]));
}

#[test]
fn a_mirror_may_lie_anywhere_on_its_server() {
    let below = sound().site.files().iter().fold(Site::default(), |site, (path, bytes)| {
        site.file(&format!("pub/alpine linux/{path}"), bytes.as_slice())
    });
    let scene = Scene::over(vec![Server::of(below)]);
    for form in ["pub/alpine%20linux", "pub/alpine%20linux/"] {
        let url = format!("{}/{form}", scene.mirror().url());
        scene.builds(form, scene.build_from([url]));
    }
}

#[test]
fn a_repository_is_given_by_its_url() {
    let scene = Scene::new(1);
    let url = format!("{}/v3.19/main", scene.mirror().url());
    scene.dir.write(
        "p.toml",
        format!(
            "[alpine]\narch = [\"x86_64\"]\nbase = \"scratch\"\n\
             repositories = [{{ url = \"{url}\", keys = [\"test.rsa.pub\"] }}]\n\
             [packages]\nruntime = [\"app\"]\n"
        ),
    );

    let report = scene.build_from([]).args(["--format", "json"]).success().stdout_json();

    assert_eq!((&report["packages"], &report["base"]), (&1.into(), &serde_json::Value::Null));
    let asked: Vec<String> = scene.mirror().log().lines();
    assert_eq!(asked, [format!("GET {INDEX} 200"), format!("GET {PACKAGE} 200")]);
}

#[test]
fn the_latest_release_is_found_without_links() {
    let latest = sound().site.files().iter().fold(sound().site.clone(), |site, (path, bytes)| {
        match path.strip_prefix("v3.19/releases/") {
            Some(rest) => site.file(&format!("latest-stable/releases/{rest}"), bytes.as_slice()),
            None => site,
        }
    });
    the_latest_release_is_built_from(&latest);
}

#[test]
fn the_latest_release_is_that_of_a_file_in_place_of_the_link() {
    the_latest_release_is_built_from(&sound().site.clone().file("latest-stable", b"v3.19\n".as_slice()));

    // A page about a directory is no such file.
    let page = sound().site.clone().file("latest-stable", b"<html>v3.19</html>".as_slice());
    let scene = Scene::over(vec![Server::of(page)]);
    scene.dir.write("p.toml", PROFILE.replace("release = \"3.19\"", "release = \"latest-stable\""));
    let refused = scene.build().fails_with(4).stderr_text();
    assert!(refused.contains("there is no release latest-stable"), "{refused}");
}

/// Builds the latest release from `latest` as a directory and over HTTP: the same image.
fn the_latest_release_is_built_from(latest: &Site) {
    let scene = Scene::over(vec![Server::of(latest.clone())]);
    let profile = PROFILE.replace("release = \"3.19\"", "release = \"latest-stable\"");
    scene.dir.write("p.toml", &profile);
    let directory = dir();
    directory.write("p.toml", &profile);
    for (path, bytes) in latest.files() {
        directory.write(&format!("mirror/{path}"), bytes);
    }
    let command = directory.command().args(["--profile", "p.toml", "--mirror", "mirror", "-o", "out.tar"]);
    command.success();
    let expected = directory.read("out.tar");

    scene.build().success();

    assert!(scene.dir.read("out.tar") == expected, "latest-stable gives something else over http");
}

#[test]
fn a_mirror_whose_name_nobody_knows_is_passed_over() {
    let test = "a_mirror_whose_name_nobody_knows_is_passed_over";
    let Some(()) = need::network_namespace(test) else { return };
    let scene = Scene::new(0);
    let unknown = || "http://mirror.invalid".to_owned();
    let without_network = ["unshare", "--net"];

    let command = scene.build_from([unknown()]).arg("--quiet").under(without_network);
    let outcome = scene.refused("an unknown name", 4, command);
    assert!(outcome.stderr_text().starts_with("error: http://mirror.invalid/"), "{outcome}");
    assert!(outcome.stderr_text().contains(" cannot be reached: "), "{outcome}");

    let both = scene.build_from([unknown(), scene.directory()]).under(without_network);
    scene.builds("an unknown name and a directory", both);
}
