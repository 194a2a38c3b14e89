//! The same bytes in every confinement: scripts run in namespaces, by root and by an ordinary user without subordinate
//! ids, and below another root directory, by root where namespaces are refused and where they are not wanted; with
//! their root filesystem in memory and on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use apkcompose::compose::output::{Destination, Output, OutputKind};
use apkcompose::compose::scripts::ScriptPolicy;
use apkcompose::compose::{self, Architectures, BuildOptions};
use apkcompose::profile::{self, BUILT_INS, Draft, Overrides};
use apkcompose::report::{Reporter, Step};
use apkcompose::sandbox::Confinement;
use apkcompose::store::Store;

use crate::fetching::{fetcher, script_options};
use crate::support::command::{Dir, TestCommand};
use crate::support::data::Alpine;
use crate::support::listing::Listing;
use crate::support::{files, need};
use crate::trees::{NOT_WITH_THE_OTHERS, indexed_names};

/// What is built with its scripts run: a name, what is said of Alpine, and the packages.
const REQUESTS: [(&str, &str, &[&str]); 5] = [
    ("ssh", OVER_A_BASE, &["openssh", "git"]),
    ("services", OVER_A_BASE, &["doas", "eudev", "openrc", "dhcpcd"]),
    ("web", OVER_A_BASE, &["nginx@php7", "php7-fpm@php7"]),
    ("certificates", OVER_A_BASE, &["ca-certificates"]),
    ("time", FROM_SCRATCH, &["chrony", "tzdata", "alpine-base"]),
];

/// The request for all packages of the ISO that can be installed together.
const DISC: &str = "disc";

const OVER_A_BASE: &str = r#"
release = "3.19"
base-trust = "checksum"
repositories = ["main", "community", { url = "./mirror/php7", tag = "php7", keys = ["./test-php7.rsa.pub"] }]
"#;

const FROM_SCRATCH: &str = r#"
release = "3.19"
base = "scratch"
repositories = ["./mirror/iso-3.19.1"]
"#;

/// An ordinary user, who has no subordinate ids.
const USER: u32 = 65534;

/// A directory with a profile for each request and what they read.
fn furnished(alpine: &Alpine) -> Dir {
    let dir = Dir::new();
    for part in ["v3.19", "iso-3.19.1", "php7"] {
        copy(&alpine.mirror().join(part), &dir, &format!("mirror/{part}"));
    }
    dir.write("test-php7.rsa.pub", files::read(&alpine.php7_key()));
    let write = |name: &str, alpine: &str, packages: &[&str]| {
        let profile = format!(
            "[alpine]\narch = [\"x86_64\"]\nmirror = [\"./mirror\"]\n{alpine}\n[packages]\nruntime = {packages:?}\n"
        );
        dir.write(&format!("{name}.toml"), profile);
    };
    for (name, alpine, packages) in REQUESTS {
        write(name, alpine, packages);
    }
    let names = indexed_names(&alpine.repository("iso-3.19.1"), "x86_64");
    let together: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !NOT_WITH_THE_OTHERS.contains(name)).collect();
    assert_eq!(together.len(), 98);
    write(DISC, FROM_SCRATCH, &together);
    dir
}

/// Copies what is at `from`; a link as what it leads to.
fn copy(from: &Path, dir: &Dir, to: &str) {
    if from.is_dir() {
        for name in files::names(from) {
            copy(&from.join(&name), dir, &format!("{to}/{name}"));
        }
    } else {
        dir.write(to, files::read(from));
    }
}

/// The archives of all requests, by name, with what was said of scripts.
fn built<'a>(dir: &'a Dir, run: impl Fn(TestCommand<'a>) -> TestCommand<'a>) -> BTreeMap<String, String> {
    REQUESTS
        .iter()
        .map(|(name, ..)| *name)
        .chain([DISC])
        .map(|name| {
            let output = format!("{name}.tar");
            let command = dir.command().args(["--profile", &format!("{name}.toml"), "-o", &output]);
            let outcome = run(command.args(["--format", "json"])).success();
            let report = outcome.stdout_json();
            assert_eq!(report["scripts_not_run"], serde_json::json!([]), "{outcome}");
            let digest = apkcompose::digest::Sha256::of(&dir.read(&output)).to_hex();
            fs::remove_file(dir.join(&output)).unwrap();
            (name.to_owned(), format!("{digest} {}", report["scripts_run"]))
        })
        .collect()
}

