//! `[alpine]`: which Alpine, and where it comes from.

use crate::apk::dependency::Tag;
use crate::arch::Arch;
use crate::profile::document::Node;
use crate::profile::error::Flaw;
use crate::profile::model::{Alpine, Base, BaseTrust, Upgrade};
use crate::profile::origin::{Origin, Stated};
use crate::profile::reader::{TableReader, boolean, parsed, profile_path, stated, text};
use crate::profile::release::Release;
use crate::profile::repository::{DEFAULT_MIRROR, Mirror, RepositoryEntry, RepositoryLocation};
use crate::profile::value::Invalid;

/// The repositories where none are named.
const DEFAULT_REPOSITORIES: [&str; 2] = ["main", "community"];

/// Reads `[alpine]`, with the defaults for what it does not say.
pub(crate) fn alpine(table: &TableReader<'_>) -> Alpine {
    Alpine {
        release: table
            .value("release", stated(parsed))
            .unwrap_or_else(|| Stated { value: Release::default(), origin: Origin::Default }),
        architectures: architectures(table),
        mirrors: mirrors(table),
        base: table.value("base", base).unwrap_or(Base::Minirootfs),
        base_sha256: table.value("base-sha256", parsed),
        base_trust: table.value("base-trust", base_trust).unwrap_or(BaseTrust::Proven),
        repositories: repositories(table),
        keys: table.list("keys", stated(profile_path)),
        mirror_keys: table.list("mirror-keys", stated(profile_path)),
        upgrade: match table.value("upgrade", boolean) {
            Some(false) => Upgrade::Keep,
            Some(true) | None => Upgrade::ToIndex,
        },
    }
}

fn architectures(table: &TableReader<'_>) -> Vec<Arch> {
    let mut architectures: Vec<Arch> = Vec::new();
    for arch in table.list("arch", parsed) {
        if !architectures.contains(&arch) {
            architectures.push(arch);
        }
    }
    if architectures.is_empty() {
        // A machine that Alpine does not know builds for the most common one.
        architectures.push(Arch::of_this_machine().unwrap_or(Arch::X86_64));
    }
    architectures
}

fn mirrors(table: &TableReader<'_>) -> Vec<Stated<Mirror>> {
    let mirror = |node: &Node| -> Result<Mirror, Flaw> { Ok(Mirror::parse(text(node)?, &node.origin)?) };
    let mirrors = table.list("mirror", stated(mirror));
    if mirrors.is_empty() {
        let default = Mirror::parse(DEFAULT_MIRROR, &Origin::Default).ok();
        return default.into_iter().map(|value| Stated { value, origin: Origin::Default }).collect();
    }
    mirrors
}

fn base(node: &Node) -> Result<Base, Flaw> {
    let name = text(node)?;
    let is_path =
        name.contains('/') || [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|end| name.ends_with(end));
    match name {
        "minirootfs" => Ok(Base::Minirootfs),
        "scratch" => Ok(Base::Scratch),
        _ if is_path => Ok(Base::Path(stated(profile_path)(node)?)),
        _ => {
            Err(Invalid::new(name, "a base (\"minirootfs\", \"scratch\", or a path with a slash in it)")
                .into())
        }
    }
}

fn base_trust(node: &Node) -> Result<BaseTrust, Flaw> {
    match text(node)? {
        "proven" => Ok(BaseTrust::Proven),
        "checksum" => Ok(BaseTrust::Checksum),
        other => Err(Invalid::new(other, "a base trust (\"proven\" or \"checksum\")").into()),
    }
}

fn repositories(table: &TableReader<'_>) -> Vec<RepositoryEntry> {
    let nodes = table.elements("repositories");
    let stated = nodes.unwrap_or_default();
    // What the command line adds, it adds to what there would have been.
    let only_added = stated.iter().all(|node| matches!(node.origin, Origin::CommandLine { .. }));
    let defaults: &[&str] = match nodes {
        Some([]) => &[],
        _ if only_added => &DEFAULT_REPOSITORIES,
        _ => &[],
    };
    let default = |name: &&str| RepositoryEntry::parse(name, &Origin::Default).ok();
    let entry = |node| repository(&table.element("repositories", node), node);
    let mut entries: Vec<RepositoryEntry> = Vec::new();
    for entry in defaults.iter().filter_map(default).chain(stated.iter().filter_map(entry)) {
        if !entries.iter().any(|known| is_same(known, &entry)) {
            entries.push(entry);
        }
    }
    entries
}

/// Whether two entries differ only in where they are stated.
fn is_same(left: &RepositoryEntry, right: &RepositoryEntry) -> bool {
    left.location == right.location && left.tag == right.tag && left.keys == right.keys
}

fn repository(table: &TableReader<'_>, node: &Node) -> Option<RepositoryEntry> {
    if let Some(text) = node.as_text() {
        return RepositoryEntry::parse(text, &node.origin).map_err(|error| table.flaw(error)).ok();
    }
    let location = table.required("url", |node| -> Result<_, Flaw> {
        Ok(RepositoryLocation::parse(text(node)?, &node.origin)?)
    })?;
    let tag = table.value("tag", |node| -> Result<Tag, Flaw> {
        let tag = text(node)?;
        let wanted = "a tag (letters, digits, `.`, `_`, `+` and `-`, without `@`)";
        Tag::new(tag).ok_or_else(|| Invalid::new(tag, wanted).into())
    });
    let keys = table.list("keys", profile_path);
    Some(RepositoryEntry { location, tag, keys, origin: node.origin.clone() })
}
