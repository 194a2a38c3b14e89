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
            print(&store, &store.usage()?, "", *format)
        }
        Cache::Prune { place, days, all, format } => {
            let store = open(place)?;
            let what = match days {
                _ if *all => Prune::Everything,
                Some(days) => Prune::Unused(Duration::from_secs(u64::from(*days) * DAY)),
                None => Prune::Expanded,
            };
            print(&store, &store.prune(what)?, "removed from ", *format)
        }
    }
}

fn open(place: &CachePlace) -> Result<Store, Failure> {
    let directory = match &place.cache_dir {
        Some(directory) => directory.clone(),
        None => Store::default_directory()?,
    };
    Ok(Store::open(&directory)?)
}

fn print(store: &Store, usage: &Usage, what: &str, format: Format) -> Result<(), Failure> {
    let directory = store.directory().display();
    let (originals, inflated) = (&usage.blobs, &usage.expanded);
    match format {
        Format::Json => render::data(&render::json(&json!({
            "directory": directory.to_string(),
            "originals": { "files": originals.files, "bytes": originals.bytes },
            "expanded": { "files": inflated.files, "bytes": inflated.bytes },
        }))),
        Format::Text => render::data(&format!(
            "{what}{directory}\n  originals        {} in {}\n  inflated copies  {} in {}\n",
            bytes(originals.bytes),
            counted(originals.files, "file", "files"),
            bytes(inflated.bytes),
            counted(inflated.files, "file", "files"),
        )),
    }
}
