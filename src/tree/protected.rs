//! Protected paths: where a file that somebody changed is kept, and the package's copy is dropped.
//!
//! Rules are a sign and a path of a directory, whose parts may be globs: `-` takes the protection away, `+`, `@` and
//! `!` give it. The last two differ from the first in what `apk audit` tells, not in what is kept. The deepest rule
//! above a file decides, and of equally deep ones the last. The defaults are `+etc`, `@etc/init.d`, `!etc/apk`; a tree's
//! `etc/apk/protected_paths.d/*.list` adds more.
//!
//! Packages bring such lists, so what they may say together is bounded; they are read again only when they changed.
//!
//! Source: spec apk v2, "Protected paths"; measured on apk 2.14.4.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::glob::Glob;
use super::{InodeKind, Tree};
use crate::content::{Content, ContentError};
use crate::digest::Sha256;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// apk's own rules.
const DEFAULTS: &str = "+etc\n@etc/init.d\n!etc/apk\n";
/// Where a tree's lists are.
const LISTS: &str = "etc/apk/protected_paths.d";
/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 1 << 20;
/// The most lists that a tree may have.
const MAX_LISTS: usize = 100;
/// The most rules that the lists of a tree may have together.
const MAX_RULES: usize = 1_000;

/// How a path is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Not: the package's copy replaces what is there.
    None,
    /// What is there stays if it was changed.
    Changed,
}

/// Why the protected paths of a tree are not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectedError {
    /// A list, or a file that may have been changed, cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A list is too long.
    #[error("the list of protected paths {path} has {size} bytes, more than the limit of {MAX_LIST}")]
    LongList {
        /// The list.
        path: TreePath,
        /// How long it is, in bytes.
        size: u64,
    },
    /// There are too many lists.
    #[error("/{LISTS} has more lists of protected paths than the limit of {MAX_LISTS}")]
    ManyLists,
    /// There are too many rules.
    #[error("the lists of protected paths in /{LISTS} have more rules than the limit of {MAX_RULES}")]
    ManyRules,
}

impl Explain for ProtectedError {
    fn kind(&self) -> Kind {
        match self {
            Self::Content(error) => error.kind(),
            Self::LongList { .. } | Self::ManyLists | Self::ManyRules => Kind::Limit,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Content(error) => error.hint(),
            Self::LongList { .. } | Self::ManyLists | Self::ManyRules => None,
        }
    }
}

/// The rules that hold in a tree.
#[derive(Debug, Clone, Default)]
pub struct ProtectedPaths {
    /// By the depth of the directories that they are about.
    depths: BTreeMap<usize, Rules>,
    count: usize,
}

/// The rules for the directories of some depth, each with its place among all rules.
#[derive(Debug, Clone, Default)]
struct Rules {
    /// Those that name one directory; of several for one the last.
    named: HashMap<Box<str>, (usize, Protection)>,
    globs: Vec<(usize, Glob, Protection)>,
}

impl Rules {
    fn protection(&self, directory: &str) -> Option<Protection> {
        let named = self.named.get(directory).copied();
        let glob = self.globs.iter().rev().find(|(_, glob, _)| glob.matches(directory));
        let glob = glob.map(|(place, _, protection)| (*place, *protection));
        named.into_iter().chain(glob).max_by_key(|(place, _)| *place).map(|(_, protection)| protection)
    }
}

/// The rules of a tree as they were read last.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownRules {
    /// What the lists had in them.
    lists: Vec<Sha256>,
    rules: Option<Arc<ProtectedPaths>>,
}

impl KnownRules {
    /// The rules that hold in `tree` now.
    pub(super) fn of(&mut self, tree: &Tree) -> Result<Arc<ProtectedPaths>, ProtectedError> {
        let lists = lists(tree)?;
        let digests: Vec<Sha256> = lists.iter().map(|content| content.digest()).collect();
        if let Some(rules) = self.rules.as_ref().filter(|_| self.lists == digests) {
            return Ok(Arc::clone(rules));
        }
        let rules = Arc::new(ProtectedPaths::of_lists(&lists)?);
        *self = Self { lists: digests, rules: Some(Arc::clone(&rules)) };
        Ok(rules)
    }
}

