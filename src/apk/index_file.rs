//! The file a repository publishes its index in, `APKINDEX.tar.gz`, and the proof that it may be believed.
//!
//! Two gzip members: signatures, then a tar with `DESCRIPTION` (optional) and `APKINDEX`. The signature
//! covers the compressed bytes of the second member and is checked before a byte of it is inflated, so
//! nothing unsigned is ever parsed. Only [`VerifiedIndex::check`] makes a [`VerifiedIndex`].
//!
//! Other entries of the tar are skipped, as apk skips them: they are signed like the rest and say nothing.
//!
//! Source: spec apk v2, "APKINDEX.tar.gz"; design, "Trust".

use crate::archive::gzip::{GzipError, Member};
use crate::archive::tar_read::{EntryKind, TarError, TarReader};
use crate::kind::{Explain, Kind};

use super::index::{Index, IndexError, MAX_INDEX_TEXT};
use super::index_read::{self, Reader};
use super::keys::{KeyName, Keyring, SignatureError};
use super::signature::{self, Signature, SignatureMemberError};

/// The longest `DESCRIPTION`, in bytes.
const MAX_DESCRIPTION: u64 = 160;
/// The longest index file that is read, in bytes. Alpine's largest is 2 MB.
pub const MAX_INDEX_FILE: u64 = 64 << 20;
/// What the second member may inflate to, in bytes: the index, and room for headers and small entries.
const MAX_MEMBER: u64 = MAX_INDEX_TEXT + (1 << 20);

/// How much of the text is inflated at a time, in bytes: it is read while the processor has it at hand.
const PIECE: usize = 128 << 10;
/// How many times as long as its compressed form a text may be before room for it is made piece by piece.
const USUAL_RATIO: usize = 8;

/// An index whose signature was found good.
#[derive(Debug)]
pub struct VerifiedIndex {
    index: Index,
    description: String,
    key: KeyName,
    signed_time: i64,
}

/// What is wrong with an index file. Which repository it is of is the caller's to add.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexFileError {
    /// It is in the format of apk-tools 3.
    #[error("it is in the ADB format (apk v3), which apkcompose does not read")]
    Adb,
    /// It is too long to be an index.
    #[error("it is longer than {MAX_INDEX_FILE} bytes")]
    TooLong,
    /// Its signature member is malformed.
    #[error("its front, where its signatures should be, is malformed: {0}")]
    SignatureMember(SignatureMemberError),
    /// Its signature is not accepted.
    #[error("{0}")]
    Signature(SignatureError),
    /// Its second member is no gzip member.
    #[error("it is malformed: {0}")]
    Gzip(GzipError),
    /// There is something behind its second member.
    #[error("there is something behind its end")]
    Trailing,
    /// Its second member holds no acceptable tar.
    #[error("it is malformed: {0}")]
    Tar(TarError),
    /// An entry stands twice, or is no file.
    #[error("its entry `{0}` stands twice or is no file")]
    Entry(&'static str),
    /// There is no `APKINDEX` in it.
    #[error("it has no APKINDEX")]
    NoIndex,
    /// The text of the index is malformed.
    #[error(transparent)]
    Text(IndexError),
}

impl Explain for IndexFileError {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLong | Self::Gzip(GzipError::TooLarge { .. }) => Kind::Limit,
            Self::Adb
            | Self::SignatureMember(_)
            | Self::Signature(_)
            | Self::Gzip(_)
            | Self::Trailing
            | Self::Tar(_)
            | Self::Entry(_)
            | Self::NoIndex
            | Self::Text(_) => Kind::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Adb => {
                Some("use a repository with v2 indexes (APKINDEX.tar.gz), as Alpine's own are".to_owned())
            }
            Self::Signature(error) => error.hint().or_else(|| {
                Some("the index is damaged, or not what its owner published: use another mirror".to_owned())
            }),
            Self::TooLong | Self::SignatureMember(_) => {
                Some("the index is damaged, or is none: fetch it again, or use another mirror".to_owned())
            }
            // Behind a good signature nothing is damaged by accident.
            Self::Gzip(_)
            | Self::Trailing
            | Self::Tar(_)
            | Self::Entry(_)
            | Self::NoIndex
            | Self::Text(_) => {
                Some("its owner signed it so: tell them, and leave the repository out until then".to_owned())
            }
        }
    }
}

impl VerifiedIndex {
    /// Checks the index file `file` against `keyring`, then reads it; `name` says in errors what its lines are of.
    pub fn check(name: &str, file: &[u8], keyring: &Keyring) -> Result<Self, IndexFileError> {
        let (signatures, signed) = split(file)?;
        let key = keyring.verify_message(&signatures, signed).map_err(IndexFileError::Signature)?;
        let Contents { index, description, time } = read_member(name, signed)?;
        Ok(Self { index, description, key, signed_time: time })
    }

