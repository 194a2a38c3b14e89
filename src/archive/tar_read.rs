//! Reading a tar as a stream, header by header, with nothing taken on trust.
//!
//! The framing is read with the `tar` crate's [`Header`]; PAX (`x`) and GNU (`L`, `K`) long names are
//! handled here, so that what one header says and another contradicts is an error and not a choice.
//! Offsets are kept, because the inflated tar is stored and files are later read straight out of it.
//! Not for extracting: nothing here creates a file.
//!
//! Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Header"; spec apk v2, "Data tar".

use std::collections::BTreeMap;
use std::io::{self, Read};

use tar::{EntryType, Header};

use crate::kind::{Explain, Kind};

/// The size of a block.
const BLOCK: usize = 512;
/// Where a header has the type of its entry.
const TYPE_FLAG: usize = 156;
/// The most that PAX records and GNU long names of one entry may take together, in bytes.
const MAX_EXTENDED: u64 = 1 << 20;
/// The largest file, in bytes: far more than anybody has, and small enough to be added up.
const MAX_SIZE: u64 = 1 << 60;
/// The most headers a tar may have; an entry has one, and often an extended one in front.
const MAX_HEADERS: u64 = 2_000_000;
/// The most room that is made for a file before its bytes are seen.
const FIRST_ROOM: u64 = 1 << 20;
/// Prefix of PAX records that hold extended attributes.
const XATTR: &str = "SCHILY.xattr.";

/// Why bytes are not a tar that can be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The archive ends in the middle of a header or of a file.
    #[error("the archive ends at byte {at}, in the middle of an entry")]
    Truncated {
        /// Where it ends.
        at: u64,
    },
    /// A header's checksum is wrong, or it has no number where one must be.
    #[error("the header at byte {at} is malformed: {flaw}")]
    Header {
        /// Where the header begins.
        at: u64,
        /// What is wrong.
        flaw: &'static str,
    },
    /// An extended header is malformed.
    #[error("the extended header at byte {at} is malformed: {flaw}")]
    Extended {
        /// Where the header begins.
        at: u64,
        /// What is wrong.
        flaw: &'static str,
    },
    /// Two headers of one entry state different sizes.
    #[error("the entry at byte {at} has two sizes, {header} and {extended}")]
    Sizes {
        /// Where the header begins.
        at: u64,
        /// What the header says, in bytes.
        header: u64,
        /// What the extended header says, in bytes.
        extended: u64,
    },
    /// The type of the entry is not one that file systems have.
    #[error("the entry `{path}` at byte {at} has the unknown type {kind:?}")]
    Kind {
        /// Where the header begins.
        at: u64,
        /// The entry's path.
        path: String,
        /// The type flag.
        kind: char,
    },
    /// There is something after the end of the archive.
    #[error("there is data after the end of the archive, at byte {at}")]
    Trailing {
        /// Where it begins, at the latest.
        at: u64,
    },
    /// The extended headers of one entry are too long together.
    #[error(
        "the extended headers of the entry at byte {at} have more bytes than the limit of {MAX_EXTENDED}"
    )]
    LongExtended {
        /// Where the last of them begins.
        at: u64,
    },
    /// A file that is read whole is too long.
    #[error("the file at byte {at} has {size} bytes, more than its limit of {limit}")]
    LongFile {
        /// Where it begins.
        at: u64,
        /// How long it is, in bytes.
        size: u64,
        /// How long it may be, in bytes.
        limit: u64,
    },
    /// There are more headers than a tar may have.
    #[error("the archive has more headers than the limit of {MAX_HEADERS}")]
    TooMany,
    /// The bytes of the tar could not be read.
    #[error("cannot read the archive: {0}")]
    Read(#[source] io::Error),
}

