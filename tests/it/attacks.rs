//! Every parser under attack: bytes flipped, cut off, repeated, removed, put elsewhere, grown.
//!
//! What is asked of a parser is that it neither panics nor believes a number it has not checked, and that
//! what it does accept keeps its promises. Good input is each attack's beginning, and is accepted.

use std::fmt::Debug;
use std::io::{self, Read as _};

use apkcompose::apk::dependency::{Dependency, Provide};
use apkcompose::apk::index::{Index, Package};
use apkcompose::apk::index_file::VerifiedIndex;
use apkcompose::apk::installed::InstalledText;
use apkcompose::apk::keys::Keyring;
use apkcompose::apk::package::PackageHead;
use apkcompose::apk::package_info::PackageInfo;
use apkcompose::apk::{signature, version};
use apkcompose::arch::Arch;
use apkcompose::archive::decompress::{DecompressError, Decompressed};
use apkcompose::archive::table::{
    Admission, Admitted, Rules, Table, TableError, TableKind, Whiteout, read_table,
};
use apkcompose::archive::tar_read::{Entry, EntryKind, TarReader};
use apkcompose::archive::tar_write;
use apkcompose::archive::{gzip, gzip_write, rootfs};
use apkcompose::image::stored::{StoredConfig, StoredIndex};
use apkcompose::path::TreePath;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample;
use proptest::sample::Index as At;
use proptest::test_runner::TestCaseResult;

use crate::demo;
use crate::support::draws;

/// One change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(At, u8),
    Set(At, u8),
    Cut(At),
    Remove(At, At),
    Repeat(At, At, u8),
    Move(At, At, At),
    Insert(At, Vec<u8>),
    /// A decimal or octal number becomes as large as its field holds.
    Enlarge(At),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        let range = |a: &At, b: &At| {
            let (a, b) = (a.index(length), b.index(length));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Set(at, value) => bytes[at.index(length)] = *value,
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Remove(a, b) => drop(bytes.drain(range(a, b))),
            Self::Repeat(a, b, times) => {
                let part = bytes[range(a, b)].repeat(usize::from(*times));
                bytes.splice(a.index(length)..a.index(length), part);
            }
            Self::Move(a, b, to) => {
                let part: Vec<u8> = bytes.drain(range(a, b)).collect();
                let to = if bytes.is_empty() { 0 } else { to.index(bytes.len()) };
                bytes.splice(to..to, part);
            }
            Self::Insert(at, part) => {
                bytes.splice(at.index(length)..at.index(length), part.iter().copied());
            }
            Self::Enlarge(at) => {
                let start = at.index(length);
                let digits = bytes[start..].iter_mut().skip_while(|byte| !byte.is_ascii_digit());
                digits.take_while(|byte| byte.is_ascii_digit()).for_each(|byte| *byte = b'7');
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<At>;
    prop_oneof![
        3 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        3 => (at(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        1 => at().prop_map(Change::Cut),
        1 => (at(), at()).prop_map(|(a, b)| Change::Remove(a, b)),
        1 => (at(), at(), 1..5_u8).prop_map(|(a, b, times)| Change::Repeat(a, b, times)),
        1 => (at(), at(), at()).prop_map(|(a, b, to)| Change::Move(a, b, to)),
        1 => (at(), vec(any::<u8>(), 1..40)).prop_map(|(at, part)| Change::Insert(at, part)),
        2 => at().prop_map(Change::Enlarge),
    ]
}

/// One to five changes, or none.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    vec(change(), 0..6)
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        change.apply(&mut bytes);
    }
    bytes
}

/// The same of a tar, its header checksums made right again: what is behind them is attacked then.
fn changed_tar(tar: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut tar = changed(tar, changes);
    for block in tar.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

/// Good input is accepted, whatever else may be refused.
fn accepted_if_unchanged<T, E: Debug>(changes: &[Change], result: &Result<T, E>) -> TestCaseResult {
    if changes.is_empty()
        && let Err(error) = result
    {
        return Err(TestCaseError::fail(format!("good input is refused: {error:?}")));
    }
    Ok(())
}

/// A package of the demo, signed, with hard link, symbolic links and a named owner.
fn package() -> &'static [u8] {
    include_bytes!("../../profiles/demo/x86_64/demo-hello-1.0-r0.apk")
}

fn index_file() -> &'static [u8] {
    include_bytes!("../../profiles/demo/x86_64/APKINDEX.tar.gz")
}

