//! What differs from a real `apk add` tree by nature: named rules for [`super::listing::diff`]. A test
//! names the ones it needs; a rule that covers nothing is a difference too.
//!
//! Source: the design, "Tests"; measured with apk 2.14.

use std::time::{SystemTime, UNIX_EPOCH};

use super::listing::{Difference, Exception, Field};

/// Device nodes: an image has none, and the reference has a `/dev` of its own while scripts run.
pub(crate) const DEVICES: Exception = Exception {
    name: "dev/*",
    reason: "an image has no device nodes",
    covers: |difference| difference.path.starts_with("dev/"),
};

/// The mode of `proc`, which has to exist before the reference's scripts run.
pub(crate) const PROC_MODE: Exception = Exception {
    name: "mode of proc",
    reason: "the reference mounts on it before it is installed",
    covers: |difference| difference.path == "proc" && difference.field == Field::Mode,
};

/// `proc` after its package was removed.
pub(crate) const PROC: Exception = Exception {
    name: "proc",
    reason: "apk mounts on it while it runs, and cannot remove it then",
    covers: |difference| difference.path == "proc" && difference.got.is_none(),
};

/// What keeps two apk apart.
pub(crate) const LOCK: Exception = Exception {
    name: "lib/apk/db/lock",
    reason: "it is held while apk runs",
    covers: |difference| difference.path == "lib/apk/db/lock",
};

/// Where apk puts a script before it runs it.
pub(crate) const EXEC: Exception = Exception {
    name: "lib/apk/exec",
    reason: "apk runs scripts from it",
    covers: |difference| below(difference.path, "lib/apk/exec"),
};

/// The cache of indexes.
pub(crate) const CACHE: Exception = Exception {
    name: "var/cache/apk",
    reason: "an image keeps no cache",
    covers: |difference| below(difference.path, "var/cache/apk"),
};

/// The log of apk 3.x.
pub(crate) const LOG: Exception = Exception {
    name: "var/log/apk.log",
    reason: "it says when apk ran",
    covers: |difference| difference.path == "var/log/apk.log",
};

/// The scripts' archive, of which 2.14 and 3.x write different names and forms.
pub(crate) const SCRIPTS_ARCHIVE: Exception = Exception {
    name: "scripts.tar",
    reason: "its form and its entries' names depend on apk's version; it is compared apart",
    covers: |difference| matches!(difference.path, "lib/apk/db/scripts.tar" | "lib/apk/db/scripts.tar.gz"),
};

/// The installed database's content.
pub(crate) const INSTALLED: Exception = Exception {
    name: "content of installed",
    reason: "it is compared apart, field by field",
    covers: |difference| difference.path == super::installed::PATH && difference.field == Field::Content,
};

/// The lines of repositories, which are written on purpose: the canonical ones that the profile used, never the
/// directories that a build read. The real apk writes none.
pub(crate) const REPOSITORIES: Exception = Exception {
    name: "etc/apk/repositories",
    reason: "an image names the public repositories it is made of, whatever was there before",
    covers: |difference| difference.path == "etc/apk/repositories",
};

/// What packages of 3.13 put below the link `var/run`, whose target is absolute: with `--root`, which is how
/// another architecture is installed, apk puts that outside of the root.
pub(crate) const BELOW_AN_ABSOLUTE_LINK: Exception = Exception {
    name: "below var/run -> /run",
    reason: "the real apk follows absolute links out of the root it is given",
    covers: |difference| {
        let is_ours_alone = difference.field == Field::Presence && difference.expected.is_none();
        is_ours_alone && difference.path.starts_with("run/")
    },
};

/// What apk itself makes in an empty root.
pub(crate) const INITIALISED: Exception = Exception {
    name: "directories of --initdb",
    reason: "apk makes them where no package brings them",
    covers: |difference| {
        let made = ["dev", "proc", "tmp", "var", "var/cache", "var/cache/misc", "var/log", "etc/apk/keys"];
        difference.got.is_none() && made.contains(&difference.path)
    },
};

