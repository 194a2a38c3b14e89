//! The root filesystem as a value: inodes, and names that point at them.
//!
//! A [`Tree`] holds everything an image contains: kinds, modes, owners, times, extended attributes,
//! which package each file came from, and where its bytes are. Nothing is on a disk, so no privilege is
//! needed to give a file to somebody or to make it set-user-ID. Two names of one inode are a hard link.
//!
//! Always true of a tree: every name but the root has a parent that is a directory, and that parent is a
//! name of the tree itself, so no name passes through a link.
//!
//! Not for running anything, and not for the bytes of a layer: those are [`crate::image`]'s.

pub mod account_script;
pub mod accounts;
pub mod base;
pub mod busybox;
pub mod database;
mod directories;
mod glob;
mod inode;
pub mod layers;
#[cfg(test)]
mod made;
pub mod overlay;
pub mod own_files;
pub mod place;
pub mod protected;
mod prune;
mod purge;
pub mod records;
pub mod shadow;
pub mod triggers;

pub use prune::Unsatisfied;

pub use inode::{Device, Inode, InodeKind, Mode, Origin, Owner, Xattrs};

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// How many links a path may pass through, as Linux counts.
const MAX_LINKS: usize = 40;

/// The longest path that is followed in one go, in bytes.
const MAX_TEXT: usize = 4096;
/// The most names that a tree may have: far more than any image has, and few enough to be kept in memory.
const MAX_NAMES: usize = 750_000;

/// A root filesystem.
#[derive(Debug, Clone)]
pub struct Tree {
    inodes: Vec<Inode>,
    /// How many names each inode has. What has none keeps its number and nothing else.
    links: Vec<u32>,
    names: BTreeMap<TreePath, InodeNumber>,
}

/// Which inode of a tree a name points at. Meaningless in another tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeNumber(usize);

/// How far a path was followed.
struct Run<'a> {
    /// What was reached.
    path: TreePath,
    /// How many names that took.
    names: usize,
    /// Where it points if it is a link.
    target: Option<&'a str>,
}

/// A name that cannot be made, changed or followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The directory it should be in does not exist.
    #[error("{path} has no directory to be in")]
    NoParent {
        /// The name.
        path: TreePath,
    },
    /// What it should be in is no directory.
    #[error("{path} would be inside {parent}, which is no directory")]
    ParentIsNoDirectory {
        /// The name.
        path: TreePath,
        /// What it should be in.
        parent: TreePath,
    },
    /// A directory stands where something else should be put.
    #[error("{path} is a directory and cannot be replaced by something else")]
    IsDirectory {
        /// The directory.
        path: TreePath,
    },
    /// Something else stands where a directory should be put.
    #[error("{path} exists and is no directory")]
    IsNoDirectory {
        /// What stands there.
        path: TreePath,
    },
    /// A directory that should go is not empty.
    #[error("the directory {path} is not empty")]
    NotEmpty {
        /// The directory.
        path: TreePath,
    },
    /// There are more names than an image may have.
    #[error("{path} is one file, directory or link more than the limit of {MAX_NAMES} for an image")]
    TooMany {
        /// The name.
        path: TreePath,
    },
    /// Links lead in a circle, or one points at nothing that could be a path.
    #[error("{path} leads through too many links, or through one that points nowhere")]
    Links {
        /// The path that was followed.
        path: TreePath,
    },
}

impl Explain for NameError {
    fn kind(&self) -> Kind {
        match self {
            Self::TooMany { .. } => Kind::Limit,
            Self::NoParent { .. }
            | Self::ParentIsNoDirectory { .. }
            | Self::IsDirectory { .. }
            | Self::IsNoDirectory { .. }
            | Self::NotEmpty { .. }
            | Self::Links { .. } => Kind::Integrity,
        }
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree of nothing but its root directory.
    pub fn new() -> Self {
        let root = Inode::directory(Origin::Generated);
        Self {
            inodes: vec![root],
            links: vec![1],
            names: BTreeMap::from([(TreePath::root(), InodeNumber(0))]),
        }
    }

    /// All names with their inodes, each directory directly before what it contains; the root first.
    pub fn entries(&self) -> impl Iterator<Item = (&TreePath, InodeNumber, &Inode)> {
        self.names.iter().filter_map(|(path, number)| Some((path, *number, self.inodes.get(number.0)?)))
    }

    /// How many names there are, the root's included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.names.len() <= 1
    }

