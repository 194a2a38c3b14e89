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

/// A package that has a directory, and what it records of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded<'a> {
    pub(super) package: &'a InstalledPackage,
    pub(super) access: Access,
}

/// Of packages that bring a directory, the one that holds it.
pub(super) fn holder<'a>(packages: impl IntoIterator<Item = Recorded<'a>>) -> Option<Recorded<'a>> {
    let first = |holder: Recorded<'a>, next: Recorded<'a>| {
        if comes_before(next.package, holder.package) { next } else { holder }
    };
    packages.into_iter().reduce(first)
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

/// Whether a directory is as it is recorded.
pub(super) fn is_as_recorded(there: &Inode, access: Access) -> bool {
    (access.uid, access.gid, access.mode) == (there.owner.uid, there.owner.gid, there.mode.bits())
}

/// Gives the directory that lies at `physical` to `holder`.
pub(super) fn hand_over(tree: &mut Tree, physical: &TreePath, holder: Recorded<'_>) {
    if let Some(there) = tree.get_mut(physical) {
        there.owner = Owner { uid: holder.access.uid, gid: holder.access.gid };
        there.mode = Mode::new(holder.access.mode);
        there.origin = Origin::Package(holder.package.name().into());
    }
}