#[test]
fn scripts_leave_the_same_bytes_whoever_runs_them_however_confined() {
    let test = "scripts_leave_the_same_bytes_whoever_runs_them_however_confined";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(()) = need::root(test) else { return };
    let (dir, users) = (furnished(&alpine), furnished(&alpine));

    let expected = built(&dir, |command| command.args(["--sandbox", "namespaces"]));

    let ran: Vec<&String> = expected.values().filter(|said| !said.ends_with("[]")).collect();
    assert!(ran.len() >= 4, "too few of them run scripts: {expected:?}");
    assert_eq!(built(&dir, |command| command), expected, "again");
    assert_eq!(built(&dir, |command| command.days_later(3)), expected, "three days later");
    assert_eq!(built(&dir, |command| command.args(["--sandbox", "chroot"])), expected, "by chroot");
    assert_eq!(built(&dir, TestCommand::without_user_namespaces), expected, "where namespaces are refused");
    assert_eq!(built(&users, |command| command.run_by(USER)), expected, "by an ordinary user");
}

#[test]
fn where_namespaces_are_refused_root_is_told_and_others_are_refused() {
    let test = "where_namespaces_are_refused_root_is_told_and_others_are_refused";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(()) = need::root(test) else { return };
    let dir = furnished(&alpine);
    let build = || dir.command().args(["--profile", "services.toml", "-o", "x.tar"]);

    let warned = build().without_user_namespaces().success();
    assert!(
        warned.stderr_text().contains("warning: package scripts are shut in by chroot alone"),
        "{warned}"
    );

    let refused = build().args(["--sandbox", "namespaces"]).without_user_namespaces().fails_with(7);
    let said = refused.stderr_text();
    assert!(said.contains("cannot make namespaces: no more of them are allowed"), "{refused}");
    assert!(said.contains("dhcpcd-10.0.5-r0.pre-install") || said.contains("openrc-"), "{refused}");
    assert!(said.contains("user.max_user_namespaces"), "{refused}");
    let names = dir.names();
    assert!(names.iter().all(|name| !name.contains("sandbox")), "{names:?}");
}

/// Registers the handler `$1` for programs of aarch64, under a name that says nothing, in a namespace where that is nobody else's matter.
const REGISTER: &str = r#"
set -eu
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
magic='\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00'
mask='\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff'
printf ":programs-of-arm:M::$magic:$mask:$1:F" >/proc/sys/fs/binfmt_misc/register
shift
exec "$@"
"#;

