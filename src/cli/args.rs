//! What can be typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::apk::package::ScriptKind;
use crate::apk::sign::SigningAlgorithm;
use crate::arch::{Arch, UnknownArch};
use crate::compose::Architectures;
use crate::compose::author::KeyFile;
use crate::compose::output::Output;
use crate::fetch::{Access, NetworkOptions};
use crate::profile::Setting;

use super::render::{Look, words};

const EXAMPLES: &str = "\
Examples:
  apkcompose --profile demo
      the built-in demo, without a network, as ./demo.tar; then: docker load -i demo.tar
  apkcompose profiles show base
      a built-in profile as an example to begin with
  apkcompose --profile ./php-fpm.toml --mirror /srv/alpine -t example/php-fpm:8.3
      an image of your own profile from a local mirror
  apkcompose --profile web -o type=tar,dest=- | docker import - web
      the root filesystem alone, through a pipe

Variables of the environment that take several values have one a line; APKCOMPOSE_TAG also takes commas.

Exit codes: 0 done; 1 internal; 2 usage; 3 profile or input; 4 network or file missing; 5 integrity;
6 unsolvable; 7 a script failed; 8 a limit was passed; 130 interrupted.";

const BUILD_EXAMPLES: &str = "\
Examples:
  apkcompose build --profile web --set php=83 -t example/web:1 -t example/web:latest
      one image with two names, as ./web.tar
  apkcompose build --profile web --dry-run
      the packages that would be installed, in order; nothing is written
  apkcompose build --profile web -o web.tar -o type=oci,dest=web,compression=zstd
      an archive for docker load, and an OCI layout with smaller layers
  apkcompose build --profile web --arch x86_64,aarch64
      one archive for both architectures
  apkcompose build --profile web -q --format json >web.json
      what was built, for programs: digests, sizes, packages";

/// The heading above options that say how the network is used.
const NETWORK: &str = "Network";
/// What separates several values in one variable of the environment.
const LINE: char = '\n';
/// The heading above options that say where packages come from.
const SOURCES: &str = "Packages";
/// The heading above options that say what is printed.
const REPORTING: &str = "Reporting";

/// Composes minimal Alpine Linux images without Docker, without root and without apk.
#[derive(Debug, Parser)]
#[command(name = "apkcompose", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) build: Build,
}

impl Arguments {
    /// What was typed, and what the environment says. Ends the program where that is wrong.
    pub(super) fn of_process() -> Self {
        let matches = Self::settled_command().try_get_matches();
        matches.and_then(|matches| Self::from_arg_matches(&matches)).unwrap_or_else(|error| end(&error))
    }

    /// The command with what holds for every option: an empty variable of the environment is none, as
    /// continuous integration leaves them, and help does not show what the variables hold.
    fn settled_command() -> clap::Command {
        fn settled(command: clap::Command) -> clap::Command {
            command.mut_args(settled_option).mut_subcommands(settled)
        }
        fn settled_option(option: clap::Arg) -> clap::Arg {
            let value = option.get_env().and_then(std::env::var_os);
            let option = option.hide_env_values(true);
            if value.is_some_and(|value| value.is_empty()) { option.env(None) } else { option }
        }
        settled(Self::command())
    }

    /// How the command shows progress, and so how it shows a failure.
    pub(super) fn progress(&self) -> Progress {
        match &self.command {
            None => self.build.shared.words.progress,
            Some(Command::Build(build)) => build.shared.words.progress,
            Some(Command::Profiles { command: Profiles::Check { shared, .. } }) => shared.words.progress,
            Some(
                Command::Profiles { command: Profiles::List { .. } | Profiles::Show { .. } }
                | Command::Package(_)
                | Command::Index(_)
                | Command::Cache { .. }
                | Command::Completions { .. },
            ) => Progress::None,
        }
    }
}

/// Says what is wrong with the arguments, and where the value is from if it was not typed.
fn end(error: &clap::Error) -> ! {
    // Nobody is left to tell if standard error is gone.
    let _ = error.print();
    if let Some(variable) = variable_of(error) {
        let hint = Look::of_terminal().hint();
        words(&format!("{hint}: the value is that of {variable} in the environment\n"));
    }
    std::process::exit(error.exit_code())
}

