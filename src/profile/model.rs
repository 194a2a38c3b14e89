//! The profile as everything after it sees it: merged, variables replaced, every value valid.
//!
//! A [`Profile`] is for one architecture. It is made only by [`Draft::resolve`](super::Draft::resolve), so
//! whoever holds one need not check again. What depends on the disk or on the image (whether a source is a
//! file or a directory, which number a named owner has) is not decided here.
//!
//! Source: design, "The profile"; spec/image, "Config".

use std::collections::BTreeMap;

use super::account::{Account, AccountName, Id, ImageUser, Owner};
use super::names::{ImageReference, PackageName, Port, StopSignal, VariableName};
use super::origin::{Origin, ProfilePath, Stated};
use super::pattern::Pattern;
use super::release::Release;
use super::repository::{Mirror, RepositoryEntry, RepositoryLine, Url};
use super::units::{Duration, Mode, Size};
use crate::apk::dependency::Dependency;
use crate::arch::Arch;
use crate::digest::Sha256;
use crate::path::TreePath;

/// A profile for one architecture, complete and valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What it is called: the name of a built-in one, or the file's name without `.toml`.
    pub name: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// The architecture it was resolved for.
    pub arch: Arch,
    /// The variables with their values.
    pub variables: BTreeMap<VariableName, String>,
    /// Which Alpine, and where it comes from.
    pub alpine: Alpine,
    /// What is installed.
    pub packages: Packages,
    /// Files and directories from outside the packages, in the order of the profile.
    pub files: Vec<FileEntry>,
    /// Directories to be made.
    pub directories: Vec<DirectoryEntry>,
    /// Symbolic links to be made.
    pub links: Vec<LinkEntry>,
    /// Users the image is to have.
    pub users: Vec<UserEntry>,
    /// Groups the image is to have.
    pub groups: Vec<GroupEntry>,
    /// What the image says of itself, and how it starts.
    pub image: Image,
    /// What is taken out at the end.
    pub prune: Prune,
    /// What must not be passed.
    pub limits: Limits,
}

/// `[alpine]`: which Alpine, and where it comes from. The same for every architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alpine {
    /// The release; `latest-stable` if nothing is said.
    pub release: Stated<Release>,
    /// The architectures to build for; this machine's if nothing is said. Never empty, none twice.
    pub architectures: Vec<Arch>,
    /// The mirrors, tried in order. Never empty.
    pub mirrors: Vec<Stated<Mirror>>,
    /// What the packages are installed over.
    pub base: Base,
    /// The digest the base must have.
    pub base_sha256: Option<Sha256>,
    /// What is enough to trust the base.
    pub base_trust: BaseTrust,
    /// The repositories, in order; `main` and `community` if nothing is said.
    pub repositories: Vec<RepositoryEntry>,
    /// Keys also accepted for repositories given by URL or path.
    pub keys: Vec<Stated<ProfilePath>>,
    /// Keys also accepted for Alpine's own repositories.
    pub mirror_keys: Vec<Stated<ProfilePath>>,
    /// What happens to the base's packages.
    pub upgrade: Upgrade,
}

/// What the packages are installed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// The release's minirootfs.
    Minirootfs,
    /// Nothing: packages only.
    Scratch,
    /// A root filesystem tarball or an OCI layout.
    Path(Stated<ProfilePath>),
}

/// What is enough to trust the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseTrust {
    /// One of the proofs, or a checksum that came over https or from a local directory.
    Proven,
    /// A checksum is enough, even if it came over plain http.
    Checksum,
}

/// What happens to packages that the base brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// They are brought to the index's versions.
    ToIndex,
    /// They stay as they are, as far as what is asked for lets them.
    Keep,
}

/// `[packages]`: what is installed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packages {
    /// The world, beside the base's own.
    pub runtime: Vec<Stated<Dependency>>,
    /// Joined to the world if something provides them. None is a conflict.
    pub optional: Vec<Stated<Dependency>>,
    /// Taken out of the base's world before solving.
    pub remove: Vec<Stated<PackageName>>,
}

impl Packages {
    /// Where the profile asks for `dependency`; nothing if it does not.
    #[must_use]
    pub fn origin(&self, dependency: &Dependency) -> Option<&Origin> {
        let stated = self.runtime.iter().chain(&self.optional);
        stated.into_iter().find(|stated| stated.value == *dependency).map(|stated| &stated.origin)
    }
}

/// One of `[[files]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it goes. The root only for a directory's content.
    pub path: TreePath,
    /// Where its content comes from.
    pub source: FileSource,
    /// Its mode, if it is a file. Without one: from the source.
    pub mode: Option<Mode>,
    /// Who owns it, and all that is below it; root if nothing is said.
    pub owner: Owner,
    /// Where it was stated.
    pub origin: Origin,
}