/// The tar of the package's data member, and one with what that lacks.
fn tars() -> [Vec<u8>; 2] {
    let head = PackageHead::parse(package()).unwrap();
    let mut data = &package()[usize::try_from(head.data_offset).unwrap()..];
    let of_package = gzip::inflate_member(&mut data, 1 << 20).unwrap();
    let xattrs = [("user.a".into(), Box::from(b"1\n=\0".as_slice()))].into();
    let long = "l".repeat(200);
    let mut tar = Vec::new();
    for entry in [
        tar_write::Entry::new("d", tar_write::EntryKind::Directory),
        tar_write::Entry {
            xattrs: Some(&xattrs),
            records: &[("APK-TOOLS.checksum.SHA1", "da39a3ee5e6b4b0d3255bfef95601890afd80709")],
            ..tar_write::Entry::new(&long, tar_write::EntryKind::File { size: 0 })
        },
        tar_write::Entry::new("d/null", tar_write::EntryKind::CharacterDevice { major: 1, minor: 3 }),
        tar_write::Entry::new("d/far", tar_write::EntryKind::Symlink { target: &long }),
        tar_write::Entry {
            mtime: -1,
            uid: 3_000_000,
            ..tar_write::Entry::new("d/pipe", tar_write::EntryKind::Fifo)
        },
    ] {
        entry.append_head(&mut tar).unwrap();
    }
    tar.extend_from_slice(tar_write::END);
    [of_package, tar]
}

/// What apk's rules would take, without their being private here.
struct Everything;

impl Rules for Everything {
    fn admit(&self, entry: &Entry) -> Result<Admission, TableError> {
        let hard_link_target = match entry.kind {
            EntryKind::HardLink => Some(TreePath::relative_bytes(&entry.target)?),
            _ => None,
        };
        Ok(Admission::Taken(Admitted {
            path: TreePath::relative_bytes(&entry.path)?,
            hard_link_target,
            sha1: None,
        }))
    }

    fn wants_directories_first(&self) -> bool {
        false
    }
}

/// What is always true of a table.
fn check_table(table: &Table, tar: &[u8]) -> TestCaseResult {
    let mut earlier = std::collections::HashMap::new();
    for entry in table.entries() {
        match &entry.kind {
            TableKind::File(place) => {
                let end = place.offset.checked_add(place.length);
                prop_assert!(end.is_some_and(|end| end <= tar.len() as u64));
                let start = usize::try_from(place.offset).unwrap();
                let bytes = &tar[start..start + usize::try_from(place.length).unwrap()];
                prop_assert_eq!(apkcompose::digest::Sha256::of(bytes), place.sha256);
            }
            TableKind::HardLink(target) => {
                prop_assert!(earlier.get(target) == Some(&false), "{}", target);
            }
            _ => {}
        }
        prop_assert!(entry.mode <= 0o7777);
        let is_directory = entry.kind == TableKind::Directory;
        let before = earlier
            .insert(entry.path.clone(), !matches!(entry.kind, TableKind::File(_) | TableKind::HardLink(_)));
        prop_assert!(before.is_none() || is_directory);
    }
    Ok(())
}

/// Looks at everything a package of an index can be asked for.
fn ask_everything(package: Package<'_>) {
    let _ = (package.flaw(), package.parse_depends(), package.parse_install_if());
    let _ = (package.held().count(), package.fields().count(), package.to_string());
    let _ = (package.identity(), package.size(), package.is_virtual(), package.build_time());
}

