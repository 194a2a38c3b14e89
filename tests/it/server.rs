//! The server that tests have for a mirror, as curl sees it: right when it is left alone, and wrong in just the way
//! that is planned.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::command::Dir;
use crate::support::need;
use crate::support::server::answer::Answer;
use crate::support::server::fault::{Fault, Point, Then, Times};
use crate::support::server::site::Site;
use crate::support::server::tls::{Authority, Validity};
use crate::support::server::{Server, Setup};

/// What a command that is given no more time ends with.
const CURL_TIMEOUT: &str = "30";

/// curl, if it is there.
struct Curl {
    program: PathBuf,
}

impl Curl {
    fn need(test: &str) -> Option<Self> {
        need::program(test, "curl").map(|program| Self { program })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // Nothing of whoever runs the tests: no configuration, no proxies.
        command.args(["--disable", "--silent", "--show-error", "--max-time", CURL_TIMEOUT]);
        command.args(arguments).env_clear().stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What is printed by a curl that succeeds.
    fn gets(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.run(arguments);
        assert!(output.status.success(), "curl {arguments:?}: {output:?}");
        output.stdout
    }

    fn text(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.gets(arguments)).unwrap()
    }

    /// The exit code.
    fn code(&self, arguments: &[&str]) -> i32 {
        self.run(arguments).status.code().unwrap()
    }
}

/// A server with `file`, which has these bytes.
fn with_file(bytes: &[u8]) -> Server {
    Server::of(Site::default().file("file", bytes))
}

#[test]
fn what_is_on_the_disk_and_in_memory_is_served_as_it_is() {
    let Some(curl) = Curl::need("what_is_on_the_disk_and_in_memory_is_served_as_it_is") else { return };
    let dir = Dir::new();
    let noise: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    dir.write("below/on disk", &noise);
    dir.write("below/hidden", "of the disk");
    let server = Server::of(Site::directory(&dir.path()).file("below/hidden", "of memory"));
    let url = |path: &str| format!("{}/{path}", server.url());

    assert_eq!(curl.gets(&[&url("below/on%20disk")]), noise);
    assert_eq!(curl.gets(&[&url("below/hidden?x=y")]), b"of memory");
    server.put("below/hidden", "new");
    assert_eq!(curl.gets(&[&url("below/hidden")]), b"new");
    let head = curl.text(&["--head", &url("below/on%20disk")]);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("Content-Length: 200000\r\n") && head.contains("Accept-Ranges: bytes\r\n"),
        "{head}"
    );
    let page = curl.text(&["--location", &url("below")]);
    assert!(page.contains("<a href=\"on disk\">"), "{page}");
    let status =
        |path: &str| curl.text(&["--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", &url(path)]);
    assert_eq!(
        ["none", "below/hidden/", "below/../below/on%20disk", "%2e%2e/work/below/hidden", "below"]
            .map(status),
        ["404", "404", "404", "404", "301"]
    );
    assert_eq!(server.log().lines()[0], "GET below/on disk 200");
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let Some(curl) = Curl::need("a_connection_is_kept_for_the_next_request") else { return };
    let server = with_file(b"content\n");
    let url = format!("{}/file", server.url());

    assert_eq!(
        curl.text(&[&url, &url, "--next", "--head", "-s", "-o", "/dev/null", &url]).lines().count(),
        2
    );
    assert_eq!((server.log().connections(), server.log().requests().len()), (1, 3));
    curl.gets(&["--header", "Connection: close", &url, &url]);
    curl.gets(&["--http1.0", &url, &url]);
    assert_eq!(server.log().connections(), 5);
}

