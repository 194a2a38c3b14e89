//! The formats against the real apk and the real packages: what we write it accepts, and what Alpine wrote
//! we read as apk does.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use apkcompose::apk::data::expand;
use apkcompose::apk::index::Index;
use apkcompose::apk::keys::{Keyring, MessageDigests, PublicKey};
use apkcompose::apk::package::{Expected, PackageHead, ScriptKind, VerifiedPackage};
use apkcompose::apk::package_info::PackageInfo;
use apkcompose::apk::sign::{SigningAlgorithm, SigningKey};
use apkcompose::apk::signature;
use apkcompose::apk::write_index::{IndexNotes, IndexedPackage, index_text};
use apkcompose::apk::write_package::write_package;
use apkcompose::arch::Arch;
use apkcompose::archive::gzip::inflate_member;
use apkcompose::archive::table::TableKind;
use apkcompose::compose::author::{
    self, AuthorError, IndexRequest, KeyFile, PackageRequest, PackageTrust, WrittenPackage,
};
use apkcompose::content::{OpenFile, ReadAt as _};
use apkcompose::kind::{Explain as _, Kind};

use crate::made;
use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::listing::{Kind as EntryKind, Listing};
use crate::support::{files, installed, need, reference};

/// The repositories of the real mirror and their architectures.
const REPOSITORIES: [(&str, Arch); 5] = [
    ("v3.19/main", Arch::X86_64),
    ("v3.19/community", Arch::X86_64),
    ("iso-3.19.1", Arch::X86_64),
    ("php7", Arch::X86_64),
    ("rpi-3.13.4", Arch::Aarch64),
];

/// A directory in which packages are made.
struct Workshop {
    dir: Dir,
    key: KeyFile,
}

impl Workshop {
    fn new() -> Self {
        let dir = Dir::new();
        files::write(&dir.join("me@example.org-1.rsa"), made::private_key(3).as_bytes());
        let key = KeyFile {
            path: dir.join("me@example.org-1.rsa"),
            public_name: None,
            algorithm: SigningAlgorithm::Rsa,
        };
        let public = key.read().unwrap().public_key().clone();
        files::write(&dir.join(public.name()), public.pem());
        Self { dir, key }
    }

    /// The public key.
    fn public(&self) -> PathBuf {
        self.dir.join("me@example.org-1.rsa.pub")
    }

    fn keyring(&self) -> Keyring {
        Keyring::of([self.key.read().unwrap().public_key().clone()])
    }

    /// The request for a package `name` without files, in the repository's directory for `x86_64`.
    fn request(&self, name: &str, more: &str) -> PackageRequest {
        let text = format!(
            "pkgname = {name}\npkgver = 1.0-r0\npkgdesc = what {name} is\nurl = https://example.org\n\
             arch = noarch\nlicense = MIT\nbuilddate = 1700000000\n{more}"
        );
        let info = self.dir.join(format!("{name}.info"));
        files::write(&info, text.as_bytes());
        files::create_dir(&self.dir.join("repository/x86_64"));
        PackageRequest {
            info,
            files: None,
            scripts: Vec::new(),
            owners: Vec::new(),
            time: None,
            key: Some(self.key.clone()),
            output: self.dir.join("repository/x86_64"),
        }
    }

    /// A package with one of everything a directory can hold.
    fn full(&self) -> WrittenPackage {
        let tree = self.dir.join("tree");
        if !tree.is_dir() {
            self.fill(&tree);
        }
        self.packed(tree)
    }