    /// What stands at `path`, links not followed.
    pub fn get(&self, path: &TreePath) -> Option<&Inode> {
        self.inodes.get(self.names.get(path)?.0)
    }

    /// What stands at `path`, to be changed under all its names.
    pub fn get_mut(&mut self, path: &TreePath) -> Option<&mut Inode> {
        self.inodes.get_mut(self.names.get(path)?.0)
    }

    /// The number of what stands at `path`.
    pub fn number(&self, path: &TreePath) -> Option<InodeNumber> {
        self.names.get(path).copied()
    }

    /// `path` as the tree keeps it, if it is a name of the tree.
    pub(crate) fn shared(&self, path: TreePath) -> TreePath {
        self.names.get_key_value(&path).map_or(path, |(own, _)| own.clone())
    }

    /// Whether a directory stands at `path`.
    pub fn is_directory(&self, path: &TreePath) -> bool {
        self.get(path).is_some_and(Inode::is_directory)
    }

    /// Gives `inode` the name `path`. What had the name loses it; a directory is neither replaced by
    /// something else nor put in the place of something else, and one that is there keeps its contents.
    pub fn insert(&mut self, path: TreePath, inode: Inode) -> Result<InodeNumber, NameError> {
        self.check_parent(&path)?;
        if let Some(there) = self.get_mut(&path) {
            match (there.is_directory(), inode.is_directory()) {
                (true, false) => return Err(NameError::IsDirectory { path }),
                (false, true) => return Err(NameError::IsNoDirectory { path }),
                (true, true) => {
                    *there = inode;
                    return self.number(&path).ok_or(NameError::NoParent { path });
                }
                (false, false) => {}
            }
        }
        let number = InodeNumber(self.inodes.len());
        self.inodes.push(inode);
        self.links.push(0);
        self.name(path, number);
        Ok(number)
    }

    /// Gives the inode with that number the name `path`, which what had it loses.
    fn name(&mut self, path: TreePath, number: InodeNumber) {
        if let Some(links) = self.links.get_mut(number.0) {
            *links += 1;
        }
        let before = self.names.insert(path, number);
        if let Some(before) = before {
            self.unname(before);
        }
    }

    /// Takes a name away from an inode; the content of one that has none any more is let go.
    fn unname(&mut self, number: InodeNumber) {
        let (Some(links), Some(inode)) = (self.links.get_mut(number.0), self.inodes.get_mut(number.0)) else {
            return;
        };
        *links -= 1;
        if *links == 0 {
            *inode = Inode::directory(Origin::Generated);
        }
    }

    /// How many names the inode with that number has.
    pub(crate) fn links(&self, number: InodeNumber) -> usize {
        self.links.get(number.0).map_or(0, |links| *links as usize)
    }

    /// Gives the file with that number one more name.
    pub fn link(&mut self, path: TreePath, number: InodeNumber) -> Result<(), NameError> {
        self.check_parent(&path)?;
        let is_directory = |inode: Option<&Inode>| inode.is_some_and(Inode::is_directory);
        if is_directory(self.get(&path)) || is_directory(self.inodes.get(number.0)) {
            return Err(NameError::IsDirectory { path });
        }
        self.name(path, number);
        Ok(())
    }

    /// Takes the name `path` away, if there is one; of a directory only when it is empty.
    pub fn remove(&mut self, path: &TreePath) -> Result<(), NameError> {
        if self.children(path).next().is_some() {
            return Err(NameError::NotEmpty { path: path.clone() });
        }
        let before = self.names.remove(path);
        if let Some(before) = before {
            self.unname(before);
        }
        Ok(())
    }

