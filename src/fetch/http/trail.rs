//! Which credentials a request carries, through redirections. Pure.
//!
//! What is named in the profile or on the command line is the *first* server: scheme, host and port.
//!
//! - Credentials in a URL are for the first server alone.
//! - An entry of netrc names a host and no port: it is for the first server if that has this host; and for port 443 of this
//!   host over https where a redirection leads there, unless one on the way came over http, where anybody could have put
//!   it in. `default` is for the first server alone.
//! - Over http nothing is sent any more once a redirection has led to another server, even if another leads back.
//!
//! Source: curl's manual, `--location-trusted`, whose rule for a netrc (any port, any scheme) is less strict.

use reqwest::Url;

use super::address::{Credentials, Server};
use super::netrc::Netrc;

/// The servers between the first request and the next one.
#[derive(Debug)]
pub(super) struct Trail {
    first: Server,
    /// Whether another server than the first was asked.
    has_left: bool,
    /// Whether a redirection came over http.
    was_clear: bool,
}

impl Trail {
    /// Before the first request, which is for `url`.
    pub(super) fn from(url: &Url) -> Self {
        Self { first: Server::of(url), has_left: false, was_clear: false }
    }

    /// Notes that the answer from `url` was a redirection.
    pub(super) fn redirected_by(&mut self, url: &Url) {
        let server = Server::of(url);
        self.has_left |= server != self.first;
        self.was_clear |= !server.is_encrypted();
    }

    /// The user name and password for a request to `url`.
    pub(super) fn credentials<'a>(
        &self,
        url: &Url,
        own: Option<&'a Credentials>,
        netrc: &'a Netrc,
    ) -> Option<(&'a str, &'a str)> {
        let (to, host) = (Server::of(url), url.host_str()?);
        if !to.is_encrypted() && self.has_left {
            return None;
        }
        if to == self.first {
            let own =
                own.filter(|own| own.server == to).map(|own| (own.user.as_str(), own.password.as_str()));
            return own.or_else(|| netrc.credentials(host));
        }
        let is_its_own = to.is_encrypted() && to.port == 443 && !self.was_clear;
        if is_its_own { netrc.credentials_by_name(host) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use super::*;

    const NETRC: &str =
        "machine a.org login a password 1\nmachine b.org login b password 2\ndefault login d password 3\n";

    /// The user name that is sent to the last of `urls`, each of which redirects to the next.
    fn sent(urls: &[&str]) -> Option<String> {
        let address = Address::below(&urls[0].parse().unwrap(), "").unwrap();
        let netrc = Netrc::parse(NETRC);
        let mut trail = Trail::from(&address.url);
        let mut asked = address.url.clone();
        for url in &urls[1..] {
            trail.redirected_by(&asked);
            asked = url.parse().unwrap();
        }
        let (user, _) = trail.credentials(&asked, address.credentials.as_ref(), &netrc)?;
        Some(user.to_owned())
    }

    #[test]
    fn credentials_go_to_the_server_that_was_named() {
        for (user, urls) in [
            ("me", &["http://me:x@a.org/f"][..]),
            ("me", &["https://me:x@a.org:8443/f", "https://a.org:8443/g"]),
            ("me", &["http://me:x@a.org/f", "http://a.org:80/g"]),
            ("a", &["http://a.org/f"]),
            ("a", &["http://A.ORG:8080/f", "http://a.org:8080/g"]),
            ("a", &["https://a.org:8443/f"]),
            ("d", &["http://c.org/f"]),
            ("d", &["https://c.org/f", "https://c.org/g"]),
            // By https a server is itself, whoever leads there.
            ("me", &["https://me:x@a.org/f", "https://c.org/g", "https://a.org/h"]),
            ("b", &["https://c.org/f", "https://b.org/g"]),
            ("b", &["https://me:x@a.org/f", "https://b.org/g"]),
        ] {
            assert_eq!(sent(urls).as_deref(), Some(user), "{urls:?}");
        }
    }

    #[test]
    fn credentials_go_nowhere_else() {
        for urls in [
            // Another port, scheme or host.
            &["http://me:x@a.org/f", "http://a.org:8080/g"][..],
            &["https://me:x@a.org/f", "https://a.org:8443/g"],
            &["https://me:x@a.org/f", "https://c.org/g"],
            &["http://me:x@c.org/f", "https://c.org/g"],
            &["http://a.org:443/f", "https://a.org:443/g"],
            // A netrc names a host: not every port of it, and not in the clear.
            &["http://a.org/f", "http://a.org:8080/g"],
            &["https://a.org/f", "https://a.org:8443/g"],
            &["http://127.0.0.1/f", "http://a.org/g"],
            &["http://a.org/f", "http://b.org/g"],
            // A redirection over http may be anybody's.
            &["http://c.org/f", "https://b.org/g"],
            &["http://a.org/f", "https://a.org/g"],
            &["http://c.org/f", "https://c.org/g", "https://b.org/h"],
            // And back again.
            &["http://me:x@a.org/f", "http://c.org/g", "http://a.org/h"],
            &["http://a.org/f", "http://c.org/g", "http://a.org/h"],
            &["http://a.org/f", "http://a.org:8080/g", "http://a.org/h"],
            // `default` is for what was named.
            &["https://a.org/f", "https://c.org/g"],
            &["http://a.org/f", "http://c.org/g"],
        ] {
            assert_eq!(sent(urls), None, "{urls:?}");
        }
    }
}
