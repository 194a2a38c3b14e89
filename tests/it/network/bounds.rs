//! Every download ends: by its length, by its speed, by the deadline of its answer. Whatever a server does, however slowly.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::{BASE, INDEX, LIST, PACKAGE, SIDECAR, Scene, sound};
use crate::support::server::answer::Answer;
use crate::support::server::fault::{Fault, Point, Then, Times};
use crate::support::server::{Server, Setup};

/// How long a build may take that waits for one second at most.
const SOON: Duration = Duration::from_secs(8);
/// How many cases are tried at a time: they wait.
const AT_ONCE: usize = 6;

/// Tries each of `cases`: the fault of a file with which a build must end in one of `codes`, with `words`.
fn all_end(cases: Vec<(String, &'static str, Fault, &'static [i32], &'static str)>) {
    let left = Mutex::new(cases.into_iter());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((what, file, fault, codes, words)) = left.lock().unwrap().next() else { return };
                    let scene = Scene::new(1);
                    scene.mirror().plan(file, Times::Always, fault);
                    let begin = Instant::now();
                    let outcome = scene.build().args(["--timeout", "1", "--retries", "0"]).run();
                    let taken = begin.elapsed();
                    let is_right = outcome.code().is_some_and(|code| codes.contains(&code));
                    if taken > SOON || !is_right || !outcome.to_string().contains(words) {
                        failed.lock().unwrap().push(format!("{what}, after {taken:?}: {outcome}"));
                    }
                    scene.store_is_sound(&what);
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A case for each of the files that a build reads.
fn of_each(
    what: &str,
    fault: impl Fn() -> Fault,
    codes: &'static [i32],
    words: &'static str,
) -> Vec<(String, &'static str, Fault, &'static [i32], &'static str)> {
    [INDEX, PACKAGE, LIST, BASE, SIDECAR]
        .map(|file| (format!("{file}: {what}"), file, fault(), codes, words))
        .into()
}

/// The right answer with chunks in place of its body, which begin with `begin` and go on with `then`.
fn in_chunks(begin: &'static [u8], then: Then) -> Fault {
    let chunked = Fault::answer(|_, answer| {
        let mut answer = answer.without("Content-Length").with("Transfer-Encoding", "chunked");
        answer.body = begin.to_vec();
        answer
    });
    chunked.and_stop(Point::Body(begin.len()), then)
}

const DROP: Duration = Duration::from_millis(100);

#[test]
fn answers_that_never_begin_end_by_their_deadline() {
    let early = || b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
    let mut cases = Vec::new();
    cases.extend(of_each(
        "headers a byte at a time",
        || Fault::stop(Point::Head(17), Then::Drip(b"x".to_vec(), DROP)),
        &[4],
        "nothing came for 1 s",
    ));
    cases.extend(of_each(
        "answers that are none yet, one after the other",
        move || Fault::stop(Point::Head(0), Then::Repeat(early())),
        &[4],
        "",
    ));
    cases.extend(of_each(
        "answers that are none yet, slowly",
        move || Fault::stop(Point::Head(0), Then::Drip(early(), DROP)),
        &[4],
        "nothing came for 1 s",
    ));
    all_end(cases);
}

#[test]
fn chunks_that_say_nothing_end_too() {
    let mut cases = Vec::new();
    for (what, begin, bytes) in [
        ("a chunk's extensions", b"5;".as_slice(), b"extension;".as_slice()),
        ("the number of a chunk", b"0", b"0"),
        ("trailers", b"0\r\n", b"X-More: and more\r\n"),
    ] {
        for (how, then) in [("without end", None), ("slowly", Some(DROP))] {
            let then = || match then {
                None => Then::Repeat(bytes.repeat(50)),
                Some(pause) => Then::Drip(bytes.to_vec(), pause),
            };
            // The end of an index that has come is not waited for where its length is known by itself.
            cases.extend(of_each(&format!("{what} {how}"), || in_chunks(begin, then()), &[4, 5], ""));
        }
    }
    all_end(cases);
}

#[test]
fn what_drips_is_not_waited_for_however_much_there_is_to_come() {
    let large = || Fault::body(|body| *body = vec![b'x'; 3_000_000]);
    let mut cases =
        of_each("in drops", move || large().and_drip(550, Duration::from_millis(490)), &[4, 5, 8], "");
    // Nothing says how long it is.
    cases.extend(of_each(
        "chunks in drops",
        || {
            in_chunks(
                b"",
                Then::Drip(
                    [b"226\r\n".as_slice(), &[b'x'; 550], b"\r\n"].concat(),
                    Duration::from_millis(490),
                ),
            )
        },
        &[4, 8],
        "",
    ));
    all_end(cases);
}

#[test]
fn drops_are_tried_again_so_often_and_no_more() {
    let scene = Scene::new(1);
    scene.mirror().plan(PACKAGE, Times::Always, Fault::drip(300, Duration::from_millis(200)));
    let begin = Instant::now();

    let outcome = scene.refused("drops", 4, scene.build().args(["--timeout", "1", "--retries", "3"]));

    assert!(begin.elapsed() < 2 * SOON, "{:?}", begin.elapsed());
    assert!(outcome.to_string().contains("comes too slowly"), "{outcome}");
    assert_eq!(scene.mirror().log().of(PACKAGE).len(), 4);
}

#[test]
fn what_is_longer_than_its_index_says_is_refused_before_it_comes() {
    let stalled = |length: &'static str| {
        move || Fault::header("Content-Length", length).and_stop(Point::Body(0), Then::Stall)
    };
    let mut cases = of_each("a length of a terabyte", stalled("1000000000000"), &[5, 8], "");
    cases.push((
        "a package a little longer".to_owned(),
        PACKAGE,
        stalled("70000")(),
        &[5],
        "longer than the",
    ));
    // In chunks it ends as soon as too much is there.
    let chunk = || Then::Repeat([b"400\r\n".as_slice(), &[b'x'; 1024], b"\r\n"].concat());
    for (file, words) in [
        (PACKAGE, "longer than the"),
        (BASE, "longer than the"),
        (SIDECAR, "larger than the"),
        (LIST, "larger than the"),
    ] {
        cases.push((format!("{file}: chunks without end"), file, in_chunks(b"", chunk()), &[5, 8], words));
    }
    all_end(cases);
}

#[test]
fn a_file_by_url_ends_as_every_other() {
    let server = Server::of(sound().site.clone());
    let scene = Scene::new(0);
    let file = format!(
        "[[files]]\npath = \"/x\"\nurl = \"{}/{BASE}\"\nsha256 = \"{}\"\n",
        server.url(),
        "0".repeat(64)
    );
    scene.dir.write("p.toml", format!("extends = [\"demo\"]\n{file}"));
    let terabytes =
        || Fault::header("Content-Length", "90000000000000").and_stop(Point::Body(0), Then::Stall);
    for (what, fault, code, words) in [
        ("a length of terabytes", terabytes(), 5, "longer than the"),
        ("in drops", Fault::drip(100, DROP), 4, "comes too slowly"),
        (
            "headers in drops",
            Fault::stop(Point::Head(17), Then::Drip(b"x".to_vec(), DROP)),
            4,
            "nothing came for",
        ),
    ] {
        server.mend();
        server.plan(BASE, Times::Always, fault);
        let begin = Instant::now();
        let command = scene.build().args(["--timeout", "1", "--retries", "0"]);
        let outcome = command.fails_with(code);
        assert!(begin.elapsed() < SOON && outcome.to_string().contains(words), "{what}: {outcome}");
    }
}

#[test]
fn the_rest_of_a_file_may_not_be_longer_than_the_rest() {
    let scene = Scene::new(1);
    scene.mirror().plan(PACKAGE, Times::Only(1), Fault::stop(Point::Middle, Then::Close));
    let longer = Fault::answer(|_, answer| {
        let answer = answer.without("Content-Length");
        Answer { body: [answer.body.as_slice(), &[b'x'; 100]].concat(), ..answer }
    });
    scene.mirror().plan(PACKAGE, Times::Only(2), longer.and_stop(Point::Body(usize::MAX), Then::Close));

    // It has changed, so it is read again from its beginning.
    scene.builds("a longer rest", scene.build());

    assert_eq!(scene.mirror().log().of(PACKAGE).len(), 3);
}

#[test]
fn redirections_share_one_deadline() {
    let latency = Duration::from_millis(600);
    let slow = Setup::of(sound().site.clone()).latency(latency).start();
    let scene = Scene::over(vec![slow]);
    scene.mirror().plan(PACKAGE, Times::Always, Fault::redirect(302, "app-1-r0.apk?again"));
    let begin = Instant::now();

    let command = scene.build().args(["--timeout", "1", "--retries", "0", "--quiet"]);
    let outcome = scene.refused("slow redirections", 4, command);

    assert!(outcome.to_string().contains("only redirections came for 1 s"), "{outcome}");
    assert!(scene.mirror().log().of("app-1-r0.apk").len() <= 2);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

/// Accepts connections and does `with` to each, in a thread that ends with the test's process.
fn listener(with: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let with = with.clone();
            thread::spawn(move || with(stream));
        }
    });
    address
}

