//! `apkcompose profiles`: list, show and check.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::args::{Format, ProfileArgs, Profiles};
use super::render::{self, Failure, bytes, counted, indented};
use super::session::{Session, find, overrides, today};
use crate::arch::Arch;
use crate::compose::ground::Ground;
use crate::compose::plan;
use crate::fetch::Fetcher;
use crate::kind::{Explain, Kind};
use crate::profile::{BUILT_INS, Draft, Overrides, ProfileError, Setting};
use crate::report::{Reporter, Silent, Step};

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
    /// What was found for each architecture, where that was looked at.
    images: Vec<CheckedImage>,
    notes: Vec<String>,
    warnings: Vec<String>,
    error: Option<String>,
    hint: Option<String>,
    #[serde(skip)]
    kind: Option<Kind>,
}

/// What an image of a profile comes to.
#[derive(Serialize)]
struct CheckedImage {
    arch: String,
    packages: usize,
    /// How many bytes of packages are fetched into an empty cache.
    download: u64,
}

fn check(names: &[String], text_only: bool, format: Format, shared: &ProfileArgs) -> Result<(), Failure> {
    let built_in: Vec<String> = BUILT_INS.iter().map(|built_in| built_in.name.to_owned()).collect();
    let names = if names.is_empty() { &built_in } else { names };
    let drafts = names.iter().map(|name| (Checked::of(name), load(name, shared)));
    let checked: Vec<Checked> = if text_only {
        drafts.map(|(checked, draft)| checked.with(draft.map(drop))).collect()
    } else {
        let session = Session::open(shared)?;
        let fetcher = session.fetcher();
        let mut ground = Ground::new(today());
        drafts
            .map(|(checked, draft)| match draft {
                Ok(draft) => checked.with_images(&draft, &mut ground, &fetcher),
                Err(error) => checked.with(Err(error)),
            })
            .collect()
    };
    match format {
        Format::Json => render::data(&render::json(&checked))?,
        Format::Text => render::data(&text_of(&checked))?,
    }
    match checked.iter().find_map(|checked| checked.kind) {
        None => Ok(()),
        Some(kind) => {
            let wrong = checked.iter().filter(|checked| !checked.ok).count();
            Err(Failure::checked(format!("{wrong} of {} profiles cannot be built", checked.len()), kind))
        }
    }
}

/// The profile, if its text is right.
fn load(name: &str, shared: &ProfileArgs) -> Result<Draft, ProfileError> {
    let found = crate::profile::find(name, "".as_ref(), BUILT_INS)?;
    let draft = Draft::load(&found, &overrides(shared, &[]), BUILT_INS)?;
    draft.check().map(|()| draft)
}

/// A line for each profile, and what is to be said of it below. What was said of an earlier one is not said again.
fn text_of(checked: &[Checked]) -> String {
    let width = checked.iter().map(|checked| checked.profile.len()).max().unwrap_or(0);
    let mut said = HashSet::new();
    let mut text = String::new();
    for checked in checked {
        let _ = writeln!(text, "{:width$}  {}", checked.profile, indented(&checked.verdict()));
        if let Some(hint) = &checked.hint {
            let _ = writeln!(text, "  hint: {}", indented(hint));
        }
        let notes = checked.notes.iter().map(|note| ("note", note));
        for (kind, words) in notes.chain(checked.warnings.iter().map(|warning| ("warning", warning))) {
            if said.insert(words) {
                let _ = writeln!(text, "  {kind}: {}", indented(words).replace('\n', "\n  "));
            }
        }
    }
    text
}

impl Checked {
    fn of(name: &str) -> Self {
        Self {
            profile: name.to_owned(),
            ok: true,
            images: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
            error: None,
            hint: None,
            kind: None,
        }
    }

    fn with(self, result: Result<(), impl Explain>) -> Self {
        match result {
            Ok(()) => self,
            Err(error) => Self {
                ok: false,
                error: Some(error.to_string()),
                hint: error.hint(),
                kind: Some(error.kind()),
                ..self
            },
        }
    }

    /// Plans for every architecture of the profile, as far as there is a plan.
    fn with_images(mut self, draft: &Draft, ground: &mut Ground, fetcher: &Fetcher<'_>) -> Self {
        let listener = Listener { reporter: fetcher.reporter, heard: Mutex::default() };
        let fetcher = Fetcher { reporter: &listener, ..*fetcher };
        let mut plan = |arch: Arch| {
            let sources = ground.sources(&fetcher, draft, arch)?;
            plan::prepare(&fetcher, ground, draft, sources, arch)
        };
        let mut result = Ok(());
        for &arch in &draft.alpine().architectures {
            match plan(arch) {
                Ok(prepared) => {
                    self.images.push(CheckedImage {
                        arch: arch.to_string(),
                        packages: prepared.plan.package_count,
                        download: prepared.plan.download(),
                    });
                    prepared.lints.iter().for_each(|lint| listener.warn(&lint.to_string()));
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let heard = listener.into_heard();
        (self.notes, self.warnings) = (heard.notes, heard.warnings);
        self.with(result)
    }

    fn verdict(&self) -> String {
        if let Some(error) = &self.error {
            return format!("failed: {error}");
        }
        let figures = |image: &CheckedImage| {
            let packages = counted(image.packages as u64, "package", "packages");
            format!("{packages}, {} to fetch", bytes(image.download))
        };
        match self.images.as_slice() {
            [] => "ok".to_owned(),
            [image] => format!("ok, {}", figures(image)),
            images => {
                let each = images.iter().map(|image| format!("{}: {}", image.arch, figures(image)));
                format!("ok, {}", each.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// What is said of one profile while several are planned, each once.
#[derive(Default)]
struct Heard {
    notes: Vec<String>,
    warnings: Vec<String>,
}

/// Keeps what is said for the report, and passes on everything else.
struct Listener<'a> {
    reporter: &'a dyn Reporter,
    heard: Mutex<Heard>,
}

impl Listener<'_> {
    fn hear(&self, list: impl FnOnce(&mut Heard) -> &mut Vec<String>, message: &str) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let list = list(&mut heard);
        if list.iter().all(|known| known != message) {
            list.push(message.to_owned());
        }
    }

    fn into_heard(self) -> Heard {
        self.heard.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for Listener<'_> {
    fn begin(&self, step: Step, total: u64) {
        self.reporter.begin(step, total);
    }

    fn advance(&self, step: Step, amount: u64, object: &str) {
        self.reporter.advance(step, amount, object);
    }

    fn begin_file(&self, step: Step, object: &str, total: Option<u64>) {
        self.reporter.begin_file(step, object, total);
    }

    fn advance_file(&self, step: Step, amount: u64, object: &str) {
        self.reporter.advance_file(step, amount, object);
    }

    fn end_file(&self, step: Step, object: &str) {
        self.reporter.end_file(step, object);
    }

    fn end(&self, step: Step) {
        self.reporter.end(step);
    }

    fn note(&self, message: &str) {
        self.hear(|heard| &mut heard.notes, message);
    }

    fn warn(&self, message: &str) {
        self.hear(|heard| &mut heard.warnings, message);
    }

    fn interrupted(&self) -> bool {
        self.reporter.interrupted()
    }
}