/// The variable of the environment whose value is wrong. The parser names options alone.
fn variable_of(error: &clap::Error) -> Option<String> {
    let context = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.as_str()),
        _ => None,
    };
    let option = context(ContextKind::InvalidArg)?.split_ascii_whitespace().next()?.strip_prefix("--")?;
    let value = context(ContextKind::InvalidValue)?;
    if std::env::args().any(|argument| argument.contains(value)) {
        return None;
    }
    let variable = format!("APKCOMPOSE_{}", option.to_ascii_uppercase().replace('-', "_"));
    let epoch = (option == "epoch").then(|| "SOURCE_DATE_EPOCH".to_owned());
    let has_value =
        |name: &String| std::env::var_os(name).is_some_and(|text| text.to_string_lossy().contains(value));
    [Some(variable), epoch].into_iter().flatten().find(has_value)
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build an image (also without the word `build`)
    #[command(after_help = BUILD_EXAMPLES)]
    Build(Box<Build>),
    /// List, show and check profiles
    #[command(after_help = "\
Examples:
  apkcompose profiles list
  apkcompose profiles show base >web.toml
  apkcompose profiles check web.toml --mirror /srv/alpine")]
    Profiles {
        #[command(subcommand)]
        command: Profiles,
    },
    /// Make a package from a directory
    Package(Package),
    /// Make the index of a repository
    Index(Index),
    /// Look at the cache, or give room back
    #[command(after_help = "\
Examples:
  apkcompose cache info
  apkcompose cache prune --days 30")]
    Cache {
        #[command(subcommand)]
        command: Cache,
    },
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  apkcompose completions bash >~/.local/share/bash-completion/completions/apkcompose
  apkcompose completions zsh >~/.zfunc/_apkcompose
  apkcompose completions fish >~/.config/fish/completions/apkcompose.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What the commands that work with a profile share.
///
/// Values from the environment are separated by line feeds: directories have spaces in them, and values of
/// variables commas.
#[derive(Debug, Args)]
pub(super) struct ProfileArgs {
    /// Set a variable of the profile (repeatable)
    #[arg(long, value_name = "NAME=VALUE", env = "APKCOMPOSE_SET", value_delimiter = LINE)]
    pub(super) set: Vec<Setting>,
    /// For these architectures, in apk's names or OCI's (repeatable, or with commas); `all` for all of the
    /// profile's [default: this machine's, else the profile's first]
    #[arg(long, value_name = "ARCH", env = "APKCOMPOSE_ARCH", value_delimiter = ',')]
    pub(super) arch: Vec<WantedArch>,
    /// Use this mirror in place of the profile's (repeatable: tried in order): a URL or a directory
    #[arg(long, value_name = "DIR|URL", env = "APKCOMPOSE_MIRROR", value_delimiter = LINE, help_heading = SOURCES)]
    pub(super) mirror: Vec<String>,
    /// Add a repository, as in a profile: `community`, `./local`, "@edge edge/community" (repeatable)
    #[arg(long, value_name = "[@TAG ]WHERE", env = "APKCOMPOSE_REPOSITORY", value_delimiter = LINE, help_heading = SOURCES)]
    pub(super) repository: Vec<String>,
    /// Accept this public key for repositories given by path or URL (repeatable)
    #[arg(long, value_name = "FILE", env = "APKCOMPOSE_KEY", value_delimiter = LINE, help_heading = SOURCES)]
    pub(super) key: Vec<String>,
    /// Keep fetched packages here [default: `$XDG_CACHE_HOME/apkcompose` or ~/.cache/apkcompose]
    #[arg(long, value_name = "DIR", env = "APKCOMPOSE_CACHE_DIR", help_heading = SOURCES)]
    pub(super) cache_dir: Option<PathBuf>,
    /// Use this many threads [default: one for each processor]
    #[arg(short, long, value_name = "N", env = "APKCOMPOSE_JOBS", value_parser = jobs)]
    pub(super) jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    pub(super) words: Words,
}

/// An architecture, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WantedArch {
    All,
    One(Arch),
}

impl FromStr for WantedArch {
    type Err = UnknownArch;

    fn from_str(text: &str) -> Result<Self, UnknownArch> {
        if text == "all" { Ok(Self::All) } else { Ok(Self::One(text.parse()?)) }
    }
}

