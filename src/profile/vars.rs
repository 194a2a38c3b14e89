//! Variables: what they are, and what becomes of `${name}`.
//!
//! A variable is a plain text, or the part of a package's name that only the solver can say
//! (`provider-of`). The text of a variable is plain: it refers to no other variable. `${name}` is replaced
//! in every string but file content; `$${` stands for a plain `${`; a lone `$` is itself. What is put in is
//! not looked at again, and how much may be put in is bounded.
//!
//! Source: design, "The profile".

use std::cell::Cell;
use std::collections::BTreeMap;

use super::document::{Node, Table, Value};
use super::error::{Flaw, Problem};
use super::names::VariableName;
use super::origin::{Origin, Stated};
use super::pattern::ValuePattern;
use super::schema::{Key, Shape, below};
use crate::apk::dependency::Dependency;
use crate::kind::nearest;

/// The longest value of a variable, in bytes.
const MAX_VALUE: usize = 4096;
/// The longest string after its variables are replaced, in bytes.
const MAX_TEXT: usize = 64 << 10;
/// All strings of all profiles together, after their variables are replaced, in bytes.
const MAX_TOTAL: usize = 16 << 20;
/// The most problems that are collected.
const MAX_PROBLEMS: usize = 100;

/// What a profile says of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// Its value.
    Text(String),
    /// Where its value is found.
    ProviderOf(ProviderVariable),
}

/// A variable whose value is a part of the name of the package that the solver picks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderVariable {
    /// What the package is to provide: the first of these that any package provides. Never empty; no conflicts.
    pub provided: Vec<Dependency>,
    /// Which part of its name is the value.
    pub pattern: ValuePattern,
}

/// The variables of a profile.
pub(super) type Variables = BTreeMap<VariableName, Stated<Variable>>;

/// Reads a merged `vars` table.
pub(super) fn read(table: Option<&Node>, problems: &mut Vec<Problem>) -> Variables {
    let mut variables = Variables::new();
    for (name, node) in table.and_then(Node::as_table).into_iter().flatten() {
        let variable = name.parse().map_err(Flaw::from).and_then(|name| Ok((name, variable(node)?)));
        match variable {
            Ok((name, value)) => {
                variables.insert(name, Stated { value, origin: node.origin.clone() });
            }
            Err(flaw) => {
                problems.push(Problem { origin: node.origin.clone(), key: below("vars", name), flaw });
            }
        }
    }
    variables
}

fn variable(node: &Node) -> Result<Variable, Flaw> {
    if let Some(text) = node.as_text() {
        // On the command line, what looks like a reference is what the user means.
        let refers = !matches!(node.origin, Origin::CommandLine { .. })
            && Pieces(text).any(|piece| !matches!(piece, Piece::Plain(_)));
        return match text {
            _ if refers => Err(Flaw::VariableInVariable),
            _ if text.len() > MAX_VALUE => Err(Flaw::TooLong { limit: MAX_VALUE }),
            _ => Ok(Variable::Text(unescaped(text, &node.origin))),
        };
    }
    let stated = |key| node.get(key).ok_or(Flaw::Missing { key });
    let provided = stated("provider-of")?;
    let provided = match provided.as_text() {
        Some(text) => vec![provided_name(text)?],
        None => provided
            .elements()
            .iter()
            .filter_map(Node::as_text)
            .map(provided_name)
            .collect::<Result<_, _>>()?,
    };
    if provided.is_empty() {
        return Err(Flaw::Missing { key: "provider-of" });
    }
    let pattern = ValuePattern::new(stated("pattern")?.as_text().unwrap_or_default())?;
    Ok(Variable::ProviderOf(ProviderVariable { provided, pattern }))
}

fn provided_name(text: &str) -> Result<Dependency, Flaw> {
    let provided: Dependency = text.parse()?;
    if provided.conflict {
        let wanted = "the name of what a package provides";
        return Err(super::value::Invalid::new(&provided.to_string(), wanted).into());
    }
    Ok(provided)
}

fn unescaped(text: &str, origin: &Origin) -> String {
    match origin {
        Origin::CommandLine { .. } => text.to_owned(),
        Origin::Profile { .. } | Origin::Default => text.replace("$${", "${"),
    }
}

/// When variables are replaced, which decides what becomes of those the solver has to say.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase<'a> {
    /// Before anything is known: a use is a mistake.
    Early,
    /// To be shown: a use stays as it stands, and so does `$${`.
    Shown,
    /// At the end: they have these values.
    Final(&'a BTreeMap<VariableName, String>),
}

/// Replaces the variables in all strings of a tree.
#[derive(Debug)]
pub(super) struct Substitution<'a> {
    variables: &'a Variables,
    phase: Phase<'a>,
    room: Cell<usize>,
}

