//! Typed digests: values that must not be mixed up have types of their own.
//!
//! Text forms: SHA-1, SHA-256 and SHA-512 as lower-case hexadecimal; [`Identity`] as apk's `Q1` + base64;
//! [`DiffId`] and descriptors as `sha256:` + hexadecimal (OCI image spec, "Digests"). Source of the apk
//! forms: spec apk v2, "Identity".

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use sha1::Digest as _;

/// Base64 with padding. The last digit may have bits beyond the bytes that it stands for, as apk takes it; they are written
/// as zeros.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A text that is not a digest of the wanted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {form}")]
pub struct DigestError {
    /// The text as it was given.
    pub text: String,
    /// What was wanted.
    pub form: &'static str,
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut out = [0; N];
    for (slot, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return None,
            };
            *slot = (*slot << 4) | value;
        }
    }
    Some(out)
}

macro_rules! digest {
    ($name:ident, $bytes:literal, $hasher:ty, $form:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// The digest of `data`.
            #[must_use]
            pub fn of(data: &[u8]) -> Self {
                Self(<$hasher>::digest(data).into())
            }

            /// A digest already computed elsewhere.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// Lower-case hexadecimal.
            #[must_use]
            pub fn to_hex(self) -> String {
                self.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                parse_hex(text).map(Self).ok_or_else(|| DigestError { text: text.to_owned(), form: $form })
            }
        }
    };
}

/// The digest in `text`, if it is written just as it would be written here: in lower case.
#[must_use]
pub fn plain<D: FromStr + fmt::Display>(text: &str) -> Option<D> {
    let digest: D = text.parse().ok()?;
    (digest.to_string() == text).then_some(digest)
}

digest!(Sha1, 20, sha1::Sha1, "SHA-1 (40 hexadecimal digits)", "A SHA-1 digest.");
digest!(Sha256, 32, sha2::Sha256, "SHA-256 (64 hexadecimal digits)", "A SHA-256 digest.");
digest!(Sha512, 64, sha2::Sha512, "SHA-512 (128 hexadecimal digits)", "A SHA-512 digest.");

macro_rules! hasher {
    ($name:ident, $digest:ident, $hasher:ty) => {
        #[doc = concat!("Computes a [`", stringify!($digest), "`] over bytes that come piece by piece.")]
        #[derive(Clone, Default)]
        pub struct $name($hasher);

        impl $name {
            /// Adds `data`.
            pub fn update(&mut self, data: &[u8]) {
                self.0.update(data);
            }

            /// The digest of all that was added.
            #[must_use]
            pub fn finish(self) -> $digest {
                $digest(self.0.finalize().into())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

hasher!(Sha1Hasher, Sha1, sha1::Sha1);
hasher!(Sha256Hasher, Sha256, sha2::Sha256);
hasher!(Sha512Hasher, Sha512, sha2::Sha512);

/// apk's identity of a package: the SHA-1 of its compressed control member.
///
/// Written `Q1` + base64 in indexes and databases, `X1` + hexadecimal in file names. A `Q2` (SHA-256)
/// identity of a v2 package is accepted by no apk that could install it, so it does not parse here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Sha1);

impl Identity {
    /// The identity whose SHA-1 is `sha1`.
    #[must_use]
    pub const fn new(sha1: Sha1) -> Self {
        Self(sha1)
    }

    /// The SHA-1 of the compressed control member.
    #[must_use]
    pub const fn sha1(&self) -> Sha1 {
        self.0
    }

    /// The form used in file names: `X1` + hexadecimal.
    #[must_use]
    pub fn to_x1(self) -> String {
        format!("X1{}", self.0)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_q1(self.0, f)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

impl FromStr for Identity {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        parse_q1(text)
            .map(Self)
            .ok_or_else(|| DigestError { text: text.to_owned(), form: "package identity (Q1 + base64)" })
    }
}

/// Writes `sha1` in apk's `Q1` form, which the installed database also uses for files.
fn write_q1(sha1: Sha1, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "Q1{}", BASE64.encode(sha1.0))
}

fn parse_q1(text: &str) -> Option<Sha1> {
    if let Some(encoded) = text.strip_prefix("Q1") {
        let bytes = BASE64.decode(encoded).ok()?;
        return Some(Sha1(bytes.try_into().ok()?));
    }
    parse_hex(text.strip_prefix("X1")?).map(Sha1)
}

impl Sha1 {
    /// apk's text form of a file's checksum: `Q1` + base64.
    #[must_use]
    pub fn to_q1(self) -> String {
        Identity(self).to_string()
    }

    /// Parses apk's text form of a file's checksum, `Q1` + base64 or `X1` + hexadecimal.
    pub fn from_q1(text: &str) -> Result<Self, DigestError> {
        parse_q1(text).ok_or_else(|| DigestError { text: text.to_owned(), form: "checksum (Q1 + base64)" })
    }
}

/// The SHA-256 of a layer's uncompressed tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DiffId(pub Sha256);

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_and_writes_both_of_apks_forms() {
        let q1 = "Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=";
        let identity: Identity = q1.parse().unwrap();
        assert_eq!(identity.to_string(), q1);
        assert_eq!(identity.to_x1().parse::<Identity>().unwrap(), identity);
    }

    #[test]
    fn bits_beyond_the_last_byte_do_not_count() {
        let sloppy: Identity = "Q1RWLMZH10kdz0zUmHb2dljdFhLlR=".parse().unwrap();
        assert_eq!(sloppy.to_string(), "Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=");
    }

    #[test]
    fn a_text_that_is_no_digest_is_refused() {
        for text in
            ["", "Q1", "Q1####", "Q2RWLMZH10kdz0zUmHb2dljdFhLlQ=", "Q1RWLMZH10kdz0zUmHb2dljdFhLlQ", "X1zz"]
        {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
        assert!("ab".parse::<Sha256>().is_err());
        assert!("g".repeat(64).parse::<Sha256>().is_err());
    }

    #[test]
    fn digests_of_the_empty_string_are_the_published_ones() {
        assert_eq!(Sha1::of(b"").to_hex(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(
            Sha256::of(b"").to_hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
