//! Attacks from a package's script, each in every mode: contained, with the composer alive and a clear end.

use std::ffi::OsStr;

use super::modes::{Attack, MODES, Mode};
use crate::support::data::Alpine;
use crate::support::listing::Kind;
use crate::support::need;

/// Runs `check` of an attack by `text` in every mode.
fn in_all_modes(test: &str, text: &str, check: impl Fn(Mode, Attack) + Sync) {
    let Some(alpine) = need::alpine(test) else { return };
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    let (alpine, check): (&Alpine, _) = (&alpine, &check);
    for mode in MODES {
        check(mode, Attack::new(alpine, mode, text));
    }
}

/// The attempts of a report that came to something.
fn done(report: &str) -> Vec<&str> {
    report.lines().filter(|line| line.ends_with(" done") || line.contains(" reached ")).collect()
}

#[test]
fn nothing_that_is_refused_is_done() {
    let test = "nothing_that_is_refused_is_done";
    in_all_modes(test, "exec ATTACKER attempts HOST > /report", |mode, attack| {
        let attacked = attack.with_filled_store().run();
        attacked.ends_with(0, "").within(60);
        let report = attacked.report();
        assert_eq!(done(&report), Vec::<&str>::new(), "{mode:?}\n{report}");
        assert!(report.lines().filter(|line| line.contains(" refused ")).count() > 450, "{mode:?}\n{report}");
    });
}

#[test]
fn a_script_that_the_helper_runs_changes_nothing_of_it() {
    let test = "a_script_that_the_helper_runs_changes_nothing_of_it";
    let Some(alpine) = need::alpine(test) else { return };
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    for mode in MODES {
        for interpreter in
            ["/proc/self/exe", "/proc/thread-self/exe", "/proc/1/exe", "/proc/2/exe", "/proc/self/fd/3"]
        {
            let attacked = Attack::by_loader(&alpine, mode, interpreter).with_filled_store().run();
            let words = attacked.outcome.stderr_text();
            assert_eq!(done(&words), Vec::<&str>::new(), "{mode:?} {interpreter}\n{words}");
            // Where there is a /proc it runs as it did, but by a copy of the helper.
            if matches!(mode, Mode::Root | Mode::User) && interpreter == "/proc/self/exe" {
                attacked.ends_with(0, "runs as /memfd:apkcompose");
                assert!(words.contains("exe-fchmod refused 001") && words.contains(": end"), "{words}");
            } else if !words.contains(": end") {
                attacked.ends_with(7, "could not be executed");
            }
        }
    }
}

#[test]
fn a_helper_that_cannot_be_executed_in_memory_is_copied_to_disk() {
    let test = "a_helper_that_cannot_be_executed_in_memory_is_copied_to_disk";
    let Some(alpine) = need::alpine(test) else { return };
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    for mode in [Mode::Root, Mode::Chroot] {
        let attack = Attack::new(&alpine, mode, "readlink /proc/1/exe; echo ran");
        let refuser = attack.refuser();
        // `memfd_create`.
        attack.command().under([refuser.as_os_str(), "refuse".as_ref(), "319".as_ref()]).success();
        let attack = Attack::by_loader(&alpine, mode, "/proc/self/exe");
        let refuser = attack.refuser();
        let outcome = attack.command().under([refuser.as_os_str(), "refuse".as_ref(), "319".as_ref()]).run();
        let words = outcome.stderr_text();
        assert_eq!(done(&words), Vec::<&str>::new(), "{mode:?}\n{words}");
        if mode == Mode::Root {
            assert!(words.contains("exe-fchmod refused 001") && words.contains(" (deleted)"), "{words}");
        }
    }
}

/// Registers `$1` as what runs files that begin with `EMULATED`, in a namespace where that is nobody else's matter.
const REGISTER: &str = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && \
    printf ':emulated:M::EMULATED::%s:F' \"$1\" >/proc/sys/fs/binfmt_misc/register && shift && exec \"$@\"";