impl<'a> Substitution<'a> {
    pub(super) fn new(variables: &'a Variables, phase: Phase<'a>) -> Self {
        Self { variables, phase, room: Cell::new(MAX_TOTAL) }
    }

    /// `node`, a table of `keys`, with the variables replaced.
    pub(super) fn table(&self, node: &Node, keys: &[Key], problems: &mut Vec<Problem>) -> Node {
        let entry = |name: &str, node: &Node, problems: &mut Vec<Problem>| {
            let shape = keys.iter().find(|key| key.name == name).map_or(&Shape::Verbatim, |key| &key.shape);
            self.node(node, shape, name, problems)
        };
        map_table(node, entry, problems)
    }

    /// `key` is what messages call the node; problems inside a table are named below it.
    fn node(&self, node: &Node, shape: &Shape, key: &str, problems: &mut Vec<Problem>) -> Node {
        match (shape, &node.value) {
            // Beyond that nobody reads on, and looking for near names takes its time.
            _ if problems.len() >= MAX_PROBLEMS => node.clone(),
            (
                Shape::Text | Shape::Path | Shape::TextOrInteger | Shape::Either(Shape::Text, _),
                Value::Text(text),
            ) => match self.text(text) {
                Ok(text) => Node { origin: node.origin.clone(), value: Value::Text(text) },
                Err(flaw) => {
                    problems.push(Problem { origin: node.origin.clone(), key: key.to_owned(), flaw });
                    node.clone()
                }
            },
            (Shape::Appended(of) | Shape::Replaced(of), Value::List(elements)) => {
                let elements = elements.iter().map(|element| self.node(element, of, key, problems)).collect();
                Node { origin: node.origin.clone(), value: Value::List(elements) }
            }
            (Shape::Entries { keys, .. }, Value::List(elements)) => {
                let elements =
                    elements.iter().map(|element| self.below(element, keys, key, problems)).collect();
                Node { origin: node.origin.clone(), value: Value::List(elements) }
            }
            (Shape::Table(keys) | Shape::Either(_, keys), Value::Table(_)) => {
                self.below(node, keys, key, problems)
            }
            (Shape::Map(of), _) => {
                let value = |name: &str, node: &Node, problems: &mut Vec<Problem>| {
                    self.node(node, of, &below(key, name), problems)
                };
                map_table(node, value, problems)
            }
            (Shape::Architectures(keys), _) => {
                let value = |name: &str, node: &Node, problems: &mut Vec<Problem>| {
                    self.below(node, keys, &below(key, name), problems)
                };
                map_table(node, value, problems)
            }
            _ => node.clone(),
        }
    }

    fn below(&self, node: &Node, keys: &[Key], path: &str, problems: &mut Vec<Problem>) -> Node {
        let from = problems.len();
        let table = self.table(node, keys, problems);
        for problem in problems.iter_mut().skip(from) {
            problem.key = below(path, &problem.key);
        }
        table
    }

    fn text(&self, text: &str) -> Result<String, Flaw> {
        let mut out = String::new();
        for piece in Pieces(text) {
            match piece {
                Piece::Plain(plain) => out.push_str(plain),
                Piece::Escape if matches!(self.phase, Phase::Shown) => out.push_str("$${"),
                Piece::Escape => out.push_str("${"),
                Piece::Reference(name) => self.put(name, &mut out)?,
                Piece::Broken(text) => return Err(Flaw::BadReference { text: text.to_owned() }),
            }
            if out.len() > MAX_TEXT && out.len() > text.len() {
                return Err(Flaw::TooLong { limit: MAX_TEXT });
            }
        }
        let room = self.room.get().checked_sub(out.len()).ok_or(Flaw::TooLong { limit: MAX_TOTAL })?;
        self.room.set(room);
        Ok(out)
    }

