//! Public keys, and the signatures they decide about.
//!
//! A [`Keyring`] is what one repository of one architecture accepts, no more. A signature names its key by
//! file name; the first whose key is accepted decides, and if that one is bad there is no second try.
//! Keys found in a base, a mirror or a package are data and never come in here.
//!
//! Alpine's keys are compiled in, each bound to the architectures whose repositories it signs (as the
//! directories of its alpine-keys package bind them).
//!
//! Source: spec apk v2, "Signatures"; design, "Trust".

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rsa::pkcs8::DecodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, RsaPublicKey};

use super::signature::{Algorithm, Signature};
use crate::arch::Arch;
use crate::digest::{Sha1, Sha256, Sha512};
use crate::kind::{Explain, Kind};

/// The largest key file that is read, in bytes.
pub const MAX_KEY_FILE: u64 = 64 * 1024;
/// RSA keys shorter than this are refused; Alpine's shortest has 2048 bits.
const MIN_KEY_BITS: usize = 2048;
/// RSA keys longer than this are refused: checking one would take seconds.
const MAX_KEY_BITS: usize = 16384;

/// A public key under the file name by which signatures call for it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: Arc<str>,
    key: RsaPublicKey,
    pem: Arc<[u8]>,
    fingerprint: Sha256,
}

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file is not a PEM-encoded RSA public key.
    #[error("{name} is not an RSA public key in PEM form")]
    Form {
        /// The key's file name.
        name: String,
    },
    /// The key is too short to be safe, or too long to be used.
    #[error("{name} has {bits} bits; accepted are {MIN_KEY_BITS} to {MAX_KEY_BITS}")]
    Bits {
        /// The key's file name.
        name: String,
        /// The length of its modulus.
        bits: usize,
    },
    /// The file name is not one a signature could call for.
    #[error("`{name}` cannot be the name of a key: signatures name it by its file name, as in `x.rsa.pub`")]
    Name {
        /// The name.
        name: String,
    },
}

impl Explain for KeyError {
    fn kind(&self) -> Kind {
        Kind::Profile
    }
}

impl PublicKey {
    /// Reads a key file; `name` is its file name.
    pub fn parse(name: &str, pem: &[u8]) -> Result<Self, KeyError> {
        if name.is_empty() || name.contains('/') || name.chars().any(char::is_control) {
            return Err(KeyError::Name { name: name.escape_debug().to_string() });
        }
        let form = || KeyError::Form { name: name.to_owned() };
        let text = std::str::from_utf8(pem).map_err(|_| form())?;
        let key = RsaPublicKey::from_public_key_pem(text).map_err(|_| form())?;
        let bits = key.size() * 8;
        if !(MIN_KEY_BITS..=MAX_KEY_BITS).contains(&bits) {
            return Err(KeyError::Bits { name: name.to_owned(), bits });
        }
        Ok(Self { name: name.into(), key, pem: pem.into(), fingerprint: Sha256::of(pem) })
    }

    /// The file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SHA-256 of the key file.
    pub fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }

    /// The key file as it was read.
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.name)
    }
}

/// The keys that one repository of one architecture accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    accepted: Vec<PublicKey>,
    /// Names of keys that are known but not accepted here: an error then can say so.
    unbound: Vec<Arc<str>>,
}

/// The digests of a signed message, one of which a signature was made over.
#[derive(Debug, Clone, Copy)]
pub struct MessageDigests {
    /// For `RSA`.
    pub sha1: Sha1,
    /// For `RSA256`.
    pub sha256: Sha256,
    /// For `RSA512`.
    pub sha512: Sha512,
}

impl MessageDigests {
    /// The digests of `message`.
    pub fn of(message: &[u8]) -> Self {
        Self { sha1: Sha1::of(message), sha256: Sha256::of(message), sha512: Sha512::of(message) }
    }
}

/// What a signature is made over.
#[derive(Debug, Clone, Copy)]
enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is none.
    #[error("it is not signed")]
    Unsigned,
    /// Nobody knows the key.
    #[error("it is signed with a key that is not trusted: {}", .keys.join(", "))]
    UnknownKey {
        /// The names of the keys the signatures call for.
        keys: Vec<String>,
    },
    /// The key is known, though not for this repository and architecture.
    #[error("it is signed with {key}, which is not accepted for this repository and architecture")]
    UnboundKey {
        /// The key's name.
        key: String,
    },
    /// The key is accepted, and the signature is not its.
    #[error("BAD signature: it was not made by {key}, or something was changed since")]
    Bad {
        /// The key's name.
        key: String,
    },
    /// The algorithm is none that is still safe to accept.
    #[error("it is signed by {key} with {algorithm}, which is not supported")]
    Algorithm {
        /// The key's name.
        key: String,
        /// The algorithm's name.
        algorithm: String,
    },
}

