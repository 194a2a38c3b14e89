//! What fetching and building need, for tests of the library.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use apkcompose::compose::scripts::{ScriptOptions, ScriptPolicy};
use apkcompose::fetch::{Fetcher, Network};
use apkcompose::profile::{BUILT_INS, Draft, Found, Location, Overrides, Source};
use apkcompose::report::Reporter;
use apkcompose::sandbox::{Confinement, Limits, SandboxOptions};
use apkcompose::store::Store;

/// Fetches into `store` with `jobs` threads.
pub(crate) fn fetcher<'a>(store: &'a Store, jobs: usize, reporter: &'a dyn Reporter) -> Fetcher<'a> {
    static NETWORK: LazyLock<Network> = LazyLock::new(Network::default);
    Fetcher { store, network: &NETWORK, jobs: NonZeroUsize::new(jobs).unwrap(), reporter }
}

/// The profile with that `text`, which stands nowhere.
pub(crate) fn draft(text: &str) -> Draft {
    let source = Source { name: "p.toml".to_owned(), location: Location::Directory("".into()) };
    let found = Found { name: "p".to_owned(), source: Arc::new(source), text: text.to_owned() };
    Draft::load(&found, &Overrides::default(), BUILT_INS).unwrap()
}

/// What becomes of scripts, which run as the command line runs them.
pub(crate) fn script_options(policy: ScriptPolicy) -> ScriptOptions {
    let limits = Limits { time: Duration::from_secs(300), processes: 1024, memory: 4 << 30, space: 4 << 30 };
    let sandbox = SandboxOptions {
        helper: PathBuf::from(env!("CARGO_BIN_EXE_apkcompose")),
        confinement: Confinement::Auto,
        limits,
        directory: std::env::temp_dir(),
        memory: None,
    };
    ScriptOptions { policy, sandbox, accounts: BTreeMap::new() }
}
