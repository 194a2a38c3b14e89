//! `[[files]]`, `[[dirs]]`, `[[links]]`, `[[users]]` and `[[groups]]`.

use crate::path::{PathError, TreePath};
use crate::profile::account::{Id, Owner};
use crate::profile::document::Node;
use crate::profile::error::Flaw;
use crate::profile::model::{
    DirectoryEntry, FileEntry, FileSource, GroupEntry, LinkEntry, LocalSource, UserEntry,
};
use crate::profile::pattern::Pattern;
use crate::profile::reader::{TableReader, integer, mode, parsed, parsed_scalar, profile_path, text};
use crate::profile::units::Mode;
use crate::profile::value::{Invalid, is_plain_line};

/// What BusyBox writes as the full name of a user that gives none.
const FULL_NAME: &str = "Linux User,,,";

const WANTED_ID: &str = "the number of an account (0 to 4294967294)";

/// Keys that say how a local source is taken over.
const OF_LOCAL: [&str; 3] = ["exclude", "dir-mode", "file-mode"];

/// A path in the image, as people write it.
pub(super) fn tree_path(node: &Node) -> Result<TreePath, Flaw> {
    Ok(TreePath::absolute(text(node)?)?)
}

/// A path in the image that is not its root.
fn path_below_root(node: &Node) -> Result<TreePath, Flaw> {
    let path = tree_path(node)?;
    if path.is_root() {
        return Err(Invalid::new("/", "a path below the root").into());
    }
    Ok(path)
}

fn owner(table: &TableReader<'_>) -> Owner {
    table.value("owner", parsed).unwrap_or_else(Owner::root)
}

/// Reads `[[files]]`.
pub(crate) fn files(profile: &TableReader<'_>) -> Vec<FileEntry> {
    profile.entries("files").iter().filter_map(file).collect()
}

fn file(table: &TableReader<'_>) -> Option<FileEntry> {
    let mode = table.value("mode", mode);
    let owner = owner(table);
    let source = file_source(table);
    // The content of a directory may be laid over the root; a file may not take its place.
    let path = match source {
        Some(FileSource::Local(_)) => table.required("path", tree_path),
        _ => table.required("path", path_below_root),
    };
    Some(FileEntry { path: path?, source: source?, mode, owner, origin: table.origin() })
}

fn file_source(table: &TableReader<'_>) -> Option<FileSource> {
    let given = |key: &&str| table.has(key);
    if ["source", "content", "url"].iter().filter(|key| given(key)).count() != 1 {
        table.flaw(Flaw::OneOf { keys: &["source", "content", "url"] });
        return None;
    }
    if let Some(key) = OF_LOCAL.iter().find(|key| given(key) && !table.has("source")) {
        table.flaw(Flaw::Without { key, needs: "source" });
    }
    if table.has("sha256") && !table.has("url") {
        table.flaw(Flaw::Without { key: "sha256", needs: "url" });
    }
    if table.has("source") {
        return local_source(table).map(FileSource::Local);
    }
    if let Some(content) = table.value("content", text) {
        return Some(FileSource::Content(content.to_owned()));
    }
    let url = table.value("url", parsed);
    let sha256 = table.required("sha256", parsed);
    Some(FileSource::Download { url: url?, sha256: sha256? })
}

fn local_source(table: &TableReader<'_>) -> Option<LocalSource> {
    let pattern = |node: &Node| -> Result<Pattern, Flaw> { Ok(Pattern::relative(text(node)?)?) };
    let exclude = table.list("exclude", pattern);
    let directory_mode = table.value("dir-mode", mode);
    let file_mode = table.value("file-mode", mode);
    let path = table.value("source", profile_path)?;
    Some(LocalSource { path, exclude, directory_mode, file_mode })
}

/// Reads `[[dirs]]`.
pub(crate) fn directories(profile: &TableReader<'_>) -> Vec<DirectoryEntry> {
    let directory = |table: &TableReader<'_>| {
        let mode = table.value("mode", mode).unwrap_or(Mode::DIRECTORY);
        let owner = owner(table);
        let path = table.required("path", tree_path)?;
        Some(DirectoryEntry { path, mode, owner, origin: table.origin() })
    };
    profile.entries("dirs").iter().filter_map(directory).collect()
}

/// Reads `[[links]]`.
pub(crate) fn links(profile: &TableReader<'_>) -> Vec<LinkEntry> {
    let link = |table: &TableReader<'_>| {
        let target = table.required("target", link_target);
        let path = table.required("path", path_below_root)?;
        Some(LinkEntry { path, target: target?, origin: table.origin() })
    };
    profile.entries("links").iter().filter_map(link).collect()
}

fn link_target(node: &Node) -> Result<String, Flaw> {
    let target = text(node)?;
    if target.is_empty() || target.len() >= 4096 || !is_plain_line(target) {
        let wanted = "the target of a link (not empty, without control characters, below 4096 bytes)";
        return Err(Invalid::new(target, wanted).into());
    }
    Ok(target.to_owned())
}

/// Reads `[[users]]`.
pub(crate) fn users(profile: &TableReader<'_>) -> Vec<UserEntry> {
    profile.entries("users").iter().filter_map(user).collect()
}

fn user(table: &TableReader<'_>) -> Option<UserEntry> {
    let uid = table.required("uid", integer(WANTED_ID, Id::new));
    let group = table.value("group", parsed_scalar);
    let gecos = table.value("gecos", passwd_text);
    let home = table.value("home", passwd_path);
    let shell = table.value("shell", passwd_path);
    let name: crate::profile::account::AccountName = table.required("name", parsed)?;
    let default = |path: &str| TreePath::absolute(path).map_err(|error| table.flaw(error)).ok();
    Some(UserEntry {
        uid: uid?,
        group,
        gecos: gecos.unwrap_or_else(|| FULL_NAME.to_owned()),
        home: home.or_else(|| default(&format!("/home/{name}")))?,
        shell: shell.or_else(|| default("/sbin/nologin"))?,
        name,
        origin: table.origin(),
    })
}

/// A colon or a line break would begin another field or line of the passwd file.
fn passwd_text(node: &Node) -> Result<String, Flaw> {
    let text = text(node)?;
    if text.contains(':') || text.len() > 1024 || !is_plain_line(text) {
        return Err(Invalid::new(text, "a field of /etc/passwd (no `:`, no control characters)").into());
    }
    Ok(text.to_owned())
}

fn passwd_path(node: &Node) -> Result<TreePath, Flaw> {
    let text = passwd_text(node)?;
    TreePath::absolute(&text).map_err(|error: PathError| error.into())
}

/// Reads `[[groups]]`.
pub(crate) fn groups(profile: &TableReader<'_>) -> Vec<GroupEntry> {
    let group = |table: &TableReader<'_>| {
        let gid = table.required("gid", integer(WANTED_ID, Id::new));
        let members = table.list("members", parsed);
        let name = table.required("name", parsed)?;
        Some(GroupEntry { name, gid: gid?, members, origin: table.origin() })
    };
    profile.entries("groups").iter().filter_map(group).collect()
}
