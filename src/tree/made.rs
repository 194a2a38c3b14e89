//! Packages and layers made for the tests of this floor, and a tree to place the former in.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::accounts::AccountFile;
use super::place::{Incoming, Installation, PlaceError, Placed};
use super::{Inode, InodeKind, Mode, Origin, Owner, Tree};
use crate::apk::data::expand;
use crate::apk::installed::InstalledPackage;
use crate::apk::keys::Keyring;
use crate::apk::package::{Expected, PackageHead, Scripts, VerifiedPackage};
use crate::apk::package_info::PackageInfo;
use crate::apk::sign::SigningKey;
use crate::apk::write_package::{PackageFile, PackageFileKind, PackageOwner, write_package};
use crate::archive::table::{Place, Table, TableEntry, TableKind, Whiteout};
use crate::content::{Content, Memory, ReadAt};
use crate::digest::{Sha1, Sha256};
use crate::path::TreePath;

/// A path, with or without its slash.
pub(super) fn path(text: &str) -> TreePath {
    TreePath::relative(text.trim_start_matches('/')).unwrap()
}

/// A package in the making: version 1-r0, for `x86_64`, its own origin.
#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) info: PackageInfo,
    pub(super) scripts: Scripts,
    files: BTreeMap<TreePath, PackageFile>,
}

pub(super) fn package(name: &str) -> Package {
    let info = PackageInfo {
        name: name.to_owned(),
        version: "1-r0".to_owned(),
        arch: "x86_64".to_owned(),
        origin: name.to_owned(),
        build_time: Some(1_700_000_000),
        ..PackageInfo::default()
    };
    Package { info, scripts: Scripts::new(), files: BTreeMap::new() }
}

impl Package {
    /// Changes what it says of itself.
    pub(super) fn says(mut self, change: impl FnOnce(&mut PackageInfo)) -> Self {
        change(&mut self.info);
        self
    }

    /// Adds an entry, and directories above it with mode 0755.
    pub(super) fn entry(mut self, text: &str, kind: PackageFileKind, mode: u32) -> Self {
        let new = |path: &TreePath, kind, mode| PackageFile {
            path: path.clone(),
            kind,
            mode,
            owner: PackageOwner::root(),
            mtime: 1_600_000_000,
            xattrs: BTreeMap::new(),
        };
        for above in path(text).ancestors().filter(|above| !above.is_root()) {
            let directory = new(&above, PackageFileKind::Directory, 0o755);
            self.files.entry(above).or_insert(directory);
        }
        self.files.insert(path(text), new(&path(text), kind, mode));
        self
    }

    pub(super) fn file(self, path: &str, text: &str) -> Self {
        self.entry(path, PackageFileKind::File(Content::of_bytes(text.as_bytes())), 0o644)
    }

    pub(super) fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, PackageFileKind::Directory, mode)
    }

    pub(super) fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, PackageFileKind::Symlink(target.into()), 0o777)
    }

    /// Changes the entry at `text`.
    pub(super) fn with(mut self, text: &str, change: impl FnOnce(&mut PackageFile)) -> Self {
        change(self.files.get_mut(&path(text)).unwrap());
        self
    }

    /// Places it, written, signed, verified and expanded as every package is.
    pub(super) fn place(&self, installation: &mut Installation) -> Result<Placed, PlaceError> {
        self.place_while_leaving(installation, &[])
    }

    /// Places it while the packages `leaving` are about to go.
    pub(super) fn place_while_leaving(
        &self,
        installation: &mut Installation,
        leaving: &[&str],
    ) -> Result<Placed, PlaceError> {
        static KEY: OnceLock<SigningKey> = OnceLock::new();
        let key = KEY.get_or_init(|| SigningKey::generate("tree.rsa.pub").unwrap());
        let mut files: Vec<PackageFile> = self.files.values().cloned().collect();
        let bytes = write_package(&self.info, &self.scripts, &mut files, Some(key)).unwrap();
        let identity = PackageHead::parse(&bytes).unwrap().identity();
        let expected = Expected {
            name: self.info.name.clone(),
            version: self.info.version.clone(),
            arch: self.info.arch.clone(),
            identity,
            size: bytes.len() as u64,
        };
        let keyring = Keyring::of([key.public_key().clone()]);
        let file = Memory(bytes.into());
        let package = VerifiedPackage::check(&file, &expected, &keyring).unwrap();
        let mut tar = Vec::new();
        let table = expand(&package, &file, &mut tar).unwrap();
        let incoming = Incoming {
            package: &package,
            table: &table,
            data: Arc::new(Memory(tar.into())),
            entry: self.indexed(identity.to_string()),
        };
        installation.place(&incoming, &leaving.iter().copied().collect())
    }

    fn indexed(&self, identity: String) -> InstalledPackage {
        let PackageInfo { name, version, origin, depends, build_time, .. } = &self.info;
        let mut fields =
            vec![('C', identity), ('P', name.clone()), ('V', version.clone()), ('o', origin.clone())];
        fields.extend(build_time.map(|time| ('t', time.to_string())));
        fields.push(('D', depends.join(" ")));
        fields.retain(|(_, value)| !value.is_empty());
        InstalledPackage { fields, ..InstalledPackage::default() }
    }
}

