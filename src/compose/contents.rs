//! The profile's files, read: from its own text, from beside it, from inside the program.
//!
//! A source stays inside the profile's directory, through links too, unless a wider context is given. A
//! directory goes in with everything below it; links in it stay links. What is read is hashed now, and held
//! against that when it is written.
//!
//! Source: design, "The profile", `[[files]]`.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::content::{ClosedFile, Content, OpenFile, ReadAt as _, sha256_from};
use crate::fetch::{self, FetchError, Fetcher};
use crate::kind::{Explain, Kind};
use crate::path::{PathError, TreePath};
use crate::profile::account::{Account as Named, Owner};
use crate::profile::builtin::EmbeddedFile;
use crate::profile::model::{FileEntry, FileSource, LocalSource, Profile};
use crate::profile::origin::{Location, Place, ProfilePath};
use crate::profile::pattern::Pattern;
use crate::root::{self, FileError, Found, FoundKind, Root};
use crate::tree::Mode;
use crate::tree::accounts::{Account, NewGroup, NewUser};
use crate::tree::overlay::{Overlaid, OverlaidKind};

/// What only apkcompose writes: it says what is installed, and must be true.
const RECORDS: [&str; 4] = ["etc/apk/world", "etc/apk/arch", "etc/apk/repositories", "lib/apk/db"];
/// The files that accounts of the profile are written to.
const ACCOUNT_FILES: [&str; 3] = ["etc/passwd", "etc/group", "etc/shadow"];
/// The largest single file a profile may bring, in bytes.
const MAX_FILE: u64 = 16 << 30;

/// Why a file of the profile cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentsError {
    /// The disk has it not, or does not give it.
    #[error("the source of {path} ({origin}): {error}")]
    File {
        /// Where it should go.
        path: TreePath,
        /// Where the profile says so.
        origin: String,
        /// What the system said.
        error: FileError,
    },
    /// The source lies outside of where it may lie.
    #[error("the source of {path} ({origin}) is {source_path}, which leads out of {allowed}")]
    Outside {
        /// Where it should go.
        path: TreePath,
        /// Where the profile says so.
        origin: String,
        /// The source.
        source_path: String,
        /// Where it may lie.
        allowed: String,
    },
    /// The program has no such file.
    #[error("the source of {path} ({origin}): the built-in profile has no {source_path}")]
    NotEmbedded {
        /// Where it should go.
        path: TreePath,
        /// Where the profile says so.
        origin: String,
        /// The source.
        source_path: String,
    },
    /// Something that is neither file, directory nor link.
    #[error("the source of {path} ({origin}): {source_path} is a device, pipe or socket")]
    Special {
        /// Where it should go.
        path: TreePath,
        /// Where the profile says so.
        origin: String,
        /// The source.
        source_path: String,
    },
    /// A name in a directory cannot be one in an image.
    #[error("the source of {path} ({origin}): {error}")]
    Name {
        /// Where it should go.
        path: TreePath,
        /// Where the profile says so.
        origin: String,
        /// What is wrong.
        error: PathError,
    },
    /// A name or link in a directory is not UTF-8.
    #[error("the source of {path} ({origin}): {source_path} is not UTF-8, or a link to what is not")]
    NotUtf8 {
        /// Where it should go.
        path: TreePath,
        /// Where the profile says so.
        origin: String,
        /// The source.
        source_path: String,
    },
    /// A path is apkcompose's own to write.
    #[error("{path} cannot come from the profile: it says what is installed, and is written last")]
    Record {
        /// The path.
        path: TreePath,
    },
    /// The profile brings a file of accounts and has accounts to be written to it.
    #[error("{path} comes from the profile, and so would the accounts of [[users]] and [[groups]] be lost")]
    Accounts {
        /// The path.
        path: TreePath,
    },
    /// Files are on the network, which may not be used.
    #[error(transparent)]
    Offline(#[from] FetchError),
    /// A file cannot be fetched.
    #[error("the source of {path} ({origin}): {error}")]
    Download {
        /// Where it should go.
        path: TreePath,
        /// Where the profile says so.
        origin: String,
        /// Why it cannot.
        error: FetchError,
    },
}