#[test]
fn what_a_client_has_already_is_not_sent_again() {
    let Some(curl) = Curl::need("what_a_client_has_already_is_not_sent_again") else { return };
    let dir = Dir::new();
    let path = dir.write("file", "one");
    let server = Server::of(Site::directory(&dir.path()));
    let url = format!("{}/file", server.url());
    let status = |arguments: &[&str]| {
        curl.text(&[arguments, &["-o", "/dev/null", "-w", "%{http_code}", &url]].concat())
    };
    let tag = dir.home().join("tag").to_string_lossy().into_owned();

    assert_eq!(status(&["--etag-save", &tag]), "200");
    assert_eq!(status(&["--etag-compare", &tag]), "304");
    assert_eq!(status(&["--header", "If-None-Match: \"x\", *"]), "304");
    assert_eq!(status(&["--header", "If-None-Match: \"x\""]), "200");
    assert_eq!(status(&["--time-cond", &path.to_string_lossy()]), "304");
    assert_eq!(status(&["--time-cond", "Mon, 01 Jan 2001 00:00:00 GMT"]), "200");
    dir.write("file", "two");
    assert_eq!(status(&["--etag-compare", &tag]), "200");
}

#[test]
fn a_part_is_sent_of_what_did_not_change() {
    let Some(curl) = Curl::need("a_part_is_sent_of_what_did_not_change") else { return };
    let server = with_file(b"0123456789");
    let url = format!("{}/file", server.url());
    let tag = curl.text(&["-o", "/dev/null", "-w", "%header{etag}", &url]);
    let time = curl.text(&["-o", "/dev/null", "-w", "%header{last-modified}", &url]);
    let if_range =
        |validator: &str| curl.text(&["--range", "4-", "--header", &format!("If-Range: {validator}"), &url]);

    assert_eq!(curl.text(&["--range", "2-4", &url]), "234");
    assert_eq!(curl.text(&["--range", "-3", &url]), "789");
    assert_eq!([&tag, &time, "\"x\""].map(if_range), ["456789", "456789", "0123456789"]);
    let head = curl.text(&["--range", "4-", "--include", &url]);
    assert!(head.starts_with("HTTP/1.1 206 Partial Content\r\n"), "{head}");
    assert!(head.contains("Content-Range: bytes 4-9/10\r\n"), "{head}");
    let past = curl.text(&["--range", "10-", "--include", &url]);
    assert!(past.starts_with("HTTP/1.1 416 ") && past.contains("Content-Range: bytes */10\r\n"), "{past}");
}

#[test]
fn what_is_cut_is_resumed_where_it_was_cut() {
    let Some(curl) = Curl::need("what_is_cut_is_resumed_where_it_was_cut") else { return };
    let dir = Dir::new();
    let server = with_file(b"0123456789");
    let (url, part) = (format!("{}/file", server.url()), dir.join("part").to_string_lossy().into_owned());
    server.plan("file", Times::First(1), Fault::stop(Point::Body(3), Then::Close));

    assert_eq!(curl.code(&["-o", &part, &url]), 18);
    assert_eq!(dir.read("part"), b"012");
    curl.gets(&["-C", "-", "-o", &part, &url]);
    assert_eq!(dir.read("part"), b"0123456789");
}

/// By the exit codes that curl has for them.
#[test]
fn what_goes_wrong_is_what_was_planned() {
    let Some(curl) = Curl::need("what_goes_wrong_is_what_was_planned") else { return };
    let stop = Fault::stop;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!";
    let length = || Fault::header("Content-Length", "100");
    let cases = [
        ("a status", Fault::status(503), 22),
        ("a status that is none", Fault::status(999), 22),
        ("closed at once", stop(Point::Head(0), Then::Close), 52),
        // curl takes what there is of the headers for all of them.
        ("closed in the headers", stop(Point::Head(20), Then::Close), 0),
        ("closed before the body", stop(Point::Body(0), Then::Close), 18),
        ("closed in the middle", stop(Point::Middle, Then::Close), 18),
        ("closed before the last byte", stop(Point::LastByte, Then::Close), 18),
        ("closed behind the end", stop(Point::Body(1000), Then::Close), 0),
        ("reset at once", stop(Point::Head(0), Then::Reset), 56),
        ("reset in the middle", stop(Point::Middle, Then::Reset), 56),
        ("silence at once", stop(Point::Head(0), Then::Stall), 28),
        ("silence in the middle", stop(Point::Middle, Then::Stall), 28),
        ("endless headers", stop(Point::Head(17), Then::Repeat(b"X-More: x\r\n".repeat(99))), 56),
        ("a slow drip", Fault::drip(1, Duration::from_millis(300)), 28),
        ("a drip that ends", Fault::drip(3, Duration::ZERO), 0),
        ("too long a length", length(), 28),
        ("too long a length, and closed", length().and_stop(Point::Body(1000), Then::Close), 18),
        ("no length", Fault::answer(|_, answer| answer.without("Content-Length")), 0),
        ("a circle", Fault::redirect(302, "/file"), 47),
        ("another scheme", Fault::redirect(302, "ftp://127.0.0.1/file"), 1),
        ("an encoding that is none", Fault::header("Content-Encoding", "gzip"), 61),
        ("no HTTP", Fault::raw("SSH-2.0-OpenSSH_9.6\r\n"), 1),
        ("chunks that end early", Fault::raw(chunked), 18),
        (
            "a chunk that is none",
            Fault::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            56,
        ),
    ];
    let check = |(name, fault, code)| {
        let server = with_file(b"0123456789");
        server.plan("file", Times::Always, fault);
        let arguments = ["--fail", "--location", "--compressed", "--proto-redir", "=http", "--max-time", "1"];
        let url = format!("{}/file", server.url());
        let output = curl.run(&[arguments.as_slice(), &[&url]].concat());
        assert_eq!(output.status.code(), Some(code), "{name}: {output:?}");
    };
    // All at once: several wait for a time to be over.
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(case));
        }
    });
}

