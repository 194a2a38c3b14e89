//! Reading a listing from a tar, plain or compressed with gzip or zstd, in one piece or several.
//!
//! Headers are read raw and the extensions interpreted here: the `tar` crate's own reading of PAX records
//! breaks values at line feeds, which extended attributes may contain, and what is checked here may have
//! been written with that crate.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::num::ParseIntError;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType, Header};

use super::{Entry, Kind, Listing};

/// The PAX key under which extended attributes are kept.
const XATTR: &str = "SCHILY.xattr.";

impl Listing {
    /// The tree in the tar at `path`.
    pub(crate) fn of_tar_file(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
        Self::of_tar(file)
    }

    /// The tree in the tar that `source` gives, decompressed if it begins as gzip or zstd does.
    pub(crate) fn of_tar(mut source: impl Read) -> Self {
        let mut magic = Vec::new();
        source.by_ref().take(2).read_to_end(&mut magic).expect("the beginning of a tar");
        let form = magic.clone();
        let whole = std::io::Cursor::new(magic).chain(source);
        match form.as_slice() {
            [0x1f, 0x8b] => Self::of_plain_tar(MultiGzDecoder::new(BufReader::new(whole))),
            [0x28, 0xb5] => Self::of_plain_tar(zstd::Decoder::new(whole).expect("a zstd decoder")),
            _ => Self::of_plain_tar(whole),
        }
    }

    fn of_plain_tar(source: impl Read) -> Self {
        let mut archive = Archive::new(source);
        let mut reader = Reader::default();
        for entry in archive.entries().expect("a tar").raw(true) {
            let mut entry = entry.expect("an entry of a tar");
            let header = entry.header().clone();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("the content of an entry of a tar");
            reader.take(&header, content);
        }
        Self::of(reader.entries)
    }
}

/// What came before the entry that is read: the entries, and the extensions that are waiting for theirs.
#[derive(Default)]
struct Reader {
    entries: Vec<(u64, Entry)>,
    places: BTreeMap<String, usize>,
    records: BTreeMap<String, Vec<u8>>,
}

impl Reader {
    /// Takes the next header with what follows it.
    fn take(&mut self, header: &Header, content: Vec<u8>) {
        match header.entry_type() {
            EntryType::XHeader => self.records.extend(records(&content)),
            EntryType::GNULongName => drop(self.records.insert("path".to_owned(), until_nul(content))),
            EntryType::GNULongLink => drop(self.records.insert("linkpath".to_owned(), until_nul(content))),
            EntryType::XGlobalHeader => panic!("a global PAX header, which apk ignores, in a tar"),
            kind => self.add(kind, header, content),
        }
    }

    /// Adds the entry that `header` is about.
    fn add(&mut self, kind: EntryType, header: &Header, content: Vec<u8>) {
        let records = std::mem::take(&mut self.records);
        let text = |key: &str| records.get(key).map(|value| utf8(value.clone()));
        let whole = text("path").unwrap_or_else(|| utf8(header.path_bytes().into_owned()));
        let path = whole.trim_start_matches("./").trim_end_matches('/').to_owned();
        if path.is_empty() || path == "." {
            return;
        }
        let target =
            text("linkpath").or_else(|| header.link_name_bytes().map(|name| utf8(name.into_owned())));
        let next = self.entries.len();
        if kind == EntryType::Link {
            let target = target.unwrap_or_default();
            let first = target.trim_start_matches("./");
            let place = *self
                .places
                .get(first)
                .unwrap_or_else(|| panic!("{path} is a hard link before its target {first}"));
            let (inode, original) = self.entries[place].clone();
            self.entries.push((inode, Entry { path, ..original }));
            return;
        }
        self.places.insert(path.clone(), next);
        let number =
            |key: &str, otherwise: u64| text(key).map_or(otherwise, |value| whole_number(&path, &value));
        let owner = |number: u64| {
            u32::try_from(number).unwrap_or_else(|_| panic!("{path} has an owner over 32 bits"))
        };
        let field = |value: std::io::Result<u64>| value.unwrap_or_else(|error| panic!("{path}: {error}"));
        let kind = kind_of(kind, &path);
        let device = matches!(kind, Kind::CharacterDevice | Kind::BlockDevice).then(|| {
            let part = |value: std::io::Result<Option<u32>>| value.ok().flatten().unwrap_or_default();
            (part(header.device_major()), part(header.device_minor()))
        });
        let entry = Entry {
            kind,
            mode: header.mode().unwrap_or_else(|error| panic!("{path}: {error}")) & 0o7777,
            uid: owner(number("uid", field(header.uid()))),
            gid: owner(number("gid", field(header.gid()))),
            link: target.filter(|_| kind == Kind::Link),
            hard_links: None,
            content: Arc::from(content),
            xattrs: xattrs(&records),
            device,
            modified: match text("mtime") {
                Some(time) => whole_number(&path, &time),
                None => i64::try_from(field(header.mtime())).expect("a time"),
            },
            path,
        };
        self.entries.push((next as u64, entry));
    }
}

/// What the type flag says.
fn kind_of(flag: EntryType, path: &str) -> Kind {
    match flag {
        EntryType::Regular => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Link,
        EntryType::Char => Kind::CharacterDevice,
        EntryType::Block => Kind::BlockDevice,
        EntryType::Fifo => Kind::Pipe,
        other => panic!("{path} has the type flag {other:?}"),
    }
}

/// The extended attributes among PAX records.
fn xattrs(records: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    records
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(XATTR)?.to_owned(), value.clone())))
        .collect()
}

/// The records of a PAX header: `length key=value\n`, the length counting all of it.
fn records(mut header: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    while !header.is_empty() {
        let space = header.iter().position(|byte| *byte == b' ').expect("a PAX record has a length");
        let length: usize =
            utf8(header[..space].to_vec()).parse().expect("a PAX record's length is a number");
        let (record, rest) = header.split_at(length);
        let record = record[space + 1..].strip_suffix(b"\n").expect("a PAX record ends with a line feed");
        let equals = record.iter().position(|byte| *byte == b'=').expect("a PAX record has a value");
        found.insert(utf8(record[..equals].to_vec()), record[equals + 1..].to_vec());
        header = rest;
    }
    found
}

/// The whole part of a decimal number.
fn whole_number<N: FromStr<Err = ParseIntError>>(path: &str, text: &str) -> N {
    let whole = text.split('.').next().unwrap_or(text);
    whole.parse().unwrap_or_else(|error| panic!("{path}: {text} is no number: {error}"))
}

/// What is before the first NUL.
fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// `bytes` as text.
fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| panic!("a tar has a text that is not UTF-8: {error}"))
}
