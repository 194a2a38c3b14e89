//! What a program leaves in the files of accounts that depends on the day it ran, brought to the image's own.
//!
//! `adduser` and `passwd` write the day into the lines of `/etc/shadow`, and busybox copies each file of accounts aside
//! before it changes it: a copy that nobody needs in an image, and that has such days too.
//!
//! Source: shadow(5); design, "Staging"; measured on busybox 1.36.1.

use std::collections::HashSet;

use super::{Inode, InodeKind, NameError, Tree};
use crate::content::{Content, ContentError};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// The file with the days.
const SHADOW: &str = "etc/shadow";
/// The copies.
const COPIES: [&str; 3] = ["etc/passwd-", "etc/group-", "etc/shadow-"];
/// Which field of a line is the day, counted from 0.
const DAY: usize = 2;
/// The longest file that is read, in bytes; a longer one has no accounts.
const MAX_FILE: u64 = 16 << 20;

/// The files of accounts before a program runs.
#[derive(Debug)]
pub struct AccountFiles {
    shadow: Option<Content>,
    copies: [Option<Inode>; 3],
}

/// Why the files of accounts cannot be brought to the image's day.
#[derive(Debug, thiserror::Error)]
pub enum AccountFilesError {
    /// The file cannot be read.
    #[error("cannot read /{SHADOW}: {0}")]
    Content(#[from] ContentError),
    /// A name leads in circles.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Explain for AccountFilesError {
    fn kind(&self) -> Kind {
        match self {
            Self::Content(error) => error.kind(),
            Self::Name(error) => error.kind(),
        }
    }
}

impl AccountFiles {
    /// What `tree` has of them.
    pub fn of(tree: &Tree) -> Result<Self, AccountFilesError> {
        let shadow = shadow(tree)?.and_then(|path| content(tree, &path));
        Ok(Self { shadow, copies: COPIES.map(|copy| tree.get(&path(copy)).cloned()) })
    }

    /// Gives the lines of the shadow file that are new or changed in `tree` the number `day`, counted from 1970, where
    /// they have one, and puts the copies back that were there before.
    pub fn settle(self, tree: &mut Tree, day: i64) -> Result<(), AccountFilesError> {
        for (copy, before) in COPIES.map(path).into_iter().zip(self.copies) {
            match before {
                Some(before) if tree.get(&copy) != Some(&before) => drop(tree.insert(copy, before)?),
                None if !tree.is_directory(&copy) => tree.remove(&copy)?,
                Some(_) | None => {}
            }
        }
        let Some(path) = shadow(tree)? else { return Ok(()) };
        let Some(after) = content(tree, &path) else { return Ok(()) };
        if self.shadow.as_ref() == Some(&after) {
            return Ok(());
        }
        let before = self.shadow.map_or(Ok(Vec::new()), |content| content.to_vec())?;
        let settled = with_day(&before, &after.to_vec()?, day);
        if let Some(inode) = tree.get_mut(&path) {
            inode.kind = InodeKind::File(Content::of_bytes(settled));
        }
        Ok(())
    }
}

fn path(text: &str) -> TreePath {
    TreePath::relative(text).unwrap_or_default()
}

/// Where the shadow file is, if there is one.
fn shadow(tree: &Tree) -> Result<Option<TreePath>, NameError> {
    let path = tree.resolve(&path(SHADOW))?;
    Ok(tree.get(&path).is_some().then_some(path))
}

fn content(tree: &Tree, path: &TreePath) -> Option<Content> {
    match &tree.get(path)?.kind {
        InodeKind::File(content) if content.length() <= MAX_FILE => Some(content.clone()),
        _ => None,
    }
}

/// `after` with `day` in the lines that `before` does not have.
fn with_day(before: &[u8], after: &[u8], day: i64) -> Vec<u8> {
    let known: HashSet<&[u8]> = before.split(|byte| *byte == b'\n').collect();
    let day = day.to_string();
    let mut settled = Vec::with_capacity(after.len());
    for line in after.split_inclusive(|byte| *byte == b'\n') {
        let (bare, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |bare| (bare, b"\n"));
        let fields: Vec<&[u8]> = bare.split(|byte| *byte == b':').collect();
        let is_new = !known.contains(bare);
        let with_day = fields.into_iter().enumerate().map(|(number, field)| {
            let is_day = number == DAY && !field.is_empty() && field.iter().all(u8::is_ascii_digit);
            if is_new && is_day { day.as_bytes() } else { field }
        });
        settled.extend(with_day.collect::<Vec<_>>().join(&b':'));
        settled.extend_from_slice(end);
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::made::{has, path, text};
    use crate::tree::{Mode, Origin, Owner};

    fn write(tree: &mut Tree, name: &str, text: &str) {
        let kind = InodeKind::File(Content::of_bytes(text.as_bytes()));
        tree.make_parents(&path(name), &Origin::Base).unwrap();
        let owner = Owner { uid: 0, gid: 42 };
        tree.insert(path(name), Inode { owner, ..Inode::new(kind, Mode::new(0o640), Origin::Base) }).unwrap();
    }

    #[test]
    fn new_and_changed_lines_get_the_day_where_they_have_one() {
        let mut tree = Tree::new();
        write(&mut tree, "etc/shadow", "root:*::0:::::\nbin:!:19000:0:99999:7:::\nold:!:19000:0:::::\n");
        let before = AccountFiles::of(&tree).unwrap();
        let after = "root:x:20000:0:::::\nbin:!:19000:0:99999:7:::\nold:y:20000:0:::::\nnew:!:20000:0:::::\nodd:!::0\nno";
        write(&mut tree, "etc/shadow", after);

        before.settle(&mut tree, 7).unwrap();

        let expected =
            "root:x:7:0:::::\nbin:!:19000:0:99999:7:::\nold:y:7:0:::::\nnew:!:7:0:::::\nodd:!::0\nno";
        assert_eq!(text(&tree, "etc/shadow"), expected);
        let inode = tree.get(&path("etc/shadow")).unwrap();
        assert_eq!((inode.mode.bits(), inode.owner.gid), (0o640, 42));
    }

    #[test]
    fn a_file_that_is_new_has_new_lines_only() {
        let mut tree = Tree::new();
        let before = AccountFiles::of(&tree).unwrap();
        write(&mut tree, "etc/shadow", "new:!:20000:0:::::\n");

        before.settle(&mut tree, -3).unwrap();

        assert_eq!(text(&tree, "etc/shadow"), "new:!:-3:0:::::\n");
    }

    #[test]
    fn copies_that_a_program_made_go_and_those_that_were_there_come_back() {
        let mut tree = Tree::new();
        write(&mut tree, "etc/passwd-", "of the base");
        write(&mut tree, "etc/group-", "of the base");
        let before = AccountFiles::of(&tree).unwrap();
        write(&mut tree, "etc/passwd-", "changed");
        write(&mut tree, "etc/shadow-", "new:!:20000:0:::::\n");
        tree.remove(&path("etc/group-")).unwrap();

        before.settle(&mut tree, 7).unwrap();

        assert_eq!(["etc/passwd-", "etc/group-"].map(|name| text(&tree, name)), ["of the base"; 2]);
        assert!(!has(&tree, "etc/shadow-"));
    }
}
