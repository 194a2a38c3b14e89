//! Somebody interrupts a build that waits: it ends at once, and nothing of it is left.

use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{BASE, INDEX, PACKAGE, SIDECAR, Scene};
use crate::support::command::TestCommand;
use crate::support::server::answer::Answer;
use crate::support::server::fault::{Fault, Point, Then, Times};

/// How long ending may take.
const PROMPT: Duration = Duration::from_secs(1);

/// Interrupts `command` when `is_waiting`, and asserts that it ends as it should.
fn interrupted(scene: &Scene, what: &str, command: &TestCommand<'_>, is_waiting: impl Fn() -> bool) {
    let before = scene.dir.names();
    let mut command = command.to_command();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    while !is_waiting() {
        assert!(child.try_wait().unwrap().is_none(), "{what}: it did not wait");
        thread::sleep(Duration::from_millis(5));
    }
    // What came of the request is on its way through the client.
    thread::sleep(Duration::from_millis(100));

    let begin = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();

    let taken = begin.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{what}: {said}");
    assert!(taken < PROMPT, "{what}: it took {taken:?}");
    assert_eq!(scene.dir.names(), before, "{what}");
    scene.store_is_sound(what);
}

#[test]
fn a_build_that_waits_for_the_network_is_interrupted_at_once() {
    let silent = |point| Fault::stop(point, Then::Stall);
    let busy = || Fault::instead(Answer::page(503).with("Retry-After", "50"));
    for (what, path, fault) in [
        ("an index that does not come", INDEX, silent(Point::Head(0))),
        ("a package that does not come", PACKAGE, silent(Point::Head(0))),
        ("a package that stopped", PACKAGE, silent(Point::Middle)),
        ("a base that stopped", BASE, silent(Point::Middle)),
        ("a sidecar that does not come", SIDECAR, silent(Point::Body(0))),
        ("a package in drops", PACKAGE, Fault::drip(1, Duration::from_millis(10))),
        ("a package that is to be asked for later", PACKAGE, busy()),
        ("an index that is to be asked for later", INDEX, busy()),
    ] {
        let scene = Scene::new(1);
        scene.mirror().plan(path, Times::Always, fault);

        interrupted(&scene, what, &scene.build(), || !scene.mirror().log().of(path).is_empty());

        scene.mirror().mend();
        scene.builds(&format!("the build after {what}"), scene.build());
    }
}

#[test]
fn a_build_that_waits_for_a_handshake_is_interrupted_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let scene = Scene::new(0);
    let command = scene.build_from([format!("https://{}", listener.local_addr().unwrap())]);
    let accepted = std::cell::RefCell::new(None);

    interrupted(&scene, "a handshake", &command, || {
        let mut accepted = accepted.borrow_mut();
        *accepted = accepted.take().or_else(|| listener.accept().ok());
        accepted.is_some()
    });
}
