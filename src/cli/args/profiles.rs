//! What `apkcompose profiles` takes.

use clap::Subcommand;

use super::shared::{Format, ProfileArgs};
use crate::profile::Setting;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Profiles {
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
