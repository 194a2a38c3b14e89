//! Whole profiles, from the files in `tests/profiles`: what good ones mean, and what bad ones are told.

use std::path::{Path, PathBuf};

use super::account::{Account, Id};
use super::builtin::EmbeddedFile;
use super::*;
use crate::apk::dependency::Tag;
use crate::arch::Arch;
use crate::draws;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles").join(name)
}

fn load(path: &Path, overrides: &Overrides) -> Result<Draft, ProfileError> {
    let found = find(&path.to_string_lossy(), Path::new(""), BUILT_INS)?;
    Draft::load(&found, overrides, BUILT_INS)
}

fn good(name: &str) -> Draft {
    load(&directory("good").join(name), &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn resolved(draft: &Draft, arch: Arch) -> Profile {
    let values = draft.provider_variables().map(|(name, stated)| {
        let is_name = stated.value.pattern.value_in("redis").is_some();
        (name.clone(), if is_name { "redis" } else { "83" }.to_owned())
    });
    let values = values.collect();
    draft.resolve(arch, &values).unwrap_or_else(|error| panic!("{error}"))
}

/// Loads the profile `text`, beside which nothing lies.
fn load_text(text: &str, overrides: &Overrides) -> Result<Draft, ProfileError> {
    let location = Location::Directory(PathBuf::new());
    let source = Source { name: "x.toml".into(), location }.into();
    Draft::load(&Found { name: "x".into(), source, text: text.to_owned() }, overrides, BUILT_INS)
}

fn texts<T: std::fmt::Display>(list: &[Stated<T>]) -> Vec<String> {
    list.iter().map(|stated| stated.value.to_string()).collect()
}

fn path(text: &str) -> TreePath {
    TreePath::absolute(text).unwrap()
}

/// Every file of `tests/profiles/bad` has beside it the message it gets.
#[test]
fn every_bad_profile_gets_its_message() {
    let bad = directory("bad");
    let mut names: Vec<PathBuf> = bad.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    names.sort();
    assert!(names.len() > 30);
    for path in names {
        let error = load(&path, &Overrides::default()).and_then(|draft| draft.check()).unwrap_err();
        let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        let message = format!("error: {error}{hint}\nexit code: {}", error.kind().exit_code());
        let message = message.replace(&format!("{}/", bad.display()), "");
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        insta::with_settings!({
            snapshot_path => &bad,
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(name, message) });
    }
}

/// The parts of a profile's text: its head, then each table with the tables below it; entries (`[[...]]`) that
/// follow each other are one part. A comment above a header belongs to it.
fn parts(text: &str) -> Vec<(String, Vec<&str>)> {
    let mut parts: Vec<(String, Vec<&str>)> = vec![(String::new(), Vec::new())];
    let mut above: Vec<&str> = Vec::new();
    let mut in_content = false;
    for line in text.lines() {
        let was_in_content = in_content;
        in_content ^= (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
        if was_in_content {
            continue;
        }
        let part = match line.strip_prefix('[') {
            Some(entry) if entry.starts_with('[') => Some("[[...]]"),
            Some(table) => table.split([']', '.']).next(),
            None => None,
        };
        if line.starts_with('#') || line.is_empty() {
            above.push(line);
            continue;
        }
        if let Some(part) = part
            && parts.last().is_some_and(|(last, _)| last != part)
        {
            parts.push((part.to_owned(), Vec::new()));
        }
        if let Some((_, lines)) = parts.last_mut() {
            lines.append(&mut above);
            lines.push(line);
        }
    }
    parts
}

#[test]
fn every_part_of_a_built_in_profile_says_what_it_is_for() {
    for built_in in BUILT_INS {
        let parts = parts(built_in.text);
        assert!(parts.len() > 2, "{}: {parts:?}", built_in.name);
        for (part, lines) in parts {
            let has_comment = lines.iter().any(|line| line.trim_start().starts_with("# "));
            assert!(has_comment, "{}: [{part}] has no comment", built_in.name);
        }
        let first = built_in.text.lines().next().unwrap();
        assert!(first.starts_with(&format!("# {}: ", built_in.name)), "{first}");
        let long = built_in.text.lines().find(|line| line.chars().count() > 120);
        assert_eq!(long, None, "{}", built_in.name);
    }
}

#[test]
fn a_variable_can_be_what_the_first_of_several_names_is_provided_by() {
    let text = "vars.a = { provider-of = [\"cmd:new\", \"cmd:old>1\"], pattern = \"*\" }\npackages.runtime = [\"${a}\"]";
    let draft = load_text(text, &Overrides::default()).unwrap();

    let (_, variable) = draft.provider_variables().next().unwrap();
    let names: Vec<String> = variable.value.provided.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["cmd:new", "cmd:old>1"]);
    draft.check().unwrap();
    let shown = draft.show().unwrap().to_string();
    assert!(shown.contains("provider-of = [\"cmd:new\", \"cmd:old>1\"]"), "{shown}");
    let again = load_text(&shown, &Overrides::default()).unwrap();
    assert_eq!(again.provider_variables().next().unwrap().1.value, variable.value);

    for (wrong, told) in [
        ("[]", "needs a `provider-of`"),
        ("[1]", "must be a string or a list of strings, not a list with an integer"),
        ("1", "must be a string or a list of strings, not an integer"),
        ("[\"a\", \"!b\"]", "`!b` is not the name of what a package provides"),
        ("[\"a\", \"b@nope\"]", "nope"),
    ] {
        let text = format!("vars.a = {{ provider-of = {wrong}, pattern = \"*\" }}");
        let error = load_text(&text, &Overrides::default()).unwrap_err().to_string();
        assert!(error.contains(told), "{wrong}: {error}");
    }
}

#[test]
fn every_built_in_profile_is_sound() {
    for built_in in BUILT_INS {
        let found = find(built_in.name, &directory("nowhere"), BUILT_INS).unwrap();
        assert_eq!(found.source.to_string(), format!("{} (built-in)", built_in.name));
        let draft = Draft::load(&found, &Overrides::default(), BUILT_INS).unwrap();
        draft.check().unwrap_or_else(|error| panic!("{error}"));
        let lints = resolved(&draft, Arch::X86_64).lints().into_iter().map(|lint| lint.finding);
        let unexpected: Vec<Finding> = lints
            .filter(|finding| match finding {
                Finding::Healthcheck => false,
                // What it starts is for the profile that extends it to say.
                Finding::NothingToStart => built_in.name != "static",
                _ => true,
            })
            .collect();
        assert_eq!(unexpected, [], "{}", built_in.name);
        assert!(built_in.files.is_sorted_by(|a, b| a.path < b.path), "{}", built_in.name);
    }
}

#[test]
fn what_a_profile_does_not_say_has_its_default() {
    let draft = load_text("", &Overrides::default()).unwrap();
    let profile = resolved(&draft, Arch::X86_64);
    let alpine = &profile.alpine;
    assert_eq!(alpine.release.value.to_string(), "latest-stable");
    assert_eq!(alpine.architectures, [Arch::of_this_machine().unwrap_or(Arch::X86_64)]);
    assert_eq!(texts(&alpine.mirrors), ["https://dl-cdn.alpinelinux.org/alpine"]);
    assert_eq!((&alpine.base, alpine.base_trust), (&Base::Minirootfs, BaseTrust::Proven));
    assert_eq!(alpine.upgrade, Upgrade::ToIndex);
    let repositories: Vec<String> = alpine.repositories.iter().map(|r| r.location.to_string()).collect();
    assert_eq!(repositories, ["main", "community"]);
    assert_eq!(profile.image, Image::default());
    assert_eq!(profile.image.root_account, RootAccount::Locked);
    assert_eq!(profile.packages, Packages::default());
    let none = load_text("alpine.repositories = []", &Overrides::default()).unwrap();
    assert_eq!(none.alpine().repositories, []);
}

#[test]
fn provider_variables_are_named_and_then_replaced_everywhere_but_in_content() {
    let draft = good("php-fpm.toml");
    let variables: Vec<(String, Vec<String>, Option<String>)> = draft
        .provider_variables()
        .map(|(name, variable)| {
            let value = variable.value.pattern.value_in("php83-fpm").map(str::to_owned);
            (name.to_string(), variable.value.provided.iter().map(ToString::to_string).collect(), value)
        })
        .collect();
    assert_eq!(variables, [("php".into(), vec!["php-fpm".to_owned()], Some("83".into()))]);

    let profile = resolved(&draft, Arch::X86_64);
    let runtime = texts(&profile.packages.runtime);
    assert_eq!(runtime, ["php83-fpm", "argon2-libs@edge", "!php83-doc", "tini>=0.19"]);
    assert_eq!(profile.image.environment.get("PHP_VERSION").unwrap(), "83");
    assert_eq!(profile.image.environment.get("DOLLAR").unwrap(), "${php}");
    assert_eq!(profile.image.tags[0].as_str(), "example/php-fpm:83");
    assert_eq!(profile.links[0].target, "php83");
    assert_eq!(profile.files[1].source, FileSource::Content("costs ${not a variable}\n".into()));
    let variables: Vec<(&str, &str)> =
        profile.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables, [("maker", "example"), ("php", "83")]);

    let error = draft.resolve(Arch::X86_64, &Values::new()).unwrap_err();
    assert!(error.to_string().contains("the variable `php` has no value"), "{error}");
}

#[test]
fn every_alpine_key_is_read() {
    let draft = good("php-fpm.toml");
    let alpine = draft.alpine();
    assert_eq!(alpine.release.value.to_string(), "3.22");
    assert_eq!(alpine.architectures, [Arch::X86_64, Arch::Aarch64]);
    let beside = |name: &str| directory("good").join(name).display().to_string();
    let mirrors = texts(&alpine.mirrors);
    assert_eq!(mirrors, ["https://dl-cdn.alpinelinux.org/alpine".to_owned(), beside("./mirror")]);
    assert_eq!(alpine.base, Base::Minirootfs);
    assert!(alpine.base_sha256.unwrap().to_hex().starts_with("e3b0c442"));
    assert_eq!(alpine.base_trust, BaseTrust::Checksum);
    assert_eq!(alpine.upgrade, Upgrade::Keep);
    let repositories: Vec<(Option<&str>, String, usize)> = alpine
        .repositories
        .iter()
        .map(|entry| (entry.tag.as_ref().map(Tag::as_str), entry.location.to_string(), entry.keys.len()))
        .collect();
    let expected = [
        (None, "main".to_owned(), 0),
        (None, "community".to_owned(), 0),
        (Some("edge"), "edge/community".to_owned(), 0),
        (Some("x"), "https://x.org/alpine".to_owned(), 1),
        (None, beside("./local"), 0),
    ];
    assert_eq!(repositories, expected);
    assert_eq!(alpine.keys[0].value.to_string(), beside("extra.rsa.pub"));
    assert_eq!(alpine.mirror_keys, []);
}

#[test]
fn every_image_key_is_read() {
    let image = resolved(&good("php-fpm.toml"), Arch::X86_64).image;
    assert_eq!(image.entrypoint, [""; 0]);
    assert_eq!(image.command, ["php-fpm83", "-F"]);
    assert!(image.environment["PATH"].starts_with("/usr/local/sbin:"));
    assert_eq!(image.user.unwrap().to_string(), "82:82");
    assert_eq!(image.working_directory, Some(path("/var/www/html")));
    let ports: Vec<String> = image.expose.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["9000/tcp", "9001/tcp"]);
    assert_eq!(image.volumes, [path("/var/www/html")]);
    assert_eq!(image.labels["org.opencontainers.image.title"], "php-fpm");
    assert_eq!(image.stop_signal.unwrap().as_str(), "SIGQUIT");
    assert_eq!(image.author.unwrap(), "you");
    let check = image.healthcheck.unwrap();
    assert_eq!(check.test.to_argv(), ["CMD", "php-fpm83", "-t"]);
    let nanoseconds = |duration: Option<units::Duration>| duration.map(units::Duration::nanoseconds);
    assert_eq!(nanoseconds(check.interval), Some(30_000_000_000));
    assert_eq!(nanoseconds(check.timeout), Some(90_000_000_000));
    assert_eq!(nanoseconds(check.start_period), Some(500_000_000));
    assert_eq!((check.start_interval, check.retries), (None, Some(3)));
    let smoke: Vec<Vec<String>> = image.smoke.into_iter().map(|stated| stated.value).collect();
    assert_eq!(smoke, [["php-fpm83", "-t"], ["php83", "-m"]]);
    let lines = texts(&image.repositories.unwrap());
    assert_eq!(lines, ["https://dl-cdn.alpinelinux.org/alpine/v3.22/main"]);
    assert_eq!(image.root_account, RootAccount::AsInBase);
}

