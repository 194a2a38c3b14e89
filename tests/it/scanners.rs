//! What is warned of once a profile is answered, and what scanners are told by an image: its repositories and its
//! release.

use std::path::Path;

use apkcompose::apk::index::{Index, Package};
use apkcompose::arch::Arch;
use apkcompose::compose::ground::Ground;
use apkcompose::compose::output::{Destination, ImageForm, Output, OutputKind};
use apkcompose::compose::scripts::ScriptPolicy;
use apkcompose::compose::{self, Architectures, BuildOptions, plan};
use apkcompose::report::Silent;
use apkcompose::store::Store;
use serde_json::Value;

use crate::fetching::{draft, fetcher, script_options};
use crate::made::{self, Made, key};
use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::listing::Listing;
use crate::support::{files, need};

/// What the check of a profile with these `lines` on Alpine 3.19 warns of, beside the age of 3.19.
fn warnings(alpine: &Alpine, lines: &str) -> Vec<String> {
    let dir = Dir::new();
    dir.write("p.toml", format!("extends = [\"base\"]\nalpine.release = \"3.19\"\n{lines}"));
    let command =
        dir.command().args(["profiles", "check", "./p.toml", "--arch", "x86_64", "--format", "json"]);
    let checked = command.arg("--mirror").arg(alpine.mirror()).success().stdout_json();
    let warnings = checked[0]["warnings"].as_array().unwrap().iter().map(Value::as_str);
    warnings.flatten().filter(|warning| !warning.contains("past its support")).map(str::to_owned).collect()
}

/// The same for a profile that asks for `packages`, a line each.
fn warnings_of(alpine: &Alpine, packages: &[&str]) -> Vec<String> {
    let lines: Vec<String> = packages.iter().map(|package| format!("    \"{package}\",\n")).collect();
    warnings(alpine, &format!("packages.runtime = [\n{}]\n", lines.concat()))
}

#[test]
fn two_versions_of_php_in_one_image_are_named_with_how_each_package_came() {
    let test = "two_versions_of_php_in_one_image_are_named_with_how_each_package_came";
    let Some(alpine) = need::alpine(test) else { return };

    let found = warnings_of(&alpine, &["php83-fpm", "php83-session", "php-ctype"]);

    insta::assert_snapshot!(found.join("\n"), @r"
    ./p.toml:6: the packages of php82 and php83 in one image do not work with each other
      php82-ctype: provides php-ctype, which ./p.toml:6 asks for
      php82-common: needed by php82-ctype
      php83-fpm: asked for by ./p.toml:4
      php83-session: asked for by ./p.toml:5
      php83-common: needed by php83-fpm
      ask for what you mean with its version, not for `php-ctype`
    ");
    // Where every name has its version; more than a few packages are counted.
    let many =
        ["php82-ctype", "php82-dom", "php82-xml", "php82-tokenizer", "php82-posix", "php82-ftp", "php83"];
    insta::assert_snapshot!(warnings_of(&alpine, &many).join("\n"), @r"
    ./p.toml:4: the packages of php82 and php83 in one image do not work with each other
      php82-ctype: asked for by ./p.toml:4
      php82-dom: asked for by ./p.toml:5
      php82-ftp: asked for by ./p.toml:9
      php82-posix: asked for by ./p.toml:8
      php82-tokenizer: asked for by ./p.toml:7
      php82-xml: asked for by ./p.toml:6
      and 1 more
      php83: asked for by ./p.toml:10
      php83-common: needed by php83
      ask for the packages of one version
    ");
}

#[test]
fn one_version_of_php_is_not_warned_of() {
    let Some(alpine) = need::alpine("one_version_of_php_is_not_warned_of") else { return };
    for packages in [
        &["php83-fpm", "php83-ctype"][..],
        &["php-fpm", "php-ctype"],
        &["php83-pecl-redis", "php83"],
        // Their names begin so, and they are of no version.
        &["php82", "phpldapadmin"],
        &["jq"],
    ] {
        assert_eq!(warnings_of(&alpine, packages), [""; 0], "{packages:?}");
    }
}

#[test]
fn a_request_that_an_empty_package_meets_is_named_with_what_may_be_meant() {
    let test = "a_request_that_an_empty_package_meets_is_named_with_what_may_be_meant";
    let Some(alpine) = need::alpine(test) else { return };
    let packages = ["php83-fpm", "php-redis", "lua-cjson", "linux-firmware-none", "words"];

    insta::assert_snapshot!(warnings_of(&alpine, &packages).join("\n"), @r"
    ./p.toml:7: `linux-firmware-none` is met by linux-firmware-none-20240312-r0, which is empty, and nothing comes with it: leave it out, or ask for the package that has what you mean
    ./p.toml:6: `lua-cjson` is met by lua-cjson-2.1.0-r11, which is empty, and nothing comes with it: lua5.1-cjson or lua5.2-cjson or lua5.3-cjson may be meant
    ./p.toml:5: `php-redis` is met by php-pecl-redis-1-r1, which is empty, and nothing comes with it: php83-pecl-redis may be meant
    ./p.toml:8: `words` is met by words-2.1-r1, which is empty, and nothing comes with it: leave it out, or ask for the package that has what you mean
    ");
}

#[test]
fn an_empty_package_that_something_goes_with_is_not_warned_of() {
    let Some(alpine) = need::alpine("an_empty_package_that_something_goes_with_is_not_warned_of") else {
        return;
    };
    for packages in [
        // The extension comes by itself where both are.
        &["php-redis", "php83"][..],
        &["php-redis", "php82"],
        // Something needs it.
        &["python3", "pyc"],
        &["linux-lts", "linux-firmware-none"],
        // It has no files and needs others, which is what it is for.
        &["docs"],
        &["alpine-base"],
        // A link and nothing else.
        &["busybox-binsh"],
    ] {
        assert_eq!(warnings_of(&alpine, packages), [""; 0], "{packages:?}");
    }
    // What the base asks for is not the profile's to change.
    assert_eq!(warnings(&alpine, ""), [""; 0]);
}

/// The text of a real index.
fn real_index(alpine: &Alpine, directory: &str) -> Index {
    let path = alpine.mirror().join(directory).join("APKINDEX.tar.gz");
    let mut tar = tar::Archive::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(&path).unwrap()));
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap() == Path::new("APKINDEX") {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut text).unwrap();
            return Index::parse(directory, text).unwrap();
        }
    }
    panic!("{} has no APKINDEX", path.display());
}

