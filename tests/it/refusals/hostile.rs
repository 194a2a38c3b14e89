//! Tars, packages, indexes and mirrors made by hand, because our own writer refuses to.

use std::io::Write as _;

use apkcompose::apk::package::{Expected, PackageHead};
use apkcompose::apk::sign::SigningKey;
use apkcompose::apk::write_index::IndexedPackage;
use apkcompose::digest::{Sha1, Sha256, Sha512};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::made::{self, Made};
use crate::support::command::Dir;

/// An entry of a tar.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    path: Vec<u8>,
    kind: u8,
    target: Vec<u8>,
    content: Vec<u8>,
    mode: u32,
    owner: (String, String),
    device: (u32, u32),
    records: Vec<(String, Vec<u8>)>,
    /// The size the header states, if another than the content's.
    size: Option<u64>,
    has_checksum: bool,
}

impl Said {
    pub(crate) fn of(path: impl AsRef<[u8]>, kind: u8) -> Self {
        Self {
            path: path.as_ref().to_vec(),
            kind,
            target: Vec::new(),
            content: Vec::new(),
            mode: if kind == b'5' { 0o755 } else { 0o644 },
            owner: ("root".to_owned(), "root".to_owned()),
            device: (0, 0),
            records: Vec::new(),
            size: None,
            has_checksum: kind == b'0',
        }
    }

    pub(crate) fn file(path: &str, content: impl AsRef<[u8]>) -> Self {
        Self { content: content.as_ref().to_vec(), ..Self::of(path, b'0') }
    }

    pub(crate) fn program(path: &str, content: impl AsRef<[u8]>) -> Self {
        Self { mode: 0o755, ..Self::file(path, content) }
    }

    pub(crate) fn dir(path: &str) -> Self {
        Self::of(path, b'5')
    }

    pub(crate) fn symlink(path: &str, target: &str) -> Self {
        Self { target: target.into(), mode: 0o777, ..Self::of(path, b'2') }
    }

    pub(crate) fn hard_link(path: &str, target: &str) -> Self {
        Self { target: target.into(), ..Self::of(path, b'1') }
    }

    pub(crate) fn device(path: &str, kind: u8, major: u32, minor: u32) -> Self {
        Self { device: (major, minor), ..Self::of(path, kind) }
    }

