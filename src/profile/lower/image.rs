//! `[image]`: what the image says of itself, and how it starts.

use std::collections::BTreeMap;

use super::entries::tree_path;
use crate::profile::document::Node;
use crate::profile::error::Flaw;
use crate::profile::model::{HealthTest, Healthcheck, Image, RootAccount};
use crate::profile::reader::{TableReader, boolean, integer, parsed, parsed_scalar, stated, text};
use crate::profile::value::{Invalid, is_plain_line, is_plain_text};

const WANTED_ARGUMENT: &str = "an argument (no control characters but tab and newline)";
const WANTED_COMMAND: &str = "a command (its first word must not be empty)";
const WANTED_KEY: &str = "a name (not empty, no `=`, no control characters)";
const WANTED_VALUE: &str = "a value (no control characters but tab and newline)";
const WANTED_LABEL: &str = "a label (not empty, no spaces, no control characters)";
const WANTED_TEST: &str =
    "a health check ([\"CMD\", \"program\", ...], [\"CMD-SHELL\", \"line\"] or [\"NONE\"])";

/// Reads `[image]`.
pub(crate) fn image(table: &TableReader<'_>) -> Image {
    let repositories = table.has("repositories").then(|| table.list("repositories", stated(parsed)));
    Image {
        tags: table.list("tags", parsed),
        entrypoint: command(table, "entrypoint"),
        command: command(table, "cmd"),
        environment: pairs(table, "env", is_variable_name, WANTED_KEY),
        user: table.value("user", parsed),
        working_directory: table.value("workdir", tree_path),
        expose: table.list("expose", parsed_scalar),
        volumes: table.list("volumes", tree_path),
        labels: pairs(table, "labels", is_label, WANTED_LABEL),
        stop_signal: table.value("stop-signal", parsed),
        author: table.value("author", author),
        healthcheck: healthcheck(&table.table("healthcheck")),
        smoke: smoke(table),
        repositories,
        root_account: match table.value("lock-root", boolean) {
            Some(false) => RootAccount::AsInBase,
            Some(true) | None => RootAccount::Locked,
        },
    }
}

fn argument(node: &Node) -> Result<String, Flaw> {
    let text = text(node)?;
    if is_plain_text(text) { Ok(text.to_owned()) } else { Err(Invalid::new(text, WANTED_ARGUMENT).into()) }
}

/// A list of arguments, the first of which is the program.
fn command(table: &TableReader<'_>, key: &str) -> Vec<String> {
    let argv = table.list(key, argument);
    if argv.first().is_some_and(String::is_empty) {
        table.flaw_at(key, &table.origin_of(key), Invalid::new("", WANTED_COMMAND));
    }
    argv
}

fn smoke(table: &TableReader<'_>) -> Vec<crate::profile::origin::Stated<Vec<String>>> {
    let command = |node: &Node| -> Result<Vec<String>, Flaw> {
        let argv: Vec<String> = node.elements().iter().map(argument).collect::<Result<_, _>>()?;
        if argv.first().is_none_or(String::is_empty) {
            return Err(Invalid::new("", WANTED_COMMAND).into());
        }
        Ok(argv)
    };
    table.list("smoke", stated(command))
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('=') && is_plain_line(name)
}

fn is_label(name: &str) -> bool {
    !name.is_empty() && is_plain_line(name) && !name.contains(char::is_whitespace)
}

fn pairs(
    table: &TableReader<'_>,
    key: &str,
    is_name: fn(&str) -> bool,
    wanted: &'static str,
) -> BTreeMap<String, String> {
    let value = |name: &str, node: &Node| -> Result<String, Flaw> {
        if !is_name(name) {
            return Err(Invalid::new(name, wanted).into());
        }
        let text = text(node)?;
        if is_plain_text(text) { Ok(text.to_owned()) } else { Err(Invalid::new(text, WANTED_VALUE).into()) }
    };
    table.map(key, value).into_iter().collect()
}

fn author(node: &Node) -> Result<String, Flaw> {
    let text = text(node)?;
    if is_plain_line(text) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new(text, "an author (one line, no control characters)").into())
    }
}

fn healthcheck(table: &TableReader<'_>) -> Option<Healthcheck> {
    if !table.exists() {
        return None;
    }
    let retries = integer("a number of retries", |number| u32::try_from(number).ok());
    let check = Healthcheck {
        interval: table.value("interval", parsed),
        timeout: table.value("timeout", parsed),
        start_period: table.value("start-period", parsed),
        start_interval: table.value("start-interval", parsed),
        retries: table.value("retries", retries),
        test: HealthTest::None,
    };
    let test = table.required("test", health_test)?;
    Some(Healthcheck { test, ..check })
}

fn health_test(node: &Node) -> Result<HealthTest, Flaw> {
    let words: Vec<String> = node.elements().iter().map(argument).collect::<Result<_, _>>()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["NONE"] => Ok(HealthTest::None),
        ["CMD-SHELL", line] if !line.is_empty() => Ok(HealthTest::Shell((*line).to_owned())),
        ["CMD", argv @ ..] if argv.first().is_some_and(|program| !program.is_empty()) => {
            Ok(HealthTest::Command(argv.iter().map(|word| (*word).to_owned()).collect()))
        }
        _ => Err(Invalid::new(&words.join(" "), WANTED_TEST).into()),
    }
}
