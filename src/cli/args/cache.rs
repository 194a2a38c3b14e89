//! What `apkcompose cache` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::shared::Format;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Cache {
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
pub(in crate::cli) struct CachePlace {
    /// The cache's directory
    #[arg(long, value_name = "DIR", env = "APKCOMPOSE_CACHE_DIR")]
    pub(in crate::cli) cache_dir: Option<PathBuf>,
}