#[test]
fn it_goes_wrong_as_often_as_was_planned_and_where() {
    let Some(curl) = Curl::need("it_goes_wrong_as_often_as_was_planned_and_where") else { return };
    let server = Server::of(Site::default().file("a/file", "a").file("b/file", "b"));
    let (a, b) = (format!("{}/a/file", server.url()), format!("{}/b/file", server.url()));
    let statuses = |url: &str| {
        let arguments = ["-o", "/dev/null", "-w", "%{http_code} ", url];
        (0..4).map(|_| curl.text(&arguments)).collect::<String>()
    };
    for (times, expected) in [
        (Times::Always, "503 503 503 503 "),
        (Times::First(2), "503 503 200 200 "),
        (Times::Only(2), "200 503 200 200 "),
        (Times::From(3), "200 200 503 503 "),
    ] {
        server.plan("a/file", times, Fault::status(503));
        assert_eq!(statuses(&a), expected, "{times:?}");
        assert_eq!(statuses(&b), "200 200 200 200 ", "{times:?}");
        server.mend();
    }
    // Both are counted, and the first that was made is carried out.
    server.plan("file", Times::Only(1), Fault::status(500));
    server.plan("a/file", Times::First(2), Fault::status(503));
    assert_eq!(statuses(&a), "500 503 200 200 ");
}

#[test]
fn a_server_with_a_certificate_is_believed_by_who_knows_its_authority() {
    let test = "a_server_with_a_certificate_is_believed_by_who_knows_its_authority";
    let Some(curl) = Curl::need(test) else { return };
    let (dir, authority, stranger) = (Dir::new(), Authority::new("known"), Authority::new("stranger"));
    let known = dir.write("known.pem", authority.pem()).to_string_lossy().into_owned();
    let setup = |authority: &Authority, names: &[&str], validity| {
        Setup::of(Site::default().file("file", "secret")).tls(authority.server(names, validity)).start()
    };
    let code = |server: &Server| curl.code(&["--cacert", &known, &format!("{}/file", server.url())]);

    let server = setup(&authority, &["127.0.0.1", "localhost"], Validity::Current);
    let url = format!("{}/file", server.url());
    assert_eq!(curl.text(&["--cacert", &known, &url, &url]), "secretsecret");
    assert_eq!(server.log().connections(), 1);
    assert_eq!(curl.text(&["--cacert", &known, &format!("{}/file", server.url_as("localhost"))]), "secret");
    server.plan("file", Times::First(1), Fault::stop(Point::Middle, Then::Reset));
    assert!([18, 56].contains(&curl.code(&["--cacert", &known, &url])));
    assert_eq!(code(&setup(&stranger, &["127.0.0.1"], Validity::Current)), 60);
    assert_eq!(code(&setup(&authority, &["localhost"], Validity::Current)), 60);
    assert_eq!(code(&setup(&authority, &["127.0.0.1"], Validity::Expired)), 60);
}

