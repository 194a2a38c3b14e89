//! Accounts that scripts add keep their numbers when others come before them, as long as they are remembered: whether
//! their scripts run or are applied.

use std::collections::BTreeMap;

use apkcompose::apk::package::ScriptKind;
use apkcompose::compose::output::{Destination, Output, OutputKind};
use apkcompose::compose::scripts::{ScriptOptions, ScriptPolicy};
use apkcompose::compose::{self, ArchReport, Architectures, BuildOptions};
use apkcompose::report::Silent;
use apkcompose::store::Store;
use apkcompose::tree::accounts::AddedAccounts;

use crate::fetching::{draft, fetcher, script_options};
use crate::made::{self, Made, key};
use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::listing::Listing;
use crate::support::need;
use crate::trees::workshop;

/// A package that adds a group and a user of its name: so plainly that it is certain what it does, or not.
fn package(name: &str, is_plain: bool) -> Made {
    let commands = format!(
        "addgroup -S {name} 2>/dev/null\nadduser -S -D -H -h /var/lib/{name} -s /sbin/nologin -G {name} -g {name} {name} 2>/dev/null\n"
    );
    let text = if is_plain {
        format!("#!/bin/sh\n{commands}exit 0\n")
    } else {
        format!("#!/bin/sh\nif [ -d /etc ]; then\n{commands}fi\nexit 0\n")
    };
    workshop::package(name).script(ScriptKind::PreInstall, &text).made()
}

/// What came of a build: what is told of it, and the files.
struct Built {
    report: ArchReport,
    listing: Listing,
}

impl Built {
    /// The numbers of the user and of the group `name`.
    fn numbers(&self, name: &str) -> (u32, u32) {
        let number = |file: &str| {
            let prefix = format!("{name}:");
            let line = self.listing.text(file).lines().find(|line| line.starts_with(&prefix)).unwrap();
            line.split(':').nth(2).unwrap().parse().unwrap()
        };
        (number("etc/passwd"), number("etc/group"))
    }
}

fn build(
    alpine: &Alpine,
    names: &[&str],
    plain: &[&str],
    accounts: BTreeMap<String, AddedAccounts>,
) -> Built {
    let dir = Dir::new();
    let packages: Vec<Made> =
        ["alpha", "beta", "zeta"].map(|name| package(name, plain.contains(&name))).into();
    made::repository(&dir.join("repo"), "test", &packages.iter().collect::<Vec<_>>(), key());
    let public = dir.write("test.rsa.pub", key().public_key().pem());
    let text = format!(
        "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nmirror = ['{}']\nbase-trust = \"checksum\"\n\
         repositories = ['{}']\nkeys = ['{}']\nupgrade = false\n[packages]\nruntime = {names:?}\n",
        alpine.mirror().display(),
        dir.join("repo").display(),
        public.display(),
    );
    let output = dir.join("p.tar");
    let options = BuildOptions {
        architectures: Architectures::Usual,
        outputs: vec![Output { kind: OutputKind::Tar, destination: Destination::Path(output.clone()) }],
        scripts: ScriptOptions { accounts, ..script_options(ScriptPolicy::Auto) },
        epoch: None,
        context: None,
        today: None,
    };
    let store = Store::open(&dir.cache()).unwrap();
    let report = compose::build(&fetcher(&store, 1, &Silent), &draft(&text), &options);
    let report = report.unwrap_or_else(|error| panic!("{error}")).architectures.remove(0);
    Built { report, listing: Listing::of_tar_file(&output) }
}

#[test]
fn an_account_keeps_its_numbers_when_another_package_comes_before_it() {
    let test = "an_account_keeps_its_numbers_when_another_package_comes_before_it";
    let Some(alpine) = need::alpine(test) else { return };
    for plain in [&["alpha", "zeta"][..], &["alpha"], &["zeta"], &[]] {
        let first = build(&alpine, &["zeta"], plain, BTreeMap::new());
        let numbers = first.numbers("zeta");
        let accounts = first.report.accounts.clone();
        assert_eq!(accounts.keys().collect::<Vec<_>>(), ["zeta"]);

        let forgetful = build(&alpine, &["alpha", "zeta"], plain, BTreeMap::new());
        assert_eq!(forgetful.numbers("alpha"), numbers, "{plain:?}");
        assert_ne!(forgetful.numbers("zeta"), numbers, "{plain:?}");

        let mindful = build(&alpine, &["alpha", "zeta"], plain, accounts.clone());
        assert_eq!(mindful.numbers("zeta"), numbers, "{plain:?}");
        assert_ne!(mindful.numbers("alpha"), numbers, "{plain:?}");
        assert_eq!(mindful.report.accounts["zeta"], accounts["zeta"], "{plain:?}");
        let shadow = mindful.listing.text("etc/shadow");
        assert_eq!(shadow.lines().filter(|line| line.starts_with("zeta:!:")).count(), 1, "{shadow}");
        assert!(!mindful.listing.text("etc/passwd").contains("held"), "{plain:?}");

        // Remembered, the same packages are the same image.
        let again = build(&alpine, &["alpha", "zeta"], plain, mindful.report.accounts.clone());
        assert_eq!(again.report.accounts, mindful.report.accounts, "{plain:?}");
        for file in ["etc/passwd", "etc/group", "etc/shadow"] {
            assert_eq!(again.listing.text(file), mindful.listing.text(file), "{plain:?}");
        }
    }
}

#[test]
fn a_number_that_something_else_has_taken_is_an_error_that_says_so() {
    let test = "a_number_that_something_else_has_taken_is_an_error_that_says_so";
    let Some(alpine) = need::alpine(test) else { return };
    let first = build(&alpine, &["zeta"], &["zeta"], BTreeMap::new());
    let mut accounts = first.report.accounts;
    // As if another release's base had taken it: the number of `ftp`.
    accounts.get_mut("zeta").unwrap().users[0].uid = 21;

    let error = std::panic::catch_unwind(|| build(&alpine, &["zeta"], &["zeta"], accounts)).err().unwrap();

    let said = error.downcast_ref::<String>().unwrap();
    assert!(said.contains("zeta-1-r0.pre-install") && said.contains("21") && said.contains("ftp"), "{said}");
}
