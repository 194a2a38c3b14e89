//! What commands that work with a profile, or fetch, begin with.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::args::{ProfileArgs, Question};
use super::interrupt::Interrupt;
use super::progress;
use super::render::{self, Failure};
use crate::compose::scripts::{ScriptOptions, ScriptPolicy};
use crate::compose::{Architectures, BuildOptions};
use crate::fetch::{Fetcher, Network};
use crate::image::Epoch;
use crate::profile::support::Day;
use crate::profile::{self, BUILT_INS, Draft, Found, Location, Overrides};
use crate::report::Reporter;
use crate::sandbox::{Confinement, Limits, SandboxOptions};
use crate::store::Store;

/// What a script may use: more than any of Alpine's does.
const LIMITS: Limits =
    Limits { time: Duration::from_secs(300), processes: 1024, memory: 4 << 30, space: 4 << 30 };

/// A command at work: whom it tells, where it keeps things, how it reaches others. Ctrl-C stops it.
pub(super) struct Session<'a> {
    shared: &'a ProfileArgs,
    reporter: Box<dyn Reporter>,
    store: Store,
    network: Network,
}

impl<'a> Session<'a> {
    /// Begins as the arguments say.
    pub(super) fn open(shared: &'a ProfileArgs) -> Result<Self, Failure> {
        Ok(Self {
            shared,
            reporter: progress::reporter(
                &shared.words,
                &Interrupt::listen(render::interrupted(shared.words.progress)),
            ),
            store: store(shared)?,
            network: Network::new(shared.network.options()),
        })
    }

    /// What fetches.
    pub(super) fn fetcher(&self) -> Fetcher<'_> {
        Fetcher {
            store: &self.store,
            network: &self.network,
            jobs: jobs(self.shared),
            reporter: self.reporter.as_ref(),
        }
    }

    /// The profile that is called `name`.
    pub(super) fn draft(&self, name: &str, tags: &[String]) -> Result<Draft, Failure> {
        let found = find(name, self.reporter.as_ref())?;
        Ok(Draft::load(&found, &overrides(self.shared, tags), BUILT_INS)?)
    }
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

fn jobs(shared: &ProfileArgs) -> NonZeroUsize {
    shared.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// The day it is by the system's clock; nothing if that stands before 1970.
pub(super) fn today() -> Option<Day> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let now = Epoch::new(i64::try_from(seconds).ok()?).ok()?.to_string();
    now.split('T').next()?.parse().ok()
}

fn store(shared: &ProfileArgs) -> Result<Store, Failure> {
    let directory = match &shared.cache_dir {
        Some(directory) => directory.clone(),
        None => Store::default_directory()?,
    };
    Ok(Store::open(&directory)?)
}

/// Where the scripts of packages run; what is too large for memory goes to `directory`.
pub(super) fn sandbox(directory: PathBuf) -> SandboxOptions {
    SandboxOptions {
        // Linux knows this program by that name too.
        helper: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")),
        confinement: Confinement::default(),
        limits: LIMITS,
        directory,
        memory: None,
    }
}

/// How an image is planned that is only asked about; of one architecture.
pub(super) fn build_options(shared: &ProfileArgs, context: Option<PathBuf>) -> Result<BuildOptions, Failure> {
    let architectures = shared.architectures();
    let is_one = match &architectures {
        Architectures::Usual => true,
        Architectures::These(these) => these.len() == 1,
        Architectures::All => false,
    };
    if !is_one {
        return Err(one_architecture());
    }
    Ok(BuildOptions {
        architectures,
        outputs: Vec::new(),
        // Whoever asks wants nothing of strangers executed.
        scripts: ScriptOptions {
            policy: ScriptPolicy::Certain,
            sandbox: sandbox(std::env::temp_dir()),
            accounts: BTreeMap::new(),
        },
        epoch: None,
        context,
        today: today(),
    })
}

/// Asks `ask` of the image that a question is about; `example` shows how to name one.
pub(super) fn answer<T, E>(
    question: &Question,
    example: &str,
    ask: impl FnOnce(&Fetcher<'_>, &Draft, &BuildOptions) -> Result<T, E>,
) -> Result<T, Failure>
where
    Failure: From<E>,
{
    let profile = question.profile.as_ref().ok_or_else(|| no_profile(example))?;
    let options = build_options(&question.shared, question.context.clone())?;
    let session = Session::open(&question.shared)?;
    let draft = session.draft(profile, &[])?;
    Ok(ask(&session.fetcher(), &draft, &options)?)
}

/// Several architectures are named where one image is asked about.
pub(super) fn one_architecture() -> Failure {
    Failure::usage("one architecture is asked about at a time", "name one: --arch x86_64")
}

/// No profile is named where there must be one.
pub(super) fn no_profile(example: &str) -> Failure {
    let names = BUILT_INS.iter().map(|built_in| built_in.name).collect::<Vec<_>>().join(", ");
    Failure::usage("no profile is named", format!("try: {example}\nbuilt-in profiles: {names}"))
}
