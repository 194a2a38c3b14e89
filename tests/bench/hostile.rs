//! What much of one thing costs: 1,000, 10,000 and 100,000 of each thing that a repository, a package or a profile can
//! have many of.
//!
//! A row is a kind of thing. It prints seconds, the peak of memory and how the command ended for each number, and how
//! many times as much ten times as many cost: about 10 where the cost grows with the input, 100 where it grows with its
//! square. A command that ends at a limit says so with exit code 8; one that has not ended after [`PATIENCE`] is
//! stopped, and larger numbers of that kind are not tried.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use apkcompose::apk::package::{ScriptKind, Scripts};
use apkcompose::apk::package_info::PackageInfo;
use apkcompose::apk::write_package::{PackageFile, PackageFileKind, PackageOwner, write_package};
use apkcompose::content::Content;
use apkcompose::digest::Sha1;
use apkcompose::path::TreePath;

use crate::made::{self, Made};
use crate::place::{Place, run};
use crate::support::command::BINARY;
use crate::support::files;

/// How many there are of a thing.
const NUMBERS: [usize; 3] = [1_000, 10_000, 100_000];
/// How long a command may take, in seconds.
const PATIENCE: u64 = 20;
/// The exit status of timeout(1) where that was not enough, and where the command had to be killed.
const TIMED_OUT: i32 = 124;
const KILLED: i32 = 137;

/// Makes much of a thing in a directory, and the command that is measured.
type Make = fn(&Path, usize) -> Command;

/// The kinds of things that the solver meets, asked of as `apkcompose resolve` is.
const SOLVING: [(&str, Make); 17] = [
    ("provides of one package", |dir, n| {
        resolve(dir, &stanza("c0", &format!("p:{}", words(n, |i| format!("p{i}={i}")))))
    }),
    ("providers of one name", |dir, n| {
        resolve(dir, &(stanza("c0", "D:virtual") + &many(n, |i| stanza(&format!("v{i}"), "p:virtual=1"))))
    }),
    ("providers of 100 names each, n/100", |dir, n| {
        let provides = |i: usize| format!("p:{}", words(100, |name| format!("virtual{name}={i}")));
        resolve(
            dir,
            &(stanza("c0", "D:virtual7") + &many(n / 100, |i| stanza(&format!("v{i}"), &provides(i)))),
        )
    }),
    ("dependencies, met", |dir, n| {
        let needs = format!("D:{}", words(n, |i| format!("p{i}")));
        resolve(dir, &(stanza("c0", &needs) + &many(n, |i| stanza(&format!("p{i}"), ""))))
    }),
    ("dependencies, not met", |dir, n| {
        resolve(dir, &stanza("c0", &format!("D:{}", words(n, |i| format!("p{i}")))))
    }),
    ("a chain of dependencies", |dir, n| {
        resolve(
            dir,
            &(many(n, |i| stanza(&format!("c{i}"), &format!("D:c{}", i + 1)))
                + &stanza(&format!("c{n}"), "")),
        )
    }),
    ("a chain with a missing end", |dir, n| {
        resolve(dir, &many(n, |i| stanza(&format!("c{i}"), &format!("D:c{}", i + 1))))
    }),
    ("a circle of dependencies", |dir, n| {
        resolve(dir, &many(n, |i| stanza(&format!("c{i}"), &format!("D:c{}", (i + 1) % n))))
    }),
    ("a chain of install_if", |dir, n| {
        let after = |i: usize| if i == 0 { String::new() } else { format!("i:c{}", i - 1) };
        resolve(dir, &many(n, |i| stanza(&format!("c{i}"), &after(i))))
    }),
    ("install_if of one another, n/2 pairs", |dir, n| {
        let pair = |i: usize| {
            stanza(&format!("a{i}"), &format!("i:c0 b{i}")) + &stanza(&format!("b{i}"), &format!("i:c0 a{i}"))
        };
        resolve(dir, &(stanza("c0", "") + &many(n / 2, pair)))
    }),
    ("install_if of one package", |dir, n| {
        resolve(dir, &(stanza("c0", "") + &many(n, |i| stanza(&format!("p{i}"), "i:c0"))))
    }),
    ("install_if of all before, n words", |dir, n| {
        let packages = (2 * n).isqrt();
        let conditions = |i: usize| format!("i:{}", words(i, |j| format!("c{j}")));
        resolve(
            dir,
            &many(packages, |i| {
                stanza(&format!("c{i}"), if i == 0 { String::new() } else { conditions(i) }.as_str())
            }),
        )
    }),
    ("conditions of one install_if", |dir, n| {
        let needs = stanza("c0", &format!("D:{}", words(n, |i| format!("p{i}"))));
        let all = stanza("all", &format!("i:{}", words(n, |i| format!("p{i}"))));
        resolve(dir, &(needs + &all + &many(n, |i| stanza(&format!("p{i}"), ""))))
    }),
    ("versions of one name", |dir, n| resolve(dir, &many(n, |i| version("c0", i)))),
    ("versions that cannot be installed", |dir, n| {
        resolve(dir, &many(n, |i| version("c0", i).replace("\n\n", "\nD:no\n\n")))
    }),
    ("conflicts of one package", |dir, n| {
        let conflicts = stanza("c0", &format!("D:{}", words(n, |i| format!("!p{i}"))));
        resolve(dir, &(conflicts + &many(n, |i| stanza(&format!("p{i}"), ""))))
    }),
    ("packages under a tag", |dir, n| {
        let tagged = dir.join("tagged");
        let names = many(n, |i| stanza(&format!("p{i}"), &format!("D:p{}", (i + 1) % n)));
        files::write(&tagged, names.as_bytes());
        let mut command = resolve_of(dir, &many(n, |i| stanza(&format!("p{i}"), "")), "p0@edge");
        command.arg("--repository").arg(format!("@edge={}", tagged.display()));
        command
    }),
];