impl SignatureError {
    /// Whether nothing is wrong but that nobody who is accepted has signed.
    pub(super) fn is_for_want_of_a_key(&self) -> bool {
        match self {
            Self::Unsigned | Self::UnknownKey { .. } | Self::UnboundKey { .. } => true,
            Self::Bad { .. } | Self::Algorithm { .. } => false,
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsigned => Some("apkcompose accepts signed repositories only; `apkcompose index` signs one".to_owned()),
            Self::UnknownKey { keys } => Some(format!(
                "if you trust it, give the repository the key: {{ url = ..., keys = [\"{}\"] }}",
                keys.first().map_or("x.rsa.pub", String::as_str)
            )),
            Self::UnboundKey { .. } => Some(
                "each of Alpine's keys is for one architecture\nof your own, `keys` are for repositories given by path or URL, `mirror-keys` for Alpine's own names\nan entry that has `keys` itself accepts those alone"
                    .to_owned(),
            ),
            Self::Bad { .. } | Self::Algorithm { .. } => None,
        }
    }
}

impl Keyring {
    /// The keyring that accepts exactly `keys`.
    pub fn of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let unbound = ALPINE_KEYS.iter().map(|(name, _, _)| (*name).into()).collect();
        Self { accepted: keys.into_iter().collect(), unbound }
    }

    /// Alpine's keys for `arch`.
    pub fn alpine(arch: Arch) -> Self {
        let mut keyring = Self::default();
        for (name, pem, arches) in ALPINE_KEYS {
            if !arches.contains(&arch) {
                keyring.unbound.push((*name).into());
            } else if let Ok(key) = PublicKey::parse(name, pem) {
                keyring.accepted.push(key);
            }
        }
        keyring
    }

    /// Knows `keys` without accepting them, to tell them from strangers'.
    #[must_use]
    pub fn knowing(mut self, keys: &[PublicKey]) -> Self {
        self.unbound.extend(keys.iter().map(|key| Arc::clone(&key.name)));
        self
    }

    /// Accepts `keys` too.
    #[must_use]
    pub fn and(mut self, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        self.accepted.extend(keys);
        self
    }

    /// The accepted keys.
    pub fn keys(&self) -> &[PublicKey] {
        &self.accepted
    }

    /// Checks the signatures of a message and returns the name of the key that made the deciding one.
    pub fn verify(
        &self,
        signatures: &[Signature],
        message: &MessageDigests,
    ) -> Result<KeyName, SignatureError> {
        self.decide(signatures, |hash| match hash {
            Hash::Sha1 => Cow::Borrowed(message.sha1.as_bytes().as_slice()),
            Hash::Sha256 => Cow::Borrowed(message.sha256.as_bytes().as_slice()),
            Hash::Sha512 => Cow::Borrowed(message.sha512.as_bytes().as_slice()),
        })
    }

    /// The same for a message of some length, of which only the digest that matters is computed.
    pub fn verify_message(
        &self,
        signatures: &[Signature],
        message: &[u8],
    ) -> Result<KeyName, SignatureError> {
        self.decide(signatures, |hash| match hash {
            Hash::Sha1 => Cow::Owned(Sha1::of(message).as_bytes().to_vec()),
            Hash::Sha256 => Cow::Owned(Sha256::of(message).as_bytes().to_vec()),
            Hash::Sha512 => Cow::Owned(Sha512::of(message).as_bytes().to_vec()),
        })
    }

    /// Finds the signature that decides and checks it against the digest that it was made over.
    fn decide<'m>(
        &self,
        signatures: &[Signature],
        digest: impl FnOnce(Hash) -> Cow<'m, [u8]>,
    ) -> Result<KeyName, SignatureError> {
        let Some((signature, key)) = self.deciding(signatures) else {
            return Err(self.refusal(signatures));
        };
        let (scheme, hash) = match &signature.algorithm {
            Algorithm::Rsa => (scheme(SHA1_INFO, 20), Hash::Sha1),
            Algorithm::Rsa256 => (scheme(SHA256_INFO, 32), Hash::Sha256),
            Algorithm::Rsa512 => (scheme(SHA512_INFO, 64), Hash::Sha512),
            Algorithm::Other(algorithm) => {
                return Err(SignatureError::Algorithm {
                    key: signature.key.clone(),
                    algorithm: algorithm.clone(),
                });
            }
        };
        match key.key.verify(scheme, &digest(hash), &signature.bytes) {
            Ok(()) => Ok(KeyName::of(key)),
            Err(_) => Err(SignatureError::Bad { key: signature.key.clone() }),
        }
    }

    /// The name of the key that decides about `signatures`, if that is the one with `fingerprint`, whose
    /// signature was found good before. For who keeps what was verified and where nobody else can write:
    /// checking a signature of 4096 bits takes milliseconds.
    pub(super) fn recall(&self, signatures: &[Signature], fingerprint: Sha256) -> Option<KeyName> {
        let (_, key) = self.deciding(signatures)?;
        (key.fingerprint == fingerprint).then(|| KeyName::of(key))
    }

    /// The first signature whose key is accepted, with that key.
    fn deciding<'a>(&self, signatures: &'a [Signature]) -> Option<(&'a Signature, &PublicKey)> {
        signatures.iter().find_map(|signature| {
            Some((signature, self.accepted.iter().find(|key| *key.name == *signature.key)?))
        })
    }

    fn refusal(&self, signatures: &[Signature]) -> SignatureError {
        if signatures.is_empty() {
            return SignatureError::Unsigned;
        }
        let unbound = signatures.iter().find(|s| self.unbound.iter().any(|name| **name == *s.key));
        match unbound {
            Some(signature) => SignatureError::UnboundKey { key: signature.key.clone() },
            None => SignatureError::UnknownKey { keys: signatures.iter().map(|s| s.key.clone()).collect() },
        }
    }
}