impl ProfileArgs {
    /// The architectures that were named; none if all are wanted, or none was named.
    pub(super) fn named_architectures(&self) -> Vec<Arch> {
        let mut named: Vec<Arch> = Vec::new();
        for wanted in &self.arch {
            match wanted {
                WantedArch::All => return Vec::new(),
                WantedArch::One(arch) if !named.contains(arch) => named.push(*arch),
                WantedArch::One(_) => {}
            }
        }
        named
    }

    /// For which of the profile's architectures to build.
    pub(super) fn architectures(&self) -> Architectures {
        if self.arch.contains(&WantedArch::All) {
            return Architectures::All;
        }
        match self.named_architectures() {
            none if none.is_empty() => Architectures::Usual,
            named => Architectures::These(named),
        }
    }
}

/// How the network is used.
#[derive(Debug, Clone, Args)]
pub(super) struct NetworkArgs {
    /// Open no connection: work with what is in the cache and on this machine
    #[arg(long, env = "APKCOMPOSE_OFFLINE", value_parser = FalseyValueParser::new(), help_heading = NETWORK)]
    pub(super) offline: bool,
    /// Wait this long for a connection, an answer or more of one before trying again
    #[arg(long, value_name = "SECONDS", env = "APKCOMPOSE_TIMEOUT", value_parser = timeout, default_value = "30", help_heading = NETWORK)]
    pub(super) timeout: Duration,
    /// Try again this often what may work the next time
    #[arg(long, value_name = "N", env = "APKCOMPOSE_RETRIES", default_value_t = NetworkOptions::RETRIES, value_parser = clap::value_parser!(u32).range(0..=100), help_heading = NETWORK)]
    pub(super) retries: u32,
    /// Download this many files at once
    #[arg(long, value_name = "N", env = "APKCOMPOSE_CONNECTIONS", default_value_t = NetworkOptions::CONNECTIONS, value_parser = jobs, help_heading = NETWORK)]
    pub(super) connections: NonZeroUsize,
}

impl NetworkArgs {
    /// As the library wants it.
    pub(super) fn options(&self) -> NetworkOptions {
        NetworkOptions {
            access: if self.offline { Access::Offline } else { Access::Online },
            timeout: self.timeout,
            retries: self.retries,
            connections: self.connections,
        }
    }
}

/// A time in seconds, which may have a fraction.
fn timeout(text: &str) -> Result<Duration, String> {
    const WANTED: &str = "write a number of seconds from 0.1 to 86400";
    let seconds: f64 = text.parse().map_err(|_| WANTED.to_owned())?;
    if (0.1..=86400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(WANTED.to_owned())
    }
}

/// How much is said on standard error, and how.
#[derive(Debug, Clone, Args)]
pub(super) struct Words {
    /// How to show progress
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_PROGRESS", help_heading = REPORTING)]
    pub(super) progress: Progress,
    /// Say nothing but errors
    #[arg(short, long, env = "APKCOMPOSE_QUIET", value_parser = FalseyValueParser::new(), help_heading = REPORTING)]
    pub(super) quiet: bool,
    /// Say more: each step with its packages
    #[arg(short, long, env = "APKCOMPOSE_VERBOSE", value_parser = FalseyValueParser::new(), conflicts_with = "quiet", help_heading = REPORTING)]
    pub(super) verbose: bool,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Progress {
    /// Bars on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// A line for each step
    Plain,
    /// A JSON object a line
    Json,
    /// Nothing
    None,
}

/// How to print what a command reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Build {
    /// The profile: a path ending in .toml; or NAME for ./NAME.toml, ./profiles/NAME.toml or a built-in one
    #[arg(short, long, value_name = "NAME|FILE", env = "APKCOMPOSE_PROFILE")]
    pub(super) profile: Option<String>,
    /// Where to write what (repeatable): `x.tar`, or `type=TYPE,dest=PATH` [default: ./NAME.tar]
    ///
    ///   archive     one tar that docker, podman, containerd and skopeo load
    ///   oci         an OCI layout: a directory
    ///   tar         the root filesystem, for docker import
    ///   local       the root filesystem as a directory
    ///   dockerfile  a directory for docker build
    ///
    /// dest=- is standard output, for archive and tar. A directory must be new or empty.
    /// archive and oci also take compression=gzip|zstd|uncompressed and compression-level=N;
    /// archive takes oci-mediatypes=false, for Docker's media types.
    #[arg(
        short,
        long,
        value_name = "OUTPUT",
        env = "APKCOMPOSE_OUTPUT",
        value_delimiter = LINE,
        verbatim_doc_comment
    )]
    pub(super) output: Vec<Output>,
    /// Name the image (repeatable), in place of the profile's tags
    #[arg(short, long, value_name = "NAME:TAG", env = "APKCOMPOSE_TAG", value_delimiter = ',')]
    pub(super) tag: Vec<String>,
    /// Only say what would be done
    #[arg(long, env = "APKCOMPOSE_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(super) dry_run: bool,
    /// What becomes of package scripts
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_SCRIPTS")]
    pub(super) scripts: Scripts,
    /// The time that stands for "now" in the image, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`,
    /// else when the newest package was built]
    #[arg(long, value_name = "SECONDS", env = "APKCOMPOSE_EPOCH")]
    pub(super) epoch: Option<i64>,
    /// Let sources of the profile lie below this directory too
    #[arg(long, value_name = "DIR", env = "APKCOMPOSE_CONTEXT")]
    pub(super) context: Option<PathBuf>,
    #[command(flatten)]
    pub(super) shared: ProfileArgs,
    /// How to print the summary: as text to standard error, or as JSON to standard output
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_FORMAT", help_heading = REPORTING)]
    pub(super) format: Format,
}

