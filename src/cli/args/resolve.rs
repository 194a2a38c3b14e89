//! What `apkcompose resolve` takes.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::shared::{Format, ProfileArgs, REPORTING};

/// The heading above options that are for questions without a profile.
const ALONE: &str = "Without a profile";

/// Say which packages would be installed, in apk's order, or why they cannot be
///
/// With a profile, what it comes to, and with --add what more of it would cost. Without one, what `apk add DEP...`
/// would do with these repositories over this installed database and world. Nothing is fetched but indexes and
/// the base; nothing is written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  apkcompose resolve --repository /srv/alpine/v3.22/main --repository /srv/alpine/v3.22/community nginx
      what `apk add nginx` would install into an empty root
  apkcompose resolve --repository ./main --repository @edge=./edge 'php83~8.3' redis@edge '!php83-doc'
      with versions, a tag, and something that must not come
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
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is given or not")]
pub(in crate::cli) struct Resolve {
    /// What to install: `[!]NAME[@TAG][OPERATOR VERSION]`
    #[arg(value_name = "DEP", help_heading = ALONE)]
    pub(in crate::cli) dependencies: Vec<String>,
    /// The text of an installed database to begin with [default: nothing is installed]
    #[arg(long, value_name = "FILE", env = "APKCOMPOSE_INSTALLED", help_heading = ALONE)]
    pub(in crate::cli) installed: Option<PathBuf>,
    /// A world, a dependency per line; each DEP takes the place of what it says of the same name
    #[arg(long, value_name = "FILE", env = "APKCOMPOSE_WORLD", help_heading = ALONE)]
    pub(in crate::cli) world: Option<PathBuf>,
    /// Prefer higher versions to installed ones
    #[arg(long, env = "APKCOMPOSE_UPGRADE", value_parser = FalseyValueParser::new(), help_heading = ALONE)]
    pub(in crate::cli) upgrade: bool,
    /// Insist on the highest versions
    #[arg(long, env = "APKCOMPOSE_LATEST", value_parser = FalseyValueParser::new(), help_heading = ALONE)]
    pub(in crate::cli) latest: bool,
    /// Replace installed packages that no repository has, even by lower versions
    #[arg(long, env = "APKCOMPOSE_AVAILABLE", value_parser = FalseyValueParser::new(), help_heading = ALONE)]
    pub(in crate::cli) available: bool,
    /// Take indexes that nobody who is known has signed at their word
    #[arg(long, env = "APKCOMPOSE_ALLOW_UNTRUSTED", value_parser = FalseyValueParser::new(), help_heading = ALONE)]
    pub(in crate::cli) allow_untrusted: bool,
    #[command(flatten)]
    pub(in crate::cli) shared: ProfileArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_FORMAT", help_heading = REPORTING)]
    pub(in crate::cli) format: Format,
}
