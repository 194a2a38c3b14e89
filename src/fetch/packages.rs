//! Fetching the packages of a plan.

use std::io::{self, Read};

use super::error::FetchError;
use super::failover::first_of;
use super::fetcher::Fetcher;
use super::http::HttpError;
use super::repository::{Place, Repository};
use super::source::SourceError;
use crate::apk::index::{Flaw, Package};
use crate::apk::package::Expected;
use crate::report::{Reporter, Step};
use crate::store::{StoreError, StoredPackage};

/// A package to fetch.
#[derive(Debug, Clone)]
pub struct PackageRequest<'a> {
    expected: Expected,
    repository: &'a Repository,
}

impl<'a> PackageRequest<'a> {
    /// The request for `package`, which the index of `repository` lists; nothing if there is nothing to
    /// fetch (`I:0`).
    pub fn of(package: Package<'_>, repository: &'a Repository) -> Result<Option<Self>, FetchError> {
        if package.is_virtual() {
            return Ok(None);
        }
        let expected = Expected::of(package).ok_or_else(|| FetchError::Unfetchable {
            package: package.to_string(),
            repository: repository.name().to_owned(),
            flaw: Flaw::Identity,
        })?;
        Ok(Some(Self::new(expected, repository)))
    }

    /// The request for what is `expected`, from `repository`.
    pub fn new(expected: Expected, repository: &'a Repository) -> Self {
        Self { expected, repository }
    }

    /// What the package must be.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// The repository that lists it.
    pub fn repository(&self) -> &'a Repository {
        self.repository
    }

    /// Where its file is below the repository. Index fields are no paths: a version may say anything.
    fn path(&self) -> Result<String, FetchError> {
        let file = self.expected.to_string();
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && !name.contains('/')
                && !name.chars().any(char::is_control)
        };
        if is_name(&file) && is_name(&self.expected.arch) {
            return Ok(format!("{}/{file}.apk", self.expected.arch));
        }
        Err(FetchError::Unnameable {
            package: file,
            arch: self.expected.arch.clone(),
            repository: self.repository.name().to_owned(),
        })
    }
}

/// The packages asked for, verified, in the order of `requests`: from the store, or fetched into it.
pub fn packages(
    fetcher: &Fetcher<'_>,
    requests: &[PackageRequest<'_>],
) -> Result<Vec<StoredPackage>, FetchError> {
    let reporter = fetcher.reporter;
    let total = requests.iter().map(|request| request.expected.size).fold(0, u64::saturating_add);
    reporter.begin(Step::Fetch, total);
    let on_network = requests.iter().any(|request| request.repository.is_on_network());
    let result = fetcher.all(requests, on_network, |request| package(fetcher, request));
    if result.is_ok() {
        reporter.end(Step::Fetch);
    }
    result
}

/// One package. A mirror that does not have it, or has something else under its name, is passed over as
/// long as there is another: whatever is taken in the end is what the index lists.
fn package(fetcher: &Fetcher<'_>, request: &PackageRequest<'_>) -> Result<StoredPackage, FetchError> {
    let Fetcher { store, reporter, .. } = *fetcher;
    let (expected, keyring) = (&request.expected, request.repository.keyring());
    let name = expected.to_string();
    if let Some(package) = store.recall_package(expected, keyring)? {
        reporter.advance(Step::Fetch, expected.size, &name);
        return Ok(package);
    }
    let path = request.path()?;
    let mut advanced = 0;
    let take = |place: &Place<'_>| {
        again_if_damaged(place.is_on_network(), || {
            let Some(opened) = place.open(fetcher)? else { return Ok(None) };
            let opened = opened
                .within(expected.size, &name)
                .map_err(|error| refusal(error, &place.location(), reporter))?;
            let reader = Watched::new(opened.reader, opened.length, reporter, &name, &mut advanced);
            let added = store.add_package(expected, keyring, &name, reader);
            added.map(Some).map_err(|error| refusal(error, &place.location(), reporter))
        })
    };
    let taken = first_of(request.repository.places(&path), take).map_err(|refused| {
        refused.unwrap_or_else(|| FetchError::NoPackage {
            package: name.clone(),
            repository: request.repository.name().to_owned(),
            looked_at: request.repository.places(&path).map(|place| place.location()).collect(),
        })
    })?;
    fetcher.warn_passed_over(taken.refused.as_ref(), &taken.place.location());
    Ok(taken.value)
}

/// Does `take` once more if what came over the network is not what was expected: it may have been put together
/// of two versions, or damaged on the way.
pub(super) fn again_if_damaged<T>(
    on_network: bool,
    mut take: impl FnMut() -> Result<T, FetchError>,
) -> Result<T, FetchError> {
    match take() {
        Err(
            FetchError::Refused { .. }
            | FetchError::NotAsStated { .. }
            | FetchError::Source(SourceError::Http(HttpError::Changed { .. })),
        ) if on_network => take(),
        other => other,
    }
}

/// What it is that the store did not take what `location` has.
pub(super) fn refusal(error: StoreError, location: &str, reporter: &dyn Reporter) -> FetchError {
    match error {
        _ if reporter.interrupted() => FetchError::Interrupted,
        StoreError::Source { object, error } => match error.downcast::<HttpError>() {
            Ok(error) => SourceError::Http(error).into(),
            Err(error) => {
                let error = StoreError::Source { object, error };
                FetchError::Refused { location: location.to_owned(), error }
            }
        },
        error if is_the_mirrors_fault(&error) => FetchError::Refused { location: location.to_owned(), error },
        error => error.into(),
    }
}

/// Whether another mirror may do better.
fn is_the_mirrors_fault(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Source { .. }
            | StoreError::TooLong { .. }
            | StoreError::Package(_)
            | StoreError::Data(_)
            | StoreError::Rootfs { .. }
            | StoreError::Layer { .. }
            | StoreError::Digest { .. }
    )
}

/// Tells the reporter what is read of a file, and stops when the user asks to.
pub(super) struct Watched<'a, R> {
    reader: R,
    reporter: &'a dyn Reporter,
    object: &'a str,
    read: u64,
    /// How much was told, by this reader or one before it for the same thing.
    advanced: &'a mut u64,
}

impl<'a, R> Watched<'a, R> {
    /// `length` is that of the file, in bytes, if it is known.
    pub(super) fn new(
        reader: R,
        length: Option<u64>,
        reporter: &'a dyn Reporter,
        object: &'a str,
        advanced: &'a mut u64,
    ) -> Self {
        reporter.begin_file(Step::Fetch, object, length);
        Self { reader, reporter, object, read: 0, advanced }
    }
}

impl<R> Drop for Watched<'_, R> {
    fn drop(&mut self) {
        self.reporter.end_file(Step::Fetch, self.object);
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.reporter.interrupted() {
            return Err(io::Error::other("interrupted"));
        }
        let count = self.reader.read(buffer)?;
        self.read = self.read.saturating_add(count as u64);
        if let Some(more) = self.read.checked_sub(*self.advanced).filter(|more| *more > 0) {
            *self.advanced = self.read;
            self.reporter.advance(Step::Fetch, more, self.object);
        }
        self.reporter.advance_file(Step::Fetch, count as u64, self.object);
        Ok(count)
    }
}
