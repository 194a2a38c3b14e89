//! Systems that refuse what the sandbox needs: it is known before a script runs, and said; another way is taken where
//! there is one.

use super::modes::{Attack, Mode};
use crate::support::data::Alpine;
use crate::support::need;

/// What the script does: it gives a file away.
const SCRIPT: &str = "chown 82:83 /etc/motd";
/// `process_vm_readv` and `process_vm_writev`, by which the supervisor reads and writes a program's memory.
const MEMORY: &str = "310,311";
/// With them `pwrite64`, by which it writes instead.
const ALL_MEMORY: &str = "310,311,18";
/// `unshare`.
const UNSHARE: &str = "272";
/// `close_range`, which Linux before 5.9 has not, and before 5.11 not with all its flags.
const CLOSE_RANGE: &str = "436";
/// A `/proc` of which something is hidden, as containers have it: then none may be mounted in a namespace.
const MASK_PROC: [&str; 6] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mount --make-rprivate / && mount -t tmpfs none /proc/tty && exec \"$@\"",
    "sh",
];

fn needed(test: &str) -> Option<Alpine> {
    let alpine = need::alpine(test)?;
    need::root(test)?;
    need::user_namespaces(test)?;
    Some(alpine)
}

/// A build as root, or as an ordinary user.
fn build(alpine: &Alpine, mode: Mode) -> Attack {
    Attack::new(alpine, mode, SCRIPT)
}

/// `memfd_create`.
const FILES_IN_MEMORY: &str = "319";
/// A directory `$0` in which nothing may be executed.
const FORBID_EXECUTION: &str = "mount --make-rprivate / && mount --bind \"$0\" \"$0\" && \
    mount -o remount,bind,noexec \"$0\" && exec \"$@\"";

/// Who owns the file that the script gives away.
fn owner(attack: &Attack) -> (u32, u32) {
    let listing = crate::support::listing::Listing::of_tar_file(&attack.dir.join("tree.tar"));
    let entry = listing.entry("etc/motd");
    (entry.uid, entry.gid)
}

#[test]
fn a_supervisor_that_cannot_read_memory_is_found_out_before_a_script_is_told_wrong() {
    let Some(alpine) = needed("a_supervisor_that_cannot_read_memory") else { return };
    let attack = build(&alpine, Mode::Auto);
    let refuse =
        [attack.refuser().to_string_lossy().into_owned(), "refuse".to_owned(), ALL_MEMORY.to_owned()];

    let outcome = attack.command().under(&refuse).fails_with(7);

    let said = outcome.stderr_text();
    assert!(
        said.contains("package script cannot be run") || said.contains("package scripts cannot be run"),
        "{outcome}"
    );
    assert!(said.contains(&format!("{}-1-r0.post-install", attack.package)), "{outcome}");
    assert!(said.contains("kernel.yama.ptrace_scope"), "{outcome}");
    assert!(!attack.dir.join("tree.tar").exists());
    let warned = attack.command().args(["--scripts", "warn"]).under(&refuse).success();
    assert!(warned.stderr_text().contains("cannot be run"), "{warned}");
    assert_eq!(owner(&attack), (0, 0));
}

#[test]
fn memory_is_read_as_a_file_where_the_call_for_it_is_refused() {
    let Some(alpine) = needed("memory_is_read_as_a_file_where_the_call_for_it_is_refused") else { return };
    for mode in [Mode::Root, Mode::Chroot] {
        let attack = build(&alpine, mode);
        let command = attack.command();
        command.under([attack.refuser().as_os_str(), "refuse".as_ref(), MEMORY.as_ref()]).success();
        assert_eq!(owner(&attack), (82, 83), "{mode:?}");
    }
}

#[test]
fn root_goes_below_another_root_directory_where_namespaces_or_a_proc_of_their_own_are_refused() {
    let Some(alpine) = needed("root_goes_below_another_root_directory") else { return };
    let attack = build(&alpine, Mode::Auto);
    let refuse = [attack.refuser().to_string_lossy().into_owned(), "refuse".to_owned(), UNSHARE.to_owned()];
    let masked = MASK_PROC.map(str::to_owned);

    for (under, words) in [
        (&refuse[..], "cannot make namespaces: Operation not permitted"),
        (&masked[..], "cannot mount /proc: Operation not permitted"),
    ] {
        let outcome = attack.command().under(under).success();
        let said = outcome.stderr_text();
        assert!(said.contains("shut in by chroot alone") && said.contains(words), "{outcome}");
        assert_eq!(owner(&attack), (82, 83), "{outcome}");
        std::fs::remove_file(attack.dir.join("tree.tar")).unwrap();
    }
}

#[test]
fn an_older_kernel_closes_what_is_open_one_by_one() {
    let Some(alpine) = needed("an_older_kernel_closes_what_is_open_one_by_one") else { return };
    let script = "ls /proc/self/fd | wc -l >/open";
    let counted = |under: Option<&str>| {
        let attack = Attack::new(&alpine, Mode::Root, script);
        let command = attack.command();
        let command = match under {
            Some(calls) => command.under([attack.refuser().as_os_str(), "refuse".as_ref(), calls.as_ref()]),
            None => command,
        };
        command.success();
        let listing = crate::support::listing::Listing::of_tar_file(&attack.dir.join("tree.tar"));
        listing.text("open").trim().to_owned()
    };
    assert_eq!(counted(Some(CLOSE_RANGE)), counted(None));
}

#[test]
fn an_ordinary_user_is_told_what_is_refused_and_which_scripts_that_concerns() {
    let Some(alpine) = needed("an_ordinary_user_is_told_what_is_refused") else { return };
    let attack = build(&alpine, Mode::User);
    let masked = attack.command().under(MASK_PROC).fails_with(7);
    let chroot = attack.command().args(["--sandbox", "chroot"]).fails_with(7);
    for (outcome, words) in [(&masked, "cannot mount /proc"), (&chroot, "cannot change the root directory")] {
        let said = outcome.stderr_text();
        assert!(said.contains(words) && said.contains("hint: "), "{outcome}");
        assert!(said.contains(&format!("{}-1-r0.post-install", attack.package)), "{outcome}");
    }
}

#[test]
fn a_helper_of_which_no_copy_can_be_executed_is_an_error_with_both_reasons() {
    let Some(alpine) = needed("a_helper_of_which_no_copy_can_be_executed_is_an_error") else { return };
    let attack = build(&alpine, Mode::Root);
    let refuse = [attack.refuser().into_os_string(), "refuse".into(), FILES_IN_MEMORY.into()];
    let forbid = ["unshare", "--mount", "sh", "-c", FORBID_EXECUTION].map(std::ffi::OsString::from);
    let place = [attack.dir.path().into_os_string()];

    let outcome = attack.command().under(refuse).under(forbid.into_iter().chain(place)).fails_with(7);

    let said = outcome.stderr_text();
    assert!(said.contains("in memory: cannot make a file in memory: Operation not permitted"), "{outcome}");
    assert!(said.contains("on disk: cannot execute it: Permission denied"), "{outcome}");
}
