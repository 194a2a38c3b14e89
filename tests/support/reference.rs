//! The real apk as an oracle: the apk 2.14 of the minirootfs 3.19.4, run as root over that minirootfs or
//! over an empty root.
//!
//! ```text
//! let Some(alpine) = need::apk("git_and_jq_equal_the_real_apk") else { return };
//! let tree = reference::minirootfs(&alpine).repository("v3.19/main").no_scripts().add(&["git", "jq"]);
//! ```
//!
//! Each run has a mount namespace and a tmpfs of its own (`reference.sh`) and leaves neither mounts nor
//! files; nothing is kept from one run to the next. Where 2.14 differs from apk 3.x, which apkcompose
//! follows, the specification says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::data::Alpine;
use super::files;
use super::listing::Listing;

/// What is run in the namespace.
const SCRIPT: &str = include_str!("reference.sh");
/// Where the script puts keys, seen from apk.
const KEYS: &str = "/.reference/keys";
/// Where the script mounts the repositories, seen from apk.
const REPOSITORIES: &str = "/.reference/repositories";
/// An empty file of repositories, seen from apk.
const NO_REPOSITORIES: &str = "/.reference/none";
/// Directories every Linux system has and nobody keeps test data in, to mount on.
const PLACES: [&str; 3] = ["/mnt", "/media", "/srv"];

/// What the packages are installed over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Base {
    Minirootfs,
    Scratch,
    /// The root filesystem in a tar.
    Tar(PathBuf),
    /// The root filesystem in a tar, and it is its own apk that is run.
    Itself(PathBuf),
}

/// Whether package scripts are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scripts {
    Run,
    Skip,
}

/// What of a run is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Emit {
    Tree,
    Words,
}

/// A run of the real apk in the making.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    alpine: Alpine,
    base: Base,
    arch: String,
    repositories: Vec<(Option<String>, PathBuf)>,
    keys: Vec<PathBuf>,
    scripts: Scripts,
    options: Vec<String>,
}

/// What the real apk made.
#[derive(Debug)]
pub(crate) struct ReferenceTree {
    /// The root filesystem.
    pub(crate) listing: Listing,
    /// What apk printed, both streams.
    pub(crate) apk_output: String,
    /// Its exit code.
    pub(crate) status: i32,
}

impl ReferenceTree {
    /// The installed database.
    pub(crate) fn installed_text(&self) -> &str {
        self.listing.text(super::installed::PATH)
    }

    /// The content of the file at `path`.
    pub(crate) fn file(&self, path: &str) -> &[u8] {
        &self.listing.entry(path).content
    }
}

/// apk over the minirootfs 3.19.4 for `x86_64`.
pub(crate) fn minirootfs(alpine: &Alpine) -> Reference {
    Reference::over(alpine, Base::Minirootfs, "x86_64")
}

/// apk over an empty root for `arch`. Scripts can run only where `arch` is `x86_64`.
pub(crate) fn scratch(alpine: &Alpine, arch: &str) -> Reference {
    Reference::over(alpine, Base::Scratch, arch)
}

/// apk over the root filesystem in the tar at `path`, for `arch`.
pub(crate) fn over_tar(alpine: &Alpine, path: &Path, arch: &str) -> Reference {
    Reference::over(alpine, Base::Tar(path.to_owned()), arch)
}

/// The apk in the root filesystem in the tar at `path`, over that root filesystem.
pub(crate) fn inside_tar(alpine: &Alpine, path: &Path) -> Reference {
    Reference::over(alpine, Base::Itself(path.to_owned()), "x86_64")
}

/// Whether `apk verify` accepts the package at `path` given the public key at `key` (in the file name it is
/// known by), or what it says instead.
pub(crate) fn verify_package(alpine: &Alpine, path: &Path, key: &Path) -> Result<(), String> {
    let directory = path.parent().unwrap_or_else(|| panic!("{} is in no directory", path.display()));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let reference = minirootfs(alpine).repository(directory).key(key);
    let arguments =
        ["verify".to_owned(), "--keys-dir".to_owned(), KEYS.to_owned(), format!("{REPOSITORIES}/0/{name}")];
    let done = reference.run(Emit::Words, &arguments);
    if done.status == 0 { Ok(()) } else { Err(done.apk_output) }
}

