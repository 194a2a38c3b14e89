//! Every bad input, end to end through the binary: it ends with the right exit code, names its object, and
//! leaves nothing behind, neither under the name of the output nor beside it.
//!
//! Every message is a snapshot, next to this file, that somebody has read as its reader will: at night,
//! with nothing else to go by. What is made here is made by hand where our own writer would refuse to.

/// The base: minirootfs, its checksums and lists, archives by path.
mod base;
/// An image as the base.
mod base_image;
/// Input that is made to blow up, to hang or to confuse.
mod bombs;
/// What was typed, and what the environment says.
mod command_line;
/// Every byte of everything, changed and cut off.
mod damage;
/// Tars, packages, indexes and mirrors, said without restraint.
pub(crate) mod hostile;
/// Indexes and keys.
mod index;
/// Where the image and the cache go.
mod output;
/// What apkcompose writes into an image itself.
mod own_files;
/// Packages: their form, and what is in them.
mod packages;
/// What a profile says wrong, and what it names that is not there.
mod profile;
/// What the image starts and what does not fit it.
mod proof;
/// The real mirror, damaged.
mod real;
/// What cannot be had.
mod solving;
/// Links, whiteouts and other ways out of the root.
mod ways_out;
/// Much of one thing.
mod weight;

use std::path::Path;

use crate::support::command::{Dir, Outcome, TestCommand};
use crate::support::files;

/// Where the image would go.
const OUTPUT: &str = "out.tar";

/// What every profile here begins with: nothing below the packages of `./repo`.
const SCRATCH: &str = "\
[alpine]
arch = [\"x86_64\"]
base = \"scratch\"
repositories = [\"./repo\"]
keys = [\"test.rsa.pub\"]
";

/// A directory with a profile and what it names.
struct Scene {
    dir: Dir,
}

impl Scene {
    /// Nothing but the public key of the tests.
    fn new() -> Self {
        let dir = Dir::new();
        dir.write("test.rsa.pub", crate::made::key().public_key().pem());
        Self { dir }
    }

    /// One with the profile `text`.
    fn with_profile(text: &str) -> Self {
        let scene = Self::new();
        scene.profile(text);
        scene
    }

    /// One whose profile wants `wanted` from `./repo`, which has `packages`.
    fn wanting(wanted: &[&str], packages: &[&crate::made::Made]) -> Self {
        let scene = Self::with_profile(&format!("{SCRATCH}\n[packages]\nruntime = {wanted:?}\n"));
        scene.repository(packages);
        scene
    }

    fn profile(&self, text: &str) {
        self.dir.write("p.toml", text);
    }

    /// Makes `./repo` a repository of `packages`.
    fn repository(&self, packages: &[&crate::made::Made]) {
        crate::made::repository(&self.dir.join("repo"), "test", packages, crate::made::key());
    }

    /// Building what the profile says.
    fn build(&self) -> TestCommand<'_> {
        self.dir.command().args(["--profile", "p.toml", "--quiet", "-o", OUTPUT])
    }

    /// Building must fail with `code` and the message of the snapshot `name`, and leave nothing behind.
    fn refused(&self, name: &str, code: i32) {
        self.refused_command(name, code, self.build());
    }

    /// `command` must fail with `code` and the message of the snapshot `name`, and leave nothing behind.
    fn refused_command(&self, name: &str, code: i32, command: TestCommand<'_>) {
        let before = tree(&self.dir.path());

        let outcome = command.fails_with(code);

        assert_eq!(tree(&self.dir.path()), before, "{name} left something behind: {outcome}");
        assert_eq!(outcome.stdout(), b"", "{name} said something on standard output");
        let temporary = self.dir.cache().join("tmp");
        if temporary.is_dir() {
            assert_eq!(files::names(&temporary), [""; 0], "{name} left something in the cache");
        }
        message(name, code, &outcome);
    }

    /// Building succeeds; the image.
    fn image(&self) -> Vec<u8> {
        self.build().success();
        self.dir.read(OUTPUT)
    }
}

/// Holds what `outcome` said against the snapshot `name`.
fn message(name: &str, code: i32, outcome: &Outcome) {
    let text = format!("exit code {code}\n{}", outcome.stderr_text());
    let places = [
        // A mirror of a test's own is in a directory of its own.
        (r"/[^ ]*/apkcompose-test-\w+/work", "[MIRROR]"),
        // How long a made package is depends on how well the signature of today's key compresses.
        (r"it has \d+ bytes, the index lists \d+", "it has [N] bytes, the index lists [N]"),
        (r"full/x/blobs/sha256/[0-9a-f]+", "full/x/blobs/sha256/[LAYER]"),
        (r"cache/tmp/\d+\.\d+", "cache/tmp/[NEW]"),
        (r"longer than the \d+ bytes that are stated", "longer than the [N] bytes that are stated"),
    ];
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, filters => places }, {
        insta::assert_snapshot!(name, text);
    });
}

/// Every name below `directory`, sorted, links not followed.
fn tree(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![String::new()];
    while let Some(relative) = left.pop() {
        for name in files::names(&directory.join(&relative)) {
            let path = format!("{relative}/{name}").trim_start_matches('/').to_owned();
            let whole = directory.join(&path);
            if whole.is_dir() && !whole.is_symlink() {
                left.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}
