//! Trees with scripts and triggers run, against the real apk's: real packages, and small made ones that write down when
//! they run, with which arguments and on which files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use apkcompose::apk::package::ScriptKind;
use serde_json::Value;

use super::workshop::{Package, Workshop, package, workshop};
use super::{LATE, NOT_WITH_THE_OTHERS, OurTree, Ours, assert_equal, indexed_names, scripts};
use crate::support::data::Alpine;
use crate::support::exceptions::{
    ACCOUNT_BACKUPS, CACHE, DEVICES, DROPPED_COPIES, EXEC, GENERATED_TIMES, LOCK, REPOSITORIES,
    REPOSITORY_KEYS, SCRIPTS_ARCHIVE, SHADOW_DAY, WRITTEN_TIMES,
};
use crate::support::listing::{Exception, Field, Listing};
use crate::support::reference::{self, Reference, ReferenceTree};
use crate::support::{installed, need};

/// What differs from a tree over a base.
const OVER_A_BASE: [Exception; 3] = [REPOSITORIES, SCRIPTS_ARCHIVE, GENERATED_TIMES];
/// What differs from a tree made from nothing.
const FROM_SCRATCH: [Exception; 7] =
    [DEVICES, EXEC, LOCK, CACHE, REPOSITORIES, SCRIPTS_ARCHIVE, GENERATED_TIMES];

/// What differs where scripts make accounts.
const WITH_ACCOUNTS: [Exception; 3] = [SHADOW_DAY, ACCOUNT_BACKUPS, WRITTEN_TIMES];

/// Holds `packages` with their scripts, over the minirootfs, against the real apk.
fn over_minirootfs_equals(alpine: &Alpine, packages: &[&str], more: &[Exception]) {
    let reference = reference::minirootfs(alpine).repository("v3.19/main").repository("v3.19/community");
    let reference = reference.add(packages);

    let ours = Ours::minirootfs(alpine, "", packages.iter().copied()).with_scripts().tree();

    let repositories = ["v3.19/main/x86_64", "v3.19/community/x86_64"].map(|path| alpine.repository(path));
    let repositories = repositories.each_ref().map(PathBuf::as_path);
    assert_equal(&reference, &ours, &[&OVER_A_BASE, more].concat(), &repositories);
}

/// Holds `packages` of the ISO's repository with their scripts against the real apk's, from nothing.
fn from_scratch_equals(alpine: &Alpine, packages: &[&str], more: &[Exception]) -> OurTree {
    let reference = reference::scratch(alpine, "x86_64").repository("iso-3.19.1").add(packages);

    let ours = Ours::scratch(alpine, "iso-3.19.1", "x86_64", packages.iter().copied()).with_scripts().tree();

    let repository = alpine.repository("iso-3.19.1/x86_64");
    assert_equal(&reference, &ours, &[&FROM_SCRATCH, more].concat(), &[&repository]);
    ours
}

#[test]
fn openssh_and_git_equal_the_real_apks() {
    let Some(alpine) = need::apk("openssh_and_git_equal_the_real_apks") else { return };
    over_minirootfs_equals(&alpine, &["openssh", "git"], &[WRITTEN_TIMES]);
}

#[test]
fn services_equal_the_real_apks() {
    let Some(alpine) = need::apk("services_equal_the_real_apks") else { return };
    over_minirootfs_equals(&alpine, &["doas", "eudev", "openrc", "dhcpcd"], &WITH_ACCOUNTS);
}

#[test]
fn certificates_equal_the_real_apks() {
    let Some(alpine) = need::apk("certificates_equal_the_real_apks") else { return };
    over_minirootfs_equals(&alpine, &["ca-certificates"], &[WRITTEN_TIMES]);
}

#[test]
fn a_web_server_and_php_of_a_tagged_repository_equal_the_real_apks() {
    let test = "a_web_server_and_php_of_a_tagged_repository_equal_the_real_apks";
    let Some(alpine) = need::apk(test) else { return };
    let packages = ["nginx@php7", "php7-fpm@php7"];
    let reference = reference::minirootfs(&alpine).repository("v3.19/main").repository("v3.19/community");
    let reference = reference.tagged("php7", "php7").key(alpine.php7_key()).add(&packages);
    let more = format!(
        "repositories = [\"main\", \"community\", \"@php7 {}\"]\nkeys = ['{}']",
        alpine.repository("php7").display(),
        alpine.php7_key().display()
    );

    let ours = Ours::minirootfs(&alpine, &more, packages).with_scripts();
    let ours = ours.with("repositories = [\"@php7 https://example.org/php7\"]\n").tree();

    let repositories = ["v3.19/main/x86_64", "v3.19/community/x86_64", "php7/x86_64"];
    let repositories = repositories.map(|path| alpine.repository(path));
    let exceptions = [&OVER_A_BASE[..], &WITH_ACCOUNTS, &[REPOSITORY_KEYS]].concat();
    assert_equal(&reference, &ours, &exceptions, &repositories.each_ref().map(PathBuf::as_path));
}

