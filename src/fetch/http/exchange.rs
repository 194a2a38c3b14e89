//! One question and its answer: through redirections, with credentials for whom they are for, and never
//! longer than may be.

use std::error::Error as _;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use tokio::runtime::Runtime;

use super::address::{Address, shown};
use super::error::{HttpError, Status};
use super::netrc::Netrc;
use super::range::Validators;
use super::resolve::System;
use super::trail::Trail;
use super::{GLANCE, NetworkOptions, retry};
use crate::profile::repository::without_credentials;
use crate::report::Reporter;
use crate::root;

/// How often a file may be somewhere else.
const MAX_REDIRECTIONS: usize = 10;
/// How the program names itself.
const USER_AGENT: &str = concat!("apkcompose/", env!("CARGO_PKG_VERSION"));

/// What is used to ask.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Runtime,
    http: reqwest::Client,
    /// Why nobody can be held against an authority: then only what is not encrypted can be read.
    no_authorities: Option<String>,
    netrc: Netrc,
    timeout: Duration,
}

impl std::fmt::Debug for Netrc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Netrc")
    }
}

/// What is asked for of a file.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Wish {
    /// Only whether it is there.
    pub(in super::super) head_only: bool,
    /// Only if it is of another state than this.
    pub(in super::super) unless: Option<Validators>,
    /// Only what is from here on, counted from 0, as long as it is of that state.
    pub(in super::super) rest: Option<(u64, Validators)>,
    /// No copies from caches on the way.
    pub(in super::super) past_caches: bool,
}

impl Client {
    pub(super) fn new(options: &NetworkOptions) -> Result<Self, HttpError> {
        let failed = |error: &dyn std::error::Error| HttpError::Client { reason: innermost(error) };
        // Somebody else of this process may have chosen before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // It has no thread of its own, whose start could fail: the threads that wait for an answer drive it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let builder = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(options.timeout)
                .dns_resolver(Arc::new(System))
                .pool_max_idle_per_host(options.connections.get())
        };
        // A pipe would be waited for while the certificates are read.
        let made = named_certificates().and_then(|()| builder().build().map_err(|error| innermost(&error)));
        let (http, no_authorities) = match made {
            Ok(http) => (http, None),
            Err(reason) => {
                let nobody = rustls::ClientConfig::builder()
                    .with_root_certificates(rustls::RootCertStore::empty())
                    .with_no_client_auth();
                let http = builder().tls_backend_preconfigured(nobody).build();
                (http.map_err(|error| failed(&error))?, Some(reason))
            }
        };
        let (netrc, timeout) = (Netrc::of_user(), options.timeout);
        Ok(Self { runtime, http, no_authorities, netrc, timeout })
    }

    /// Asks for what is at `address`; the answer's head has come, its body has not. All redirections together may take as
    /// long as one answer.
    pub(super) fn ask(
        &self,
        address: &Address,
        wish: &Wish,
        reporter: &dyn Reporter,
    ) -> Result<Response, HttpError> {
        let begun = Instant::now();
        let mut url = address.url.clone();
        let mut trail = Trail::from(&url);
        for _ in 0..=MAX_REDIRECTIONS {
            let request = self.request(address, &url, &trail, wish)?;
            let response = match self.wait(request.send(), begun, reporter) {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(failure(address, &url, &error)),
                Err(Stop::Interrupted) => return Err(HttpError::Interrupted),
                Err(Stop::TooLong) => return Err(self.no_answer(address, &url)),
            };
            if !is_redirection(response.status()) {
                return Ok(response);
            }
            trail.redirected_by(&url);
            url = redirection(address, &url, response.headers())?;
        }
        Err(HttpError::Redirections { url: address.shown(), limit: MAX_REDIRECTIONS, last: shown(&url) })
    }

    fn request(
        &self,
        address: &Address,
        url: &Url,
        trail: &Trail,
        wish: &Wish,
    ) -> Result<RequestBuilder, HttpError> {
        if let Some(reason) = self.no_authorities.as_ref().filter(|_| url.scheme() == "https") {
            return Err(HttpError::NoAuthorities { url: shown(url), reason: reason.clone() });
        }
        let method = if wish.head_only { Method::HEAD } else { Method::GET };
        let request = self.http.request(method, url.clone()).headers(headers(wish));
        Ok(match trail.credentials(url, address.credentials.as_ref(), &self.netrc) {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        })
    }

    /// No answer from `url` in time, to which `address` led.
    fn no_answer(&self, address: &Address, url: &Url) -> HttpError {
        let (asked, limit) = (address.shown(), self.timeout);
        if *url == address.url {
            return HttpError::Stalled { url: asked, got: 0, limit };
        }
        HttpError::SlowRedirections { url: asked, limit, last: shown(url) }
    }

    /// More of the body of `response`, of which `got` bytes have come; nothing at its end.
    pub(super) fn more(
        &self,
        address: &Address,
        response: &mut Response,
        got: u64,
        reporter: &dyn Reporter,
    ) -> Result<Option<Bytes>, HttpError> {
        match self.wait(response.chunk(), Instant::now(), reporter) {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(HttpError::Broken { url: address.shown(), got, reason: innermost(&error) }),
            Err(Stop::Interrupted) => Err(HttpError::Interrupted),
            Err(Stop::TooLong) => Err(HttpError::Stalled { url: address.shown(), got, limit: self.timeout }),
        }
    }

    /// What `future` comes to, unless that takes too long, counted from `begun`, or the user asks to stop.
    fn wait<T>(
        &self,
        future: impl Future<Output = T>,
        begun: Instant,
        reporter: &dyn Reporter,
    ) -> Result<T, Stop> {
        self.runtime.block_on(async {
            let mut future = pin!(future);
            loop {
                let left = self.timeout.saturating_sub(begun.elapsed());
                if let Ok(output) = tokio::time::timeout(GLANCE.min(left), &mut future).await {
                    return Ok(output);
                }
                if reporter.interrupted() {
                    return Err(Stop::Interrupted);
                }
                if begun.elapsed() >= self.timeout {
                    return Err(Stop::TooLong);
                }
            }
        })
    }
}

