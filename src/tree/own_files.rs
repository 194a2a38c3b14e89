//! The files that apkcompose itself writes into a tree: what is installed, and accounts.
//!
//! They are written to where they are said to be. A symbolic link in the place of one would have a package choose which
//! other file is overwritten, so it is refused, and so is one in the place of a directory above it. One link is what an
//! Alpine with a merged `/usr` has: the top directory `lib` as a link to `usr/lib`. A device or a pipe in the place of
//! such a file is refused too. Of a file that has other names only the name that is written changes.
//!
//! Source: design, "Trust"; spec apk v2, "Location".

use super::{Inode, InodeKind, Mode, NameError, Origin, Owner, Tree};
use crate::content::Content;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// The directory that may be a link, and where to.
const MERGED: (&str, &str) = ("lib", "usr/lib");

/// Why a file cannot be written where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnFileError {
    /// A symbolic link stands in its place, or in that of a directory above it.
    #[error("{file} is not written{}", through(.file, .link, .target, .origin))]
    Link {
        /// The file.
        file: TreePath,
        /// The link.
        link: TreePath,
        /// Where the link points.
        target: String,
        /// Where the link came from.
        origin: Origin,
    },
    /// Something that is no regular file stands in its place.
    #[error("{file} cannot be written: there is a {what} in its place, {}", of(.origin))]
    NoFile {
        /// The file.
        file: TreePath,
        /// What stands there.
        what: &'static str,
        /// Where that came from.
        origin: Origin,
    },
    /// A directory above it cannot be made.
    #[error("{file} cannot be written: {error}")]
    Name {
        /// The file.
        file: TreePath,
        /// What is in the way.
        error: NameError,
    },
}

impl Explain for OwnFileError {
    fn kind(&self) -> Kind {
        match self {
            Self::Link { origin: Origin::Profile, .. } | Self::NoFile { origin: Origin::Profile, .. } => {
                Kind::Profile
            }
            Self::Link { .. } | Self::NoFile { .. } => Kind::Integrity,
            Self::Name { error, .. } => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Link { origin, .. } | Self::NoFile { origin, .. } => Some(match origin {
                Origin::Package(name) => format!("leave out the package {name}, and report it to its owner"),
                Origin::Base => "use another base".to_owned(),
                Origin::Profile => "remove it from the profile".to_owned(),
                Origin::Generated => {
                    "a package script made it: leave out its package, or use --scripts skip".to_owned()
                }
            }),
            Self::Name { .. } => None,
        }
    }
}

/// What a file is not written through, as the end of a sentence.
fn through(file: &TreePath, link: &TreePath, target: &str, origin: &Origin) -> String {
    let origin = of(origin);
    if link == file {
        format!(": it is a symbolic link to `{target}` {origin}")
    } else {
        format!(" through {link}, a symbolic link to `{target}` {origin}")
    }
}

/// Whose something is, as the end of a sentence.
fn of(origin: &Origin) -> String {
    match origin {
        Origin::Package(name) => format!("of the package {name}"),
        Origin::Base => "of the base".to_owned(),
        Origin::Profile => "of the profile".to_owned(),
        Origin::Generated => "that a package script made".to_owned(),
    }
}

/// Where the file `file` of `tree` is to be written: where it is said to be, but for a `lib` that is merged.
pub(super) fn place(tree: &Tree, file: &TreePath) -> Result<TreePath, OwnFileError> {
    let place = directory(tree, file, file)?;
    let what = match tree.get(&place).map(|inode| &inode.kind) {
        None | Some(InodeKind::File(_)) => return Ok(place),
        Some(InodeKind::Directory) => "directory",
        Some(InodeKind::CharacterDevice(_) | InodeKind::BlockDevice(_)) => "device node",
        Some(InodeKind::Fifo) => "named pipe",
        Some(InodeKind::Symlink(_)) => "symbolic link",
    };
    let origin = tree.get(&place).map_or(Origin::Generated, |inode| inode.origin.clone());
    Err(OwnFileError::NoFile { file: file.clone(), what, origin })
}

