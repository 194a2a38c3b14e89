//! The built-in profiles against real indexes: that they resolve, to the packages and in the order of the real apk;
//! and those whose packages are here, built and run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use apkcompose::profile::BUILT_INS;
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use crate::made::{self, Made, key};
use crate::support::command::{Dir, TestCommand};
use crate::support::container::Container;
use crate::support::data::Alpine;
use crate::support::image::Image;
use crate::support::listing::{Kind, Listing};
use crate::support::{files, installed, need, reference};

/// What a profile's packages are installed over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Minirootfs,
    Scratch,
}

/// A profile, and what somebody would type to have apk install the same.
struct Case {
    profile: &'static str,
    /// `--set`, if there is one.
    set: Option<&'static str>,
    base: Base,
    /// The arguments of `apk add`.
    add: String,
}

impl Case {
    fn new(profile: &'static str, set: Option<&'static str>, base: Base, add: impl Into<String>) -> Self {
        Self { profile, set, base, add: add.into() }
    }

    fn named(&self) -> String {
        format!("{} {}", self.profile, self.set.unwrap_or_default())
    }
}

/// The extensions of every image with PHP, after `php82-`.
const PHP_EXTENSIONS: &str = "ctype curl dom fileinfo iconv mbstring openssl pcntl pdo pdo_sqlite phar posix session \
                              simplexml sodium sqlite3 tokenizer xml xmlreader xmlwriter opcache";

/// The packages of `php-cli` for a version of PHP.
fn php(version: u32) -> String {
    let extensions = PHP_EXTENSIONS.split(' ').map(|name| format!("php{version}-{name}"));
    let names: Vec<String> = [format!("php{version}"), "ca-certificates-bundle".to_owned()]
        .into_iter()
        .chain(extensions)
        .collect();
    names.join(" ")
}

/// Every built-in profile but the demo, which has a repository of its own, on Alpine 3.19.
fn cases() -> Vec<Case> {
    use Base::{Minirootfs, Scratch};
    vec![
        Case::new("base", None, Minirootfs, ""),
        Case::new("nginx", None, Minirootfs, "nginx"),
        Case::new("nginx-php-fpm", None, Minirootfs, php(82) + " nginx php82-fpm"),
        Case::new("nginx-php-fpm", Some("php=83"), Minirootfs, php(83) + " nginx php83-fpm"),
        Case::new("nginx", None, Minirootfs, "nginx"),
        Case::new("nginx-php-fpm", None, Minirootfs, format!("nginx {} php82-fpm", php(82))),
        Case::new("nginx-php-fpm", Some("php=83"), Minirootfs, format!("nginx {} php83-fpm", php(83))),
        Case::new("node", None, Minirootfs, "nodejs ca-certificates-bundle tini"),
        Case::new("php-cli", None, Minirootfs, php(82)),
        Case::new("php-cli", Some("php=83"), Minirootfs, php(83)),
        Case::new("php-cli", Some("php=81"), Minirootfs, php(81)),
        Case::new("php-fpm", None, Minirootfs, php(82) + " php82-fpm fcgi"),
        Case::new("php-fpm", Some("php=83"), Minirootfs, php(83) + " php83-fpm fcgi"),
        Case::new("php-fpm", None, Minirootfs, php(82) + " php82-fpm fcgi"),
        Case::new("php-fpm", Some("php=83"), Minirootfs, php(83) + " php83-fpm fcgi"),
        Case::new(
            "php-fpm-distroless",
            None,
            Scratch,
            php(82) + " php82-fpm fcgi alpine-baselayout-data alpine-release busybox-binsh !ssl_client",
        ),
        Case::new("php-swoole", None, Minirootfs, php(82) + " php82-pecl-swoole"),
        Case::new("php-swoole", Some("php=83"), Minirootfs, php(83) + " php83-pecl-swoole"),
        Case::new("python", None, Minirootfs, "python3 !pyc ca-certificates-bundle tzdata tini"),
        Case::new(
            "static",
            None,
            Scratch,
            "alpine-baselayout-data alpine-release ca-certificates-bundle tzdata",
        ),
        // 3.19 has no Valkey: it came with 3.20. The profile then takes Redis, which Valkey was made from.
        Case::new("valkey", None, Minirootfs, "redis"),
    ]
}