/// The text of the index that `apk index` makes of the packages in the directory `packages` for `arch`.
pub(crate) fn index_of(alpine: &Alpine, packages: &Path, arch: &str) -> String {
    let reference = minirootfs(alpine).repository(packages);
    let options = ["index", "--quiet", "--allow-untrusted", "--no-warnings", "--rewrite-arch", arch, "-o"];
    let mut arguments: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
    arguments.push("/APKINDEX.tar.gz".to_owned());
    let names = files::names(packages)
        .into_iter()
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "apk"));
    arguments.extend(names.map(|name| format!("{REPOSITORIES}/0/{name}")));
    let done = reference.no_scripts().run(Emit::Tree, &arguments);
    assert_eq!(done.status, 0, "apk index: {}", done.apk_output);
    let tar = flate2::read::MultiGzDecoder::new(done.file("APKINDEX.tar.gz"));
    Listing::of_tar(tar).text("APKINDEX").to_owned()
}

impl Reference {
    fn over(alpine: &Alpine, base: Base, arch: &str) -> Self {
        let official = files::names(&alpine.keys()).into_iter().map(|name| alpine.keys().join(name));
        Self {
            alpine: alpine.clone(),
            base,
            arch: arch.to_owned(),
            repositories: Vec::new(),
            keys: official.collect(),
            scripts: Scripts::Run,
            options: Vec::new(),
        }
    }

    /// Adds a repository: a directory with a directory for the architecture in it, relative to the mirror.
    pub(crate) fn repository(mut self, path: impl AsRef<Path>) -> Self {
        self.repositories.push((None, self.alpine.mirror().join(path)));
        self
    }

    /// Adds a repository that is used only for what asks for `tag`, which is without the `@`.
    pub(crate) fn tagged(mut self, tag: &str, path: impl AsRef<Path>) -> Self {
        self.repositories.push((Some(tag.to_owned()), self.alpine.mirror().join(path)));
        self
    }

    /// Trusts another public key besides Alpine's. It does not get into the tree.
    pub(crate) fn key(mut self, path: impl AsRef<Path>) -> Self {
        self.keys.push(path.as_ref().to_owned());
        self
    }

    /// Runs no scripts and no triggers.
    pub(crate) fn no_scripts(mut self) -> Self {
        self.scripts = Scripts::Skip;
        self
    }

    /// Adds an option of `apk add`.
    pub(crate) fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// The tree after `apk add names`, which must succeed.
    pub(crate) fn add(&self, names: &[&str]) -> ReferenceTree {
        let tree = self.try_add(names);
        assert_eq!(tree.status, 0, "apk add {names:?}: {}", tree.apk_output);
        tree
    }

    /// The tree after `apk add names`, whether or not it succeeded.
    pub(crate) fn try_add(&self, names: &[&str]) -> ReferenceTree {
        self.run(Emit::Tree, &self.arguments("add", &[], names))
    }

    /// The tree after `apk upgrade`, which must succeed.
    pub(crate) fn upgrade(&self) -> ReferenceTree {
        let tree = self.run(Emit::Tree, &self.arguments("upgrade", &["--no-self-upgrade"], &[]));
        assert_eq!(tree.status, 0, "apk upgrade: {}", tree.apk_output);
        tree
    }

    /// The tree after `apk del names`, which must succeed.
    pub(crate) fn delete(&self, names: &[&str]) -> ReferenceTree {
        let tree = self.run(Emit::Tree, &self.arguments("del", &[], names));
        assert_eq!(tree.status, 0, "apk del {names:?}: {}", tree.apk_output);
        tree
    }

    /// The tree after `apk del --purge names`, which must succeed.
    pub(crate) fn purge(&self, names: &[&str]) -> ReferenceTree {
        self.clone().option("--purge").delete(names)
    }

    /// What `apk arguments` prints, which must succeed.
    pub(crate) fn words(&self, applet: &str, arguments: &[&str]) -> String {
        let done = self.run(Emit::Words, &self.arguments(applet, &[], arguments));
        assert_eq!(done.status, 0, "apk {applet} {arguments:?}: {}", done.apk_output);
        done.apk_output
    }

    /// The tree before anything is added.
    pub(crate) fn untouched(&self) -> ReferenceTree {
        self.clone().no_scripts().run(Emit::Tree, &[])
    }

