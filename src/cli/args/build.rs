//! What `apkcompose build` takes.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use super::shared::{Format, LINE, ProfileArgs, REPORTING};
use crate::compose::output::Output;

pub(super) const EXAMPLES: &str = "\
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

#[derive(Debug, Args)]
pub(in crate::cli) struct Build {
    /// The profile: a path ending in .toml; or NAME for ./NAME.toml, ./profiles/NAME.toml or a built-in one
    #[arg(short, long, value_name = "NAME|FILE", env = "APKCOMPOSE_PROFILE")]
    pub(in crate::cli) profile: Option<String>,
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
    pub(in crate::cli) output: Vec<Output>,
    /// Name the image (repeatable), in place of the profile's tags
    #[arg(short, long, value_name = "NAME:TAG", env = "APKCOMPOSE_TAG", value_delimiter = ',')]
    pub(in crate::cli) tag: Vec<String>,
    /// Only say what would be done
    #[arg(long, env = "APKCOMPOSE_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(in crate::cli) dry_run: bool,
    /// What becomes of package scripts
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_SCRIPTS")]
    pub(in crate::cli) scripts: Scripts,
    /// The time that stands for "now" in the image, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`,
    /// else when the newest package was built]
    #[arg(long, value_name = "SECONDS", env = "APKCOMPOSE_EPOCH")]
    pub(in crate::cli) epoch: Option<i64>,
    /// Let sources of the profile lie below this directory too
    #[arg(long, value_name = "DIR", env = "APKCOMPOSE_CONTEXT")]
    pub(in crate::cli) context: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) shared: ProfileArgs,
    /// How to print the summary: as text to standard error, or as JSON to standard output
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_FORMAT", help_heading = REPORTING)]
    pub(in crate::cli) format: Format,
}

/// What becomes of package scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum Scripts {
    /// Apply those whose effect is certain (the links of `BusyBox`), name the others
    #[default]
    Auto,
    /// Apply none, as with apk --no-scripts
    Skip,
}
