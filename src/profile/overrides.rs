//! What the command line says about the profile, as one more profile merged over all others.
//!
//! Source: design, "The command line".

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::document::{Node, Table, Value};
use super::origin::Origin;
use super::value::Invalid;
use crate::arch::Arch;

/// The options that act on the profile. They merge as the same keys of a profile do: architectures,
/// mirrors and tags replace, repositories and keys are added. `${name}` in them is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// What relative paths in them are relative to.
    pub directory: PathBuf,
    /// `--set`.
    pub settings: Vec<Setting>,
    /// `--arch`.
    pub architectures: Vec<Arch>,
    /// `--mirror`.
    pub mirrors: Vec<String>,
    /// `--repository`.
    pub repositories: Vec<String>,
    /// `--key`.
    pub keys: Vec<String>,
    /// `-t`, `--tag`.
    pub tags: Vec<String>,
}

/// `--set name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The variable, which some profile must have.
    pub name: String,
    /// Its value, taken as it is.
    pub value: String,
}

impl FromStr for Setting {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(Invalid::new(text, "a setting (\"name=value\")")),
        }
    }
}

impl Overrides {
    /// Them all as a profile.
    pub(super) fn to_profile(&self) -> Node {
        let mut alpine = Table::new();
        let arch: Vec<String> = self.architectures.iter().map(Arch::to_string).collect();
        for (key, option, texts) in [
            ("arch", "--arch", &arch),
            ("mirror", "--mirror", &self.mirrors),
            ("repositories", "--repository", &self.repositories),
            ("keys", "--key", &self.keys),
        ] {
            self.insert_list(&mut alpine, key, option, texts);
        }
        let mut image = Table::new();
        self.insert_list(&mut image, "tags", "--tag", &self.tags);
        let set = self.origin("--set");
        let settings = self.settings.iter();
        let vars: Table =
            settings.map(|setting| (setting.name.clone(), Node::text(set.clone(), &setting.value))).collect();
        let mut profile = Table::new();
        for (key, table) in [("alpine", alpine), ("image", image), ("vars", vars)] {
            if !table.is_empty() {
                let node = Node { origin: set.clone(), value: Value::Table(table) };
                profile.insert(key.to_owned(), node);
            }
        }
        Node { origin: set, value: Value::Table(profile) }
    }

    fn origin(&self, option: &'static str) -> Origin {
        Origin::CommandLine { option, directory: Arc::from(self.directory.as_path()) }
    }

    fn insert_list(&self, table: &mut Table, key: &str, option: &'static str, texts: &[String]) {
        if texts.is_empty() {
            return;
        }
        let origin = self.origin(option);
        let elements = texts.iter().map(|text| Node::text(origin.clone(), text)).collect();
        table.insert(key.to_owned(), Node { origin, value: Value::List(elements) });
    }
}
