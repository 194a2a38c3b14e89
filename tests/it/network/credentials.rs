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
use crate::support::server::tls::{Authority, Validity};
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
fn credentials_of_a_netrc_are_for_the_server_that_is_named() {
    let scene = Scene::new(1);
    guard(scene.mirror());
    let home = scene.dir.home().join(".netrc");
    netrc(&home, "127.0.0.1");

    let outcome = scene.builds("a netrc in the home directory", loudly(&scene, &[scene.mirror().url()]));
    is_kept(&scene, &outcome);
    assert!(authorized(scene.mirror()).iter().all(|is| *is), "{:?}", scene.mirror().log().lines());

    fs::rename(&home, scene.dir.home().join("elsewhere")).unwrap();
    fs::remove_dir_all(scene.dir.cache().join("blobs")).unwrap();
    let command = loudly(&scene, &[scene.mirror().url()]).env("NETRC", scene.dir.home().join("elsewhere"));
    let outcome = scene.builds("a netrc somewhere else", command);
    is_kept(&scene, &outcome);
}

#[test]
fn credentials_of_a_netrc_are_sent_over_tls_to_the_port_that_is_named() {
    let authority = Authority::new("known");
    let scene = Scene::set_up(|setup| setup.tls(authority.server(&["127.0.0.1"], Validity::Current)));
    let certificates = scene.dir.home().join("known.pem");
    files::write(&certificates, authority.pem().as_bytes());
    guard(scene.mirror());
    netrc(&scene.dir.home().join(".netrc"), "127.0.0.1");

    let command = loudly(&scene, &[scene.mirror().url()]).env("SSL_CERT_FILE", &certificates);
    let outcome = scene.builds("a netrc over TLS", command);

    is_kept(&scene, &outcome);
}

/// The first redirects to the second, which is another server; a netrc names the host of one of them, or both. The second
/// is told nothing.
#[test]
fn credentials_of_a_netrc_do_not_go_where_a_redirection_leads() {
    for (what, entry) in [
        ("another host, which is mentioned", "machine 127.0.0.2 login somebody password x"),
        ("another host, by default", "default login somebody password x"),
        ("both hosts", "machine 127.0.0.1 login a password x machine 127.0.0.2 login b password x"),
    ] {
        let scene = of_two_hosts();
        let [first, other] = &scene.mirrors[..] else { unreachable!() };
        first.plan(BASE, Times::Always, Fault::redirect(302, &format!("{}/{BASE}", other.url())));
        files::write(&scene.dir.home().join(".netrc"), entry.as_bytes());

        scene.builds(what, loudly(&scene, &[first.url()]));

        assert_eq!(authorized(other), [false], "{what}");
    }
    // The same host at another port.
    let scene = Scene::new(2);
    let [first, other] = &scene.mirrors[..] else { unreachable!() };
    first.plan(PACKAGE, Times::Always, Fault::redirect(307, &format!("{}/{PACKAGE}", other.url())));
    netrc(&scene.dir.home().join(".netrc"), "127.0.0.1");
    scene.builds("another port", loudly(&scene, &[first.url()]));
    assert_eq!(authorized(other), [false]);
    assert!(authorized(first).iter().all(|is| *is));
}

#[test]
fn nothing_is_sent_in_the_clear_to_where_another_server_leads_back() {
    for by_url in [true, false] {
        let scene = of_two_hosts();
        let [first, other] = &scene.mirrors[..] else { unreachable!() };
        let back = format!("{}/{PACKAGE}?back", first.url());
        first.plan(PACKAGE, Times::First(1), Fault::redirect(302, &format!("{}/{PACKAGE}", other.url())));
        other.plan(PACKAGE, Times::Always, Fault::redirect(302, &back));
        let named = if by_url {
            url(first)
        } else {
            netrc(&scene.dir.home().join(".netrc"), "127.0.0.1");
            first.url()
        };

        scene.builds("there and back", loudly(&scene, &[named]));

        let is_back = |target: &str| target.ends_with("?back");
        for logged in first.log().requests() {
            let is_authorized = logged.request.header("Authorization").is_some();
            assert_eq!(is_authorized, !is_back(&logged.request.target), "{:?}", logged.request);
        }
        assert!(first.log().requests().iter().any(|logged| is_back(&logged.request.target)));
        assert_eq!(authorized(other), [false]);
    }
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