#[test]
fn every_key_of_files_and_accounts_is_read() {
    let profile = resolved(&good("php-fpm.toml"), Arch::X86_64);
    let [app, motd, geo] = profile.files.as_slice() else { panic!("{:?}", profile.files) };
    let FileSource::Local(local) = &app.source else { panic!("{app:?}") };
    assert_eq!(local.path.place(), Some(Place::Disk(directory("good").join("app"))));
    assert_eq!(local.exclude[0].as_str(), "**/.git/**");
    assert_eq!(local.directory_mode.unwrap().bits(), 0o750);
    assert_eq!(local.file_mode.unwrap().bits(), 0o640);
    assert_eq!((app.owner.to_string(), app.mode), ("82:82".to_owned(), None));
    assert_eq!((motd.owner.to_string(), motd.mode.unwrap().bits()), ("0:0".to_owned(), 0o644));
    let FileSource::Download { url, .. } = &geo.source else { panic!("{geo:?}") };
    assert_eq!(url.to_string(), "https://example.org/geo-83.db");
    let run = &profile.directories[0];
    let stated = (run.path.to_string(), run.mode.bits(), run.owner.to_string());
    assert_eq!(stated, ("/run/php".to_owned(), 0o1777, "www-data:www-data".to_owned()));
    let user = &profile.users[0];
    assert_eq!((user.name.as_str(), user.uid.get(), user.gecos.as_str()), ("www-data", 82, "Linux User,,,"));
    assert_eq!((user.home.to_string(), user.shell.to_string()), ("/var/www".into(), "/sbin/nologin".into()));
    assert_eq!(user.group, Some("www-data".parse::<Account>().unwrap()));
    let group = &profile.groups[0];
    assert_eq!(
        (group.name.as_str(), group.gid, group.members[0].as_str()),
        ("www-data", Id::new(82).unwrap(), "nginx")
    );
    assert_eq!(texts(&profile.prune.paths), ["/usr/share/man/**"]);
    assert_eq!(texts(&profile.prune.packages), ["busybox"]);
    assert_eq!(profile.limits.size.unwrap().value, units::Size(40_000_000));
    assert_eq!(profile.limits.packages.unwrap().value, 60);
}