/// A package's copy of a protected file that somebody changed: reported, not written.
pub(crate) const DROPPED_COPIES: Exception = Exception {
    name: "*.apk-new",
    reason: "an image has nobody to merge them",
    covers: |difference| difference.got.is_none() && difference.path.ends_with(".apk-new"),
};

/// File capabilities, which apk 2.14 sets and then loses: the kernel takes them away when the owner is set, which it
/// does last.
pub(crate) const CAPABILITIES: Exception = Exception {
    name: "security.capability",
    reason: "apk 2.14 loses it; an image has it as the package says",
    covers: |difference| {
        const NAME: &str = "security.capability";
        let (Some(expected), Some(got)) = (difference.expected, difference.got) else { return false };
        let mut without = got.xattrs.clone();
        let had = without.remove(NAME).is_some();
        difference.field == Field::Xattrs && had && without == expected.xattrs
    },
};

/// Keys of the repositories that are written, without which the image's own apk would refuse them. The real apk
/// adds none.
pub(crate) const REPOSITORY_KEYS: Exception = Exception {
    name: "keys of the repositories",
    reason: "an image that keeps apk has the keys of the repositories it names",
    covers: |difference| difference.expected.is_none() && difference.path.starts_with("etc/apk/keys/"),
};

/// The day of the last change of a password.
pub(crate) const SHADOW_DAY: Exception =
    Exception { name: "the day in shadow", reason: "adduser writes today", covers: differs_in_the_day_alone };

/// Copies that busybox makes of the files of accounts before it changes them.
pub(crate) const ACCOUNT_BACKUPS: Exception = Exception {
    name: "backups of the files of accounts",
    reason: "busybox leaves them, an image does not need them",
    covers: |difference| matches!(difference.path, "etc/passwd-" | "etc/group-" | "etc/shadow-"),
};

/// Times of files that apk writes itself.
pub(crate) const GENERATED_TIMES: Exception = Exception {
    name: "times of generated files",
    reason: "they say when apk ran; an image has the epoch there",
    covers: |difference| {
        let generated = below(difference.path, "lib/apk/db")
            || matches!(difference.path, "etc/apk/world" | "etc/apk/arch");
        generated && difference.field == Field::Modified
    },
};

/// Times of what scripts wrote.
pub(crate) const WRITTEN_TIMES: Exception = Exception {
    name: "times of what scripts wrote",
    reason: "they say when it was written; an image has the epoch there",
    covers: |difference| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
        let written =
            difference.expected.is_some_and(|entry| entry.modified.abs_diff(now.cast_signed()) < 3600);
        difference.field == Field::Modified && written
    },
};

/// Times of the base's files that are later than the image's epoch.
pub(crate) const CLAMPED_TIMES: Exception = Exception {
    name: "times after the epoch",
    reason: "an image's times are clamped to the newest build time in it",
    covers: |difference| {
        let times =
            (difference.expected.map(|entry| entry.modified), difference.got.map(|entry| entry.modified));
        difference.field == Field::Modified && matches!(times, (Some(expected), Some(got)) if got < expected)
    },
};

/// Whether `path` is `directory` or below it.
fn below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether only the third field of lines of `etc/shadow` differs, or the file's time, which changes with it.
fn differs_in_the_day_alone(difference: &Difference<'_>) -> bool {
    let (Some(expected), Some(got)) = (difference.expected, difference.got) else { return false };
    let without_day = |text: &str| -> Vec<String> {
        let fields = text.lines().map(|line| line.split(':').enumerate().filter(|(field, _)| *field != 2));
        fields.map(|fields| fields.map(|(_, value)| value).collect::<Vec<_>>().join(":")).collect()
    };
    match difference.field {
        _ if difference.path != "etc/shadow" => false,
        Field::Content => without_day(expected.text()) == without_day(got.text()),
        Field::Modified => true,
        _ => false,
    }
}