/// What is written of a database is read as the same packages.
fn reads_back(database: &InstalledText) -> TestCaseResult {
    let written = |database: &InstalledText| {
        let mut text = String::new();
        database.packages().iter().for_each(|package| package.write(&mut text));
        text
    };
    let text = written(database);
    let again = InstalledText::parse("db", &text);
    prop_assert!(again.is_ok(), "{again:?} of {text:?}");
    let again = again.unwrap();
    prop_assert_eq!(again.packages().len(), database.packages().len());
    for (again, before) in again.packages().iter().zip(database.packages()) {
        prop_assert_eq!((again.name(), again.version()), (before.name(), before.version()));
        prop_assert_eq!(&again.directories, &before.directories);
        prop_assert_eq!(
            (&again.replaces, again.replaces_priority, &again.tag, &again.flags),
            (&before.replaces, before.replaces_priority, &before.tag, &before.flags)
        );
    }
    for (again, before) in again.index().packages().zip(database.index().packages()) {
        prop_assert_eq!(again.to_string(), before.to_string());
        prop_assert!(again.depends().eq(before.depends()) && again.held().eq(before.held()));
        prop_assert!(again.install_if().eq(before.install_if()));
        prop_assert_eq!((again.identity(), again.origin()), (before.identity(), before.origin()));
    }
    prop_assert_eq!(written(&again), text);
    Ok(())
}

/// Lines of a stanza of the installed database, some of which are refused where they stand.
const LINES: [&str; 40] = [
    "P:a",
    "P:b",
    "V:1",
    "V:2-r0",
    "V:1\r",
    "A:x86_64",
    "A:noarch",
    "S:1",
    "S:2",
    "I:3",
    "T:",
    "T:text",
    "T:text\r",
    "U:u",
    "L:MIT",
    "o:one",
    "o:other",
    "t:5",
    "c:abc",
    "k:1",
    "k:2",
    "D:",
    "D:x y",
    "D:z<2",
    "D:!n",
    "p:v=1",
    "p:w x=2",
    "i:e",
    "i:f g",
    "r:h",
    "r:j k",
    "q:1",
    "q:2",
    "s:edge",
    "s:php7",
    "f:f",
    "f:sx",
    "f:",
    "C:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=",
    "C:Q1kis01JA7doQmGHoolFDCc7ggBcs=",
];
/// Lines that say what files it has.
const FILES: [&str; 12] = [
    "F:",
    "F:etc",
    "F:usr",
    "F:usr/bin",
    "M:0:0:700",
    "M:1:2:1777",
    "R:a",
    "R:b",
    "R:c",
    "a:0:0:755",
    "a:5:6:600",
    "Z:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=",
];