#[test]
fn what_is_for_one_architecture_is_merged_last_and_only_there() {
    let draft = good("php-fpm.toml");
    let [intel, arm] = [Arch::X86_64, Arch::Aarch64].map(|arch| resolved(&draft, arch));
    assert!(!texts(&intel.packages.runtime).contains(&"raspberrypi".to_owned()));
    assert_eq!(texts(&arm.packages.runtime).last().unwrap(), "raspberrypi");
    assert_eq!(texts(&arm.prune.paths), ["/usr/share/man/**", "/boot/**"]);
    assert_eq!(arm.files[1].source, FileSource::Content("arm\n".into()));
    assert_eq!(arm.files.len(), intel.files.len());
}

#[test]
fn a_profile_merges_over_what_it_extends() {
    let draft = good("child.toml");
    let profile = resolved(&draft, Arch::X86_64);
    let alpine = draft.alpine();
    assert_eq!(alpine.release.value.to_string(), "3.22");
    assert_eq!(texts(&alpine.mirrors), ["https://two.example/alpine"]);
    let repositories: Vec<String> = alpine.repositories.iter().map(|r| r.location.to_string()).collect();
    assert_eq!(repositories, ["main", "community"]);
    assert_eq!(texts(&profile.packages.runtime), ["nginx", "tini", "curl"]);

    let files: Vec<String> = profile.files.iter().map(|file| file.path.to_string()).collect();
    assert_eq!(files, ["/etc/motd", "/etc/issue", "/etc/localtime"]);
    assert_eq!(profile.files[0].source, FileSource::Content("child".into()));
    assert_eq!(profile.links, []);
    assert_eq!(profile.users.iter().map(|user| user.uid.get()).collect::<Vec<_>>(), [1001]);

    let image = &profile.image;
    assert_eq!(image.tags.iter().map(names::ImageReference::as_str).collect::<Vec<_>>(), ["child:1"]);
    assert_eq!(image.command, ["nginx", "-g", "daemon off;"]);
    let environment: Vec<(&str, &str)> =
        image.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(environment, [("CHILD", "1"), ("GREETING", "moin"), ("PARENT", "1")]);
    assert_eq!(image.expose.len(), 2);
    let check = image.healthcheck.as_ref().unwrap();
    assert_eq!(check.test.to_argv(), ["CMD", "true"]);
    assert_eq!(check.interval.unwrap().to_string(), "20s");
    assert_eq!(image.smoke.len(), 1);
}