    fn put(&self, name: &str, out: &mut String) -> Result<(), Flaw> {
        let found = self.variables.get_key_value(name);
        let (variable, stated) = found.ok_or_else(|| self.unknown(name))?;
        match (&stated.value, self.phase) {
            // What is shown is to read back as it is.
            (Variable::Text(value), Phase::Shown) => out.push_str(&value.replace("${", "$${")),
            (Variable::Text(value), _) => out.push_str(value),
            (Variable::ProviderOf(_), Phase::Early) => {
                return Err(Flaw::TooEarly { name: name.to_owned() });
            }
            (Variable::ProviderOf(_), Phase::Shown) => {
                out.push_str("${");
                out.push_str(name);
                out.push('}');
            }
            (Variable::ProviderOf(_), Phase::Final(values)) => {
                let value = values.get(variable).ok_or_else(|| Flaw::Unresolved { name: name.to_owned() })?;
                out.push_str(value);
            }
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> Flaw {
        unknown_variable(name, self.variables.keys().map(VariableName::as_str).collect())
    }
}

/// A table with `value` of each of its values.
fn map_table(
    node: &Node,
    value: impl Fn(&str, &Node, &mut Vec<Problem>) -> Node,
    problems: &mut Vec<Problem>,
) -> Node {
    let entries = node.as_table().into_iter().flatten();
    let table: Table = entries.map(|(name, node)| (name.clone(), value(name, node, problems))).collect();
    Node { origin: node.origin.clone(), value: Value::Table(table) }
}

/// No variable among `known` is called `name`.
pub(super) fn unknown_variable(name: &str, known: Vec<&str>) -> Flaw {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    Flaw::UnknownVariable {
        name: name.to_owned(),
        near: owned(nearest(name, known.iter().copied())),
        known: owned(known),
    }
}

/// A text in pieces.
struct Pieces<'a>(&'a str);

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Plain(&'a str),
    /// `$${`.
    Escape,
    /// `${name}`: the name.
    Reference(&'a str),
    /// From a `${` that no name and `}` follow.
    Broken(&'a str),
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let text = self.0;
        if text.is_empty() {
            return None;
        }
        if let Some(rest) = text.strip_prefix("$${") {
            self.0 = rest;
            return Some(Piece::Escape);
        }
        if let Some(rest) = text.strip_prefix("${") {
            let name = rest.split_once('}').filter(|(name, _)| name.parse::<VariableName>().is_ok());
            let Some((name, rest)) = name else {
                self.0 = "";
                return Some(Piece::Broken(text));
            };
            self.0 = rest;
            return Some(Piece::Reference(name));
        }
        let special = text.char_indices().skip(1).find(|(at, _)| {
            text.get(*at..).is_some_and(|rest| rest.starts_with("${") || rest.starts_with("$${"))
        });
        let (plain, rest) = text.split_at(special.map_or(text.len(), |(at, _)| at));
        self.0 = rest;
        Some(Piece::Plain(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let stated = |value| Stated { value, origin: Origin::Default };
        let provider = ProviderVariable {
            provided: vec![Dependency::on("php-fpm")],
            pattern: ValuePattern::new("php*-fpm").unwrap(),
        };
        [
            ("a", Variable::Text("1".into())),
            ("long", Variable::Text("x".repeat(MAX_VALUE))),
            ("dollar", Variable::Text("${a}".into())),
            ("php", Variable::ProviderOf(provider)),
        ]
        .map(|(name, value)| (name.parse().unwrap(), stated(value)))
        .into()
    }

    fn replaced(text: &str, phase: Phase<'_>) -> Result<String, Flaw> {
        Substitution::new(&variables(), phase).text(text)
    }

    #[test]
    fn references_are_replaced_and_escapes_are_not() {
        let values = BTreeMap::from([("php".parse().unwrap(), "83".to_owned())]);
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${a}", "1"),
            ("x${a}y${a}z", "x1y1z"),
            ("php${php}-fpm", "php83-fpm"),
            ("$${a}", "${a}"),
            ("$$${a}", "$${a}"),
            ("$a $ $$ {a}", "$a $ $$ {a}"),
            ("é$", "é$"),
            ("${dollar}", "${a}"),
        ] {
            assert_eq!(replaced(text, Phase::Final(&values)).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_it_is() {
        assert_eq!(replaced("${a} ${php} $${a} ${dollar}", Phase::Shown).unwrap(), "1 ${php} $${a} $${a}");
    }

    #[test]
    fn a_broken_or_unknown_reference_is_refused() {
        for text in ["${", "${a", "${}", "${a b}", "x${a.b}", "${é}", "${${a}}"] {
            assert!(matches!(replaced(text, Phase::Early), Err(Flaw::BadReference { .. })), "{text}");
        }
        assert!(matches!(replaced("${b}", Phase::Early), Err(Flaw::UnknownVariable { .. })));
        assert!(matches!(replaced("${php}", Phase::Early), Err(Flaw::TooEarly { .. })));
        assert!(matches!(replaced("${php}", Phase::Final(&BTreeMap::new())), Err(Flaw::Unresolved { .. })));
    }

    #[test]
    fn what_variables_can_grow_to_is_bounded() {
        assert_eq!(replaced(&"${long}".repeat(100), Phase::Early), Err(Flaw::TooLong { limit: MAX_TEXT }));
        let variables = variables();
        let substitution = Substitution::new(&variables, Phase::Early);
        let text = "${long}".repeat(10);
        let refused = (0..1000).find_map(|_| substitution.text(&text).err());
        assert_eq!(refused, Some(Flaw::TooLong { limit: MAX_TOTAL }));
    }
}