draws::properties! {
    cases = 512;

    property stanzas_whose_fields_come_twice_are_read_again_as_they_were(
        stanzas in vec((vec(sample::select(&LINES[..]), 0..30), vec(sample::select(&FILES[..]), 0..30)), 1..4)
    ) {
        let stanza = |(lines, files): &(Vec<&str>, Vec<&str>)| {
            // With a name and a version somewhere, and a directory before the files.
            [&["V:0"], &lines[..], &["P:c", "F:"], &files[..], &["\n"]].concat().join("\n")
        };
        let text: String = stanzas.iter().map(stanza).collect();
        let database = InstalledText::parse("db", &text);
        if let Ok(database) = &database {
            prop_assert_eq!(database.packages().len(), stanzas.len());
            reads_back(database)?;
        }
        // Fields of files have something to belong to, but where a directory comes between.
        let is_misplaced = stanzas.iter().any(|(_, files)| {
            files.iter().enumerate().any(|(at, line)| {
                let before = files[..at].iter().rev().find(|line| matches!(&line[..2], "F:" | "R:"));
                matches!(&line[..2], "a:" | "Z:") && before.is_none_or(|line| line.starts_with("F:"))
            })
        });
        prop_assert_eq!(database.is_err(), is_misplaced, "{}", text);
    }

    property gzip_members_never_give_more_than_their_limit(changes in changes(), limit in 0..100_000_u64) {
        let data = tars().concat();
        let bytes = changed(&gzip_write::member(&data).unwrap(), &changes);
        let mut rest = bytes.as_slice();
        let inflated = gzip::inflate_member(&mut rest, limit);
        if limit >= data.len() as u64 {
            accepted_if_unchanged(&changes, &inflated)?;
        }
        if let Ok(inflated) = inflated {
            prop_assert!(inflated.len() as u64 <= limit);
            prop_assert!(bytes.ends_with(rest));
        }
    }

    property stored_tars_never_give_more_than_their_limit(changes in changes(), form in 0..3_usize, limit in 0..100_000_u64) {
        let data = tars().concat();
        let stored = match form {
            0 => data.clone(),
            1 => [gzip_write::member(&data[..777]).unwrap(), gzip_write::member(&data[777..]).unwrap()].concat(),
            _ => zstd::encode_all(data.as_slice(), 3).unwrap(),
        };
        let bytes = changed(&stored, &changes);
        let mut inflated = Vec::new();
        let result = Decompressed::open(bytes.as_slice(), limit)
            .and_then(|mut input| input.read_to_end(&mut inflated).map_err(DecompressError::of_io));
        if limit >= data.len() as u64 {
            accepted_if_unchanged(&changes, &result)?;
        }
        prop_assert!(inflated.len() as u64 <= limit);
        if result.is_ok() && changes.is_empty() {
            prop_assert_eq!(inflated, data);
        }
    }

    property layers_take_away_nothing_but_what_has_a_name(changes in changes(), which in 0..2_usize) {
        let mut tar = tars()[which].clone();
        let end = tar.len() - tar_write::END.len();
        let mut whiteouts = Vec::new();
        for name in ["d/.wh.gone", ".wh..wh..opq"] {
            tar_write::Entry::new(name, tar_write::EntryKind::File { size: 0 }).append_head(&mut whiteouts).unwrap();
        }
        tar.splice(end..end, whiteouts);
        let tar = changed_tar(&tar, &changes);
        let mut copy = Vec::new();
        let layer = rootfs::expand_layer(tar.as_slice(), 1 << 20, &mut copy);
        accepted_if_unchanged(&changes, &layer)?;
        if let Ok((table, diff_id)) = layer {
            prop_assert_eq!(diff_id.0, apkcompose::digest::Sha256::of(&tar));
            for whiteout in &table.whiteouts {
                let (Whiteout::Path(path) | Whiteout::Contents(path)) = whiteout;
                prop_assert!(!path.is_root() || matches!(whiteout, Whiteout::Contents(_)));
                prop_assert!(path.components().all(|name| !name.starts_with(".wh.")));
            }
        }
    }

    property documents_of_images_are_read_or_refused(changes in changes()) {
        let digest = "ab".repeat(32);
        let descriptor = format!(
            "{{\"mediaType\":\"x\",\"digest\":\"sha256:{digest}\",\"size\":5,\"platform\":{{\"architecture\":\"arm\",\
             \"os\":\"linux\",\"variant\":\"v7\"}},\"annotations\":{{\"org.opencontainers.image.ref.name\":\"1\"}}}}"
        );
        let index = changed(format!("{{\"manifests\":[{descriptor}]}}").as_bytes(), &changes);
        let index: Result<StoredIndex, _> = serde_json::from_slice(&index);
        accepted_if_unchanged(&changes, &index)?;
        for manifest in index.iter().flat_map(|index| &index.manifests) {
            let _ = (manifest.listed(), manifest.is_layer(), manifest.names().count(), manifest.full_name());
            let _ = manifest.platform.as_ref().map(|platform| Arch::ALL.map(|arch| platform.is(arch)));
        }
        let config = format!(
            "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{{\"Env\":[\"A=b\"],\"Cmd\":null}},\
             \"rootfs\":{{\"diff_ids\":[\"sha256:{digest}\"]}}}}"
        );
        let config: Result<StoredConfig, _> = serde_json::from_slice(&changed(config.as_bytes(), &changes));
        accepted_if_unchanged(&changes, &config)?;
        if let Ok(config) = config {
            let _ = (config.configured(), config.diff_ids().len(), config.platform().to_string());
        }
    }

    property tars_are_read_within_their_bounds(changes in changes(), which in 0..2_usize) {
        let tar = changed_tar(&tars()[which], &changes);
        let mut reader = TarReader::new(tar.as_slice());
        let mut count = 0;
        let result = loop {
            match reader.next_entry() {
                Ok(Some(entry)) => {
                    // What is behind the end shows only when it is read.
                    prop_assert!(entry.offset <= tar.len() as u64);
                    count += 1;
                }
                Ok(None) => break Ok(count),
                Err(error) => break Err(error),
            }
        };
        accepted_if_unchanged(&changes, &result)?;
        prop_assert!(reader.position() <= tar.len() as u64);
        prop_assert!(count <= tar.len() / 512);
    }

    property tables_keep_their_promises(changes in changes(), which in 0..2_usize) {
        let tar = changed_tar(&tars()[which], &changes);
        let mut copy = Vec::new();
        let table = read_table(tar.as_slice(), &mut copy, &Everything);
        accepted_if_unchanged(&changes, &table)?;
        if let Ok(table) = table {
            prop_assert!(copy == tar, "all is read and copied");
            check_table(&table, &tar)?;
        }
    }

    property heads_of_packages_are_read_within_their_bounds(changes in changes()) {
        let bytes = changed(package(), &changes);
        let head = PackageHead::parse(&bytes);
        accepted_if_unchanged(&changes, &head)?;
        if let Ok(head) = head {
            prop_assert!(head.data_offset <= bytes.len() as u64);
        }
        if let Ok((_, rest)) = signature::split(&bytes) {
            prop_assert!(bytes.ends_with(rest));
        }
    }

    property control_members_are_read_whatever_their_tar_holds(changes in changes()) {
        let (_, control) = signature::split(package()).unwrap();
        let tar = gzip::inflate_member(&mut &control[..], 1 << 20).unwrap();
        let member = gzip_write::member(&changed_tar(&tar, &changes)).unwrap();
        let head = PackageHead::parse(&member);
        accepted_if_unchanged(&changes, &head)?;
        prop_assert!(head.is_err() || head.is_ok_and(|head| head.signatures.is_empty()));
    }

    property signature_members_are_read_whatever_their_tar_holds(changes in changes()) {
        let tar = gzip::inflate_member(&mut &package()[..], 1 << 20).unwrap();
        let member = gzip_write::member(&changed_tar(&tar, &changes)).unwrap();
        let split = signature::split(&member);
        accepted_if_unchanged(&changes, &split)?;
        if let Ok((signatures, rest)) = split {
            prop_assert!(signatures.iter().all(|signature| signature.bytes.len() <= 65_536));
            // What begins otherwise is unsigned, and all of it is the rest.
            prop_assert!(signatures.is_empty() == (rest.len() == member.len()) || rest.is_empty());
        }
    }

    property no_changed_index_is_believed(changes in changes()) {
        let key = apkcompose::apk::keys::PublicKey::parse(
            demo::KEY,
            include_bytes!("../../profiles/demo/demo.rsa.pub"),
        );
        let keyring = Keyring::of([key.unwrap()]);
        let bytes = changed(index_file(), &changes);
        let index = VerifiedIndex::check("demo", &bytes, &keyring);
        accepted_if_unchanged(&changes, &index)?;
        // The free bytes of the gzip header, which say when and where it was packed.
        let free = 4..10;
        let is_same = bytes.len() == index_file().len()
            && (0..bytes.len()).all(|at| free.contains(&at) || bytes[at] == index_file()[at]);
        prop_assert_eq!(index.is_ok(), is_same);
    }

    property texts_are_read_line_by_line(changes in changes()) {
        let info = "pkgname = a\npkgver = 1-r0\narch = x86_64\nsize = 4096\nbuilddate = 1700000000\n\
            depend = b>=1 so:x.so.1 !c\nprovides = cmd:a=1-r0\ninstall_if = d e\ntriggers = /usr/*\n\
            replaces_priority = 7\ndatahash = e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";
        accepted_if_unchanged(&changes, &PackageInfo::parse(&changed(info.as_bytes(), &changes)))?;

        let installed = "C:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nP:busybox\nV:1.36.1-r19\nA:x86_64\nS:1\nI:2\nT:d\n\
            t:1718173719\nk:3\nD:so:libc !x\np:/bin/sh\ni:a b\nr:mdev\nq:2\ns:edge\nf:S\nF:\nR:top\n\
            Z:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nF:bin\nM:0:10:2750:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\n\
            R:busybox\na:0:0:755\nZ:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\n\nP:b\nV:1\n\n";
        let text = changed(installed.as_bytes(), &changes);
        let database = InstalledText::parse("db", text.clone());
        accepted_if_unchanged(&changes, &database)?;
        if let Ok(database) = &database {
            database.index().packages().for_each(ask_everything);
            reads_back(database)?;
        }
        if let Ok(index) = Index::parse("index", text) {
            index.packages().for_each(ask_everything);
        }
    }

    property words_are_read_or_refused(text in "[a-z0-9:/.@<>=~!_+Q -]{0,24}|\\PC{0,12}", other in "[0-9a-z._~-]{0,12}") {
        if let Ok(dependency) = text.parse::<Dependency>() {
            prop_assert_eq!(dependency.to_string().parse::<Dependency>().ok(), Some(dependency));
        }
        let _ = (Dependency::of_index(&text), Provide::of_index(&text));
        let _ = (version::is_valid(&text), version::compare(&text, &other), version::starts_with(&text, &other));
        if let Ok(path) = TreePath::relative(&text) {
            prop_assert!(path.components().all(|name| name != ".." && name != "."));
        }
    }
}