/// The lists of `tree`, by name.
fn lists(tree: &Tree) -> Result<Vec<&Content>, ProtectedError> {
    let Ok(directory) = TreePath::relative(LISTS) else { return Ok(Vec::new()) };
    let mut lists = Vec::new();
    for path in tree.children(&directory) {
        let is_list = path.name().rsplit_once('.').is_some_and(|(_, kind)| kind == "list");
        let Some(InodeKind::File(content)) = tree.get(path).map(|inode| &inode.kind).filter(|_| is_list)
        else {
            continue;
        };
        if content.length() > MAX_LIST {
            return Err(ProtectedError::LongList { path: path.clone(), size: content.length() });
        }
        if lists.len() == MAX_LISTS {
            return Err(ProtectedError::ManyLists);
        }
        lists.push(content);
    }
    Ok(lists)
}

impl ProtectedPaths {
    fn of_lists(lists: &[&Content]) -> Result<Self, ProtectedError> {
        let mut paths = Self::default();
        paths.add(DEFAULTS)?;
        for content in lists {
            paths.add(&String::from_utf8_lossy(&content.to_vec()?))?;
        }
        Ok(paths)
    }

    fn add(&mut self, list: &str) -> Result<(), ProtectedError> {
        for line in list.lines() {
            let mut rest = line.chars();
            let protection = match rest.next() {
                Some('+' | '@' | '!') => Protection::Changed,
                Some('-') => Protection::None,
                _ => continue,
            };
            let text = rest.as_str().trim().trim_matches('/');
            self.count += 1;
            if self.count > MAX_RULES {
                return Err(ProtectedError::ManyRules);
            }
            // Longer than any path, or that of the root, above which there is nothing.
            if text.is_empty() || (!is_glob(text) && TreePath::relative(text).is_err()) {
                continue;
            }
            let rules = self.depths.entry(text.split('/').count()).or_default();
            if !is_glob(text) {
                rules.named.insert(text.into(), (self.count, protection));
            } else if let Some(glob) = Glob::parse(text) {
                rules.globs.push((self.count, glob, protection));
            }
        }
        Ok(())
    }

    /// How the file `path` is protected.
    pub fn protection(&self, path: &TreePath) -> Protection {
        let text = path.as_str();
        let above: Vec<&str> = text.match_indices('/').filter_map(|(slash, _)| text.get(..slash)).collect();
        // The first name has the depth 1.
        let mut deepest_first = above.iter().enumerate().rev();
        deepest_first
            .find_map(|(number, directory)| self.depths.get(&(number + 1))?.protection(directory))
            .unwrap_or(Protection::None)
    }
}