    /// Takes away `path` and, of a directory, everything in it.
    pub fn remove_all(&mut self, path: &TreePath) {
        let below: Vec<TreePath> = self.below(path).cloned().collect();
        for path in below {
            let before = self.names.remove(&path);
            if let Some(before) = before {
                self.unname(before);
            }
        }
    }

    /// `path`, if it exists, and everything in it.
    pub fn below<'a>(&'a self, path: &'a TreePath) -> impl Iterator<Item = &'a TreePath> {
        self.names.range(path.clone()..).map(|(name, _)| name).take_while(move |name| name.is_below(path))
    }

    /// What is in the directory `path`, not what is in its directories, which are passed over.
    pub fn children<'a>(&'a self, path: &'a TreePath) -> impl Iterator<Item = &'a TreePath> {
        let first_of = |bounds: (Bound<TreePath>, Bound<TreePath>)| {
            self.names.range(bounds).next().map(|(name, _)| name).filter(|name| name.is_below(path))
        };
        let first = first_of((Bound::Excluded(path.clone()), Bound::Unbounded));
        std::iter::successors(first, move |child| {
            first_of((Bound::Included(child.behind_contents()), Bound::Unbounded))
        })
    }

    /// Makes the directories above `path` that are missing, as [`Inode::directory`]s of `origin`.
    pub fn make_parents(&mut self, path: &TreePath, origin: &Origin) -> Result<(), NameError> {
        // From below: a name that is there has all those above it.
        let above = std::iter::successors(path.parent(), TreePath::parent);
        let missing: Vec<TreePath> = above.take_while(|above| self.get(above).is_none()).collect();
        for above in missing.into_iter().rev() {
            self.insert(above, Inode::directory(origin.clone()))?;
        }
        Ok(())
    }

    /// Where a name `path` really lies: links in the directories above it followed, the last name not.
    pub fn physical(&self, path: &TreePath) -> Result<TreePath, NameError> {
        let Some(parent) = path.parent() else { return Ok(path.clone()) };
        // The rule, for every package of a tree without links between directories.
        if self.is_directory(&parent) {
            return Ok(path.clone());
        }
        let parent = self.resolve(&parent)?;
        parent.join(path.name()).map_err(|_| NameError::Links { path: path.clone() })
    }

    /// Where `path` leads when all links, the last name too, are followed inside the tree. What does not
    /// exist leads to itself.
    pub fn resolve(&self, path: &TreePath) -> Result<TreePath, NameError> {
        let lost = || NameError::Links { path: path.clone() };
        let mut resolved = TreePath::root();
        let mut left: Vec<String> = path.components().rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(next) = left.last() {
            if next == ".." {
                left.pop();
                resolved = resolved.parent().unwrap_or_default();
                continue;
            }
            let Run { path: furthest, names, target } = self.follow(&resolved, &left).ok_or_else(lost)?;
            left.truncate(left.len() - names);
            let Some(target) = target else {
                resolved = furthest;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(lost());
            }
            resolved = if target.starts_with('/') {
                TreePath::root()
            } else {
                furthest.parent().unwrap_or_default()
            };
            let parts = target.split('/').filter(|part| !part.is_empty() && *part != ".");
            left.extend(parts.rev().map(str::to_owned));
        }
        Ok(resolved)
    }

