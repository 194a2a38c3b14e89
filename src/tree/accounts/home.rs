//! The home directory that BusyBox's `adduser` gives a new user.
//!
//! It makes the directory if its parent is there, or takes the one that stands there, gives it to the user
//! and sets mode 02755; what is in it stays as it is. Where more than that would happen (a skeleton is copied,
//! something else than a directory stands there, the place is one that only a running system has) nothing is
//! certain.
//!
//! Source: BusyBox 1.36.1 `adduser`, measured.

use crate::path::TreePath;
use crate::tree::{Inode, InodeKind, Mode, NameError, Origin, Owner, Tree};

/// The mode of every home directory: what is made in it belongs to its group.
const MODE: Mode = Mode::new(0o2755);
/// Where a running system has something that the tree has not.
const MOUNTED: [&str; 4] = ["dev", "proc", "sys", "tmp"];
/// What is copied into every home that is made.
const SKELETON: &str = "etc/skel";

/// What happens to a home directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tree) enum Home {
    /// It is made.
    Made(TreePath),
    /// It is there, and changes its owner and mode.
    Taken(TreePath),
    /// Nothing: it has no directory to be in, which `adduser` says and goes on.
    Nowhere,
}

impl Home {
    /// What would happen to the directory that the user's line calls `text`, once the homes `before` are there;
    /// nothing if that is not certain.
    pub(in crate::tree) fn of<'a>(
        text: &str,
        tree: &Tree,
        before: impl IntoIterator<Item = &'a Self>,
    ) -> Option<Self> {
        let path =
            TreePath::absolute(text).ok().filter(|path| text.strip_prefix('/') == Some(path.as_str()))?;
        let path = tree.physical(&path).ok()?;
        if path.components().next().is_some_and(|top| MOUNTED.contains(&top)) {
            return None;
        }
        match tree.get(&path) {
            Some(inode) if inode.is_directory() => return Some(Self::Taken(path)),
            Some(_) => return None,
            None => {}
        }
        let made: Vec<&TreePath> = before.into_iter().filter_map(Self::made).collect();
        if made.contains(&&path) {
            return Some(Self::Taken(path));
        }
        let parent = path.parent().unwrap_or_default();
        if !tree.is_directory(&parent) && !made.contains(&&parent) {
            return Some(Self::Nowhere);
        }
        let has_skeleton = tree.get(&TreePath::relative(SKELETON).unwrap_or_default()).is_some();
        // An access list would be handed down to what is made below it.
        let is_plain = tree.get(&parent).is_none_or(|parent| parent.xattrs.is_empty());
        (!has_skeleton && is_plain).then_some(Self::Made(path))
    }

    fn made(&self) -> Option<&TreePath> {
        match self {
            Self::Made(path) => Some(path),
            Self::Taken(_) | Self::Nowhere => None,
        }
    }

    /// Does it.
    pub(in crate::tree) fn give(self, tree: &mut Tree, owner: Owner) -> Result<(), NameError> {
        match self {
            Self::Made(path) => {
                let home = Inode { owner, ..Inode::new(InodeKind::Directory, MODE, Origin::Generated) };
                tree.insert(path, home).map(drop)
            }
            Self::Taken(path) => {
                if let Some(home) = tree.get_mut(&path) {
                    home.owner = owner;
                    home.mode = MODE;
                }
                Ok(())
            }
            Self::Nowhere => Ok(()),
        }
    }

    /// Whether the directory that the user's line calls `text` is as `adduser` leaves it.
    pub(super) fn is_given(text: &str, tree: &Tree, owner: Owner) -> bool {
        let place = TreePath::absolute(text).ok().and_then(|path| tree.resolve(&path).ok());
        let home = place.and_then(|path| tree.get(&path));
        home.is_some_and(|home| home.is_directory() && home.owner == owner && home.mode == MODE)
    }
}