/// Whether what `SSL_CERT_FILE` names, if it does and that exists, is a file.
fn named_certificates() -> Result<(), String> {
    let named = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty());
    match named.map(|path| root::open_file(Path::new(&path))) {
        Some(Err(error)) if error.is_not_regular() => Err(error.to_string()),
        Some(_) | None => Ok(()),
    }
}

/// Why something was not waited for any longer.
enum Stop {
    TooLong,
    Interrupted,
}

/// Sleeps for `pause`, unless the user asks to stop.
pub(super) fn pause(pause: Duration, reporter: &dyn Reporter) -> Result<(), HttpError> {
    let begun = Instant::now();
    while !reporter.interrupted() {
        let left = pause.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(GLANCE));
    }
    Err(HttpError::Interrupted)
}

fn headers(wish: &Wish) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name, value: &str| {
        // What a server said that cannot be said back is left out: the answer is then the whole file.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::ACCEPT, "*/*");
    set(header::ACCEPT_ENCODING, "identity");
    if let Some(known) = &wish.unless {
        if let Some(tag) = &known.tag {
            set(header::IF_NONE_MATCH, tag);
        }
        if let Some(modified) = &known.modified {
            set(header::IF_MODIFIED_SINCE, modified);
        }
    }
    if let Some((first, known)) = &wish.rest {
        set(header::RANGE, &format!("bytes={first}-"));
        if let Some(same) = known.for_range() {
            set(header::IF_RANGE, same);
        }
    }
    if wish.past_caches {
        set(header::CACHE_CONTROL, "no-cache");
        set(header::PRAGMA, "no-cache");
    }
    headers
}

fn is_redirection(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where an answer from `url` leads.
fn redirection(address: &Address, url: &Url, headers: &HeaderMap) -> Result<Url, HttpError> {
    let location = text(headers, &header::LOCATION).unwrap_or_default();
    let nowhere = || {
        // A query may be worth as much as a password.
        let path = location.split(['?', '#']).next().unwrap_or_default();
        let location = without_credentials(path);
        HttpError::Redirection { url: address.shown(), location }
    };
    let mut to = url.join(&location).map_err(|_| nowhere())?;
    if location.is_empty() || !matches!(to.scheme(), "http" | "https") {
        return Err(nowhere());
    }
    // Credentials that a server invents are of no use and would be shown.
    let _ = to.set_username("");
    let _ = to.set_password(None);
    if url.scheme() == "https" && to.scheme() == "http" {
        return Err(HttpError::Downgrade { url: address.shown(), to: shown(&to) });
    }
    Ok(to)
}

/// The text of a header, if there is one.
pub(super) fn text(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}

/// The validators of an answer.
pub(super) fn validators(headers: &HeaderMap) -> Validators {
    Validators { tag: text(headers, &header::ETAG), modified: text(headers, &header::LAST_MODIFIED) }
}

/// The failure that an answer with no file in it is.
pub(super) fn refusal(address: &Address, response: &Response) -> HttpError {
    let retry_after = text(response.headers(), &header::RETRY_AFTER);
    HttpError::Status {
        url: address.shown(),
        status: Status(response.status()),
        retry_after: retry_after.and_then(|value| retry::retry_after(&value, SystemTime::now())),
    }
}

/// What a failure to ask is.
fn failure(address: &Address, url: &Url, error: &reqwest::Error) -> HttpError {
    let mut reason = innermost(error);
    // Behind a redirection the address alone would mislead.
    if *url != address.url {
        reason = format!("it is redirected to {}: {reason}", shown(url));
    }
    let asked = address.shown();
    if is_about_certificate(error) {
        return HttpError::Certificate { url: asked, reason };
    }
    if error.is_connect() || error.is_timeout() {
        return HttpError::Unreachable { url: asked, reason: reason + &proxy(url) };
    }
    HttpError::Broken { url: asked, got: 0, reason }
}

/// The proxy that `url` may be reached through, in words; empty without one.
fn proxy(url: &Url) -> String {
    let own = format!("{}_proxy", url.scheme());
    let variables = [own.clone(), own.to_ascii_uppercase(), "all_proxy".to_owned(), "ALL_PROXY".to_owned()];
    let set = variables.iter().find_map(|name| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some(format!(" ({name} is {})", without_credentials(&value)))
    });
    set.unwrap_or_default()
}

/// Whether the other end could not show who it is. Other failures of TLS may pass.
fn is_about_certificate(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) =
            error.downcast_ref()
        {
            return true;
        }
        // The source of an error of the system is not what is in it, but the source of that.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        source = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// The words of the cause behind all causes, which says what happened and names no URL.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