/// The kinds of things that a build meets in packages and profiles.
const BUILDING: [(&str, Make); 16] = [
    ("symbolic links", |dir, n| build(dir, &[holding("app", n, |i| (format!("d/{i:06}"), link("x")))], "")),
    ("files", |dir, n| build(dir, &[holding("app", n, |i| (format!("d/{i:06}"), file("x")))], "")),
    ("directories", |dir, n| {
        build(dir, &[holding("app", n, |i| (format!("d/{i:06}"), PackageFileKind::Directory))], "")
    }),
    ("hard links of one file", |dir, n| {
        let first = TreePath::relative("d/000000").expect("a path");
        let kind = move |i| if i == 0 { file("x") } else { PackageFileKind::HardLink(first.clone()) };
        build(dir, &[holding("app", n, |i| (format!("d/{i:06}"), kind(i)))], "")
    }),
    ("files 500 directories deep", |dir, n| {
        let deep = "d/".repeat(500);
        build(dir, &[holding("app", n, |i| (format!("{deep}{i:06}"), file("")))], "")
    }),
    ("files with an attribute", |dir, n| {
        let mut package = holding("app", n, |i| (format!("d/{i:06}"), file("")));
        for entry in &mut package.files {
            entry.xattrs.insert("user.a".into(), Box::from(*b"value"));
        }
        build(dir, &[package], "")
    }),
    ("triggers, each of one directory", |dir, n| triggers(dir, n, |i| format!("/d/{i:06}"))),
    ("triggers, each of all directories", |dir, n| triggers(dir, n, |i| format!("/d/*{i}*"))),
    ("one trigger of n letters", |dir, n| {
        let mut package = holding("app", 1, |_| ("d".to_owned(), PackageFileKind::Directory));
        package.info.triggers = vec![format!("/{}", "?".repeat(n))];
        build(dir, &[package], "")
    }),
    ("protected paths", |dir, n| {
        let list = many(n, |i| format!("+srv/{i}*\n"));
        let lists = holding("app", 1, |_| ("etc/apk/protected_paths.d/app.list".to_owned(), file(&list)));
        build(dir, &[lists, holding("more", n, |i| (format!("srv/{i}"), file("")))], "")
    }),
    ("files that another package takes", |dir, n| {
        let mut taking = holding("taking", n, |i| (format!("d/{i:06}"), file("2")));
        taking.info.replaces = vec!["app".to_owned()];
        taking.info.depends = vec!["app".to_owned()];
        build(dir, &[holding("app", n, |i| (format!("d/{i:06}"), file("1"))), taking], "")
    }),
    ("words of one replaces list", |dir, n| {
        let mut taking = holding("taking", 100, |i| (format!("d/{i:06}"), file("2")));
        taking.info.replaces = (0..n).map(|i| format!("p{i}")).chain(["app".to_owned()]).collect();
        taking.info.depends = vec!["app".to_owned()];
        build(dir, &[holding("app", 100, |i| (format!("d/{i:06}"), file("1"))), taking], "")
    }),
    ("packages with one path, n/100", |dir, n| {
        let one = |number: usize| {
            let mut package =
                holding(&format!("p{number:05}"), 1, |_| ("usr/share/one".to_owned(), file("x")));
            package.info.replaces =
                number.checked_sub(1).map(|before| format!("p{before:05}")).into_iter().collect();
            package.info.depends.clone_from(&package.info.replaces);
            package
        };
        build(dir, &(0..n / 100).map(one).collect::<Vec<_>>(), "")
    }),
    ("packages of an account, n/100", |dir, n| {
        let one = |number: usize| {
            let mut package =
                holding(&format!("p{number:05}"), 1, |i| (format!("usr/share/{number}-{i}"), file("x")));
            let owner = PackageOwner { user: format!("user{number}").into(), ..PackageOwner::root() };
            package.files.iter_mut().for_each(|file| file.owner = owner.clone());
            package
        };
        let accounts = holding("accounts", 1, |_| ("etc/passwd".to_owned(), file(&many(n, passwd_line))));
        build(dir, &std::iter::once(accounts).chain((0..n / 100).map(one)).collect::<Vec<_>>(), "")
    }),
    ("users of a profile", |dir, n| {
        let accounts = [
            ("etc/passwd", "root:x:0:0:::\n"),
            ("etc/group", "root:x:0:\n"),
            ("etc/shadow", "root:*::::::\n"),
        ];
        let package = holding("app", 3, |i| (accounts[i].0.to_owned(), file(accounts[i].1)));
        build(dir, &[package], &many(n, |i| format!("[[users]]\nname = \"u{i}\"\nuid = {}\n", i + 1_000)))
    }),
    ("files of a profile", |dir, n| {
        for number in 0..n {
            files::write(&dir.join(format!("source/{number:06}")), b"x");
        }
        build(dir, &[], "[[files]]\npath = \"/srv\"\nsource = \"source\"\nexclude = [\"**/*7\"]\n")
    }),
];