/// A plan of a built-in profile, wherever the tests run.
fn plan<'a>(dir: &'a Dir, profile: &str, mirror: &Path) -> TestCommand<'a> {
    let command =
        dir.command().args(["--profile", profile, "--arch", "x86_64", "--dry-run", "--format", "json"]);
    command.arg("--mirror").arg(mirror)
}

/// The steps of a plan in the words of apk: `Installing jq (1.7.1-r0)`.
fn steps(report: &Value) -> Vec<String> {
    let step = |step: &Value| {
        let text = |key: &str| step[key].as_str().unwrap_or_else(|| panic!("no {key} in {step}")).to_owned();
        match step["op"].as_str().unwrap() {
            "install" => format!("Installing {} ({})", text("name"), text("new")),
            "upgrade" => format!("Upgrading {} ({} -> {})", text("name"), text("old"), text("new")),
            "downgrade" => {
                format!("Downgrading {} ({} -> {})", text("name"), text("old"), text("new"))
            }
            "purge" => format!("Purging {} ({})", text("name"), text("old")),
            other => panic!("{other} in {step}"),
        }
    };
    report["steps"].as_array().unwrap().iter().map(step).collect()
}

#[test]
fn every_built_in_profile_resolves_on_3_19_as_the_real_apk_does() {
    let Some(alpine) = need::apk("every_built_in_profile_resolves_on_3_19_as_the_real_apk_does") else {
        return;
    };
    let cases = cases();
    for built_in in BUILT_INS.iter().filter(|built_in| built_in.name != "demo") {
        assert!(cases.iter().any(|case| case.profile == built_in.name), "{} is not looked at", built_in.name);
    }
    for case in &cases {
        let dir = Dir::new();
        let set = case.set.iter().flat_map(|set| ["--set", set]);
        let report = plan(&dir, case.profile, &alpine.mirror()).args(set).success().stdout_json();

        let over = match case.base {
            Base::Minirootfs => reference::minirootfs(&alpine),
            Base::Scratch => reference::scratch(&alpine, "x86_64"),
        };
        let apk =
            over.repository("v3.19/main").repository("v3.19/community").no_scripts().option("--upgrade");
        let add: Vec<&str> = case.add.split_whitespace().collect();
        let expected = apk.simulate(&add).unwrap_or_else(|refusal| panic!("{}: {refusal}", case.named()));

        assert_eq!(steps(&report), expected, "{}", case.named());
        assert_eq!(report["branches"], json!(["v3.19"]), "{}", case.named());
        let installed = match case.base {
            Base::Minirootfs => 15,
            Base::Scratch => 0,
        };
        // BusyBox, the shell that is a link to it, and fcgi do not stay.
        let pruned = if case.profile == "php-fpm-distroless" { 3 } else { 0 };
        let placed = expected.iter().filter(|step| step.starts_with("Installing ")).count();
        assert_eq!(report["packages"], json!(installed + placed - pruned), "{}", case.named());
    }
}

#[test]
fn the_check_of_all_built_in_profiles_reads_each_index_once() {
    let Some(alpine) = need::alpine("the_check_of_all_built_in_profiles_reads_each_index_once") else {
        return;
    };
    let dir = Dir::new();
    let check = |more: &[&str]| {
        let command =
            dir.command().args(["profiles", "check", "--arch", "x86_64", "--progress", "json", "--mirror"]);
        command.arg(alpine.mirror()).args(more).success()
    };

    let json = check(&["--format", "json"]);

    let events: Vec<Value> =
        json.stderr_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let read: u64 = events
        .iter()
        .filter(|event| event["event"] == "begin" && event["step"] == "indexes")
        .map(|event| event["total"].as_u64().unwrap())
        .sum();
    // main and community of 3.19, and the demo's own. Every other profile asks for some of the same.
    assert_eq!(read, 3, "{events:#?}");
    let fetched = events.iter().filter(|event| event["event"] == "begin" && event["step"] == "fetch").count();
    assert_eq!(fetched, 1, "the minirootfs is fetched once: {events:#?}");

    let checked = json.stdout_json();
    let checked = checked.as_array().unwrap();
    let names: Vec<&str> = checked.iter().map(|checked| checked["profile"].as_str().unwrap()).collect();
    assert_eq!(names, BUILT_INS.iter().map(|built_in| built_in.name).collect::<Vec<_>>());
    for checked in checked {
        assert_eq!((&checked["ok"], &checked["error"]), (&json!(true), &Value::Null), "{checked}");
        let [image] = checked["images"].as_array().unwrap().as_slice() else { panic!("{checked}") };
        assert_eq!(image["arch"], "x86_64");
        assert!(image["packages"].as_u64().unwrap() >= 5, "{checked}");
    }
    // A profile checked with others comes to what it comes to alone.
    for checked in checked {
        let alone =
            plan(&dir, checked["profile"].as_str().unwrap(), &alpine.mirror()).success().stdout_json();
        assert_eq!(checked["images"][0]["packages"], alone["packages"], "{checked}");
        assert_eq!(checked["images"][0]["download"], alone["download"], "{checked}");
    }
}