/// Whether the package file at `path` has anything but directories for data.
fn has_files(path: &Path) -> bool {
    let mut tar = tar::Archive::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()));
    tar.entries().unwrap().any(|entry| {
        let entry = entry.unwrap();
        !entry.path().unwrap().to_string_lossy().starts_with('.') && !entry.header().entry_type().is_dir()
    })
}

#[test]
fn no_package_with_files_is_taken_for_one_without() {
    let Some(alpine) = need::alpine("no_package_with_files_is_taken_for_one_without") else { return };
    let (mut looked_at, mut empty) = (0, Vec::new());
    for directory in [
        "v3.19/main/x86_64",
        "v3.19/community/x86_64",
        "iso-3.19.1/x86_64",
        "php7/x86_64",
        "rpi-3.13.4/aarch64",
    ] {
        let index = real_index(&alpine, directory);
        let present = files::names(&alpine.mirror().join(directory));
        for package in index.packages() {
            let file = format!("{package}.apk");
            if !present.contains(&file) {
                continue;
            }
            looked_at += 1;
            if package.has_no_files() {
                assert!(!has_files(&alpine.mirror().join(directory).join(&file)), "{directory}/{file}");
                empty.push(package.name().to_owned());
            }
        }
    }
    assert!(looked_at > 400, "{looked_at} packages");
    empty.sort_unstable();
    empty.dedup();
    assert_eq!(empty, ["alpine-base", "libc-dev", "libc-utils", "network-extras", "pyc", "python3-pyc"]);
}

