//! Who is believed to be the mirror, over TLS.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{BASE, INDEX, PACKAGE, PROFILE, Scene, sound};
use crate::support::command::TestCommand;
use crate::support::files;
use crate::support::server::fault::{Fault, Point, Then, Times};
use crate::support::server::tls::{Authority, Validity};
use crate::support::server::{Server, Setup};

/// A scene with a mirror over TLS, and one without.
struct Secure {
    scene: Scene,
    certificates: PathBuf,
}

impl Secure {
    /// One whose mirror has a certificate of `authority`, which is known.
    fn of(authority: &Authority, names: &[&str], validity: Validity) -> Self {
        let secure = Setup::of(sound().site.clone()).tls(authority.server(names, validity)).start();
        let scene = Scene::over(vec![secure, Server::of(sound().site.clone())]);
        let certificates = scene.dir.home().join("known.pem");
        files::write(&certificates, authority.pem().as_bytes());
        Self { scene, certificates }
    }

    fn sound() -> Self {
        Self::of(&Authority::new("known"), &["127.0.0.1", "localhost"], Validity::Current)
    }

    /// Building over the secure mirror alone.
    fn build(&self) -> TestCommand<'_> {
        self.with_certificates(self.scene.build_from([self.scene.mirror().url()]))
    }

    /// Building over both.
    fn build_over_both(&self) -> TestCommand<'_> {
        self.with_certificates(self.scene.build())
    }

    fn with_certificates<'a>(&self, command: TestCommand<'a>) -> TestCommand<'a> {
        command.env("SSL_CERT_FILE", &self.certificates)
    }
}

#[test]
fn a_mirror_over_tls_gives_what_a_directory_gives() {
    let secure = Secure::sound();
    secure.scene.builds("TLS", secure.build());
    let by_name = secure.scene.build_from([secure.scene.mirror().url_as("localhost")]);
    secure.scene.builds("TLS by name", secure.with_certificates(by_name));
    let log = secure.scene.mirror().log();
    assert_eq!(log.of(PACKAGE).len(), 1);
}

#[test]
fn a_checksum_beside_the_base_suffices_over_tls_alone() {
    let profile = PROFILE.replace("base-trust = \"checksum\"\n", "");
    let secure = Secure::sound();
    secure.scene.dir.write("p.toml", &profile);
    secure.scene.builds("a base over TLS", secure.build());

    let scene = Scene::new(1);
    scene.dir.write("p.toml", &profile);
    let outcome = scene.refused("a base over http", 5, scene.build().arg("--quiet"));
    insta::assert_snapshot!(scene.said(&outcome));

    let digest = apkcompose::digest::Sha256::of(sound().file(BASE));
    let stated = profile.replace("[packages]", &format!("base-sha256 = \"{digest}\"\n\n[packages]"));
    scene.dir.write("p.toml", stated);
    scene.build().success();
}

#[test]
fn a_certificate_that_is_not_to_be_believed_is_refused_at_once() {
    let (known, stranger) = (Authority::new("known"), Authority::new("stranger"));
    let mut unknown = Secure::of(&stranger, &["127.0.0.1"], Validity::Current);
    unknown.certificates = unknown.scene.dir.home().join("other.pem");
    files::write(&unknown.certificates, known.pem().as_bytes());
    let mut said = String::new();
    for (name, secure) in [
        ("unknown", unknown),
        ("of another name", Secure::of(&known, &["localhost"], Validity::Current)),
        ("expired", Secure::of(&known, &["127.0.0.1"], Validity::Expired)),
    ] {
        let begin = Instant::now();
        // Tried that often, it would take an hour.
        let outcome = secure.scene.refused(name, 5, secure.build().args(["--quiet", "--retries", "12"]));
        assert!(begin.elapsed() < Duration::from_secs(20), "{name} was tried again");
        said.extend(["### ", name, "\n", &secure.scene.said(&outcome), "\n"]);

        let outcome = secure.scene.builds(name, secure.build_over_both());
        assert!(secure.scene.said(&outcome).contains("warning: "), "{name}: {outcome}");
    }
    insta::with_settings!({ filters => [(r"\d{9,} ", "[TIME] ")] }, {
        insta::assert_snapshot!(said);
    });
}

#[test]
fn nobody_is_believed_without_a_known_authority() {
    let secure = Secure::sound();
    let command = secure.scene.build_from([secure.scene.mirror().url()]).arg("--quiet");
    let outcome = secure.scene.refused("no authority", 5, command);
    assert!(outcome.stderr_text().contains("certificate"), "{outcome}");

    let command = secure.build().arg("--quiet").env("SSL_CERT_FILE", secure.scene.dir.join("none.pem"));
    let outcome = secure.scene.refused("a file that is not there", 4, command);
    insta::assert_snapshot!(secure.scene.said(&outcome));
}

#[test]
fn what_is_secure_does_not_lead_to_what_is_not() {
    let secure = Secure::sound();
    let [first, plain] = &secure.scene.mirrors[..] else { unreachable!() };
    for path in [PACKAGE, INDEX] {
        first.plan(path, Times::Always, Fault::redirect(302, &format!("{}/{path}", plain.url())));
    }

    let outcome = secure.scene.refused("insecure", 5, secure.build().arg("--quiet"));

    insta::assert_snapshot!(secure.scene.said(&outcome));
    assert_eq!(plain.log().lines(), [""; 0]);
    secure.scene.builds("insecure, and another", secure.build_over_both());
}

#[test]
fn what_breaks_under_tls_is_asked_for_again() {
    for (point, then) in [
        (Point::Head(0), Then::Close),
        (Point::Head(30), Then::Reset),
        (Point::Middle, Then::Close),
        (Point::Middle, Then::Reset),
        (Point::LastByte, Then::Close),
    ] {
        let secure = Secure::sound();
        let what = format!("{point:?} {then:?}");
        secure.scene.mirror().plan(PACKAGE, Times::First(1), Fault::stop(point, then));
        secure.scene.builds(&what, secure.build());
    }
}

#[test]
fn who_speaks_another_language_is_not_understood() {
    let secure = Secure::sound();
    let plain = format!("https://{}", secure.scene.mirrors[1].address());
    let command = secure.with_certificates(secure.scene.build_from([plain]));
    let outcome = secure.scene.refused("no TLS", 4, command.arg("--quiet"));
    insta::assert_snapshot!("https_to_a_plain_server", secure.scene.said(&outcome));

    let tls = format!("http://{}", secure.scene.mirror().address());
    let outcome = secure.scene.refused("TLS", 4, secure.scene.build_from([tls]).arg("--quiet"));
    insta::assert_snapshot!("http_to_a_tls_server", secure.scene.said(&outcome));
}

#[test]
fn who_never_finishes_a_handshake_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let secure = Secure::sound();
    let command = secure.scene.build_from([url, secure.scene.mirror().url()]).args(["--timeout", "1"]);

    secure.scene.builds("a silent handshake", secure.with_certificates(command));
}

#[test]
fn what_is_not_secret_needs_no_authority() {
    let scene = Scene::new(1);
    let command = scene.build().env("SSL_CERT_FILE", scene.dir.join("none.pem"));
    scene.builds("http without authorities", command);
}