#[test]
fn the_check_says_in_a_line_what_each_profile_comes_to() {
    let Some(alpine) = need::alpine("the_check_says_in_a_line_what_each_profile_comes_to") else { return };
    let dir = Dir::new();
    dir.write("wrong.toml", "extends = [\"static\"]\npackages.runtime = [\"ngnix\"]\n");
    let command = dir.command().args(["profiles", "check", "base", "wrong.toml", "static", "valkey"]);
    let outcome = command.args(["--arch", "x86_64", "--mirror"]).arg(alpine.mirror()).fails_with(6);
    insta::assert_snapshot!(outcome.stdout_text());
}

/// A mirror whose `v3.22/main` is Alpine's index and nothing else.
fn mirror_3_22(alpine: &Alpine) -> Dir {
    let mirror = Dir::new();
    let index = files::read(&alpine.indexes().join("v3.22-main-x86_64.APKINDEX.tar.gz"));
    mirror.write("v3.22/main/x86_64/APKINDEX.tar.gz", &index);
    // Alpine's community of 3.22 is not here: one of our own, without packages, stands in its place.
    mirror.write("v3.22/community/x86_64/APKINDEX.tar.gz", made::index("v3.22.0-test", &[], key()));
    mirror.write("test.rsa.pub", key().public_key().pem());
    mirror
}

/// Plans `profile`, text or the name of a built-in one, on the main repository of 3.22.
fn plan_3_22(mirror: &Dir, extends: &str, packages: &[&str]) -> Value {
    let text = format!(
        "extends = [\"{extends}\"]\npackages.runtime = {packages:?}\n[alpine]\nrelease = \"3.22\"\nbase = \"scratch\"\n\
         mirror-keys = ['{}']\n",
        mirror.join("test.rsa.pub").display()
    );
    let dir = Dir::new();
    let profile = dir.write("p.toml", text);
    plan(&dir, &profile.to_string_lossy(), &mirror.path()).success().stdout_json()
}

