//! `apkcompose resolve`: the forms in which a question can be put, what comes out for people and programs, and that
//! nothing unsigned is believed unasked. What the solver answers is held against the real apk elsewhere.

use std::fmt::Write as _;

use apkcompose::apk::index::Index;
use serde_json::{Value, json};

use crate::made;
use crate::oracle::file_in_tar;
use crate::refusals::hostile::{gzip, plain};
use crate::support::command::{Dir, TestCommand};
use crate::support::need;
use crate::support::server::Server;
use crate::support::server::site::Site;

/// An index as text: each package a line of `name version` and fields.
fn index(packages: &[&str]) -> String {
    let mut text = String::new();
    for package in packages {
        let mut words = package.split(' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        let identity = apkcompose::digest::Sha1::of(package.as_bytes()).to_q1();
        write!(text, "C:{identity}\nP:{name}\nV:{version}\nA:x86_64\nS:1000\nI:2000\n").unwrap();
        let mut fields: Vec<(char, Vec<&str>)> = Vec::new();
        for word in words {
            match word.split_once(':') {
                Some((letter, value)) if letter.len() == 1 => {
                    fields.push((letter.chars().next().unwrap(), vec![value]));
                }
                _ => fields.last_mut().unwrap().1.push(word),
            }
        }
        for (letter, values) in fields {
            writeln!(text, "{letter}:{}", values.join(" ")).unwrap();
        }
        text.push('\n');
    }
    Index::parse("the test's index", text.clone().into_bytes()).unwrap();
    text
}

/// A question about bare texts.
fn resolve(dir: &Dir) -> TestCommand<'_> {
    dir.command().args(["resolve", "--quiet", "--arch", "x86_64", "--allow-untrusted"])
}

fn step(op: &str, name: &str, old: Option<&str>, new: Option<&str>) -> Value {
    json!({ "op": op, "name": name, "tag": "", "old": old, "new": new })
}

#[test]
fn every_kind_of_step_is_told_to_programs() {
    let dir = Dir::new();
    dir.write(
        "repo",
        index(&["new 1 D:up", "up 2", "down 1", "built 1 D:so:x", "pinned 2 s:edge", "x 1 p:so:x=1"]),
    );
    dir.write("edge", index(&["pinned 2 s:edge"]));
    dir.write("db", index(&["up 1", "down 2", "built 1", "gone 1", "pinned 2 s:edge"]));
    dir.write("world", "up\ndown\nbuilt\npinned@edge\n");

    let command = resolve(&dir).args(["--repository", "repo", "--repository", "@edge=edge"]);
    let outcome = command
        .args([
            "--installed",
            "db",
            "--world",
            "world",
            "--upgrade",
            "--available",
            "--format",
            "json",
            "new",
        ])
        .success();

    let answer = outcome.stdout_json();
    assert_eq!(answer["ok"], true);
    let mut steps = answer["steps"].as_array().unwrap().clone();
    steps.sort_by_key(|step| step["name"].as_str().unwrap().to_owned());
    assert_eq!(
        steps,
        [
            step("replace", "built", Some("1"), Some("1")),
            step("downgrade", "down", Some("2"), Some("1")),
            step("purge", "gone", Some("1"), None),
            step("install", "new", None, Some("1")),
            json!({ "op": "repin", "name": "pinned", "tag": "", "old": "2", "new": "2" }),
            step("upgrade", "up", Some("1"), Some("2")),
            step("install", "x", None, Some("1")),
        ]
    );
    // The packages that come are of 1,000 bytes as files and of 2,000 installed, as are those that go.
    assert_eq!((&answer["packages"], &answer["download"]), (&json!(6), &json!(5000)));
    assert_eq!(answer["growth"], json!(2000));
}

#[test]
fn people_read_the_same_in_words() {
    let dir = Dir::new();
    dir.write("repo", index(&["a 2 D:b", "b 1"]));
    dir.write("edge", index(&["c 1"]));
    dir.write("db", index(&["a 1", "old 1"]));

    let command =
        resolve(&dir).args(["--repository", "repo", "--repository", "@edge edge", "--installed", "db"]);
    let outcome = command.args(["a>1", "c@edge"]).success();

    insta::assert_snapshot!(outcome.stdout_text());
    assert_eq!(outcome.stderr_text(), "");
}