    /// The steps of `apk add --simulate names` in order, each as apk prints it (`Installing jq (1.7.1-r0)`), or
    /// what it prints when it refuses.
    pub(crate) fn simulate(&self, names: &[&str]) -> Result<Vec<String>, String> {
        let done = self.run(Emit::Words, &self.arguments("add", &["--simulate"], names));
        if done.status == 0 { Ok(steps(&done.apk_output)) } else { Err(done.apk_output) }
    }

    fn arguments(&self, applet: &str, more: &[&str], names: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = match self.base {
            Base::Minirootfs | Base::Itself(_) => vec![],
            Base::Scratch => {
                ["--root", "/target", "--initdb", "--arch", &self.arch].map(str::to_owned).to_vec()
            }
            Base::Tar(_) => ["--root", "/target", "--arch", &self.arch].map(str::to_owned).to_vec(),
        };
        arguments.extend([applet, "--no-network", "--no-progress", "--keys-dir", KEYS].map(str::to_owned));
        arguments.extend(["--repositories-file", NO_REPOSITORIES].map(str::to_owned));
        for (number, (tag, _)) in self.repositories.iter().enumerate() {
            let place = format!("{REPOSITORIES}/{number}");
            arguments.push("-X".to_owned());
            arguments.push(tag.as_ref().map_or_else(|| place.clone(), |tag| format!("@{tag} {place}")));
        }
        if self.scripts == Scripts::Skip {
            arguments.push("--no-scripts".to_owned());
        }
        arguments.extend(self.options.iter().cloned());
        arguments.extend(more.iter().chain(names).map(|&word| word.to_owned()));
        arguments
    }

    /// Runs apk with `arguments`, or only unpacks the base if there are none.
    fn run(&self, emit: Emit, arguments: &[String]) -> ReferenceTree {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "reference.sh"]);
        let repositories = self.repositories.iter().map(|(_, path)| path.as_path());
        let keys = self.keys.iter().map(PathBuf::as_path);
        let read: Vec<&Path> = repositories.chain(keys).chain([self.alpine.root()]).collect();
        command.arg(place_apart_from(&read)).arg(match &self.base {
            Base::Itself(path) => path.clone(),
            Base::Minirootfs | Base::Scratch | Base::Tar(_) => self.alpine.minirootfs("x86_64"),
        });
        command.arg(match &self.base {
            Base::Minirootfs | Base::Itself(_) => "host",
            Base::Scratch | Base::Tar(_) => &self.arch,
        });
        command.arg(match self.scripts {
            Scripts::Run => "yes",
            Scripts::Skip => "no",
        });
        command.arg(match emit {
            Emit::Tree => "tree",
            Emit::Words => "words",
        });
        command.args(self.keys.iter().map(|key| format!("key={}", key.display())));
        command.args(self.repositories.iter().map(|(_, path)| format!("repository={}", path.display())));
        if let Base::Tar(path) = &self.base {
            command.arg(format!("target={}", path.display()));
        }
        command.arg("--").args(arguments).stdin(Stdio::null());

        let output = command.output().unwrap_or_else(|error| panic!("cannot run unshare: {error}"));
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the real apk could not be run for {arguments:?}: {words}");
        let listing = Listing::of_tar(output.stdout.as_slice());
        let status = listing.text("status").trim().parse().expect("an exit code");
        let apk_output = listing.text("log").to_owned();
        ReferenceTree { listing: listing.below("tree"), apk_output, status }
    }
}

/// A directory to mount on, in a namespace, which hides nothing of what is `read`.
pub(crate) fn place_apart_from(read: &[&Path]) -> &'static str {
    let hides = |place: &str| read.iter().any(|path| path.starts_with(place));
    let place = PLACES.into_iter().find(|place| Path::new(place).is_dir() && !hides(place));
    place.unwrap_or_else(|| panic!("none of {PLACES:?} can be mounted on"))
}

/// The steps in what apk prints: the lines `(1/20) Installing ...` without their numbers.
pub(crate) fn steps(output: &str) -> Vec<String> {
    let lines = output.lines().filter(|line| line.starts_with('('));
    lines.filter_map(|line| line.split_once(") ")).map(|(_, step)| step.to_owned()).collect()
}