#[test]
fn handshakes_and_tunnels_that_do_not_get_on_end() {
    let silent = listener(|stream| {
        thread::sleep(Duration::from_secs(60));
        drop(stream);
    });
    // The beginning of a record of TLS, or of an answer of a proxy, and then a byte at a time.
    let dripping = |begin: &'static [u8]| {
        listener(move |mut stream| {
            let _ = stream.write_all(begin);
            while stream.write_all(b"\0").is_ok() {
                thread::sleep(DROP);
            }
        })
    };
    let server = Server::of(sound().site.clone());
    let tls = dripping(&[0x16, 3, 3, 0x3f, 0xff]);
    let answer = dripping(b"HTTP/1.1 200 Connection Established\r\nX: ");
    for (what, mirror, proxy) in [
        ("a silent handshake", format!("https://{silent}"), None),
        ("a handshake in drops", format!("https://{tls}"), None),
        ("a silent proxy", server.url(), Some(("http_proxy", silent))),
        ("a silent tunnel", "https://mirror.invalid".to_owned(), Some(("https_proxy", silent))),
        ("a tunnel in drops", "https://mirror.invalid".to_owned(), Some(("https_proxy", answer))),
    ] {
        let scene = Scene::new(0);
        let mut command = scene.build_from([mirror]).args(["--timeout", "1", "--retries", "0"]);
        if let Some((variable, proxy)) = proxy {
            command = command.env(variable, format!("http://{proxy}"));
        }
        let begin = Instant::now();
        let outcome = scene.refused(what, 4, command);
        assert!(begin.elapsed() < SOON, "{what} took {:?}: {outcome}", begin.elapsed());
    }
}
