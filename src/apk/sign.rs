//! Private keys, and the signature members they make.
//!
//! The counterpart of [`super::keys`], for those who publish packages and indexes. A signature covers the
//! compressed bytes that follow its member, and PKCS#1 v1.5 has no randomness: the same key and bytes give
//! the same member. The computation is blinded all the same, with the system's randomness, so that its
//! time says little of the key.
//!
//! Source: spec apk v2, "Signatures"; RFC 8017, section 8.2.

use std::fmt;
use std::io;
use std::str::FromStr;

use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;

use super::keys::{KeyError, PublicKey, SHA1_INFO, SHA256_INFO, SHA512_INFO, scheme};
use super::members::{self, SmallFile, TarEnd};
use super::signature::{Algorithm, Signature};
use crate::archive::tar_write::TarWriteError;
use crate::digest::{Sha1, Sha256, Sha512};
use crate::kind::{Explain, Kind};

/// The length of a key that is made, in bits; Alpine's newest have 4096, which take many seconds to make.
const NEW_KEY_BITS: usize = 2048;

/// How a signature is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningAlgorithm {
    /// RSA over SHA-1, which every apk accepts.
    #[default]
    Rsa,
    /// RSA over SHA-256, for apk 2.12 and later.
    Rsa256,
    /// RSA over SHA-512, for apk 2.14 and later.
    Rsa512,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rsa, Self::Rsa256, Self::Rsa512];

    /// The name in a signature's file name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Rsa256 => "RSA256",
            Self::Rsa512 => "RSA512",
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no algorithm one can sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a signature algorithm (known: RSA, RSA256, RSA512)")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for SigningAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

/// Why something cannot be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The file holds no private key.
    #[error("{name} is not an unencrypted RSA private key in PEM form")]
    Form {
        /// What the key is for: the name of its public half.
        name: String,
    },
    /// Its public half cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The computation failed: the numbers of the key do not belong together, or there is no randomness.
    #[error("cannot sign with the private key of {name}: {error}")]
    Sign {
        /// The name of the public key.
        name: String,
        /// What failed.
        error: rsa::Error,
    },
    /// No key could be made.
    #[error("cannot make a key: {0}")]
    Generate(rsa::Error),
    /// The member cannot be written.
    #[error("cannot write the signature: {0}")]
    Tar(#[from] TarWriteError),
    /// The member cannot be compressed.
    #[error("cannot compress the signature: {0}")]
    Compress(io::Error),
}

