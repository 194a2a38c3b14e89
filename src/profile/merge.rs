//! Two profiles' values become one.
//!
//! Tables merge key by key; lists append or replace as the schema says, a string already in the list not
//! a second time; entries are told apart by their path or name and replaced whole, keeping their place.
//! Files, directories and links share one space of paths: a link over what an earlier profile made a file
//! takes its place, and the other way round.
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
    let is_same_everywhere = matches!(of, Shape::Text | Shape::Verbatim | Shape::TextOrInteger);
    let mut known: HashSet<String> = lower.iter().filter_map(Node::as_text).map(str::to_owned).collect();
    for node in upper {
        let repeated =
            is_same_everywhere && node.as_text().is_some_and(|text| !known.insert(text.to_owned()));
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

/// The paths that `table` states under `kind`.
fn paths<'a>(table: &'a Table, kind: &str) -> HashSet<&'a str> {
    let entries = table.get(kind).map(Node::elements).unwrap_or_default();
    entries.iter().filter_map(|entry| identity(entry, "path")).collect()
}

/// Takes out of `under` the links where `over` has files or directories, and the other way round.
fn remove_displaced(under: &mut Table, over: &Table) {
    let links = paths(over, "links");
    let others: HashSet<&str> = paths(over, "files").union(&paths(over, "dirs")).copied().collect();
    for (kind, displaced) in [("files", &links), ("dirs", &links), ("links", &others)] {
        if let Some(Value::List(entries)) = under.get_mut(kind).map(|node| &mut node.value) {
            entries.retain(|entry| !identity(entry, "path").is_some_and(|path| displaced.contains(path)));
        }
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
    // A directory may be stated beside what is put into it; a link excludes everything else.
    for (kinds, by) in [
        (&["files", "links"][..], "path"),
        (&["dirs", "links"][..], "path"),
        (&["users"][..], "name"),
        (&["groups"][..], "name"),
    ] {
        let mut first: HashMap<&str, &Node> = HashMap::new();
        for kind in kinds {
            for entry in table.get(kind).map(Node::elements).unwrap_or_default() {
                let Some(name) = identity(entry, by) else { continue };
                let Some(earlier) = first.insert(name, entry) else { continue };
                let flaw = Flaw::Duplicate { text: name.to_owned(), first: earlier.origin.clone() };
                let problem = Problem { origin: entry.origin.clone(), key: below(path, kind), flaw };
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
    }
}
