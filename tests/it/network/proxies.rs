//! Ways through proxies, as the usual variables of the environment say.

use std::net::Ipv4Addr;

use super::{PACKAGE, Scene, sound};
use crate::support::server::fault::{Fault, Times};
use crate::support::server::tls::{Authority, Validity};
use crate::support::server::{Server, Setup};

/// A port that nobody has: connecting is refused.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn a_mirror_is_reached_through_a_proxy() {
    let scene = Scene::new(1);
    let proxy = scene.mirror();

    let command = scene.build_from(["http://mirror.invalid".to_owned()]).env("http_proxy", proxy.url());
    scene.builds("a mirror behind a proxy", command);

    for logged in proxy.log().requests() {
        assert!(logged.request.target.starts_with("http://mirror.invalid/"), "{:?}", logged.request);
    }
}

#[test]
fn what_needs_no_proxy_is_reached_without_one() {
    let scene = Scene::new(1);
    let through_nobody = || scene.build().env("http_proxy", NOBODY);

    scene.builds("no proxy", through_nobody().env("no_proxy", "localhost,127.0.0.1"));

    let again = Scene::new(1);
    let command = again.build().arg("--quiet").env("http_proxy", NOBODY);
    let outcome = again.refused("a proxy that is not there", 4, command);
    insta::assert_snapshot!(again.said(&outcome));
    assert_eq!(again.mirror().log().lines(), [""; 0]);
}

#[test]
fn a_mirror_over_tls_is_reached_through_a_tunnel() {
    let authority = Authority::new("known");
    let scene = Scene::set_up(|setup| setup.tls(authority.server(&["127.0.0.1"], Validity::Current)));
    let certificates = scene.dir.home().join("known.pem");
    crate::support::files::write(&certificates, authority.pem().as_bytes());
    let proxy = Server::of(sound().site.clone());
    // Who may use the proxy is the proxy's business alone.
    let with_secret = proxy.url_as("somebody:sesame@127.0.0.1");

    let command = scene.build().env("https_proxy", &with_secret).env("SSL_CERT_FILE", &certificates);
    let outcome = scene.builds("a tunnel", command.arg("--verbose"));

    assert!(!outcome.to_string().contains("sesame"), "{outcome}");
    for logged in proxy.log().requests() {
        assert_eq!((logged.request.method.as_str(), logged.status), ("CONNECT", Some(200)));
        assert_eq!(logged.request.header("Proxy-Authorization"), Some("Basic c29tZWJvZHk6c2VzYW1l"));
    }
    assert!(!proxy.log().requests().is_empty());
    for logged in scene.mirror().log().requests() {
        assert_eq!(logged.request.header("Proxy-Authorization"), None);
        assert_eq!(logged.request.header("Authorization"), None);
    }
}

#[test]
fn a_proxy_is_told_its_password_and_nobody_else_is() {
    let scene = Scene::over(vec![Setup::of(sound().site.clone()).start()]);
    let proxy = scene.mirror().url_as("somebody:sesame@127.0.0.1");
    let urls = ["http://mirror.invalid".to_owned()];

    let outcome = scene.builds("a proxy", scene.build_from(urls.clone()).env("http_proxy", &proxy));

    assert!(!outcome.to_string().contains("sesame"), "{outcome}");
    for logged in scene.mirror().log().requests() {
        assert_eq!(logged.request.header("Proxy-Authorization"), Some("Basic c29tZWJvZHk6c2VzYW1l"));
    }
    let nobody = "http://somebody:sesame@127.0.0.1:1";
    let scene = Scene::new(0);
    let outcome = scene.refused("no proxy", 4, scene.build_from(urls).env("http_proxy", nobody));
    assert!(!outcome.to_string().contains("sesame"), "{outcome}");
}

#[test]
fn the_password_of_a_proxy_does_not_go_where_a_redirection_leads_past_it() {
    let scene = Scene::over(vec![Server::of(sound().site.clone())]);
    let proxy = scene.mirror();
    let direct = Setup::of(sound().site.clone()).at(Ipv4Addr::new(127, 0, 0, 2).into()).start();
    proxy.plan(PACKAGE, Times::Always, Fault::redirect(302, &format!("{}/{PACKAGE}", direct.url())));

    let command = scene
        .build_from(["http://mirror.invalid".to_owned()])
        .env("http_proxy", proxy.url_as("somebody:sesame@127.0.0.1"))
        .env("no_proxy", "127.0.0.2");
    scene.builds("past a proxy", command);

    let [logged] = &direct.log().requests()[..] else { panic!("{:?}", direct.log().lines()) };
    assert_eq!(logged.request.header("Proxy-Authorization"), None);
    assert_eq!(logged.request.header("Authorization"), None);
}