/// The key whose signature was found good, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    name: Arc<str>,
    fingerprint: Sha256,
}

impl KeyName {
    fn of(key: &PublicKey) -> Self {
        Self { name: Arc::clone(&key.name), fingerprint: key.fingerprint }
    }

    /// The SHA-256 of the key file.
    pub fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The DER prefixes of a `DigestInfo`, RFC 8017, section 9.2, note 1. Spelt out because the rsa and sha
/// crates are of different `digest` generations.
pub(super) const SHA1_INFO: &[u8] =
    &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];
pub(super) const SHA256_INFO: &[u8] = &[
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];
pub(super) const SHA512_INFO: &[u8] = &[
    0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00,
    0x04, 0x40,
];

pub(super) fn scheme(prefix: &[u8], length: usize) -> Pkcs1v15Sign {
    Pkcs1v15Sign { hash_len: Some(length), prefix: prefix.into() }
}

macro_rules! alpine_keys {
    ($($id:literal: $($arch:ident)+;)+) => {
        /// Name, PEM text and architectures of Alpine's keys.
        const ALPINE_KEYS: &[(&str, &[u8], &[Arch])] = &[$((
            concat!("alpine-devel@lists.alpinelinux.org-", $id, ".rsa.pub"),
            include_bytes!(concat!("../../keys/alpine-devel@lists.alpinelinux.org-", $id, ".rsa.pub")),
            &[$(Arch::$arch),+],
        )),+];
    };
}

alpine_keys! {
    "4a6a0840": X86 X86_64;
    "5243ef4b": X86;
    "524d27bb": Armhf Armv7;
    "5261cecb": X86_64;
    "58199dcc": Aarch64;
    "58cbb476": Ppc64le;
    "58e4f17d": S390x;
    "5e69ca50": Mips64;
    "60ac2099": Riscv64;
    "6165ee59": X86_64;
    "61666e3f": X86;
    "616a9724": Armhf;
    "616abc23": Ppc64le;
    "616ac3bc": S390x;
    "616adfeb": Armv7;
    "616ae350": Aarch64;
    "616db30d": Riscv64;
    "66ba20fe": Loongarch64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compiled_in_key_parses_and_serves_its_architectures() {
        for arch in Arch::ALL {
            let bound = ALPINE_KEYS.iter().filter(|(_, _, arches)| arches.contains(&arch)).count();
            assert!(bound > 0, "{arch}");
            assert_eq!(Keyring::alpine(arch).keys().len(), bound, "{arch}");
        }
    }

    #[test]
    fn without_an_accepted_key_the_reason_is_told_apart() {
        let keyring = Keyring::alpine(Arch::X86_64);
        let signature =
            |key: &str| Signature { algorithm: Algorithm::Rsa, key: key.to_owned(), bytes: vec![0; 256] };
        let message = MessageDigests::of(b"");
        assert_eq!(keyring.verify(&[], &message), Err(SignatureError::Unsigned));
        let stranger = keyring.verify(&[signature("x.rsa.pub")], &message);
        assert!(matches!(stranger, Err(SignatureError::UnknownKey { .. })));
        let unbound =
            keyring.verify(&[signature("alpine-devel@lists.alpinelinux.org-58199dcc.rsa.pub")], &message);
        assert!(matches!(unbound, Err(SignatureError::UnboundKey { .. })));
        let bad =
            keyring.verify(&[signature("alpine-devel@lists.alpinelinux.org-4a6a0840.rsa.pub")], &message);
        assert!(matches!(bad, Err(SignatureError::Bad { .. })));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        assert!(matches!(PublicKey::parse("a.rsa.pub", b"nonsense"), Err(KeyError::Form { .. })));
        assert!(matches!(PublicKey::parse("../a", b""), Err(KeyError::Name { .. })));
    }
}