#[test]
fn profiles_of_main_alone_resolve_on_3_22_as_the_real_apk_does() {
    let Some(alpine) = need::apk("profiles_of_main_alone_resolve_on_3_22_as_the_real_apk_does") else {
        return;
    };
    let mirror = mirror_3_22(&alpine);
    let apk = reference::scratch(&alpine, "x86_64").repository(mirror.join("v3.22/main")).no_scripts();
    for (profile, packages, add) in [
        ("static", vec![], "alpine-baselayout-data alpine-release ca-certificates-bundle tzdata"),
        ("nginx", vec![], "nginx"),
        // Valkey, with the client that is a package of its own.
        ("valkey", vec![], "valkey valkey-cli"),
        // What python and node have beside `tini`, which is in community: with and without `pyc`, which is a package
        // without a file.
        (
            "base",
            vec!["python3", "!pyc", "ca-certificates-bundle", "tzdata"],
            "python3 !pyc ca-certificates-bundle tzdata",
        ),
        ("base", vec!["python3"], "python3"),
        ("base", vec!["nodejs", "ca-certificates-bundle"], "nodejs ca-certificates-bundle"),
    ] {
        let report = plan_3_22(&mirror, profile, &packages);

        let expected = apk.simulate(&add.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(steps(&report), expected, "{profile} {packages:?}");
        assert_eq!(report["branches"], json!(["v3.22"]));
    }
    let steps = |packages: &[&str]| steps(&plan_3_22(&mirror, "base", packages)).join("\n");
    assert!(steps(&["python3"]).contains("Installing pyc "));
    assert!(!steps(&["python3", "!pyc"]).contains("pyc"));
}

/// A mirror whose main repository has `packages`, in an index of our own: Alpine's is of a whole branch, and that of its
/// ISO says another name. The packages keep their signatures. Community is empty.
fn mirror_of(packages: &[Made]) -> Dir {
    let mirror = Dir::new();
    let packages: Vec<&Made> = packages.iter().collect();
    made::repository(&mirror.join("v3.19/main"), "v3.19.1-0-test", &packages, key());
    made::repository(&mirror.join("v3.19/community"), "v3.19.1-0-test", &[], key());
    mirror.write("test.rsa.pub", key().public_key().pem());
    mirror
}

/// The packages `names` of the directory `repository` of the real mirror.
fn real_packages(alpine: &Alpine, repository: &str, names: &[&str]) -> Vec<Made> {
    let directory = alpine.repository(repository).join("x86_64");
    let is_version = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let is_of = |file: &str, name: &str| {
        file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_version)
    };
    let is_named = |file: &str| names.iter().any(|name| is_of(file, name));
    let packages: Vec<Made> = files::names(&directory)
        .iter()
        .filter(|file| is_named(file))
        .map(|file| {
            let mut made = made::of_bytes(files::read(&directory.join(file)));
            // As Alpine's indexes list what is for every architecture.
            "x86_64".clone_into(&mut made.indexed.info.arch);
            made
        })
        .collect();
    assert_eq!(packages.len(), names.len(), "{names:?} of {repository}");
    packages
}

/// What the package file at `path` has at `wanted`.
fn file_of_package(path: &Path, wanted: &str) -> Vec<u8> {
    let mut tar = tar::Archive::new(MultiGzDecoder::new(File::open(path).unwrap()));
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap() == Path::new(wanted) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            return content;
        }
    }
    panic!("{} has no {wanted}", path.display());
}

const STATIC: [&str; 5] =
    ["alpine-baselayout-data", "alpine-keys", "alpine-release", "ca-certificates-bundle", "tzdata"];

/// Builds `text`, which extends `static`, from the packages of the ISO repository into `image.tar`.
fn build_static(alpine: &Alpine, dir: &Dir, text: &str) -> Image {
    let mirror = mirror_of(&real_packages(alpine, "iso-3.19.1", &STATIC));
    let alpine = format!(
        "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nmirror-keys = ['{}']\n",
        mirror.join("test.rsa.pub").display()
    );
    dir.write("p.toml", format!("extends = [\"static\"]\n{text}\n{alpine}"));
    let command =
        dir.command().args(["--profile", "p.toml", "-o", "image.tar", "-t", "apkcompose-test/static:1"]);
    command.arg("--mirror").arg(mirror.path()).success();
    Image::of_archive(&dir.join("image.tar"))
}

#[test]
fn static_has_data_and_nothing_that_runs() {
    let Some(alpine) = need::alpine("static_has_data_and_nothing_that_runs") else { return };
    let dir = Dir::new();

    let image = build_static(&alpine, &dir, "");

    let tree = image.tree();
    let programs: Vec<&str> = tree
        .entries()
        .filter(|entry| {
            entry.kind == Kind::File && (entry.content.starts_with(b"\x7fELF") || entry.mode & 0o111 != 0)
        })
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(programs, [""; 0]);
    for path in ["bin", "sbin", "lib/ld-musl-x86_64.so.1", "etc/apk/keys", "usr/share/apk"] {
        assert!(tree.get(path).is_none(), "{path}");
    }
    let user = |line: &str| tree.text("etc/passwd").lines().any(|there| there == line);
    assert!(user("nonroot:x:65532:65532:Linux User,,,:/home/nonroot:/sbin/nologin"));
    assert!(tree.text("etc/group").contains("\nnonroot:x:65532:"));
    assert!(tree.text("etc/shadow").starts_with("root:*:"), "{}", tree.text("etc/shadow"));
    let (tmp, home) = (tree.entry("tmp"), tree.entry("home/nonroot"));
    assert_eq!((tmp.mode, tmp.uid), (0o1777, 0));
    assert_eq!((home.mode, home.uid, home.gid), (0o700, 65532, 65532));
    assert!(tree.text("etc/ssl/certs/ca-certificates.crt").contains("-----BEGIN CERTIFICATE-----"));
    assert!(tree.entry("usr/share/zoneinfo/Europe/Vienna").content.starts_with(b"TZif"));
    assert!(tree.text("etc/os-release").contains("\nVERSION_ID=3.19.1\n"));
    // What scanners read, though no apk is there.
    let database = installed::parse(tree.text(installed::PATH));
    assert_eq!(database.keys().map(String::as_str).collect::<Vec<_>>(), STATIC);
    let line = "https://dl-cdn.alpinelinux.org/alpine/v3.19/main\n";
    assert_eq!(tree.text("etc/apk/repositories"), line);

    let config = &image.config()["config"];
    assert_eq!((&config["User"], &config["WorkingDir"]), (&json!("65532:65532"), &json!("/home/nonroot")));
    assert_eq!((&config["Entrypoint"], &config["Cmd"]), (&Value::Null, &Value::Null));
    let environment: Vec<&str> =
        config["Env"].as_array().unwrap().iter().map(|variable| variable.as_str().unwrap()).collect();
    assert!(environment.contains(&"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"), "{environment:?}");
}

