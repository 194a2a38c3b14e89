//! Which release a word of the profile comes to, and that it is the same one everywhere: the base, the index, what is
//! written into the image and what is reported.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;

use apkcompose::digest::{Sha256, Sha512};
use serde_json::{Value, json};

use crate::made::{self, key};
use crate::support::command::{Dir, Outcome, TestCommand};
use crate::support::data::Alpine;
use crate::support::listing::Listing;
use crate::support::{files, need};

/// A mirror of a test's own, whose every release is the minirootfs 3.19.4 by another name.
struct Mirror {
    dir: Dir,
    minirootfs: Vec<u8>,
}

impl Mirror {
    fn new(alpine: &Alpine) -> Self {
        let dir = Dir::new();
        dir.write("test.rsa.pub", key().public_key().pem());
        Self { dir, minirootfs: files::read(&alpine.minirootfs("x86_64")) }
    }

    /// With an empty repository `main` in `branch`, whose index says `description`.
    fn main(self, branch: &str, description: &str) -> Self {
        made::repository(&self.dir.join(format!("{branch}/main")), description, &[], key());
        self
    }

    /// With `versions` in the directory `branch`, which its list says are of `listed`.
    fn releases(self, branch: &str, listed: &str, versions: &[&str]) -> Self {
        let mut list = "---\n".to_owned();
        for version in versions {
            let file = file_of(version);
            self.dir.write(&format!("{branch}/releases/x86_64/{file}"), &self.minirootfs);
            let (sha256, sha512) = (Sha256::of(&self.minirootfs), Sha512::of(&self.minirootfs));
            let _ = write!(
                list,
                "-\n  title: \"Mini root filesystem\"\n  branch: {listed}\n  arch: x86_64\n  version: {version}\n  \
                 flavor: alpine-minirootfs\n  file: {file}\n  size: {}\n  sha256: {sha256}\n  sha512: {sha512}\n",
                self.minirootfs.len()
            );
        }
        self.dir.write(&format!("{branch}/releases/x86_64/latest-releases.yaml"), list);
        self
    }

    fn link(self, to: &str) -> Self {
        symlink(to, self.dir.join("latest-stable")).unwrap();
        self
    }

    /// apkcompose on the profile that asks for `release`.
    fn command<'a>(&self, dir: &'a Dir, release: &str) -> TestCommand<'a> {
        let text = format!(
            "[alpine]\nrelease = \"{release}\"\narch = [\"x86_64\"]\nrepositories = [\"main\"]\nmirror = ['{}']\n\
             mirror-keys = ['{}']\n[image]\ncmd = [\"/bin/sh\"]\n",
            self.dir.path().display(),
            self.dir.join("test.rsa.pub").display()
        );
        dir.write("p.toml", text);
        dir.command().args(["--profile", "p.toml", "--format", "json"])
    }

    /// The base and the branches that `release` comes to.
    fn answer(&self, release: &str) -> (String, Value) {
        let dir = Dir::new();
        let report = self.command(&dir, release).arg("--dry-run").success().stdout_json();
        (report["base"]["file"].as_str().unwrap().to_owned(), report["branches"].clone())
    }

    fn refusal(&self, release: &str, code: i32) -> String {
        let dir = Dir::new();
        let outcome: Outcome = self.command(&dir, release).arg("--dry-run").fails_with(code);
        outcome.stderr_text()
    }
}

fn file_of(version: &str) -> String {
    format!("alpine-minirootfs-{version}-x86_64.tar.gz")
}

#[test]
fn a_candidate_is_taken_by_its_own_name_alone_and_counts_in_numbers() {
    let Some(alpine) = need::alpine("a_candidate_is_taken_by_its_own_name_alone_and_counts_in_numbers")
    else {
        return;
    };
    let branch = json!(["v3.23"]);
    let mirror = Mirror::new(&alpine).main("v3.23", "v3.23.0_rc1-5-gab");
    let before = mirror.releases("v3.23", "v3.23", &["3.23.0_rc9", "3.23.0_rc10", "3.23.0_rc2"]);

    assert_eq!(before.answer("3.23.0_rc10"), (file_of("3.23.0_rc10"), branch.clone()));
    assert_eq!(before.answer("3.23.0_rc2"), (file_of("3.23.0_rc2"), branch.clone()));
    let refusal = before.refusal("3.23", 4);
    assert!(refusal.contains("there is no release 3.23 of alpine-minirootfs for x86_64"), "{refusal}");

    let after =
        before.releases("v3.23", "v3.23", &["3.23.0_rc10", "3.23.0", "3.23.2", "3.23.10", "3.23.11_rc1"]);
    assert_eq!(after.answer("3.23"), (file_of("3.23.10"), branch.clone()));
    assert_eq!(after.answer("3.23.0"), (file_of("3.23.0"), branch.clone()));
    assert_eq!(after.answer("3.23.11_rc1"), (file_of("3.23.11_rc1"), branch));
    assert!(after.refusal("3.23.3", 4).contains("there is no release 3.23.3"));
}

#[test]
fn edge_is_the_latest_day() {
    let Some(alpine) = need::alpine("edge_is_the_latest_day") else { return };
    let mirror = Mirror::new(&alpine).main("edge", "v20240606-2343-gabcdef");
    let mirror = mirror.releases("edge", "edge", &["20240329", "20240606", "20231219"]);

    assert_eq!(mirror.answer("edge"), (file_of("20240606"), json!(["edge"])));
    // A day is no release by which to ask, and edge is not stable.
    assert!(mirror.refusal("20240606", 3).contains("`20240606` is not a release"));
    assert!(mirror.refusal("latest-stable", 4).contains("there is no release latest-stable"));
}

