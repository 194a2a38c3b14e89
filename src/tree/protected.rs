//! Protected paths: where a file that somebody changed is kept, and the package's copy is dropped.
//!
//! Rules are a sign and a path, later and deeper ones deciding: `+` protects, `-` and `!` do not, `@`
//! protects symbolic links only. The defaults are `+etc`, `@etc/init.d`, `!etc/apk`; a tree's
//! `etc/apk/protected_paths.d/*.list` adds more.
//!
//! Source: spec apk v2, "Protected paths".

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
    /// A symbolic link that is there stays if it was changed.
    Symlinks,
}

/// The rules that hold in a tree.
#[derive(Debug, Clone)]
pub struct ProtectedPaths {
    rules: Vec<(TreePath, Protection)>,
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
                Some('+') => Protection::Changed,
                Some('@') => Protection::Symlinks,
                Some('-' | '!') => Protection::None,
                _ => continue,
            };
            let text = rest.as_str().trim().trim_matches('/');
            if let Ok(path) = TreePath::relative(text) {
                self.rules.push((path, protection));
            }
        }
    }

    /// How `path` is protected: by the deepest rule above it, and of equally deep ones by the last.
    pub fn protection(&self, path: &TreePath) -> Protection {
        self.rules
            .iter()
            .filter(|(rule, _)| path.is_below(rule))
            .max_by_key(|(rule, _)| rule.components().count())
            .map_or(Protection::None, |(_, protection)| *protection)
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
        assert_eq!(at(&paths, "etc/init.d/sshd"), Protection::Symlinks);
        assert_eq!(at(&paths, "etc/apk/world"), Protection::None);
        assert_eq!(at(&paths, "usr/bin/x"), Protection::None);
        assert_eq!(at(&paths, "etcetera"), Protection::None);
        paths.add("# comment\n-etc\n+usr/share/app/\n");
        assert_eq!(at(&paths, "etc/passwd"), Protection::None);
        assert_eq!(at(&paths, "usr/share/app/conf"), Protection::Changed);
    }
}
