//! What fetching needs, for tests of the library.

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use apkcompose::fetch::{Fetcher, Network};
use apkcompose::report::Reporter;
use apkcompose::store::Store;

/// Fetches into `store` with `jobs` threads.
pub(crate) fn fetcher<'a>(store: &'a Store, jobs: usize, reporter: &'a dyn Reporter) -> Fetcher<'a> {
    static NETWORK: LazyLock<Network> = LazyLock::new(Network::default);
    Fetcher { store, network: &NETWORK, jobs: NonZeroUsize::new(jobs).unwrap(), reporter }
}