#[test]
fn refusals_are_answers_too_each_of_its_kind() {
    let dir = Dir::new();
    dir.write("repo", index(&["a 1 D:b>1", "b 1", "c 1 D:so:none"]));
    dir.write("broken", "a\nb>\n");
    let ask = |dependencies: &[&str], code: i32| {
        let command = resolve(&dir).args(["--repository", "repo", "--format", "json"]).args(dependencies);
        let outcome = command.fails_with(code);
        assert!(outcome.stderr_text().starts_with("error: "), "{outcome}");
        let answer = outcome.stdout_json();
        assert_eq!(answer["ok"], false);
        assert!(!answer["message"].as_str().unwrap().is_empty());
        (answer["kind"].as_str().unwrap().to_owned(), answer["mentions"].clone())
    };

    let (kind, mentions) = ask(&["a"], 6);
    assert_eq!(kind, "unsat");
    for culprit in ["a-1", "b", "b-1"] {
        assert!(mentions.as_array().unwrap().contains(&json!(culprit)), "{mentions}");
    }
    let (kind, mentions) = ask(&["c", "nosuch"], 6);
    assert_eq!(kind, "unsat");
    for culprit in ["c-1", "so:none", "nosuch"] {
        assert!(mentions.as_array().unwrap().contains(&json!(culprit)), "{mentions}");
    }
    assert_eq!(ask(&["a@edge"], 6), ("tag".to_owned(), json!(["a"])));
    assert_eq!(ask(&["b", "a>"], 2), ("spec".to_owned(), json!(["a>"])));
    assert_eq!(ask(&["--world", "broken"], 3), ("spec".to_owned(), json!(["b>"])));
    let line = resolve(&dir).args(["--repository", "repo", "--world", "broken"]).fails_with(3);
    assert!(line.stderr_text().contains("line 2 of broken"), "{line}");
}

#[test]
fn a_tag_that_no_repository_has_is_named_with_those_there_are() {
    let dir = Dir::new();
    dir.write("repo", index(&["a 1"]));
    let ask = |repository: &str| {
        let command = resolve(&dir).args(["--repository", "repo", "--repository", repository, "a@egde"]);
        command.fails_with(6).stderr_text()
    };
    insta::assert_snapshot!(ask("repo") + &ask("@edge=repo"));
}

#[test]
fn a_dependency_takes_the_place_of_what_the_world_says_of_the_name() {
    let dir = Dir::new();
    dir.write("repo", index(&["a 1", "a 2", "b 1"]));
    dir.write("world", "a>1\nb\n");

    let names = |arguments: &[&str]| -> Vec<String> {
        let command = resolve(&dir).args(["--repository", "repo", "--world", "world", "--format", "json"]);
        let answer = command.args(arguments).success().stdout_json();
        let steps = answer["steps"].as_array().unwrap();
        steps.iter().map(|step| format!("{} {}", step["name"], step["new"]).replace('"', "")).collect()
    };

    assert_eq!(names(&[]), ["a 2", "b 1"]);
    assert_eq!(names(&["a<2"]), ["a 1", "b 1"]);
    // As with apk, the last word counts.
    assert_eq!(names(&["a>1", "a=1"]), ["a 1", "b 1"]);
    assert_eq!(names(&["!b"]), ["a 2"]);
}