#[test]
fn what_runs_programs_of_a_foreign_processor_is_not_changed() {
    let test = "what_runs_programs_of_a_foreign_processor_is_not_changed";
    let Some(alpine) = need::alpine(test) else { return };
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    for mode in [Mode::Root, Mode::Chroot] {
        let text = "printf EMULATED >/emulated; chmod 755 /emulated; exec /emulated >/report";
        let attack = Attack::new(&alpine, mode, text);
        let handler = attack.refuser();
        let namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", REGISTER, "sh"];
        let mut under: Vec<&OsStr> = namespace.iter().map(OsStr::new).collect();
        under.push(handler.as_os_str());
        let attacked = attack.run_under(&under);
        attacked.ends_with(0, "");
        let report = attacked.report();
        assert_eq!(done(&report), Vec::<&str>::new(), "{mode:?}\n{report}");
        if mode == Mode::Root {
            assert!(
                report.contains("refuser") && report.contains("change-open-handler refused 1"),
                "{report}"
            );
        }
    }
}

#[test]
fn root_where_namespaces_are_forbidden_is_warned() {
    let Some(alpine) = need::alpine("root_where_namespaces_are_forbidden_is_warned") else { return };
    if need::root("root_where_namespaces_are_forbidden_is_warned").is_none() {
        return;
    }
    let attacked = Attack::new(&alpine, Mode::Forbidden, "echo here I am").run();
    attacked.ends_with(0, "shut in by chroot alone");
}

#[test]
fn a_path_that_changes_after_it_was_looked_at_leads_nowhere() {
    let test = "a_path_that_changes_after_it_was_looked_at_leads_nowhere";
    in_all_modes(test, "exec ATTACKER race HOST > /report", |_, attack| {
        let attacked = attack.run();
        attacked.ends_with(0, "").within(30);
        attacked.report();
    });
}

#[test]
fn a_bomb_of_processes_is_defused() {
    let test = "a_bomb_of_processes_is_defused";
    in_all_modes(test, "exec ATTACKER fork-bomb", |_, attack| {
        attack.run().ends_with(8, "more than the limit of 1024 processes and threads").within(45);
    });
}

#[test]
fn a_bomb_of_threads_is_defused() {
    let test = "a_bomb_of_threads_is_defused";
    in_all_modes(test, "exec ATTACKER thread-bomb", |_, attack| {
        attack.run().ends_with(8, "more than the limit of 1024 processes and threads").within(45);
    });
}

#[test]
fn a_daemon_ends_with_the_script() {
    let test = "a_daemon_ends_with_the_script";
    in_all_modes(test, "ATTACKER daemon; ATTACKER headless; echo over", |_, attack| {
        attack.run().ends_with(0, "I am still here").within(30);
    });
}

#[test]
fn what_does_not_end_is_ended() {
    let test = "what_does_not_end_is_ended";
    in_all_modes(test, "trap '' TERM INT HUP; ATTACKER stop-me & exec ATTACKER hang", |_, attack| {
        attack.seconds(2).run().ends_with(8, "took longer than the limit of 2 seconds").within(20);
    });
}

#[test]
fn a_flood_of_output_is_cut() {
    let test = "a_flood_of_output_is_cut";
    let text = "printf 'see \\033[2J\\033]0;owned\\007\\r\\x1b[31m\\302\\2332J\\n'; head -c 3000000 /dev/zero | tr '\\0' x; \
                echo; yes no | head -n 100000; exit 3";
    in_all_modes(test, text, |_, attack| {
        let attacked = attack.run();
        attacked.ends_with(7, "status 3").within(30);
        let words = attacked.outcome.stderr_text();
        assert!(words.len() < 300_000, "{} bytes", words.len());
        assert!(!words.contains('\x1b') && !words.contains('\u{9b}') && !words.contains('\x07'), "{words}");
    });
}

#[test]
fn a_script_that_takes_its_own_output_is_ended() {
    let Some(alpine) = need::alpine("a_script_that_takes_its_own_output_is_ended") else { return };
    if need::root("a_script_that_takes_its_own_output_is_ended").is_none() {
        return;
    }
    // Only where there is a /proc can the output be opened anew.
    let attack = Attack::new(&alpine, Mode::Root, "exec ATTACKER steal-output").seconds(2);
    attack.run().ends_with(8, "took longer than the limit of 2 seconds").within(20);
}

