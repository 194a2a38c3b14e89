//! Fields of a stanza that come twice, in any order, as the real apk reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use apkcompose::apk::installed::InstalledText;
use apkcompose::digest::Sha1;

use crate::support::command::Dir;
use crate::support::{draws, files};
use crate::versions::{Apk, Dice};

/// How many stanzas a database has.
const STANZAS: usize = 40;

const LISTS: [&str; 12] =
    ["D:a", "D:b c", "D:so:x d", "p:e=1", "p:f", "p:cmd:g h", "i:j", "i:k l", "i:m", "r:n", "r:o p", "r:q"];
const FILES: [&str; 8] = ["F:etc", "F:usr", "F:usr/bin", "R:a", "R:b", "a:0:0:600", "M:0:0:700", "R:c"];

/// A database of packages `p0`, `p1`, ..., each of which has had other names and versions before.
fn database(dice: &mut Dice) -> String {
    let mut text = String::new();
    for number in 0..STANZAS {
        // Packages of one identity would be one.
        writeln!(text, "C:{}", Sha1::of(number.to_string().as_bytes()).to_q1()).unwrap();
        text += "P:former\nV:1\nV:2\nA:noarch\nT:one\nS:1\nI:1\n";
        for _ in 0..dice.below(8) {
            text += dice.pick(&LISTS);
            text.push('\n');
        }
        let version = dice.pick(&["3", "4-r1"]);
        writeln!(text, "P:p{number}\nV:{version}\nT:two\nF:{number}\nR:first").unwrap();
        let mut has_file = true;
        let mut directories = BTreeSet::new();
        for _ in 0..dice.below(10) {
            let line = dice.pick(&FILES);
            // Of a directory that comes twice apk 2.14 makes files without a name.
            if line.starts_with("F:") && !directories.insert(line) {
                continue;
            }
            has_file = if line.starts_with('R') { true } else { has_file && !line.starts_with('F') };
            if has_file || !line.starts_with('a') {
                // A path is one package's.
                text += &line.replace("F:", &format!("F:{number}/"));
                text.push('\n');
            }
        }
        text.push('\n');
    }
    text
}

/// What apk says of all packages to `question`, an option of `apk info`: lines by package, sorted.
fn said(apk: &Apk, dir: &Dir, question: &str) -> BTreeMap<String, Vec<String>> {
    let mut command: Command = apk.command();
    command.arg("--root").arg(dir.join("root")).args(["--repositories-file", "/dev/null", "info", question]);
    command.args((0..STANZAS).map(|number| format!("p{number}")));
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut answers = BTreeMap::new();
    for answer in text.split("\n\n").filter(|answer| !answer.trim().is_empty()) {
        let mut lines = answer.trim_start().lines();
        let package = lines.next().unwrap().split(' ').next().unwrap().to_owned();
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        answers.insert(package, lines);
    }
    assert_eq!(answers.len(), STANZAS, "{text} {}", String::from_utf8_lossy(&output.stderr));
    answers
}

#[test]
fn fields_that_come_twice_are_read_as_the_real_apk_reads_them() {
    let Some(apk) = Apk::find("fields_that_come_twice_are_read_as_the_real_apk_reads_them") else { return };
    draws::each_seed("fields_that_come_twice_are_read_as_the_real_apk_reads_them", |seed| {
        let dir = Dir::new();
        let text = database(&mut Dice::new(seed));
        for (path, content) in [
            ("lib/apk/db/installed", text.as_str()),
            ("lib/apk/db/triggers", ""),
            ("lib/apk/db/scripts.tar", ""),
            ("etc/apk/world", ""),
        ] {
            files::write(&dir.join("root").join(path), content.as_bytes());
        }
        let database = InstalledText::parse("db", &text).unwrap();

        for question in ["--provides", "--depends", "--replaces", "--install-if", "--contents"] {
            let mut ours = BTreeMap::new();
            for (package, entry) in database.packages().iter().zip(database.index().packages()) {
                let words = |words: &mut dyn Iterator<Item = &str>| words.map(str::to_owned).collect();
                let mut lines: Vec<String> = match question {
                    "--provides" => words(&mut entry.provides()),
                    "--depends" => words(&mut entry.depends()),
                    "--install-if" => words(&mut entry.install_if()),
                    "--replaces" => package.replaces.clone(),
                    _ => package
                        .files()
                        .map(|(path, file)| format!("{}/{}", path.as_str(), file.name))
                        .collect(),
                };
                lines.sort();
                ours.insert(entry.to_string(), lines);
            }
            assert_eq!(ours, said(&apk, &dir, question), "{question} of\n{text}");
        }
    });
}