/// Something random to be said in a tar.
#[derive(Debug, Clone)]
struct Said {
    path: String,
    kind: u8,
    target: String,
    content: Vec<u8>,
    mode: u32,
    owner: (u32, u32, String, String),
    mtime: i64,
    xattrs: std::collections::BTreeMap<Box<str>, Box<[u8]>>,
}

fn said() -> impl Strategy<Value = Said> {
    let name = "[a-zé]{1,40}(/[a-z]{1,90}){0,4}";
    let owner = (any::<u32>(), any::<u32>(), "[a-z]{0,40}", "[a-z]{0,40}");
    let xattrs = proptest::collection::btree_map(
        "user\\.[a-z]{1,9}".prop_map(String::into_boxed_str),
        vec(any::<u8>(), 0..30).prop_map(Vec::into_boxed_slice),
        0..3,
    );
    (name, 0..6_u8, name, vec(any::<u8>(), 0..1500), 0..0o10000_u32, owner, any::<i64>(), xattrs).prop_map(
        |(path, kind, target, content, mode, owner, mtime, xattrs)| Said {
            path,
            kind,
            target,
            content,
            mode,
            owner,
            mtime: mtime / 1000,
            xattrs,
        },
    )
}

impl Said {
    fn written(&self) -> tar_write::Entry<'_> {
        let kind = match self.kind {
            0 => tar_write::EntryKind::File { size: self.content.len() as u64 },
            1 => tar_write::EntryKind::Directory,
            2 => tar_write::EntryKind::Symlink { target: &self.target },
            3 => tar_write::EntryKind::HardLink { target: &self.target },
            4 => tar_write::EntryKind::CharacterDevice { major: 1, minor: self.mode },
            _ => tar_write::EntryKind::Fifo,
        };
        tar_write::Entry {
            path: &self.path,
            kind,
            mode: self.mode,
            uid: self.owner.0.into(),
            gid: self.owner.1.into(),
            user: &self.owner.2,
            group: &self.owner.3,
            mtime: self.mtime,
            xattrs: Some(&self.xattrs),
            records: &[("VENDOR.note", "a=b\nc")],
        }
    }
}