impl Explain for TarError {
    fn kind(&self) -> Kind {
        match self {
            Self::LongExtended { .. } | Self::LongFile { .. } | Self::TooMany => Kind::Limit,
            Self::Read(error) => Kind::of_io(error),
            Self::Truncated { .. }
            | Self::Header { .. }
            | Self::Extended { .. }
            | Self::Sizes { .. }
            | Self::Kind { .. }
            | Self::Trailing { .. } => Kind::Integrity,
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// Another name of an earlier file.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// A header, with what extended headers add to it. Nothing in it has been judged: paths may be hostile.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The path as it stands in the archive.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// The user's name; empty if there is none.
    pub user: String,
    /// The group's name; empty if there is none.
    pub group: String,
    /// Modification time, in seconds since 1970.
    pub mtime: i64,
    /// Where a link points; empty for anything else.
    pub target: Vec<u8>,
    /// The device's numbers, major and minor; zeros for anything else.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Other PAX records whose names begin with an upper-case vendor (`APK-TOOLS.checksum.SHA1`).
    pub vendor: BTreeMap<String, Vec<u8>>,
    /// Where the data begins in the archive.
    pub offset: u64,
    /// The length of the data, in bytes.
    pub size: u64,
}

/// Reads the entries of a tar.
pub struct TarReader<R> {
    input: R,
    position: u64,
    /// Bytes of the current entry's data not yet read, and of the padding behind them.
    data_left: u64,
    padding: u64,
    headers: u64,
    /// Bytes of the extended headers of the entry that comes.
    extended: u64,
}

/// What extended headers say about the entry that follows them.
#[derive(Debug, Default)]
struct Extension {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    user: Option<String>,
    group: Option<String>,
    mtime: Option<i64>,
    xattrs: BTreeMap<String, Vec<u8>>,
    vendor: BTreeMap<String, Vec<u8>>,
}

impl<R: Read> TarReader<R> {
    /// Reads the tar that begins here.
    pub fn new(input: R) -> Self {
        Self { input, position: 0, data_left: 0, padding: 0, headers: 0, extended: 0 }
    }

    /// The next entry, or nothing at the end. Data of the one before that was not read is skipped.
    ///
    /// The archive may end with or without the blocks of zeros, and behind those only with zeros.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        self.skip_data()?;
        let mut extension = Extension::default();
        let mut extended = false;
        self.extended = 0;
        loop {
            let at = self.position;
            let Some(header) = self.header()? else {
                if extended {
                    return Err(TarError::Extended { at, flaw: "no entry follows it" });
                }
                return Ok(None);
            };
            self.headers += 1;
            if self.headers > MAX_HEADERS {
                return Err(TarError::TooMany);
            }
            let size =
                header.entry_size().map_err(|_| TarError::Header { at, flaw: "its size is no number" })?;
            match header.entry_type() {
                EntryType::XHeader => extension.read_pax(at, &self.extended_data(at, size)?)?,
                EntryType::GNULongName => extension.path = Some(until_nul(self.extended_data(at, size)?)),
                EntryType::GNULongLink => extension.target = Some(until_nul(self.extended_data(at, size)?)),
                EntryType::XGlobalHeader => drop(self.extended_data(at, size)?),
                _ => return self.entry(at, &header, size, extension).map(Some),
            }
            extended = header.entry_type() != EntryType::XGlobalHeader || extended;
        }
    }

    /// Fills `buffer` with the current entry's data; 0 at its end.
    pub fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let wanted = usize::try_from(self.data_left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(part) = buffer.get_mut(..wanted) else { return Ok(0) };
        if part.is_empty() {
            return Ok(0);
        }
        let count = self.input.read(part).map_err(TarError::Read)?;
        if count == 0 {
            return Err(TarError::Truncated { at: self.position });
        }
        self.position += count as u64;
        self.data_left -= count as u64;
        Ok(count)
    }

    /// All of the current entry's data, which must not be more than `limit` bytes.
    pub fn read_small(&mut self, limit: u64) -> Result<Vec<u8>, TarError> {
        if self.data_left > limit {
            return Err(TarError::LongFile { at: self.position, size: self.data_left, limit });
        }
        // How much there will be is only what the archive says: room is made as it comes.
        let mut data =
            Vec::with_capacity(usize::try_from(self.data_left.min(FIRST_ROOM)).unwrap_or_default());
        let count =
            self.input.by_ref().take(self.data_left).read_to_end(&mut data).map_err(TarError::Read)? as u64;
        self.position += count;
        self.data_left -= count;
        if self.data_left > 0 {
            return Err(TarError::Truncated { at: self.position });
        }
        Ok(data)
    }

    fn skip_data(&mut self) -> Result<(), TarError> {
        let left = self.data_left + self.padding;
        (self.data_left, self.padding) = (0, 0);
        let skipped =
            io::copy(&mut self.input.by_ref().take(left), &mut io::sink()).map_err(TarError::Read)?;
        self.position += skipped;
        if skipped < left { Err(TarError::Truncated { at: self.position }) } else { Ok(()) }
    }

    /// The next header block; nothing at the end of the archive, which is then read to the last byte.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        // One block of zeros is tolerated between entries, as apk does; the second is the end.
        for _ in 0..2 {
            let at = self.position;
            let Some(block) = self.block()? else { return Ok(None) };
            if block.iter().all(|byte| *byte == 0) {
                continue;
            }
            let header = Header::from_byte_slice(&block).clone();
            return checked(at, header).map(Some);
        }
        while let Some(block) = self.tail_block()? {
            if block.iter().any(|byte| *byte != 0) {
                return Err(TarError::Trailing { at: self.position.saturating_sub(block.len() as u64) });
            }
        }
        Ok(None)
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        match self.tail_block()? {
            None => Ok(None),
            Some(bytes) => bytes.try_into().map(Some).map_err(|_| TarError::Truncated { at: self.position }),
        }
    }

