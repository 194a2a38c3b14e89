//! A file that a profile names by URL and digest.

use super::error::FetchError;
use super::fetcher::Fetcher;
use super::packages::{Watched, again_if_damaged, refusal};
use super::source::Source;
use crate::content::Content;
use crate::digest::Sha256;
use crate::profile::repository::Url;
use crate::report::Step;

/// The file at `url`, which must have the digest `sha256` and may have `limit` bytes: from the store, or fetched
/// into it. Whoever serves it is not asked who they are: the digest says what it is.
pub fn file(fetcher: &Fetcher<'_>, url: &Url, sha256: Sha256, limit: u64) -> Result<Content, FetchError> {
    let Fetcher { store, reporter, .. } = *fetcher;
    if let Some(content) = store.recall_file(sha256)? {
        return Ok(content);
    }
    let source = Source::Network(url.clone());
    let location = source.locate("");
    let mut advanced = 0;
    let content = again_if_damaged(true, || {
        let opened =
            source.open(fetcher, "")?.ok_or_else(|| FetchError::NoFile { location: location.clone() })?;
        if advanced == 0 {
            reporter.begin(Step::Fetch, opened.length.unwrap_or_default());
        }
        let opened = opened.within(limit, &location).map_err(|error| refusal(error, &location, reporter))?;
        let reader = Watched::new(opened.reader, opened.length, reporter, &location, &mut advanced);
        let added = store.add_file(sha256, limit, &location, reader);
        added.map_err(|error| refusal(error, &location, reporter))
    })?;
    reporter.end(Step::Fetch);
    Ok(content)
}
