//! `apkcompose build`, which is also `apkcompose` alone.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::args::{Build, Format, ProfileArgs, Progress, Scripts, Words};
use super::interrupt::Interrupt;
use super::render::{self, Failure};
use super::{progress, summary};
use crate::compose::output::{Destination, ImageForm, Output, OutputKind};
use crate::compose::stage::ScriptPolicy;
use crate::compose::{self, BuildOptions, Report};
use crate::fetch::{Fetcher, Network};
use crate::image::Epoch;
use crate::profile::support::Day;
use crate::profile::{self, BUILT_INS, Draft, Found, Location, Overrides};
use crate::report::Reporter;
use crate::store::Store;

/// The variable that reproducible builds set.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

pub(super) fn run(arguments: &Build) -> Result<(), Failure> {
    let Some(name) = &arguments.profile else {
        return Err(Failure::usage(
            "no profile is named",
            format!("try: apkcompose --profile demo\nbuilt-in profiles: {}", built_in_names()),
        ));
    };
    let interrupt = Interrupt::listen();
    let reporter = progress::reporter(&arguments.shared.words, &interrupt);
    let found = find(name, reporter.as_ref())?;
    let draft = Draft::load(&found, &overrides(&arguments.shared, &arguments.tag), BUILT_INS)?;
    let options = BuildOptions {
        architectures: arguments.shared.architectures(),
        outputs: outputs(arguments, draft.name()),
        scripts: match arguments.scripts {
            Scripts::Auto => ScriptPolicy::Auto,
            Scripts::Skip => ScriptPolicy::Skip,
        },
        epoch: epoch(arguments.epoch)?,
        context: arguments.context.clone(),
        today: today(),
    };
    let store = store(&arguments.shared)?;
    let network = Network::new(arguments.shared.network.options());
    let jobs = jobs(&arguments.shared);
    let fetcher = Fetcher { store: &store, network: &network, jobs, reporter: reporter.as_ref() };
    let report = compose::build(&fetcher, &draft, &options)?;
    print(&report, arguments, &options)
}

/// Finds the profile and says which it is, where a name could mean several.
pub(super) fn find(name: &str, reporter: &dyn Reporter) -> Result<Found, Failure> {
    let found = profile::find(name, &working_directory(), BUILT_INS)?;
    let is_plain_built_in = matches!(found.source.location, Location::BuiltIn(_));
    if found.name == name || is_plain_built_in {
        reporter.note(&format!("profile {}", found.source));
    }
    Ok(found)
}

/// Paths are meant from where the command is run; they stay as they were typed.
fn working_directory() -> PathBuf {
    PathBuf::new()
}

pub(super) fn overrides(shared: &ProfileArgs, tags: &[String]) -> Overrides {
    Overrides {
        directory: working_directory(),
        settings: shared.set.clone(),
        architectures: shared.named_architectures(),
        mirrors: shared.mirror.clone(),
        repositories: shared.repository.clone(),
        keys: shared.key.clone(),
        tags: tags.to_vec(),
    }
}

pub(super) fn jobs(shared: &ProfileArgs) -> NonZeroUsize {
    shared.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// The day it is by the system's clock; nothing if that stands before 1970.
pub(super) fn today() -> Option<Day> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let now = Epoch::new(i64::try_from(seconds).ok()?).ok()?.to_string();
    now.split('T').next()?.parse().ok()
}

pub(super) fn store(shared: &ProfileArgs) -> Result<Store, Failure> {
    let directory = match &shared.cache_dir {
        Some(directory) => directory.clone(),
        None => Store::default_directory()?,
    };
    Ok(Store::open(&directory)?)
}

pub(super) fn built_in_names() -> String {
    BUILT_INS.iter().map(|built_in| built_in.name).collect::<Vec<_>>().join(", ")
}

fn outputs(arguments: &Build, name: &str) -> Vec<Output> {
    if arguments.dry_run {
        return Vec::new();
    }
    if arguments.output.is_empty() {
        let destination = Destination::Path(format!("./{name}.tar").into());
        return vec![Output { kind: OutputKind::Archive(ImageForm::default()), destination }];
    }
    arguments.output.clone()
}

/// `--epoch`, else `SOURCE_DATE_EPOCH`.
fn epoch(option: Option<i64>) -> Result<Option<Epoch>, Failure> {
    let of_environment = || {
        let text = std::env::var_os(SOURCE_DATE_EPOCH).filter(|text| !text.is_empty())?;
        let text = text.to_string_lossy();
        Some(text.parse().map_err(|_| {
            Failure::usage(
                format!("{SOURCE_DATE_EPOCH} is `{text}`, which is no number of seconds"),
                "unset it, or set it to seconds since 1970",
            )
        }))
    };
    let seconds = match option {
        Some(seconds) => Some(seconds),
        None => of_environment().transpose()?,
    };
    Ok(seconds.map(Epoch::new).transpose()?)
}

/// The report goes to standard output if a program wants it and the image does not go there.
fn print(report: &Report, arguments: &Build, options: &BuildOptions) -> Result<(), Failure> {
    let Words { quiet, progress, .. } = arguments.shared.words;
    let pipe = options.outputs.iter().any(|output| output.destination == Destination::Stdout);
    match arguments.format {
        Format::Json if pipe => render::words(&render::json(report)),
        Format::Json => return render::data(&render::json(report)),
        Format::Text if arguments.dry_run => return render::data(&summary::of_plan(report)),
        Format::Text if quiet => {}
        // Whoever reads events reads nothing else from there.
        Format::Text if progress == Progress::Json => {
            render::words(&format!("{}\n", json!({ "event": "done", "report": report })));
        }
        Format::Text => render::words(&summary::of_build(report, options)),
    }
    Ok(())
}
