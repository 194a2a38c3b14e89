//! Which packages a request needs: the whole of `apkcompose resolve` beside the whole of `apk add --simulate`.
//!
//! By turns, for each of the requests, over the minirootfs and both full indexes of 3.19:
//!
//! - *apk*: `apk add --simulate` of the real apk in a chroot of the unpacked minirootfs;
//! - *apkcompose*: `apkcompose resolve` of the same, from the same files. Like apk it verifies and reads the indexes
//!   anew each time: nothing is kept from one run to the next;
//! - *zcat*: `zcat` of both indexes, which does nothing with them.
//!
//! And in this process, with indexes that are read already, solving alone.

use std::process::Command;
use std::time::Instant;

use apkcompose::apk::dependency::Dependency;
use apkcompose::apk::index_file::VerifiedIndex;
use apkcompose::apk::installed::InstalledText;
use apkcompose::apk::keys::Keyring;
use apkcompose::arch::Arch;
use apkcompose::report::Silent;
use apkcompose::solve::{Installed, Options, Repository, Request, solve};

use crate::place::{Place, REPOSITORIES};
use crate::support::figures::Spread;
use crate::support::files;
use crate::table::{self, Row};

/// What is asked for, and how many packages that adds to the minirootfs.
const REQUESTS: [(usize, &[&str]); 3] = [(1, &["redis"]), (56, &PHP), (164, &["chromium"])];
const PHP: [&str; 11] = [
    "php83-fpm",
    "php83-opcache",
    "php83-pdo_mysql",
    "php83-mbstring",
    "php83-curl",
    "php83-gd",
    "php83-intl",
    "php83-session",
    "php83-openssl",
    "php83-xml",
    "php83-phar",
];
/// How often a request is solved for each round.
const SOLUTIONS: usize = 20;

/// Measures `rounds`.
pub(crate) fn measure(place: &Place, rounds: usize) -> Result<(), String> {
    place.unpack();
    let mut zcat = Vec::new();
    let mut measured = REQUESTS.map(|request| (request, Vec::new(), Vec::new()));
    for ((count, packages), _, _) in &measured {
        for command in [place.simulate(packages), place.resolve(packages)] {
            let steps = steps_of(command)?;
            if steps != *count {
                return Err(format!("{packages:?} are {steps} steps and not {count}"));
            }
        }
    }
    for _ in 0..rounds {
        for ((_, packages), apk, ours) in &mut measured {
            apk.push(place.measure(&place.simulate(packages))?);
            ours.push(place.measure(&place.resolve(packages))?);
        }
        zcat.push(place.measure(&place.zcat())?);
    }
    println!("over the minirootfs and both indexes of 3.19, signatures verified, rounds: {rounds}\n");
    let zcat = Row { name: "zcat of both indexes", figures: &zcat };
    for ((count, packages), apk, ours) in &measured {
        println!("{} and what it needs: {count} packages", packages.first().unwrap_or(&""));
        let apk = Row { name: "apk add --simulate", figures: apk };
        let ours = Row { name: "apkcompose resolve", figures: ours };
        table::print(&[&apk, &ours, &zcat]);
        table::print_ratios(&[&ours], &apk);
        table::print_ratios(&[&ours], &zcat);
        println!();
    }
    solve_alone(place, rounds);
    Ok(())
}

/// How many steps `command` lists.
fn steps_of(mut command: Command) -> Result<usize, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let listed = String::from_utf8_lossy(&output.stdout);
    Ok(listed.lines().filter(|line| line.starts_with('(')).count())
}

/// Measures solving, without reading anything.
fn solve_alone(place: &Place, rounds: usize) {
    let keyring = Keyring::alpine(Arch::X86_64);
    let indexes = REPOSITORIES.map(|repository| {
        let file = files::read(&place.index(repository));
        VerifiedIndex::check(repository, &file, &keyring).expect("the index is Alpine's")
    });
    let repositories: Vec<Repository<'_>> = REPOSITORIES
        .iter()
        .zip(&indexes)
        .map(|(name, index)| Repository { index: index.index(), tag: None, name: (*name).to_owned() })
        .collect();
    let (installed, world) = place.base();
    let base = InstalledText::parse("the minirootfs", installed).expect("the database is well-formed");
    let installed = Installed::of_text(&base);
    println!("{:34}{:^26}", "solving alone, indexes read (ms)", "wall");
    println!("{:34}{:>7} {:>7} {:>7}", "", "min", "median", "max");
    for (count, packages) in REQUESTS {
        let words = world.split_ascii_whitespace().chain(packages.iter().copied());
        let request = Request {
            arch: Arch::X86_64,
            world: words.map(|word| word.parse::<Dependency>().expect("a dependency")).collect(),
            requested: packages.iter().map(|name| (*name).to_owned()).collect(),
            options: Options::default(),
        };
        let times = (0..rounds * SOLUTIONS).map(|_| {
            let begin = Instant::now();
            let solution =
                solve(&repositories, Some(&installed), &request, &Silent).expect("there is a solution");
            let milliseconds = begin.elapsed().as_secs_f64() * 1000.0;
            assert_eq!(solution.steps.len(), count);
            milliseconds
        });
        println!("{:34}{}", format!("{count} packages"), Spread::of(times));
    }
}