#[test]
fn an_account_that_a_script_makes_owns_what_comes_after_it() {
    let Some(alpine) = need::apk("an_account_that_a_script_makes_owns_what_comes_after_it") else { return };
    let ours = from_scratch_equals(&alpine, &["chrony", "tzdata", "alpine-base"], &WITH_ACCOUNTS);

    let directory = ours.listing.entry("var/lib/chrony");
    assert_eq!((directory.uid, directory.gid), (100, 101));
    let day = LATE.parse::<i64>().unwrap() / 86_400;
    let line = ours.listing.text("etc/shadow").lines().find(|line| line.starts_with("chrony:")).unwrap();
    assert_eq!(line, format!("chrony:!:{day}:0:99999:7:::"));
}

#[test]
fn all_packages_of_an_iso_that_agree_equal_the_real_apks() {
    let Some(alpine) = need::apk("all_packages_of_an_iso_that_agree_equal_the_real_apks") else { return };
    let names = indexed_names(&alpine.repository("iso-3.19.1"), "x86_64");
    let packages: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !NOT_WITH_THE_OTHERS.contains(name)).collect();
    assert_eq!(packages.len(), 98);
    from_scratch_equals(&alpine, &packages, &WITH_ACCOUNTS);
}

/// The strings of the list `key` in a report.
fn listed(report: &Value, key: &str) -> Vec<String> {
    serde_json::from_value(report[key].clone()).unwrap_or_else(|error| panic!("{key}: {error}: {report}"))
}

#[test]
fn each_script_that_the_real_apk_runs_is_run_or_applied_in_its_order() {
    let test = "each_script_that_the_real_apk_runs_is_run_or_applied_in_its_order";
    let Some(alpine) = need::apk(test) else { return };
    let packages = ["alpine-base", "chrony", "dhcpcd", "openssh", "tiny-cloud-alpine"];
    let reference = reference::scratch(&alpine, "x86_64").repository("iso-3.19.1").add(&packages);
    let executed = reference.apk_output.lines().filter_map(|line| line.strip_prefix("Executing "));
    let executed: Vec<&str> = executed.collect();
    assert!(executed.len() > 7, "{executed:?}");

    let report = Ours::scratch(&alpine, "iso-3.19.1", "x86_64", packages).with_scripts().report();

    let lists = ["scripts_run", "scripts_applied"].map(|key| listed(&report, key));
    for list in &lists {
        assert!(!list.is_empty(), "{report}");
        let in_order = executed.iter().filter(|script| list.iter().any(|ours| ours == **script));
        assert_eq!(in_order.copied().collect::<Vec<_>>(), *list);
    }
    let expected: BTreeSet<&str> = executed.iter().copied().collect();
    assert_eq!(lists.iter().flatten().map(String::as_str).collect::<BTreeSet<_>>(), expected);
}

#[test]
fn nothing_is_materialised_where_no_script_has_to_run() {
    let Some(alpine) = need::alpine("nothing_is_materialised_where_no_script_has_to_run") else { return };
    let build =
        |packages: &[&str]| Ours::minirootfs(&alpine, "", packages.iter().copied()).with_scripts().report();
    let counted = |report: &Value| -> Vec<u64> {
        ["runs", "pushed_entries", "pushed_bytes", "pulled_entries", "pulled_bytes"]
            .map(|key| report["materialised"][key].as_u64().unwrap())
            .to_vec()
    };

    let (applied, run) = (build(&["coreutils"]), build(&["ca-certificates"]));

    assert_eq!((counted(&applied), listed(&applied, "scripts_run")), (vec![0; 5], vec![]));
    assert_eq!(listed(&applied, "scripts_applied"), ["busybox-1.36.1-r19.trigger"]);
    assert!(counted(&run)[1..4].iter().all(|count| *count > 0), "{run}");
    assert_eq!(run["materialised"]["runs"], 1);
}