draws::properties! {
    cases = 256;

    property what_is_written_to_a_tar_reads_back_the_same(all in vec(said(), 0..6)) {
        let mut tar = Vec::new();
        for said in &all {
            let entry = said.written();
            entry.append_head(&mut tar).unwrap();
            if said.kind == 0 {
                tar.extend_from_slice(&said.content);
                tar.extend_from_slice(tar_write::padding(entry.content_size()));
            }
        }
        tar.extend_from_slice(tar_write::END);

        let mut reader = TarReader::new(tar.as_slice());
        for said in &all {
            let entry = reader.next_entry().unwrap().expect("as many entries as were written");
            let path = if said.kind == 1 { format!("{}/", said.path) } else { said.path.clone() };
            prop_assert_eq!(String::from_utf8_lossy(&entry.path), path);
            let kinds = [
                EntryKind::File, EntryKind::Directory, EntryKind::Symlink, EntryKind::HardLink,
                EntryKind::CharacterDevice, EntryKind::Fifo,
            ];
            prop_assert_eq!(entry.kind, kinds[usize::from(said.kind)]);
            let target = if matches!(said.kind, 2 | 3) { said.target.as_bytes() } else { b"" };
            prop_assert_eq!(&entry.target[..], target);
            prop_assert_eq!((entry.mode, entry.mtime), (said.mode, said.mtime));
            prop_assert_eq!((entry.uid, entry.gid), (said.owner.0, said.owner.1));
            prop_assert_eq!((&entry.user, &entry.group), (&said.owner.2, &said.owner.3));
            prop_assert_eq!(&entry.vendor["VENDOR.note"][..], b"a=b\nc");
            prop_assert!(entry.xattrs.iter().map(|(n, v)| (&**n, &**v)).eq(said.xattrs.iter().map(|(n, v)| (&**n, &**v))));
            if said.kind == 0 {
                prop_assert_eq!(reader.read_small(u64::MAX).unwrap(), &said.content[..]);
            }
        }
        prop_assert!(reader.next_entry().unwrap().is_none());
    }
}