/// Where `path`, the file `file` itself or a directory above it, lies without passing a link that is refused.
pub(super) fn directory(tree: &Tree, file: &TreePath, path: &TreePath) -> Result<TreePath, OwnFileError> {
    let mut place = TreePath::root();
    for name in path.components() {
        let next = place.join(name).map_err(|_| OwnFileError::Name {
            file: file.clone(),
            error: NameError::Links { path: file.clone() },
        })?;
        place = match tree.get(&next) {
            Some(Inode { kind: InodeKind::Symlink(target), origin, .. }) => match merged(tree, &next) {
                Some(leads_to) if next != *file => leads_to,
                _ => {
                    return Err(OwnFileError::Link {
                        file: file.clone(),
                        link: next,
                        target: target.to_string(),
                        origin: origin.clone(),
                    });
                }
            },
            _ => next,
        };
    }
    Ok(place)
}

/// Where the link `link` leads if it is the one that may serve as a directory.
fn merged(tree: &Tree, link: &TreePath) -> Option<TreePath> {
    let (name, target) = MERGED;
    // It may still have to be made.
    let leads_to = tree.resolve(link).ok().filter(|_| link.as_str() == name)?;
    (leads_to.as_str() == target && tree.get(&leads_to).is_none_or(Inode::is_directory)).then_some(leads_to)
}

