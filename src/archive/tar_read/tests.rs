use super::*;
use crate::archive::tar_write;

/// A header block of type `kind` that states `size`, and a change made to it before its checksum is.
fn header(path: &str, kind: u8, size: u64, change: impl FnOnce(&mut [u8; BLOCK])) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(EntryType::new(kind));
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    change(header.as_mut_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn plain(path: &str, kind: u8, size: u64) -> Vec<u8> {
    header(path, kind, size, |_| {})
}

/// `content`, padded to whole blocks.
fn padded(content: &[u8]) -> Vec<u8> {
    [content, tar_write::padding(content.len() as u64)].concat()
}

/// An extended header of type `kind` with `records`.
fn extended(kind: u8, records: &[u8]) -> Vec<u8> {
    [plain("PaxHeaders", kind, records.len() as u64), padded(records)].concat()
}

fn file(path: &str) -> Vec<u8> {
    plain(path, b'0', 0)
}

fn read(tar: &[u8]) -> Result<Vec<Entry>, TarError> {
    let mut reader = TarReader::new(tar);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn paths(tar: &[u8]) -> Vec<String> {
    let entries = read(tar).unwrap();
    entries.iter().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

#[test]
fn one_block_of_zeros_is_tolerated_between_entries_and_the_second_is_the_end() {
    let zeros = vec![0; BLOCK];
    let one = [file("a"), zeros.clone(), file("b")].concat();
    assert_eq!(paths(&one), ["a", "b"]);
    let two = [file("a"), zeros.clone(), zeros.clone(), zeros.clone()].concat();
    assert_eq!(paths(&two), ["a"]);
    let hidden = [file("a"), zeros.clone(), zeros, file("b")].concat();
    assert!(matches!(read(&hidden), Err(TarError::Trailing { .. })));
}

#[test]
fn an_archive_may_end_without_zeros_but_not_inside_an_entry() {
    let tar = [plain("a", b'0', 700), padded(&[b'x'; 700])].concat();
    assert_eq!(read(&tar).unwrap()[0].size, 700);
    for length in 1..tar.len() {
        assert!(matches!(read(&tar[..length]), Err(TarError::Truncated { .. })), "cut at {length}");
    }
}

#[test]
fn a_changed_byte_of_a_header_is_refused() {
    let tar = plain("a", b'0', 0);
    for at in 0..BLOCK {
        let mut changed = tar.clone();
        changed[at] ^= 1;
        // The checksum is six digits, a zero and a space; the last two may be anything that ends a number.
        assert!(read(&changed).is_err() || (154..156).contains(&at), "byte {at}");
    }
}

#[test]
fn a_size_that_no_archive_has_is_refused_and_not_believed() {
    let base_256 = header("a", b'0', 0, |block| {
        block[124] = 0x80;
        block[128..136].fill(0xff);
    });
    assert!(read(&base_256).is_err());
    for size in ["18446744073709551615", "18446744073709551104", "9223372036854775807"] {
        let text = format!(" size={size}\n");
        let record = format!("{}{text}", text.len() + 2);
        let tar = [extended(b'x', record.as_bytes()), file("a")].concat();
        assert!(read(&tar).is_err(), "{size}");
        let mut reader = TarReader::new(tar.as_slice());
        if reader.next_entry().is_ok() {
            assert!(reader.read_small(1000).is_err(), "{size}");
        }
    }
}

#[test]
fn two_sizes_of_one_entry_are_refused() {
    let tar = [extended(b'x', b"11 size=10\n"), plain("a", b'0', 5), padded(b"12345")].concat();
    assert!(matches!(read(&tar), Err(TarError::Sizes { header: 5, extended: 10, .. })));
}

#[test]
fn what_is_no_file_has_no_data() {
    for kind in [b'1', b'2', b'3', b'4', b'5', b'6'] {
        let tar = [plain("a", kind, 3), padded(b"abc")].concat();
        assert!(matches!(read(&tar), Err(TarError::Header { .. })), "{}", char::from(kind));
    }
}

#[test]
fn types_that_file_systems_do_not_have_are_refused_by_name() {
    for kind in [0, b'7', b'S', b'D', b'M', b'V', b'A', b'q'] {
        let refused = read(&header("odd", b'0', 0, |block| block[TYPE_FLAG] = kind));
        assert!(matches!(refused, Err(TarError::Kind { path, .. }) if path == "odd"), "{kind}");
    }
}

#[test]
fn sparse_files_are_refused() {
    let records = b"22 GNU.sparse.major=1\n";
    let tar = [extended(b'x', records), file("a")].concat();
    assert!(matches!(read(&tar), Err(TarError::Extended { .. })));
}

#[test]
fn malformed_records_are_refused() {
    for records in [
        "9 path=a",
        "9 path=ab\n",
        "999 path=a\n",
        "path=a\n",
        "x path=a\n",
        "7 path\n",
        "11 uid=abc\n",
        "0 path=a\n",
        "10 size=-1\n",
        "18446744073709551616 path=a\n",
        "10 path=\0a\n",
    ] {
        let tar = [extended(b'x', records.as_bytes()), file("a")].concat();
        assert!(matches!(read(&tar), Err(TarError::Extended { .. })), "{records:?}");
    }
}

#[test]
fn an_extended_header_needs_an_entry_and_has_a_bounded_length() {
    assert!(matches!(read(&extended(b'x', b"9 path=a\n")), Err(TarError::Extended { .. })));
    let long = plain("x", b'x', MAX_EXTENDED + 1);
    assert!(matches!(read(&long), Err(TarError::LongExtended { .. })));
}

#[test]
fn long_names_of_gnu_and_pax_are_taken_and_global_headers_are_not() {
    let long = "n".repeat(300);
    let gnu = [extended(b'L', format!("{long}\0").as_bytes()), file("short")].concat();
    assert_eq!(paths(&gnu), [long.as_str()]);
    let link = [extended(b'K', format!("{long}\0").as_bytes()), plain("a", b'2', 0)].concat();
    assert_eq!(read(&link).unwrap()[0].target, long.as_bytes());
    let global = [extended(b'g', b"13 path=other\n"), file("a")].concat();
    assert_eq!(paths(&global), ["a"]);
}
