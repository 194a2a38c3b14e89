//! What several commands take: where packages come from, how the network is used, what is printed.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use crate::arch::{Arch, UnknownArch};
use crate::compose::Architectures;
use crate::fetch::{Access, NetworkOptions};
use crate::profile::Setting;

/// The heading above options that say how the network is used.
const NETWORK: &str = "Network";
/// What separates several values in one variable of the environment.
pub(super) const LINE: char = '\n';
/// The heading above options that say where packages come from.
pub(super) const SOURCES: &str = "Packages";
/// The heading above options that say what is printed.
pub(super) const REPORTING: &str = "Reporting";

/// What the commands that work with a profile share.
///
/// Values from the environment are separated by line feeds: directories have spaces in them, and values of
/// variables commas.
#[derive(Debug, Args)]
pub(in crate::cli) struct ProfileArgs {
    /// Set a variable of the profile (repeatable)
    #[arg(long, value_name = "NAME=VALUE", env = "APKCOMPOSE_SET", value_delimiter = LINE)]
    pub(in crate::cli) set: Vec<Setting>,
    /// For these architectures, in apk's names or OCI's (repeatable, or with commas); `all` for all of the
    /// profile's [default: this machine's, else the profile's first]
    #[arg(long, value_name = "ARCH", env = "APKCOMPOSE_ARCH", value_delimiter = ',')]
    pub(in crate::cli) arch: Vec<WantedArch>,
    /// Use this mirror in place of the profile's (repeatable: tried in order): a URL or a directory
    #[arg(long, value_name = "DIR|URL", env = "APKCOMPOSE_MIRROR", value_delimiter = LINE, help_heading = SOURCES)]
    pub(in crate::cli) mirror: Vec<String>,
    /// Add a repository, as in a profile: `community`, `./local`, "@edge edge/community" (repeatable)
    #[arg(long, value_name = "[@TAG ]WHERE", env = "APKCOMPOSE_REPOSITORY", value_delimiter = LINE, help_heading = SOURCES)]
    pub(in crate::cli) repository: Vec<String>,
    /// Accept this public key for repositories given by path or URL (repeatable)
    #[arg(long, value_name = "FILE", env = "APKCOMPOSE_KEY", value_delimiter = LINE, help_heading = SOURCES)]
    pub(in crate::cli) key: Vec<String>,
    /// Keep fetched packages here [default: `$XDG_CACHE_HOME/apkcompose` or ~/.cache/apkcompose]
    #[arg(long, value_name = "DIR", env = "APKCOMPOSE_CACHE_DIR", help_heading = SOURCES)]
    pub(in crate::cli) cache_dir: Option<PathBuf>,
    /// Use this many threads [default: one for each processor]
    #[arg(short, long, value_name = "N", env = "APKCOMPOSE_JOBS", value_parser = jobs)]
    pub(in crate::cli) jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(in crate::cli) network: NetworkArgs,
    #[command(flatten)]
    pub(in crate::cli) words: Words,
}

/// An architecture, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum WantedArch {
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
    pub(in crate::cli) fn named_architectures(&self) -> Vec<Arch> {
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
    pub(in crate::cli) fn architectures(&self) -> Architectures {
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
pub(in crate::cli) struct NetworkArgs {
    /// Open no connection: work with what is in the cache and on this machine
    #[arg(long, env = "APKCOMPOSE_OFFLINE", value_parser = FalseyValueParser::new(), help_heading = NETWORK)]
    pub(in crate::cli) offline: bool,
    /// Wait this long for a connection, an answer or more of one before trying again
    #[arg(long, value_name = "SECONDS", env = "APKCOMPOSE_TIMEOUT", value_parser = timeout, default_value = "30", help_heading = NETWORK)]
    pub(in crate::cli) timeout: Duration,
    /// Try again this often what may work the next time
    #[arg(long, value_name = "N", env = "APKCOMPOSE_RETRIES", default_value_t = NetworkOptions::RETRIES, value_parser = clap::value_parser!(u32).range(0..=100), help_heading = NETWORK)]
    pub(in crate::cli) retries: u32,
    /// Download this many files at once
    #[arg(long, value_name = "N", env = "APKCOMPOSE_CONNECTIONS", default_value_t = NetworkOptions::CONNECTIONS, value_parser = jobs, help_heading = NETWORK)]
    pub(in crate::cli) connections: NonZeroUsize,
}

impl NetworkArgs {
    /// As the library wants it.
    pub(in crate::cli) fn options(&self) -> NetworkOptions {
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
pub(in crate::cli) struct Words {
    /// How to show progress
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_PROGRESS", help_heading = REPORTING)]
    pub(in crate::cli) progress: Progress,
    /// Say nothing but errors
    #[arg(short, long, env = "APKCOMPOSE_QUIET", value_parser = FalseyValueParser::new(), help_heading = REPORTING)]
    pub(in crate::cli) quiet: bool,
    /// Say more: each step with its packages
    #[arg(short, long, env = "APKCOMPOSE_VERBOSE", value_parser = FalseyValueParser::new(), conflicts_with = "quiet", help_heading = REPORTING)]
    pub(in crate::cli) verbose: bool,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum Progress {
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
pub(in crate::cli) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write how many threads: 1 or more".to_owned())
}