/// What installs a package, of the scripts that are kept in the database of `tree`.
fn installing(tree: &OurTree) -> BTreeSet<String> {
    let without_identity = |name: String| {
        let (package, rest) = name.rsplit_once(".Q1").unwrap();
        let (_, kind) = rest.rsplit_once('.').unwrap();
        format!("{package}.{kind}")
    };
    let names = scripts(&tree.listing).into_keys().map(without_identity);
    names.filter(|name| name.ends_with("-install")).collect()
}

#[test]
fn scripts_for_a_machine_that_is_not_this_one_are_named_or_applied() {
    let test = "scripts_for_a_machine_that_is_not_this_one_are_named_or_applied";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(()) = need::no_handler(test, "aarch64") else { return };
    let packages = ["alpine-base", "chrony", "openssh"];
    let ours = || Ours::scratch(&alpine, "rpi-3.13.4", "aarch64", packages);
    let kept = installing(&ours().tree());

    let refused = ours().with_scripts().run();
    let report = ours().with_scripts_that_may_fail().report();
    let warned = ours().with_scripts_that_may_fail().run();

    let lists = ["scripts_not_run", "scripts_applied"].map(|key| listed(&report, key));
    assert!(!lists[0].is_empty(), "{report}");
    let named = lists.iter().flatten().filter(|script| script.ends_with("-install")).cloned();
    assert_eq!(named.collect::<BTreeSet<_>>(), kept);
    assert_eq!(listed(&report, "scripts_run"), [""; 0]);
    assert_eq!(refused.code(), Some(7), "{refused}");
    let words = refused.stderr_text();
    insta::assert_snapshot!(words.split_once("error: ").map(|(_, words)| words).unwrap_or_default());
    for script in &lists[0] {
        assert!(words.contains(&format!("  {script}\n")), "{script}: {words}");
    }
    assert_eq!(warned.code(), Some(0), "{warned}");
    assert!(warned.stderr_text().contains("package scripts cannot be run"), "{warned}");
}

/// Writes down which script it is, its arguments, and what is there just then.
const NOTES: &str = "#!/bin/sh
echo \"${0##*/} $* / $(cd /opt && echo */*) / $(cat /etc/*.note)\" >>/var/log/scripts
";
/// The same for triggers, whose directories apk 2.14 gives in no order.
const TRIGGER_NOTES: &str = "#!/bin/sh
echo \"${0##*/} $(printf '%s\\n' \"$@\" | sort | tr '\\n' ' ')\" >>/var/log/scripts
";
/// What the scripts of made packages write.
const LOG: &str = "var/log/scripts";
/// What differs from a tree of made packages over one that has the minirootfs in it.
const OVER_OUR_OWN: [Exception; 3] = [SCRIPTS_ARCHIVE, GENERATED_TIMES, WRITTEN_TIMES];
/// apk 2.14 writes the triggers of packages in no order.
const TRIGGER_ORDER: Exception = Exception {
    name: "order of triggers",
    reason: "apk 2.14 writes them in hash-table order",
    covers: |difference| {
        let (Some(expected), Some(got)) = (difference.expected, difference.got) else { return false };
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        difference.path == "lib/apk/db/triggers"
            && difference.field == Field::Content
            && lines(expected.text()) == lines(got.text())
    },
};

/// A package with a file of its own, every script there is, and triggers for `globs`.
fn noted(name: &str, version: &str, globs: &[&str]) -> Package {
    let scripts = ScriptKind::ALL.into_iter().map(|kind| {
        let is_trigger = kind == ScriptKind::Trigger;
        (kind, if is_trigger { TRIGGER_NOTES } else { NOTES })
    });
    let one = package(name).version(version).file(&format!("opt/{name}/of-{version}"), name);
    let one = scripts.fold(one, |one, (kind, text)| one.script(kind, text));
    globs.iter().fold(one, |one, glob| one.trigger(glob))
}

/// Two repositories of made packages, and the minirootfs with those of the first.
struct Steps {
    workshop: Workshop,
    second: PathBuf,
    base: PathBuf,
    /// Keeps the base.
    _first: Ours,
}

