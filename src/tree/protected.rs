//! Protected paths: where a file that somebody changed is kept, and the package's copy is dropped.
//!
//! Rules are a sign and a path of a directory, whose parts may be globs: `-` takes the protection away, `+`, `@` and
//! `!` give it. The last two differ from the first in what `apk audit` tells, not in what is kept. The deepest rule
//! above a file decides, and of equally deep ones the last. The defaults are `+etc`, `@etc/init.d`, `!etc/apk`; a tree's
//! `etc/apk/protected_paths.d/*.list` adds more.
//!
//! Source: spec apk v2, "Protected paths"; measured on apk 2.14.4.

use globset::{GlobBuilder, GlobMatcher};

use super::{InodeKind, Tree};
use crate::content::ContentError;
use crate::path::TreePath;

/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 1 << 20;

/// How a path is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Not: the package's copy replaces what is there.
    None,
    /// What is there stays if it was changed.
    Changed,
}

/// The rules that hold in a tree.
#[derive(Debug, Clone)]
pub struct ProtectedPaths {
    rules: Vec<Rule>,
}

/// A rule for the directories of some depth.
#[derive(Debug, Clone)]
struct Rule {
    depth: usize,
    directories: Directories,
    protection: Protection,
}

/// Which directories a rule is about. Most rules name one, and a glob is dear to make.
#[derive(Debug, Clone)]
enum Directories {
    One(Box<str>),
    Glob(GlobMatcher),
}

impl Directories {
    fn of(text: &str) -> Option<Self> {
        if !text.contains(['*', '?', '[', '{', '\\']) {
            return Some(Self::One(text.into()));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        glob.ok().map(|glob| Self::Glob(glob.compile_matcher()))
    }

    fn has(&self, directory: &TreePath) -> bool {
        match self {
            Self::One(path) => directory.as_str() == &**path,
            Self::Glob(glob) => glob.is_match(directory.as_str()),
        }
    }
}

impl ProtectedPaths {
    /// apk's defaults and the lists of `tree`.
    pub fn of(tree: &Tree) -> Result<Self, ContentError> {
        let mut paths = Self { rules: Vec::new() };
        paths.add("+etc\n@etc/init.d\n!etc/apk\n");
        let Ok(directory) = TreePath::relative("etc/apk/protected_paths.d") else { return Ok(paths) };
        for path in tree
            .children(&directory)
            .filter(|path| path.name().rsplit_once('.').is_some_and(|(_, kind)| kind == "list"))
        {
            if let Some(InodeKind::File(content)) = tree.get(path).map(|inode| &inode.kind)
                && content.length() <= MAX_LIST
            {
                paths.add(&String::from_utf8_lossy(&content.to_vec()?));
            }
        }
        Ok(paths)
    }

    fn add(&mut self, list: &str) {
        for line in list.lines() {
            let mut rest = line.chars();
            let protection = match rest.next() {
                Some('+' | '@' | '!') => Protection::Changed,
                Some('-') => Protection::None,
                _ => continue,
            };
            let text = rest.as_str().trim().trim_matches('/');
            if let Some(directories) = Directories::of(text) {
                self.rules.push(Rule { depth: text.split('/').count(), directories, protection });
            }
        }
    }

    /// How the file `path` is protected.
    pub fn protection(&self, path: &TreePath) -> Protection {
        let above: Vec<TreePath> = path.ancestors().collect();
        self.rules
            .iter()
            .filter(|rule| above.get(rule.depth).is_some_and(|directory| rule.directories.has(directory)))
            .max_by_key(|rule| rule.depth)
            .map_or(Protection::None, |rule| rule.protection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_rule_decides_and_of_equals_the_last() {
        let mut paths = ProtectedPaths::of(&Tree::new()).unwrap();
        let at = |paths: &ProtectedPaths, text: &str| paths.protection(&TreePath::relative(text).unwrap());
        assert_eq!(at(&paths, "etc/passwd"), Protection::Changed);
        assert_eq!(at(&paths, "etc/init.d/sshd"), Protection::Changed);
        assert_eq!(at(&paths, "etc/apk/world"), Protection::Changed);
        assert_eq!(at(&paths, "usr/bin/x"), Protection::None);
        assert_eq!(at(&paths, "etcetera"), Protection::None);
        paths.add("# comment\n-etc\n+usr/share/app/\n+opt/*/etc\n+srv/file\n");
        assert_eq!(at(&paths, "etc/passwd"), Protection::None);
        assert_eq!(at(&paths, "usr/share/app/conf"), Protection::Changed);
        assert_eq!(at(&paths, "opt/x/etc/deep/conf"), Protection::Changed);
        assert_eq!(at(&paths, "opt/etc/conf"), Protection::None);
        assert_eq!(at(&paths, "srv/file"), Protection::None);
    }
}
