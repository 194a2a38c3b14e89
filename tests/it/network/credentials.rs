//! Who is told who asks, and who is not: neither other hosts, nor the reader of a message, nor the store, nor the
//! image.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BASE, INDEX, LIST, PACKAGE, Scene, sound};
use crate::support::command::{Outcome, TestCommand};
use crate::support::files;
use crate::support::server::answer::Answer;
use crate::support::server::fault::{Fault, Times};
use crate::support::server::{Server, Setup};

const USER: &str = "somebody";
const SECRET: &str = "ope@n-sesame";
/// The same in a URL.
const WRITTEN: &str = "ope%40n-sesame";

/// What `Authorization` is.
fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{SECRET}")))
}

/// Lets nobody in who does not say that.
fn guard(server: &Server) {
    server.plan(
        "",
        Times::Always,
        Fault::answer(|request, answer| {
            let is_known = request.header("Authorization") == Some(&basic());
            if is_known {
                answer
            } else {
                Answer::page(401).with("WWW-Authenticate", "Basic realm=\"mirror\"")
            }
        }),
    );
}

fn authorized(server: &Server) -> Vec<bool> {
    server.log().requests().iter().map(|logged| logged.request.header("Authorization").is_some()).collect()
}

/// The URL of `server` with the credentials in it.
fn url(server: &Server) -> String {
    server.url_as(&format!("{USER}:{WRITTEN}@{}", server.address().ip()))
}

/// A scene whose second mirror has another address, and each its content.
fn of_two_hosts() -> Scene {
    let other = Setup::of(sound().site.clone()).at(Ipv4Addr::new(127, 0, 0, 2).into()).start();
    Scene::over(vec![Server::of(sound().site.clone()), other])
}

/// Nowhere below `directory`, nor in what was printed, is the secret, however it is written.
fn is_kept(scene: &Scene, outcome: &Outcome) {
    let encoded = basic().split_off("Basic ".len());
    let forms = [SECRET, WRITTEN, &encoded];
    let has = |bytes: &[u8]| {
        forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()))
    };
    assert!(!has(outcome.to_string().split_once('\n').unwrap().1.as_bytes()), "{outcome}");
    let mut left = vec![scene.dir.cache(), scene.dir.path()];
    while let Some(place) = left.pop() {
        if place.is_dir() {
            left.extend(files::names(&place).iter().map(|name| place.join(name)));
        } else {
            assert!(!has(&files::read(&place)), "{}", place.display());
        }
        assert!(!has(place.to_string_lossy().as_bytes()), "{}", place.display());
    }
}

fn loudly<'a>(scene: &'a Scene, urls: &[String]) -> TestCommand<'a> {
    scene.build_from(urls.iter().cloned()).args(["--verbose", "--format", "json"])
}

#[test]
fn credentials_of_a_url_are_for_its_server_alone() {
    let scene = of_two_hosts();
    let [first, other] = &scene.mirrors[..] else { unreachable!() };
    guard(first);
    // To another port, to another address, and to another place of its own.
    let third = Server::of(sound().site.clone());
    first.mend();
    first.plan(BASE, Times::First(1), Fault::redirect(302, &format!("{}/{BASE}", third.url())));
    first.plan(PACKAGE, Times::First(1), Fault::redirect(302, &format!("{}/{PACKAGE}", other.url())));
    first.plan(INDEX, Times::First(1), Fault::redirect(302, &format!("/{INDEX}?again")));
    guard(first);

    let outcome = scene.builds("credentials", loudly(&scene, &[url(first)]));

    assert!(authorized(first).iter().all(|is| *is), "{:?}", first.log().lines());
    assert_eq!((authorized(other), authorized(&third)), (vec![false], vec![false]));
    is_kept(&scene, &outcome);
}

#[test]
fn credentials_are_never_shown_whatever_goes_wrong() {
    let page = |status| Fault::instead(Answer::page(status));
    for (name, path, fault) in [
        ("absent", PACKAGE, page(404)),
        ("forbidden", INDEX, page(403)),
        ("failing", PACKAGE, page(500)),
        ("unauthorized", INDEX, page(401)),
        ("malformed list", LIST, Fault::instead(Answer::new(200, "<html>"))),
        ("damaged package", PACKAGE, Fault::body(|body| body[300] ^= 1)),
        (
            "redirected to nobody",
            PACKAGE,
            Fault::redirect(302, &format!("http://{USER}:{WRITTEN}@127.0.0.1:1/x")),
        ),
        (
            "redirected to nothing",
            INDEX,
            Fault::redirect(302, &format!("ftp://{USER}:{WRITTEN}@127.0.0.1/x")),
        ),
        ("in a circle", INDEX, Fault::redirect(302, "APKINDEX.tar.gz")),
        ("no answer", BASE, Fault::raw("")),
    ] {
        let scene = Scene::new(2);
        scene.mirror().plan(path, Times::Always, fault);
        let alone = loudly(&scene, &[url(scene.mirror())]).run();
        assert!(matches!(alone.code(), Some(4 | 5)), "{name}: {alone}");
        is_kept(&scene, &alone);
        // And where it is only a warning.
        let other = loudly(&scene, &[url(scene.mirror()), url(&scene.mirrors[1])]).success();
        assert!(other.stderr_text().contains("warning: "), "{name}: {other}");
        is_kept(&scene, &other);
    }
}

/// Writes a netrc for `machine` at `path`.
fn netrc(path: &Path, machine: &str) {
    files::write(path, format!("machine {machine}\n  login {USER}\n  password {SECRET}\n").as_bytes());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn credentials_of_a_netrc_are_for_its_host_alone() {
    let scene = of_two_hosts();
    let [first, other] = &scene.mirrors[..] else { unreachable!() };
    guard(first);
    other.plan(BASE, Times::Always, Fault::redirect(302, &format!("{}/{BASE}", first.url())));
    let home = scene.dir.home().join(".netrc");
    netrc(&home, "127.0.0.1");

    // The other is not mentioned, and leads to the one that is.
    let outcome = scene.builds("a netrc in the home directory", loudly(&scene, &[other.url()]));
    is_kept(&scene, &outcome);
    assert!(authorized(other).iter().all(|is| !is), "{:?}", other.log().lines());
    assert_eq!(authorized(first), [true]);

    fs::rename(&home, scene.dir.home().join("elsewhere")).unwrap();
    fs::remove_dir_all(scene.dir.cache().join("blobs")).unwrap();
    let command = loudly(&scene, &[first.url()]).env("NETRC", scene.dir.home().join("elsewhere"));
    let outcome = scene.builds("a netrc somewhere else", command);
    is_kept(&scene, &outcome);
}

#[test]
fn credentials_of_a_url_come_before_those_of_a_netrc() {
    let scene = Scene::new(1);
    guard(scene.mirror());
    let path = scene.dir.home().join(".netrc");
    files::write(&path, b"machine 127.0.0.1 login nobody password wrong\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

    scene.builds("a URL before a netrc", scene.build_from([url(scene.mirror())]));
}

#[test]
fn who_is_not_let_in_is_told_so() {
    let scene = Scene::new(1);
    guard(scene.mirror());

    let outcome = scene.refused("nobody", 4, scene.build().arg("--quiet"));

    insta::assert_snapshot!(scene.said(&outcome));
}