#[test]
fn an_index_of_a_stable_branch_is_not_edges_and_the_other_way_round() {
    let test = "an_index_of_a_stable_branch_is_not_edges_and_the_other_way_round";
    let Some(alpine) = need::alpine(test) else { return };
    let mirror = Mirror::new(&alpine).main("edge", "v3.23.1-5-gab").main("v3.23", "v20240606-2343-gabcdef");
    let mirror = mirror.releases("edge", "edge", &["20240606"]).releases("v3.23", "v3.23", &["3.23.0"]);

    assert!(mirror.refusal("edge", 5).contains("v3.23.1-5-gab"));
    assert!(mirror.refusal("3.23", 5).contains("v20240606-2343-gabcdef"));
}

#[test]
fn an_exact_release_is_found_where_the_list_speaks_of_a_newer_one() {
    let test = "an_exact_release_is_found_where_the_list_speaks_of_a_newer_one";
    let Some(alpine) = need::alpine(test) else { return };
    let mirror = Mirror::new(&alpine).main("v3.22", "v3.22.2-9-gab");
    let mirror = mirror.releases("v3.22", "v3.22", &["3.22.1"]).releases("v3.22", "v3.22", &["3.22.2"]);
    let sidecar = format!("{}  {}\n", Sha512::of(&mirror.minirootfs), file_of("3.22.1"));
    mirror.dir.write(&format!("v3.22/releases/x86_64/{}.sha512", file_of("3.22.1")), sidecar);

    // The packages are those of the branch: `upgrade` brings the base to them.
    assert_eq!(mirror.answer("3.22.1"), (file_of("3.22.1"), json!(["v3.22"])));
    assert_eq!(mirror.answer("3.22"), (file_of("3.22.2"), json!(["v3.22"])));
}

#[test]
fn latest_stable_is_one_branch_for_base_and_packages() {
    let Some(alpine) = need::alpine("latest_stable_is_one_branch_for_base_and_packages") else { return };
    let both = |mirror: Mirror| {
        let mirror = mirror.main("v3.22", "v3.22.1-2-gab").releases("v3.22", "v3.22", &["3.22.1"]);
        mirror.main("v3.21", "v3.21.4-2-gab").releases("v3.21", "v3.21", &["3.21.4"])
    };
    let (newer, older) = ((file_of("3.22.1"), json!(["v3.22"])), (file_of("3.21.4"), json!(["v3.21"])));

    assert_eq!(both(Mirror::new(&alpine)).link("v3.22").answer("latest-stable"), newer);
    assert_eq!(both(Mirror::new(&alpine)).link("v3.21").answer("latest-stable"), older);
    // A copy instead of a link says in its list which branch it is; what is taken is that branch, not the copy,
    // which has nothing else.
    let copy = both(Mirror::new(&alpine)).releases("latest-stable", "v3.22", &["3.22.1"]);
    assert_eq!(copy.answer("latest-stable"), newer);
    // Of several mirrors the first that knows decides; another one may be a release behind.
    let (first, second) =
        (both(Mirror::new(&alpine)).link("v3.22"), both(Mirror::new(&alpine)).link("v3.21"));
    let dir = Dir::new();
    let command = first.command(&dir, "latest-stable").arg("--dry-run");
    let mirrors = [first.dir.path(), second.dir.path()];
    let report =
        command.arg("--mirror").arg(&mirrors[0]).arg("--mirror").arg(&mirrors[1]).success().stdout_json();
    assert_eq!(report["branches"], newer.1);
}

#[test]
fn a_link_and_the_list_behind_it_must_not_disagree() {
    let Some(alpine) = need::alpine("a_link_and_the_list_behind_it_must_not_disagree") else { return };
    let mirror = Mirror::new(&alpine).main("v3.21", "v3.21.4-2-gab").releases("v3.21", "v3.22", &["3.22.1"]);

    let refusal = mirror.link("v3.21").refusal("latest-stable", 5);

    assert!(refusal.contains("v3.21/releases/x86_64/latest-releases.yaml"), "{refusal}");
    assert!(refusal.contains("v3.22"), "{refusal}");
}

#[test]
fn the_branch_that_latest_stable_is_stands_everywhere_and_its_name_nowhere() {
    let test = "the_branch_that_latest_stable_is_stands_everywhere_and_its_name_nowhere";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    let build = |more: &[&str]| {
        let command =
            dir.command().args(["--profile", "base", "--arch", "x86_64", "-o", "type=tar,dest=t.tar"]);
        command.arg("--mirror").arg(alpine.mirror()).args(more).success()
    };

    let report = build(&["--format", "json"]).stdout_json();
    let said = build(&[]).stderr_text();

    let tree = Listing::of_tar_file(&dir.join("t.tar"));
    let line = |name: &str| format!("https://dl-cdn.alpinelinux.org/alpine/v3.19/{name}\n");
    assert_eq!(tree.text("etc/apk/repositories"), line("main") + &line("community"));
    assert!(tree.text("etc/os-release").contains("\nVERSION_ID=3.19.4\n"));
    assert_eq!(tree.text("etc/alpine-release"), "3.19.4\n");
    assert_eq!(report["branches"], json!(["v3.19"]));
    assert_eq!(report["base"]["file"], file_of("3.19.4"));
    assert!(said.contains("\n  alpine    v3.19\n"), "{said}");
    assert!(!report.to_string().contains("latest-stable"), "{report}");
    for entry in tree.entries() {
        assert!(!String::from_utf8_lossy(&entry.content).contains("latest-stable"), "{}", entry.path);
    }
}
