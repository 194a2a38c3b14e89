//! The solver's case files, `tests/solve/*.case`; their notation is [`crate::solve_case`]'s.
//!
//! A case that says `[differs from 2.14]` follows apk 3; all others give the same steps with the real
//! apk 2.14.4.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use apkcompose::kind::Explain as _;

use crate::solve_case::Case;

#[test]
fn every_case_comes_out_as_it_says() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/solve");
    let mut cases: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 40);
    let mut wrong = String::new();
    for path in cases {
        let text = fs::read_to_string(&path).unwrap();
        let case = Case::parse(&text);
        let (expected, actual) = (expected(&case), answer(&case));
        if expected != actual {
            writeln!(wrong, "== {}\n-- expected\n{expected}-- got\n{actual}", case_name(&text)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// The comment a case opens with says what it shows.
fn case_name(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn expected(case: &Case<'_>) -> String {
    let lines = case.lines("steps").or_else(|| case.lines("refused")).expect("no expectation");
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

/// What the solver answers, as the cases expect it.
fn answer(case: &Case<'_>) -> String {
    case.solve().unwrap_or_else(|refusal| {
        let hint = refusal.hint().map(|hint| format!("hint:\n{hint}\n")).unwrap_or_default();
        let message = format!("{refusal}\n{hint}");
        message.lines().flat_map(|line| [line.trim(), "\n"]).collect()
    })
}
