//! What is served under the name of something else, or changed on the way.

use super::super::{BASE, INDEX, LIST, PACKAGE, SIDECAR, other_digest, package_of_version, sound};
use super::{Case, case, check};
use crate::made::{self, flipped, other_key};
use crate::refusals::hostile::{self, noise};
use crate::support::server::answer::Answer;
use crate::support::server::fault::{Fault, Point, Then};

/// What a hotel shows to those who have not paid.
const PORTAL: &str = "<!DOCTYPE html>\n<html><title>Welcome</title><body>Please log in</body></html>\n";

fn portal(name: &'static str, file: &'static str) -> Case {
    serves(name, file, || PORTAL.into())
}

/// `bytes`, in good order, in place of `file`.
fn serves(
    name: &'static str,
    file: &'static str,
    bytes: impl Fn() -> Vec<u8> + Send + Sync + 'static,
) -> Case {
    case(name, file, move || Fault::instead(Answer::new(200, bytes())))
}

fn changed(name: &'static str, file: &'static str, change: fn(&[u8]) -> Vec<u8>) -> Case {
    case(name, file, move || Fault::body(move |body| *body = change(body)))
}

/// Changed behind the server's back: what it says of the file is right.
fn damaged(name: &'static str, file: &'static str, change: fn(&[u8]) -> Vec<u8>) -> Case {
    case(name, file, move || Fault::answer(move |_, answer| answer.with_body(|body| *body = change(body))))
}

/// A body without end, which a header may have said.
fn endless(name: &'static str, file: &'static str, length: Option<&'static str>) -> Case {
    case(name, file, move || {
        let answer = Answer::new(200, noise(1000)).without("Content-Length");
        let answer = length.iter().fold(answer, |answer, length| answer.with("Content-Length", *length));
        Fault::instead(answer).and_stop(Point::Body(usize::MAX), Then::Repeat(noise(64 * 1024)))
    })
}