/// What becomes of package scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Scripts {
    /// Apply those whose effect is certain (the links of `BusyBox`), name the others
    #[default]
    Auto,
    /// Apply none, as with apk --no-scripts
    Skip,
}

#[derive(Debug, Subcommand)]
pub(super) enum Profiles {
    /// List the built-in profiles
    #[command(after_help = "\
Examples:
  apkcompose profiles list
  apkcompose profiles list --format json")]
    List {
        /// How to print
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show a profile: its text, or with --resolved everything it extends, each value with its origin
    #[command(after_help = "\
Examples:
  apkcompose profiles show base
      the text, with its comments: copy it to begin one of your own
  apkcompose profiles show ./web.toml --resolved --set php=83
      what it comes to with everything it extends, and which file and line says so")]
    Show {
        /// The profile: a path ending in .toml, or a name as for --profile
        #[arg(value_name = "NAME|FILE")]
        name: String,
        /// Merge what it extends, and say where each value is from
        #[arg(long)]
        resolved: bool,
        /// How to print; JSON is always resolved
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Set a variable of the profile (repeatable)
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<Setting>,
    },
    /// Check profiles: their text, and that their packages resolve
    #[command(after_help = "\
Examples:
  apkcompose profiles check --mirror /srv/alpine
      the built-in ones: a line each, with its packages and how much there is to fetch
  apkcompose profiles check --text-only profiles/*.toml
      no repository is looked at
  apkcompose profiles check ./web.toml --mirror /srv/alpine --arch aarch64
      nothing is fetched but indexes and the base")]
    Check {
        /// The profiles; without any, the built-in ones
        #[arg(value_name = "NAME|FILE")]
        names: Vec<String>,
        /// Do not look at repositories: check the texts alone
        #[arg(long)]
        text_only: bool,
        /// How to print
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        shared: Box<ProfileArgs>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  apkcompose package --info PKGINFO --files root/ --script post-install=setup.sh --sign-key me.rsa
      makes NAME-VERSION.apk; PKGINFO has lines like `pkgname = x`, `pkgver = 1.0-r0`, `arch = noarch`")]
pub(super) struct Package {
    /// What the package says of itself, as a .PKGINFO without datahash and size
    #[arg(long, value_name = "FILE")]
    pub(super) info: PathBuf,
    /// The directory whose contents become the package's files
    #[arg(long, value_name = "DIR")]
    pub(super) files: Option<PathBuf>,
    /// A script (repeatable): pre-install, post-install, pre-upgrade, post-upgrade, pre-deinstall,
    /// post-deinstall, trigger
    #[arg(long, value_name = "KIND=FILE", value_parser = script)]
    pub(super) script: Vec<(ScriptKind, PathBuf)>,
    /// Give a path, and what is below it, to an owner (repeatable; root has what is not named):
    /// /var/lib/x=user:group, with numbers as user=100:group=101
    #[arg(long, value_name = "PATH=OWNER")]
    pub(super) owner: Vec<crate::compose::author::OwnerRule>,
    #[command(flatten)]
    pub(super) signing: Signing,
    /// The build time, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`, else builddate of the info]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    pub(super) epoch: Option<i64>,
    /// Where to write it [default: ./NAME-VERSION.apk]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// How to print what was made
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// Which key signs, and how.
#[derive(Debug, Args)]
pub(super) struct Signing {
    /// Sign with this private key (PEM)
    #[arg(long, value_name = "FILE", env = "APKCOMPOSE_SIGN_KEY")]
    pub(super) sign_key: Option<PathBuf>,
    /// The file name of the public key in /etc/apk/keys [default: the private key's with .pub]
    #[arg(long, value_name = "NAME", requires = "sign_key", env = "APKCOMPOSE_KEY_NAME")]
    pub(super) key_name: Option<String>,
    /// The kind of signature: RSA (which every apk accepts), RSA256 or RSA512
    #[arg(long, value_name = "KIND", default_value_t)]
    pub(super) signature: SigningAlgorithm,
}

impl Signing {
    /// The key, if there is one.
    pub(super) fn key(&self) -> Option<KeyFile> {
        self.sign_key.as_ref().map(|path| KeyFile {
            path: path.clone(),
            public_name: self.key_name.clone(),
            algorithm: self.signature,
        })
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  apkcompose index --sign-key me.rsa -o repo/x86_64/APKINDEX.tar.gz repo/x86_64/*.apk
      makes `repo` a repository: give it to a profile as ./repo, with keys = [\"me.rsa.pub\"]")]
pub(super) struct Index {
    /// The package files
    #[arg(required = true)]
    pub(super) packages: Vec<PathBuf>,
    /// Refuse packages that none of these keys signed (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(super) key: Vec<PathBuf>,
    /// What the index says of itself
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// List noarch packages under this architecture, and refuse others
    #[arg(long)]
    pub(super) arch: Option<Arch>,
    #[command(flatten)]
    pub(super) signing: Signing,
    /// The time of the index, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`, else that of the newest package]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    pub(super) epoch: Option<i64>,
    /// Where to write it
    #[arg(short, long, value_name = "FILE", default_value = "APKINDEX.tar.gz")]
    pub(super) output: PathBuf,
    /// How to print what was made
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Subcommand)]
pub(super) enum Cache {
    /// Say where the cache is and how much it holds
    #[command(after_help = "\
Examples:
  apkcompose cache info
  apkcompose cache info --cache-dir /var/cache/apkcompose --format json")]
    Info {
        #[command(flatten)]
        place: CachePlace,
        /// How to print
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Give room back: inflated copies, which are made again when needed; with options, originals too
    #[command(after_help = "\
Examples:
  apkcompose cache prune
      the inflated copies alone: nothing will have to be fetched again
  apkcompose cache prune --days 30
      everything that was not used for 30 days
  apkcompose cache prune --all
      everything")]
    Prune {
        #[command(flatten)]
        place: CachePlace,
        /// Remove everything that was not used for this many days
        #[arg(long, value_name = "N", conflicts_with = "all")]
        days: Option<u32>,
        /// Remove everything
        #[arg(long)]
        all: bool,
        /// How to print
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(super) struct CachePlace {
    /// The cache's directory
    #[arg(long, value_name = "DIR", env = "APKCOMPOSE_CACHE_DIR")]
    pub(super) cache_dir: Option<PathBuf>,
}

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write how many threads: 1 or more".to_owned())
}

fn script(text: &str) -> Result<(ScriptKind, PathBuf), String> {
    let (kind, path) = text.split_once('=').ok_or("write KIND=FILE, as post-install=setup.sh")?;
    let kinds = || ScriptKind::ALL.map(ScriptKind::as_str).join(", ");
    let kind =
        ScriptKind::named(kind).ok_or_else(|| format!("`{kind}` is not a kind of script ({})", kinds()))?;
    Ok((kind, path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::settled_command().debug_assert();
    }
}
