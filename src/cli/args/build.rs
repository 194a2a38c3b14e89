//! What `apkcompose build` takes.

use std::num::NonZeroU32;
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
    /// How package scripts are kept apart from this machine
    #[arg(long, value_enum, default_value_t, env = "APKCOMPOSE_SANDBOX")]
    pub(in crate::cli) sandbox: SandboxKind,
    /// How long a package script may take [default: 300]
    #[arg(long, value_name = "SECONDS", env = "APKCOMPOSE_SCRIPT_TIMEOUT")]
    pub(in crate::cli) script_timeout: Option<NonZeroU32>,
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
    /// Run them; one that fails, or cannot be run here, is an error
    #[default]
    Auto,
    /// Run them; go on if one fails, as apk does, or cannot be run here, with a warning
    Warn,
    /// Run none, as with apk --no-scripts
    Skip,
}

/// How package scripts are kept apart from this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum SandboxKind {
    /// By namespaces; for root, where those are forbidden, by chroot, with a warning
    #[default]
    Auto,
    /// By namespaces, which need no privileges
    Namespaces,
    /// By another root directory, few capabilities and few system calls; needs root
    Chroot,
}
