//! Names: of packages, of variables, of images, of ports and signals.
//!
//! Source: spec apk v2, "Dependencies and versions"; the image reference grammar of `docker tag`; the port
//! and signal forms that Docker's config takes.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use super::value::{Invalid, decimal};

const WANTED_PACKAGE: &str = "the name of a package (letters, digits, `.`, `_`, `+` and `-`)";
const WANTED_VARIABLE: &str =
    "the name of a variable (letters, digits, `_` and `-`, beginning with a letter or `_`)";
const WANTED_REFERENCE: &str = "an image name (\"[registry/]name[:tag]\": lower-case letters and digits, joined by `.`, `_`, `-` and `/`)";
const WANTED_PORT: &str = "a port (1 to 65535, with `/tcp`, `/udp` or `/sctp`: \"80/tcp\")";
const WANTED_SIGNAL: &str = "a signal (\"SIGTERM\", \"SIGRTMIN+3\" or a number from 1 to 64)";

pub(super) fn is_package_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-')
}

macro_rules! name {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Looks one up by its text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(PackageName, "The name of a package, without version or tag.");
name!(VariableName, "The name of a variable of a profile.");
name!(ImageReference, "An image's name with an optional registry and tag, as `docker tag` takes it.");
name!(StopSignal, "The signal that stops a container, as Docker's `StopSignal` takes it.");

impl FromStr for PackageName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !text.is_empty() && text.len() <= 255 && text.chars().all(is_package_name_char) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new(text, WANTED_PACKAGE))
        }
    }
}

impl FromStr for VariableName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let later = |c: char| first(c) || c.is_ascii_digit() || c == '-';
        if text.len() <= 64 && text.starts_with(first) && text.chars().all(later) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new(text, WANTED_VARIABLE))
        }
    }
}

impl ImageReference {
    /// The registry, the path and the tag, as they were written.
    #[must_use]
    pub fn parts(&self) -> (Option<&str>, &str, Option<&str>) {
        split_reference(&self.0)
    }
}

impl FromStr for ImageReference {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (registry, path, tag) = split_reference(text);
        let fits = text.len() <= 255 + 129
            && registry.is_none_or(is_registry)
            && path.split('/').all(is_path_component)
            && registry.map_or(0, |registry| registry.len() + 1) + path.len() <= 255
            && tag.is_none_or(is_image_tag);
        if fits { Ok(Self(text.into())) } else { Err(Invalid::new(text, WANTED_REFERENCE)) }
    }
}

fn split_reference(text: &str) -> (Option<&str>, &str, Option<&str>) {
    // As Docker does: what stands before the first slash is a registry only if it looks like a host.
    let (registry, rest) = match text.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), rest),
        _ => (None, text),
    };
    match rest.rsplit_once(':') {
        Some((path, tag)) => (registry, path, Some(tag)),
        None => (registry, rest, None),
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        let alphanumeric = |c: char| c.is_ascii_alphanumeric();
        label.starts_with(alphanumeric)
            && label.ends_with(alphanumeric)
            && label.chars().all(|c| alphanumeric(c) || c == '-')
    };
    host.split('.').all(is_label) && port.is_none_or(|port| decimal::<u16>(port).is_some())
}

/// Letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_path_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joint = |joint: &str| matches!(joint, "" | "." | "_" | "__") || joint.chars().all(|c| c == '-');
    text.starts_with(word) && text.ends_with(word) && text.split(word).all(joint)
}

fn is_image_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

/// A port that the image's processes listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// The transport.
    pub transport: Transport,
}

/// What carries a port's traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP, which is meant where nothing is said.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl FromStr for Port {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(text, WANTED_PORT);
        let (number, transport) = text.split_once('/').unwrap_or((text, "tcp"));
        let transport = match transport {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            "sctp" => Transport::Sctp,
            _ => return Err(invalid()),
        };
        let number = decimal(number).filter(|number| *number != 0).ok_or_else(invalid)?;
        Ok(Self { number, transport })
    }
}

