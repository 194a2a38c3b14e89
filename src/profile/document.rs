//! A profile's text as a tree of values, each with the line it stands on.
//!
//! This is the form in which profiles are checked, merged and shown. Nesting is bounded by the parser,
//! size by whoever read the text.
//!
//! Source: TOML 1.0, as the `toml` crate reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ProfileError;
use super::origin::{Origin, Source};

/// A table, by key.
pub(super) type Table = BTreeMap<String, Node>;

/// A value and where it was stated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// What a profile can hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// With the radix it was written in: a mode must be octal.
    Integer {
        value: i64,
        radix: u32,
    },
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
    /// What no key of a profile takes, by the name messages give it.
    Other(&'static str),
}

impl Node {
    /// An empty table.
    pub(super) fn empty(origin: Origin) -> Self {
        Self { origin, value: Value::Table(Table::new()) }
    }

    pub(super) fn text(origin: Origin, text: &str) -> Self {
        Self { origin, value: Value::Text(text.to_owned()) }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn as_table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The elements of a list; none if it is no list.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// What stands at `key`, if this is a table that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.as_table()?.get(key)
    }

    /// What messages call the value's type.
    pub(super) fn type_name(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "a string",
            Value::Integer { .. } => "an integer",
            Value::Boolean(_) => "a boolean",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(name) => name,
        }
    }
}

/// Parses the text of `source`. The result is a table.
pub(super) fn parse(text: &str, source: &Arc<Source>) -> Result<Node, ProfileError> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let (line, column) = lines.position(text, error.span().map_or(0, |span| span.start));
        ProfileError::Syntax {
            profile: source.to_string(),
            line,
            column,
            message: error.message().to_owned(),
        }
    })?;
    let reader = Reader { source, lines };
    Ok(Node { origin: reader.origin(0), value: Value::Table(reader.table(table.into_inner())) })
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(after_breaks).collect())
    }

    /// The line of a byte, from 1.
    fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.0.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// The line and the column, in characters, of a byte, from 1.
    fn position(&self, text: &str, offset: usize) -> (u32, usize) {
        let index = self.0.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.0.get(index).copied().unwrap_or_default();
        let column = text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        (self.line(offset), column)
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    lines: Lines,
}

impl Reader<'_> {
    fn origin(&self, offset: usize) -> Origin {
        Origin::Profile { source: Arc::clone(self.source), line: self.lines.line(offset) }
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        let entries = table.into_iter().map(|(key, value)| {
            // The key's line is where the reader looks, also when a list begins on the next one.
            let origin = self.origin(key.span().start);
            (key.into_inner().into_owned(), Node { origin, value: self.value(value.into_inner()) })
        });
        entries.collect()
    }

    fn element(&self, element: Spanned<DeValue<'_>>) -> Node {
        let origin = self.origin(element.span().start);
        Node { origin, value: self.value(element.into_inner()) }
    }

    fn value(&self, value: DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(integer) => {
                let radix = integer.radix();
                let value = i64::from_str_radix(integer.as_str(), radix);
                value.map_or(Value::Other("an integer of more than 64 bits"), |value| Value::Integer {
                    value,
                    radix,
                })
            }
            DeValue::Float(_) => Value::Other("a number with a fraction"),
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(elements) => {
                Value::List(elements.into_iter().map(|element| self.element(element)).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::origin::Location;

    fn parsed(text: &str) -> Result<Node, ProfileError> {
        let location = Location::Directory("".into());
        parse(text, &Arc::new(Source { name: "x.toml".into(), location }))
    }

    fn line(node: &Node) -> u32 {
        match node.origin {
            Origin::Profile { line, .. } => line,
            _ => 0,
        }
    }

    #[test]
    fn every_value_knows_its_line() {
        let text = "a = 1\n[t]\nb = [\n  \"x\",\n  \"y\",\n]\n\n[[e]]\nc = 1\n[[e]]\nc = 2\n[u.v]\nd.w = 1\n";
        let node = parsed(text).unwrap();
        let table = node.get("t").unwrap();
        let list = table.get("b").unwrap();
        assert_eq!((line(node.get("a").unwrap()), line(table), line(list)), (1, 2, 3));
        assert_eq!(list.elements().iter().map(line).collect::<Vec<_>>(), [4, 5]);
        let entries = node.get("e").unwrap().elements();
        assert_eq!(entries.iter().map(line).collect::<Vec<_>>(), [8, 10]);
        assert_eq!(line(node.get("u").unwrap().get("v").unwrap().get("d").unwrap()), 13);
    }

    #[test]
    fn integers_keep_their_radix_and_their_bounds() {
        let node = parsed("a = 0o755\nb = 1_000\nc = 99999999999999999999\nd = -0x1").unwrap_err();
        assert!(matches!(node, ProfileError::Syntax { line: 4, .. }), "{node}");
        let node = parsed("a = 0o755\nb = 1_000\nc = 99999999999999999999\n").unwrap();
        assert_eq!(node.get("a").unwrap().value, Value::Integer { value: 0o755, radix: 8 });
        assert_eq!(node.get("b").unwrap().value, Value::Integer { value: 1000, radix: 10 });
        assert_eq!(node.get("c").unwrap().type_name(), "an integer of more than 64 bits");
    }

    #[test]
    fn hostile_nesting_and_garbage_are_syntax_errors() {
        for text in [
            format!("a = {}", "[".repeat(100_000)),
            format!("a = {}", "{a=".repeat(100_000)),
            format!("{}a = 1", "a.".repeat(100_000)),
            format!("[{}a]", "a.".repeat(100_000)),
            "a = 1\na = 2".to_owned(),
            "a = \"\\uD800\"".to_owned(),
            "a = \"\u{0}\"".to_owned(),
            "[a]\n[a]".to_owned(),
            "\u{feff}\u{feff}".to_owned(),
        ] {
            let error = parsed(&text).unwrap_err();
            assert!(matches!(error, ProfileError::Syntax { .. }), "{error}");
        }
    }
}
