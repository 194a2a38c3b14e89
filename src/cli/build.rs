//! `apkcompose build`, which is also `apkcompose` alone.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::args::{Build, Format, ProfileArgs, Progress, Scripts, Words};
use super::interrupt::Interrupt;
use super::progress;
use super::render::{self, Failure, Look, bytes, counted};
use crate::arch::Arch;
use crate::compose::output::{Destination, Output, OutputKind};
use crate::compose::stage::ScriptPolicy;
use crate::compose::{self, BuildOptions, Report, ReportedImage, ReportedStep};
use crate::fetch::{Fetcher, Network};
use crate::image::Epoch;
use crate::profile::support::Day;
use crate::profile::{self, BUILT_INS, Draft, Found, Location, Overrides};
use crate::report::Reporter;
use crate::store::Store;

/// The variable that reproducible builds set.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";
/// The columns that a list in the summary may fill.
const WIDTH: usize = 100;
/// How many digits of an image's ID docker shows, and takes.
const SHORT_ID: usize = 12;
/// Programs that wait for somebody to type.
const SHELLS: [&str; 3] = ["sh", "ash", "bash"];

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
        arch: arguments.shared.arch,
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
        architectures: shared.arch.into_iter().collect(),
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
        let destination = Destination::File(format!("./{name}.tar").into());
        return vec![Output { kind: OutputKind::Archive, destination }];
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
        Format::Text if report.image.is_none() => return render::data(&plan_text(report)),
        Format::Text if quiet => {}
        // Whoever reads events reads nothing else from there.
        Format::Text if progress == Progress::Json => {
            render::words(&format!("{}\n", json!({ "event": "done", "report": report })));
        }
        Format::Text => render::words(&summary(report, options)),
    }
    Ok(())
}

/// What `--dry-run` prints: the plan, in apk's words.
fn plan_text(report: &Report) -> String {
    let mut text = String::new();
    let total = report.steps.len();
    for (number, step) in report.steps.iter().enumerate() {
        let ReportedStep { action, name, version, installed } = step;
        let versions = match (installed, version) {
            (Some(installed), Some(version)) => format!(" ({installed} -> {version})"),
            (Some(version), None) | (None, Some(version)) => format!(" ({version})"),
            (None, None) => String::new(),
        };
        let step = render::shown(&format!("{action} {name}{versions}"));
        let _ = writeln!(text, "({}/{total}) {step}", number + 1);
    }
    let packages = counted(report.packages as u64, "package", "packages");
    let _ = writeln!(
        text,
        "{packages} in the image; {} to fetch, unless the cache has it",
        bytes(report.download)
    );
    text
}

fn summary(report: &Report, options: &BuildOptions) -> String {
    let Some(image) = &report.image else { return String::new() };
    let mut text = lists(report);
    let names = if image.tags.is_empty() { report.profile.clone() } else { image.tags.join(", ") };
    let _ = writeln!(
        text,
        "{names} for {}: {}, {}",
        report.arch,
        counted(report.packages as u64, "package", "packages"),
        counted(image.entries as u64, "file, directory or link", "files, directories and links"),
    );
    let compressed = image.compressed.map(|size| format!(", {} compressed", bytes(size))).unwrap_or_default();
    let _ =
        writeln!(text, "  size      {} of files, {} as tar{compressed}", bytes(image.size), bytes(image.tar));
    if let Some(id) = &image.id {
        let _ = writeln!(text, "  image     sha256:{id}");
    }
    if let Some(manifest) = &image.manifest {
        let _ = writeln!(text, "  manifest  sha256:{manifest}");
    }
    if !report.branches.is_empty() {
        let _ = writeln!(text, "  alpine    {}", report.branches.join(", "));
    }
    if let Some(base) = &report.base {
        let _ = writeln!(text, "  base      {}, trusted by {}", base.file, base.trust);
    } else {
        let _ = writeln!(text, "  base      none: every package is signed");
    }
    let _ = writeln!(text, "  created   {}", image.created);
    let _ = writeln!(text, "  time      {}", render::time(Duration::from_millis(report.milliseconds)));
    text.push_str(&how_to_load(image, options));
    text
}

/// What is worth knowing, if there is any.
fn lists(report: &Report) -> String {
    let mut text = String::new();
    let mut list = |what: String, list: &[String]| {
        if !list.is_empty() {
            let _ =
                writeln!(text, "{}: {what}:\n{}", Look::of_terminal().note(), render::wrapped(list, WIDTH));
        }
    };
    let count = |list: &[String], one, several| counted(list.len() as u64, one, several);
    let Report { scripts_not_run: scripts, kept, unsatisfied, .. } = report;
    list(count(scripts, "package script was not run", "package scripts were not run"), scripts);
    list(
        count(
            kept,
            "changed file stays in place of a package's",
            "changed files stay in place of a package's",
        ),
        kept,
    );
    list(
        count(
            unsatisfied,
            "dependency is left unsatisfied by pruning",
            "dependencies are left unsatisfied by pruning",
        ),
        unsatisfied,
    );
    text
}

fn how_to_load(image: &ReportedImage, options: &BuildOptions) -> String {
    let mut text = String::new();
    for output in &options.outputs {
        let Destination::File(path) = &output.destination else { continue };
        let path = path.display();
        let _ = match output.kind {
            OutputKind::Archive => {
                let run = how_to_run(image).map(|run| format!(" && {run}")).unwrap_or_default();
                writeln!(text, "wrote {path}; to load it:\n  docker load -i {path}{run}")
            }
            OutputKind::Tar => writeln!(text, "wrote {path}; to import it:\n  docker import {path} NAME"),
        };
    }
    text
}

/// The command that starts the image once it is loaded, if there is something to start.
fn how_to_run(image: &ReportedImage) -> Option<String> {
    let program = image.command.first()?;
    let id = || image.id.map(|id| id.to_string().chars().take(SHORT_ID).collect());
    let name = image.tags.first().cloned().or_else(id)?;
    let is_ours = Arch::of_this_machine().is_some_and(|ours| ours.platform().to_string() == image.platform);
    let platform = if is_ours { String::new() } else { format!(" --platform {}", image.platform) };
    // A shell without a terminal ends at once.
    let is_shell =
        image.command.len() == 1 && SHELLS.iter().any(|shell| program.rsplit('/').next() == Some(shell));
    let terminal = if is_shell { " -it" } else { "" };
    Some(format!("docker run --rm{terminal}{platform} {name}"))
}
