//! The program that attacks from inside: a package's script runs it. Its first argument names the attack, the others are
//! what that attack needs to know of the system outside.
//!
//! Each attempt is a line of the report: its name, and `refused` with the error's number, or `done`.
//! It is compiled by the tests for themselves, as one file, without any other crate.

#![allow(non_upper_case_globals)]

mod attempts;
mod calls;
mod changes;
mod indirect;
mod floods;
mod kernel;
mod refuse;
mod trees;

use std::collections::BTreeMap;

/// What is known of the system outside: `name=value` arguments.
pub(crate) struct Outside(BTreeMap<String, String>);

impl Outside {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or(-1)
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let attack = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let pairs = rest.iter().filter_map(|pair| pair.split_once('='));
    let outside = Outside(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    match attack.as_str() {
        "attempts" => attempts::all(&outside),
        "changes" => changes::all(),
        "kernel" => kernel::all(),
        "stale-records" => kernel::stale_records(),
        "speed" => kernel::speed(),
        "race" => attempts::race(&outside),
        "fork-bomb" => floods::fork_bomb(),
        "thread-bomb" => floods::thread_bomb(),
        "daemon" => floods::daemon(),
        "headless" => floods::headless(),
        "siblings" => floods::siblings(),
        "hang" => floods::hang(),
        "stop-me" => floods::stop_me(),
        "memory" => floods::memory(),
        "shared-memory" => floods::shared_memory(),
        "hidden-memory" => floods::hidden_memory(),
        "unmapped-memory" => floods::unmapped_memory(),
        "zero-memory" => floods::zero_memory(),
        "sockets" => floods::sockets(),
        "many-pipes" => floods::many_pipes(),
        "mappings" => floods::mappings(),
        "temporary-files" => floods::temporary_files(),
        "deleted-files" => floods::deleted_files(),
        "write" => floods::write_some(&rest),
        "page-tables" => floods::page_tables(),
        "headless-memory" => floods::headless_memory(),
        "attributes" => floods::attributes(),
        "pipes" => floods::pipes(),
        "steal-output" => floods::steal_output(),
        "one-file" => floods::one_file(),
        "many-bytes" => floods::many_bytes(),
        "many-files" => floods::many_files(),
        "sparse" => floods::sparse(),
        "deep" => trees::deep(),
        "names" => trees::names(&rest),
        "odd" => trees::odd(),
        "refuse" => refuse::run(&rest),
        "handler-gone" => indirect::handler_gone(&rest),
        file if file.starts_with('/') => indirect::handler(),
        other => {
            eprintln!("no attack is called {other}");
            std::process::exit(99);
        }
    }
}