/// Where the content of a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// From a file or a directory beside the profile.
    Local(LocalSource),
    /// From the profile itself, verbatim.
    Content(String),
    /// From the network.
    Download {
        /// Where it is.
        url: Url,
        /// What it must be.
        sha256: Sha256,
    },
}

/// A file or directory beside the profile. Which of both, only the disk knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSource {
    /// Where it is.
    pub path: ProfilePath,
    /// What of a directory is left out, relative to it.
    pub exclude: Vec<Pattern>,
    /// The mode of every directory. Without one: from the source.
    pub directory_mode: Option<Mode>,
    /// The mode of every file of a directory. Without one: from the source.
    pub file_mode: Option<Mode>,
}

/// One of `[[dirs]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Where it goes.
    pub path: TreePath,
    /// Its mode; 0755 if nothing is said.
    pub mode: Mode,
    /// Who owns it; root if nothing is said.
    pub owner: Owner,
    /// Where it was stated.
    pub origin: Origin,
}

/// One of `[[links]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEntry {
    /// Where it goes.
    pub path: TreePath,
    /// What it says: absolute in the image, or relative to its directory. Not empty, no control characters.
    pub target: String,
    /// Where it was stated.
    pub origin: Origin,
}

/// One of `[[users]]`. No field can break a line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserEntry {
    /// The name.
    pub name: AccountName,
    /// The number.
    pub uid: Id,
    /// The primary group; without one, a group called as the user.
    pub group: Option<Account>,
    /// The comment field; `Linux User,,,` if nothing is said, as BusyBox writes it.
    pub gecos: String,
    /// The home directory; `/home/NAME` if nothing is said. Not made.
    pub home: TreePath,
    /// The shell; `/sbin/nologin` if nothing is said.
    pub shell: TreePath,
    /// Where it was stated.
    pub origin: Origin,
}

/// One of `[[groups]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntry {
    /// The name.
    pub name: AccountName,
    /// The number.
    pub gid: Id,
    /// The users in it beside those whose primary group it is.
    pub members: Vec<AccountName>,
    /// Where it was stated.
    pub origin: Origin,
}

/// `[image]`: what the image says of itself, and how it starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// Its names.
    pub tags: Vec<ImageReference>,
    /// What is started; the command becomes its arguments.
    pub entrypoint: Vec<String>,
    /// The command.
    pub command: Vec<String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Who the processes run as; root if nothing is said.
    pub user: Option<ImageUser>,
    /// Where they start; the root if nothing is said.
    pub working_directory: Option<TreePath>,
    /// What they listen on.
    pub expose: Vec<Port>,
    /// What is to be kept outside the container.
    pub volumes: Vec<TreePath>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What stops them.
    pub stop_signal: Option<StopSignal>,
    /// Who made it.
    pub author: Option<String>,
    /// How to see whether it works.
    pub healthcheck: Option<Healthcheck>,
    /// Commands that must succeed in the finished image.
    pub smoke: Vec<Stated<Vec<String>>>,
    /// The lines of `/etc/apk/repositories`; without them, the canonical lines that were used.
    pub repositories: Option<Vec<Stated<RepositoryLine>>>,
    /// What becomes of root's password.
    pub root_account: RootAccount,
}

/// How to see whether a container works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// What is run.
    pub test: HealthTest,
    /// Between two runs.
    pub interval: Option<Duration>,
    /// After this it has failed.
    pub timeout: Option<Duration>,
    /// Failures do not count so long after the start.
    pub start_period: Option<Duration>,
    /// Between two runs in that time.
    pub start_interval: Option<Duration>,
    /// So many failures in a row count.
    pub retries: Option<u32>,
}

/// What a health check runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthTest {
    /// `["CMD", ...]`: a program with its arguments, at least the program.
    Command(Vec<String>),
    /// `["CMD-SHELL", "..."]`: a line for `/bin/sh -c`.
    Shell(String),
    /// `["NONE"]`: no check, also none that is inherited.
    None,
}

impl HealthTest {
    /// As Docker's `Healthcheck.Test` states it.
    #[must_use]
    pub fn to_argv(&self) -> Vec<String> {
        match self {
            Self::Command(argv) => std::iter::once("CMD".to_owned()).chain(argv.iter().cloned()).collect(),
            Self::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
            Self::None => vec!["NONE".to_owned()],
        }
    }
}

/// What becomes of root's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RootAccount {
    /// Root has none and is locked.
    #[default]
    Locked,
    /// The base's line stays.
    AsInBase,
}

/// `[prune]`: what is taken out at the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prune {
    /// Paths.
    pub paths: Vec<Stated<Pattern>>,
    /// Packages.
    pub packages: Vec<Stated<PackageName>>,
}

/// `[limits]`: what must not be passed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// The uncompressed layer's size.
    pub size: Option<Stated<Size>>,
    /// The number of packages.
    pub packages: Option<Stated<u32>>,
}
