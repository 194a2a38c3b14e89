//! Tar framing, written: the blocks before an entry's bytes, and those after.
//!
//! ustar throughout. An extended header (PAX, type `x`) goes before an entry only when ustar cannot say
//! something: a path that does not split into prefix and name, text outside ASCII, a number too large
//! or negative, an extended attribute. The same entry always gives the same bytes: extended headers
//! have a constant name, no owner and no time, and records in a fixed order.
//!
//! Pure: the bytes of a file are never seen here, only their number. Not for reading.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; star(5) for
//! `SCHILY.xattr`.

use std::collections::BTreeMap;

use tar::{EntryType, Header, UstarHeader};

use crate::kind::{Explain, Kind};

/// What tar counts in, in bytes.
pub const BLOCK: usize = 512;

/// What ends an archive: two blocks of zeros.
pub const END: &[u8] = &[0; 2 * BLOCK];

/// What an extended header is called. Readers that know extended headers never show it.
const EXTENDED_NAME: &str = "PaxHeaders/entry";

/// The largest extended header that Go's `archive/tar`, and with it every container engine, reads.
const MAX_EXTENDED: usize = 1 << 20;

/// The largest number in a field of seven octal digits: owners, device numbers.
const MAX_SHORT: u64 = 0o777_7777;

/// The largest number in a field of eleven octal digits: sizes and times.
const MAX_LONG: u64 = 0o777_7777_7777;

/// Why an entry cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarWriteError {
    /// A path, or the target of a link, is empty or has a NUL.
    #[error("the {field} of `{path}` is {text:?}, which no archive can hold")]
    Text {
        /// The entry's path.
        path: String,
        /// Which text: "path", "link target", "extended attribute".
        field: &'static str,
        /// The text.
        text: String,
    },
    /// A device number is larger than Linux has and tar can say.
    #[error("the device number {number} of `{path}` is larger than {MAX_SHORT}")]
    Device {
        /// The entry's path.
        path: String,
        /// The number.
        number: u32,
    },
    /// The extended header would be longer than container engines read.
    #[error("the extended attributes of `{path}` take {length} bytes; container engines read {MAX_EXTENDED}")]
    TooMuchExtended {
        /// The entry's path.
        path: String,
        /// The length of the extended header, in bytes.
        length: usize,
    },
}

impl Explain for TarWriteError {
    fn kind(&self) -> Kind {
        match self {
            Self::Text { .. } | Self::Device { .. } => Kind::Integrity,
            Self::TooMuchExtended { .. } => Kind::Limit,
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A directory.
    Directory,
    /// A regular file of `size` bytes, which follow the head.
    File {
        /// How many bytes follow.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it points at, verbatim.
        target: &'a str,
    },
    /// Another name of an entry that came before.
    HardLink {
        /// The path of that entry.
        target: &'a str,
    },
    /// A character device.
    CharacterDevice {
        /// The driver.
        major: u32,
        /// The device among the driver's.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// The driver.
        major: u32,
        /// The device among the driver's.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// An entry of an archive, without its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its path as the archive shall say it; the slash after a directory is added here.
    pub path: &'a str,
    /// What it is.
    pub kind: EntryKind<'a>,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// The owner's name; empty in images, where only numbers count.
    pub user: &'a str,
    /// The group's name; empty in images.
    pub group: &'a str,
    /// Modification time, in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes, written as `SCHILY.xattr.NAME`.
    pub xattrs: Option<&'a BTreeMap<Box<str>, Box<[u8]>>>,
    /// Further records of the extended header, in this order: apk's checksums of files.
    pub records: &'a [(&'a str, &'a str)],
}

impl<'a> Entry<'a> {
    /// An entry of `0:0` and the time 0, with the mode that its kind usually has.
    pub const fn new(path: &'a str, kind: EntryKind<'a>) -> Self {
        let mode = match kind {
            EntryKind::Directory => 0o755,
            EntryKind::Symlink { .. } => 0o777,
            EntryKind::File { .. }
            | EntryKind::HardLink { .. }
            | EntryKind::CharacterDevice { .. }
            | EntryKind::BlockDevice { .. }
            | EntryKind::Fifo => 0o644,
        };
        Self { path, kind, mode, uid: 0, gid: 0, user: "", group: "", mtime: 0, xattrs: None, records: &[] }
    }

    /// How many bytes of content follow the head, padding not counted.
    pub const fn content_size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size } => size,
            EntryKind::Directory
            | EntryKind::Symlink { .. }
            | EntryKind::HardLink { .. }
            | EntryKind::CharacterDevice { .. }
            | EntryKind::BlockDevice { .. }
            | EntryKind::Fifo => 0,
        }
    }