#[test]
fn the_names_of_3_19_that_bring_nothing_are_few_and_far_from_all_others() {
    let test = "the_names_of_3_19_that_bring_nothing_are_few_and_far_from_all_others";
    let Some(alpine) = need::alpine(test) else { return };
    let indexes =
        ["v3.19/main/x86_64", "v3.19/community/x86_64"].map(|directory| real_index(&alpine, directory));
    let packages = || indexes.iter().flat_map(Index::packages);
    let brings_nothing = |package: &Package<'_>| package.has_no_files() && package.depends().next().is_none();

    let found: Vec<&str> = packages().filter(brings_nothing).map(Package::name).collect();

    // All looked at: parents of packages for several versions of a language, C++ libraries that are headers alone
    // (their -dev has them), fonts and collections without a member.
    assert_eq!(found.len(), 119, "{found:?}");
    let of = |prefix: &str| found.iter().filter(|name| name.starts_with(prefix)).count();
    assert_eq!((of("lua-"), of("php-"), of("php8")), (67, 15, 0));
    // An installed size of one directory goes with a file of a signature and a description, with no exception.
    let sizes: Vec<u64> = packages().filter(brings_nothing).map(Package::size).collect();
    assert!(sizes.iter().all(|size| (1400..1600).contains(size)), "{sizes:?}");
    let others = packages().filter(|package| package.installed_size() <= 4096 && !package.has_no_files());
    let others: Vec<String> = others.map(|package| package.to_string()).collect();
    assert_eq!(others, ["font-noto-all-23.7.1-r0"], "a collection, by its long list of dependencies");
}

/// A mirror of made packages, each branch with `main` in which the package `app` is.
fn mirror(branches: &[&str]) -> Dir {
    let mirror = Dir::new();
    let app: Made = made::package("app", b"content", key());
    for branch in branches {
        let description =
            if *branch == "edge" { "v20240606-1-gabcdef".to_owned() } else { format!("{branch}.1-1-gab") };
        for name in ["main", "community", "testing"] {
            made::repository(&mirror.join(format!("{branch}/{name}")), &description, &[&app], key());
        }
    }
    mirror.write("test.rsa.pub", key().public_key().pem());
    mirror
}

/// A profile from scratch on `mirror`, with `lines` in its table `alpine`, the first of them its third line.
fn profile(mirror: &Dir, lines: &str) -> String {
    format!(
        "packages.runtime = [\"app\"]\n[alpine]\n{lines}\nbase = \"scratch\"\narch = [\"x86_64\"]\nmirror = ['{}']\n\
         mirror-keys = ['{}']\n[image]\ncmd = [\"x\"]\n",
        mirror.path().display(),
        mirror.join("test.rsa.pub").display()
    )
}

/// The warnings of a plan made on the day `today`.
fn warnings_on(mirror: &Dir, lines: &str, today: Option<&str>) -> Vec<String> {
    let dir = Dir::new();
    let store = Store::open(&dir.cache()).unwrap();
    let fetcher = fetcher(&store, 1, &Silent);
    let mut ground = Ground::new(today.map(|today| today.parse().unwrap()));
    let draft = draft(&profile(mirror, lines));
    let sources = ground.sources(&fetcher, &draft, Arch::X86_64).unwrap();
    let prepared = plan::prepare(&fetcher, &mut ground, &draft, sources, Arch::X86_64).unwrap();
    prepared.lints.iter().map(ToString::to_string).collect()
}

#[test]
fn a_branch_past_its_support_is_warned_of_on_the_line_that_asks_for_it() {
    let mirror = mirror(&["v3.18", "v3.20", "v3.23", "edge"]);
    files::write(&mirror.join("latest-stable"), b"v3.20\n");
    let ended = ": support of Alpine 3.20 ended on 2026-04-01: nobody mends its packages any more; take a newer `release`";
    let over =
        ": Alpine 3.18 is past its support: nobody mends its packages any more; take a newer `release`";
    for (lines, today, expected) in [
        ("release = \"3.20\"", Some("2026-03-31"), vec![]),
        ("release = \"3.20\"", Some("2026-04-01"), vec![format!("p.toml:3{ended}")]),
        ("release = \"3.20.1\"", Some("2030-01-01"), vec![format!("p.toml:3{ended}")]),
        ("release = \"latest-stable\"", Some("2030-01-01"), vec![format!("p.toml:3{ended}")]),
        // Whoever asks without a clock is not told.
        ("release = \"3.20\"", None, vec![]),
        ("release = \"3.18\"", Some("1999-01-01"), vec![format!("p.toml:3{over}")]),
        ("release = \"edge\"", Some("2030-01-01"), vec![]),
        ("release = \"3.23\"", Some("2027-10-31"), vec![]),
        // Once, however many repositories of the branch there are; by the line of the repository where that names it.
        (
            "release = \"3.23\"\nrepositories = [\"main\",\n\"v3.18/main\",\n\"v3.18/community\", \"@x v3.20/main\"]",
            Some("2026-04-01"),
            vec![format!("p.toml:5{over}"), format!("p.toml:6{ended}")],
        ),
    ] {
        assert_eq!(warnings_on(&mirror, lines, today), expected, "{lines} on {today:?}");
    }
}

