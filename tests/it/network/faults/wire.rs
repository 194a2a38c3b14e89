//! What goes wrong below HTTP, or with its form.

use std::time::Duration;

use super::super::{BASE, INDEX, LIST, PACKAGE, SIDECAR};
use super::{Case, all_pass, case, check, script};
use crate::support::server::answer::Answer;
use crate::support::server::fault::{Fault, Point, Then, Times};

fn closed(name: &'static str, file: &'static str, point: Point) -> Case {
    case(name, file, move || Fault::stop(point, Then::Close))
}

fn reset(name: &'static str, file: &'static str, point: Point) -> Case {
    case(name, file, move || Fault::stop(point, Then::Reset))
}

fn silent(name: &'static str, file: &'static str, point: Point) -> Case {
    case(name, file, move || Fault::stop(point, Then::Stall)).impatient()
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    check(
        "faults-broken-off",
        vec![
            closed("index closed at once", INDEX, Point::Head(0)).transient(),
            closed("index closed in the headers", INDEX, Point::Head(30)).transient(),
            closed("index closed before its body", INDEX, Point::Body(0)).transient(),
            closed("index closed in the middle", INDEX, Point::Middle).transient(),
            closed("index closed before its last byte", INDEX, Point::LastByte).transient(),
            closed("package closed at once", PACKAGE, Point::Head(0)).transient(),
            closed("package closed in the headers", PACKAGE, Point::Head(30)).transient(),
            closed("package closed before its body", PACKAGE, Point::Body(0)).transient(),
            closed("package closed behind one byte", PACKAGE, Point::Body(1)).transient(),
            closed("package closed in the middle", PACKAGE, Point::Middle).transient(),
            closed("package closed before its last byte", PACKAGE, Point::LastByte).transient(),
            closed("base closed in the headers", BASE, Point::Head(30)).transient(),
            closed("base closed before its body", BASE, Point::Body(0)).transient(),
            closed("base closed in the middle", BASE, Point::Middle).transient(),
            closed("base closed before its last byte", BASE, Point::LastByte).transient(),
            closed("sidecar closed in the headers", SIDECAR, Point::Head(30)).transient(),
            closed("sidecar closed in the middle", SIDECAR, Point::Middle).transient(),
            closed("sidecar closed before its last byte", SIDECAR, Point::LastByte).transient(),
            closed("list closed before its body", LIST, Point::Body(0)).transient(),
            closed("list closed in the middle", LIST, Point::Middle).transient(),
            reset("index reset at once", INDEX, Point::Head(0)).transient(),
            reset("package reset at once", PACKAGE, Point::Head(0)).transient(),
            reset("package reset in the headers", PACKAGE, Point::Head(30)).transient(),
            reset("package reset in the middle", PACKAGE, Point::Middle).transient(),
            reset("base reset in the middle", BASE, Point::Middle).transient(),
            case("package with chunks that end early", PACKAGE, || {
                Fault::wire(|answer| chunked(answer, &answer.body[..answer.body.len() / 2]))
            })
            .transient(),
            case("package with a length that is too long", PACKAGE, || {
                let longer = Fault::answer(|_, answer| {
                    let length = (answer.body.len() + 100).to_string();
                    answer.with("Content-Length", length)
                });
                longer.and_stop(Point::Body(usize::MAX), Then::Close)
            })
            .elsewhere(),
            case("index with a length that is too long", INDEX, || {
                Fault::header("Content-Length", "900000").and_stop(Point::Body(usize::MAX), Then::Close)
            })
            .transient(),
        ],
    );
}