    /// Appends to `out` the blocks that come before the content.
    pub fn append_head(&self, out: &mut Vec<u8>) -> Result<(), TarWriteError> {
        let name = match self.kind {
            EntryKind::Directory => format!("{}/", self.path),
            EntryKind::File { .. }
            | EntryKind::Symlink { .. }
            | EntryKind::HardLink { .. }
            | EntryKind::CharacterDevice { .. }
            | EntryKind::BlockDevice { .. }
            | EntryKind::Fifo => self.path.to_owned(),
        };
        self.check_text("path", self.path)?;

        let mut records = Records::default();
        let mut header = Header::new_ustar();
        if let Some(fields) = header.as_ustar_mut() {
            self.set_texts(fields, &name, &mut records)?;
        }
        self.set_numbers(&mut header, &mut records)?;
        header.set_cksum();

        self.add_records(&mut records)?;
        if !records.0.is_empty() {
            self.append_extended(&records.0, out)?;
        }
        out.extend_from_slice(header.as_bytes());
        Ok(())
    }

    fn set_texts(
        &self,
        fields: &mut UstarHeader,
        name: &str,
        records: &mut Records,
    ) -> Result<(), TarWriteError> {
        if let Some((prefix, name)) = split(name) {
            put(&mut fields.prefix, prefix);
            put(&mut fields.name, name);
        } else {
            records.add("path", name);
            put(&mut fields.name, name);
        }
        if let EntryKind::Symlink { target } | EntryKind::HardLink { target } = self.kind {
            self.check_text("link target", target)?;
            if !fits(target, fields.linkname.len()) {
                records.add("linkpath", target);
            }
            put(&mut fields.linkname, target);
        }
        // The last byte of these two is a NUL, always.
        for (key, text, field) in
            [("uname", self.user, &mut fields.uname), ("gname", self.group, &mut fields.gname)]
        {
            if !fits(text, field.len() - 1) {
                records.add(key, text);
            }
            if let Some(all_but_last) = field.get_mut(..31) {
                put(all_but_last, text);
            }
        }
        Ok(())
    }

    fn set_numbers(&self, header: &mut Header, records: &mut Records) -> Result<(), TarWriteError> {
        let (entry_type, major, minor) = match self.kind {
            EntryKind::Directory => (EntryType::Directory, 0, 0),
            EntryKind::File { .. } => (EntryType::Regular, 0, 0),
            EntryKind::Symlink { .. } => (EntryType::Symlink, 0, 0),
            EntryKind::HardLink { .. } => (EntryType::Link, 0, 0),
            EntryKind::CharacterDevice { major, minor } => (EntryType::Char, major, minor),
            EntryKind::BlockDevice { major, minor } => (EntryType::Block, major, minor),
            EntryKind::Fifo => (EntryType::Fifo, 0, 0),
        };
        header.set_entry_type(entry_type);
        header.set_mode(self.mode & 0o7777);
        header.set_size(records.octal("size", self.content_size(), MAX_LONG));
        header.set_uid(records.octal("uid", self.uid, MAX_SHORT));
        header.set_gid(records.octal("gid", self.gid, MAX_SHORT));
        header.set_mtime(records.time("mtime", self.mtime));
        for number in [major, minor] {
            if u64::from(number) > MAX_SHORT {
                return Err(TarWriteError::Device { path: self.path.to_owned(), number });
            }
        }
        if let Some(fields) = header.as_ustar_mut() {
            fields.set_device_major(major);
            fields.set_device_minor(minor);
        }
        Ok(())
    }