/// The key of `ExposedPorts`: `80/tcp`.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        };
        write!(f, "{}/{transport}", self.number)
    }
}

/// Linux' signals by name, without `SIG`.
const SIGNALS: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

impl FromStr for StopSignal {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        let real_time = || {
            let offset = |sign: &str, base: &str| name.strip_prefix(base)?.strip_prefix(sign);
            let number = offset("+", "RTMIN").or_else(|| offset("-", "RTMAX"))?;
            decimal::<u8>(number).filter(|number| (1..=15).contains(number))
        };
        let fits = SIGNALS.contains(&name)
            || matches!(name, "RTMIN" | "RTMAX")
            || real_time().is_some()
            || decimal::<u8>(text).is_some_and(|number| (1..=64).contains(&number));
        if fits { Ok(Self(text.into())) } else { Err(Invalid::new(text, WANTED_SIGNAL)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // By the reference grammar that `docker tag` documents.
    #[test]
    fn an_image_name_is_what_docker_takes() {
        for text in [
            "php",
            "example/php-fpm:8.3",
            "localhost/x",
            "localhost:5000/a/b__c:1_2.3-x",
            "registry.example.org:443/team/app:latest",
            "a--b/c.d",
        ] {
            assert!(text.parse::<ImageReference>().is_ok(), "{text}");
        }
        for text in [
            "",
            ":",
            "PHP",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a/",
            "/a",
            "a:",
            "a:-1",
            "a b",
            "a:b:c",
            "a@sha256:00",
            "https://x/y",
            "a:\n",
            "x.org:99999/a",
            "é",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
        assert!("a".repeat(256).parse::<ImageReference>().is_err());
        assert!(format!("a:{}", "1".repeat(129)).parse::<ImageReference>().is_err());
    }

    #[test]
    fn a_reference_has_a_registry_only_if_it_looks_like_a_host() {
        let parts = |text: &str| {
            let reference: ImageReference = text.parse().unwrap();
            let (registry, path, tag) = reference.parts();
            (registry.map(str::to_owned), path.to_owned(), tag.map(str::to_owned))
        };
        assert_eq!(parts("example/php:8"), (None, "example/php".into(), Some("8".into())));
        assert_eq!(parts("localhost:5000/a"), (Some("localhost:5000".into()), "a".into(), None));
    }

    #[test]
    fn a_port_is_tcp_unless_said_otherwise() {
        for (text, key) in [("80", "80/tcp"), ("53/udp", "53/udp"), ("65535/sctp", "65535/sctp")] {
            assert_eq!(text.parse::<Port>().unwrap().to_string(), key);
        }
        for text in ["", "0/tcp", "70000", "70000/tcp", "80/icmp", "-1", "80/", "/tcp", "80-90/tcp"] {
            assert!(text.parse::<Port>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_signal_is_a_name_or_a_number() {
        for text in ["SIGQUIT", "QUIT", "3", "64", "SIGRTMIN+3", "RTMAX-1", "SIGRTMIN"] {
            assert!(text.parse::<StopSignal>().is_ok(), "{text}");
        }
        for text in ["", "SIG", "sigquit", "SIGNOPE", "0", "65", "RTMIN+16", "RTMIN+", "RTMIN+RTMIN", "-9"] {
            assert!(text.parse::<StopSignal>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_packages_and_variables_have_their_own_characters() {
        assert!("gtk+3.0-dev_x".parse::<PackageName>().is_ok());
        for text in ["", "a@b", "a>1", "so:libc", "a b", "é"] {
            assert!(text.parse::<PackageName>().is_err(), "{text}");
        }
        assert!("php_version-2".parse::<VariableName>().is_ok());
        for text in ["", "2a", "a.b", "a}", "é", &"a".repeat(65)] {
            assert!(text.parse::<VariableName>().is_err(), "{text}");
        }
    }
}
