//! What the commands take that ask the solver: `resolve`, `why`, `why-not`.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use super::shared::{LINE, ProfileArgs, REPORTING};

/// The heading above options that are for questions without a profile.
const ALONE: &str = "Without a profile";
/// The heading above options that are for questions about a profile.
const WITH: &str = "With a profile";

/// What `--arch` means where one image is asked about.
const ARCH: &str =
    "For this architecture, in apk's name or OCI's [default: this machine's, else the profile's first]";

/// How to print an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum AnswerFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// As a drawing, for Graphviz: `| dot -Tsvg`
    Dot,
}

/// Say which packages would be installed, in apk's order, or why they cannot be
///
/// With a profile, what it comes to, and with --add what more of it would cost. Without one, what `apk add DEP...`
/// would do with these repositories over this installed database and world. Nothing is fetched but indexes and
/// the base; nothing is written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  apkcompose resolve --repository /srv/alpine/v3.22/main --repository ./own nginx
      what `apk add nginx` would install into an empty root
  apkcompose resolve --repository ./main --repository @edge=./edge 'php83~8.3' redis@edge
      with a version and a tag; '!NAME' says what must not come
  apkcompose resolve --repository ./main --installed db/installed --world world --upgrade
      what `apk upgrade` would do; --available also replaces what no repository has any more
  apkcompose resolve --repository ./APKINDEX --allow-untrusted --format json mypackage
      an index without a signature, and the answer for programs
  apkcompose resolve --profile web --add imagemagick
      what imagemagick would add to the image, in packages and bytes

A refusal ends with exit code 6, with --format json as an object like any other answer.")]
#[command(mut_arg("repository", |option| option
    .value_name("[@TAG=]PATH|URL")
    .help("Ask this repository (repeatable, the preferred first): a directory, an APKINDEX.tar.gz, its text, or a URL; with a profile, beside the profile's")))]
#[command(mut_arg("key", |option| option
    .help("Accept this public key for the given repositories, beside Alpine's (repeatable)")))]
#[command(mut_arg("arch", |option| option.help(ARCH)))]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is given or not")]
pub(in crate::cli) struct Resolve {
    /// What to install: `[!]NAME[@TAG][OPERATOR VERSION]`
    #[arg(value_name = "DEP", help_heading = ALONE)]
    pub(in crate::cli) dependencies: Vec<String>,
    /// Ask what this profile comes to: a path ending in .toml, or a name as for build
    #[arg(short, long, value_name = "NAME|FILE", env = "APKCOMPOSE_PROFILE", help_heading = WITH)]
    pub(in crate::cli) profile: Option<String>,
    /// Ask what this would add to the profile's image (repeatable)
    #[arg(long, value_name = "DEP", env = "APKCOMPOSE_ADD", value_delimiter = LINE, help_heading = WITH)]
    pub(in crate::cli) add: Vec<String>,
    /// The text of an installed database to begin with [default: nothing is installed]
    #[arg(long, value_name = "FILE", env = "APKCOMPOSE_INSTALLED", help_heading = ALONE)]
    pub(in crate::cli) installed: Option<PathBuf>,
    /// A world, a dependency per line; each DEP takes the place of what it says of the same name
    #[arg(long, value_name = "FILE", env = "APKCOMPOSE_WORLD", help_heading = ALONE)]
    pub(in crate::cli) world: Option<PathBuf>,
    /// Prefer higher versions to installed ones: of each DEP and what it needs, or without a DEP of everything
    #[arg(long, env = "APKCOMPOSE_UPGRADE", value_parser = FalseyValueParser::new(), help_heading = ALONE)]
    pub(in crate::cli) upgrade: bool,
    /// Insist on the highest versions, of the same
    #[arg(long, env = "APKCOMPOSE_LATEST", value_parser = FalseyValueParser::new(), help_heading = ALONE)]
    pub(in crate::cli) latest: bool,
    /// Replace installed packages that no repository has, even by lower versions: everywhere, and so the others
    #[arg(long, env = "APKCOMPOSE_AVAILABLE", value_parser = FalseyValueParser::new(), help_heading = ALONE)]
    pub(in crate::cli) available: bool,
    /// Take indexes that nobody who is known has signed at their word
    #[arg(long, env = "APKCOMPOSE_ALLOW_UNTRUSTED", value_parser = FalseyValueParser::new(), help_heading = ALONE)]
    pub(in crate::cli) allow_untrusted: bool,
    #[command(flatten)]
    pub(in crate::cli) shared: ProfileArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_FORMAT", help_heading = REPORTING)]
    pub(in crate::cli) format: AnswerFormat,
}

/// Say why something is in an image, what else would keep it, and what it costs
///
/// Every shortest way from the profile to it is told, what else needs it, and the bytes that it and what only it
/// leads to take.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  apkcompose why --profile web zlib
      a package
  apkcompose why --profile web so:libcrypto.so.3
      a library, by the name that packages need it by; cmd:NAME is a command
  apkcompose why --profile web /usr/share/zoneinfo
      a path: the packages are fetched and put together for that, nothing is written
  apkcompose why --profile web zlib --format dot | dot -Tsvg >zlib.svg
      the ways as a drawing")]
pub(in crate::cli) struct Why {
    /// What to ask about: a package, a name as `so:libz.so.1` or `cmd:nginx`, or a path of the image
    #[arg(value_name = "NAME|/PATH")]
    pub(in crate::cli) subject: String,
    #[command(flatten)]
    pub(in crate::cli) question: Question,
}

/// Say why something is not in an image
///
/// Either something stands against it: then what; or nothing asks for it: then what it would add.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  apkcompose why-not --profile web imagemagick
  apkcompose why-not --profile web 'php83>8.4'
      why not in this version
  apkcompose why-not --profile web cmd:git --format json")]
pub(in crate::cli) struct WhyNot {
    /// What to ask about: a package, with or without a version, or a name as `cmd:git`
    #[arg(value_name = "NAME[OPERATOR VERSION]")]
    pub(in crate::cli) subject: String,
    #[command(flatten)]
    pub(in crate::cli) question: Question,
}

/// Of which image something is asked, and how the answer is printed.
#[derive(Debug, Args)]
#[command(mut_arg("arch", |option| option.help(ARCH)))]
pub(in crate::cli) struct Question {
    /// The profile: a path ending in .toml, or a name as for build
    #[arg(short, long, value_name = "NAME|FILE", env = "APKCOMPOSE_PROFILE")]
    pub(in crate::cli) profile: Option<String>,
    /// Let sources of the profile lie below this directory too
    #[arg(long, value_name = "DIR", env = "APKCOMPOSE_CONTEXT")]
    pub(in crate::cli) context: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) shared: ProfileArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_FORMAT", help_heading = REPORTING)]
    pub(in crate::cli) format: AnswerFormat,
}