impl Explain for ContentsError {
    fn kind(&self) -> Kind {
        match self {
            Self::File { error, .. } => error.kind(),
            Self::Download { error, .. } | Self::Offline(error) => error.kind(),
            Self::Outside { .. }
            | Self::NotEmbedded { .. }
            | Self::Special { .. }
            | Self::NotUtf8 { .. }
            | Self::Record { .. }
            | Self::Accounts { .. }
            | Self::Name { .. } => Kind::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Record { .. } => {
                Some("[image] repositories and [packages] say what these files shall say".to_owned())
            }
            Self::Accounts { .. } => Some("write them into the file, or leave the file out".to_owned()),
            Self::Outside { .. } => Some(
                "copy it into that directory (a link does not do), or allow another one: --context DIR"
                    .to_owned(),
            ),
            Self::Download { error, .. } | Self::Offline(error) => error.hint(),
            Self::File { error, .. } => error.hint(),
            Self::Special { .. } | Self::Name { .. } | Self::NotUtf8 { .. } => {
                Some("leave it out; of a directory, with exclude = [\"PATTERN\"]".to_owned())
            }
            Self::NotEmbedded { .. } => None,
        }
    }
}

/// Everything the profile puts into the tree, in its order: directories, files, links.
///
/// `context` is the directory that sources may lie in beside the profile's own.
pub fn read(
    fetcher: &Fetcher<'_>,
    profile: &Profile,
    context: Option<&Path>,
) -> Result<Vec<Overlaid>, ContentsError> {
    let mut overlaid = Vec::new();
    for directory in &profile.directories {
        overlaid.push(Overlaid {
            path: directory.path.clone(),
            kind: OverlaidKind::Directory,
            mode: Some(mode(directory.mode)),
            owner: Some(owner(&directory.owner)),
        });
    }
    let mut missing = Vec::new();
    for entry in &profile.files {
        match (Reading { fetcher, entry, context }).read() {
            // Named at once and not one by one.
            Err(ContentsError::Download { error: FetchError::Offline { missing: more }, .. }) => {
                missing.extend(more);
            }
            read => overlaid.extend(read?),
        }
    }
    if !missing.is_empty() {
        return Err(FetchError::Offline { missing }.into());
    }
    for link in &profile.links {
        overlaid.push(Overlaid {
            path: link.path.clone(),
            kind: OverlaidKind::Symlink(link.target.clone()),
            mode: None,
            owner: None,
        });
    }
    check_reserved(profile, &overlaid)?;
    Ok(overlaid)
}

/// What the profile brings must not be written over unseen.
fn check_reserved(profile: &Profile, overlaid: &[Overlaid]) -> Result<(), ContentsError> {
    let has_accounts = !profile.users.is_empty() || !profile.groups.is_empty();
    for item in overlaid.iter().filter(|item| item.kind != OverlaidKind::Directory) {
        let is_below = |text: &str| TreePath::relative(text).is_ok_and(|path| item.path.is_below(&path));
        if RECORDS.into_iter().any(is_below) {
            return Err(ContentsError::Record { path: item.path.clone() });
        }
        if has_accounts && ACCOUNT_FILES.contains(&item.path.as_str()) {
            return Err(ContentsError::Accounts { path: item.path.clone() });
        }
    }
    Ok(())
}

struct Reading<'a> {
    fetcher: &'a Fetcher<'a>,
    entry: &'a FileEntry,
    context: Option<&'a Path>,
}

