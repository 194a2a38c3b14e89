//! The recorded answers of apk 3.0.6 about 1,500 small universes: packages in several versions that depend on one another,
//! exclude one another, provide names and wait for one another, with and without tags, over what was installed before.
//!
//! An answer agrees if its steps are the same set; a refusal agrees if it blames everything that apk blames. A database that
//! is inconsistent (`arbitrary`) asks more of the solver than apk's manual says; of those only that an answer comes is
//! asserted.

use std::collections::BTreeSet;
use std::io::Read as _;

use apkcompose::apk::dependency::{Dependency, Tag};
use apkcompose::apk::index::Index;
use apkcompose::apk::installed::InstalledText;
use apkcompose::arch::Arch;
use apkcompose::report::Silent;
use apkcompose::solve::{
    Ambition, Availability, Installed, Options, Refusal, Repository, Request, Scope, Solution, Upgrade, solve,
};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::solve_text;
use crate::support::need;

/// The universes that are answered otherwise than by apk 3.0.6, by their seeds, with what sets them apart. One that comes to
/// agree is taken off the list.
const OTHERWISE: &[(&str, &[u64])] = &[
    (
        "The last candidate left for a name excludes others here that apk keeps.",
        &[20225, 20986, 21022, 21268, 21300, 21309, 21419, 21499],
    ),
    (
        "A candidate counts as possible here that apk has given up before the first choice.",
        &[20333, 20387, 20677],
    ),
    (
        "apk blames required names that it had not decided when it stopped.",
        &[20198, 20367, 20655, 20753, 20866, 21181, 21352],
    ),
    ("apk finds no reason for its own refusal (\"Huh?\").", &[21284]),
    ("`--latest`: which of several names gives way.", &[20089, 20345, 20487, 20513, 20855]),
    ("apk leaves a name undecided whose best candidate nobody named.", &[20600, 20635]),
    (
        "Which of several candidates that cannot be installed stands for its name.",
        &[20108, 20230, 20325, 20391, 20394, 20557, 20918],
    ),
];

/// How many in a hundred of the consistent ones agree at least.
const AGREEING: usize = 97;

#[test]
fn recorded_universes_are_answered_as_apk_3_answered_them() {
    let Some(alpine) = need::alpine("recorded_universes_are_answered_as_apk_3_answered_them") else { return };
    let file = std::fs::File::open(alpine.root().join("oracle3/universes.jsonl.gz")).unwrap();
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let (mut asked, mut otherwise) = (0, Vec::new());
    for line in text.lines() {
        let universe: Value = serde_json::from_str(line).unwrap();
        let agrees = agrees(&universe);
        if universe["kind"] != "arbitrary" {
            asked += 1;
            otherwise.extend((!agrees).then(|| universe["seed"].as_u64().unwrap()));
        }
    }
    assert!(asked > 1000, "{asked} universes");
    let mut listed: Vec<u64> = OTHERWISE.iter().flat_map(|(_, seeds)| *seeds).copied().collect();
    listed.sort_unstable();
    assert_eq!(otherwise, listed, "those that are answered otherwise");
    assert!((asked - otherwise.len()) * 100 >= asked * AGREEING, "{} of {asked}", otherwise.len());
}

fn agrees(universe: &Value) -> bool {
    let indexes: Vec<(Option<Tag>, Index)> = list(&universe["repos"])
        .map(|pair| {
            let tag = text(&pair[0]).strip_prefix('@').map(|tag| Tag::new(tag).unwrap());
            (tag, Index::parse("universe", text(&pair[1]).as_bytes()).unwrap())
        })
        .collect();
    let repositories: Vec<Repository<'_>> = indexes
        .iter()
        .map(|(tag, index)| Repository { index, tag: tag.clone(), name: "universe".to_owned() })
        .collect();
    let base = universe["installed"].as_str();
    let base = base.map(|text| InstalledText::parse("installed", text.as_bytes()).unwrap());
    let installed = base.as_ref().map(Installed::of_text);
    let asked: Vec<Dependency> = list(&universe["args"]).map(|it| text(it).parse().unwrap()).collect();
    let mut world: Vec<Dependency> = list(&universe["world"]).map(|it| text(it).parse().unwrap()).collect();
    for dependency in &asked {
        world.retain(|known| known.name != dependency.name);
        world.push(dependency.clone());
    }
    let request = Request {
        arch: Arch::X86_64,
        world,
        requested: asked.iter().map(|dependency| dependency.name.to_string()).collect(),
        options: options(text(&universe["mode"])),
    };
    let ours = solve(&repositories, installed.as_ref(), &request, &Silent);
    if let Err(Refusal::Unproven { violation }) = &ours {
        panic!("universe {}: {violation}", universe["seed"]);
    }
    let theirs = &universe["apk"];
    match (ours, theirs["ok"].as_bool().unwrap()) {
        (Ok(solution), true) => steps(&repositories, installed.as_ref(), &solution) == recorded_steps(theirs),
        (Err(refusal), false) => {
            let mentions: BTreeSet<String> = refusal.mentions().into_iter().collect();
            list(&theirs["blamed"]).all(|blamed| mentions.contains(text(blamed)))
        }
        (Ok(_), false) | (Err(_), true) => false,
    }
}

fn options(mode: &str) -> Options {
    let upgrade = mode.starts_with("upgrade") || mode == "add-u";
    Options {
        upgrade: if upgrade { Upgrade::Yes } else { Upgrade::No },
        availability: if mode.ends_with("-a") {
            Availability::Repositories
        } else {
            Availability::InstalledToo
        },
        ambition: if mode.ends_with("-l") { Ambition::Latest } else { Ambition::Installable },
        scope: if mode.starts_with("upgrade") { Scope::Everything } else { Scope::Requested },
    }
}

fn steps(
    repositories: &[Repository<'_>],
    installed: Option<&Installed<'_>>,
    solution: &Solution,
) -> BTreeSet<String> {
    solve_text::steps(repositories, installed, solution).lines().map(str::to_owned).collect()
}

/// The recorded steps in the words of [`solve_text`].
fn recorded_steps(answer: &Value) -> BTreeSet<String> {
    let step = |step: &Value| {
        let [op, name, tag] = [0, 1, 2].map(|place| text(&step[place]));
        match (step[3].as_str(), step[4].as_str()) {
            (Some(old), None) => format!("{op} {name} ({old})"),
            (Some(old), Some(new)) if op != "repin" => format!("{op} {name}{tag} ({old} -> {new})"),
            (_, new) => format!("{op} {name}{tag} ({})", new.unwrap()),
        }
    };
    list(&answer["steps"]).map(step).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
