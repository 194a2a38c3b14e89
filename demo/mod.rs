//! The repository of the `demo` profile, from its sources: this directory.
//!
//! A miniature of what Alpine's packages do: a base layout with accounts, a program for two architectures
//! that depends on a name another package provides, a package that `install_if` brings, one without files
//! (`I:0`), a hard link, symbolic links, a named owner whose numbers differ from the package's, modes that
//! are not the usual ones. No scripts: the demo needs no sandbox.
//!
//! What is shipped is built by `examples/build_demo.rs` and lies in `profiles/demo/`; a test builds it again
//! and compares. Every change here needs a run of that example.

mod program;

use std::collections::BTreeMap;
use std::error::Error;

use apkcompose::apk::package::{PackageHead, Scripts};
use apkcompose::apk::package_info::PackageInfo;
use apkcompose::apk::sign::SigningKey;
use apkcompose::apk::write_index::{IndexNotes, IndexedPackage, write_index};
use apkcompose::apk::write_package::{PackageFile, PackageFileKind, PackageOwner, write_package};
use apkcompose::arch::Arch;
use apkcompose::content::Content;
use apkcompose::path::TreePath;

pub(crate) use program::program;

/// The architectures the repository is for.
pub(crate) const ARCHITECTURES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];
/// The file name of the public key.
pub(crate) const KEY: &str = "demo.rsa.pub";
/// The name of the index.
pub(crate) const INDEX: &str = "APKINDEX.tar.gz";
/// What the program shows, in this order, as far as it is there. The last is the profile's.
pub(crate) const SHOWN: [&str; 3] = [
    "/usr/share/apkcompose-demo/10-message",
    "/usr/share/apkcompose-demo/20-extra",
    "/usr/share/apkcompose-demo/30-profile",
];

/// The version of every package.
const VERSION: &str = "1.0-r0";
/// When everything was built: the first second of 2025.
const TIME: i64 = 1_735_689_600;

/// A package's sources.
struct Package {
    info: PackageInfo,
    files: Vec<PackageFile>,
}

/// The files of the repository's directory for `arch`, by name; signed if there is a key.
pub(crate) fn repository(
    arch: Arch,
    key: Option<&SigningKey>,
) -> Result<BTreeMap<String, Vec<u8>>, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    let mut listed = Vec::new();
    for mut package in packages(arch)? {
        let bytes = write_package(&package.info, &Scripts::new(), &mut package.files, key)?;
        let mut indexed = IndexedPackage::of(PackageHead::parse(&bytes)?, bytes.len() as u64);
        arch.as_str().clone_into(&mut indexed.info.arch);
        files.insert(format!("{}.apk", indexed.label()), bytes);
        listed.push(indexed);
    }
    let notes = IndexNotes { description: Some("apkcompose demo 1.0".to_owned()), time: Some(TIME) };
    files.insert(INDEX.to_owned(), write_index(&mut listed, &notes, key)?);
    Ok(files)
}

fn packages(arch: Arch) -> Result<Vec<Package>, Box<dyn Error>> {
    let hello = program(arch, &SHOWN).ok_or_else(|| format!("there is no demo program for {arch}"))?;
    Ok(vec![base_layout()?, message()?, self::hello(arch, &hello)?, extra()?, docs()])
}

fn base_layout() -> Result<Package, Box<dyn Error>> {
    let text = |path, text: &'static str| file(path, text.as_bytes());
    let mut shadow = text("etc/shadow", include_str!("files/shadow"))?;
    shadow.mode = 0o640;
    // The group is there only because this package's own etc/group says so.
    shadow.owner = PackageOwner { user: "root".into(), group: "shadow".into(), uid: 0, gid: 42 };
    Ok(Package {
        info: info("demo-baselayout", "The directories and accounts of the demo"),
        files: vec![
            directory("dev", 0o755)?,
            directory("etc", 0o755)?,
            text("etc/group", include_str!("files/group"))?,
            symlink("etc/os-release", "../usr/lib/os-release")?,
            text("etc/passwd", include_str!("files/passwd"))?,
            shadow,
            directory("proc", 0o555)?,
            directory("root", 0o700)?,
            directory("tmp", 0o1777)?,
            directory("usr", 0o755)?,
            directory("usr/lib", 0o755)?,
            text("usr/lib/os-release", include_str!("files/os-release"))?,
            directory("var", 0o755)?,
            directory("var/lib", 0o755)?,
        ],
    })
}

