//! Numbers that are kept for accounts which come later.
//!
//! A script that is not known yet asks for any free number and must not get one that was recorded for another
//! package's account, which this package would then not find free. While numbers are held there are accounts
//! by the name of nobody that have them; so it is the same for scripts that are run and for those that are
//! applied. A script that wants one of them by number is refused it, as when the other package comes first.

use super::files::{self, AccountFile, Texts, append};
use super::{AccountError, AddedAccounts};
use crate::path::TreePath;
use crate::tree::{Inode, InodeKind, InodeNumber, Tree, own_files};

/// How the names of those accounts begin.
const PREFIX: &str = "apkcompose-held-";
/// The files they are in.
const FILES: [AccountFile; 2] = [AccountFile::Passwd, AccountFile::Group];

/// Numbers held in a tree, until they are released.
#[derive(Debug)]
#[must_use = "the tree has accounts of nobody's until the numbers are released"]
pub struct HeldNumbers {
    /// What the files were, if something is held in them.
    before: Vec<Before>,
}

/// A file as it was.
#[derive(Debug)]
struct Before {
    file: AccountFile,
    path: TreePath,
    number: InodeNumber,
    inode: Inode,
}

impl HeldNumbers {
    /// Holds the numbers of `recorded` that are free in `tree`.
    pub fn hold<'a>(
        tree: &mut Tree,
        recorded: impl IntoIterator<Item = &'a AddedAccounts>,
    ) -> Result<Self, AccountError> {
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        for added in recorded {
            users.extend(added.users.iter().map(|user| user.uid));
            groups.extend(added.groups.iter().map(|group| group.gid));
        }
        if (users.is_empty() && groups.is_empty()) || !super::can_add(tree) {
            return Ok(Self { before: Vec::new() });
        }
        let mut texts = Texts::read(tree)?;
        for uid in users {
            if !has_number(&texts.passwd, uid) {
                append(&mut texts.passwd, &format!("{PREFIX}{uid}:!:{uid}:{uid}::/:/sbin/nologin"));
            }
        }
        for gid in groups {
            if !has_number(&texts.group, gid) {
                append(&mut texts.group, &format!("{PREFIX}{gid}:!:{gid}:"));
            }
        }
        let there = |file: AccountFile| {
            let path = own_files::place(tree, &file.path()).ok()?;
            let (number, inode) = (tree.number(&path)?, tree.get(&path)?.clone());
            Some(Before { file, path, number, inode })
        };
        let before = FILES.into_iter().filter_map(there).collect();
        texts.write(tree)?;
        Ok(Self { before })
    }

    /// Lets them go. A file that has changed by nothing but this is what it was.
    pub fn release(self, tree: &mut Tree) -> Result<(), AccountError> {
        for Before { file, path, number, inode } in self.before {
            let Some(text) = file.text(tree)? else { continue };
            let is_held = |line: &&str| line.starts_with(PREFIX);
            if !text.lines().any(|line| is_held(&line)) {
                continue;
            }
            let rest: String =
                text.lines().filter(|line| !is_held(line)).flat_map(|line| [line, "\n"]).collect();
            if !is_same(tree, &path, &inode, &rest)? {
                file.write(tree, &rest)?;
            } else if tree.links(number) > 0 {
                // The very file that it was, which has other names.
                tree.link(path, number)?;
            } else {
                tree.insert(path, inode)?;
            }
        }
        Ok(())
    }
}

fn has_number(text: &str, number: u32) -> bool {
    files::lines(text).any(|(_, there)| there == number)
}

/// Whether the file at `path`, if its text were `text`, would be what it was `before`.
fn is_same(tree: &Tree, path: &TreePath, before: &Inode, text: &str) -> Result<bool, AccountError> {
    let (Some(now), InodeKind::File(content)) = (tree.get(path), &before.kind) else { return Ok(false) };
    let there = content.to_vec().map_err(|error| AccountError::Read { path: path.clone(), error })?;
    let is_kept = now.owner == before.owner && now.mode == before.mode && now.xattrs == before.xattrs;
    Ok(is_kept && String::from_utf8_lossy(&there).lines().eq(text.lines()))
}
