//! Two profiles' values become one.
//!
//! Tables merge key by key; lists append or replace as the schema says, a string already in the list not
//! a second time; entries are told apart by their path or name and replaced whole, keeping their place.
//! Files, directories and links share one space of paths: what a later profile makes of a path displaces
//! what cannot be beside it.
//!
//! Source: design, "The profile", "Merging".

use std::collections::{HashMap, HashSet};

use super::document::{Node, Table, Value};
use super::error::{Flaw, Problem};
use super::schema::{Key, Shape, below};

/// Merges the table `over` into the table `under`, by `keys`. Both passed the schema's check.
pub(super) fn merge_table(under: &mut Node, over: Node, keys: &'static [Key]) {
    let (Some(lower), Value::Table(upper)) = (under.as_table_mut(), over.value) else {
        return;
    };
    remove_displaced(lower, &upper);
    for (name, node) in upper {
        let shape = keys.iter().find(|key| key.name == name).map(|key| &key.shape);
        merge_key(lower, name, node, shape.unwrap_or(&Shape::Verbatim));
    }
}

fn merge_key(under: &mut Table, name: String, over: Node, shape: &'static Shape) {
    let Some(below) = under.get_mut(&name) else {
        under.insert(name, over);
        return;
    };
    match shape {
        Shape::Table(keys) => merge_table(below, over, keys),
        Shape::Map(of) => merge_map(below, over, of),
        Shape::Architectures(_) => merge_architectures(below, over),
        Shape::Appended(of) => append(below, over, of),
        Shape::Entries { by, .. } => merge_entries(below, over, by),
        Shape::Text
        | Shape::Verbatim
        | Shape::Path
        | Shape::VerbatimOrList
        | Shape::TextOrInteger
        | Shape::Integer
        | Shape::Boolean
        | Shape::Replaced(_)
        | Shape::Either(..)
        | Shape::Build => *below = over,
    }
}

fn merge_map(under: &mut Node, over: Node, of: &'static Shape) {
    if let (Some(lower), Value::Table(upper)) = (under.as_table_mut(), over.value) {
        for (name, node) in upper {
            merge_key(lower, name, node, of);
        }
    }
}

fn merge_architectures(under: &mut Node, over: Node) {
    const ONE: &Shape = &Shape::Table(super::schema::ARCHITECTURE);
    merge_map(under, over, ONE);
}

fn append(under: &mut Node, over: Node, of: &Shape) {
    let (Value::List(lower), Value::List(upper)) = (&mut under.value, over.value) else {
        return;
    };
    // A relative path means another place in another profile.
    let is_same_everywhere = |text: &str| match of {
        Shape::Path => false,
        // A repository.
        Shape::Either(..) => !text.contains("./"),
        _ => true,
    };
    let mut known: HashSet<String> = lower.iter().filter_map(Node::as_text).map(str::to_owned).collect();
    for node in upper {
        let repeated =
            node.as_text().is_some_and(|text| is_same_everywhere(text) && !known.insert(text.to_owned()));
        if !repeated {
            lower.push(node);
        }
    }
}

fn merge_entries(under: &mut Node, over: Node, by: &str) {
    let (Value::List(lower), Value::List(upper)) = (&mut under.value, over.value) else {
        return;
    };
    let mut later: HashMap<String, Node> = HashMap::new();
    let mut added: Vec<Node> = Vec::new();
    let known: HashSet<&str> = lower.iter().filter_map(|entry| identity(entry, by)).collect();
    for node in upper {
        match identity(&node, by) {
            Some(name) if known.contains(name) => {
                later.insert(name.to_owned(), node);
            }
            _ => added.push(node),
        }
    }
    for entry in lower.iter_mut() {
        if let Some(node) = identity(entry, by).and_then(|name| later.remove(name)) {
            *entry = node;
        }
    }
    lower.append(&mut added);
}

