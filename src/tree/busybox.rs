//! The links by which BusyBox is called under the names of its commands.
//!
//! They belong to no package: the post-install script of busybox makes them, its trigger makes those that are
//! missing later, and its post-upgrade script takes those away that a new version has not. What they do is certain (a
//! fixed list, existing names stay), so it is done here on the tree, for every architecture and without running anything.
//! apk leaves the links of a busybox that is removed, leading nowhere; here they go with it.
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
/// What the links lead to.
const BUSYBOX: &str = "/bin/busybox";
/// What the links of set-user-ID commands lead to.
const BBSUID: &str = "/bin/bbsuid";
/// What runs the trigger.
const SHELL: &str = "bin/sh";
/// What lists a kernel's modules, if it is busybox.
const DEPMOD: &str = "sbin/depmod";
/// Where the modules of kernels are.
const MODULES: &str = "lib/modules/";
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
        for command in commands(tree, &list())? {
            link(tree, &command, &target, Existing::Stays)?;
        }
    }
    if tree.get(&tree.resolve(&path("bin/bbsuid"))?).is_some() {
        for command in SUID_COMMANDS.map(path) {
            link(tree, &command, BBSUID, Existing::BusyboxLinkGoes)?;
        }
    }
    Ok(())
}

/// Does what the post-upgrade script does: takes the links to busybox away that are not in the list of commands, and
/// makes those that are missing.
pub fn renew_links(tree: &mut Tree) -> Result<(), BusyboxError> {
    let commands: HashSet<TreePath> = commands(tree, &list())?.into_iter().collect();
    let is_old = |path: &TreePath, target: &str| target == BUSYBOX && !commands.contains(path);
    remove_links(tree, is_old);
    install_links(tree)
}

/// Does what the trigger does for the directories `pulled`, and says whether that was all: without a shell it cannot
/// run, and the modules of a kernel are listed by a program, unless another one than busybox does that.
pub fn trigger(tree: &mut Tree, pulled: &[TreePath]) -> Result<bool, BusyboxError> {
    let resolve = |tree: &Tree, text: &str| tree.resolve(&TreePath::relative(text).unwrap_or_default());
    let shell = resolve(tree, SHELL)?;
    if tree.get(&shell).is_none() {
        return Ok(false);
    }
    let (modules, commands): (Vec<&TreePath>, Vec<&TreePath>) =
        pulled.iter().partition(|path| path.as_str().starts_with(MODULES));
    if !commands.is_empty() {
        install_links(tree)?;
    }
    let lists_modules = resolve(tree, DEPMOD)? == resolve(tree, "bin/busybox")?;
    Ok(!(lists_modules && modules.into_iter().any(|path| tree.is_directory(path))))
}

/// Takes away the links to a busybox or a bbsuid that is not there any more.
pub fn remove_dangling_links(tree: &mut Tree) {
    let is_there = |target: &str| {
        let path = tree.resolve(&TreePath::absolute(target).unwrap_or_default());
        path.is_ok_and(|path| tree.get(&path).is_some())
    };
    // On a merged /usr the links lead there.
    let targets = [BUSYBOX, "/usr/bin/busybox", BBSUID];
    let gone: Vec<&str> = targets.into_iter().filter(|target| !is_there(target)).collect();
    remove_links(tree, |_, target| gone.contains(&target));
}

/// Takes away those links of nobody's among the commands that `is_old`, given path and target.
fn remove_links(tree: &mut Tree, is_old: impl Fn(&TreePath, &str) -> bool) {
    let mut old = Vec::new();
    for directory in DIRECTORIES.map(|text| TreePath::relative(text).unwrap_or_default()) {
        let Ok(directory) = tree.resolve(&directory) else { continue };
        for path in tree.children(&directory) {
            if let Some(Inode { kind: InodeKind::Symlink(target), origin, .. }) = tree.get(path)
                && matches!(origin, Origin::Base | Origin::Generated)
                && is_old(path, target)
            {
                old.push(path.clone());
            }
        }
    }
    for path in old {
        tree.remove_all(&path);
    }
}

/// The paths that links to a busybox of this tree may have.
pub fn link_paths(tree: &Tree) -> Result<HashSet<TreePath>, ContentError> {
    let path = |text: &str| TreePath::relative(text).unwrap_or_default();
    let mut paths: HashSet<TreePath> = commands(tree, &list())?.into_iter().collect();
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
        Some(InodeKind::Symlink(there)) => existing == Existing::BusyboxLinkGoes && &**there == BUSYBOX,
        Some(_) => false,
    };
    if has_directory && makes_room {
        let link = Inode::new(InodeKind::Symlink(target.into()), Mode::SYMLINK, Origin::Generated);
        tree.insert(physical, link)?;
    }
    Ok(())
}

/// Where the list of a busybox is.
fn list() -> TreePath {
    TreePath::relative("etc/busybox-paths.d/busybox").unwrap_or_default()
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
