//! The composer stopped while a script runs: by a signal that it hears, and by one that it does not.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::host;
use super::modes::{Attack, MODES};
use crate::support::need;

/// How long the composer may take to go.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn who_stops_the_composer_stops_the_script() {
    let test = "who_stops_the_composer_stops_the_script";
    let Some(alpine) = need::alpine(test) else { return };
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    for mode in MODES {
        // Two of them, of which one is nobody's child any more.
        let attack = Attack::new(&alpine, mode, "(ATTACKER daemon &) ; exec ATTACKER hang");
        // What the one leaves that is killed is removed by the next.
        for signal in ["KILL", "INT", "TERM"] {
            let mut composer = attack
                .command()
                .to_command()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut words = BufReader::new(composer.stderr.take().unwrap());
            let mut said = String::new();
            while !said.contains("waiting") || !said.contains("still here") {
                assert_ne!(words.read_line(&mut said).unwrap(), 0, "{mode:?}: {said}");
            }
            // What is said further is nobody's business, but is read.
            std::thread::spawn(move || std::io::copy(&mut words, &mut std::io::sink()));
            let number = composer.id().to_string();
            let sent =
                std::process::Command::new("kill").args([format!("-{signal}"), number]).status().unwrap();
            assert!(sent.success());
            let status = ended(&mut composer);
            host::wait_until_gone(&attack.package);
            let mut left = attack.dir.names();
            left.retain(|name| name.starts_with('.') || name == "tree.tar");
            if signal == "KILL" {
                assert_eq!(status, None, "{mode:?}");
                assert!(!left.is_empty(), "{mode:?}");
            } else {
                assert_eq!(status, Some(130), "{mode:?} {signal}");
                assert_eq!(left, Vec::<String>::new(), "{mode:?} {signal}");
            }
        }
    }
}

/// The composer's exit code; none if a signal ended it.
fn ended(composer: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = composer.try_wait().unwrap() {
            return status.code();
        }
        assert!(begun.elapsed() < PATIENCE, "the composer does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}