#[test]
fn what_a_later_profile_makes_of_a_path_displaces_what_cannot_be_beside_it() {
    let below = tempfile::tempdir().unwrap();
    let entry = |kind: &str| match kind {
        "link" => "[[links]]\npath = \"/x\"\ntarget = \"y\"\n",
        "file" => "[[files]]\npath = \"/x\"\ncontent = \"\"\n",
        "copy" => "[[files]]\npath = \"/x\"\nsource = \"x\"\n",
        _ => "[[dirs]]\npath = \"/x\"\n",
    };
    let together = [("copy", "directory"), ("directory", "copy")];
    for under in ["link", "file", "copy", "directory"] {
        for over in ["link", "file", "copy", "directory"] {
            let parent = below.path().join("parent.toml");
            crate::root::write_file(&parent, entry(under).as_bytes()).unwrap();
            let child = below.path().join("child.toml");
            let text = format!("extends = [\"parent.toml\"]\n{}", entry(over));
            crate::root::write_file(&child, text.as_bytes()).unwrap();
            let profile = resolved(&load(&child, &Overrides::default()).unwrap(), Arch::X86_64);
            let counts = [profile.links.len(), profile.files.len(), profile.directories.len()];
            let expected = if together.contains(&(under, over)) { 2 } else { 1 };
            assert_eq!(counts.iter().sum::<usize>(), expected, "{over} over {under}: {counts:?}");
            let both = format!("{}{}", entry(under), entry(over));
            let accepted = load_text(&both, &Overrides::default()).is_ok();
            assert_eq!(accepted, expected == 2, "{under} and {over}");
        }
    }
}