    /// Up to a block; nothing at the end of the input.
    fn tail_block(&mut self) -> Result<Option<Vec<u8>>, TarError> {
        let mut bytes = Vec::with_capacity(BLOCK);
        self.input.by_ref().take(BLOCK as u64).read_to_end(&mut bytes).map_err(TarError::Read)?;
        self.position += bytes.len() as u64;
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    fn extended_data(&mut self, at: u64, size: u64) -> Result<Vec<u8>, TarError> {
        // All that stand in front of one entry: what they say is kept until it comes.
        self.extended = self.extended.saturating_add(size);
        if self.extended > MAX_EXTENDED {
            return Err(TarError::LongExtended { at });
        }
        self.expect_data(at, size)?;
        let data = self.read_small(MAX_EXTENDED)?;
        self.skip_data()?;
        Ok(data)
    }

    fn expect_data(&mut self, at: u64, size: u64) -> Result<(), TarError> {
        if size > MAX_SIZE {
            return Err(TarError::Header { at, flaw: "its size is larger than any file's" });
        }
        self.data_left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    fn entry(
        &mut self,
        at: u64,
        header: &Header,
        size: u64,
        extension: Extension,
    ) -> Result<Entry, TarError> {
        let malformed = |flaw| TarError::Header { at, flaw };
        let path = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let kind = kind_of(header).ok_or_else(|| TarError::Kind {
            at,
            path: String::from_utf8_lossy(&path).escape_debug().to_string(),
            kind: header.as_bytes().get(TYPE_FLAG).copied().map_or('?', char::from),
        })?;
        let size = match extension.size {
            // A PAX size stands for one that the header cannot hold; the header then holds zero or the same.
            Some(extended) if size != 0 && size != extended => {
                return Err(TarError::Sizes { at, header: size, extended });
            }
            Some(extended) => extended,
            None => size,
        };
        if kind != EntryKind::File && size != 0 {
            return Err(malformed("something that is no file has data"));
        }
        let is_link = matches!(kind, EntryKind::HardLink | EntryKind::Symlink);
        let target = match (is_link, extension.target) {
            (false, _) => Vec::new(),
            (true, Some(target)) => target,
            (true, None) => header.link_name_bytes().map(Vec::from).unwrap_or_default(),
        };
        let number = |value: io::Result<u64>| value.ok().and_then(|value| u32::try_from(value).ok());
        let device = match kind {
            EntryKind::CharacterDevice | EntryKind::BlockDevice => (
                header.device_major().ok().flatten().ok_or(malformed("its device has no number"))?,
                header.device_minor().ok().flatten().ok_or(malformed("its device has no number"))?,
            ),
            _ => (0, 0),
        };
        let entry = Entry {
            path,
            kind,
            mode: header.mode().map_err(|_| malformed("its mode is no number"))?,
            uid: match extension.uid {
                Some(uid) => uid,
                None => number(header.uid()).ok_or(malformed("its user is no number"))?,
            },
            gid: match extension.gid {
                Some(gid) => gid,
                None => number(header.gid()).ok_or(malformed("its group is no number"))?,
            },
            user: extension.user.unwrap_or_else(|| text(header.username_bytes())),
            group: extension.group.unwrap_or_else(|| text(header.groupname_bytes())),
            mtime: match extension.mtime {
                Some(mtime) => mtime,
                None => header
                    .mtime()
                    .ok()
                    .and_then(|time| i64::try_from(time).ok())
                    .ok_or(malformed("its time is no number"))?,
            },
            target,
            device,
            xattrs: extension.xattrs,
            vendor: extension.vendor,
            offset: self.position,
            size,
        };
        self.expect_data(at, size)?;
        Ok(entry)
    }
}

/// The whole archive as the reader's input sees it, for whoever must hash what is behind the last entry.
impl<R> TarReader<R> {
    /// How many bytes have been read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The input, wherever it stands.
    pub fn into_inner(self) -> R {
        self.input
    }
}

fn checked(at: u64, header: Header) -> Result<Header, TarError> {
    let malformed = |flaw| TarError::Header { at, flaw };
    let stated = header.cksum().map_err(|_| malformed("its checksum is no number"))?;
    let bytes = header.as_bytes();
    let computed: u32 = bytes
        .iter()
        .enumerate()
        .map(|(i, byte)| if (148..156).contains(&i) { 32 } else { u32::from(*byte) })
        .sum();
    if stated == computed { Ok(header) } else { Err(malformed("its checksum is wrong")) }
}

fn kind_of(header: &Header) -> Option<EntryKind> {
    // Not `entry_type()`, which takes NUL for a file; apk does not.
    Some(match *header.as_bytes().get(TYPE_FLAG)? {
        b'0' => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharacterDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        _ => return None,
    })
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

impl Extension {
    /// Takes in PAX records: `length key=value\n`, where the length counts the whole record.
    fn read_pax(&mut self, at: u64, records: &[u8]) -> Result<(), TarError> {
        let malformed = |flaw| TarError::Extended { at, flaw };
        let mut rest = records;
        while !rest.is_empty() {
            let space =
                rest.iter().position(|byte| *byte == b' ').ok_or(malformed("a record has no length"))?;
            let length: usize = rest
                .get(..space)
                .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
                .ok_or(malformed("a record's length is no number"))?;
            let record = rest.get(space + 1..length).ok_or(malformed("a record's length is wrong"))?;
            let record =
                record.strip_suffix(b"\n").ok_or(malformed("a record does not end with its line"))?;
            let equals =
                record.iter().position(|byte| *byte == b'=').ok_or(malformed("a record has no `=`"))?;
            let (key, value) = record.split_at(equals);
            let key = std::str::from_utf8(key).map_err(|_| malformed("a record's key is not UTF-8"))?;
            self.take(key, value.get(1..).unwrap_or_default())
                .ok_or(malformed("a record's value is malformed"))?;
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }

    fn take(&mut self, key: &str, value: &[u8]) -> Option<()> {
        let text = || std::str::from_utf8(value).ok();
        match key {
            "path" => self.path = Some(no_nul(value)?),
            "linkpath" => self.target = Some(no_nul(value)?),
            "size" => self.size = Some(text()?.parse().ok()?),
            "uid" => self.uid = Some(text()?.parse().ok()?),
            "gid" => self.gid = Some(text()?.parse().ok()?),
            "uname" => self.user = Some(text()?.to_owned()),
            "gname" => self.group = Some(text()?.to_owned()),
            // Fractions of a second are cut off: no consumer of a layer keeps them.
            "mtime" => self.mtime = Some(text()?.split('.').next()?.parse().ok()?),
            _ if key.starts_with("GNU.sparse.") => return None,
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.xattrs.insert(name.to_owned(), value.to_vec());
                } else if key.starts_with(|c: char| c.is_ascii_uppercase()) {
                    self.vendor.insert(key.to_owned(), value.to_vec());
                }
            }
        }
        Some(())
    }
}

fn no_nul(value: &[u8]) -> Option<Vec<u8>> {
    (!value.contains(&0)).then(|| value.to_vec())
}

#[cfg(test)]
mod tests;