#[test]
fn a_root_that_deletes_itself_is_contained() {
    let test = "a_root_that_deletes_itself_is_contained";
    in_all_modes(test, "rm -rf / 2>/dev/null; exit 0", |_, attack| {
        // Without its database the tree is none.
        let attacked = attack.run();
        attacked.within(30);
        assert!(matches!(attacked.outcome.code(), Some(0 | 5 | 7)), "{}", attacked.outcome);
    });
}

#[test]
fn directories_that_become_links_lead_nowhere() {
    let test = "directories_that_become_links_lead_nowhere";
    let text = "ATTACKER names; b=/bin/busybox; $b cp /lib/ld-musl-x86_64.so.1 /bin/; \
                $b rm -rf /lib/apk/exec; $b ln -s ../../../../../../../tmp /lib/apk/exec; \
                $b rm -rf /dev /tmp 2>/dev/null; $b ln -s / /dev 2>/dev/null; $b ln -s ../../.. /tmp 2>/dev/null; exit 0";
    in_all_modes(test, text, |_, attack| {
        let attacked = attack.run();
        attacked.within(30);
        assert!(matches!(attacked.outcome.code(), Some(0 | 5 | 7)), "{}", attacked.outcome);
    });
}

#[test]
fn what_is_odd_is_taken_over_as_it_is() {
    let test = "what_is_odd_is_taken_over_as_it_is";
    in_all_modes(test, "exec ATTACKER odd > /report", |mode, attack| {
        let attacked = attack.run();
        attacked.report();
        let tree = attacked.tree();
        assert_eq!(tree.text(&"n".repeat(255)), "long", "{mode:?}");
        assert_eq!(tree.entry("long-target").link.as_deref(), Some("t".repeat(4095).as_str()));
        assert_eq!((tree.entry("closed-file").mode, tree.text("closed-file")), (0, "closed"));
        assert_eq!((tree.entry("closed").mode, tree.text("closed/file")), (0, "in it"));
        assert_eq!(tree.entry("closed/below").mode, 0);
        assert_eq!(tree.entry("fifo").kind, Kind::Pipe);
        // Images have neither, and the user is told of the device.
        attacked.ends_with(0, "device nodes are left out of the image: /device");
        assert!(tree.get("device").is_none() && tree.get("socket").is_none());
    });
}

#[test]
fn names_that_no_image_may_have_are_refused_by_name() {
    let test = "names_that_no_image_may_have_are_refused_by_name";
    let Some(alpine) = need::alpine(test) else { return };
    if need::root(test).is_none() || need::user_namespaces(test).is_none() {
        return;
    }
    let kinds = [
        "newline",
        "escape",
        "not-text",
        "whiteout",
        "opaque",
        "whiteout-device",
        "link-not-text",
        "link-newline",
        "attribute",
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let mode = if number % 2 == 0 { Mode::User } else { Mode::Chroot };
        let attacked = Attack::new(&alpine, mode, &format!("exec ATTACKER names {kind}")).run();
        attacked.within(20);
        assert_eq!(attacked.outcome.code(), Some(5), "{kind}: {}", attacked.outcome);
        assert!(!attacked.outcome.stderr_text().contains('\x1b'));
    }
}

#[test]
fn a_very_deep_tree_is_refused_and_gone() {
    let test = "a_very_deep_tree_is_refused_and_gone";
    in_all_modes(test, "exec ATTACKER deep", |_, attack| {
        attack.run().ends_with(8, "directories deep").within(60);
    });
}

#[test]
fn sparse_files_are_refused_before_they_are_read() {
    let test = "sparse_files_are_refused_before_they_are_read";
    in_all_modes(test, "ATTACKER one-file; exec ATTACKER sparse", |_, attack| {
        attack.run().ends_with(8, "").within(30);
    });
}

#[test]
fn a_program_of_a_script_that_writes_too_large_a_file_passes_the_limit_of_space() {
    let test = "a_program_of_a_script_that_writes_too_large_a_file_passes_the_limit_of_space";
    in_all_modes(test, "truncate -s 1099511627776 /large", |_, attack| {
        attack.run().ends_with(8, "").within(30);
    });
}