#[test]
fn a_profile_that_is_reached_twice_counts_once() {
    let profile = resolved(&good("grandchild.toml"), Arch::X86_64);
    assert_eq!(profile.image.tags[0].as_str(), "child:1");
    assert_eq!(profile.image.author.unwrap(), "other");
}

#[test]
fn a_path_is_meant_from_the_profile_that_states_it() {
    let below = tempfile::tempdir().unwrap();
    let child = below.path().join("child.toml");
    let parent = directory("good").join("child.toml");
    std::fs::File::create(&child).unwrap();
    crate::root::write_file(&child, format!("extends = [{:?}]\n", parent.display().to_string()).as_bytes())
        .unwrap();
    let profile = resolved(&load(&child, &Overrides::default()).unwrap(), Arch::X86_64);
    let FileSource::Local(local) = &profile.files[2].source else { panic!() };
    assert_eq!(local.path.place(), Some(Place::Disk(directory("good").join("localtime"))));
}

#[test]
fn the_command_line_is_merged_over_all() {
    let overrides = Overrides {
        directory: "/here".into(),
        settings: vec!["php=84".parse().unwrap()],
        architectures: vec![Arch::Riscv64],
        mirrors: vec!["mirror".into()],
        repositories: vec!["./local".into()],
        keys: vec!["x.rsa.pub".into()],
        tags: vec!["mine:${php}".into()],
    };
    let draft = load(&directory("good").join("php-fpm.toml"), &overrides).unwrap();
    assert_eq!(draft.provider_variables().count(), 0);
    let alpine = draft.alpine();
    assert_eq!(alpine.architectures, [Arch::Riscv64]);
    assert_eq!(texts(&alpine.mirrors), ["/here/mirror"]);
    assert_eq!(alpine.repositories.len(), 6);
    assert_eq!(alpine.repositories[5].location.to_string(), "/here/./local");
    assert_eq!(alpine.keys[1].value.to_string(), "/here/x.rsa.pub");
    assert_eq!(alpine.keys[1].origin.to_string(), "--key");
    let profile = draft.resolve(Arch::Riscv64, &Values::new()).unwrap();
    assert_eq!(profile.image.tags.iter().map(names::ImageReference::as_str).collect::<Vec<_>>(), ["mine:84"]);
    assert_eq!(profile.packages.runtime[0].value.to_string(), "php84-fpm");
}