/// Measures each kind once: what costs ten times as much is no matter of a few percent.
pub(crate) fn measure(place: &Place, _rounds: usize) -> Result<(), String> {
    println!(
        "seconds, MiB and exit status of {NUMBERS:?}, and their ratios (10: in proportion; 100: its square)\n"
    );
    for (title, kinds) in [("apkcompose resolve", &SOLVING[..]), ("apkcompose build", &BUILDING[..])] {
        let heads = NUMBERS.map(|number| format!("{number:>22}")).concat();
        println!("{title:38}{heads}{:>16}{:>16}", "1,000:10,000", "10,000:100,000");
        for (name, make) in kinds {
            row(place, name, *make)?;
        }
        println!();
    }
    Ok(())
}

/// What one command cost.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    mebibytes: f64,
    status: i32,
}

fn row(place: &Place, name: &str, make: Make) -> Result<(), String> {
    let mut costs: Vec<Cost> = Vec::new();
    let mut line = format!("{name:38}");
    for number in NUMBERS {
        if costs.last().is_some_and(|cost| cost.status == TIMED_OUT) {
            let _ = write!(line, "{:>22}", "not tried");
            continue;
        }
        let directory = place.join("hostile");
        run("rm", &["-rf", &directory.to_string_lossy()]);
        files::create_dir(&directory);
        let cost = cost_of(&make(&directory, number), &place.join("notes"))?;
        let cell = match cost.status {
            TIMED_OUT => format!("more than {PATIENCE} s"),
            status => format!("{:.2} s {:.0} MiB ({status})", cost.seconds, cost.mebibytes),
        };
        let _ = write!(line, "{cell:>22}");
        costs.push(cost);
    }
    for pair in costs.windows(2).filter(|pair| pair.iter().all(|cost| cost.status != TIMED_OUT)) {
        // Starting the program costs some milliseconds, whatever it is given.
        let ratio = |of: fn(&Cost) -> f64, least: f64| of(&pair[1]).max(least) / of(&pair[0]).max(least);
        let ratios =
            format!("{:.1} / {:.1}", ratio(|cost| cost.seconds, 0.01), ratio(|cost| cost.mebibytes, 1.0));
        let _ = write!(line, "{ratios:>16}");
    }
    println!("{line}");
    Ok(())
}

