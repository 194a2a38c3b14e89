//! The solver against the recorded answers of the real apk: over the minirootfs, from the full indexes.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use apkcompose::apk::dependency::Dependency;
use apkcompose::apk::index::Index;
use apkcompose::apk::installed::InstalledText;
use apkcompose::arch::Arch;
use apkcompose::kind::Explain as _;
use apkcompose::report::Silent;
use apkcompose::solve::{Installed, Options, Repository, Request, solve};
use flate2::read::MultiGzDecoder;

use crate::solve_text;
use crate::support::need;

/// What the minirootfs was asked for.
pub(crate) const BASE_WORLD: [&str; 5] =
    ["alpine-baselayout", "alpine-keys", "apk-tools", "busybox", "libc-utils"];

#[test]
fn steps_and_their_order_are_those_of_the_recorded_answers() {
    let Some(alpine) = need::alpine("steps_and_their_order_are_those_of_the_recorded_answers") else {
        return;
    };
    let [main, community] = ["v3.19/main", "v3.19/community"].map(|path| index(&alpine.repository(path)));
    let base = file_in_tar(&alpine.minirootfs("x86_64"), "lib/apk/db/installed");
    let base = InstalledText::parse("minirootfs", base).unwrap();
    let installed = Installed { index: base.index(), tags: Vec::new() };
    let repositories = [("main", &main), ("community", &community)].map(|(name, index)| Repository {
        index,
        tag: None,
        name: name.to_owned(),
    });
    let mut answers: Vec<_> =
        fs::read_dir(alpine.oracle()).unwrap().map(|entry| entry.unwrap().path()).collect();
    answers.sort();
    assert!(!answers.is_empty());
    for answer in answers {
        let text = fs::read_to_string(&answer).unwrap();
        let requested = requested(&text);
        let world = BASE_WORLD.into_iter().map(str::to_owned).chain(requested.iter().cloned());
        let request = Request {
            arch: Arch::X86_64,
            world: world.map(|text| text.parse::<Dependency>().unwrap()).collect(),
            requested,
            options: Options::default(),
        };
        let solution = solve(&repositories, Some(&installed), &request, &Silent).unwrap();
        let steps = solve_text::steps(&repositories, Some(&installed), &solution);
        assert_eq!(steps, expected(&text), "{}", answer.display());
    }
}

#[test]
fn the_iso_as_a_whole_is_refused_and_both_sides_of_the_conflict_are_named() {
    let Some(alpine) = need::alpine("the_iso_as_a_whole_is_refused_and_both_sides_of_the_conflict_are_named")
    else {
        return;
    };
    let index = index(&alpine.repository("iso-3.19.1"));
    let repositories = [Repository { index: &index, tag: None, name: "iso-3.19.1".to_owned() }];
    let request = |world: Vec<Dependency>| Request {
        arch: Arch::X86_64,
        world,
        requested: Vec::new(),
        options: Options::default(),
    };
    let all: Vec<Dependency> = index.packages().map(|package| Dependency::on(package.name())).collect();
    let harmless: Vec<Dependency> =
        all.iter().filter(|d| !["vlan", "network-extras"].contains(&&*d.name)).cloned().collect();

    let refusal = solve(&repositories, None, &request(all), &Silent).unwrap_err();
    let solution = solve(&repositories, None, &request(harmless), &Silent).unwrap();

    insta::assert_snapshot!(format!("{refusal}\nhint: {}", refusal.hint().unwrap()), @r"
    ifupdown-ng cannot be installed
      ifupdown-ng-0.12.1-r4 excludes vlan, but vlan-2.3-r1 is needed: the world asks for vlan, network-extras-2.0-r0 needs vlan
      required by: world
    hint: leave out one of ifupdown-ng-0.12.1-r4, vlan, network-extras-2.0-r0
    ");
    assert_eq!(solution.packages.len(), 98);
}

/// The names after `apk add --simulate` in the first line.
fn requested(answer: &str) -> Vec<String> {
    let command = answer.lines().next().unwrap();
    let names = command.split_once("--simulate ").unwrap().1.split_once(" (").unwrap().0;
    names.split(' ').map(str::to_owned).collect()
}

/// The steps apk printed: `(1/4) Installing name (version)`.
fn expected(answer: &str) -> String {
    let steps = answer.lines().filter_map(|line| line.strip_prefix('(')?.split_once(") "));
    steps.map(|(_, step)| solve_text::of_apk(step) + "\n").collect()
}

/// The index of a repository for x86-64, its signature not looked at.
pub(crate) fn index(repository: &Path) -> Index {
    let archive = repository.join("x86_64/APKINDEX.tar.gz");
    Index::parse(&archive.display().to_string(), file_in_tar(&archive, "APKINDEX")).unwrap()
}

/// A file out of a tar in one or more gzip members.
pub(crate) fn file_in_tar(archive: &Path, wanted: &str) -> Vec<u8> {
    let mut tar = tar::Archive::new(MultiGzDecoder::new(File::open(archive).unwrap()));
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().strip_prefix(".").unwrap_or(&entry.path().unwrap()) == Path::new(wanted) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            return content;
        }
    }
    panic!("{} has no {wanted}", archive.display());
}
