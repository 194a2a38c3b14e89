//! Which keys a profile has, of which shape, and how two profiles' values of a key become one.
//!
//! The one table of keys: checking, merging, replacing variables and showing all walk it. A key that is
//! not here does not exist.
//!
//! Source: design, "The profile".

use super::document::{Node, Value};
use super::error::{Flaw, Problem};
use super::origin::Origin;
use crate::arch::Arch;
use crate::kind::nearest;

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

/// What a key takes. Unless said otherwise a later profile's value replaces an earlier one's.
#[derive(Debug)]
pub(super) enum Shape {
    /// A string, in which variables are replaced.
    Text,
    /// A string that is taken as it is.
    Verbatim,
    /// A path relative to the profile, in which variables are replaced.
    Path,
    /// A string, or a list of strings, taken as they are.
    VerbatimOrList,
    /// A string or an integer.
    TextOrInteger,
    /// An integer.
    Integer,
    /// A boolean.
    Boolean,
    /// A list. What a later profile lists is appended; a text that is there already, only if it may mean
    /// another thing there.
    Appended(&'static Self),
    /// A list that a later profile's replaces.
    Replaced(&'static Self),
    /// Tables with a key that tells them apart. A later one replaces an earlier one of the same key.
    Entries { by: &'static str, keys: &'static [Key] },
    /// A table of known keys, merged key by key.
    Table(&'static [Key]),
    /// A table of any keys, merged key by key.
    Map(&'static Self),
    /// A table by architecture, merged key by key.
    Architectures(&'static [Key]),
    /// A string, or a table that is taken as a whole.
    Either(&'static Self, &'static [Key]),
    /// What cannot be done yet.
    Build,
}

const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, shape }
}

const TEXTS: Shape = Shape::Appended(&Shape::Text);
const PATHS: Shape = Shape::Appended(&Shape::Path);
const LATEST_TEXTS: Shape = Shape::Replaced(&Shape::Text);

/// The top level of a profile.
pub(super) const PROFILE: &[Key] = &[
    key("extends", Shape::Appended(&Shape::Verbatim)),
    key("description", Shape::Text),
    key("requires", Shape::Verbatim),
    key("vars", Shape::Map(&Shape::Either(&Shape::Verbatim, PROVIDER_OF))),
    key("alpine", Shape::Table(ALPINE)),
    key("packages", Shape::Table(PACKAGES)),
    key("build", Shape::Build),
    key("files", FILES),
    key("dirs", DIRECTORIES),
    key("links", LINKS),
    key("users", Shape::Entries { by: "name", keys: USER }),
    key("groups", Shape::Entries { by: "name", keys: GROUP }),
    key("image", Shape::Table(IMAGE)),
    key("prune", Shape::Table(PRUNE)),
    key("limits", Shape::Table(LIMITS)),
    key("arch", Shape::Architectures(ARCHITECTURE)),
];

/// What can be said for one architecture.
pub(super) const ARCHITECTURE: &[Key] = &[
    key("packages", Shape::Table(PACKAGES)),
    key("build", Shape::Build),
    key("files", FILES),
    key("dirs", DIRECTORIES),
    key("links", LINKS),
    key("prune", Shape::Table(PRUNE)),
];

const PROVIDER_OF: &[Key] = &[key("provider-of", Shape::VerbatimOrList), key("pattern", Shape::Verbatim)];

const ALPINE: &[Key] = &[
    key("release", Shape::Text),
    key("arch", LATEST_TEXTS),
    key("mirror", LATEST_TEXTS),
    key("base", Shape::Text),
    key("base-sha256", Shape::Text),
    key("base-trust", Shape::Text),
    key("repositories", Shape::Appended(&Shape::Either(&Shape::Text, REPOSITORY))),
    key("keys", PATHS),
    key("mirror-keys", PATHS),
    key("upgrade", Shape::Boolean),
];

const REPOSITORY: &[Key] = &[key("url", Shape::Text), key("tag", Shape::Text), key("keys", PATHS)];

const PACKAGES: &[Key] = &[key("runtime", TEXTS), key("optional", TEXTS), key("remove", TEXTS)];

const FILES: Shape = Shape::Entries {
    by: "path",
    keys: &[
        key("path", Shape::Text),
        key("source", Shape::Path),
        key("content", Shape::Verbatim),
        key("url", Shape::Text),
        key("sha256", Shape::Text),
        key("mode", Shape::TextOrInteger),
        key("owner", Shape::Text),
        key("exclude", TEXTS),
        key("dir-mode", Shape::TextOrInteger),
        key("file-mode", Shape::TextOrInteger),
    ],
};

const DIRECTORIES: Shape = Shape::Entries {
    by: "path",
    keys: &[key("path", Shape::Text), key("mode", Shape::TextOrInteger), key("owner", Shape::Text)],
};

const LINKS: Shape =
    Shape::Entries { by: "path", keys: &[key("path", Shape::Text), key("target", Shape::Text)] };

const USER: &[Key] = &[
    key("name", Shape::Text),
    key("uid", Shape::Integer),
    key("group", Shape::TextOrInteger),
    key("gecos", Shape::Text),
    key("home", Shape::Text),
    key("shell", Shape::Text),
];

const GROUP: &[Key] = &[key("name", Shape::Text), key("gid", Shape::Integer), key("members", TEXTS)];

const IMAGE: &[Key] = &[
    key("tags", LATEST_TEXTS),
    key("entrypoint", LATEST_TEXTS),
    key("cmd", LATEST_TEXTS),
    key("env", Shape::Map(&Shape::Text)),
    key("user", Shape::Text),
    key("workdir", Shape::Text),
    key("expose", Shape::Appended(&Shape::TextOrInteger)),
    key("volumes", TEXTS),
    key("labels", Shape::Map(&Shape::Text)),
    key("stop-signal", Shape::Text),
    key("author", Shape::Text),
    key("healthcheck", Shape::Table(HEALTHCHECK)),
    key("smoke", Shape::Replaced(&LATEST_TEXTS)),
    key("repositories", LATEST_TEXTS),
    key("lock-root", Shape::Boolean),
];

const HEALTHCHECK: &[Key] = &[
    key("test", LATEST_TEXTS),
    key("interval", Shape::Text),
    key("timeout", Shape::Text),
    key("start-period", Shape::Text),
    key("start-interval", Shape::Text),
    key("retries", Shape::Integer),
];

const PRUNE: &[Key] = &[key("paths", TEXTS), key("packages", TEXTS)];

const LIMITS: &[Key] = &[key("size", Shape::TextOrInteger), key("packages", Shape::Integer)];

impl Shape {
    /// What messages say the key takes.
    fn wanted(&self) -> &'static str {
        match self {
            Self::Text | Self::Verbatim | Self::Path => "a string",
            Self::VerbatimOrList => "a string or a list of strings",
            Self::TextOrInteger => "a string or an integer",
            Self::Integer => "an integer",
            Self::Boolean => "a boolean (true or false)",
            Self::Appended(Self::Text | Self::Verbatim | Self::Path) | Self::Replaced(Self::Text) => {
                "a list of strings"
            }
            Self::Replaced(Self::Replaced(_)) => "a list of commands, each a list of strings",
            Self::Appended(_) | Self::Replaced(_) => "a list",
            Self::Entries { .. } => "a list of tables (`[[...]]`)",
            Self::Table(_) | Self::Map(_) | Self::Architectures(_) | Self::Build => "a table",
            Self::Either(..) => "a string or a table",
        }
    }
}

/// Finds the keys of a whole profile that do not exist and the values of the wrong type.
pub(super) fn check(profile: &Node) -> Vec<Problem> {
    let mut check = Check { problems: Vec::new() };
    check.table(profile, PROFILE, "");
    check.problems
}

struct Check {
    problems: Vec<Problem>,
}

/// `key` below the table `path`.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl Check {
    fn add(&mut self, origin: &Origin, key: &str, flaw: Flaw) {
        self.problems.push(Problem { origin: origin.clone(), key: key.to_owned(), flaw });
    }

    fn node(&mut self, node: &Node, shape: &Shape, path: &str) {
        match (shape, &node.value) {
            (Shape::Build, _) => self.add(&node.origin, path, Flaw::Build),
            (
                Shape::Text
                | Shape::Verbatim
                | Shape::Path
                | Shape::VerbatimOrList
                | Shape::TextOrInteger
                | Shape::Either(..),
                Value::Text(_),
            )
            | (Shape::Integer | Shape::TextOrInteger, Value::Integer { .. })
            | (Shape::Boolean, Value::Boolean(_)) => {}
            (Shape::Appended(of) | Shape::Replaced(of), Value::List(elements)) => {
                for element in elements {
                    self.element(element, of, shape, path);
                }
            }
            (Shape::VerbatimOrList, Value::List(elements)) => {
                for element in elements {
                    self.element(element, &Shape::Verbatim, shape, path);
                }
            }
            (Shape::Entries { keys, .. }, Value::List(elements)) => {
                for element in elements {
                    match element.value {
                        Value::Table(_) => self.table(element, keys, path),
                        _ => self.wrong_type(element, shape, path),
                    }
                }
            }
            (Shape::Table(keys) | Shape::Either(_, keys), Value::Table(_)) => self.table(node, keys, path),
            (Shape::Map(of), Value::Table(table)) => {
                for (name, node) in table {
                    self.node(node, of, &below(path, name));
                }
            }
            (Shape::Architectures(keys), Value::Table(table)) => {
                for (name, node) in table {
                    let path = below(path, name);
                    match name.parse::<Arch>() {
                        Err(error) => self.add(&node.origin, &path, error.into()),
                        Ok(_) => self.node(node, &Shape::Table(keys), &path),
                    }
                }
            }
            _ => self.wrong_type(node, shape, path),
        }
    }

    /// An element of a list: a wrong type is said of the list, which is what the user wrote.
    fn element(&mut self, element: &Node, of: &Shape, list: &Shape, path: &str) {
        let fits = match of {
            Shape::Text | Shape::Verbatim | Shape::Path => matches!(element.value, Value::Text(_)),
            _ => return self.node(element, of, path),
        };
        if !fits {
            let found = match element.value {
                Value::Integer { .. } => "a list with an integer",
                Value::Boolean(_) => "a list with a boolean",
                Value::List(_) => "a list with a list",
                Value::Table(_) => "a list with a table",
                Value::Text(_) | Value::Other(_) => "a list with something else",
            };
            self.add(&element.origin, path, Flaw::WrongType { wanted: list.wanted(), found });
        }
    }

    fn wrong_type(&mut self, node: &Node, shape: &Shape, path: &str) {
        let flaw = Flaw::WrongType { wanted: shape.wanted(), found: node.type_name() };
        self.add(&node.origin, path, flaw);
    }

    fn table(&mut self, node: &Node, keys: &'static [Key], path: &str) {
        let Some(table) = node.as_table() else {
            return self.wrong_type(node, &Shape::Table(keys), path);
        };
        for (name, node) in table {
            match keys.iter().find(|key| key.name == name) {
                Some(key) => self.node(node, &key.shape, &below(path, name)),
                None => self.add(&node.origin, path, unknown_key(name, keys)),
            }
        }
    }
}

fn unknown_key(name: &str, keys: &'static [Key]) -> Flaw {
    let near = nearest(name, keys.iter().map(|key| key.name));
    let elsewhere = table_with(name, PROFILE, "");
    Flaw::UnknownKey { name: name.to_owned(), near, elsewhere }
}

/// The first table, in the order of the schema, that has the key `name`.
fn table_with(name: &str, keys: &'static [Key], path: &str) -> Option<String> {
    keys.iter().find_map(|key| {
        let inside = match &key.shape {
            Shape::Table(keys) | Shape::Entries { keys, .. } => *keys,
            _ => return None,
        };
        let path = below(path, key.name);
        if inside.iter().any(|key| key.name == name) { Some(path) } else { table_with(name, inside, &path) }
    })
}