    fn add_records(&self, records: &mut Records) -> Result<(), TarWriteError> {
        for (key, value) in self.records {
            records.add(key, value);
        }
        for (name, value) in self.xattrs.into_iter().flatten() {
            self.check_text("extended attribute", name)?;
            if name.contains('=') {
                return Err(self.bad_text("extended attribute", name));
            }
            append_record(&mut records.0, &format!("SCHILY.xattr.{name}"), value);
        }
        Ok(())
    }

    fn append_extended(&self, records: &[u8], out: &mut Vec<u8>) -> Result<(), TarWriteError> {
        if records.len() > MAX_EXTENDED {
            return Err(TarWriteError::TooMuchExtended { path: self.path.to_owned(), length: records.len() });
        }
        let mut header = Header::new_ustar();
        if let Some(fields) = header.as_ustar_mut() {
            put(&mut fields.name, EXTENDED_NAME);
            fields.set_device_major(0);
            fields.set_device_minor(0);
        }
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(records.len() as u64);
        header.set_mtime(0);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(records);
        out.extend_from_slice(padding(records.len() as u64));
        Ok(())
    }

    fn check_text(&self, field: &'static str, text: &str) -> Result<(), TarWriteError> {
        if text.is_empty() || text.contains('\0') {
            return Err(self.bad_text(field, text));
        }
        Ok(())
    }

    fn bad_text(&self, field: &'static str, text: &str) -> TarWriteError {
        TarWriteError::Text { path: self.path.to_owned(), field, text: text.to_owned() }
    }
}

/// The zeros after `size` bytes of content, up to the next block.
#[must_use]
pub fn padding(size: u64) -> &'static [u8] {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over == 0 { &[] } else { ZEROS.get(over..).unwrap_or(&[]) }
}

/// The records of an extended header, encoded.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    fn add(&mut self, key: &str, value: &str) {
        append_record(&mut self.0, key, value.as_bytes());
    }

    /// What goes in a header's field: `number`, or 0 and a record if the field is too small for it.
    fn octal(&mut self, key: &str, number: u64, largest: u64) -> u64 {
        if number <= largest {
            return number;
        }
        self.add(key, &number.to_string());
        0
    }

    /// The same for a time, which may be before 1970.
    fn time(&mut self, key: &str, seconds: i64) -> u64 {
        if let Ok(seconds) = u64::try_from(seconds) {
            return self.octal(key, seconds, MAX_LONG);
        }
        self.add(key, &seconds.to_string());
        0
    }
}

