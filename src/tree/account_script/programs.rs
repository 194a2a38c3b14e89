//! Whether the programs that a script runs are BusyBox's, which is all that is known here.

use crate::path::TreePath;
use crate::tree::{Inode, InodeKind, Tree};

/// Where the programs of a package's script are looked for, in this order.
const SEARCHED: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];
/// BusyBox.
const BUSYBOX: &str = "bin/busybox";
/// What runs a script.
const SHELL: &str = "bin/sh";
/// Says which of its commands BusyBox may refuse to run.
const CONFIGURATION: &str = "etc/busybox.conf";
/// Where what loads programs is, and how its name begins.
const LOADER: (&str, &str) = ("lib", "ld-musl-");

/// Whether BusyBox runs the tree's shell scripts.
pub(super) fn runs_scripts(tree: &Tree) -> bool {
    let (directory, name) = LOADER;
    let libraries = tree.resolve(&path(directory)).unwrap_or_default();
    let has_loader = tree.children(&libraries).any(|there| there.name().starts_with(name));
    let shell = tree.resolve(&path(SHELL)).ok();
    has_loader && tree.get(&path(CONFIGURATION)).is_none() && shell.is_some() && shell == busybox(tree)
}

/// Whether BusyBox is what the program `name` leads to.
pub(super) fn is_busybox(tree: &Tree, name: &str) -> bool {
    let found = SEARCHED.into_iter().find_map(|directory| {
        let place = path(directory).join(name).ok()?;
        let physical = tree.physical(&place).ok()?;
        // A link that leads nowhere is found too: what is found then is not BusyBox.
        tree.get(&physical).map(|_| tree.resolve(&physical).ok())
    });
    found.flatten().is_some_and(|found| Some(found) == busybox(tree))
}

/// Where BusyBox lies, if it can be run.
fn busybox(tree: &Tree) -> Option<TreePath> {
    let place = tree.resolve(&path(BUSYBOX)).ok()?;
    let is_program =
        |inode: &Inode| matches!(inode.kind, InodeKind::File(_)) && inode.mode.bits() & 0o111 == 0o111;
    tree.get(&place).is_some_and(is_program).then_some(place)
}

fn path(text: &str) -> TreePath {
    TreePath::relative(text).unwrap_or_default()
}
