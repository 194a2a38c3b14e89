//! `apkcompose profiles`: list, show and check.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{Format, ProfileArgs, Profiles};
use super::build::{find, jobs, overrides, store};
use super::interrupt::Interrupt;
use super::progress;
use super::render::{self, Failure, indented};
use crate::compose::plan;
use crate::fetch::{Fetcher, Network};
use crate::kind::{Explain, Kind};
use crate::profile::{BUILT_INS, Draft, Overrides, Setting};
use crate::report::{Reporter, Silent};

pub(super) fn run(command: &Profiles) -> Result<(), Failure> {
    match command {
        Profiles::List { format } => list(*format),
        Profiles::Show { name, resolved, format, set } => {
            show(name, *resolved || *format == Format::Json, *format, set)
        }
        Profiles::Check { names, text_only, format, shared } => check(names, *text_only, *format, shared),
    }
}

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    description: String,
}

fn list(format: Format) -> Result<(), Failure> {
    let mut listed = Vec::new();
    for built_in in BUILT_INS {
        let found = crate::profile::find(built_in.name, "".as_ref(), BUILT_INS)?;
        let draft = Draft::load(&found, &Overrides::default(), BUILT_INS)?;
        listed.push(Listed {
            name: built_in.name,
            description: draft.description().unwrap_or_default().to_owned(),
        });
    }
    match format {
        Format::Json => render::data(&render::json(&listed)),
        Format::Text => {
            let width = listed.iter().map(|listed| listed.name.len()).max().unwrap_or(0);
            let lines =
                listed.iter().map(|listed| format!("{:width$}  {}\n", listed.name, listed.description));
            render::data(&lines.collect::<String>())
        }
    }
}

fn show(name: &str, resolved: bool, format: Format, set: &[Setting]) -> Result<(), Failure> {
    let found = find(name, &Silent)?;
    if !resolved {
        return render::data(&found.text);
    }
    let overrides = Overrides { settings: set.to_vec(), ..Overrides::default() };
    let merged = Draft::load(&found, &overrides, BUILT_INS)?.show()?;
    match format {
        Format::Json => render::data(&render::json(&merged.to_json())),
        Format::Text => render::data(&merged.to_string()),
    }
}

/// What checking a profile has come to.
#[derive(Serialize)]
struct Checked {
    profile: String,
    ok: bool,
    /// How many packages an image has, where that was looked at.
    packages: Option<usize>,
    warnings: Vec<String>,
    error: Option<String>,
    hint: Option<String>,
    #[serde(skip)]
    kind: Option<Kind>,
}

fn check(names: &[String], text_only: bool, format: Format, shared: &ProfileArgs) -> Result<(), Failure> {
    let interrupt = Interrupt::listen();
    let reporter = progress::reporter(&shared.words, &interrupt);
    let built_in: Vec<String> = BUILT_INS.iter().map(|built_in| built_in.name.to_owned()).collect();
    let names = if names.is_empty() { &built_in } else { names };
    let mut checked = Vec::new();
    for name in names {
        checked.push(check_one(name, text_only, shared, reporter.as_ref())?);
    }
    match format {
        Format::Json => render::data(&render::json(&checked))?,
        Format::Text => render::data(&checked.iter().map(text_of).collect::<String>())?,
    }
    match checked.iter().find_map(|checked| checked.kind) {
        None => Ok(()),
        Some(kind) => {
            let wrong = checked.iter().filter(|checked| !checked.ok).count();
            Err(Failure::checked(format!("{wrong} of {} profiles cannot be built", checked.len()), kind))
        }
    }
}

fn text_of(checked: &Checked) -> String {
    let mut text = format!("{}: ", checked.profile);
    match (&checked.error, checked.packages) {
        (Some(error), _) => {
            let _ = writeln!(text, "{}", indented(error));
            if let Some(hint) = &checked.hint {
                let _ = writeln!(text, "  hint: {}", indented(hint));
            }
        }
        (None, Some(packages)) => {
            let _ = writeln!(text, "ok, {packages} packages");
        }
        (None, None) => text.push_str("ok\n"),
    }
    for warning in &checked.warnings {
        let _ = writeln!(text, "  warning: {}", indented(warning));
    }
    text
}

fn check_one(
    name: &str,
    text_only: bool,
    shared: &ProfileArgs,
    reporter: &dyn Reporter,
) -> Result<Checked, Failure> {
    let mut checked = Checked {
        profile: name.to_owned(),
        ok: true,
        packages: None,
        warnings: Vec::new(),
        error: None,
        hint: None,
        kind: None,
    };
    let draft = crate::profile::find(name, "".as_ref(), BUILT_INS)
        .and_then(|found| Draft::load(&found, &overrides(shared, &[]), BUILT_INS))
        .and_then(|draft| draft.check().map(|()| draft));
    let draft = match draft {
        Ok(draft) => draft,
        Err(error) => {
            checked.fail(&error);
            return Ok(checked);
        }
    };
    if text_only {
        return Ok(checked);
    }
    let store = store(shared)?;
    let network = Network::new(shared.network.options());
    let fetcher = Fetcher { store: &store, network: &network, jobs: jobs(shared), reporter };
    let architectures = draft.alpine().architectures.clone();
    for arch in architectures {
        let prepared = plan::fetch_sources(&fetcher, &draft, arch)
            .and_then(|sources| plan::prepare(&fetcher, &draft, sources, arch));
        match prepared {
            Ok(prepared) => {
                checked.packages = Some(prepared.plan.package_count);
                checked.warnings.extend(prepared.profile.lints().iter().map(ToString::to_string));
            }
            Err(error) => checked.fail(&error),
        }
    }
    checked.warnings.dedup();
    Ok(checked)
}

impl Checked {
    fn fail(&mut self, error: &impl Explain) {
        self.ok = false;
        self.error = Some(error.to_string());
        self.hint = error.hint();
        self.kind = Some(error.kind());
    }
}