#[test]
fn every_flipped_bit_of_a_package_is_refused_but_in_the_free_bytes_of_the_gzip_header() {
    use apkcompose::apk::package::{Expected, VerifiedPackage};
    use apkcompose::content::ReadAt;

    struct Bytes(Vec<u8>);
    impl ReadAt for Bytes {
        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            let start = usize::try_from(offset).unwrap();
            let part = self.0.get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(part);
            Ok(())
        }

        fn length(&self) -> u64 {
            self.0.len() as u64
        }

        fn describe(&self) -> String {
            "bytes".to_owned()
        }
    }

    let pem = include_bytes!("../../profiles/demo/demo.rsa.pub");
    let keyring = Keyring::of([apkcompose::apk::keys::PublicKey::parse(demo::KEY, pem).unwrap()]);
    let mut file = Bytes(package().to_vec());
    let head = PackageHead::parse(package()).unwrap();
    let expected = Expected {
        name: head.info.name.clone(),
        version: head.info.version.clone(),
        arch: Arch::X86_64.to_string(),
        identity: head.identity(),
        size: package().len() as u64,
    };
    let mut accepted = Vec::new();
    for at in 0..package().len() {
        for bit in 0..8 {
            file.0[at] ^= 1 << bit;
            if VerifiedPackage::check(&file, &expected, &keyring).is_ok() {
                accepted.push((at, bit));
            }
            file.0[at] ^= 1 << bit;
        }
    }
    let free: Vec<_> = (4..10).flat_map(|at| (0..8).map(move |bit| (at, bit))).collect();
    assert_eq!(accepted, free);
    assert!(VerifiedPackage::check(&file, &expected, &keyring).is_ok());
}
