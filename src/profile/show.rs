//! The merged profile as `profiles show` prints it: TOML with each value's origin in a comment, or JSON.
//!
//! What is printed as TOML is a profile again, and says the same where the same files lie beside it.

use std::fmt::{self, Write as _};

use serde_json::json;

use super::document::{Node, Table, Value};
use super::repository::without_credentials;
use super::schema::{ARCHITECTURE, Key, PROFILE, Shape};

/// The column where origins stand, if what they belong to leaves room.
const COMMENT_COLUMN: usize = 50;

/// A profile merged with everything it extends, each value with its origin. Its text form is TOML.
#[derive(Debug, Clone)]
pub struct Merged {
    root: Node,
}

impl Merged {
    pub(super) fn new(mut root: Node) -> Self {
        // What is extended is merged already; requirements are met.
        if let Some(table) = root.as_table_mut() {
            table.remove("extends");
            table.remove("requires");
        }
        Self { root }
    }

    /// As JSON: tables as objects, lists as arrays, and each value as an object of `value` and `origin`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json_of(&self.root)
    }
}

fn json_of(node: &Node) -> serde_json::Value {
    let value = match &node.value {
        Value::Table(table) => {
            return table.iter().map(|(name, node)| (name.clone(), json_of(node))).collect();
        }
        Value::List(elements) => return elements.iter().map(json_of).collect(),
        Value::Text(text) => json!(without_credentials(text)),
        Value::Integer { value, .. } => json!(value),
        Value::Boolean(value) => json!(value),
        Value::Other(_) => serde_json::Value::Null,
    };
    json!({ "value": value, "origin": node.origin.to_string() })
}

impl fmt::Display for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Writer { out: String::new() };
        if let Some(table) = self.root.as_table() {
            writer.table(table, PROFILE, "")?;
        }
        f.write_str(writer.out.trim_start_matches('\n'))
    }
}

struct Writer {
    out: String,
}

impl Writer {
    /// The values of a table of `keys`, then its tables, each under its header.
    fn table(&mut self, table: &Table, keys: &[Key], path: &str) -> fmt::Result {
        let stated = || keys.iter().filter_map(|key| Some((key, table.get(key.name)?)));
        for (key, node) in stated().filter(|(key, _)| !is_section(&key.shape)) {
            self.entry(key.name, node)?;
        }
        for (key, node) in stated().filter(|(key, _)| is_section(&key.shape)) {
            self.section(node, &key.shape, &joined(path, key.name))?;
        }
        Ok(())
    }

    fn section(&mut self, node: &Node, shape: &Shape, path: &str) -> fmt::Result {
        match (shape, &node.value) {
            (Shape::Table(keys), Value::Table(table)) => {
                let has_values = |key: &Key| !is_section(&key.shape) && table.contains_key(key.name);
                if keys.iter().any(has_values) {
                    write!(self.out, "\n[{path}]\n")?;
                }
                self.table(table, keys, path)
            }
            (Shape::Entries { keys, .. }, Value::List(elements)) => elements.iter().try_for_each(|element| {
                self.line(&format!("\n[[{path}]]"), element)?;
                element.as_table().map_or(Ok(()), |table| self.table(table, keys, path))
            }),
            (Shape::Architectures(_), Value::Table(table)) => table.iter().try_for_each(|(name, node)| {
                self.section(node, &Shape::Table(ARCHITECTURE), &joined(path, name))
            }),
            (Shape::Map(_), Value::Table(table)) => {
                write!(self.out, "\n[{path}]\n")?;
                table.iter().try_for_each(|(name, node)| self.entry(name, node))
            }
            _ => Ok(()),
        }
    }

    fn entry(&mut self, name: &str, node: &Node) -> fmt::Result {
        let key = key(name);
        match &node.value {
            Value::List(elements) if !elements.is_empty() => {
                writeln!(self.out, "{key} = [")?;
                for element in elements {
                    self.line(&format!("    {},", inline(element)), element)?;
                }
                writeln!(self.out, "]")
            }
            _ => self.line(&format!("{key} = {}", inline(node)), node),
        }
    }

    /// A line with its origin behind it.
    fn line(&mut self, text: &str, node: &Node) -> fmt::Result {
        let width = text.trim_start_matches('\n').chars().count();
        let gap = COMMENT_COLUMN.saturating_sub(width).max(2);
        writeln!(self.out, "{text}{:gap$}# {}", "", node.origin)
    }
}

/// Whether what has this shape stands under a header of its own.
fn is_section(shape: &Shape) -> bool {
    match shape {
        Shape::Table(_) | Shape::Map(_) | Shape::Architectures(_) | Shape::Entries { .. } => true,
        Shape::Text
        | Shape::Verbatim
        | Shape::Path
        | Shape::VerbatimOrList
        | Shape::TextOrInteger
        | Shape::Integer
        | Shape::Boolean
        | Shape::Appended(_)
        | Shape::Replaced(_)
        | Shape::Either(..)
        | Shape::Build => false,
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) }
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { quoted(name) }
}

fn inline(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => quoted(&without_credentials(text)),
        Value::Integer { value, radix: 8 } => format!("0o{value:o}"),
        Value::Integer { value, .. } => value.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::List(elements) => {
            format!("[{}]", elements.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Table(table) => {
            let pairs: Vec<String> =
                table.iter().map(|(name, node)| format!("{} = {}", key(name), inline(node))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Other(_) => "\"\"".to_owned(),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            control if control.is_control() => out.extend(unicode_escape(control)),
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

/// `\u001B`.
fn unicode_escape(character: char) -> impl Iterator<Item = char> {
    format!("\\u{:04X}", u32::from(character)).into_bytes().into_iter().map(char::from)
}
