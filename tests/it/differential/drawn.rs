//! Drawn small universes with everything an index can state: versions, bounds, conflicts, names that packages only provide
//! and that they provide twice, `install_if` with and without absences, priorities, tags, and what an older world had
//! installed. Whatever the solver answers has passed the independent checker; it never ends with a bug of its own.

use std::fmt::Write as _;

use apkcompose::solve::Refusal;

use super::Dice;
use crate::solve_case::Case;

/// How many universes are drawn.
const UNIVERSES: usize = 3000;
/// The first number of the draws.
const SEED: u64 = 30_006;

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
const PROVIDED: [&str; 4] = ["v1", "v2", "cmd:x", "so:y.1"];
const VERSIONS: [&str; 6] = ["0.9", "1", "1.5", "2", "2.0", "3"];

#[test]
fn whatever_a_small_universe_states_is_answered_or_refused() {
    let mut dice = Dice(SEED);
    let (mut solved, mut refused) = (0, 0);
    for number in 0..UNIVERSES {
        let text = universe(&mut dice);
        match Case::parse(&text).solve() {
            Ok(_) => solved += 1,
            Err(Refusal::Unsatisfiable { blamed, .. }) => {
                assert!(!blamed.is_empty(), "{number}: nobody is to blame\n{text}");
                refused += 1;
            }
            Err(other) => panic!("{number}: {other}\n{text}"),
        }
    }
    assert!(solved > UNIVERSES / 5 && refused > UNIVERSES / 5, "{solved} solved, {refused} refused");
}

fn universe(dice: &mut Dice) -> String {
    let names = &NAMES[..4 + dice.below(7)];
    let mut universe = String::new();
    if dice.below(3) == 0 {
        universe += "[installed]\n";
        for name in names {
            if dice.below(4) == 0 {
                writeln!(universe, "{name} {}", VERSIONS[dice.below(VERSIONS.len())]).unwrap();
            }
        }
    }
    let tagged = dice.below(2) == 0;
    for heading in ["[repository]", if tagged { "[repository @t]" } else { "[repository]" }] {
        writeln!(universe, "{heading}").unwrap();
        for name in names {
            for version in VERSIONS {
                if dice.below(5) == 0 {
                    writeln!(universe, "{name} {version}{}", fields(dice, names)).unwrap();
                }
            }
        }
    }
    let world: Vec<String> = (0..=dice.below(4)).map(|_| asked(dice, names, tagged)).collect();
    let heading = if dice.below(2) == 0 { "[world]" } else { "[add]" };
    writeln!(universe, "{heading}\n{}", once_each(world).join(" ")).unwrap();
    match dice.below(6) {
        0 => universe += "[options]\nupgrade\n",
        1 => universe += "[options]\nlatest\n",
        2 => universe += "[options]\nupgrade available\n",
        _ => {}
    }
    universe
}

/// The fields of a package after its name and version.
fn fields(dice: &mut Dice, names: &[&str]) -> String {
    let mut fields = String::new();
    let some = |dice: &mut Dice, most: usize| {
        (0..=dice.below(most)).map(|_| asked(dice, names, false)).collect::<Vec<_>>()
    };
    if dice.below(2) == 0 {
        write!(fields, " D:{}", some(dice, 3).join(" ")).unwrap();
    }
    if dice.below(3) == 0 {
        let provided = (0..=dice.below(2)).map(|_| {
            let name =
                if dice.below(6) == 0 { names[dice.below(names.len())] } else { PROVIDED[dice.below(4)] };
            let version =
                if dice.below(2) == 0 { format!("={}", VERSIONS[dice.below(6)]) } else { String::new() };
            name.to_owned() + &version
        });
        write!(fields, " p:{}", provided.collect::<Vec<_>>().join(" ")).unwrap();
    }
    if dice.below(6) == 0 {
        write!(fields, " i:{}", some(dice, 3).join(" ")).unwrap();
    }
    if dice.below(8) == 0 {
        write!(fields, " k:{}", 1 + dice.below(100)).unwrap();
    }
    fields
}

/// A dependency, perhaps with the tag.
fn asked(dice: &mut Dice, names: &[&str], tagged: bool) -> String {
    let name = if dice.below(4) == 0 { PROVIDED[dice.below(4)] } else { names[dice.below(names.len())] };
    let conflict = if dice.below(8) == 0 { "!" } else { "" };
    let tag = if tagged && conflict.is_empty() && dice.below(6) == 0 { "@t" } else { "" };
    let bound = if dice.below(3) == 0 {
        format!("{}{}", ["=", "<", ">", "<=", ">=", "~"][dice.below(6)], VERSIONS[dice.below(6)])
    } else {
        String::new()
    };
    format!("{conflict}{name}{tag}{bound}")
}

/// The first dependency on each name.
fn once_each(dependencies: Vec<String>) -> Vec<String> {
    let mut known = Vec::new();
    let name = |text: &str| {
        let end = text.find(['@', '=', '<', '>', '~']).unwrap_or(text.len());
        text[..end].trim_start_matches('!').to_owned()
    };
    let is_new = |text: &String| {
        let name = name(text);
        let new = !known.contains(&name);
        known.push(name);
        new
    };
    dependencies.into_iter().filter(is_new).collect()
}