#[test]
fn it_is_a_proxy_for_itself_and_a_tunnel_to_others() {
    let Some(curl) = Curl::need("it_is_a_proxy_for_itself_and_a_tunnel_to_others") else { return };
    let (proxy, other) = (with_file(b"of the proxy"), with_file(b"of the other"));
    let other_url = format!("{}/file", other.url());

    let of_proxy = curl.text(&["--proxy", &proxy.url(), "http://nowhere.invalid/file"]);
    let of_other = curl.text(&["--proxy", &proxy.url(), "--proxytunnel", &other_url, &other_url]);

    assert_eq!((of_proxy.as_str(), of_other.as_str()), ("of the proxy", "of the otherof the other"));
    let asked: Vec<String> = proxy.log().requests().into_iter().map(|logged| logged.request.target).collect();
    assert_eq!(asked, ["http://nowhere.invalid/file", &other.address().to_string()]);
    assert_eq!(curl.code(&["--proxy", &proxy.url(), "--proxytunnel", "http://192.0.2.1/file"]), 56);
}

#[test]
fn latency_is_of_each_request_and_those_at_once_are_counted() {
    let test = "latency_is_of_each_request_and_those_at_once_are_counted";
    let Some(curl) = Curl::need(test) else { return };
    let latency = Duration::from_millis(100);
    let server = Setup::of(Site::default().file("file", "x"))
        .at(Ipv4Addr::new(127, 0, 0, 2).into())
        .latency(latency)
        .start();
    let url = format!("{}/file", server.url());
    assert!(url.starts_with("http://127.0.0.2:"), "{url}");

    let begin = Instant::now();
    curl.gets(&[&url, &url, &url]);
    assert!(begin.elapsed() >= latency * 3);
    assert_eq!(server.log().most_at_once(), 1);

    curl.gets(&["--parallel", "--parallel-immediate", &url, &url, &url]);
    assert!((2..=3).contains(&server.log().most_at_once()), "{}", server.log().most_at_once());
    server.log().clear();
    assert_eq!((server.log().requests().len(), server.log().most_at_once()), (0, 0));
}

#[test]
fn a_server_that_is_dropped_keeps_nobody_waiting() {
    let Some(curl) = Curl::need("a_server_that_is_dropped_keeps_nobody_waiting") else { return };
    let slow = Setup::of(Site::default().file("file", "x")).latency(Duration::from_secs(3600)).start();
    let silent = with_file(b"x");
    silent.plan("file", Times::Always, Fault::stop(Point::Middle, Then::Stall));
    let dripping = with_file(b"0123456789");
    dripping.plan("file", Times::Always, Fault::drip(1, Duration::from_secs(3600)));
    for server in [slow, silent, dripping] {
        let waiting = curl.command(&[&format!("{}/file", server.url())]).stderr(Stdio::null()).spawn();
        let mut waiting = waiting.unwrap();
        while server.log().requests().is_empty() {
            thread::yield_now();
        }
        let begin = Instant::now();
        drop(server);
        assert!(!waiting.wait().unwrap().success());
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn an_answer_is_changed_as_a_whole() {
    let Some(curl) = Curl::need("an_answer_is_changed_as_a_whole") else { return };
    let server = with_file(b"0123456789");
    let url = format!("{}/file", server.url());
    server.plan("file", Times::Only(1), Fault::instead(Answer::new(200, "other")));
    server.plan("file", Times::Only(2), Fault::body(|body| body[0] ^= 1));
    server.plan(
        "file",
        Times::Only(3),
        Fault::answer(
            |request, answer| {
                if request.header("user-agent") == Some("me") { Answer::page(401) } else { answer }
            },
        ),
    );

    assert_eq!(curl.text(&[&url]), "other");
    let changed = curl.text(&["--include", &url]);
    assert!(changed.ends_with("\r\n\r\n1123456789") && !changed.contains("ETag"), "{changed}");
    assert_eq!(curl.code(&["--fail", "--user-agent", "me", &url]), 22);
    assert_eq!(
        server.log().of("file").iter().filter_map(|logged| logged.status).collect::<Vec<_>>(),
        [200, 200, 401]
    );
}