#[test]
fn a_repository_of_the_command_line_joins_the_default_ones() {
    let overrides = Overrides { repositories: vec!["/srv/x".into()], ..Overrides::default() };
    let draft = load_text("", &overrides).unwrap();
    let repositories: Vec<String> =
        draft.alpine().repositories.iter().map(|r| r.location.to_string()).collect();
    assert_eq!(repositories, ["main", "community", "/srv/x"]);
}

#[test]
fn a_mistake_on_the_command_line_is_told_as_one() {
    let message = |overrides: &Overrides| {
        let checked =
            load(&directory("good").join("php-fpm.toml"), overrides).and_then(|draft| draft.check());
        let error = checked.unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        format!("{error}\n{}", error.hint().unwrap_or_default())
    };
    let set = |text: &str| Overrides { settings: vec![text.parse().unwrap()], ..Overrides::default() };
    insta::assert_snapshot!(message(&set("pph=84")), @r"
    --set: there is no variable `pph`
    did you mean `php`?
    ");
    insta::assert_snapshot!(message(&set("zzzzzz=84")), @r"
    --set: there is no variable `zzzzzz`
    the variables are `maker` and `php`
    ");
    let tag = Overrides { tags: vec!["Mine".into()], ..Overrides::default() };
    insta::assert_snapshot!(message(&tag), @"--tag: `Mine` is not an image name (\"[registry/]name[:tag]\": lower-case letters and digits, joined by `.`, `_`, `-` and `/`)");
    let repository = Overrides { repositories: vec!["local".into(), "a/b".into()], ..Overrides::default() };
    insta::assert_snapshot!(message(&repository), @r#"--repository: `a/b` is not a repository ("main", "edge/community", "v3.22/main", a URL, or a directory beginning with `/`, `./` or `../`; `@tag ` may stand before it)"#);
}

#[test]
fn a_profile_is_found_by_name_in_order() {
    let below = tempfile::tempdir().unwrap();
    let write = |name: &str| crate::root::write_file(&below.path().join(name), name.as_bytes()).unwrap();
    std::fs::create_dir(below.path().join("profiles")).unwrap();
    let found = |name: &str| find(name, below.path(), BUILT_INS).map(|found| found.text);
    assert!(found("base").unwrap().starts_with("# base"));
    write("profiles/base.toml");
    assert_eq!(found("base").unwrap(), "profiles/base.toml");
    write("base.toml");
    assert_eq!(found("base").unwrap(), "base.toml");
    assert_eq!(found("profiles/base.toml").unwrap(), "profiles/base.toml");
    assert_eq!(find("./base.toml", below.path(), BUILT_INS).unwrap().name, "base");
    for name in ["", "..", "nope", "./nope", "nope.toml", "base.toml/x", "a\u{1b}b", &"a".repeat(5000)] {
        let error = found(name).unwrap_err();
        assert_eq!(error.kind(), Kind::Profile, "{error}");
    }
}

#[test]
fn an_unknown_profile_is_told_what_there_is() {
    let error = find("bsae", Path::new("/nowhere"), BUILT_INS).unwrap_err();
    insta::assert_snapshot!(format!("{error}\n{}", error.hint().unwrap()), @r"
    there is no profile `bsae`
    did you mean `base`?
    looked for /nowhere/bsae.toml and /nowhere/profiles/bsae.toml
    the built-in profiles are `base`, `demo`, `nginx`, `nginx-php-fpm`, `node`, `php-cli`, `php-fpm`, `php-fpm-distroless`, `php-swoole`, `python`, `static` and `valkey`
    ");
}

#[test]
fn a_profile_that_is_too_large_is_refused() {
    let below = tempfile::tempdir().unwrap();
    let path = below.path().join("x.toml");
    crate::root::write_file(&path, &vec![b'#'; (1 << 20) + 1]).unwrap();
    assert_eq!(load(&path, &Overrides::default()).unwrap_err().kind(), Kind::Limit);
}

#[test]
fn a_long_chain_of_profiles_is_refused() {
    let below = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let text = format!("extends = [\"{}.toml\"]\n", number + 1);
        crate::root::write_file(&below.path().join(format!("{number}.toml")), text.as_bytes()).unwrap();
    }
    let error = load(&below.path().join("0.toml"), &Overrides::default()).unwrap_err();
    assert!(error.to_string().contains("more than 16 profiles extend each other"), "{error}");
}

static EMBEDDED: [BuiltIn; 4] = [
    BuiltIn {
        name: "demo",
        text: "extends = [\"plain\"]\nalpine.repositories = [\"./repository\"]\n[[files]]\npath = \"/x\"\nsource = \"x\"\n",
        files: &[EmbeddedFile { path: "x", bytes: b"x" }],
    },
    BuiltIn { name: "plain", text: "", files: &[] },
    BuiltIn { name: "escaping", text: "extends = [\"x.toml\"]", files: &[] },
    BuiltIn { name: "circle", text: "extends = [\"circle\"]", files: &[] },
];

fn embedded(name: &str) -> Result<Draft, ProfileError> {
    let found = find(name, Path::new("/nowhere"), &EMBEDDED)?;
    Draft::load(&found, &Overrides::default(), &EMBEDDED)
}

#[test]
fn a_built_in_profile_names_files_as_any_other_does() {
    let profile = resolved(&embedded("demo").unwrap(), Arch::X86_64);
    let repository::RepositoryLocation::Directory(directory) = &profile.alpine.repositories[0].location
    else {
        panic!("{:?}", profile.alpine.repositories);
    };
    let place = directory.place().unwrap();
    assert_eq!(place, Place::Embedded { profile: &EMBEDDED[0], path: "repository".into() });
    let FileSource::Local(local) = &profile.files[0].source else { panic!() };
    assert_eq!(local.path.place(), Some(Place::Embedded { profile: &EMBEDDED[0], path: "x".into() }));
}

#[test]
fn a_built_in_profile_extends_only_built_in_ones() {
    let error = embedded("escaping").unwrap_err().to_string();
    assert_eq!(error, "escaping (built-in):1: a built-in profile cannot extend the file `x.toml`");
    let error = embedded("circle").unwrap_err().to_string();
    let circle = "circle (built-in) extends circle (built-in)";
    assert_eq!(error, format!("circle (built-in):1: a profile cannot extend itself: {circle}"));
}

#[test]
fn what_is_shown_names_every_origin() {
    let shown = good("child.toml").show().unwrap();
    let parents = format!("{}/", directory("good").display());
    insta::assert_snapshot!(shown.to_string().replace(&parents, ""));
    let json = shown.to_json();
    assert_eq!(json["image"]["env"]["GREETING"]["value"], "moin");
    let origin = json["image"]["env"]["GREETING"]["origin"].as_str().unwrap().replace(&parents, "");
    assert_eq!(origin, "parent.toml:31");
    assert_eq!(json["packages"]["runtime"][2]["value"], "curl");
    assert_eq!(json["limits"]["size"]["value"], 1000);
}

#[test]
fn what_is_shown_is_a_profile_that_says_the_same() {
    for name in ["php-fpm.toml", "child.toml", "parent.toml"] {
        let original = good(name);
        let text = original.show().unwrap().to_string();
        let location = Location::Directory(directory("good"));
        let source = Source { name: "shown.toml".into(), location }.into();
        let found = Found { name: original.name().to_owned(), source, text: text.clone() };
        let again = Draft::load(&found, &Overrides::default(), BUILT_INS)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let [left, right] = [&original, &again].map(|draft| without_places(&resolved(draft, arch)));
            assert_eq!(left, right, "{text}");
        }
    }
}

/// The debug form without origins, for comparing profiles that say the same in different places.
fn without_places(profile: &Profile) -> String {
    let debug = format!("{profile:#?}");
    let mut depth = None;
    let kept = debug.lines().filter(|line| {
        let indent = line.len() - line.trim_start().len();
        match depth {
            Some(start) if indent > start => return false,
            Some(_) => {
                depth = None;
                return false;
            }
            None => {}
        }
        if line.trim_start().starts_with("origin: ") {
            if line.ends_with('{') {
                depth = Some(indent);
            }
            return false;
        }
        true
    });
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn credentials_are_not_shown() {
    let text = "alpine.mirror = [\"https://me:secret@example.org/alpine\"]\n";
    let shown = load_text(text, &Overrides::default()).unwrap().show().unwrap();
    assert!(
        !shown.to_string().contains("secret") && !shown.to_json().to_string().contains("secret"),
        "{shown}"
    );
}

#[test]
fn what_is_seldom_meant_is_warned_of() {
    let text = r#"
        [image]
        repositories = [
            "https://dl-cdn.alpinelinux.org/alpine/v3.22/main",
            "@edge https://dl-cdn.alpinelinux.org/alpine/edge/main",
            "https://dl-cdn.alpinelinux.org/alpine/latest-stable/main",
            "https://nginx.org/packages/alpine/v3.22/nginx",
        ]
        healthcheck = { test = ["CMD", "true"] }
        labels = { "org.opencontainers.image.base.name" = "alpine" }
    "#;
    let profile = resolved(&load_text(text, &Overrides::default()).unwrap(), Arch::X86_64);
    let lints: Vec<String> = profile.lints().iter().map(Lint::to_string).collect();
    insta::assert_snapshot!(lints.join("\n"));
}

#[test]
fn a_hostile_profile_is_an_error_and_no_panic() {
    let many = |line: &str| line.repeat(20_000);
    let numbered = |line: &dyn Fn(usize) -> String| (0..20_000).map(line).collect::<String>();
    for text in [
        format!("packages.runtime = [{}]", many("\"bad name\", ")),
        numbered(&|n| format!("unknown{n} = 1\n")),
        numbered(&|n| format!("[[files]]\npath = \"/{}\"\ncontent = \"\"\n", n / 2)),
        format!("vars.a = \"{}\"\n", "x".repeat(5000)),
        format!("vars.a = \"{}\"\ndescription = \"{}\"\n", "x".repeat(4000), many("${a}")),
        format!("description = \"{}\"\n", many("${")),
        format!("prune.paths = [\"/{}\"]\n", many("{a,")),
        "requires = \">=99999999999999999999\"".to_owned(),
        "\"\\u0000\" = 1".to_owned(),
    ] {
        let error = load_text(&text, &Overrides::default()).and_then(|draft| draft.check()).unwrap_err();
        assert_eq!(error.kind(), Kind::Profile);
        assert!(error.to_string().len() < 20_000, "{}", error.to_string().len());
    }
}

draws::properties! {
    cases = 256;

    property no_text_makes_the_reader_panic(text in "(\\[\\[?(files|image|vars|arch\\.x86_64)\\]\\]?\n|(path|cmd|mode|a) = (\"\\$\\{?a?\\}?\"|[0-9]{1,20}|\\[\"x\"\\]|\\{ b = 1 \\})\n|.{0,5}){0,12}") {
        if let Ok(draft) = load_text(&text, &Overrides::default()) {
            let _ = draft.check();
            let _ = draft.show().map(|shown| shown.to_string());
        }
    }
}
