//! The days in `/etc/shadow`, brought to the image's own.
//!
//! `adduser` and `passwd` write the day on which they run into a line; an image built on another day would differ. A day
//! that a program chose itself stays.
//!
//! Source: shadow(5); design, "Staging"; measured on busybox 1.36.1.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::own_files::{self, OwnFileError};
use super::{Inode, InodeKind, NameError, Tree};
use crate::content::{Content, ContentError};
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// The file with the days.
const SHADOW: &str = "etc/shadow";
/// Which field of a line is the day, counted from 0.
const DAY: usize = 2;
/// The longest file that is read, in bytes; a longer one has no accounts.
const MAX_FILE: u64 = 16 << 20;

/// The shadow file before a program runs, if there is one.
#[derive(Debug)]
pub struct ShadowBefore(Option<Content>);

/// Why the shadow file cannot be brought to the image's day.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// The file cannot be read.
    #[error("cannot read /{SHADOW}: {0}")]
    Content(#[from] ContentError),
    /// Something stands in the place of the file.
    #[error(transparent)]
    Own(#[from] OwnFileError),
    /// A name leads in circles.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Explain for ShadowError {
    fn kind(&self) -> Kind {
        match self {
            Self::Content(error) => error.kind(),
            Self::Own(error) => error.kind(),
            Self::Name(error) => error.kind(),
        }
    }
}

impl ShadowBefore {
    /// What `tree` has.
    pub fn of(tree: &Tree) -> Result<Self, ShadowError> {
        Ok(Self(shadow(tree)?.and_then(|path| content(tree, &path))))
    }

    /// Gives the lines that are new or changed in `tree` the number `day` where they have one of those on which the
    /// program `ran`. Days are counted from 1970.
    pub fn settle(self, tree: &mut Tree, ran: RangeInclusive<i64>, day: i64) -> Result<(), ShadowError> {
        let Some(path) = shadow(tree)? else { return Ok(()) };
        let Some(after) = content(tree, &path) else { return Ok(()) };
        if self.0.as_ref() == Some(&after) {
            return Ok(());
        }
        let before = self.0.map_or(Ok(Vec::new()), |content| content.to_vec())?;
        let after = after.to_vec()?;
        let settled = with_day(&before, &after, &ran, day);
        if settled == after {
            return Ok(());
        }
        let path = own_files::place(tree, &path_of_shadow())?;
        if let Some(inode) = tree.get(&path).cloned() {
            // Under this name alone: another one is another file's.
            let kind = InodeKind::File(Content::of_bytes(settled));
            tree.insert(path, Inode { kind, ..inode })?;
        }
        Ok(())
    }
}

fn path_of_shadow() -> TreePath {
    TreePath::relative(SHADOW).unwrap_or_default()
}

/// Where the shadow file is, if there is one.
fn shadow(tree: &Tree) -> Result<Option<TreePath>, NameError> {
    let path = tree.resolve(&path_of_shadow())?;
    Ok(tree.get(&path).is_some().then_some(path))
}

fn content(tree: &Tree, path: &TreePath) -> Option<Content> {
    match &tree.get(path)?.kind {
        InodeKind::File(content) if content.length() <= MAX_FILE => Some(content.clone()),
        _ => None,
    }
}

/// `after` with `day` instead of those of `ran` in the lines that `before` does not have.
fn with_day(before: &[u8], after: &[u8], ran: &RangeInclusive<i64>, day: i64) -> Vec<u8> {
    let known: HashSet<&[u8]> = before.split(|byte| *byte == b'\n').collect();
    let day = day.to_string();
    let mut settled = Vec::with_capacity(after.len());
    for line in after.split_inclusive(|byte| *byte == b'\n') {
        let (bare, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |bare| (bare, b"\n"));
        let fields: Vec<&[u8]> = bare.split(|byte| *byte == b':').collect();
        let is_new = !known.contains(bare);
        let with_day = fields.into_iter().enumerate().map(|(number, field)| {
            let is_day_of_run = || parsed(field).is_some_and(|day| ran.contains(&day));
            if is_new && number == DAY && is_day_of_run() { day.as_bytes() } else { field }
        });
        settled.extend(with_day.collect::<Vec<_>>().join(&b':'));
        settled.extend_from_slice(end);
    }
    settled
}

/// The day that `field` is; nothing if it is none as programs write them.
fn parsed(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field).ok()?;
    text.parse().ok().filter(|day: &i64| day.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::made::{path, text};
    use crate::tree::{Inode, Mode, Origin, Owner};

    fn write(tree: &mut Tree, name: &str, text: &str) {
        let kind = InodeKind::File(Content::of_bytes(text.as_bytes()));
        tree.make_parents(&path(name), &Origin::Base).unwrap();
        let owner = Owner { uid: 0, gid: 42 };
        tree.insert(path(name), Inode { owner, ..Inode::new(kind, Mode::new(0o640), Origin::Base) }).unwrap();
    }

    #[test]
    fn new_and_changed_lines_get_the_day_where_they_have_that_of_the_run() {
        let mut tree = Tree::new();
        write(&mut tree, "etc/shadow", "root:*::0:::::\nbin:!:20000:0:99999:7:::\nold:!:19000:0:::::\n");
        let before = ShadowBefore::of(&tree).unwrap();
        let after = "root:x:20000:0:::::\nbin:!:20000:0:99999:7:::\nold:y:20001:0:::::\nnew:!:20000:0:::::\nodd:!::0\nno";
        write(&mut tree, "etc/shadow", after);

        before.settle(&mut tree, 20_000..=20_001, 7).unwrap();

        let expected =
            "root:x:7:0:::::\nbin:!:20000:0:99999:7:::\nold:y:7:0:::::\nnew:!:7:0:::::\nodd:!::0\nno";
        assert_eq!(text(&tree, "etc/shadow"), expected);
        let inode = tree.get(&path("etc/shadow")).unwrap();
        assert_eq!((inode.mode.bits(), inode.owner.gid), (0o640, 42));
    }

    #[test]
    fn another_name_of_the_file_keeps_its_day_and_a_link_is_not_written_through() {
        let lines = "new:!:20000:0:::::\n";
        let settle = |tree: &mut Tree| ShadowBefore(None).settle(tree, 20_000..=20_000, 7);
        let mut tree = Tree::new();
        write(&mut tree, "etc/other", lines);
        tree.link(path("etc/shadow"), tree.number(&path("etc/other")).unwrap()).unwrap();
        settle(&mut tree).unwrap();
        assert_eq!(text(&tree, "etc/other"), lines);
        assert_eq!(text(&tree, "etc/shadow"), "new:!:7:0:::::\n");

        let mut tree = Tree::new();
        write(&mut tree, "etc/other", lines);
        let link = Inode::new(InodeKind::Symlink("other".into()), Mode::SYMLINK, Origin::Generated);
        tree.insert(path("etc/shadow"), link).unwrap();
        assert!(matches!(settle(&mut tree), Err(ShadowError::Own(OwnFileError::Link { .. }))));
        assert_eq!(text(&tree, "etc/other"), lines);
    }

    #[test]
    fn a_day_that_the_program_chose_stays() {
        let mut tree = Tree::new();
        write(&mut tree, "etc/shadow", "old:!:19000:0:::::\n");
        let before = ShadowBefore::of(&tree).unwrap();
        let after =
            "old:y:0:0:::::\na:!:19999:0:::::\nb:!:20001:0:::::\nc:!:020000:0:::::\nd:!:+20000::::::\n";
        write(&mut tree, "etc/shadow", after);

        before.settle(&mut tree, 20_000..=20_000, 7).unwrap();

        assert_eq!(text(&tree, "etc/shadow"), after);
    }

    #[test]
    fn a_file_that_is_new_has_new_lines_only() {
        let mut tree = Tree::new();
        let before = ShadowBefore::of(&tree).unwrap();
        write(&mut tree, "etc/shadow", "new:!:20000:0:::::\n");

        before.settle(&mut tree, 20_000..=20_000, -3).unwrap();

        assert_eq!(text(&tree, "etc/shadow"), "new:!:-3:0:::::\n");
    }
}
