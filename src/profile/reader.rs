//! Reading typed values out of a merged profile.
//!
//! Every reading that fails adds a [`Problem`] with place and key and yields nothing, so that one pass
//! finds all problems; whoever started it must look whether there were any before using the result.

use std::cell::RefCell;
use std::str::FromStr;

use super::document::{Node, Value};
use super::error::{Flaw, Problem};
use super::origin::{Origin, ProfilePath, Stated};
use super::schema::below;
use super::units::{Mode, Size};
use super::value::{Invalid, is_plain_line};

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(super) fn add(&self, origin: &Origin, key: &str, flaw: impl Into<Flaw>) {
        let problem = Problem { origin: origin.clone(), key: key.to_owned(), flaw: flaw.into() };
        self.0.borrow_mut().push(problem);
    }

    pub(super) fn into_inner(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// A table of the profile, or the place where one could be.
#[derive(Debug, Clone)]
pub(super) struct TableReader<'a> {
    node: Option<&'a Node>,
    path: String,
    problems: &'a Problems,
}

impl<'a> TableReader<'a> {
    pub(super) fn new(node: &'a Node, problems: &'a Problems) -> Self {
        Self { node: Some(node), path: String::new(), problems }
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.node?.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn exists(&self) -> bool {
        self.node.is_some()
    }

    /// Where the table was stated.
    pub(super) fn origin(&self) -> Origin {
        self.node.map_or(Origin::Default, |node| node.origin.clone())
    }

    /// Where the value of `key`, or else the table, was stated.
    pub(super) fn origin_of(&self, key: &str) -> Origin {
        self.get(key).map_or_else(|| self.origin(), |node| node.origin.clone())
    }

    pub(super) fn flaw(&self, flaw: impl Into<Flaw>) {
        self.problems.add(&self.origin(), &self.path, flaw);
    }

    pub(super) fn flaw_at(&self, key: &str, origin: &Origin, flaw: impl Into<Flaw>) {
        self.problems.add(origin, &below(&self.path, key), flaw);
    }

    /// The table at `key`.
    pub(super) fn table(&self, key: &str) -> Self {
        Self { node: self.get(key), path: below(&self.path, key), problems: self.problems }
    }

    /// The tables listed at `key`.
    pub(super) fn entries(&self, key: &str) -> Vec<Self> {
        let elements = self.get(key).map(Node::elements).unwrap_or_default();
        elements.iter().map(|node| self.element(key, node)).collect()
    }

    /// The elements listed at `key`, of any type; nothing without the key.
    pub(super) fn elements(&self, key: &str) -> Option<&'a [Node]> {
        self.get(key).map(Node::elements)
    }

    /// This reader for an element of the list at `key`.
    pub(super) fn element(&self, key: &str, node: &'a Node) -> Self {
        Self { node: Some(node), path: below(&self.path, key), problems: self.problems }
    }

    /// The value at `key`, if it is there and `read` takes it.
    pub(super) fn value<T, E: Into<Flaw>>(
        &self,
        key: &str,
        read: impl FnOnce(&'a Node) -> Result<T, E>,
    ) -> Option<T> {
        let node = self.get(key)?;
        self.read_at(key, node, read)
    }

    /// The value at `key`, which must be there.
    pub(super) fn required<T, E: Into<Flaw>>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'a Node) -> Result<T, E>,
    ) -> Option<T> {
        if !self.has(key) {
            self.flaw(Flaw::Missing { key });
        }
        self.value(key, read)
    }