/// Whether a rule says more than one path: a backslash alone is a letter to apk.
fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_rule_decides_and_of_equals_the_last() {
        let mut paths = ProtectedPaths::of_lists(&[]).unwrap();
        let at = |paths: &ProtectedPaths, text: &str| paths.protection(&TreePath::relative(text).unwrap());
        assert_eq!(at(&paths, "etc/passwd"), Protection::Changed);
        assert_eq!(at(&paths, "etc/init.d/sshd"), Protection::Changed);
        assert_eq!(at(&paths, "etc/apk/world"), Protection::Changed);
        assert_eq!(at(&paths, "usr/bin/x"), Protection::None);
        assert_eq!(at(&paths, "etcetera"), Protection::None);
        paths.add("# comment\n-etc\n+usr/share/app/\n+opt/*/etc\n+srv/file\n").unwrap();
        assert_eq!(at(&paths, "etc/passwd"), Protection::None);
        assert_eq!(at(&paths, "usr/share/app/conf"), Protection::Changed);
        assert_eq!(at(&paths, "opt/x/etc/deep/conf"), Protection::Changed);
        assert_eq!(at(&paths, "opt/etc/conf"), Protection::None);
        assert_eq!(at(&paths, "srv/file"), Protection::None);
    }

    /// Measured on apk 2.14.4.
    #[test]
    fn globs_of_rules_are_read_as_apk_reads_them() {
        let mut paths = ProtectedPaths::of_lists(&[]).unwrap();
        paths.add("+opt/*\n+srv/{a,b}\n+mnt/?\n+usr/[ab]\n+usr/\\*\n+media/*/q\n+home/\\\\\n").unwrap();
        for (path, expected) in [
            ("opt/.x/conf", true),
            ("opt/x/y/conf", true),
            ("opt/conf", false),
            ("srv/a/conf", false),
            ("srv/{a,b}/conf", true),
            ("mnt/a/conf", true),
            ("mnt/é/conf", false),
            ("usr/a/conf", true),
            ("usr/c/conf", false),
            ("usr/*/conf", true),
            ("media/p/conf", false),
            ("media/p/q/r/conf", true),
            ("home/\\/conf", false),
        ] {
            let protection = paths.protection(&TreePath::relative(path).unwrap());
            assert_eq!(protection == Protection::Changed, expected, "{path}");
        }
    }

    #[test]
    fn of_a_name_and_a_glob_of_one_depth_the_last_decides() {
        for (rules, expected) in [
            ("+opt/*\n-opt/a\n", Protection::None),
            ("-opt/a\n+opt/*\n", Protection::Changed),
            ("+opt/a\n-opt/a\n", Protection::None),
        ] {
            let mut paths = ProtectedPaths::default();
            paths.add(rules).unwrap();
            assert_eq!(paths.protection(&TreePath::relative("opt/a/f").unwrap()), expected, "{rules}");
        }
    }

    #[test]
    fn lists_without_measure_are_refused_by_their_limits() {
        let file = |text: &str| {
            let kind = InodeKind::File(Content::of_bytes(text.as_bytes()));
            crate::tree::Inode::new(kind, crate::tree::Mode::FILE, crate::tree::Origin::Base)
        };
        let tree = |lists: &[(String, String)]| {
            let mut tree = Tree::new();
            for (name, text) in lists {
                let path = TreePath::relative(&format!("{LISTS}/{name}.list")).unwrap();
                tree.make_parents(&path, &crate::tree::Origin::Base).unwrap();
                tree.insert(path, file(text)).unwrap();
            }
            tree
        };
        let refusal = |tree: &Tree| KnownRules::default().of(tree).unwrap_err();
        let one = |text: String| tree(&[("a".to_owned(), text)]);
        assert!(matches!(refusal(&one("#".repeat(2 << 20))), ProtectedError::LongList { .. }));
        assert!(matches!(refusal(&one("+a\n".repeat(1_000))), ProtectedError::ManyRules));
        let many: Vec<_> = (0..101).map(|number| (number.to_string(), String::new())).collect();
        assert!(matches!(refusal(&tree(&many)), ProtectedError::ManyLists));
        assert_eq!(ProtectedError::ManyRules.kind(), Kind::Limit);
        // A rule as long as a list is a rule that no path meets.
        let known = KnownRules::default().of(&one(format!("+{}", "?".repeat(1_000_000)))).unwrap();
        assert_eq!(known.protection(&TreePath::relative("usr/a").unwrap()), Protection::None);
    }

    #[test]
    fn lists_that_changed_are_read_again() {
        let mut known = KnownRules::default();
        let mut tree = Tree::new();
        let path = TreePath::relative(&format!("{LISTS}/a.list")).unwrap();
        tree.make_parents(&path, &crate::tree::Origin::Base).unwrap();
        let file = TreePath::relative("srv/file").unwrap();
        for (text, expected) in
            [("", Protection::None), ("+srv\n", Protection::Changed), ("+srv\n-srv\n", Protection::None)]
        {
            let kind = InodeKind::File(Content::of_bytes(text.as_bytes()));
            let inode = crate::tree::Inode::new(kind, crate::tree::Mode::FILE, crate::tree::Origin::Base);
            tree.insert(path.clone(), inode).unwrap();
            assert_eq!(known.of(&tree).unwrap().protection(&file), expected, "{text}");
        }
    }
}
