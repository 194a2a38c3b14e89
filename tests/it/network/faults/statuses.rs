//! What the server says in place of a file.

use std::time::{Duration, SystemTime};

use super::super::{BASE, INDEX, LIST, PACKAGE, SIDECAR, Scene};
use super::{Case, case, check, script};
use crate::support::server::answer::Answer;
use crate::support::server::date;
use crate::support::server::fault::{Fault, Times};

fn status(name: &'static str, file: &'static str, status: u16) -> Case {
    case(name, file, move || Fault::status(status))
}

/// The right answer with the status of one to another question.
fn unasked(name: &'static str, file: &'static str, status: u16) -> Case {
    let fault = move || {
        Fault::answer(move |_, answer| match status {
            304 => Answer { status, body: Vec::new(), ..answer.without("Content-Length") },
            _ => Answer { status, ..answer },
        })
    };
    case(name, file, fault).elsewhere().refused(4)
}

fn retry_after(name: &'static str, status: u16, after: impl Fn() -> String + Send + Sync + 'static) -> Case {
    case(name, PACKAGE, move || Fault::instead(Answer::page(status).with("Retry-After", after())))
}

#[test]
fn a_server_that_cannot_now_is_asked_again() {
    let http_date = |seconds| date::written(SystemTime::now() + Duration::from_secs(seconds));
    check(
        "faults-not-now",
        vec![
            status("index 500", INDEX, 500).transient(),
            status("index 503", INDEX, 503).transient(),
            status("package 408", PACKAGE, 408).transient(),
            status("package 425", PACKAGE, 425).transient(),
            status("package 429", PACKAGE, 429).transient(),
            status("package 500", PACKAGE, 500).transient(),
            status("package 502", PACKAGE, 502).transient(),
            status("package 503", PACKAGE, 503).transient(),
            status("package 504", PACKAGE, 504).transient(),
            status("base 503", BASE, 503).transient(),
            status("sidecar 500", SIDECAR, 500).transient(),
            status("list 502", LIST, 502).transient(),
            retry_after("package 503, again in a second", 503, || "1".to_owned()).transient(),
            retry_after("package 429, again at once", 429, || "0".to_owned()).transient(),
            retry_after("package 503, again at a time", 503, move || http_date(2))
                .passes()
                .elsewhere()
                .refused_somehow(4),
            retry_after("package 503, again in the past", 503, || date::written(SystemTime::UNIX_EPOCH))
                .transient(),
            retry_after("package 503, again at a time that is none", 503, || "soon".to_owned()).transient(),
            retry_after("package 503, again in an hour", 503, || "3600".to_owned()).elsewhere().refused(4),
            retry_after("package 429, again in an age", 429, || "99999999999999999999".to_owned())
                .elsewhere()
                .refused(4),
            retry_after("package 503, again next year", 503, move || http_date(365 * 86400))
                .elsewhere()
                .refused_somehow(4),
        ],
    );
}

/// Nobody waits as long as that.
#[test]
fn a_server_that_wants_to_be_left_alone_for_long_is_not_asked_again() {
    let scene = Scene::new(2);
    scene.mirror().plan(PACKAGE, Times::Always, Fault::instead(Answer::page(503).with("Retry-After", "61")));

    scene.builds("again in a minute and more", scene.build());

    assert_eq!(scene.mirror().log().of(PACKAGE).len(), 1);
}

#[test]
fn a_server_that_has_not_or_will_not_is_passed_over() {
    check(
        "faults-not-here",
        vec![
            status("index 404", INDEX, 404).lacking().refused(4),
            status("index 410", INDEX, 410).lacking().refused(4),
            status("index 403", INDEX, 403).elsewhere().refused(4),
            status("index 401", INDEX, 401).elsewhere().refused(4),
            status("package 404", PACKAGE, 404).passes().lacking().refused(4),
            status("package 410", PACKAGE, 410).passes().lacking().refused(4),
            status("package 403", PACKAGE, 403).elsewhere().refused(4),
            status("package 401", PACKAGE, 401).elsewhere().refused(4),
            status("package 407", PACKAGE, 407).elsewhere().refused(4),
            status("package 418", PACKAGE, 418).elsewhere().refused(4),
            status("package 501", PACKAGE, 501).elsewhere().refused(4),
            status("package 505", PACKAGE, 505).elsewhere().refused(4),
            status("package 999", PACKAGE, 999).elsewhere().refused(4),
            status("package 416", PACKAGE, 416).elsewhere().refused(4),
            status("base 404", BASE, 404).lacking().refused(4),
            // The list of releases states the digest too.
            status("sidecar 404", SIDECAR, 404).passes(),
            status("sidecar 403", SIDECAR, 403).elsewhere().refused(4),
            status("list 404", LIST, 404).lacking().refused(4),
            status("package 204", PACKAGE, 204).elsewhere().refused(4),
            status("package 300", PACKAGE, 300).elsewhere().refused(4),
            unasked("package 304, which nobody has", PACKAGE, 304),
            unasked("index 304, which nobody has", INDEX, 304),
            unasked("package 206, of which nobody wants a part", PACKAGE, 206),
        ],
    );
}

#[test]
fn a_redirection_is_followed_where_it_leads_somewhere() {
    let kept = |status| Fault::redirect(status, "app-1-r0.apk?moved");
    let chain = |hops: usize| {
        let hop = move |number: usize| Fault::redirect(302, &format!("app-1-r0.apk?hop={number}"));
        (1..=hops).map(|number| (Times::Only(number), hop(number))).collect::<Vec<_>>()
    };
    check(
        "faults-redirected",
        vec![
            case("package 301", PACKAGE, move || kept(301)).passes(),
            case("package 302", PACKAGE, move || kept(302)).passes(),
            case("package 303", PACKAGE, move || kept(303)).passes(),
            case("package 307", PACKAGE, move || kept(307)).passes(),
            case("package 308", PACKAGE, move || kept(308)).passes(),
            case("index redirected", INDEX, || Fault::redirect(302, "/v3.19/main/x86_64/APKINDEX.tar.gz"))
                .passes(),
            case("base redirected", BASE, || Fault::redirect(302, &format!("/{BASE}"))).passes(),
            script("package behind ten redirections", PACKAGE, move || chain(10)).passes(),
            script("package behind eleven redirections", PACKAGE, move || chain(11)).elsewhere().refused(4),
            case("package in a circle", PACKAGE, move || kept(302)).elsewhere().refused(4),
            case("index in a circle", INDEX, || Fault::redirect(301, "APKINDEX.tar.gz"))
                .elsewhere()
                .refused(4),
            case("package redirected nowhere", PACKAGE, || Fault::status(302)).elsewhere().refused(4),
            case("package redirected to what is no URL", PACKAGE, || Fault::redirect(302, "http://[::1"))
                .elsewhere()
                .refused(4),
            case("package redirected to a file", PACKAGE, || Fault::redirect(302, "file:///etc/passwd"))
                .elsewhere()
                .refused(4),
            case("package redirected to another protocol", PACKAGE, || {
                Fault::redirect(302, "ftp://127.0.0.1/x")
            })
            .elsewhere()
            .refused(4),
            // Port 1 is nobody's.
            case("package redirected to nobody", PACKAGE, || {
                Fault::redirect(302, "http://127.0.0.1:1/app-1-r0.apk")
            })
            .elsewhere()
            .refused(4),
            case("package redirected to what is not there", PACKAGE, || Fault::redirect(302, "/nowhere"))
                .lacking()
                .refused(4),
        ],
    );
}