impl Reading<'_> {
    fn read(&self) -> Result<Vec<Overlaid>, ContentsError> {
        match &self.entry.source {
            FileSource::Content(text) => Ok(vec![self.file(Content::of_bytes(text.as_bytes()), None)]),
            FileSource::Download { url, sha256 } => {
                let content = fetch::file(self.fetcher, url, *sha256, MAX_FILE);
                let content = content.map_err(|error| ContentsError::Download {
                    path: self.entry.path.clone(),
                    origin: self.origin(),
                    error,
                })?;
                Ok(vec![self.file(content, None)])
            }
            FileSource::Local(local) => match local.path.place() {
                Some(Place::Disk(path)) => self.on_disk(local, &path),
                Some(Place::Embedded { profile, path }) => {
                    self.embedded(local, &path, profile.files_below(&path))
                }
                None => Err(self.outside(&local.path)),
            },
        }
    }

    fn on_disk(&self, local: &LocalSource, path: &Path) -> Result<Vec<Overlaid>, ContentsError> {
        let file_error =
            |error| ContentsError::File { path: self.entry.path.clone(), origin: self.origin(), error };
        let (root, relative) = self.allowed_root(local, path)?;
        let root = Root::open(&root).map_err(file_error)?;
        let found = root.search(&relative).map_err(|error| {
            if error.error.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) {
                return self.outside(&local.path);
            }
            file_error(error)
        })?;
        let mut overlaid = Vec::new();
        for found in found {
            if is_excluded(&local.exclude, &found) {
                continue;
            }
            let below =
                if found.path.as_os_str().is_empty() { relative.clone() } else { relative.join(&found.path) };
            let path = self.target(&found.path)?;
            let item = match &found.kind {
                FoundKind::Directory => self.directory(path, local, found.mode),
                FoundKind::Symlink(target) => {
                    let target = target.to_str().ok_or_else(|| self.not_utf8(&below))?;
                    self.item(path, OverlaidKind::Symlink(target.to_owned()), None)
                }
                FoundKind::File => {
                    let file = root.open_beneath(&below).map_err(file_error)?;
                    let whole = root.path().join(&below);
                    let content =
                        content(file, &whole).map_err(FileError::on("read", &whole)).map_err(file_error)?;
                    let stated = self.entry.mode.or(local.file_mode).map(mode);
                    // The set-id bits of a file on somebody's disk are no statement about the image.
                    let mode = stated.unwrap_or(Mode::new(found.mode & 0o777));
                    self.item(path, OverlaidKind::File(content), Some(mode))
                }
                FoundKind::Special => {
                    return Err(ContentsError::Special {
                        path: self.entry.path.clone(),
                        origin: self.origin(),
                        source_path: root.path().join(&below).display().to_string(),
                    });
                }
            };
            overlaid.push(item);
        }
        Ok(overlaid)
    }

    /// The directory that `path` may not leave, and where it is in it.
    fn allowed_root(&self, local: &LocalSource, path: &Path) -> Result<(PathBuf, PathBuf), ContentsError> {
        let profile = match &local.path.location {
            Location::Directory(directory) if !directory.as_os_str().is_empty() => Some(directory.as_path()),
            Location::Directory(_) => Some(Path::new(".")),
            Location::BuiltIn(_) => None,
        };
        // By the text: what links do to it is for the opening to find out.
        let absolute =
            |path: &Path| without_dots(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let wanted = absolute(path);
        [self.context, profile]
            .into_iter()
            .flatten()
            .map(absolute)
            .find_map(|root| Some((root.clone(), wanted.strip_prefix(&root).ok()?.to_owned())))
            .ok_or_else(|| self.outside(&local.path))
    }

    fn embedded<'e>(
        &self,
        local: &LocalSource,
        path: &str,
        below: impl Iterator<Item = (&'e str, &'e EmbeddedFile)>,
    ) -> Result<Vec<Overlaid>, ContentsError> {
        let mode_of_files = self.entry.mode.or(local.file_mode).map(mode);
        let mut overlaid: Vec<Overlaid> = Vec::new();
        for (name, file) in below {
            let found = Found { path: PathBuf::from(name), kind: FoundKind::File, mode: 0o644 };
            if !is_excluded(&local.exclude, &found) {
                let kind = OverlaidKind::File(Content::of_bytes(file.bytes));
                overlaid.push(self.item(self.target(&found.path)?, kind, mode_of_files));
            }
        }
        if overlaid.is_empty() {
            return Err(ContentsError::NotEmbedded {
                path: self.entry.path.clone(),
                origin: self.origin(),
                source_path: path.to_owned(),
            });
        }
        Ok(overlaid)
    }

    fn target(&self, below: &Path) -> Result<TreePath, ContentsError> {
        let named =
            |error| ContentsError::Name { path: self.entry.path.clone(), origin: self.origin(), error };
        below.iter().try_fold(self.entry.path.clone(), |path, name| {
            path.join(name.to_str().ok_or_else(|| self.not_utf8(below))?).map_err(named)
        })
    }

    fn not_utf8(&self, source: &Path) -> ContentsError {
        ContentsError::NotUtf8 {
            path: self.entry.path.clone(),
            origin: self.origin(),
            source_path: source.display().to_string(),
        }
    }

    fn directory(&self, path: TreePath, local: &LocalSource, mode_on_disk: u32) -> Overlaid {
        let mode = local.directory_mode.map_or(Mode::new(mode_on_disk & 0o777), mode);
        self.item(path, OverlaidKind::Directory, Some(mode))
    }

    fn file(&self, content: Content, mode_of_source: Option<Mode>) -> Overlaid {
        let stated = self.entry.mode.map(mode);
        self.item(self.entry.path.clone(), OverlaidKind::File(content), stated.or(mode_of_source))
    }

    fn item(&self, path: TreePath, kind: OverlaidKind, mode: Option<Mode>) -> Overlaid {
        Overlaid { path, kind, mode, owner: Some(owner(&self.entry.owner)) }
    }

    fn origin(&self) -> String {
        self.entry.origin.to_string()
    }

    fn outside(&self, source: &ProfilePath) -> ContentsError {
        let allowed = match (&source.location, self.context) {
            (Location::Directory(_), Some(context)) => {
                format!("the profile's directory, and of {}", context.display())
            }
            (Location::BuiltIn(_), Some(context)) => context.display().to_string(),
            (Location::Directory(_), None) => "the profile's directory".to_owned(),
            (Location::BuiltIn(_), None) => "the built-in profile".to_owned(),
        };
        ContentsError::Outside {
            path: self.entry.path.clone(),
            origin: self.origin(),
            source_path: source.path.display().to_string(),
            allowed,
        }
    }
}