    /// What the repository offers.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What the repository offers, without the proof.
    pub fn into_index(self) -> Index {
        self.index
    }

    /// `DESCRIPTION`, one line without control characters; empty if there is none.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The key that signed it.
    pub fn key(&self) -> &KeyName {
        &self.key
    }

    /// When it was made, in seconds since 1970, as the signed bytes say: the newest time of its entries.
    pub fn signed_time(&self) -> i64 {
        self.signed_time
    }
}

/// Reads the index file `file`, which nobody of `keyring` need have signed. Never for what is to be fetched: such
/// an index says what somebody claims. A signature that one of the keys did not make is refused all the same.
pub fn read_unsigned(name: &str, file: &[u8], keyring: &Keyring) -> Result<Index, IndexFileError> {
    let (signatures, signed) = split(file)?;
    match keyring.verify_message(&signatures, signed) {
        Err(error) if !error.is_for_want_of_a_key() => return Err(IndexFileError::Signature(error)),
        Ok(_) | Err(_) => {}
    }
    Ok(read_member(name, signed)?.index)
}

/// The signatures of an index file, and what they sign.
fn split(file: &[u8]) -> Result<(Vec<Signature>, &[u8]), IndexFileError> {
    if file.starts_with(b"ADB") {
        return Err(IndexFileError::Adb);
    }
    if file.len() as u64 > MAX_INDEX_FILE {
        return Err(IndexFileError::TooLong);
    }
    signature::split(file).map_err(IndexFileError::SignatureMember)
}

struct Contents {
    index: Index,
    description: String,
    time: i64,
}

/// What is in `signed`, one gzip member. Nothing may follow it, so that it is all there is to sign.
fn read_member(name: &str, signed: &[u8]) -> Result<Contents, IndexFileError> {
    let mut member = Member::open(signed, MAX_MEMBER).map_err(IndexFileError::Gzip)?;
    let contents = read(name, &mut member, signed.len());
    // Where the tar was read to its end, that must be all there is, whatever was found in it.
    if matches!(contents, Ok(_) | Err(IndexFileError::NoIndex)) {
        let behind = member.finish().map_err(IndexFileError::Gzip)?;
        if !behind.is_empty() {
            return Err(IndexFileError::Trailing);
        }
    }
    contents
}

/// Takes what is wanted out of the tar while it is inflated, which it is from `compressed` bytes.
fn read(name: &str, tar: &mut Member<&[u8]>, compressed: usize) -> Result<Contents, IndexFileError> {
    let mut reader = TarReader::new(tar);
    let (mut index, mut description) = (None, None);
    let mut time = 0;
    while let Some(entry) = reader.next_entry().map_err(of_tar)? {
        let check = |name, is_first: bool| match entry.kind {
            EntryKind::File if is_first => Ok(()),
            _ => Err(IndexFileError::Entry(name)),
        };
        match entry.path.as_slice() {
            b"APKINDEX" => {
                check("APKINDEX", index.is_none())?;
                let room = compressed.saturating_mul(USUAL_RATIO).min(entry.size.try_into().unwrap_or(0));
                index = Some(read_text(name, &mut reader, room)?);
            }
            b"DESCRIPTION" => {
                check("DESCRIPTION", description.is_none())?;
                description = Some(reader.read_small(MAX_DESCRIPTION).map_err(of_tar)?);
            }
            _ => continue,
        }
        time = time.max(entry.mtime);
    }
    let description = String::from_utf8_lossy(&description.unwrap_or_default())
        .trim()
        .chars()
        .filter(|character| !character.is_control())
        .collect();
    Ok(Contents { index: index.ok_or(IndexFileError::NoIndex)?, description, time })
}

/// Reads the text of the index while it is inflated. It is thought to be `room` bytes long.
fn read_text(
    name: &str,
    tar: &mut TarReader<&mut Member<&[u8]>>,
    room: usize,
) -> Result<Index, IndexFileError> {
    let mut reader = Reader::new(name, room, index_read::of_index);
    let mut piece = vec![0; PIECE];
    loop {
        match tar.read_data(&mut piece).map_err(of_tar)? {
            0 => return reader.finish().map_err(IndexFileError::Text),
            count => reader.take(piece.get(..count).unwrap_or_default()).map_err(IndexFileError::Text)?,
        }
    }
}

/// What an error met while reading the tar through the member really is.
fn of_tar(error: TarError) -> IndexFileError {
    match error {
        TarError::Read(error) => IndexFileError::Gzip(GzipError::of_io(error)),
        error => IndexFileError::Tar(error),
    }
}