impl Explain for SignError {
    fn kind(&self) -> Kind {
        match self {
            Self::Form { .. } | Self::Key(_) | Self::Sign { .. } => Kind::Profile,
            Self::Generate(_) | Self::Tar(_) | Self::Compress(_) => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Form { .. } => Some(
                "a key is made by `openssl genrsa -out x.rsa 4096`, its public half by `openssl rsa -in x.rsa -pubout -out x.rsa.pub`"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// A private key, the name of its public half, and how it signs.
pub struct SigningKey {
    private: RsaPrivateKey,
    public: PublicKey,
    algorithm: SigningAlgorithm,
}

impl SigningKey {
    /// Reads an unencrypted private key, PKCS#8 or PKCS#1. `public_name` is the file name under which its
    /// public half lies in `/etc/apk/keys`.
    pub fn parse(public_name: &str, pem: &[u8]) -> Result<Self, SignError> {
        let form = || SignError::Form { name: public_name.to_owned() };
        let text = std::str::from_utf8(pem).map_err(|_| form())?;
        let private = RsaPrivateKey::from_pkcs8_pem(text)
            .ok()
            .or_else(|| RsaPrivateKey::from_pkcs1_pem(text).ok())
            .ok_or_else(form)?;
        Self::of(public_name, private)
    }

    /// Makes a new key.
    pub fn generate(public_name: &str) -> Result<Self, SignError> {
        let private = RsaPrivateKey::new(&mut OsRng, NEW_KEY_BITS).map_err(SignError::Generate)?;
        Self::of(public_name, private)
    }

    fn of(public_name: &str, private: RsaPrivateKey) -> Result<Self, SignError> {
        let pem = private
            .to_public_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| SignError::Form { name: public_name.to_owned() })?;
        let public = PublicKey::parse(public_name, pem.as_bytes())?;
        Ok(Self { private, public, algorithm: SigningAlgorithm::default() })
    }

    /// The same key, signing with `algorithm`.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The signature of `message`.
    pub fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let (algorithm, prefix, digest) = match self.algorithm {
            SigningAlgorithm::Rsa => (Algorithm::Rsa, SHA1_INFO, Sha1::of(message).as_bytes().to_vec()),
            SigningAlgorithm::Rsa256 => {
                (Algorithm::Rsa256, SHA256_INFO, Sha256::of(message).as_bytes().to_vec())
            }
            SigningAlgorithm::Rsa512 => {
                (Algorithm::Rsa512, SHA512_INFO, Sha512::of(message).as_bytes().to_vec())
            }
        };
        let bytes = self
            .private
            .sign_with_rng(&mut OsRng, scheme(prefix, digest.len()), &digest)
            .map_err(|error| SignError::Sign { name: self.public.name().to_owned(), error })?;
        Ok(Signature { algorithm, key: self.public.name().to_owned(), bytes })
    }

    /// The gzip member that goes before `message`, which is the compressed rest of an index or the control
    /// member of a package.
    pub fn signature_member(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.sign(message)?;
        let name = signature.entry_name();
        let file = SmallFile { name: &name, mode: 0o644, mtime: 0, bytes: &signature.bytes };
        let tar = members::small_tar(&[file], TarEnd::Open)?;
        crate::archive::gzip_write::member(&tar).map_err(SignError::Compress)
    }
}

/// Never the key itself.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.public.name(), self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apk::keys::{Keyring, MessageDigests};
    use crate::apk::signature;
    use rsa::pkcs1::EncodeRsaPrivateKey as _;
    use rsa::pkcs8::EncodePrivateKey as _;

    #[test]
    fn every_algorithm_is_accepted_by_the_keyring_and_another_message_is_not() {
        let mut key = SigningKey::generate("test.rsa.pub").unwrap();
        for algorithm in SigningAlgorithm::ALL {
            key = key.with_algorithm(algorithm);
            let keyring = Keyring::of([key.public_key().clone()]);
            let message = crate::archive::gzip_write::member(b"message").unwrap();

            let signed = [key.signature_member(&message).unwrap(), message.clone()].concat();

            let (signatures, rest) = signature::split(&signed).unwrap();
            assert_eq!(rest, message);
            assert_eq!(signatures[0].algorithm.as_str(), algorithm.as_str());
            assert!(keyring.verify(&signatures, &MessageDigests::of(rest)).is_ok(), "{algorithm}");
            assert!(keyring.verify(&signatures, &MessageDigests::of(b"other")).is_err(), "{algorithm}");
            assert!(keyring.verify_message(&signatures, rest).is_ok(), "{algorithm}");
            assert!(keyring.verify_message(&signatures, b"other").is_err(), "{algorithm}");
        }
    }

    #[test]
    fn both_pem_forms_give_the_same_signature() {
        let key = SigningKey::generate("test.rsa.pub").unwrap();
        let pkcs8 = key.private.to_pkcs8_pem(LineEnding::LF).unwrap();
        let pkcs1 = key.private.to_pkcs1_pem(LineEnding::LF).unwrap();
        for pem in [pkcs8.as_str(), pkcs1.as_str()] {
            let again = SigningKey::parse("test.rsa.pub", pem.as_bytes()).unwrap();
            assert_eq!(again.sign(b"x").unwrap(), key.sign(b"x").unwrap());
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused_and_a_key_never_shows_in_messages() {
        let key = SigningKey::generate("test.rsa.pub").unwrap();
        let refused = SigningKey::parse("x.rsa.pub", key.public_key().pem());
        assert!(matches!(refused, Err(SignError::Form { .. })));
        assert!(matches!(SigningKey::parse("x", b"\xff"), Err(SignError::Form { .. })));
        assert_eq!(format!("{key:?}"), "SigningKey(test.rsa.pub, RSA)");
    }
}