/// What of the tree of `static` is not as the real apk places the same packages: what the profile says.
#[test]
fn static_is_what_the_real_apk_places_and_what_the_profile_adds() {
    let Some(alpine) = need::apk("static_is_what_the_real_apk_places_and_what_the_profile_adds") else {
        return;
    };
    let dir = Dir::new();

    let ours = build_static(&alpine, &dir, "").tree();

    let apk =
        reference::scratch(&alpine, "x86_64").repository("iso-3.19.1").no_scripts().add(&STATIC).listing;
    let files = |tree: &Listing| -> BTreeMap<String, String> {
        let entries = tree.entries().filter(|entry| entry.kind != Kind::Directory);
        entries
            .map(|entry| {
                let owner = (entry.mode, entry.uid, entry.gid);
                (entry.path.clone(), format!("{owner:?} {:?} {}", entry.link, entry.sha256()))
            })
            .collect()
    };
    let (ours, apk) = (files(&ours), files(&apk));
    let is_apks_own = |path: &&String| {
        ["dev/", "proc/", "etc/apk/", "lib/apk/", "usr/share/apk/", "var/"]
            .iter()
            .any(|dir| path.starts_with(dir))
    };
    let differing: Vec<&String> = apk
        .keys()
        .chain(ours.keys())
        .filter(|path| !is_apks_own(path) && ours.get(*path) != apk.get(*path))
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(differing, ["etc/group", "etc/passwd", "etc/shadow"]);
    assert!(ours.len() > 1000, "{} files", ours.len());
}

#[test]
fn a_static_program_runs_on_static_as_nobody_in_particular() {
    let test = "a_static_program_runs_on_static_as_nobody_in_particular";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let dir = Dir::new();
    let nginx = alpine.repository("php7").join("x86_64/nginx-1.22.1-r0.apk");
    dir.write("nginx", file_of_package(&nginx, "usr/sbin/nginx"));

    build_static(
        &alpine,
        &dir,
        "image.entrypoint = [\"/nginx\"]\n[[files]]\npath = \"/nginx\"\nsource = \"nginx\"\nmode = \"0755\"\n",
    );

    assert_eq!(docker.load(&dir.join("image.tar")), ["apkcompose-test/static:1"]);
    let done = docker.run("apkcompose-test/static:1", &["-v"], &["--read-only"]);
    assert_eq!(String::from_utf8_lossy(&done.stderr), "nginx version: nginx/1.22.1\n");
    // It writes where it may, as the user the image says: its own directory is not there, /tmp is.
    let conf = "pid /tmp/pid; error_log /tmp/log; events {} http { access_log /tmp/a; client_body_temp_path /tmp/1; \
                proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4; scgi_temp_path /tmp/5; }";
    let path = dir.write("nginx.conf", conf);
    let mount = format!("{}:/tmp/nginx.conf:ro", path.display());
    let done = docker.run(
        "apkcompose-test/static:1",
        &["-t", "-e", "/tmp/e", "-c", "/tmp/nginx.conf"],
        &["-v", &mount],
    );
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("test is successful"), "{said}");
    let shell = docker.run("apkcompose-test/static:1", &["-c", "true"], &["--entrypoint", "/bin/sh"]);
    assert_eq!(shell.status.code(), Some(127), "{}", String::from_utf8_lossy(&shell.stderr));
}