    fn fill(&self, tree: &Path) {
        files::create_dir(&tree.join("usr/bin"));
        files::create_dir(&tree.join("var/lib/full"));
        fs::set_permissions(tree.join("var/lib/full"), fs::Permissions::from_mode(0o2750)).unwrap();
        files::write(&tree.join("usr/bin/full"), b"#!/bin/sh\necho full\n");
        fs::set_permissions(tree.join("usr/bin/full"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::hard_link(tree.join("usr/bin/full"), tree.join("usr/bin/hard")).unwrap();
        symlink("full", tree.join("usr/bin/soft")).unwrap();
        let long = format!("{}/{}", "l".repeat(130), "n".repeat(140));
        files::create_dir(tree.join("usr").join(&long).parent().unwrap());
        files::write(&tree.join("usr").join(&long), b"a long path");
        files::write(&tree.join("var/lib/full/state"), b"");
        files::write(&self.dir.join("post"), b"#!/bin/sh\necho done > /var/lib/full/script-ran\n");
    }

    fn packed(&self, tree: PathBuf) -> WrittenPackage {
        let mut request = self.request("full", "depend = other>=1\nprovides = cmd:full=1.0-r0\n");
        request.files = Some(tree);
        request.scripts = vec![(ScriptKind::PostInstall, self.dir.join("post"))];
        request.owners = vec!["/var/lib/full=chrony/190:adm/77".parse().unwrap()];
        author::package(&request).unwrap()
    }

    /// The index of all packages made so far.
    fn index(&self) -> Result<author::WrittenIndex, AuthorError> {
        let directory = self.dir.join("repository/x86_64");
        author::index(&IndexRequest {
            packages: package_files(&directory),
            trust: PackageTrust::SignedBy(self.keyring()),
            notes: IndexNotes { description: Some("a test".to_owned()), time: None },
            arch: Some(Arch::X86_64),
            key: Some(self.key.clone()),
            output: directory.join("APKINDEX.tar.gz"),
        })
    }
}

#[test]
fn apk_verifies_our_packages_whatever_the_algorithm_and_no_damaged_one() {
    let Some(alpine) = need::apk("apk_verifies_our_packages_whatever_the_algorithm_and_no_damaged_one")
    else {
        return;
    };
    let mut workshop = Workshop::new();
    for algorithm in SigningAlgorithm::ALL {
        workshop.key.algorithm = algorithm;
        let package = workshop.full();
        let verified = reference::verify_package(&alpine, &package.path, &workshop.public());
        assert_eq!(verified, Ok(()), "{algorithm}");
    }

    let path = workshop.full().path;
    let mut damaged = files::read(&path);
    let last = damaged.len() - 20;
    damaged[last] ^= 1;
    files::write(&path, &damaged);
    assert!(reference::verify_package(&alpine, &path, &workshop.public()).is_err());
}

#[test]
fn apk_installs_our_packages_from_our_signed_repository() {
    let Some(alpine) = need::apk("apk_installs_our_packages_from_our_signed_repository") else { return };
    let workshop = Workshop::new();
    let written = workshop.full();
    author::package(&workshop.request("other", "")).unwrap();
    workshop.index().unwrap();

    let tree = reference::minirootfs(&alpine)
        .repository(workshop.dir.join("repository"))
        .key(workshop.public())
        .add(&["cmd:full"]);

    assert_eq!(
        reference::steps(&tree.apk_output),
        ["Installing other (1.0-r0)", "Installing full (1.0-r0)"],
        "{}",
        tree.apk_output
    );
    let full = tree.listing.entry("usr/bin/full");
    assert_eq!((full.mode, full.text()), (0o4755, "#!/bin/sh\necho full\n"));
    assert_eq!(full.hard_links, tree.listing.entry("usr/bin/hard").hard_links);
    assert!(full.hard_links.is_some());
    assert_eq!(tree.listing.entry("usr/bin/soft").link.as_deref(), Some("full"));
    let long = format!("usr/{}/{}", "l".repeat(130), "n".repeat(140));
    assert_eq!(tree.listing.text(&long), "a long path");
    // The minirootfs has no user chrony, so the number counts; it has a group adm, so its number does not.
    let state = tree.listing.entry("var/lib/full");
    assert_eq!((state.kind, state.mode, state.uid, state.gid), (EntryKind::Directory, 0o2750, 190, 4));
    assert_eq!(tree.listing.entry("var/lib/full/state").modified, 1_700_000_000);
    assert_eq!(tree.listing.text("var/lib/full/script-ran"), "done\n");
    let database = installed::parse(tree.installed_text());
    assert_eq!(database["full"].fields[&'C'], written.identity.to_string());
    assert!(database["full"].files["usr/bin/soft"].checksum.is_some());
}

#[test]
fn our_stanzas_are_those_of_apk_index_and_of_the_official_indexes() {
    let test = "our_stanzas_are_those_of_apk_index_and_of_the_official_indexes";
    let Some(alpine) = need::apk(test) else { return };
    for (repository, arch) in REPOSITORIES {
        let directory = alpine.repository(repository).join(arch.as_str());
        let mut packages: Vec<IndexedPackage> =
            package_files(&directory).iter().map(|path| indexed(path, arch)).collect();

        let ours = index_text(&mut packages).unwrap();

        let theirs = reference::index_of(&alpine, &directory, arch.as_str());
        // abuild of 2017 wrote `commit = ` without a value, which apk 2.14 lists as an empty field.
        assert!(ours == theirs.replace("\nc:\n", "\n"), "{repository}: {}", first_difference(&ours, &theirs));
        let (ours, official) = (stanzas(&ours), stanzas(&published(&directory)));
        assert!(ours.len() >= 8, "{repository}");
        for (label, stanza) in &ours {
            assert_eq!(stanza, &official[label], "{repository}");
        }
    }
}

#[test]
fn every_real_package_holds_against_its_index_and_its_key() {
    let Some(alpine) = need::alpine("every_real_package_holds_against_its_index_and_its_key") else { return };
    for (repository, arch) in REPOSITORIES {
        let directory = alpine.repository(repository).join(arch.as_str());
        let index = Index::parse(repository, published(&directory).into_bytes()).unwrap();
        let keyring = match repository {
            "php7" => Keyring::of([php7_key(&alpine)]),
            _ => Keyring::alpine(arch),
        };
        let labels: BTreeMap<String, _> =
            index.packages().map(|package| (package.to_string(), package)).collect();
        for path in package_files(&directory) {
            let label = path.file_stem().unwrap().to_string_lossy().into_owned();
            let expected = Expected::of(labels[&label]).unwrap();
            let file = OpenFile::new(fs::File::open(&path).unwrap(), path.clone()).unwrap();

            let verified = VerifiedPackage::check(&file, &expected, &keyring).unwrap();
            let table = expand(&verified, &file, std::io::sink()).unwrap();

            let has_bytes = table
                .entries()
                .any(|entry| matches!(&entry.kind, TableKind::File(place) if place.length > 0));
            assert!(!has_bytes || verified.info().installed_size > 0, "{label}");
        }
    }
}

#[test]
fn a_directory_gives_the_same_package_whoever_touched_it_last() {
    let workshop = Workshop::new();
    let first = files::read(&workshop.full().path);
    let tree = workshop.dir.join("tree");
    for name in ["usr/bin/full", "usr/bin", "var/lib/full/state"] {
        fs::File::open(tree.join(name)).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    }

    let second = files::read(&workshop.full().path);

    assert!(first == second);
}

#[test]
fn a_description_that_would_be_misread_is_refused() {
    let workshop = Workshop::new();
    let refused = |more: &str| author::package(&workshop.request("a", more)).unwrap_err();

    let typo = refused("depends = b\n");
    assert_eq!(typo.kind(), Kind::Profile);
    assert!(typo.to_string().starts_with("line 8 of "), "{typo}");
    assert!(typo.to_string().ends_with("a.info: `depends` is not a key of .PKGINFO"), "{typo}");
    assert_eq!(typo.hint().as_deref(), Some("did you mean depend?"));
    assert!(refused("depend = x=\n").to_string().starts_with("a-1.0-r0: depend is malformed"));
    let mut request = workshop.request("a", "");
    request.owners = vec!["/nowhere=1:1".parse().unwrap()];
    request.files = Some(workshop.dir.join("repository"));
    assert!(matches!(author::package(&request), Err(AuthorError::NoOwned { .. })));
    for text in ["x=1:1", "/x=1", "/x=a b:c", "/x=a/x:c", "/../x=1:1"] {
        assert!(matches!(text.parse::<author::OwnerRule>(), Err(AuthorError::Owner(_))), "{text}");
    }
    assert_eq!(files::names(&workshop.dir.join("repository/x86_64")), [""; 0]);
}

#[test]
fn an_index_lists_no_package_that_apk_would_not_accept_from_it() {
    let workshop = Workshop::new();
    let good = workshop.full();
    assert_eq!(workshop.index().unwrap().packages, ["full-1.0-r0"]);
    let bytes = files::read(&good.path);
    let index = files::read(&good.path.with_file_name("APKINDEX.tar.gz"));

    let renamed = good.path.with_file_name("other-1.0-r0.apk");
    fs::rename(&good.path, &renamed).unwrap();
    assert!(matches!(workshop.index(), Err(AuthorError::FileName { .. })));
    fs::rename(&renamed, &good.path).unwrap();

    let mut damaged = bytes.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    files::write(&good.path, &damaged);
    assert_eq!(workshop.index().unwrap_err().kind(), Kind::Integrity);

    let stranger = SigningKey::generate("stranger.rsa.pub").unwrap();
    let info = PackageInfo {
        name: "full".to_owned(),
        version: "1.0-r0".to_owned(),
        arch: "x86_64".to_owned(),
        ..PackageInfo::default()
    };
    let foreign = write_package(&info, &BTreeMap::new(), &mut [], Some(&stranger)).unwrap();
    files::write(&good.path, &foreign);
    assert_eq!(workshop.index().unwrap_err().kind(), Kind::Integrity);

    let info = PackageInfo { arch: "aarch64".to_owned(), ..info };
    let key = workshop.key.read().unwrap();
    files::write(&good.path, &write_package(&info, &BTreeMap::new(), &mut [], Some(&key)).unwrap());
    assert!(matches!(workshop.index(), Err(AuthorError::Arch { .. })));

    assert!(
        files::read(&good.path.with_file_name("APKINDEX.tar.gz")) == index,
        "a refused index left traces"
    );
}

/// The key of the repository `php7`.
fn php7_key(alpine: &Alpine) -> PublicKey {
    PublicKey::parse("test-php7.rsa.pub", &files::read(&alpine.php7_key())).unwrap()
}

/// The package files of a directory.
fn package_files(directory: &Path) -> Vec<PathBuf> {
    let all = files::names(directory).into_iter().map(|name| directory.join(name));
    all.filter(|path| path.extension().is_some_and(|extension| extension == "apk")).collect()
}

/// The package at `path` as an index for `arch` lists it.
fn indexed(path: &Path, arch: Arch) -> IndexedPackage {
    let file = OpenFile::new(fs::File::open(path).unwrap(), path.to_owned()).unwrap();
    let mut package = IndexedPackage::of(PackageHead::read(&file).unwrap(), file.length());
    arch.as_str().clone_into(&mut package.info.arch);
    package
}

/// The text of the index that is published in `directory`.
fn published(directory: &Path) -> String {
    let file = files::read(&directory.join("APKINDEX.tar.gz"));
    Listing::of_tar(flate2::read::MultiGzDecoder::new(file.as_slice())).text("APKINDEX").to_owned()
}

/// The stanzas of an index by package, empty `c:` fields left out.
fn stanzas(index: &str) -> BTreeMap<String, String> {
    let field = |stanza: &str, letter: &str| {
        stanza.lines().find_map(|line| line.strip_prefix(letter)).unwrap_or_default().to_owned()
    };
    index
        .split("\n\n")
        .filter(|stanza| !stanza.trim().is_empty())
        .map(|stanza| {
            let label = format!("{}-{}", field(stanza, "P:"), field(stanza, "V:"));
            (label, stanza.trim().replace("\nc:\n", "\n"))
        })
        .collect()
}

fn first_difference(a: &str, b: &str) -> String {
    let differs = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    differs.map_or_else(|| "their lengths differ".to_owned(), |(a, b)| format!("ours: {a}\ntheirs: {b}"))
}

#[test]
fn every_flipped_bit_of_a_real_signature_is_refused_but_in_the_free_bytes_of_the_gzip_header() {
    let test = "every_flipped_bit_of_a_real_signature_is_refused_but_in_the_free_bytes_of_the_gzip_header";
    let Some(alpine) = need::alpine(test) else { return };
    // A small package each of 2024 (4096-bit key), of 2021 and of another signer, and an index.
    for (repository, arch, name) in [
        ("v3.19/main", Arch::X86_64, "libc-utils-0.7.2-r5.apk"),
        ("rpi-3.13.4", Arch::Aarch64, "alpine-base-3.13.4-r0.apk"),
        ("php7", Arch::X86_64, "php7-json-7.1.2-r0.apk"),
        ("v3.19/main", Arch::X86_64, "APKINDEX.tar.gz"),
    ] {
        let file = files::read(&alpine.repository(repository).join(arch.as_str()).join(name));
        let keyring = match repository {
            "php7" => Keyring::of([php7_key(&alpine)]),
            _ => Keyring::alpine(arch),
        };
        let (_, signed) = signature::split(&file).unwrap();
        let length = file.len() - signed.len();
        // What the signature covers: of a package the control member, of an index all that follows.
        let mut behind = signed;
        inflate_member(&mut behind, 64 << 20).unwrap();
        let message = MessageDigests::of(&signed[..signed.len() - behind.len()]);
        let mut changed = file[..length + signed.len().min(2000)].to_vec();
        let rest = changed.len() - length;
        let accepts = |changed: &[u8]| {
            signature::split(changed).is_ok_and(|(signatures, behind)| {
                behind.len() == rest && keyring.verify(&signatures, &message).is_ok()
            })
        };
        assert!(accepts(&changed), "{name}");
        let mut accepted = Vec::new();
        for at in 0..length {
            for bit in 0..8 {
                changed[at] ^= 1 << bit;
                if accepts(&changed) {
                    accepted.push((at, bit));
                }
                changed[at] ^= 1 << bit;
            }
        }

        let free: Vec<_> = (4..10).flat_map(|at| (0..8).map(move |bit| (at, bit))).collect();
        assert_eq!(accepted, free, "{name}");
    }
}