fn message() -> Result<Package, Box<dyn Error>> {
    let mut info = info("demo-message", "The text that demo-hello shows");
    info.depends = words("demo-baselayout");
    info.provides = words("demo:message=1.0");
    Ok(Package {
        info,
        files: vec![
            directory("usr", 0o755)?,
            directory("usr/share", 0o755)?,
            directory("usr/share/apkcompose-demo", 0o755)?,
            file("usr/share/apkcompose-demo/10-message", include_bytes!("files/message"))?,
        ],
    })
}

fn hello(arch: Arch, program: &[u8]) -> Result<Package, Box<dyn Error>> {
    let mut info = info("demo-hello", "A program that shows what the demo image is");
    arch.as_str().clone_into(&mut info.arch);
    info.depends = words("demo-baselayout demo:message>=1");
    info.provides = words("cmd:hello=1.0-r0 cmd:hi=1.0-r0");
    let mut hello = file("usr/bin/hello", program)?;
    hello.mode = 0o755;
    let mut hi = entry("usr/bin/hi", PackageFileKind::HardLink(hello.path.clone()), 0o755)?;
    hi.mode = hello.mode;
    let mut home = directory("var/lib/demo-hello", 0o750)?;
    // Not the numbers of the base layout's user and group: what counts is the names.
    home.owner = PackageOwner { user: "demo".into(), group: "demo".into(), uid: 100, gid: 101 };
    Ok(Package {
        info,
        files: vec![
            directory("usr", 0o755)?,
            directory("usr/bin", 0o755)?,
            symlink("usr/bin/hallo", "hello")?,
            hello,
            hi,
            directory("var", 0o755)?,
            directory("var/lib", 0o755)?,
            home,
        ],
    })
}

fn extra() -> Result<Package, Box<dyn Error>> {
    let mut info = info("demo-hello-doc", "What demo-hello shows to those who want documentation");
    info.install_if = words("demo-hello=1.0-r0 demo-docs");
    Ok(Package {
        info,
        files: vec![
            directory("usr", 0o755)?,
            directory("usr/share", 0o755)?,
            directory("usr/share/apkcompose-demo", 0o755)?,
            file("usr/share/apkcompose-demo/20-extra", include_bytes!("files/extra"))?,
        ],
    })
}

fn docs() -> Package {
    Package { info: info("demo-docs", "Asks for documentation and has no files"), files: Vec::new() }
}

fn info(name: &str, description: &str) -> PackageInfo {
    PackageInfo {
        name: name.to_owned(),
        version: VERSION.to_owned(),
        arch: "noarch".to_owned(),
        description: description.to_owned(),
        license: "MIT OR Apache-2.0".to_owned(),
        origin: "apkcompose-demo".to_owned(),
        build_time: Some(TIME),
        ..PackageInfo::default()
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn entry(path: &str, kind: PackageFileKind, mode: u32) -> Result<PackageFile, Box<dyn Error>> {
    Ok(PackageFile {
        path: TreePath::relative(path)?,
        kind,
        mode,
        owner: PackageOwner::root(),
        mtime: TIME,
        xattrs: BTreeMap::new(),
    })
}

fn directory(path: &str, mode: u32) -> Result<PackageFile, Box<dyn Error>> {
    entry(path, PackageFileKind::Directory, mode)
}

fn file(path: &str, bytes: &[u8]) -> Result<PackageFile, Box<dyn Error>> {
    entry(path, PackageFileKind::File(Content::of_bytes(bytes)), 0o644)
}

fn symlink(path: &str, target: &str) -> Result<PackageFile, Box<dyn Error>> {
    entry(path, PackageFileKind::Symlink(target.into()), 0o777)
}