    /// The values listed at `key`; those that `read` does not take are left out.
    pub(super) fn list<T, E: Into<Flaw>>(
        &self,
        key: &str,
        read: impl Fn(&'a Node) -> Result<T, E>,
    ) -> Vec<T> {
        let elements = self.get(key).map(Node::elements).unwrap_or_default();
        elements.iter().filter_map(|node| self.read_at(key, node, &read)).collect()
    }

    /// The keys and values of the table at `key`; those that `read` does not take are left out.
    pub(super) fn map<T, E: Into<Flaw>>(
        &self,
        key: &str,
        read: impl Fn(&'a str, &'a Node) -> Result<T, E>,
    ) -> Vec<(String, T)> {
        let table = self.get(key).and_then(Node::as_table).into_iter().flatten();
        let path = below(&self.path, key);
        let entry = |(name, node): (&'a String, &'a Node)| {
            let result =
                read(name, node).map_err(|error| self.problems.add(&node.origin, &below(&path, name), error));
            result.ok().map(|value| (name.clone(), value))
        };
        table.filter_map(entry).collect()
    }

    fn read_at<T, E: Into<Flaw>>(
        &self,
        key: &str,
        node: &'a Node,
        read: impl FnOnce(&'a Node) -> Result<T, E>,
    ) -> Option<T> {
        read(node).map_err(|error| self.flaw_at(key, &node.origin, error)).ok()
    }
}

/// The text of a string.
pub(super) fn text(node: &Node) -> Result<&str, Flaw> {
    node.as_text().ok_or_else(|| Flaw::WrongType { wanted: "a string", found: node.type_name() })
}

/// A string that parses.
pub(super) fn parsed<T: FromStr<Err: Into<Flaw>>>(node: &Node) -> Result<T, Flaw> {
    text(node)?.parse().map_err(Into::into)
}

/// A string, or an integer in decimal, that parses.
pub(super) fn parsed_scalar<T: FromStr<Err: Into<Flaw>>>(node: &Node) -> Result<T, Flaw> {
    match node.value {
        Value::Integer { value, .. } => value.to_string().parse().map_err(Into::into),
        _ => parsed(node),
    }
}

/// `read` with the place.
pub(super) fn stated<T, E: Into<Flaw>>(
    read: impl Fn(&Node) -> Result<T, E>,
) -> impl Fn(&Node) -> Result<Stated<T>, Flaw> {
    move |node| Ok(Stated { value: read(node).map_err(Into::into)?, origin: node.origin.clone() })
}

/// A boolean.
pub(super) fn boolean(node: &Node) -> Result<bool, Flaw> {
    match node.value {
        Value::Boolean(value) => Ok(value),
        _ => Err(Flaw::WrongType { wanted: "a boolean", found: node.type_name() }),
    }
}

/// An integer that `convert` takes.
pub(super) fn integer<T>(
    wanted: &'static str,
    convert: impl Fn(i64) -> Option<T>,
) -> impl Fn(&Node) -> Result<T, Flaw> {
    move |node| match node.value {
        Value::Integer { value, .. } => {
            convert(value).ok_or_else(|| Invalid::new(&value.to_string(), wanted).into())
        }
        _ => Err(Flaw::WrongType { wanted: "an integer", found: node.type_name() }),
    }
}

/// A mode: octal in a string, or an integer written in octal. A decimal one is never what was meant.
pub(super) fn mode(node: &Node) -> Result<Mode, Flaw> {
    match node.value {
        Value::Integer { value, radix: 8 } => u64::try_from(value)
            .ok()
            .and_then(Mode::from_bits)
            .ok_or_else(|| Invalid::new(&format!("0o{value:o}"), "a mode (at most 0o7777)").into()),
        Value::Integer { value, .. } => {
            Err(Invalid::new(&value.to_string(), "a mode (write it in quotes, or in octal: 0o755)").into())
        }
        _ => parsed(node),
    }
}

/// A size in a string, or a number of bytes.
pub(super) fn size(node: &Node) -> Result<Size, Flaw> {
    parsed_scalar(node)
}

/// A path relative to the profile that states it.
pub(super) fn profile_path(node: &Node) -> Result<ProfilePath, Flaw> {
    let text = text(node)?;
    if text.is_empty() || text.len() >= 4096 || !is_plain_line(text) {
        return Err(Invalid::new(text, "a path (not empty, without control characters)").into());
    }
    Ok(ProfilePath { location: node.origin.location(), path: text.into() })
}
