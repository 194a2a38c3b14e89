//! `apkcompose cache`: how much it holds, and giving room back.

use std::time::Duration;

use serde_json::json;

use super::args::{Cache, CachePlace, Format};
use super::render::{self, Failure, bytes, counted};
use crate::store::{Prune, Store, Usage};

/// A day, in seconds.
const DAY: u64 = 86_400;

pub(super) fn run(command: &Cache) -> Result<(), Failure> {
    match command {
        Cache::Info { place, format } => {
            let store = open(place)?;
            print(&store, &store.usage()?, "holds", *format);
        }
        Cache::Prune { place, days, all, format } => {
            let store = open(place)?;
            let what = match days {
                _ if *all => Prune::Everything,
                Some(days) => Prune::Unused(Duration::from_secs(u64::from(*days) * DAY)),
                None => Prune::Expanded,
            };
            print(&store, &store.prune(what)?, "removed", *format);
        }
    }
    Ok(())
}

fn open(place: &CachePlace) -> Result<Store, Failure> {
    let directory = match &place.cache_dir {
        Some(directory) => directory.clone(),
        None => Store::default_directory()?,
    };
    Ok(Store::open(&directory)?)
}

fn print(store: &Store, usage: &Usage, verb: &str, format: Format) {
    let directory = store.directory().display();
    match format {
        Format::Json => render::data(&render::json(&json!({
            "directory": directory.to_string(),
            "originals": { "files": usage.blobs.files, "bytes": usage.blobs.bytes },
            "expanded": { "files": usage.expanded.files, "bytes": usage.expanded.bytes },
        }))),
        Format::Text => render::data(&format!(
            "{directory}\n{verb} {} in {}, and {} in {}\n",
            bytes(usage.blobs.bytes),
            counted(usage.blobs.files, "original", "originals"),
            bytes(usage.expanded.bytes),
            counted(usage.expanded.files, "inflated file", "inflated files"),
        )),
    }
}
