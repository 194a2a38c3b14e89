//! Fetching the packages of a plan.

use std::io::{self, Read};
use std::num::NonZeroUsize;

use super::error::FetchError;
use super::parallel;
use super::repository::Repository;
use crate::apk::index::{Flaw, Package};
use crate::apk::package::Expected;
use crate::report::{Reporter, Step};
use crate::store::{Store, StoreError, StoredPackage};

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

/// The packages asked for, verified, in the order of `requests`: from `store`, or fetched into it.
pub fn packages(
    store: &Store,
    requests: &[PackageRequest<'_>],
    jobs: NonZeroUsize,
    reporter: &dyn Reporter,
) -> Result<Vec<StoredPackage>, FetchError> {
    let total = requests.iter().map(|request| request.expected.size).fold(0, u64::saturating_add);
    reporter.begin(Step::Fetch, total);
    let result = parallel::map(requests, jobs, reporter, |request| package(store, request, reporter));
    if result.is_ok() {
        reporter.end(Step::Fetch);
    }
    result
}

/// One package. A mirror that does not have it, or has something else under its name, is passed over as
/// long as there is another: whatever is taken in the end is what the index lists.
fn package(
    store: &Store,
    request: &PackageRequest<'_>,
    reporter: &dyn Reporter,
) -> Result<StoredPackage, FetchError> {
    let (expected, keyring) = (&request.expected, request.repository.keyring());
    let name = expected.to_string();
    if let Some(package) = store.recall_package(expected, keyring)? {
        reporter.advance(Step::Fetch, expected.size, &name);
        return Ok(package);
    }
    let path = request.path()?;
    let mut advanced = 0;
    let mut looked_at = Vec::new();
    let mut refused: Option<FetchError> = None;
    for place in request.repository.places(&path) {
        let location = place.location();
        let Some(opened) = place.open()? else {
            looked_at.push(location);
            continue;
        };
        let reader = Watched::new(opened.reader, reporter, &name, &mut advanced);
        match store.add_package(expected, keyring, &location, reader) {
            Ok(package) => {
                if let Some(refused) = refused {
                    reporter.warn(&format!("{refused}\ntaken from {location} instead"));
                }
                return Ok(package);
            }
            Err(_) if reporter.interrupted() => return Err(FetchError::Interrupted),
            Err(error) if is_the_mirrors_fault(&error) => {
                refused.get_or_insert(FetchError::Refused { location, error });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(refused.unwrap_or_else(|| FetchError::NoPackage {
        package: name,
        repository: request.repository.name().to_owned(),
        looked_at,
    }))
}

/// Whether another mirror may do better.
pub(super) fn is_the_mirrors_fault(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Source { .. }
            | StoreError::TooLong { .. }
            | StoreError::Package(_)
            | StoreError::Data(_)
            | StoreError::Rootfs { .. }
    )
}

/// Tells the reporter what is read, and stops when the user asks to.
pub(super) struct Watched<'a, R> {
    reader: R,
    reporter: &'a dyn Reporter,
    object: &'a str,
    read: u64,
    /// How much was told, by this reader or one before it for the same thing.
    advanced: &'a mut u64,
}

impl<'a, R> Watched<'a, R> {
    pub(super) fn new(reader: R, reporter: &'a dyn Reporter, object: &'a str, advanced: &'a mut u64) -> Self {
        Self { reader, reporter, object, read: 0, advanced }
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
        Ok(count)
    }
}