/// An answer in one chunk, without the chunk that would end it.
fn chunked(answer: &Answer, body: &[u8]) -> Vec<u8> {
    let head = answer.clone().without("Content-Length").with("Transfer-Encoding", "chunked").head();
    [head.as_slice(), format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}

#[test]
fn a_server_that_falls_silent_is_not_waited_for() {
    check(
        "faults-silent",
        vec![
            silent("index silent at once", INDEX, Point::Head(0)).transient(),
            silent("index silent in the headers", INDEX, Point::Head(30)).transient(),
            silent("package silent at once", PACKAGE, Point::Head(0)).transient(),
            silent("package silent before its body", PACKAGE, Point::Body(0)).transient(),
            silent("package silent in the middle", PACKAGE, Point::Middle).transient(),
            silent("base silent in the middle", BASE, Point::Middle).transient(),
            silent("sidecar silent at once", SIDECAR, Point::Head(0)).transient(),
            // Less than a kibibyte in a second, and never nothing for a second.
            case("package in drops", PACKAGE, || Fault::drip(5, Duration::from_millis(50)))
                .impatient()
                .transient(),
            case("base in drops", BASE, || Fault::drip(5, Duration::from_millis(50))).impatient().transient(),
            case("package in splashes", PACKAGE, || Fault::drip(4096, Duration::from_millis(20)))
                .impatient()
                .passes(),
        ],
    );
}

#[test]
fn what_is_no_http_is_said_to_be_none() {
    let endless = || Then::Repeat(b"X-More: and more\r\n".repeat(100));
    let begin = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
    check(
        "faults-no-http",
        vec![
            case("index in another protocol", INDEX, || Fault::raw("SSH-2.0-OpenSSH_9.6\r\n"))
                .elsewhere()
                .refused(4),
            case("package in another protocol", PACKAGE, || Fault::raw("220 ready\r\n"))
                .elsewhere()
                .refused(4),
            case("package without headers", PACKAGE, || Fault::wire(|answer| answer.body.clone()))
                .elsewhere()
                .refused(4),
            case("index with endless headers", INDEX, move || Fault::stop(Point::Head(17), endless()))
                .elsewhere()
                .refused(4),
            case("package with a header without end", PACKAGE, || {
                Fault::stop(Point::Head(17), Then::Repeat(b"x".repeat(1000)))
            })
            .elsewhere()
            .refused(4),
            case("package with two lengths", PACKAGE, || {
                Fault::answer(|_, mut answer| {
                    answer.headers.push(("Content-Length".to_owned(), "9".to_owned()));
                    answer
                })
            })
            .elsewhere()
            .refused(4),
            case("package with a negative length", PACKAGE, || Fault::header("Content-Length", "-1"))
                .elsewhere()
                .refused(4),
            case("package with a chunk that is none", PACKAGE, move || {
                Fault::raw(format!("{begin}Transfer-Encoding: chunked\r\n\r\nmany\r\n"))
            })
            .elsewhere()
            .refused(4),
            case("package with a chunk longer than any", PACKAGE, move || {
                Fault::raw(format!("{begin}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"))
            })
            .elsewhere()
            .refused(4),
        ],
    );
}

#[test]
fn unusual_answers_that_are_right_are_taken() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    all_pass(vec![
        case("package in chunks", PACKAGE, || {
            Fault::wire(|answer| [chunked(answer, &answer.body), b"0\r\n\r\n".to_vec()].concat())
        })
        .passes(),
        case("index in chunks with trailers", INDEX, || {
            Fault::wire(|answer| [chunked(answer, &answer.body), b"0\r\nX-Hash: 1\r\n\r\n".to_vec()].concat())
        })
        .passes(),
        case("package that ends with the connection", PACKAGE, || {
            Fault::answer(|_, answer| answer.without("Content-Length"))
        })
        .passes(),
        case("base of a server of HTTP/1.0", BASE, || {
            Fault::wire(|answer| {
                let head = String::from_utf8(answer.head()).unwrap().replace("HTTP/1.1", "HTTP/1.0");
                [head.as_bytes(), &answer.body].concat()
            })
        })
        .passes(),
        case("package behind answers that are none yet", PACKAGE, move || {
            Fault::wire(move |answer| [early.as_bytes(), &answer.head(), &answer.body].concat())
        })
        .passes(),
        // What servers do that take the name of a file for its encoding.
        case("package said to be encoded", PACKAGE, || Fault::header("Content-Encoding", "gzip")).passes(),
        case("index said to be encoded", INDEX, || Fault::header("Content-Encoding", "x-gzip")).passes(),
        case("package without validators", PACKAGE, || {
            Fault::answer(|_, answer| answer.without("ETag").without("Last-Modified"))
        })
        .passes(),
        script("connections that are closed after each answer", "", || {
            vec![(
                Times::From(1),
                Fault::header("Connection", "close").and_stop(Point::Body(usize::MAX), Then::Close),
            )]
        })
        .passes(),
    ]);
}