    /// Follows the names at the end of `left`, the last one first, from the directory `from` to the first link, or to
    /// the first `..` if no link comes before; nothing if what comes next cannot be a path.
    fn follow(&self, from: &TreePath, left: &[String]) -> Option<Run<'_>> {
        let mut text = from.as_str().to_owned();
        // How much of the text each of the names has, with all before it.
        let mut ends = Vec::new();
        for name in left.iter().rev().take_while(|name| *name != "..") {
            if text.len() + name.len() + 1 >= MAX_TEXT && !ends.is_empty() {
                break;
            }
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(name);
            ends.push(text.len());
        }
        let path = |names: usize| match names.checked_sub(1) {
            None => Some(from.clone()),
            Some(last) => TreePath::relative(text.get(..*ends.get(last)?)?).ok(),
        };
        // A name that exists has all those above it, which are directories.
        let (mut existing, mut missing) = (0, ends.len() + 1);
        while missing - existing > 1 {
            let middle = usize::midpoint(existing, missing);
            if self.names.contains_key(&path(middle)?) { existing = middle } else { missing = middle }
        }
        let last = path(existing)?;
        match self.get(&last).map(|inode| &inode.kind) {
            Some(InodeKind::Symlink(target)) if existing > 0 => {
                Some(Run { path: last, names: existing, target: Some(target) })
            }
            _ => Some(Run { path: path(ends.len())?, names: ends.len(), target: None }),
        }
    }

    fn check_parent(&self, path: &TreePath) -> Result<(), NameError> {
        if self.names.len() >= MAX_NAMES && !self.names.contains_key(path) {
            return Err(NameError::TooMany { path: path.clone() });
        }
        let Some(parent) = path.parent() else { return Ok(()) };
        match self.get(&parent) {
            Some(inode) if inode.is_directory() => Ok(()),
            Some(_) => Err(NameError::ParentIsNoDirectory { path: path.clone(), parent }),
            None => Err(NameError::NoParent { path: path.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;

    fn path(text: &str) -> TreePath {
        TreePath::absolute(text).unwrap()
    }

    fn file(text: &str) -> Inode {
        Inode::new(InodeKind::File(Content::of_bytes(text.as_bytes())), Mode::FILE, Origin::Generated)
    }

    fn link(target: &str) -> Inode {
        Inode::new(InodeKind::Symlink(target.into()), Mode::SYMLINK, Origin::Generated)
    }

    fn tree(entries: &[(&str, Option<Inode>)]) -> Tree {
        let mut tree = Tree::new();
        for (name, inode) in entries {
            let inode = inode.clone().unwrap_or_else(|| Inode::directory(Origin::Generated));
            tree.insert(path(name), inode).unwrap();
        }
        tree
    }

    #[test]
    fn names_need_a_directory_and_directories_are_not_replaced() {
        let mut tree = tree(&[("/d", None), ("/f", Some(file("x")))]);
        assert!(matches!(tree.insert(path("/no/x"), file("")), Err(NameError::NoParent { .. })));
        assert!(matches!(tree.insert(path("/f/x"), file("")), Err(NameError::ParentIsNoDirectory { .. })));
        assert!(matches!(tree.insert(path("/d"), file("")), Err(NameError::IsDirectory { .. })));
        let directory = Inode::directory(Origin::Base);
        assert!(matches!(tree.insert(path("/f"), directory), Err(NameError::IsNoDirectory { .. })));
    }

    #[test]
    fn hard_links_share_their_inode_until_one_is_replaced() {
        let mut tree = tree(&[("/a", Some(file("x")))]);
        tree.link(path("/b"), tree.number(&path("/a")).unwrap()).unwrap();
        tree.get_mut(&path("/a")).unwrap().mode = Mode::new(0o600);
        assert_eq!(tree.get(&path("/b")).unwrap().mode, Mode::new(0o600));
        tree.insert(path("/a"), file("y")).unwrap();
        assert_ne!(tree.get(&path("/a")), tree.get(&path("/b")));
    }

    #[test]
    fn links_are_followed_inside_the_tree_only() {
        let tree = tree(&[
            ("/run", None),
            ("/var", None),
            ("/var/run", Some(link("../run"))),
            ("/up", Some(link("../../../run"))),
            ("/abs", Some(link("/var/run/./x"))),
            ("/loop", Some(link("loop"))),
        ]);
        assert_eq!(tree.physical(&path("/var/run/x")).unwrap(), path("/run/x"));
        assert_eq!(tree.resolve(&path("/up")).unwrap(), path("/run"));
        assert_eq!(tree.resolve(&path("/abs")).unwrap(), path("/run/x"));
        assert_eq!(tree.physical(&path("/var/run")).unwrap(), path("/var/run"));
        assert!(matches!(tree.resolve(&path("/loop")), Err(NameError::Links { .. })));
    }

    #[test]
    fn a_path_of_very_many_names_is_followed_through_links() {
        let deep = "/d".repeat(1_000);
        let mut tree =
            tree(&[("/e", None), ("/l", Some(link("e"))), ("/up", Some(link(&"../".repeat(1_300))))]);
        assert_eq!(tree.resolve(&path(&format!("/l{deep}"))).unwrap(), path(&format!("/e{deep}")));
        assert_eq!(tree.resolve(&path(&format!("/up{deep}"))).unwrap(), path(&deep));
        tree.make_parents(&path(&format!("/e{deep}/x")), &Origin::Generated).unwrap();
        tree.insert(path(&format!("/e{deep}/x")), link("../y/./z")).unwrap();
        let leads_to = tree.resolve(&path(&format!("/l{deep}/x"))).unwrap();
        assert_eq!(leads_to, path(&format!("/e{}/y/z", "/d".repeat(999))));
        // Too long for a path once the link is followed.
        let target = format!("{}e", "n/".repeat(1_000));
        tree.insert(path("/long"), link(&target)).unwrap();
        assert!(matches!(
            tree.resolve(&path(&format!("/long{}", "/m".repeat(1_100)))),
            Err(NameError::Links { .. })
        ));
    }

    #[test]
    fn what_is_in_a_directory_is_listed_without_what_is_below() {
        let entries = ["/d", "/d/a", "/d/a/x", "/d/a/x/y", "/d/a-b", "/d/b", "/d-e", "/e"];
        let tree = tree(&entries.map(|name| (name, None)));
        let directory = path("/d");
        let names: Vec<String> = tree.children(&directory).map(ToString::to_string).collect();
        assert_eq!(names, ["/d/a", "/d/a-b", "/d/b"]);
        assert_eq!(tree.children(&TreePath::root()).count(), 3);
        assert_eq!(tree.children(&path("/d/b")).count(), 0);
    }

    #[test]
    fn one_name_more_than_an_image_may_have_is_refused_by_the_limit() {
        let mut tree = Tree::new();
        let names = (0..MAX_NAMES - 1).map(|number| (path(&format!("/{number:06}")), InodeNumber(0)));
        tree.names.extend(names);
        let refusal = tree.insert(path("/one-more"), file("")).unwrap_err();
        assert_eq!(refusal.kind(), Kind::Limit);
        assert!(refusal.to_string().contains("750000"), "{refusal}");
        assert!(tree.insert(path("/000001"), Inode::directory(Origin::Base)).is_ok());
    }

    #[test]
    fn the_content_of_a_file_is_let_go_with_its_last_name() {
        let mut tree = tree(&[("/a", Some(file("x")))]);
        let number = tree.number(&path("/a")).unwrap();
        tree.link(path("/b"), number).unwrap();
        tree.link(path("/b"), number).unwrap();
        assert_eq!(tree.links(number), 2);
        tree.insert(path("/a"), file("y")).unwrap();
        tree.remove_all(&path("/b"));
        assert_eq!(tree.links(number), 0);
        assert!(tree.inodes[number.0].is_directory());
        assert!(!tree.get(&path("/a")).unwrap().is_directory());
    }

    #[test]
    fn only_empty_directories_are_removed_unless_all_is_meant() {
        let mut tree = tree(&[("/d", None), ("/d/e", None), ("/d/e/f", Some(file(""))), ("/d-x", None)]);
        assert!(matches!(tree.remove(&path("/d")), Err(NameError::NotEmpty { .. })));
        assert_eq!(tree.children(&TreePath::root()).count(), 2);
        tree.remove_all(&path("/d"));
        assert!(tree.get(&path("/d/e/f")).is_none() && tree.get(&path("/d-x")).is_some());
    }
}