    pub(crate) fn record(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.records.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn size(self, size: u64) -> Self {
        Self { size: Some(size), ..self }
    }

    /// What follows the header, whatever it is the header of.
    pub(crate) fn content(self, content: impl AsRef<[u8]>) -> Self {
        Self { content: content.as_ref().to_vec(), ..self }
    }

    pub(crate) fn without_checksum(self) -> Self {
        Self { has_checksum: false, ..self }
    }

    fn append(&self, tar: &mut Vec<u8>) {
        let mut records = self.records.clone();
        if self.has_checksum {
            records.push(("APK-TOOLS.checksum.SHA1".to_owned(), Sha1::of(&self.content).to_hex().into()));
        }
        if self.path.len() > 100 {
            records.push(("path".to_owned(), self.path.clone()));
        }
        if self.target.len() > 100 {
            records.push(("linkpath".to_owned(), self.target.clone()));
        }
        if !records.is_empty() {
            let body: Vec<u8> = records.iter().flat_map(|(name, value)| record(name, value)).collect();
            Self { content: body, ..Self::of("PaxHeaders/x", b'x') }.append_block(tar);
        }
        self.append_block(tar);
    }

    fn append_block(&self, tar: &mut Vec<u8>) {
        let mut header = tar::Header::new_ustar();
        let cut = |text: &[u8]| text[..text.len().min(100)].to_vec();
        let fields = header.as_old_mut();
        fields.name[..cut(&self.path).len()].copy_from_slice(&cut(&self.path));
        fields.linkname[..cut(&self.target).len()].copy_from_slice(&cut(&self.target));
        fields.linkflag[0] = self.kind;
        header.set_mode(self.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username(&self.owner.0).unwrap();
        header.set_groupname(&self.owner.1).unwrap();
        header.set_mtime(1_700_000_000);
        header.set_size(self.size.unwrap_or(self.content.len() as u64));
        if matches!(self.kind, b'3' | b'4') {
            header.set_device_major(self.device.0).unwrap();
            header.set_device_minor(self.device.1).unwrap();
        }
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(&self.content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
}

/// A PAX record, which states its own length.
fn record(name: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", name.as_bytes(), b"=", value, b"\n"].concat();
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

/// A tar of `entries` without its end.
pub(crate) fn open_tar(entries: &[Said]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        entry.append(&mut tar);
    }
    tar
}

/// A whole tar of `entries`.
pub(crate) fn tar(entries: &[Said]) -> Vec<u8> {
    let mut tar = open_tar(entries);
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// `data` as a gzip member.
pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A package in the making.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    name: String,
    version: String,
    arch: String,
    info: String,
    size: u64,
    scripts: Vec<(String, Vec<u8>)>,
    entries: Vec<Said>,
}

impl Package {
    /// `name` 1-r0 for `x86_64`, with nothing in it.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "1-r0".to_owned(),
            arch: "x86_64".to_owned(),
            info: String::new(),
            size: 4096,
            scripts: Vec::new(),
            entries: Vec::new(),
        }
    }

    pub(crate) fn version(self, version: &str) -> Self {
        Self { version: version.to_owned(), ..self }
    }

    pub(crate) fn arch(self, arch: &str) -> Self {
        Self { arch: arch.to_owned(), ..self }
    }

    /// The installed size that it states.
    pub(crate) fn size(self, size: u64) -> Self {
        Self { size, ..self }
    }

    /// A line of its description: `depend`, `provides`, `replaces`...
    pub(crate) fn says(mut self, key: &str, value: &str) -> Self {
        self.info.extend([key, " = ", value, "\n"]);
        self
    }

    pub(crate) fn has(mut self, entries: impl IntoIterator<Item = Said>) -> Self {
        self.entries.extend(entries);
        self
    }

    /// Another file of the control member.
    pub(crate) fn control(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.scripts.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// The package, signed with the tests' key.
    pub(crate) fn made(self) -> Made {
        self.made_of(&gzip(&tar(&self.entries)))
    }

    /// The package with `data` for its data member.
    pub(crate) fn made_of(&self, data: &[u8]) -> Made {
        self.signed(data, made::key())
    }

    /// The package with `data` for its data member, signed with `key`.
    pub(crate) fn signed(&self, data: &[u8], key: &SigningKey) -> Made {
        let control = gzip(&open_tar(&self.control_entries(&Sha256::of(data).to_hex())));
        let bytes = [key.signature_member(&control).unwrap(), control, data.to_vec()].concat();
        self.of_bytes(bytes)
    }

    /// The package, and nobody's signature.
    pub(crate) fn unsigned(&self) -> Made {
        let data = gzip(&tar(&self.entries));
        let control = gzip(&open_tar(&self.control_entries(&Sha256::of(&data).to_hex())));
        self.of_bytes([control, data].concat())
    }

    /// The control member alone, of a package without data.
    pub(crate) fn control_bytes(&self) -> Vec<u8> {
        let data = gzip(&tar(&[]));
        gzip(&open_tar(&self.control_entries(&Sha256::of(&data).to_hex())))
    }

    fn control_entries(&self, datahash: &str) -> Vec<Said> {
        let Self { name, version, arch, info, size, .. } = self;
        let info = format!(
            "pkgname = {name}\npkgver = {version}\narch = {arch}\nsize = {size}\nbuilddate = 1700000000\n\
             {info}datahash = {datahash}\n"
        );
        let mut entries = vec![Said::file(".PKGINFO", info).without_checksum()];
        let scripts = self.scripts.iter().map(|(name, text)| Said::program(name, text).without_checksum());
        entries.extend(scripts);
        entries
    }

    fn of_bytes(&self, bytes: Vec<u8>) -> Made {
        let indexed = IndexedPackage::of(PackageHead::parse(&bytes).unwrap(), bytes.len() as u64);
        let expected = Expected {
            name: self.name.clone(),
            version: self.version.clone(),
            arch: self.arch.clone(),
            identity: indexed.identity,
            size: indexed.size,
        };
        Made { bytes, expected, indexed }
    }
}

/// A package with one file, `/usr/share/NAME`.
pub(crate) fn plain(name: &str) -> Package {
    let path = format!("usr/share/{name}");
    Package::new(name).has([Said::dir("usr"), Said::dir("usr/share"), Said::file(&path, name)])
}

/// The stanza of `made` as an index has it.
pub(crate) fn stanza(made: &Made) -> String {
    apkcompose::apk::write_index::index_text(&mut [made.indexed.clone()]).unwrap()
}

/// An index file of this text, signed with the tests' key.
pub(crate) fn index_of(text: impl AsRef<[u8]>) -> Vec<u8> {
    index_of_tar(&tar(&[
        Said::file("DESCRIPTION", "test").without_checksum(),
        Said::file("APKINDEX", text).without_checksum(),
    ]))
}

/// An index file whose second member is this tar, signed with the tests' key.
pub(crate) fn index_of_tar(tar: &[u8]) -> Vec<u8> {
    let member = gzip(tar);
    [made::key().signature_member(&member).unwrap(), member].concat()
}

/// The name of a mirror's minirootfs.
pub(crate) const MINIROOTFS: &str = "alpine-minirootfs-3.19.9-x86_64.tar.gz";
/// Where it lies below the mirror.
pub(crate) const RELEASES: &str = "mirror/v3.19/releases/x86_64";

/// Writes a mirror of 3.19 into `dir`, in `mirror`: `base` as its minirootfs with all that states its digest,
/// and `main` with `packages`, signed with the tests' key.
pub(crate) fn mirror(dir: &Dir, base: &[u8], packages: &[&Made]) {
    let (sha256, sha512) = (Sha256::of(base), Sha512::of(base));
    dir.write(&format!("{RELEASES}/{MINIROOTFS}"), base);
    dir.write(&format!("{RELEASES}/{MINIROOTFS}.sha256"), format!("{sha256}  {MINIROOTFS}\n"));
    dir.write(&format!("{RELEASES}/{MINIROOTFS}.sha512"), format!("{sha512}  {MINIROOTFS}\n"));
    let list = format!(
        "---\n-\n  branch: v3.19\n  arch: x86_64\n  version: 3.19.9\n  flavor: alpine-minirootfs\n  \
         file: {MINIROOTFS}\n  size: {}\n  sha256: {sha256}\n  sha512: {sha512}\n",
        base.len()
    );
    dir.write(&format!("{RELEASES}/latest-releases.yaml"), list);
    made::repository(&dir.join("mirror/v3.19/main"), "v3.19.9-1-gabcdef", packages, made::key());
}

/// A root filesystem with an empty installed database and `more`.
pub(crate) fn rootfs(more: impl IntoIterator<Item = Said>) -> Vec<u8> {
    let mut entries = vec![
        Said::dir("./"),
        Said::dir("./etc/"),
        Said::file("./etc/passwd", "root:x:0:0:root:/root:/bin/sh\n").without_checksum(),
        Said::file("./etc/group", "root:x:0:root\n").without_checksum(),
    ];
    entries.extend(more.into_iter().map(Said::without_checksum));
    gzip(&tar(&entries))
}

/// The profile of an image over the made mirror.
pub(crate) const OVER_MIRROR: &str = "\
[alpine]
release = \"3.19\"
arch = [\"x86_64\"]
mirror = [\"./mirror\"]
repositories = [\"main\"]
mirror-keys = [\"test.rsa.pub\"]
";

/// Noise, which does not get smaller.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}
