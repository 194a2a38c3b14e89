//! What can go wrong with a transfer over HTTP.

use std::time::Duration;

use super::address::Shown;
use crate::kind::{Explain, Kind};

/// Why something could not be read over HTTP. Addresses stand in it without credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No HTTP client can be made here.
    #[error("no http client can be made: {reason}")]
    Client {
        /// Why.
        reason: String,
    },
    /// There are no certificates to hold a server against.
    #[error(
        "{url} cannot be read: there are no certificates of authorities to hold the server against: {reason}{}",
        named_certificates()
    )]
    NoAuthorities {
        /// What was asked for.
        url: Shown,
        /// Why there are none.
        reason: String,
    },
    /// The server, or the proxy before it, does not take a connection, or its name is not known.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// What was asked for.
        url: Shown,
        /// What the system said.
        reason: String,
    },
    /// Who is at the other end is not who it should be.
    #[error("{url}: the server's certificate is not accepted: {reason}")]
    Certificate {
        /// What was asked for.
        url: Shown,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing came for too long.
    #[error("{url}: nothing came for {} after {got} bytes", seconds(.limit))]
    Stalled {
        /// What was asked for.
        url: Shown,
        /// How much had come.
        got: u64,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The answer does not come in time, after redirections.
    #[error("{url}: only redirections came for {}, the last one to {last}", seconds(.limit))]
    SlowRedirections {
        /// What was asked for.
        url: Shown,
        /// How long it was waited for.
        limit: Duration,
        /// The last place.
        last: Shown,
    },
    /// Too little comes.
    #[error("{url}: it comes too slowly, with {came} bytes in {} after {got} bytes", seconds(.span))]
    Slow {
        /// What was asked for.
        url: Shown,
        /// How much had come.
        got: u64,
        /// How much came of late.
        came: u64,
        /// In which time.
        span: Duration,
    },
    /// The connection broke, or what came on it is not HTTP.
    #[error("{url}: {}: {reason}", broken(*.got))]
    Broken {
        /// What was asked for.
        url: Shown,
        /// How much had come.
        got: u64,
        /// What went wrong.
        reason: String,
    },
    /// The server has an answer, and it is no file.
    #[error("{url}: the server answered {status}{}", asked(.retry_after.as_ref()))]
    Status {
        /// What was asked for.
        url: Shown,
        /// The answer, as `503 Service Unavailable`.
        status: Status,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It is larger than it may be.
    #[error("{url} is larger than the {limit} bytes it may have")]
    TooLarge {
        /// What was asked for.
        url: Shown,
        /// How many bytes it may have.
        limit: u64,
    },
    /// One redirection after another.
    #[error("{url} is redirected more than {limit} times, at last to {last}")]
    Redirections {
        /// What was asked for.
        url: Shown,
        /// How often it may be.
        limit: usize,
        /// The last place.
        last: Shown,
    },
    /// A redirection from https to http.
    #[error("{url} is redirected to {to}, which is not encrypted")]
    Downgrade {
        /// What was asked for.
        url: Shown,
        /// Where it should be instead.
        to: Shown,
    },
    /// A redirection to nowhere.
    #[error("{url} is redirected to {location:?}, which is no http or https URL")]
    Redirection {
        /// What was asked for.
        url: Shown,
        /// Where it should be instead.
        location: String,
    },
    /// The file became another one while it was read.
    #[error("{url} changed while it was read: {reason}")]
    Changed {
        /// What was asked for.
        url: Shown,
        /// How that shows.
        reason: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// A status of an answer, shown with its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub(super) reqwest::StatusCode);

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.canonical_reason() {
            Some(reason) => write!(f, "{} {reason}", self.0.as_u16()),
            None => write!(f, "{}", self.0.as_u16()),
        }
    }
}

impl Status {
    /// Whether it may be gone with the next try.
    fn is_transient(self) -> bool {
        matches!(self.0.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
    }

    /// Whether it is about who asks.
    fn is_about_credentials(self) -> bool {
        matches!(self.0.as_u16(), 401 | 403)
    }

    /// Whether it is the proxy that wants to know who asks.
    fn is_of_proxy(self) -> bool {
        self.0.as_u16() == 407
    }
}

fn broken(got: u64) -> String {
    if got == 0 { "no answer came".to_owned() } else { format!("it broke off after {got} bytes") }
}

/// What a server that is not ready asks for.
fn asked(retry_after: Option<&Duration>) -> String {
    let asked = match retry_after.map_or(0, Duration::as_secs) {
        0 => return String::new(),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        _ => "days".to_owned(),
    };
    format!(" and asks to be left alone for {asked}")
}

fn named_certificates() -> String {
    let named = std::env::var("SSL_CERT_FILE").ok().filter(|name| !name.is_empty());
    named.map(|name| format!(" (SSL_CERT_FILE is {name})")).unwrap_or_default()
}

fn seconds(time: &Duration) -> String {
    match time.as_secs() {
        0 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{seconds} s"),
    }
}

impl HttpError {
    /// The same failure, told of another file where it would be the same for each.
    pub(super) fn at(self, other: Shown) -> Self {
        match self {
            Self::Unreachable { reason, .. } => Self::Unreachable { url: other, reason },
            Self::Certificate { reason, .. } => Self::Certificate { url: other, reason },
            of_a_file => of_a_file,
        }
    }

    /// The server, if that is what is not there.
    pub(in super::super) fn unreachable_server(&self) -> Option<&str> {
        match self {
            Self::Unreachable { url, .. } | Self::Certificate { url, .. } | Self::Stalled { url, .. }
                if self.is_of_server() =>
            {
                Some(url.server())
            }
            _ => None,
        }
    }

    /// Whether it tells that the server itself is not there, and not something of one file.
    pub(super) fn is_of_server(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Certificate { .. } => true,
            Self::Stalled { got, .. } => *got == 0,
            Self::Broken { .. }
            | Self::Client { .. }
            | Self::NoAuthorities { .. }
            | Self::SlowRedirections { .. }
            | Self::Slow { .. }
            | Self::Status { .. }
            | Self::TooLarge { .. }
            | Self::Redirections { .. }
            | Self::Downgrade { .. }
            | Self::Redirection { .. }
            | Self::Changed { .. }
            | Self::Interrupted => false,
        }
    }
}

impl Explain for HttpError {
    fn kind(&self) -> Kind {
        match self {
            Self::Client { .. }
            | Self::NoAuthorities { .. }
            | Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::SlowRedirections { .. }
            | Self::Slow { .. }
            | Self::Broken { .. }
            | Self::Status { .. }
            | Self::Redirections { .. }
            | Self::Redirection { .. }
            | Self::Changed { .. } => Kind::Missing,
            Self::TooLarge { .. } => Kind::Limit,
            Self::Certificate { .. } | Self::Downgrade { .. } => Kind::Integrity,
            Self::Interrupted => Kind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Client { .. } | Self::Interrupted => return None,
            Self::NoAuthorities { .. } => {
                "install ca-certificates, or let SSL_CERT_FILE name a file with the certificates of authorities to trust"
            }
            Self::Unreachable { .. } => {
                "look at the network and at http_proxy and https_proxy, or add another --mirror; --offline works with what is in the cache"
            }
            Self::Certificate { .. } => {
                "the certificates of authorities to trust are the system's, or those in the file that SSL_CERT_FILE names"
            }
            Self::Stalled { .. } | Self::SlowRedirections { .. } | Self::Slow { .. } => {
                "add another --mirror, or wait longer with --timeout"
            }
            Self::Broken { .. } | Self::Changed { .. } => "try again, or add another --mirror",
            Self::Status { status, .. } if status.is_of_proxy() => {
                "a name and password for the proxy go into its URL: http_proxy=http://NAME:PASSWORD@HOST:PORT"
            }
            Self::Status { status, .. } if status.is_about_credentials() => {
                "a name and password go into the mirror's URL or into ~/.netrc (or the file that NETRC names)"
            }
            Self::Status { status, .. } if status.is_transient() => {
                "that is the server's trouble: try later, or add another --mirror"
            }
            Self::Status { .. } | Self::Redirections { .. } | Self::Redirection { .. } => {
                "look at the mirror's address, or use another --mirror"
            }
            Self::TooLarge { .. } => "the mirror has something else there: use another --mirror",
            Self::Downgrade { .. } => {
                "anybody on the way could change what is not encrypted: name the place by an http URL if that is meant"
            }
        };
        Some(hint.to_owned())
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::SlowRedirections { .. }
            | Self::Slow { .. }
            | Self::Broken { .. } => true,
            Self::Status { status, .. } => status.is_transient(),
            Self::Client { .. }
            | Self::NoAuthorities { .. }
            | Self::Certificate { .. }
            | Self::TooLarge { .. }
            | Self::Redirections { .. }
            | Self::Downgrade { .. }
            | Self::Redirection { .. }
            // What was read so far is of no use: who asked begins again.
            | Self::Changed { .. }
            | Self::Interrupted => false,
        }
    }
}
