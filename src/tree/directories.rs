//! Whose owner and mode a directory has that several packages bring.
//!
//! One of them holds it: the one of the highest `replaces_priority`, then of one origin its main package, then the
//! first by name. When the holder comes, changes or goes, the directory gets what the holder records from then on,
//! unless somebody changed it.
//!
//! Source: spec apk v2, "Install semantics"; that a directory is handed over when a package goes is measured on
//! apk 2.14.4, which gives it the bits that all that are left have.

use super::{Inode, Mode, Origin, Owner, Tree};
use crate::apk::installed::{Access, InstalledPackage};
use crate::path::TreePath;

/// Of packages that bring a directory, the one that holds it.
pub(super) fn holder<'a>(
    packages: impl IntoIterator<Item = &'a InstalledPackage>,
) -> Option<&'a InstalledPackage> {
    packages.into_iter().reduce(|holder, next| if comes_before(next, holder) { next } else { holder })
}

/// Whether `a` rather than `b` holds a directory of both.
pub(super) fn comes_before(a: &InstalledPackage, b: &InstalledPackage) -> bool {
    let is_main = |package: &InstalledPackage| package.name() == package.origin();
    a.replaces_priority
        .cmp(&b.replaces_priority)
        .then_with(|| {
            let same_origin = a.origin() == b.origin();
            (same_origin && is_main(a)).cmp(&(same_origin && is_main(b)))
        })
        .then_with(|| b.name().cmp(a.name()))
        .is_gt()
}

/// Whether a directory is as `package` records the one at `path`.
pub(super) fn is_as_recorded(there: &Inode, package: &InstalledPackage, path: &TreePath) -> bool {
    recorded(package, path).is_some_and(|access| {
        (access.uid, access.gid, access.mode) == (there.owner.uid, there.owner.gid, there.mode.bits())
    })
}

/// Gives the directory that lies at `physical`, and that its packages call `path`, to `holder`.
pub(super) fn hand_over(tree: &mut Tree, physical: &TreePath, path: &TreePath, holder: &InstalledPackage) {
    if let (Some(access), Some(there)) = (recorded(holder, path), tree.get_mut(physical)) {
        there.owner = Owner { uid: access.uid, gid: access.gid };
        there.mode = Mode::new(access.mode);
        there.origin = Origin::Package(holder.name().into());
    }
}

fn recorded(package: &InstalledPackage, path: &TreePath) -> Option<Access> {
    package.directories.iter().find(|directory| directory.path == *path).map(|directory| directory.access)
}