impl Steps {
    fn new(workshop: Workshop, first: &[Package], world: &[&str], second: &[Package]) -> Self {
        let repositories = [("first", first), ("second", second)];
        let [first, second] = repositories.map(|(name, packages)| workshop.repository(name, packages));
        let first = Ours::minirootfs(&workshop.alpine, &table(&workshop, &first), world.iter().copied());
        first.tree();
        let edited =
            workshop.edited(&first.dir.join("tree.tar"), "for f in etc/*.note; do echo mine >>$f; done");
        let base = workshop.compressed(&edited);
        Self { workshop, second, base, _first: first }
    }

    /// The real apk over the base, with the second repository.
    fn apk(&self) -> Reference {
        let apk = reference::inside_tar(&self.workshop.alpine, &self.base);
        apk.repository(&self.second).key(self.workshop.key())
    }

    /// Ours with `packages` over the base, with the second repository.
    fn ours(&self, packages: &[&str]) -> Ours {
        let table = format!("base = '{}'\n{}", self.base.display(), table(&self.workshop, &self.second));
        Ours::minirootfs(&self.workshop.alpine, &table, packages.iter().copied())
    }

    fn assert_equal(&self, reference: &ReferenceTree, ours: &OurTree, exceptions: &[Exception]) {
        assert_equal(reference, ours, exceptions, &[&self.second.join("x86_64")]);
    }
}

fn table(workshop: &Workshop, repository: &Path) -> String {
    format!("repositories = ['{}']\nkeys = ['{}']", repository.display(), workshop.key().display())
}

#[test]
fn scripts_of_what_comes_goes_and_changes_run_in_the_real_apks_order_on_the_same_files() {
    let test = "scripts_of_what_comes_goes_and_changes_run_in_the_real_apks_order_on_the_same_files";
    let Some(workshop) = workshop(test) else { return };
    let rebuilt = |content: &str| noted("rebuilt", "1-r0", &[]).file("opt/rebuilt/content", content);
    let configured = |version: &str| noted("up", version, &["/opt/*"]).file("etc/up.note", version);
    let first = [
        configured("1-r0").depends("old-way").file("opt/up/gone", "").file("opt/up-1/f", ""),
        noted("down", "3-r0", &[]).file("opt/down-3/f", ""),
        rebuilt("first"),
        noted("old-way", "1-r0", &[]).file("opt/way/f", "old"),
        noted("goes", "1-r0", &["/opt/*"]).depends("needed").file("etc/goes.note", "1"),
        noted("needed", "1-r0", &[]).directory("srv/needed", 0o755),
        noted("watches", "1-r0", &["/opt/*", "/srv/*"]).depends("z-first"),
        noted("z-first", "1-r0", &["/opt/*"]),
        noted("waits", "1-r0", &["/opt/nothing"]),
        noted("empties", "1-r0", &["/opt/*"]),
    ];
    let new = rebuilt("second");
    let identity = new.made().expected.identity;
    let second = [
        configured("2-r0").depends("new-way").file("etc/new.note", "2"),
        noted("down", "1-r0", &[]),
        new,
        noted("new-way", "1-r0", &["/opt/up"])
            .replaces("old-way")
            .depends("!old-way")
            .file("opt/way/f", "new"),
        noted("watches", "1-r0", &["/opt/*", "/srv/*"]).depends("z-first"),
        noted("z-first", "1-r0", &["/opt/*"]),
        package("empties").version("2-r0").depends("z-first").origin(""),
        noted("comes", "1-r0", &["/usr/share/*"]).install_if("up").install_if("down"),
    ];
    let world = ["up", "down", "rebuilt", "goes", "watches", "waits", "empties"];
    let steps = Steps::new(workshop, &first, &world, &second);
    let rebuilt = format!("rebuilt><{identity}");

    let wanted = ["!goes", "down=1-r0", &rebuilt, "up", "watches", "waits", "empties"];
    let apk = steps.apk().option("--upgrade").option("--purge").add(&wanted);
    let ours = steps.ours(&["!goes", "down=1-r0", &rebuilt]).with_scripts().tree();

    let log = apk.listing.text(LOG);
    assert_eq!(log, ours.listing.text(LOG), "{}", apk.apk_output);
    for script in [
        "goes-1-r0.post-deinstall 1-r0 /",
        "old-way-1-r0.pre-deinstall 1-r0 /",
        "new-way-1-r0.pre-install 1-r0 /",
    ]
    .into_iter()
    .chain([
        "up-2-r0.pre-upgrade 2-r0 1-r0 /",
        "down-1-r0.post-upgrade 1-r0 3-r0 /",
        "rebuilt-1-r0.pre-upgrade 1-r0 1-r0 /",
    ])
    .chain([
        "comes-1-r0.post-install 1-r0 /",
        "watches-1-r0.trigger /opt/",
        "comes-1-r0.trigger /usr/share/",
    ]) {
        assert!(log.lines().any(|line| line.starts_with(script)), "{script}: {log}");
    }
    assert!(log.lines().all(|line| !line.starts_with("waits") && !line.starts_with("empties")), "{log}");
    steps.assert_equal(&apk, &ours, &[&OVER_OUR_OWN[..], &[DROPPED_COPIES, TRIGGER_ORDER]].concat());
}

