//! Addresses: what is asked for, and how it is shown.
//!
//! An [`Address`] holds no credentials; those of the URL it was made of are kept apart, by the server
//! they are for ([`Credentials`]), so that they cannot go anywhere else or be printed.

use std::fmt;

use crate::profile::repository::Url;

/// A URL in messages: without credentials, and without a query, which may be worth as much.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shown(String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Shown {
    /// The part that names the server.
    pub(super) fn server(&self) -> &str {
        let begin = self.0.find("://").map_or(0, |scheme| scheme + 3);
        let end =
            self.0.get(begin..).and_then(|rest| rest.find('/')).map_or(self.0.len(), |slash| begin + slash);
        self.0.get(..end).unwrap_or(&self.0)
    }
}

/// A file on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Address {
    /// Never with a user name or password.
    pub(super) url: reqwest::Url,
    /// Those that came with the URL.
    pub(super) credentials: Option<Credentials>,
}

/// A user name and password, for one server.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) server: Server,
    pub(super) user: String,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}:{})", self.server.host, self.server.port)
    }
}

/// Whom credentials are for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Server {
    scheme: String,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Server {
    pub(super) fn of(url: &reqwest::Url) -> Self {
        let port = url.port_or_known_default().unwrap_or_default();
        let host = url.host_str().unwrap_or_default().to_owned();
        Self { scheme: url.scheme().to_owned(), host, port }
    }

    /// Whether what is sent to it can be read on the way.
    pub(super) fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }
}

impl Address {
    /// The file at `path` below `root`; nothing if that makes no URL.
    pub(in super::super) fn below(root: &Url, path: &str) -> Option<Self> {
        let mut url = reqwest::Url::parse(root.with_credentials()).ok()?;
        let server = Server::of(&url);
        let credentials = root.credentials().map(|(user, password)| Credentials { server, user, password });
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        if !path.is_empty() {
            url.path_segments_mut().ok()?.pop_if_empty().extend(path.split('/'));
        }
        Some(Self { url, credentials })
    }

    /// How messages show it.
    pub(in super::super) fn shown(&self) -> Shown {
        shown(&self.url)
    }

    /// What it is known by in the store.
    pub(in super::super) fn key(&self) -> &str {
        self.url.as_str()
    }
}

/// How messages show `url`.
pub(super) fn shown(url: &reqwest::Url) -> Shown {
    let mut url = url.clone();
    // These fail for URLs that have no host, which hold no credentials either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    Shown(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(root: &str, path: &str) -> Address {
        Address::below(&root.parse().unwrap(), path).unwrap()
    }

    #[test]
    fn a_path_is_appended_as_it_is_whatever_is_in_it() {
        let key = |root, path| address(root, path).key().to_owned();
        assert_eq!(
            key("http://x.org/alpine/", "v3.19/main/x86_64/gtk+3.0-1.0_p1-r0.apk"),
            "http://x.org/alpine/v3.19/main/x86_64/gtk+3.0-1.0_p1-r0.apk"
        );
        assert_eq!(key("http://x.org", "a/b"), "http://x.org/a/b");
        assert_eq!(key("http://x.org/a?token=1", "b"), "http://x.org/a/b?token=1");
        assert_eq!(
            key("http://x.org/a", "b?c#d%2f e"),
            "http://x.org/a/b%3Fc%23d%2f%20e".replace("%2f", "%252f")
        );
        assert_eq!(key("http://x.org/file", ""), "http://x.org/file");
    }

    #[test]
    fn credentials_are_kept_apart_and_shown_nowhere() {
        let address = address("https://somebody:p%40ss@x.org/alpine?token=1", "main");
        assert_eq!(address.key(), "https://x.org/alpine/main?token=1");
        assert_eq!(address.shown().to_string(), "https://x.org/alpine/main");
        assert_eq!(address.shown().server(), "https://x.org");
        let credentials = address.credentials.clone().unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("somebody", "p@ss"));
        assert_eq!(
            credentials.server,
            Server { scheme: "https".to_owned(), host: "x.org".to_owned(), port: 443 }
        );
        let debug = format!("{address:?}");
        assert!(!debug.contains("ss@") && !debug.contains("p@ss") && !debug.contains("somebody"), "{debug}");
    }
}