/// Writes the file `file`, under its own name alone: owner and mode of one that exists stay, a new one is of `mode`.
pub(super) fn write(
    tree: &mut Tree,
    file: &TreePath,
    text: Box<[u8]>,
    mode: Mode,
) -> Result<(), OwnFileError> {
    let name_error = |error| OwnFileError::Name { file: file.clone(), error };
    let path = place(tree, file)?;
    tree.make_parents(&path, &Origin::Generated).map_err(name_error)?;
    let (mode, owner, xattrs) = match tree.get(&path) {
        Some(there) => (there.mode, there.owner, there.xattrs.clone()),
        None => (mode, Owner::ROOT, super::Xattrs::new()),
    };
    let kind = InodeKind::File(Content::of_bytes(text));
    let inode = Inode { owner, xattrs, ..Inode::new(kind, mode, Origin::Generated) };
    tree.insert(path, inode).map(drop).map_err(name_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::absolute(text).unwrap()
    }

    /// A tree of files (with a text), links (`-> target`), pipes (`|`) and directories (`/`), all of a package.
    fn tree(entries: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        let origin = Origin::Package("evil".into());
        for (name, what) in entries {
            let kind = match (what.strip_prefix("-> "), *what) {
                (Some(target), _) => InodeKind::Symlink(target.into()),
                (None, "/") => InodeKind::Directory,
                (None, "|") => InodeKind::Fifo,
                (None, text) => InodeKind::File(Content::of_bytes(text.as_bytes())),
            };
            tree.make_parents(&path(name), &origin).unwrap();
            tree.insert(path(name), Inode::new(kind, Mode::DIRECTORY, origin.clone())).unwrap();
        }
        tree
    }

    fn written(tree: &mut Tree, name: &str) -> Result<(), String> {
        let text: Box<[u8]> = Box::from(*b"ours");
        write(tree, &path(name), text, Mode::FILE).map_err(|error| format!("{error} ({:?})", error.kind()))
    }

    fn text(tree: &Tree, name: &str) -> Vec<u8> {
        let Some(InodeKind::File(content)) = tree.get(&path(name)).map(|inode| &inode.kind) else {
            panic!("{name} is no file");
        };
        content.to_vec().unwrap()
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_refused_by_name() {
        for target in ["../passwd", "/etc/passwd", "nowhere", "world", "/", "../../../.."] {
            let mut tree = tree(&[("/etc/passwd", "theirs"), ("/etc/apk/world", &format!("-> {target}"))]);
            assert_eq!(
                written(&mut tree, "/etc/apk/world").unwrap_err(),
                format!(
                    "/etc/apk/world is not written: it is a symbolic link to `{target}` of the package evil (Integrity)"
                )
            );
            assert_eq!(text(&tree, "/etc/passwd"), b"theirs");
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_directory_is_refused_whichever_it_is() {
        for (link, file) in [
            ("/etc", "/etc/passwd"),
            ("/etc", "/etc/apk/world"),
            ("/etc/apk", "/etc/apk/world"),
            ("/etc/apk/keys", "/etc/apk/keys/a.rsa.pub"),
            ("/lib", "/lib/apk/db/installed"),
            ("/lib/apk", "/lib/apk/db/installed"),
            ("/lib/apk/db", "/lib/apk/db/installed"),
        ] {
            let mut tree = tree(&[("/srv/apk/db", "/"), ("/srv/keys", "/"), (link, "-> /srv")]);
            let refusal = written(&mut tree, file).unwrap_err();
            assert!(refusal.starts_with(&format!("{file} is not written through {link}, a ")), "{refusal}");
        }
    }

    #[test]
    fn on_a_merged_usr_what_belongs_into_lib_is_in_usr_lib_and_nowhere_else() {
        for (target, there) in [
            ("usr/lib", "/usr/lib"),
            ("/usr/lib", "/usr"),
            ("./usr/lib", "/usr/lib"),
            ("/../usr/lib/", "/srv"),
        ] {
            let mut tree = tree(&[(there, "/"), ("/lib", &format!("-> {target}"))]);
            written(&mut tree, "/lib/apk/db/installed").unwrap();
            assert_eq!(text(&tree, "/usr/lib/apk/db/installed"), b"ours");
        }
        for entries in [
            [("/usr/lib64", "/"), ("/lib", "-> usr/lib64")],
            [("/usr/lib", "-> ../srv"), ("/lib", "-> usr/lib")],
            [("/srv/lib", "/"), ("/lib", "-> srv/lib")],
        ] {
            assert!(written(&mut tree(&entries), "/lib/apk/db/installed").is_err(), "{entries:?}");
        }
        let mut below = tree(&[("/usr/lib/apk", "-> /srv"), ("/lib", "-> usr/lib"), ("/srv/db", "/")]);
        let refusal = written(&mut below, "/lib/apk/db/installed").unwrap_err();
        assert!(refusal.contains("through /usr/lib/apk, a symbolic link to `/srv`"), "{refusal}");
    }

    #[test]
    fn of_a_file_with_two_names_only_one_is_written() {
        let mut tree = tree(&[("/etc/target", "theirs")]);
        tree.link(path("/etc/passwd"), tree.number(&path("/etc/target")).unwrap()).unwrap();
        written(&mut tree, "/etc/passwd").unwrap();
        assert_eq!(text(&tree, "/etc/passwd"), b"ours");
        assert_eq!(text(&tree, "/etc/target"), b"theirs");
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        for (what, name) in [("|", "named pipe"), ("/", "directory")] {
            let mut tree = tree(&[("/etc/apk/arch", what)]);
            let refusal = written(&mut tree, "/etc/apk/arch").unwrap_err();
            assert!(refusal.contains(&format!("there is a {name} in its place")), "{refusal}");
        }
        assert!(written(&mut tree(&[("/etc", "a file")]), "/etc/passwd").is_err());
    }

    #[test]
    fn a_link_of_the_profile_is_a_mistake_in_the_profile() {
        let mut tree = tree(&[("/etc", "/")]);
        let link = Inode::new(InodeKind::Symlink("x".into()), Mode::SYMLINK, Origin::Profile);
        tree.insert(path("/etc/apk"), link).unwrap();
        let refusal = written(&mut tree, "/etc/apk/world").unwrap_err();
        assert!(refusal.ends_with("of the profile (Profile)"), "{refusal}");
    }
}