#[test]
fn something_else_under_the_name_is_refused() {
    check(
        "faults-something-else",
        vec![
            portal("index that is a page", INDEX).elsewhere().refused(5),
            portal("package that is a page", PACKAGE).passes().elsewhere().refused(5),
            portal("base that is a page", BASE).passes().elsewhere().refused(5),
            portal("sidecar that is a page", SIDECAR).elsewhere().refused(5),
            portal("list that is a page", LIST).elsewhere().refused(5),
            portal("everything is a page", "").elsewhere().refused(5),
            serves("index that is empty", INDEX, Vec::new).elsewhere().refused(5),
            serves("package that is empty", PACKAGE, Vec::new).passes().elsewhere().refused(5),
            serves("base that is empty", BASE, Vec::new).passes().elsewhere().refused(5),
            serves("sidecar that is empty", SIDECAR, Vec::new).elsewhere().refused(5),
            serves("package that is another", PACKAGE, || {
                sound().file("v3.19/main/x86_64/other-1-r0.apk").to_vec()
            })
            .passes()
            .elsewhere()
            .refused(5),
            serves("package that is another version", PACKAGE, || {
                package_of_version("app", "2-r0", b"new").bytes
            })
            .passes()
            .elsewhere()
            .refused(5),
            serves("package that was built again", PACKAGE, || {
                package_of_version("app", "1-r0", b"again").bytes
            })
            .passes()
            .elsewhere()
            .refused(5),
            // How long that is depends on today's keys, and so does what is said of it.
            serves("package that somebody else signed", PACKAGE, || {
                made::package("app", &noise(60_000), other_key()).bytes
            })
            .passes()
            .elsewhere(),
            serves("index that somebody else signed", INDEX, || made::index("v3.19.9", &[], other_key()))
                .elsewhere()
                .refused(5),
            serves("index of another branch", INDEX, || made::index("v3.18.4", &[], made::key()))
                .elsewhere()
                .refused(5),
            serves("index in the format of apk v3", INDEX, || b"ADBd\0\0\0\0".to_vec())
                .elsewhere()
                .refused(5),
            serves("base that is another", BASE, || hostile::rootfs([])).passes().elsewhere().refused(5),
            serves("sidecar of another file", SIDECAR, || {
                format!("{}  other.tar.gz\n", "ab".repeat(32)).into()
            })
            .elsewhere()
            .refused(5),
        ],
    );
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    check(
        "faults-changed",
        vec![
            changed("index with a flipped bit", INDEX, |body| flipped(body, body.len() / 2))
                .elsewhere()
                .refused_somehow(5),
            changed("index with a flipped bit in its signature", INDEX, |body| flipped(body, 60))
                .elsewhere()
                .refused_somehow(5),
            changed("package with a flipped bit in its signature", PACKAGE, |body| flipped(body, 100))
                .passes()
                .elsewhere()
                .refused_somehow(5),
            changed("package with a flipped bit in its data", PACKAGE, |body| flipped(body, body.len() / 2))
                .passes()
                .elsewhere()
                .refused(5),
            changed("package with a flipped bit at its end", PACKAGE, |body| flipped(body, body.len() - 1))
                .passes()
                .elsewhere()
                .refused(5),
            changed("base with a flipped bit", BASE, |body| flipped(body, body.len() / 2))
                .passes()
                .elsewhere()
                .refused(5),
            changed("sidecar with a flipped bit", SIDECAR, |body| flipped(body, 8))
                .passes()
                .elsewhere()
                .refused(5),
            damaged("index damaged on the way", INDEX, |body| flipped(body, body.len() / 2))
                .elsewhere()
                .refused_somehow(5),
            damaged("package damaged on the way", PACKAGE, |body| flipped(body, body.len() / 2))
                .passes()
                .elsewhere()
                .refused(5),
            damaged("base damaged on the way", BASE, |body| flipped(body, body.len() / 2))
                .passes()
                .elsewhere()
                .refused(5),
            damaged("sidecar damaged on the way", SIDECAR, other_digest).passes().elsewhere().refused(5),
            damaged("list damaged on the way", LIST, other_digest).passes().elsewhere().refused(5),
            // Cut off where the mirror got it from: nothing in the answer says so.
            changed("index that was cut off before", INDEX, |body| body[..body.len() / 2].to_vec())
                .elsewhere()
                .refused(5),
            changed("package that was cut off before", PACKAGE, |body| body[..body.len() / 2].to_vec())
                .passes()
                .elsewhere()
                .refused(5),
            changed("base that was cut off before", BASE, |body| body[..body.len() / 2].to_vec())
                .passes()
                .elsewhere()
                .refused(5),
            changed("list that was cut off before", LIST, |body| body[..body.len() / 2].to_vec())
                .elsewhere()
                .refused(5),
            changed("package with something behind it", PACKAGE, |body| [body, b"more"].concat())
                .passes()
                .elsewhere()
                .refused(5),
            changed("index with something behind it", INDEX, |body| [body, b"more"].concat())
                .elsewhere()
                .refused(5),
            changed("package that was packed once more", PACKAGE, hostile::gzip)
                .passes()
                .elsewhere()
                .refused(5),
            case("package that was packed once more, and said so", PACKAGE, || {
                Fault::answer(|_, answer| {
                    answer.with_body(|body| *body = hostile::gzip(body)).with("Content-Encoding", "gzip")
                })
            })
            .passes()
            .elsewhere()
            .refused(5),
            case("package with a length that is too short", PACKAGE, || {
                Fault::answer(|_, answer| {
                    let length = (answer.body.len() - 100).to_string();
                    answer.with("Content-Length", length).with("Connection", "close")
                })
                .and_stop(Point::Body(usize::MAX), Then::Close)
            })
            .passes()
            .elsewhere()
            .refused(5),
            case("package that ends with the connection, too early", PACKAGE, || {
                Fault::answer(|_, answer| answer.without("Content-Length"))
                    .and_stop(Point::Middle, Then::Close)
            })
            .passes()
            .elsewhere()
            .refused(5),
        ],
    );
}

#[test]
fn what_never_ends_is_not_read_to_its_end() {
    let huge = Some("1000000000000000");
    check(
        "faults-endless",
        vec![
            endless("index without end", INDEX, None).elsewhere().refused(8),
            endless("package without end", PACKAGE, None).elsewhere().refused(5),
            endless("base without end", BASE, None).elsewhere().refused(5),
            endless("sidecar without end", SIDECAR, None).elsewhere().refused(8),
            endless("list without end", LIST, None).elsewhere().refused(8),
            endless("index as long as it says", INDEX, huge).elsewhere().refused(8),
            endless("package as long as it says", PACKAGE, huge).elsewhere().refused(5),
            endless("base as long as it says", BASE, huge).elsewhere().refused(5),
            endless("sidecar as long as it says", SIDECAR, huge).elsewhere().refused(8),
        ],
    );
}