/// The profile pins what `--available` lowers.
const PIN: Exception = Exception {
    name: "the pin in the world",
    reason: "a profile has no --available",
    covers: |difference| difference.path == "etc/apk/world" && difference.field == Field::Content,
};

#[test]
fn a_downgrade_under_available_is_an_upgrade_to_scripts() {
    let Some(workshop) = workshop("a_downgrade_under_available_is_an_upgrade_to_scripts") else { return };
    let down = |version: &str| noted("down", version, &["/opt/*"]).file("etc/down.note", version);
    let first = down("3-r0").file("opt/down/gone", "");
    // Which comes by itself and is in no repository here.
    let world = ["down", "!ssl_client"];
    let steps = Steps::new(workshop, &[first], &world, &[down("1-r0")]);

    let apk = steps.apk().option("--available").upgrade();
    let ours = steps.ours(&["down=1-r0"]).with_scripts().tree();

    let log = apk.listing.text(LOG);
    let lines: Vec<&str> =
        log.lines().filter_map(|line| line.split_once(" / ")).map(|(head, _)| head).collect();
    assert_eq!(lines, ["down-1-r0.pre-upgrade 1-r0 3-r0", "down-1-r0.post-upgrade 1-r0 3-r0"]);
    assert!(log.ends_with("down-1-r0.trigger /opt/down \n"), "{log}");
    assert_eq!(log, ours.listing.text(LOG));
    steps.assert_equal(&apk, &ours, &[&OVER_OUR_OWN[..], &[DROPPED_COPIES, PIN]].concat());
}

/// A package whose scripts of `kinds` print two lines, do something, and fail.
fn failing(name: &str, version: &str, kinds: &[ScriptKind], ending: &str) -> Package {
    let text =
        format!("#!/bin/sh\necho ${{0##*/}} >>/var/log/scripts; echo first; echo second >&2; {ending}\n");
    let one = package(name).version(version).file(&format!("opt/{name}/f"), version);
    kinds.iter().fold(one, |one, kind| one.script(*kind, &text))
}

/// Packages every script of which fails, one way or another, over packages of which none did.
fn steps_that_fail(workshop: Workshop) -> Steps {
    use ScriptKind::{
        PostDeinstall, PostInstall, PostUpgrade, PreDeinstall, PreInstall, PreUpgrade, Trigger,
    };
    let first = [
        failing("up", "1-r0", &[], ""),
        failing("both", "1-r0", &[], ""),
        failing("goes", "1-r0", &[PreDeinstall, PostDeinstall], "exit 2"),
        failing("watches", "1-r0", &[Trigger], "exit 3").trigger("/opt/*"),
        failing("mended", "1-r0", &[Trigger], "exit 3").trigger("/opt/*"),
    ];
    let second = [
        failing("up", "2-r0", &[PreUpgrade], "exit 4"),
        failing("both", "2-r0", &[PreUpgrade, PostUpgrade], "exit 4"),
        failing("mended", "2-r0", &[PostUpgrade], "exit 0"),
        failing("early", "1-r0", &[PreInstall], "exit 5"),
        failing("late", "1-r0", &[PostInstall], "kill -9 $$"),
        package("odd").file("opt/odd/f", "odd").script(PostInstall, "#!/no/such/shell\n"),
        failing("sound", "1-r0", &[PostInstall], "exit 0"),
    ];
    Steps::new(workshop, &first, &["up", "both", "goes", "watches", "mended"], &second)
}

/// What is asked for then.
const CHANGES: [&str; 5] = ["!goes", "early", "late", "odd", "sound"];

