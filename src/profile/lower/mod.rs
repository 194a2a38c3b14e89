//! From a merged tree of values to the typed profile, a file per part of it.
//!
//! Everything is read even where something is wrong, so that all problems are found; the results are of
//! use only if there were none.

mod alpine;
mod entries;
mod image;

pub(super) use alpine::alpine;
pub(super) use entries::{directories, files, groups, links, users};
pub(super) use image::image;

use super::model::{Limits, Packages, Prune};
use super::pattern::Pattern;
use super::reader::{TableReader, integer, parsed, size, stated, text};
use super::value::Invalid;
use crate::apk::dependency::Dependency;

/// Reads `[packages]`.
pub(super) fn packages(table: &TableReader<'_>) -> Packages {
    let optional = |node: &_| -> Result<Dependency, super::error::Flaw> {
        let dependency: Dependency = parsed(node)?;
        if dependency.conflict {
            let wanted = "an optional package (a conflict belongs in `runtime`)";
            return Err(Invalid::new(&dependency.to_string(), wanted).into());
        }
        Ok(dependency)
    };
    Packages {
        runtime: table.list("runtime", stated(parsed)),
        optional: table.list("optional", stated(optional)),
        remove: table.list("remove", stated(parsed)),
    }
}

/// Reads `[prune]`.
pub(super) fn prune(table: &TableReader<'_>) -> Prune {
    let pattern = |node: &_| -> Result<Pattern, super::error::Flaw> { Ok(Pattern::of_tree(text(node)?)?) };
    Prune { paths: table.list("paths", stated(pattern)), packages: table.list("packages", stated(parsed)) }
}

/// Reads `[limits]`.
pub(super) fn limits(table: &TableReader<'_>) -> Limits {
    let count = integer("a number of packages", |number| u32::try_from(number).ok());
    Limits { size: table.value("size", stated(size)), packages: table.value("packages", stated(count)) }
}