#[test]
fn the_day_changes_no_byte() {
    let mirror = mirror(&["v3.20"]);
    let text = profile(&mirror, "release = \"3.20\"").replace("cmd = [\"x\"]", "");
    let build = |today: Option<&str>| {
        let dir = Dir::new();
        let store = Store::open(&dir.cache()).unwrap();
        let output = dir.join("p.tar");
        let options = BuildOptions {
            architectures: Architectures::Usual,
            outputs: vec![Output {
                kind: OutputKind::Archive(ImageForm::default()),
                destination: Destination::Path(output.clone()),
            }],
            scripts: script_options(ScriptPolicy::Auto),
            epoch: None,
            context: None,
            today: today.map(|today| today.parse().unwrap()),
        };
        compose::build(&fetcher(&store, 1, &Silent), &draft(&text), &options).unwrap();
        files::read(&output)
    };

    let without = build(None);

    assert_eq!(build(Some("1999-01-01")), without);
    assert_eq!(build(Some("2040-01-01")), without);
}

/// The tree of a build of the profile with `lines` in `alpine` and `more` at the end, and what was warned of.
fn built(mirror: &Dir, lines: &str, more: &str) -> (Listing, String) {
    let dir = Dir::new();
    dir.write("p.toml", profile(mirror, lines).replace("cmd = [\"x\"]\n", more));
    let command = dir.command().args(["--profile", "p.toml", "-o", "type=tar,dest=t.tar"]);
    let said = command.success().stderr_text();
    (Listing::of_tar_file(&dir.join("t.tar")), said)
}