#[test]
fn scripts_for_another_machine_run_where_a_handler_for_its_programs_is_registered() {
    let test = "scripts_for_another_machine_run_where_a_handler_for_its_programs_is_registered";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(()) = need::root(test) else { return };
    let Some(qemu) = need::program(test, "qemu-aarch64-static") else { return };
    let dir = Dir::new();
    dir.write(
        "p.toml",
        format!(
            "[alpine]\nrelease = \"3.13\"\narch = [\"aarch64\"]\nmirror = ['{}']\nbase = \"scratch\"\n\
             repositories = ['{}']\n[packages]\nruntime = [\"alpine-base\", \"chrony\"]\n",
            alpine.mirror().display(),
            alpine.repository("rpi-3.13.4").display(),
        ),
    );
    let build = || dir.command().args(["--profile", "p.toml", "-o", "type=tar,dest=x.tar"]);
    let qemu = qemu.to_string_lossy().into_owned();
    let register = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", REGISTER, "sh", &qemu];

    let outcome = build().args(["--format", "json"]).under(register).success();

    let report = outcome.stdout_json();
    assert_eq!(report["scripts_not_run"], serde_json::json!([]), "{outcome}");
    let ran: Vec<&str> =
        report["scripts_run"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    // The first makes the links that later ones run, of a BusyBox that has no list of them; the other gives root's
    // shadow file to the group of shadow.
    for script in ["busybox-1.32.1-r5.post-install", "alpine-baselayout-3.2.0-r8.post-install"] {
        assert!(ran.contains(&script), "{outcome}");
    }
    assert!(!outcome.stderr_text().contains("not found"), "{outcome}");
    let listing = Listing::of_tar_file(&dir.join("x.tar"));
    assert_eq!(listing.entry("bin/chown").link.as_deref(), Some("/bin/busybox"));
    let shadow = listing.entry("etc/shadow");
    assert_eq!((shadow.uid, shadow.gid, shadow.mode & 0o7777), (0, 42, 0o640));
    assert!(listing.text("etc/passwd").contains("\nchrony:x:100:101:chrony:/var/log/chrony:/sbin/nologin\n"));
}

#[test]
fn no_line_of_shadow_carries_the_day_of_the_build() {
    let test = "no_line_of_shadow_carries_the_day_of_the_build";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(()) = need::root(test) else { return };
    let dir = furnished(&alpine);
    // A script that is more than certain, so that it runs.
    for name in ["time", "services", DISC] {
        dir.command().args(["--profile", &format!("{name}.toml"), "-o", "type=tar,dest=x.tar"]).success();
        let listing = Listing::of_tar(dir.read("x.tar").as_slice());
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
        for line in listing.text("etc/shadow").lines() {
            let day = line.split(':').nth(2).unwrap();
            assert!(day.is_empty() || day.parse::<u64>().unwrap() + 30 < today, "{name}: {line}");
        }
        fs::remove_file(dir.join("x.tar")).unwrap();
    }
}

/// Looks whether scripts find their root filesystem in the directory of the sandbox, on disk, or it is empty.
struct Watching {
    directory: PathBuf,
    seen: Mutex<BTreeMap<String, bool>>,
}

impl Reporter for Watching {
    fn begin_file(&self, step: Step, object: &str, _: Option<u64>) {
        if step == Step::Stage {
            let [place] = files::names(&self.directory).try_into().unwrap();
            let is_on_disk = !files::names(&self.directory.join(place).join("root")).is_empty();
            self.seen.lock().unwrap().insert(object.to_owned(), is_on_disk);
        }
    }
}

/// The archive that the library makes of the request `name` in namespaces, with that much memory for a workroot, and
/// for each script that ran whether it did on disk.
pub(crate) fn built_with_memory(
    dir: &Dir,
    name: &str,
    memory: Option<u64>,
) -> (Vec<u8>, BTreeMap<String, bool>) {
    let (place, output) = (Dir::new(), dir.join("image.tar"));
    let profile = dir.join(format!("{name}.toml"));
    let found = profile::find(profile.to_str().unwrap(), Path::new(""), BUILT_INS).unwrap();
    let mut scripts = script_options(ScriptPolicy::Auto);
    scripts.sandbox.confinement = Confinement::Namespaces;
    scripts.sandbox.directory = place.path();
    scripts.sandbox.memory = memory;
    let options = BuildOptions {
        architectures: Architectures::Usual,
        outputs: vec![Output { kind: OutputKind::Tar, destination: Destination::Path(output) }],
        scripts,
        epoch: None,
        context: None,
        today: None,
    };
    let draft = Draft::load(&found, &Overrides::default(), BUILT_INS).unwrap();
    let store = Store::open(&dir.cache()).unwrap();
    let watching = Watching { directory: place.path(), seen: Mutex::default() };
    compose::build(&fetcher(&store, 1, &watching), &draft, &options)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(place.names(), Vec::<String>::new());
    (dir.read("image.tar"), watching.seen.into_inner().unwrap())
}

#[test]
fn scripts_leave_the_same_bytes_in_memory_and_on_disk() {
    let test = "scripts_leave_the_same_bytes_in_memory_and_on_disk";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(()) = need::user_namespaces(test) else { return };
    let dir = furnished(&alpine);
    for name in ["services", "disc"] {
        let (on_disk, ran) = built_with_memory(&dir, name, Some(0));
        assert!(ran.len() >= 2 && ran.values().all(|is_on_disk| *is_on_disk), "{ran:?}");
        let (in_memory, again) = built_with_memory(&dir, name, Some(8 << 30));
        assert!(again.values().all(|is_on_disk| !is_on_disk), "{again:?}");
        assert!(ran.keys().eq(again.keys()), "{ran:?} {again:?}");
        assert!(on_disk == in_memory, "{name}");
    }
}
