//! A copy of a part of the real mirror that a test may damage.
//!
//! A copy, not links: a link to a place outside is what apkcompose must not follow, and a hard link would
//! let a careless write reach the original.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::Dir;
use super::data::Alpine;
use super::files;

/// A mirror of a test's own, gone when dropped.
#[derive(Debug)]
pub(crate) struct Mirror {
    dir: Dir,
}

impl Mirror {
    /// A mirror with `parts` of the real one, each a file or a directory with everything below it:
    /// `v3.19/releases/x86_64`, `v3.19/main/x86_64/APKINDEX.tar.gz`.
    pub(crate) fn of(alpine: &Alpine, parts: &[&str]) -> Self {
        let mirror = Self { dir: Dir::new() };
        for part in parts {
            copy(&alpine.mirror().join(part), &mirror.join(part));
        }
        mirror
    }

    /// Adds the packages `names`, each with its version (`jq-1.7.1-r0`), of a directory of the mirror.
    pub(crate) fn with_packages(self, alpine: &Alpine, directory: &str, names: &[&str]) -> Self {
        for name in names {
            let file = format!("{directory}/{name}.apk");
            copy(&alpine.mirror().join(&file), &self.join(&file));
        }
        self
    }

    /// Where it is: what `--mirror` takes.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path()
    }

    /// The path of the file `relative`.
    pub(crate) fn join(&self, relative: &str) -> PathBuf {
        self.dir.join(relative)
    }

    /// The content of the file `relative`.
    pub(crate) fn read(&self, relative: &str) -> Vec<u8> {
        files::read(&self.join(relative))
    }

    /// Makes `content` the content of the file `relative`, which may be new.
    pub(crate) fn write(&self, relative: &str, content: &[u8]) {
        files::write(&self.join(relative), content);
    }

    /// Changes the content of the file `relative`.
    pub(crate) fn edit(&self, relative: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut content = self.read(relative);
        change(&mut content);
        self.write(relative, &content);
    }

    /// Flips the lowest bit of the byte at `offset` of the file `relative`. Doing it again undoes it.
    pub(crate) fn flip(&self, relative: &str, offset: usize) {
        self.edit(relative, |content| content[offset] ^= 1);
    }

    /// Cuts the file `relative` off after `length` bytes.
    pub(crate) fn truncate(&self, relative: &str, length: usize) {
        self.edit(relative, |content| content.truncate(length));
    }

    /// Removes the file `relative`.
    pub(crate) fn remove(&self, relative: &str) {
        let path = self.join(relative);
        fs::remove_file(&path).unwrap_or_else(|error| panic!("cannot remove {}: {error}", path.display()));
    }
}

/// Copies a file, or a directory with everything below it.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        files::create_dir(to);
        for name in files::names(from) {
            copy(&from.join(&name), &to.join(&name));
        }
        return;
    }
    files::create_dir(to.parent().unwrap_or(to));
    fs::copy(from, to).unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
}