/// An absolute path without `.` and `..` components.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(component),
        }
    }
    plain
}

/// Whether a pattern matches what was found, or a directory above it.
fn is_excluded(patterns: &[Pattern], found: &Found) -> bool {
    if patterns.is_empty() {
        return false;
    }
    let Ok(path) = TreePath::relative(&found.path.to_string_lossy()) else { return false };
    path.ancestors().chain([path.clone()]).any(|path| patterns.iter().any(|pattern| pattern.matches(&path)))
}

/// Content that is opened anew for each read: a directory may have more files than a process may have open.
fn content(file: File, path: &Path) -> io::Result<Content> {
    let source = OpenFile::new(file, path.to_owned())?;
    let length = source.length();
    if length > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {MAX_FILE} bytes"),
        ));
    }
    let digest = sha256_from(&source, 0)?;
    let closed = ClosedFile::new(path.to_owned(), length);
    Ok(Content::slice(Arc::new(closed), 0, length, digest))
}

fn mode(mode: crate::profile::units::Mode) -> Mode {
    Mode::new(u32::from(mode.bits()))
}

fn owner(owner: &Owner) -> (Account, Account) {
    (account(&owner.user), account(&owner.group))
}

/// The accounts that the profile wants.
pub fn accounts(profile: &Profile) -> (Vec<NewGroup>, Vec<NewUser>) {
    let groups = profile.groups.iter().map(|group| NewGroup {
        name: group.name.to_string(),
        gid: group.gid.get(),
        members: group.members.iter().map(ToString::to_string).collect(),
    });
    let users = profile.users.iter().map(|user| NewUser {
        name: user.name.to_string(),
        uid: user.uid.get(),
        group: user.group.as_ref().map(account),
        full_name: user.gecos.clone(),
        home: user.home.to_string(),
        shell: user.shell.to_string(),
    });
    (groups.collect(), users.collect())
}

/// The tree's word for an account of the profile.
pub fn account(account: &Named) -> Account {
    match account {
        Named::Id(id) => Account::Number(id.get()),
        Named::Name(name) => Account::Name(name.as_str().to_owned()),
    }
}

/// A key file, or another small file that the profile names.
pub fn read_small(path: &ProfilePath, limit: u64) -> Result<Vec<u8>, FileError> {
    match path.place() {
        Some(Place::Disk(path)) => root::read_file(&path, limit),
        Some(Place::Embedded { profile, path: name }) => profile
            .file(&name)
            .map(|file| file.bytes.to_vec())
            .ok_or_else(|| FileError::on("open", Path::new(&name))(io::ErrorKind::NotFound.into())),
        None => Err(FileError::on("open", &path.path)(io::ErrorKind::NotFound.into())),
    }
}