#[test]
fn the_image_names_alpines_own_places_of_the_branch_that_was_used_and_nothing_else() {
    let mirror = mirror(&["v3.22", "v3.21", "edge"]);
    files::write(&mirror.join("latest-stable"), b"v3.22\n");
    let elsewhere = Dir::new();
    let app = made::package("app", b"content", key());
    made::repository(&elsewhere.path(), "elsewhere", &[&app], key());
    let elsewhere = elsewhere.path().display().to_string();
    let key = mirror.join("test.rsa.pub").display().to_string();
    let lines = |branch: &str, names: &[&str]| -> String {
        let line = |name: &&str| format!("https://dl-cdn.alpinelinux.org/alpine/{branch}/{name}\n");
        names.iter().map(line).collect::<Vec<_>>().concat()
    };
    for (repositories, expected) in [
        (r#"release = "3.22""#.to_owned(), lines("v3.22", &["main", "community"])),
        (r#"release = "latest-stable""#.to_owned(), lines("v3.22", &["main", "community"])),
        // By name, and as a branch of its own: the branch is written, not the name.
        (
            r#"release = "3.22"
               repositories = ["community", "latest-stable/main"]"#
                .to_owned(),
            lines("v3.22", &["main", "community"]),
        ),
        (r#"repositories = ["main"]"#.to_owned(), lines("v3.22", &["main"])),
        // No tag, no edge beside a branch, no testing, no directory of the building machine.
        (
            format!(
                r#"release = "3.22"
                   repositories = ["main", "edge/community", "@edge edge/main", "@old v3.21/main", "@t edge/testing",
                       {{ url = "{elsewhere}", keys = ["{key}"] }}]"#
            ),
            lines("v3.22", &["main"]),
        ),
        // Whose release is edge asks for it.
        (
            r#"release = "edge"
               repositories = ["main", "community", "testing"]"#
                .to_owned(),
            lines("edge", &["main", "community"]),
        ),
        (format!(r#"repositories = [{{ url = "{elsewhere}", keys = ["{key}"] }}]"#), String::new()),
    ] {
        let (tree, said) = built(&mirror, &repositories, "");
        assert_eq!(tree.text("etc/apk/repositories"), expected, "{repositories}");
        assert!(!said.contains("scanners"), "{said}");
        for entry in tree.entries().filter(|entry| entry.path.starts_with("etc/apk")) {
            let text = String::from_utf8_lossy(&entry.content);
            assert!(
                !text.contains("latest-stable") && !text.contains(&*mirror.path().to_string_lossy()),
                "{text}"
            );
        }
    }
}

#[test]
fn a_line_that_scanners_trip_over_is_written_and_warned_of_once() {
    let mirror = mirror(&["v3.22"]);
    let canonical = "https://dl-cdn.alpinelinux.org/alpine/v3.22/main";
    for (line, word) in [
        ("@edge https://dl-cdn.alpinelinux.org/alpine/edge/community", "judge the whole image as edge"),
        ("https://dl-cdn.alpinelinux.org/alpine/latest-stable/main", "call it clean"),
        ("https://nginx.org/packages/alpine/v3.22/main", "some scanners fail on"),
        ("https://repo.example/artifactory/alpine-remote/v3.22/main", "some scanners fail on"),
    ] {
        let more = format!("repositories = [\n\"{canonical}\",\n\"{line}\",\n]\n");
        let (tree, said) = built(&mirror, "release = \"3.22\"", &more);
        assert_eq!(tree.text("etc/apk/repositories"), format!("{canonical}\n{line}\n"));
        let told: Vec<&str> = said.lines().filter(|said| said.contains(line)).collect();
        assert!(
            matches!(*told, [told] if told.starts_with("warning: p.toml:11: ") && told.contains(word)),
            "{said}"
        );
    }
    let other = "https://mirror.example.org/alpine/v3.22/community";
    let more = format!("repositories = [\"{canonical}\", \"{other}\"]\n");
    let (_, said) = built(&mirror, "release = \"3.22\"", &more);
    assert!(!said.contains("scanners"), "{said}");
}

#[test]
fn a_tree_that_says_it_is_of_another_release_is_warned_of() {
    let mirror = mirror(&["v3.22"]);
    let said = |content: &str| {
        let more = format!("[[files]]\npath = \"/etc/os-release\"\ncontent = '''\n{content}'''\n");
        built(&mirror, "release = \"3.22\"", &more).1
    };
    let told = "warning: p.toml:3: /etc/os-release says 3.18.4 and the packages are those of Alpine 3.22: scanners take \
                one or the other; add alpine-release to [packages] runtime, or take a base of 3.22\n";

    let other = said("ID=alpine\nVERSION_ID=3.18.4\n");

    assert!(other.contains(told), "{other}");
    for text in [
        "ID=alpine\nVERSION_ID=3.22.1\n",
        "ID=alpine\nVERSION_ID=\"3.22\"\n",
        "ID=alpine\nVERSION_ID=3.22.0_rc1\n",
        "ID=debian\nVERSION_ID=12\n",
        "",
    ] {
        let said = said(text);
        assert!(!said.contains("os-release"), "{text}: {said}");
    }
    assert!(said("ID=alpine\nVERSION_ID=3.220.1\n").contains("os-release says 3.220.1"));
}

#[test]
fn an_index_is_shared_only_where_it_is_the_same() {
    let (mirror, other) = (mirror(&["v3.22"]), mirror(&["v3.22"]));
    let dir = Dir::new();
    let store = Store::open(&dir.cache()).unwrap();
    let fetcher = fetcher(&store, 1, &Silent);
    let mut ground = Ground::new(None);
    let main = "release = \"3.22\"\nrepositories = [\"main\"]";
    let first = draft(&profile(&mirror, main));
    ground.sources(&fetcher, &first, Arch::X86_64).unwrap();
    // From here on the first mirror's index is gone, and known.
    files::write(&mirror.join("v3.22/main/x86_64/APKINDEX.tar.gz"), b"damaged");

    assert!(ground.sources(&fetcher, &first, Arch::X86_64).is_ok());
    assert!(ground.sources(&fetcher, &draft(&profile(&other, main)), Arch::X86_64).is_ok());
    // Without the key that it was believed for it is not known.
    let keyless: String = profile(&mirror, main)
        .lines()
        .filter(|line| !line.starts_with("mirror-keys"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    assert!(ground.sources(&fetcher, &draft(&keyless), Arch::X86_64).is_err());
    assert!(Ground::new(None).sources(&fetcher, &first, Arch::X86_64).is_err());
}
