//! The signature member at the front of packages and indexes.
//!
//! It is a gzip member whose tar holds only `.SIGN.<ALGORITHM>.<key file>` entries and no end-of-archive
//! blocks; what follows it is what it signs, compressed. Nothing here judges a signature:
//! that is [`super::keys::Keyring`]'s.
//!
//! Source: spec apk v2, "Signatures".

use std::io;

use crate::archive::gzip::{self, GzipError};
use crate::archive::tar_read::{EntryKind, TarError, TarReader};

/// The most a signature member may inflate to, in bytes.
const MAX_MEMBER: u64 = 1 << 20;
/// The longest signature, in bytes.
const MAX_SIGNATURE: u64 = 65_536;
/// The prefix of every signature's name.
const PREFIX: &str = ".SIGN.";

/// A signature and the key it calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// How it was made.
    pub algorithm: Algorithm,
    /// The file name of the public key.
    pub key: String,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

/// How a signature was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA, PKCS#1 v1.5, over SHA-1.
    Rsa,
    /// RSA, PKCS#1 v1.5, over SHA-256.
    Rsa256,
    /// RSA, PKCS#1 v1.5, over SHA-512.
    Rsa512,
    /// Anything else, DSA among it, by its name.
    Other(String),
}

impl Algorithm {
    /// The name in a signature's file name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Rsa => "RSA",
            Self::Rsa256 => "RSA256",
            Self::Rsa512 => "RSA512",
            Self::Other(name) => name,
        }
    }
}

impl Signature {
    /// Parses `.SIGN.<ALGORITHM>.<key file>`.
    fn named(path: &[u8], bytes: Vec<u8>) -> Option<Self> {
        let (algorithm, key) = std::str::from_utf8(path).ok()?.strip_prefix(PREFIX)?.split_once('.')?;
        let algorithm = match algorithm {
            "RSA" => Algorithm::Rsa,
            "RSA256" => Algorithm::Rsa256,
            "RSA512" => Algorithm::Rsa512,
            other => Algorithm::Other(other.to_owned()),
        };
        Some(Self { algorithm, key: key.to_owned(), bytes })
    }

    /// The name of its entry in the signature member.
    pub fn entry_name(&self) -> String {
        format!("{PREFIX}{}.{}", self.algorithm.as_str(), self.key)
    }
}

/// Why the front of a file is not a signature member.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureMemberError {
    /// It is no gzip member.
    #[error(transparent)]
    Gzip(#[from] GzipError),
    /// It holds no acceptable tar.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// Something stands beside the signatures.
    #[error("the signature member holds `{0}`, which is no signature")]
    Foreign(String),
    /// Bits that mean nothing are set.
    #[error("the signature member has bits set behind its data")]
    UnusedBits,
    /// It inflates to something sensible, and is one bit from how that is encoded.
    #[error("the signature member is damaged: one bit of its encoding is wrong")]
    Damaged,
    /// It could not be encoded again to be compared.
    #[error("the signature member cannot be compared: {0}")]
    Encode(io::Error),
}

/// Splits a signed file into its signatures and what they sign.
///
/// A file that begins with something else is unsigned: no signatures, all of it the rest.
pub fn split(file: &[u8]) -> Result<(Vec<Signature>, &[u8]), SignatureMemberError> {
    let mut rest = file;
    let tar = match gzip::inflate_member(&mut rest, MAX_MEMBER) {
        // The first member of an unsigned file may be of any size.
        Err(GzipError::TooLarge { .. }) => return Ok((Vec::new(), file)),
        other => other?,
    };
    if !begins_with_signature(&tar) {
        return Ok((Vec::new(), file));
    }
    let member = file.get(..file.len() - rest.len()).unwrap_or_default();
    if !gzip::unused_bits_are_zero(member) {
        return Err(SignatureMemberError::UnusedBits);
    }
    if gzip::is_one_bit_from_usual(member, &tar).map_err(SignatureMemberError::Encode)? {
        return Err(SignatureMemberError::Damaged);
    }
    Ok((read(&tar)?, rest))
}

/// Alpine's newer indexes have an extended header before the signature's own.
fn begins_with_signature(tar: &[u8]) -> bool {
    let first = TarReader::new(tar).next_entry();
    matches!(first, Ok(Some(entry)) if entry.path.starts_with(PREFIX.as_bytes()))
}

fn read(tar: &[u8]) -> Result<Vec<Signature>, SignatureMemberError> {
    let mut reader = TarReader::new(tar);
    let mut signatures = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let foreign =
            || SignatureMemberError::Foreign(String::from_utf8_lossy(&entry.path).escape_debug().to_string());
        if entry.kind != EntryKind::File {
            return Err(foreign());
        }
        let bytes = reader.read_small(MAX_SIGNATURE)?;
        signatures.push(Signature::named(&entry.path, bytes).ok_or_else(foreign)?);
    }
    Ok(signatures)
}

#[cfg(test)]
mod tests;