/// What tells an entry apart: its path, without a trailing slash, or its name.
fn identity<'a>(entry: &'a Node, by: &str) -> Option<&'a str> {
    entry.get(by)?.as_text().map(|text| text.trim_end_matches('/'))
}

/// What an entry makes of its path, as far as that is known without the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Makes {
    Link,
    File,
    Directory,
    /// What lies at its source: a file, or what is put into a directory.
    Copy,
}

impl Makes {
    fn of(kind: &str, entry: &Node) -> Self {
        match kind {
            "links" => Self::Link,
            "dirs" => Self::Directory,
            _ if entry.get("source").is_some() => Self::Copy,
            _ => Self::File,
        }
    }

    /// Whether both can be said of one path: a directory may be stated beside what is put into it.
    fn goes_with(self, other: Self) -> bool {
        matches!((self, other), (Self::Directory, Self::Copy) | (Self::Copy, Self::Directory))
    }
}

const KINDS: [&str; 3] = ["files", "dirs", "links"];

/// The paths that `table` states, with what is made of them.
fn paths(table: &Table) -> HashMap<&str, Vec<Makes>> {
    let mut paths: HashMap<&str, Vec<Makes>> = HashMap::new();
    for kind in KINDS {
        for entry in table.get(kind).map(Node::elements).unwrap_or_default() {
            if let Some(path) = identity(entry, "path") {
                paths.entry(path).or_default().push(Makes::of(kind, entry));
            }
        }
    }
    paths
}

/// Takes out of `under` what cannot be beside what `over` makes of the same path. Entries of one kind stay,
/// to be replaced in their place.
fn remove_displaced(under: &mut Table, over: &Table) {
    let later = paths(over);
    for kind in KINDS {
        let Some(Value::List(entries)) = under.get_mut(kind).map(|node| &mut node.value) else { continue };
        entries.retain(|entry| {
            let makes = Makes::of(kind, entry);
            let is_file = |makes| matches!(makes, Makes::File | Makes::Copy);
            let stays = |other: &Makes| {
                makes == *other || makes.goes_with(*other) || (is_file(makes) && is_file(*other))
            };
            let others = identity(entry, "path").and_then(|path| later.get(path));
            others.is_none_or(|others| others.iter().all(stays))
        });
    }
}

/// Entries that one profile, whose table this is, states twice: merging would hide one of them.
pub(super) fn duplicates(profile: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    duplicates_in(profile, "", &mut problems);
    let architectures = profile.get("arch").and_then(Node::as_table);
    for (name, node) in architectures.into_iter().flatten() {
        duplicates_in(node, &below("arch", name), &mut problems);
    }
    problems
}

fn duplicates_in(table: &Node, path: &str, problems: &mut Vec<Problem>) {
    let mut paths: HashMap<&str, Vec<(Makes, &Node)>> = HashMap::new();
    for kind in KINDS {
        for entry in table.get(kind).map(Node::elements).unwrap_or_default() {
            let Some(name) = identity(entry, "path") else { continue };
            let makes = Makes::of(kind, entry);
            let earlier = paths.entry(name).or_default();
            if let Some((_, first)) = earlier.iter().find(|(other, _)| !makes.goes_with(*other)) {
                problems.push(duplicate(name, entry, first, &below(path, kind)));
            } else {
                earlier.push((makes, entry));
            }
        }
    }
    for kind in ["users", "groups"] {
        let mut names: HashMap<&str, &Node> = HashMap::new();
        for entry in table.get(kind).map(Node::elements).unwrap_or_default() {
            let Some(name) = identity(entry, "name") else { continue };
            if let Some(first) = names.insert(name, entry) {
                problems.push(duplicate(name, entry, first, &below(path, kind)));
            }
        }
    }
}

fn duplicate(name: &str, entry: &Node, first: &Node, key: &str) -> Problem {
    let flaw = Flaw::Duplicate { text: name.to_owned(), first: first.origin.clone() };
    Problem { origin: entry.origin.clone(), key: key.to_owned(), flaw }
}