#[test]
fn options_hold_for_what_is_asked_for_and_what_that_needs_or_else_for_everything() {
    let dir = Dir::new();
    dir.write("repo", index(&["a 2 D:needed", "needed 2", "other 2", "a-doc 2 i:a docs", "docs 1"]));
    dir.write("db", index(&["a 1 D:needed", "needed 1", "other 1", "a-doc 1 i:a docs", "docs 1"]));
    dir.write("world", "a\nother\ndocs\n");
    let upgraded = |arguments: &[&str]| -> Vec<String> {
        let command = resolve(&dir).args(["--repository", "repo", "--installed", "db", "--world", "world"]);
        let answer = command.args(["--format", "json"]).args(arguments).success().stdout_json();
        let mut names: Vec<String> = answer["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };

    // As the real apk 2.14.4 has it with `add --upgrade`, `add --latest` and `upgrade`.
    assert_eq!(upgraded(&["--upgrade", "a"]), ["a", "a-doc", "needed"]);
    assert_eq!(upgraded(&["--upgrade", "needed"]), ["needed"]);
    assert_eq!(upgraded(&["--latest", "a"]), ["a", "a-doc", "needed"]);
    assert_eq!(upgraded(&["--upgrade"]), ["a", "a-doc", "needed", "other"]);
    assert_eq!(upgraded(&["a"]), [""; 0]);
}

#[test]
fn texts_may_be_short_and_come_through_pipes() {
    let dir = Dir::new();
    // What is only asked about need not say which file it is, nor how large.
    dir.write("repo", "\nP:a\nV:1\nD:b\n\n\nP:b\nV:2");
    let command =
        resolve(&dir).args(["--repository", "repo", "--world", "/dev/null", "--installed", "/dev/null", "a"]);
    let text = command.success().stdout_text();
    assert!(text.starts_with("(1/2) install b (2)\n(2/2) install a (1)\n"), "{text}");
    let command = resolve(&dir).args(["--repository", "repo", "--world", "/dev/stdin"]);
    assert_eq!(command.stdin("a\n").success().stdout_text(), text);
}

#[test]
fn a_repository_may_be_given_in_every_form_there_is() {
    let dir = Dir::new();
    let package = plain("a").made();
    made::repository(&dir.join("repo"), "test", &[&package], made::key());
    dir.write("test.rsa.pub", made::key().public_key().pem());
    let signed = dir.read("repo/x86_64/APKINDEX.tar.gz");
    let server = Server::of(Site::default());
    server.put("repo/x86_64/APKINDEX.tar.gz", signed);
    dir.write("text", index(&["a 1-r0"]));

    let absolute = dir.join("repo");
    let forms = [
        "repo".to_owned(),
        "./repo/".to_owned(),
        absolute.display().to_string(),
        format!("file://{}", absolute.display()),
        "repo/x86_64".to_owned(),
        "repo/x86_64/APKINDEX.tar.gz".to_owned(),
        format!("{}/repo", server.url()),
        format!("{}/repo/x86_64/APKINDEX.tar.gz", server.url()),
    ];
    for form in &forms {
        let command = dir.command().args(["resolve", "--arch", "x86_64", "-q", "--key", "test.rsa.pub"]);
        let outcome = command.args(["--repository", form, "a"]).success();
        assert!(outcome.stdout_text().starts_with("(1/1) install a (1-r0)\n"), "{form}: {outcome}");
    }
    let outcome = resolve(&dir).args(["--repository", "text", "a"]).success();
    assert!(outcome.stdout_text().starts_with("(1/1) install a (1-r0)\n"), "{outcome}");
    // Where there is none, all places are named that were looked at.
    let missing = resolve(&dir).args(["--repository", ".", "a"]).fails_with(4).stderr_text();
    assert!(missing.contains("x86_64/APKINDEX.tar.gz") && missing.contains("./APKINDEX.tar.gz"), "{missing}");
    let missing = resolve(&dir).args(["--repository", "nowhere", "a"]).fails_with(4).stderr_text();
    assert!(missing.contains("nowhere"), "{missing}");
}

#[test]
fn nothing_unsigned_is_believed_unasked_and_nothing_changed_at_all() {
    let dir = Dir::new();
    let package = plain("a").made();
    dir.write("test.rsa.pub", made::key().public_key().pem());
    let signed = made::index("test", &[&package], made::key());
    dir.write("text", index(&["a 1-r0"]));
    dir.write("foreign.tar.gz", made::index("test", &[&package], made::other_key()));
    dir.write("unsigned.tar.gz", unsigned(&signed));
    dir.write("good.tar.gz", &signed);
    // Signed with the key, and something else since.
    let other = made::index("other", &[&package], made::key());
    dir.write("bad.tar.gz", [signature(&signed), &unsigned(&other)].concat());

    let ask = |file: &str, arguments: &[&str], code: i32| {
        let command = dir.command().args(["resolve", "-q", "--arch", "x86_64", "--repository", file, "a"]);
        command.args(arguments).fails_with(code).stderr_text()
    };
    for file in ["text", "foreign.tar.gz", "unsigned.tar.gz"] {
        let refused = ask(file, &["--key", "test.rsa.pub"], 5);
        assert!(refused.contains("--allow-untrusted") && refused.contains(file), "{refused}");
        ask(file, &["--key", "test.rsa.pub", "--allow-untrusted"], 0);
    }
    ask("good.tar.gz", &["--key", "test.rsa.pub"], 0);
    assert!(ask("good.tar.gz", &[], 5).contains("test.rsa.pub"));
    ask("good.tar.gz", &["--allow-untrusted"], 0);
    // A bad signature of somebody known is no better than before.
    let bad = ask("bad.tar.gz", &["--key", "test.rsa.pub", "--allow-untrusted"], 5);
    assert!(bad.contains("BAD signature"), "{bad}");
}

/// The first gzip member of a signed file.
fn signature(signed: &[u8]) -> &[u8] {
    &signed[..signed.len() - unsigned(signed).len()]
}

/// What follows it.
fn unsigned(signed: &[u8]) -> Vec<u8> {
    let mut rest = signed;
    let mut member = flate2::bufread::GzDecoder::new(&mut rest);
    std::io::copy(&mut member, &mut std::io::sink()).unwrap();
    member.into_inner().to_vec()
}

#[test]
fn what_is_no_index_is_named_with_what_is_wrong() {
    let dir = Dir::new();
    dir.write("adb", b"ADBd....");
    dir.write("garbage", b"\x00\x01\x02 garbage");
    dir.write("cut.tar.gz", &made::index("test", &[&plain("a").made()], made::key())[..100]);
    dir.write("empty.tar.gz", gzip(&[0; 1024]));
    dir.write("db", "P:a\n\n");

    for (file, words) in [
        ("adb", "ADB format"),
        ("garbage", "line 1 of APKINDEX is malformed"),
        ("cut.tar.gz", "malformed"),
        ("empty.tar.gz", "it has no APKINDEX"),
    ] {
        let refused = resolve(&dir).args(["--repository", file, "a"]).fails_with(5).stderr_text();
        assert!(refused.contains(words) && refused.contains(file), "{refused}");
    }
    let refused = resolve(&dir).args(["--installed", "db", "a"]).fails_with(3).stderr_text();
    assert!(refused.contains("line 2 of db is malformed") && refused.contains("no V: field"), "{refused}");
    // An empty file is an index without packages.
    dir.write("nothing", "");
    resolve(&dir).args(["--repository", "nothing", "a"]).fails_with(6);
}

#[test]
fn a_question_that_makes_no_sense_is_refused_with_the_way_to_put_it() {
    let dir = Dir::new();
    dir.write("repo", index(&["a 1"]));
    let ask = |arguments: &[&str]| dir.command().arg("resolve").args(arguments).fails_with(2).stderr_text();

    assert!(ask(&[]).contains("nothing is asked for"));
    assert!(ask(&["a"]).contains("no repository"));
    assert!(ask(&["--repository", "@edge", "a"]).contains("`@edge` is not a repository"));
    assert!(ask(&["--repository", "@e!d=x", "a"]).contains("is not a repository"));
    assert!(ask(&["--add", "a"]).contains("--profile"));
    assert!(ask(&["--profile", "demo", "a"]).contains("--add"));
    assert!(ask(&["--profile", "demo", "--world", "x"]).contains("--profile"));
    assert!(ask(&["--repository", "repo", "--arch", "x86_64,aarch64", "a"]).contains("one architecture"));
    assert!(ask(&["--repository", "repo", "--arch", "z80", "a"]).contains("z80"));
}

#[test]
fn nothing_is_written_and_an_installed_database_alone_is_a_world_of_nothing() {
    let dir = Dir::new();
    dir.write("db", index(&["a 1 D:b", "b 1"]));

    let outcome = resolve(&dir).args(["--installed", "db", "--format", "json"]).success();

    let steps = [step("purge", "a", Some("1"), None), step("purge", "b", Some("1"), None)];
    assert_eq!(outcome.stdout_json()["steps"], json!(steps));
    assert_eq!(outcome.stdout_json()["growth"], json!(-4000));
    assert_eq!(dir.names(), ["db"]);
}

#[test]
fn the_real_indexes_over_the_minirootfs_give_the_recorded_answers() {
    let test = "the_real_indexes_over_the_minirootfs_give_the_recorded_answers";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    let base = alpine.minirootfs("x86_64");
    dir.write("db", file_in_tar(&base, "lib/apk/db/installed"));
    dir.write("world", file_in_tar(&base, "etc/apk/world"));

    // The numbers of steps are those of the spec, "Worked model".
    for (wanted, count) in
        [("php83-fpm", 10), ("nginx", 2), ("python3", 17), ("postgresql16", 19), ("chromium", 164)]
    {
        let command = dir.command().args([
            "resolve",
            "-q",
            "--arch",
            "x86_64",
            "--installed",
            "db",
            "--world",
            "world",
        ]);
        let command = command.arg("--repository").arg(alpine.repository("v3.19/main"));
        let command = command.arg("--repository").arg(alpine.repository("v3.19/community"));
        let answer = command.args(["--format", "json", wanted]).success().stdout_json();
        assert_eq!(answer["steps"].as_array().unwrap().len(), count, "{wanted}");
    }
}
