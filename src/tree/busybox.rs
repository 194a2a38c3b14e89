//! The links by which BusyBox is called under the names of its commands.
//!
//! They belong to no package: the post-install script of busybox makes them, and its trigger makes those
//! that are missing later. What they do is certain (a fixed list, existing names stay), so it is done here on the tree,
//! for every architecture and without running anything.
//!
//! Source: spec apk v2, "Busybox links"; measured on busybox 1.36.1 and busybox-suid 1.36.1.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::{Inode, InodeKind, Mode, NameError, Origin, Tree};
use crate::content::ContentError;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// The name of the package whose post-install script and trigger make the links.
pub const PACKAGE: &str = "busybox";
/// The directories that busybox's post-install makes first.
const DIRECTORIES: [&str; 4] = ["bin", "sbin", "usr/bin", "usr/sbin"];
/// The commands that `bbsuid --install` links to the set-user-ID `/bin/bbsuid`, in place of busybox's own.
const SUID_COMMANDS: [&str; 8] = [
    "bin/mount",
    "bin/su",
    "bin/umount",
    "usr/bin/crontab",
    "usr/bin/passwd",
    "usr/bin/traceroute",
    "usr/bin/traceroute6",
    "usr/bin/vlock",
];
/// The list of commands is no longer than this, in bytes.
const MAX_LIST: u64 = 1 << 20;

/// Why the links cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusyboxError {
    /// The list of commands cannot be read.
    #[error("the links of busybox cannot be made: {0}")]
    List(#[from] ContentError),
    /// A link cannot be made.
    #[error("the links of busybox cannot be made: {0}")]
    Name(#[from] NameError),
}

impl Explain for BusyboxError {
    fn kind(&self) -> Kind {
        match self {
            Self::List(error) => error.kind(),
            Self::Name(_) => Kind::Integrity,
        }
    }
}

/// Makes the links of every busybox in the tree: those that `busybox --install -s` would make, then those
/// that `bbsuid --install` would.
pub fn install_links(tree: &mut Tree) -> Result<(), BusyboxError> {
    let path = |text: &str| TreePath::relative(text).unwrap_or_default();
    let busybox = tree.resolve(&path("bin/busybox"))?;
    if tree.get(&busybox).is_some() {
        for directory in DIRECTORIES.map(path) {
            tree.make_parents(&directory, &Origin::Generated)?;
            if tree.get(&directory).is_none() {
                tree.insert(directory, Inode::directory(Origin::Generated))?;
            }
        }
        // BusyBox asks the kernel where it lies, so links of a merged /usr lead there.
        let target = busybox.to_string();
        for command in commands(tree, &path("etc/busybox-paths.d/busybox"))? {
            link(tree, &command, &target, Existing::Stays)?;
        }
    }
    if tree.get(&tree.resolve(&path("bin/bbsuid"))?).is_some() {
        for command in SUID_COMMANDS.map(path) {
            link(tree, &command, "/bin/bbsuid", Existing::BusyboxLinkGoes)?;
        }
    }
    Ok(())
}

/// The paths that links to a busybox of this tree may have.
pub fn link_paths(tree: &Tree) -> Result<HashSet<TreePath>, ContentError> {
    let path = |text: &str| TreePath::relative(text).unwrap_or_default();
    let mut paths: HashSet<TreePath> =
        commands(tree, &path("etc/busybox-paths.d/busybox"))?.into_iter().collect();
    paths.extend(SUID_COMMANDS.map(path));
    Ok(paths)
}

/// What happens to something that has a link's name already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Stays,
    BusyboxLinkGoes,
}

fn link(tree: &mut Tree, command: &TreePath, target: &str, existing: Existing) -> Result<(), NameError> {
    let physical = tree.physical(command)?;
    let has_directory = physical.parent().is_some_and(|parent| tree.is_directory(&parent));
    let makes_room = match tree.get(&physical).map(|inode| &inode.kind) {
        None => true,
        Some(InodeKind::Symlink(there)) => {
            existing == Existing::BusyboxLinkGoes && &**there == "/bin/busybox"
        }
        Some(_) => false,
    };
    if has_directory && makes_room {
        let link = Inode::new(InodeKind::Symlink(target.into()), Mode::SYMLINK, Origin::Generated);
        tree.insert(physical, link)?;
    }
    Ok(())
}

/// The paths that the list of a busybox states, one per line.
fn commands(tree: &Tree, list: &TreePath) -> Result<Vec<TreePath>, ContentError> {
    let Some(InodeKind::File(content)) = tree.get(list).map(|inode| &inode.kind) else {
        return Ok(Vec::new());
    };
    if content.length() > MAX_LIST {
        return Ok(Vec::new());
    }
    let text = content.to_vec()?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(|line| TreePath::relative(line).ok()).collect())
}
