//! Small universes, drawn: a few names, each in a few versions, that depend on one another with bounds and exclude
//! one another, in repositories with and without a tag, over what an older world had installed. Here choices clash
//! far more often than among real packages.
//!
//! A refusal of which 2.14 itself finds no reason ("Huh?") counts for nothing.
//!
//! Drawn is only what apk 2.14 answers as 3.x does (spec apk v2, "2.14 vs 3.x"), so the answers must be equal. In what
//! order several packages go that nothing needs any more is not compared.

use std::fmt::Write as _;

use super::Dice;
use crate::solve_case::Case;
use crate::solve_text;
use crate::support::need;
use crate::support::reference;

/// How many universes are drawn.
const UNIVERSES: usize = 400;
/// The first number of the draws.
const SEED: u64 = 2_144;

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

#[test]
fn small_universes_are_answered_as_the_real_apk_answers_them() {
    let Some(alpine) = need::apk("small_universes_are_answered_as_the_real_apk_answers_them") else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut session = reference::minirootfs(&alpine).repository(directory.path()).session();
    let mut dice = Dice(SEED);
    let (mut different, mut solved) = (String::new(), 0);
    for number in 0..UNIVERSES {
        let text = universe(&mut dice);
        let case = Case::parse(&text);
        let place = number.to_string();
        let seen = reference::place_in_session(&place);
        case.write(&directory.path().join(&place), &seen);
        let theirs = session.run(&case.apk_arguments(&seen));
        let theirs = theirs.map(|steps| steps.iter().map(|step| solve_text::of_apk(step)).collect());
        match (case.solve(), theirs) {
            (Ok(ours), Ok(theirs)) => {
                solved += 1;
                let ours = ours.lines().map(str::to_owned).collect();
                if comparable(ours) != comparable(theirs) {
                    let theirs = session.run(&case.apk_arguments(&seen)).unwrap();
                    writeln!(
                        different,
                        "== {number}\n{text}-- ours\n{}-- apk's\n{theirs:#?}",
                        case.solve().unwrap()
                    )
                    .unwrap();
                }
            }
            (_, Err(said)) if said.contains("Huh?") => {}
            (Err(_), Err(said)) if said.contains("unable to select packages") => {}
            (ours, theirs) => writeln!(different, "== {number}\n{text}-- {ours:?}\n-- {theirs:?}").unwrap(),
        }
    }
    assert!(different.is_empty(), "\n{different}");
    assert!((UNIVERSES / 3..UNIVERSES * 9 / 10).contains(&solved), "{solved} of {UNIVERSES} have an answer");
}

/// Steps of which those that belong together in any order stand sorted.
fn comparable(steps: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut gone, come): (Vec<String>, Vec<String>) =
        steps.into_iter().partition(|step| step.starts_with("purge "));
    gone.sort();
    (come, gone)
}

/// A universe and what is asked of it, in the notation of the cases.
fn universe(dice: &mut Dice) -> String {
    let names = &NAMES[..3 + dice.below(6)];
    let tag = ["", "", "edge"][dice.below(3)];
    let mut repositories = [Vec::new(), Vec::new()];
    for name in names {
        for version in 1..=3 {
            if dice.below(2) == 0 {
                let package = format!("{name} {version}{}", depends(dice, name, names));
                repositories[usize::from(dice.below(4) == 0)].push((version, package));
            }
        }
    }
    let world: Vec<String> =
        drawn_names(dice, names, 2).into_iter().map(|name| asked(dice, name, tag)).collect();
    // What the same world had of what there was then.
    let older = text(&repositories, tag, |version| version < 3) + "[world]\n" + &world.join(" ");
    let installed =
        if dice.below(2) == 0 { Case::parse(&older).solve().unwrap_or_default() } else { String::new() };
    let mut universe = String::new();
    if !installed.is_empty() {
        universe += "[installed]\n";
        for step in installed.lines() {
            universe += &(as_installed(step, &repositories) + "\n");
        }
    }
    universe += &text(&repositories, tag, |_| true);
    writeln!(universe, "[world]\n{}", world.join(" ")).unwrap();
    match dice.below(3) {
        0 if !installed.is_empty() => universe += "[options]\nupgrade\n",
        1 if !installed.is_empty() => universe += "[options]\nupgrade available\n",
        _ => {
            let others: Vec<&str> = names
                .iter()
                .copied()
                .filter(|name| world.iter().all(|asked| !asked.starts_with(name)))
                .collect();
            let added = drawn_names(dice, &others, 2).into_iter().map(|name| asked(dice, name, tag));
            writeln!(universe, "[add]\n{}", added.collect::<Vec<_>>().join(" ")).unwrap();
        }
    }
    universe
}

fn text(repositories: &[Vec<(u32, String)>; 2], tag: &str, has: impl Fn(u32) -> bool) -> String {
    let second = if tag.is_empty() { "[repository]".to_owned() } else { format!("[repository @{tag}]") };
    let mut text = String::new();
    for (heading, packages) in ["[repository]", &second].iter().zip(repositories) {
        writeln!(text, "{heading}").unwrap();
        for (_, package) in packages.iter().filter(|(version, _)| has(*version)) {
            writeln!(text, "{package}").unwrap();
        }
    }
    text
}

/// The package of `install name@tag (version)` as it stands in the base.
fn as_installed(step: &str, repositories: &[Vec<(u32, String)>; 2]) -> String {
    let mut words = step.split(' ').skip(1);
    let (name, version) = (words.next().unwrap(), words.next().unwrap());
    let (name, tag) = name.split_once('@').map_or((name, None), |(name, tag)| (name, Some(tag)));
    let start = format!("{name} {}", version.trim_matches(['(', ')']));
    let is_it = |package: &&(u32, String)| package.1 == start || package.1.starts_with(&format!("{start} "));
    let package = repositories.iter().flatten().find(is_it).unwrap();
    package.1.clone() + &tag.map(|tag| format!(" s:{tag}")).unwrap_or_default()
}

fn drawn_names<'n>(dice: &mut Dice, names: &[&'n str], most: usize) -> Vec<&'n str> {
    let mut drawn = Vec::new();
    for _ in 0..=dice.below(most).min(names.len()) {
        if let Some(name) = names.get(dice.below(names.len().max(1))).filter(|name| !drawn.contains(*name)) {
            drawn.push(*name);
        }
    }
    drawn
}

fn asked(dice: &mut Dice, name: &str, tag: &str) -> String {
    let tag = if tag.is_empty() || dice.below(2) == 0 { String::new() } else { format!("@{tag}") };
    if dice.below(5) == 0 { format!("{name}{tag}{}", bound(dice)) } else { format!("{name}{tag}") }
}

fn bound(dice: &mut Dice) -> String {
    format!("{}{}", ["=", "<", ">", "<=", ">=", "~"][dice.below(6)], 1 + dice.below(3))
}

/// What a package depends on and excludes: never itself, which 2.14 takes otherwise, and no name twice.
fn depends(dice: &mut Dice, own: &str, names: &[&str]) -> String {
    let mut stated = Vec::new();
    for name in drawn_names(dice, names, 3).into_iter().filter(|name| *name != own) {
        let (conflict, bound) =
            (dice.below(6) == 0, if dice.below(3) == 0 { bound(dice) } else { String::new() });
        stated.push(format!("{}{name}{bound}", if conflict { "!" } else { "" }));
        if conflict {
            break;
        }
    }
    if stated.is_empty() || dice.below(2) == 0 { String::new() } else { format!(" D:{}", stated.join(" ")) }
}