/// Runs `command`, whatever it ends with, for so long as there is [`PATIENCE`].
fn cost_of(command: &Command, notes: &Path) -> Result<Cost, String> {
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["--quiet", "--format", "%M", "--output"]).arg(notes);
    timed.args(["timeout", "--kill-after=5", &PATIENCE.to_string()]);
    timed.arg(command.get_program()).args(command.get_args());
    command.get_envs().filter_map(|(name, value)| Some((name, value?))).for_each(|(name, value)| {
        timed.env(name, value);
    });
    let begin = Instant::now();
    let output = timed.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run /usr/bin/time: {error}"))?;
    let seconds = begin.elapsed().as_secs_f64();
    // timeout(1) itself is killed with what it runs if that does not end when it is told to.
    let status = match output.status.code() {
        Some(KILLED) | None => TIMED_OUT,
        Some(status) => status,
    };
    let kibibytes = files::read_text(notes).trim().parse::<f64>();
    let kibibytes =
        kibibytes.map_err(|_| format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))?;
    // Done, unsolvable, or a limit: anything else is a mistake of what was made here, or of apkcompose.
    if !matches!(status, 0 | 6 | 8 | TIMED_OUT) {
        return Err(format!("{command:?}: {status}\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(Cost { seconds, mebibytes: kibibytes / 1024.0, status })
}

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

fn words(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(" ")
}

/// A package of an index, with one more line if there is one.
fn stanza(name: &str, line: &str) -> String {
    let identity = Sha1::of(name.as_bytes()).to_q1();
    let end = if line.is_empty() { "" } else { "\n" };
    format!("C:{identity}\nP:{name}\nV:1\nA:x86_64\nS:1\nI:1\n{line}{end}\n")
}

/// A version of a package.
fn version(name: &str, number: usize) -> String {
    let identity = Sha1::of(format!("{name} {number}").as_bytes()).to_q1();
    format!("C:{identity}\nP:{name}\nV:{number}\nA:x86_64\nS:1\nI:1\n\n")
}

fn resolve(dir: &Path, index: &str) -> Command {
    resolve_of(dir, index, "c0")
}

/// The question for `name` to an index of this text.
fn resolve_of(dir: &Path, index: &str, name: &str) -> Command {
    let repository = dir.join("APKINDEX");
    files::write(&repository, index.as_bytes());
    let mut resolve = Command::new(BINARY);
    resolve.args(["resolve", "--quiet", "--allow-untrusted", "--arch", "x86_64", "--repository"]);
    resolve.arg(repository).arg(name).env("HOME", dir).env_remove("XDG_CACHE_HOME");
    resolve
}

/// A package in the making.
struct Package {
    info: PackageInfo,
    scripts: Scripts,
    files: Vec<PackageFile>,
}

/// The package `name` with `count` entries, and the directories above them.
fn holding(name: &str, count: usize, entry: impl Fn(usize) -> (String, PackageFileKind)) -> Package {
    let info = PackageInfo {
        name: name.to_owned(),
        version: "1-r0".to_owned(),
        arch: "x86_64".to_owned(),
        build_time: Some(1_700_000_000),
        ..PackageInfo::default()
    };
    let file = |path: TreePath, kind| PackageFile {
        mode: if matches!(kind, PackageFileKind::Directory) { 0o755 } else { 0o644 },
        path,
        kind,
        owner: PackageOwner::root(),
        mtime: 1_700_000_000,
        xattrs: BTreeMap::new(),
    };
    let mut files = BTreeMap::new();
    for (path, kind) in (0..count).map(entry) {
        let path = TreePath::relative(&path).expect("a path");
        let above = std::iter::successors(path.parent(), TreePath::parent).filter(|above| !above.is_root());
        for directory in above.take_while(|above| !files.contains_key(above)).collect::<Vec<_>>() {
            files.insert(directory.clone(), file(directory, PackageFileKind::Directory));
        }
        files.insert(path.clone(), file(path, kind));
    }
    Package { info, scripts: Scripts::new(), files: files.into_values().collect() }
}

fn file(text: &str) -> PackageFileKind {
    PackageFileKind::File(Content::of_bytes(text.as_bytes()))
}

fn link(target: &str) -> PackageFileKind {
    PackageFileKind::Symlink(target.into())
}

fn passwd_line(number: usize) -> String {
    format!("user{number}:x:{}:{}::/:/sbin/nologin\n", number + 1_000, number + 1_000)
}

/// As many globs as directories, of a trigger that does nothing.
fn triggers(dir: &Path, count: usize, glob: impl Fn(usize) -> String) -> Command {
    let mut package = holding("app", count, |i| (format!("d/{i:06}"), PackageFileKind::Directory));
    package.info.triggers = (0..count).map(glob).collect();
    // A script without commands is applied and not run.
    package.scripts.insert(ScriptKind::Trigger, b"#!/bin/sh\nexit 0\n".to_vec());
    build(dir, &[package], "")
}

/// The build of an image of `packages`, with `lines` more of the profile.
fn build(dir: &Path, packages: &[Package], lines: &str) -> Command {
    let made: Vec<Made> = packages
        .iter()
        .map(|package| {
            let (info, mut files) = (&package.info, package.files.clone());
            made::of_bytes(
                write_package(info, &package.scripts, &mut files, Some(made::key())).expect("a package"),
            )
        })
        .collect();
    made::repository(&dir.join("repo"), "hostile", &made.iter().collect::<Vec<_>>(), made::key());
    files::write(&dir.join("test.rsa.pub"), made::key().public_key().pem());
    let names: Vec<&str> = packages.iter().map(|package| package.info.name.as_str()).collect();
    let profile = dir.join("profile.toml");
    let text = format!(
        "[alpine]\narch = [\"x86_64\"]\nbase = \"scratch\"\nrepositories = [\"./repo\"]\nkeys = [\"test.rsa.pub\"]\n\
         [packages]\nruntime = {names:?}\n{lines}"
    );
    files::write(&profile, text.as_bytes());
    let output: PathBuf = dir.join("image.tar");
    let mut build = Command::new(BINARY);
    build.args(["build", "--quiet", "--scripts", "warn", "--profile"]).arg(profile);
    build.arg("--cache-dir").arg(dir.join("cache")).arg("--output");
    build.arg(format!("type=tar,dest={}", output.display())).env("HOME", dir);
    build
}
