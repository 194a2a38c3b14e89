//! How many things are fetched at a time, over how many connections, and how often.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::{BASE, PROFILE, Scene, sound};
use crate::made::{self, Made};
use crate::refusals::hostile;
use crate::support::server::site::Site;
use crate::support::server::{Server, Setup};

/// How many packages there are.
const PACKAGES: usize = 24;

/// A mirror with many packages, each answer of which takes its time, and a profile that wants them all.
fn many(latency: Duration) -> Scene {
    let dir = super::dir();
    let made: Vec<Made> = (0..PACKAGES)
        .map(|number| made::package(&format!("p{number:02}"), &hostile::noise(1000 + number), made::key()))
        .collect();
    hostile::mirror(&dir, &super::base(), &made.iter().collect::<Vec<_>>());
    let names: Vec<&str> = made.iter().map(|made| made.expected.name.as_str()).collect();
    let wanted = PROFILE.replace("[\"app\", \"other\"]", &format!("{names:?}"));
    let scene = Scene::over(vec![Setup::of(Site::copy_of(&dir.join("mirror"))).latency(latency).start()]);
    scene.dir.write("p.toml", wanted);
    scene
}

/// A build of it, and the most requests at once, with the number of connections.
fn load(arguments: &[&str]) -> (usize, usize) {
    let scene = many(Duration::from_millis(100));
    scene.build().args(arguments).success();
    let log = scene.mirror().log();
    assert_eq!(log.of(".apk").len(), PACKAGES);
    (log.most_at_once(), log.connections())
}

#[test]
fn as_many_downloads_as_allowed_are_under_way_and_no_more() {
    let (at_once, connections) = load(&["--connections", "3"]);
    assert_eq!(at_once, 3);
    assert!(connections <= 6, "{connections} connections");
    // Threads to compute with are another matter.
    let (at_once, connections) = load(&["--jobs", "1"]);
    assert_eq!(at_once, 8);
    assert!(connections <= 12, "{connections} connections");
}

#[test]
fn one_connection_serves_for_many_requests() {
    let (at_once, connections) = load(&["--connections", "1"]);
    assert_eq!(at_once, 1);
    // The next request may come before the client has noticed that the connection is free.
    assert!(connections <= 3, "{connections} connections");
}

/// Which process asked, by the user it said it was, for which path how often.
fn asked(server: &Server) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for logged in server.log().requests() {
        let who = logged.request.header("Authorization").expect("a user").to_owned();
        *counts.entry((who, logged.request.path())).or_default() += 1;
    }
    counts
}

#[test]
fn four_at_once_on_one_empty_store_fetch_each_thing_once_and_agree() {
    // Slow enough that all of them find the store empty.
    let scene = Scene::set_up(|setup| setup.latency(Duration::from_millis(50)));
    let store = scene.dir.cache();
    let others: Vec<Scene> = (0..4).map(|_| Scene::new(0)).collect();

    thread::scope(|scope| {
        for (number, other) in others.iter().enumerate() {
            let url = scene.mirror().url_as(&format!("process-{number}:x@127.0.0.1"));
            let command = other.build_from([url]).arg("--cache-dir").arg(&store);
            scope.spawn(move || other.builds("one of four", command));
        }
    });

    scene.store_is_sound("four at once");
    let asked = asked(scene.mirror());
    let twice: Vec<_> = asked.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let processes = |path: &str| asked.keys().filter(|(_, asked)| asked == path).count();
    assert!((1..=4).contains(&processes(BASE)));
    // A store that four have filled is a store.
    scene.mirror().log().clear();
    scene.builds("afterwards", scene.build());
    assert_eq!(scene.mirror().log().of(".apk").len(), 0);
    assert!(!sound().site.files().is_empty());
}