/// Appends `LENGTH KEY=VALUE` and a newline, where LENGTH counts itself too.
fn append_record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest;
    loop {
        let counted = rest + length.to_string().len();
        if counted == length {
            break;
        }
        length = counted;
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// `path` as ustar's prefix and name, if it can be said so.
fn split(path: &str) -> Option<(&str, &str)> {
    const PREFIX: usize = 155;
    const NAME: usize = 100;
    if fits(path, NAME) {
        return Some(("", path));
    }
    if !path.is_ascii() {
        return None;
    }
    let without_slash = path.strip_suffix('/').unwrap_or(path);
    let head = without_slash.get(..=PREFIX.min(without_slash.len().saturating_sub(1)))?;
    let at = head.rfind('/')?;
    let (prefix, name) = (path.get(..at)?, path.get(at + 1..)?);
    (!prefix.is_empty() && name.len() <= NAME).then_some((prefix, name))
}

fn fits(text: &str, room: usize) -> bool {
    text.is_ascii() && text.len() <= room
}

/// Copies `text` into a field as far as there is room, `_` for every byte that is not ASCII. What does
/// not fit so is in a record; this is for readers that ignore records.
fn put(field: &mut [u8], text: &str) {
    for (slot, byte) in field.iter_mut().zip(text.bytes()) {
        *slot = if byte.is_ascii() { byte } else { b'_' };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const FILE: EntryKind<'static> = EntryKind::File { size: 0 };

    fn head(entry: &Entry<'_>) -> Vec<u8> {
        let mut head = Vec::new();
        entry.append_head(&mut head).unwrap();
        head
    }

    type Record = (String, Vec<u8>);

    /// The entry as the `tar` crate reads it: path, link target, and the extended records.
    fn read_back(entry: &Entry<'_>) -> (String, Option<String>, Vec<Record>) {
        let mut bytes = head(entry);
        bytes.extend_from_slice(END);
        let mut archive = tar::Archive::new(&*bytes);
        let mut read = archive.entries().unwrap().next().unwrap().unwrap();
        let path = String::from_utf8(read.path_bytes().into_owned()).unwrap();
        let target = read.link_name_bytes().map(|target| String::from_utf8(target.into_owned()).unwrap());
        let records = match read.pax_extensions().unwrap() {
            Some(records) => records
                .map(|record| {
                    record.map(|r| (r.key().unwrap().to_owned(), r.value_bytes().to_owned())).unwrap()
                })
                .collect(),
            None => Vec::new(),
        };
        (path, target, records)
    }

    #[test]
    fn an_ordinary_entry_takes_one_block() {
        let entry =
            Entry { mtime: 1_718_700_000, uid: 82, gid: 82, mode: 0o4755, ..Entry::new("bin/su", FILE) };
        let head = head(&entry);
        assert_eq!(head.len(), BLOCK);
        let header = Header::from_byte_slice(&head);
        assert_eq!(header.path_bytes(), &b"bin/su"[..]);
        assert_eq!((header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0o4755, 82, 82));
        assert_eq!(header.mtime().unwrap(), 1_718_700_000);
        assert_eq!(header.entry_type(), EntryType::Regular);
        assert_eq!(header.username_bytes().unwrap(), b"");
        assert_eq!(header.as_ustar().unwrap().magic, *b"ustar\0");
    }

    #[test]
    fn a_long_path_is_split_where_ustar_can_and_recorded_where_it_cannot() {
        let directory = "d".repeat(98);
        for (path, blocks) in [
            ("n".repeat(100), 1),
            ("n".repeat(101), 3),
            (format!("{directory}/{}", "n".repeat(100)), 1),
            (format!("{directory}/{}", "n".repeat(101)), 3),
            (format!("{directory}/{}/n", "e".repeat(56)), 1),
            (format!("{}/n", "d".repeat(155)), 1),
            (format!("{}/n", "d".repeat(156)), 3),
            (format!("a/{}/{}", "b".repeat(60), "c".repeat(95)), 1),
            (format!("{}é", "n".repeat(10)), 3),
        ] {
            let entry = Entry::new(&path, FILE);
            assert_eq!(head(&entry).len(), blocks * BLOCK, "{path}");
            assert_eq!(read_back(&entry).0, path);
            let directory = Entry::new(&path, EntryKind::Directory);
            assert_eq!(read_back(&directory).0, format!("{path}/"));
        }
    }

    #[test]
    fn a_link_target_of_any_length_and_script_reads_back() {
        for target in ["/bin/busybox", "../é", &"t/".repeat(50), &"t".repeat(101)] {
            let link = Entry::new("a", EntryKind::Symlink { target });
            assert_eq!(read_back(&link).1.as_deref(), Some(target));
            let link = Entry::new("a", EntryKind::HardLink { target });
            assert_eq!(read_back(&link).1.as_deref(), Some(target));
        }
    }

    #[test]
    fn a_number_too_large_for_its_field_is_recorded_and_zero_in_the_field() {
        let entry = Entry {
            uid: 0o7777777,
            gid: 0o10000000,
            mtime: -1,
            ..Entry::new("a", EntryKind::File { size: 1 << 33 })
        };
        let records = [("size", "8589934592"), ("gid", "2097152"), ("mtime", "-1")]
            .map(|(key, value)| (key.to_owned(), value.as_bytes().to_owned()));
        assert_eq!(read_back(&entry).2, records);
        let bytes = head(&entry);
        let header = Header::from_byte_slice(&bytes[2 * BLOCK..]);
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0o7777777, 0));
        assert_eq!((header.mtime().unwrap(), header.entry_size().unwrap()), (0, 0));
    }

    #[test]
    fn extended_attributes_are_records_in_the_order_of_their_names() {
        let xattrs = BTreeMap::from([
            (Box::from("user.a"), Box::from(&b"\0=\xff"[..])),
            (Box::from("security.capability"), Box::from(&[1, 0, 0, 2][..])),
        ]);
        let entry = Entry {
            xattrs: Some(&xattrs),
            records: &[("APK-TOOLS.checksum.SHA1", "00")],
            ..Entry::new("a", FILE)
        };
        let (_, _, records) = read_back(&entry);
        assert_eq!(
            records,
            [
                ("APK-TOOLS.checksum.SHA1".to_owned(), b"00".to_vec()),
                ("SCHILY.xattr.security.capability".to_owned(), vec![1, 0, 0, 2]),
                ("SCHILY.xattr.user.a".to_owned(), b"\0=\xff".to_vec()),
            ]
        );
    }

    #[test]
    fn an_extended_header_says_nothing_of_who_made_it_and_when() {
        let bytes = head(&Entry { mtime: 5, uid: 7, ..Entry::new("é", FILE) });
        let header = Header::from_byte_slice(&bytes[..BLOCK]);
        assert_eq!(header.entry_type(), EntryType::XHeader);
        assert_eq!(header.path_bytes(), &b"PaxHeaders/entry"[..]);
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.mode().unwrap()), (0, 0, 0o644));
    }

    #[test]
    fn a_record_counts_its_own_length_at_every_length() {
        for length in 0..1200 {
            let mut record = Vec::new();
            append_record(&mut record, "k", &vec![b'v'; length]);
            let text = std::str::from_utf8(&record).unwrap();
            assert_eq!(text.split_once(' ').unwrap().0, record.len().to_string());
        }
    }

    #[test]
    fn devices_and_pipes_have_their_numbers() {
        for (kind, entry_type, numbers) in [
            (EntryKind::CharacterDevice { major: 1, minor: 3 }, EntryType::Char, (1, 3)),
            (EntryKind::BlockDevice { major: 4095, minor: 1_048_575 }, EntryType::Block, (4095, 1_048_575)),
            (EntryKind::Fifo, EntryType::Fifo, (0, 0)),
        ] {
            let bytes = head(&Entry::new("dev/x", kind));
            let header = Header::from_byte_slice(&bytes);
            assert_eq!(header.entry_type(), entry_type);
            let read = (header.device_major().unwrap().unwrap(), header.device_minor().unwrap().unwrap());
            assert_eq!(read, numbers);
        }
    }

    #[test]
    fn content_is_padded_to_a_block() {
        assert_eq!([0, 1, 511, 512, 513, 1 << 40].map(|size| padding(size).len()), [0, 511, 1, 0, 511, 0]);
        let mut bytes = head(&Entry::new("a", EntryKind::File { size: 3 }));
        bytes.extend_from_slice(b"abc");
        bytes.extend_from_slice(padding(3));
        bytes.extend_from_slice(END);
        let mut text = String::new();
        let mut archive = tar::Archive::new(&*bytes);
        archive.entries().unwrap().next().unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }

    #[test]
    fn what_tar_cannot_hold_is_refused_and_named() {
        let huge = BTreeMap::from([(Box::from("user.a"), vec![0; MAX_EXTENDED].into_boxed_slice())]);
        let equals = BTreeMap::from([(Box::from("user.a=b"), Box::from(&b""[..]))]);
        for (entry, message) in [
            (Entry::new("", FILE), "the path of ``"),
            (Entry::new("a", EntryKind::Symlink { target: "" }), "the link target of `a` is \"\""),
            (Entry::new("a", EntryKind::Symlink { target: "b\0" }), "the link target of `a` is \"b\\0\""),
            (Entry::new("a", EntryKind::BlockDevice { major: 1 << 21, minor: 0 }), "number 2097152 of `a`"),
            (Entry { xattrs: Some(&huge), ..Entry::new("a", FILE) }, "`a` take 10486"),
            (Entry { xattrs: Some(&equals), ..Entry::new("a", FILE) }, "the extended attribute of `a` is"),
        ] {
            let error = entry.append_head(&mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