#[test]
fn a_script_that_fails_leaves_what_the_real_apk_leaves_where_it_may() {
    let test = "a_script_that_fails_leaves_what_the_real_apk_leaves_where_it_may";
    let Some(workshop) = workshop(test) else { return };
    let steps = steps_that_fail(workshop);

    let wanted = [&["up", "both", "watches", "mended"], &CHANGES[..]].concat();
    let apk = steps.apk().option("--upgrade").option("--purge").try_add(&wanted);
    let ours = steps.ours(&CHANGES).with_scripts_that_may_fail().tree();

    assert_ne!(apk.status, 0, "{}", apk.apk_output);
    assert_eq!(apk.listing.text(LOG), ours.listing.text(LOG));
    steps.assert_equal(&apk, &ours, &OVER_OUR_OWN);
    let packages = installed::parse(ours.listing.text(installed::PATH));
    let broken: Vec<&str> = packages
        .iter()
        .filter(|(_, package)| package.fields.get(&'f').is_some_and(|flags| flags == "s"))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(broken, ["both", "early", "late", "odd", "up", "watches"]);
    let words = ours.outcome.stderr_text();
    let warnings = words.split("warning: ").filter(|text| text.starts_with("the script "));
    let warnings = warnings.flat_map(|text| {
        let (first, more) = text.split_once('\n').unwrap_or((text, ""));
        std::iter::once(first).chain(more.lines().take_while(|line| line.starts_with("  ")))
    });
    insta::assert_snapshot!(warnings.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_script_that_fails_is_an_error_with_its_last_words() {
    let Some(workshop) = workshop("a_script_that_fails_is_an_error_with_its_last_words") else { return };
    let steps = steps_that_fail(workshop);

    let outcome = steps.ours(&["sound", "late"]).with_scripts().run();

    assert_eq!(outcome.code(), Some(7), "{outcome}");
    let words = outcome.stderr_text();
    insta::assert_snapshot!(words.split_once("error: ").map(|(_, words)| words).unwrap_or_default());
}

#[test]
fn skipped_scripts_are_written_down_and_not_run() {
    let Some(workshop) = workshop("skipped_scripts_are_written_down_and_not_run") else { return };
    let steps = steps_that_fail(workshop);

    let wanted = [&["up", "both", "watches", "mended"], &CHANGES[..]].concat();
    let apk = steps.apk().no_scripts().option("--upgrade").option("--purge").add(&wanted);
    let ours = steps.ours(&CHANGES).tree();

    assert_eq!(ours.listing.get(LOG), None);
    assert!(!ours.outcome.stderr_text().contains("script"), "{}", ours.outcome);
    steps.assert_equal(&apk, &ours, &OVER_OUR_OWN[..2]);
}

#[test]
fn a_script_is_told_its_name_and_kind_and_nothing_of_this_machine() {
    let Some(alpine) = need::alpine("a_script_is_told_its_name_and_kind_and_nothing_of_this_machine") else {
        return;
    };
    let text = "#!/bin/sh\nenv | sort >/environment; pwd >>/environment; umask >>/environment\n";

    let (_workshop, ours) = with_script(alpine, text);
    let tree = ours.with_scripts().tree();

    // The shell adds where it is and how deep. Expected: spec apk v2, "Install semantics", Scripts.
    let expected = "APK_PACKAGE=one\nAPK_SCRIPT=post-install\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\nSHLVL=1\n/\n0022\n";
    assert_eq!(tree.listing.text("environment"), expected);
}

#[test]
fn a_trigger_with_a_plus_is_told_of_what_changed_alone() {
    let Some(alpine) = need::alpine("a_trigger_with_a_plus_is_told_of_what_changed_alone") else { return };
    let workshop = Workshop::new(alpine);
    let old = package("old").file("opt/old/f", "");
    let first = workshop.repository("first", std::slice::from_ref(&old));
    let base = Ours::minirootfs(&workshop.alpine, &table(&workshop, &first), ["old"]);
    base.tree();
    let tar = workshop.compressed(&base.dir.join("tree.tar"));
    // apk 2.14 never runs such a trigger. Expected: spec apk v2, "Install semantics", Triggers.
    let watches = |name: &str, glob: &str| {
        package(name)
            .file(&format!("srv/{name}"), "")
            .trigger(glob)
            .script(ScriptKind::Trigger, TRIGGER_NOTES)
    };
    let second =
        [old, package("new").file("opt/new/f", ""), watches("all", "/opt/*"), watches("some", "+/opt/*")];
    let second = workshop.repository("second", &second);

    let table = format!("base = '{}'\n{}", tar.display(), table(&workshop, &second));
    let tree = Ours::minirootfs(&workshop.alpine, &table, ["new", "all", "some"]).with_scripts().tree();

    assert_eq!(tree.listing.text(LOG), "all-1-r0.trigger /opt/new /opt/old \nsome-1-r0.trigger /opt/new \n");
}

/// The package `one` alone over the minirootfs, with `text` as its post-install script.
fn with_script(alpine: Alpine, text: &str) -> (Workshop, Ours) {
    let workshop = Workshop::new(alpine);
    let one = package("one").file("opt/one", "").script(ScriptKind::PostInstall, text);
    let repository = workshop.repository("first", &[one]);
    let ours = Ours::minirootfs(&workshop.alpine, &table(&workshop, &repository), ["one"]);
    (workshop, ours)
}

#[test]
fn a_question_executes_no_script_and_knows_what_those_do_whose_effect_is_certain() {
    let test = "a_question_executes_no_script_and_knows_what_those_do_whose_effect_is_certain";
    let Some(alpine) = need::alpine(test) else { return };
    let (_workshop, ours) = with_script(alpine, "#!/bin/sh\necho said\ntouch /srv/mark\nexit 1\n");
    let why = |subject: &str| {
        ours.dir.write("p.toml", &ours.profile);
        // Nowhere could a sandbox have its place.
        let asked = ours.dir.command().env("TMPDIR", "/nowhere");
        asked.args(["why", "--profile", "p.toml", subject]).run()
    };

    let (link, file, mark) = (why("/bin/ls"), why("/opt/one"), why("/srv/mark"));

    assert!(link.stdout_text().starts_with("/bin/ls -> /bin/busybox: a link, made for busybox\n"), "{link}");
    assert_eq!([link.code(), file.code(), mark.code()], [Some(0), Some(0), Some(3)], "{mark}");
    for outcome in [link, file, mark] {
        let words = outcome.stderr_text();
        assert!(!words.contains("script") && !words.contains("said"), "{outcome}");
    }
    assert_eq!(ours.with_scripts().run().code(), Some(7), "the script is one that fails");
}

#[test]
fn what_no_image_may_have_is_said_of_the_script_that_made_it() {
    let Some(alpine) = need::alpine("what_no_image_may_have_is_said_of_the_script_that_made_it") else {
        return;
    };
    let (_workshop, ours) = with_script(alpine, "#!/bin/sh\ntouch \"/srv/$(printf 'a\\001b')\"\n");

    let outcome = ours.with_scripts().run();

    let words = outcome.stderr_text();
    let expected =
        "error: cannot complete the script one-1-r0.post-install: a program made a file that no image";
    assert!(words.contains(expected), "{outcome}");
    assert!(words.contains("--scripts skip"), "{outcome}");
}

#[test]
fn a_day_of_shadow_that_a_script_chose_stays_as_with_the_real_apk() {
    let test = "a_day_of_shadow_that_a_script_chose_stays_as_with_the_real_apk";
    let Some(workshop) = workshop(test) else { return };
    let text = "#!/bin/sh\nadduser -SDH late\nadduser -SDH early\n\
        sed -i -e '/^early:/s/:[0-9]*:/:19000:/' -e '/^bin:/s/:[^:]*:0:/::1:/' /etc/shadow\n";
    let one = package("one").file("opt/one", "").script(ScriptKind::PostInstall, text);
    let repository = workshop.repository("first", &[one]);
    let apk = reference::minirootfs(&workshop.alpine).repository(&repository).key(workshop.key());
    let apk = apk.add(&["one"]);

    let ours = Ours::minirootfs(&workshop.alpine, &table(&workshop, &repository), ["one"]);
    let ours = ours.with_scripts().tree();

    let lines = |listing: &Listing| -> Vec<String> {
        listing.text("etc/shadow").lines().map(str::to_owned).collect()
    };
    let (expected, got) = (lines(&apk.listing), lines(&ours.listing));
    assert!(got.iter().any(|line| line.starts_with("early:!:19000:")), "{got:?}");
    let different: Vec<_> = expected.iter().zip(&got).filter(|(expected, got)| expected != got).collect();
    let day = LATE.parse::<i64>().unwrap() / 86_400;
    assert_eq!(expected.len(), got.len());
    assert!(
        matches!(different[..], [(_, got)] if *got == format!("late:!:{day}:0:99999:7:::")),
        "{different:?}"
    );
}