/// PHP 7.1 and what it needs, real but for what this PHP has no package of or cannot be linked to here.
fn php_packages(alpine: &Alpine) -> Vec<Made> {
    let extensions = "common ctype dom fpm iconv mbstring opcache pcntl pdo pdo_sqlite phar posix session sqlite3 xml \
                      xmlreader";
    let extensions: Vec<String> = extensions.split_whitespace().map(|name| format!("php7-{name}")).collect();
    let php: Vec<&str> = extensions.iter().map(String::as_str).chain(["php7"]).collect();
    let libraries = "alpine-baselayout-data libedit libexpat libncursesw libxml2 musl ncurses-terminfo-base \
                     sqlite-libs xz-libs zlib";
    let libraries: Vec<&str> = libraries.split_whitespace().collect();
    let base = ["alpine-keys", "alpine-release", "busybox", "busybox-binsh", "ca-certificates-bundle"];
    let stand_ins =
        "fcgi php7-curl php7-fileinfo php7-openssl php7-simplexml php7-sodium php7-tokenizer php7-xmlwriter";
    let stand_ins = stand_ins.split_whitespace().map(|name| made::package_of(name, "7.1.2-r1", &[], key()));
    real_packages(alpine, "php7", &php)
        .into_iter()
        .chain(real_packages(alpine, "v3.19/main", &libraries))
        .chain(real_packages(alpine, "iso-3.19.1", &base))
        .chain(stand_ins)
        .collect()
}

#[test]
fn php_fpm_distroless_answers_without_a_shell_and_stops_in_order() {
    let test = "php_fpm_distroless_answers_without_a_shell_and_stops_in_order";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let (dir, image) = (Dir::new(), "apkcompose-test/distroless:1");
    let mirror = mirror_of(&php_packages(&alpine));
    dir.write(
        "p.toml",
        format!(
            "extends = [\"php-fpm-distroless\"]\n[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\n\
             mirror-keys = ['{}', '{}']\n[image]\nhealthcheck.interval = \"500ms\"\n",
            mirror.join("test.rsa.pub").display(),
            alpine.php7_key().display()
        ),
    );
    let command =
        dir.command().args(["--profile", "p.toml", "-o", "image.tar", "-t", image, "--set", "php=7"]);
    command.arg("--mirror").arg(mirror.path()).success();
    assert_eq!(docker.load(&dir.join("image.tar")), [image]);

    let fpm = Container::start(docker, image, &["--network=none", "--read-only", "--tmpfs=/tmp"]);
    fpm.wait_until_healthy();

    assert_eq!(fpm.exec_text(&["php", "-r", "echo posix_getuid(), PHP_VERSION;"]), "827.1.2");
    for shell in ["/bin/sh", "sh", "busybox", "apk", "cgi-fcgi"] {
        let done = fpm.exec(&[shell, "-c", "true"]);
        assert!(!done.status.success(), "{shell}: {done:?}");
    }
    fpm.stop();
    assert_eq!(fpm.exit_code(), 0);
    // Where nobody listens, the health check says so.
    let ping = docker.run(image, &[], &["--entrypoint=php-fpm-ping"]);
    assert_eq!(ping.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ping.stderr).starts_with("php-fpm takes no connections: "), "{ping:?}");

    let tree = Image::of_archive(&dir.join("image.tar")).tree();
    let programs: Vec<&str> = tree
        .entries()
        .filter(|entry| entry.kind == Kind::File && entry.mode & 0o111 != 0 && !entry.path.contains(".so"))
        .map(|entry| entry.path.as_str())
        .collect();
    let init = "etc/init.d/php-fpm7";
    let expected =
        [init, "usr/bin/phar.phar", "usr/bin/php7", "usr/local/bin/php-fpm-ping", "usr/sbin/php-fpm7"];
    assert_eq!(programs, expected);
    let dangling: Vec<&str> = tree
        .entries()
        .filter(|entry| entry.link.as_deref().is_some_and(|target| target.contains("busybox")))
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(dangling, [""; 0]);
    let database = installed::parse(tree.text(installed::PATH));
    assert!(!database.contains_key("busybox") && database.contains_key("musl"));
}