/// A layer, or a whole archive, in the making: its entries, each 0750 and of 5:6, and the bytes of its files.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) entries: Vec<TableEntry>,
    pub(super) whiteouts: Vec<Whiteout>,
    data: Vec<u8>,
}

impl Layer {
    pub(super) fn entry(mut self, text: &str, kind: TableKind) -> Self {
        self.entries.push(TableEntry {
            path: path(text),
            kind,
            mode: 0o750,
            uid: 5,
            gid: 6,
            user: "root".into(),
            group: "root".into(),
            mtime: 1,
            xattrs: BTreeMap::new(),
        });
        self
    }

    pub(super) fn dir(self, path: &str) -> Self {
        self.entry(path, TableKind::Directory)
    }

    pub(super) fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        let place = Place {
            offset: self.data.len() as u64,
            length: content.len() as u64,
            sha256: Sha256::of(content),
            sha1: Sha1::of(content),
        };
        self.data.extend_from_slice(content);
        self.entry(path, TableKind::File(place))
    }

    pub(super) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, TableKind::Symlink(target.into()))
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(name, TableKind::HardLink(path(target)))
    }

    /// Its table and its bytes.
    pub(super) fn made(self) -> (Table, Arc<dyn ReadAt>) {
        let mut table: Table = self.entries.into_iter().collect();
        table.whiteouts = self.whiteouts;
        (table, Arc::new(Memory(self.data.into())))
    }
}

/// The installation of `packages`, placed in order.
pub(super) fn installation(packages: &[Package]) -> Installation {
    let mut installation = Installation::default();
    for package in packages {
        package.place(&mut installation).unwrap();
    }
    installation
}

/// What stands at `text`, which must be there.
pub(super) fn at<'a>(tree: &'a Tree, text: &str) -> &'a Inode {
    tree.get(&path(text)).unwrap_or_else(|| panic!("{text} is not in the tree"))
}

/// The text of the file at `path`, or `-> ` and the target of the link.
pub(super) fn text(tree: &Tree, path: &str) -> String {
    match &at(tree, path).kind {
        InodeKind::File(content) => String::from_utf8(content.to_vec().unwrap()).unwrap(),
        InodeKind::Symlink(target) => format!("-> {target}"),
        other => panic!("{path} is {other:?}"),
    }
}

/// Whether there is something at `text`.
pub(super) fn has(tree: &Tree, text: &str) -> bool {
    tree.get(&path(text)).is_some()
}

/// Users of a small Alpine.
pub(super) const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/ash\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
/// Groups of a small Alpine.
pub(super) const GROUP: &str = "root:x:0:root\naudio:x:18:\nshadow:x:42:\nusers:x:100:games\nping:x:999:\nnogroup:x:65533:\nnobody:x:65534:\n";
/// Its passwords.
pub(super) const SHADOW: &str = "root:::0:::::\nnobody:!::0:::::\n";

/// A small Alpine, whose programs are all BusyBox.
pub(super) fn alpine() -> Tree {
    let mut tree = Tree::new();
    let mut insert = |text: &str, kind, mode| {
        tree.make_parents(&path(text), &Origin::Base).unwrap();
        tree.insert(path(text), Inode::new(kind, Mode::new(mode), Origin::Base)).unwrap();
    };
    let content = || InodeKind::File(Content::of_bytes(*b"\x7fELF"));
    insert("bin/busybox", content(), 0o755);
    insert("lib/ld-musl-x86_64.so.1", content(), 0o755);
    for name in ["bin/sh", "usr/sbin/addgroup", "usr/sbin/adduser"] {
        insert(name, InodeKind::Symlink("/bin/busybox".into()), 0o777);
    }
    for name in ["home", "var/lib", "dev"] {
        insert(name, InodeKind::Directory, 0o755);
    }
    AccountFile::Passwd.write(&mut tree, PASSWD).unwrap();
    AccountFile::Group.write(&mut tree, GROUP).unwrap();
    AccountFile::Shadow.write(&mut tree, SHADOW).unwrap();
    tree.get_mut(&path("etc/shadow")).unwrap().owner = Owner { uid: 0, gid: 42 };
    tree
}
