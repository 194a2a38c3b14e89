//! The solver's case files, `tests/solve/*.case`; their notation is [`crate::solve_case`]'s.
//!
//! A case that says `[differs from 2.14]` follows apk 3; all others are answered alike by the real apk 2.14.4, which
//! is asked each time it is there: the same steps in the same order, or a refusal that blames nothing else.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use apkcompose::kind::Explain as _;

use crate::solve_case::Case;
use crate::solve_text;
use crate::support::need;
use crate::support::reference;

/// How many cases there are at least.
const CASES: usize = 190;

#[test]
fn every_case_comes_out_as_it_says() {
    let mut wrong = String::new();
    for text in cases() {
        let case = Case::parse(&text);
        let (expected, actual) = (expected(&case), answer(&case));
        if expected != actual {
            writeln!(wrong, "== {}\n-- expected\n{expected}-- got\n{actual}", case_name(&text)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_case_is_answered_by_the_real_apk_as_it_says() {
    let Some(alpine) = need::apk("every_case_is_answered_by_the_real_apk_as_it_says") else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut session = reference::minirootfs(&alpine).repository(directory.path()).session();
    let mut wrong = String::new();
    let mut asked = 0;
    for (number, text) in cases().iter().enumerate() {
        let case = Case::parse(text);
        if case.lines("differs from 2.14").is_some() {
            continue;
        }
        asked += 1;
        let place = format!("{number}");
        let seen = reference::place_in_session(&place);
        case.write(&directory.path().join(&place), &seen);
        let theirs = session.run(&case.apk_arguments(&seen));
        let theirs = theirs
            .map(|steps| -> Vec<String> { steps.iter().map(|step| solve_text::of_apk(step)).collect() });
        let alike = match (&theirs, case.lines("steps"), case.lines("blamed")) {
            (Ok(theirs), Some(expected), _) => theirs == expected,
            (Err(said), None, Some(blamed)) => solve_text::blamed(said).eq(blamed.iter().copied()),
            (Err(said), None, None) => solve_text::blamed(said)
                .all(|it| case.solve().unwrap_err().mentions().iter().any(|known| known == it)),
            (Ok(_), None, _) | (Err(_), Some(_), _) => false,
        };
        if !alike {
            writeln!(wrong, "== {}\n{theirs:#?}", case_name(text)).unwrap();
        }
    }
    assert!(asked > CASES * 9 / 10, "only {asked} cases were asked");
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn cases() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/solve");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= CASES);
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The comment a case opens with says what it shows.
fn case_name(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn expected(case: &Case<'_>) -> String {
    let expected = ["steps", "refused", "blamed"].into_iter().find_map(|heading| case.lines(heading));
    expected.expect("no expectation").iter().flat_map(|line| [line, "\n"]).collect()
}

/// What the solver answers, as the case expects it.
fn answer(case: &Case<'_>) -> String {
    let refusal = match case.solve() {
        Ok(steps) => return steps,
        Err(refusal) => refusal,
    };
    if let Some(blamed) = case.lines("blamed") {
        let mentions = refusal.mentions();
        let known = blamed.iter().filter(|name| mentions.iter().any(|mention| mention == *name));
        return known.flat_map(|name| [name, "\n"]).collect();
    }
    let hint = refusal.hint().map(|hint| format!("hint:\n{hint}\n")).unwrap_or_default();
    let message = format!("{refusal}\n{hint}");
    message.lines().flat_map(|line| [line.trim(), "\n"]).collect()
}
