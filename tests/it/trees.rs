//! Trees against the real apk's, entry by entry, and installed databases field by field.
//!
//! The same packages are installed by apkcompose and by the apk 2.14 of the minirootfs, from real Alpine
//! data. What may differ is named, and a name that covers nothing fails too. Times of files are compared as well: the
//! epoch of these builds is later than every file.

/// What goes when a package is removed or gives way to another version.
mod removal;
/// Rules of placing and upgrading, on small made packages.
mod rules;
/// Scripts and triggers that run.
mod scripts;
/// What those packages are made with.
pub(crate) mod workshop;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::support::command::{Dir, Outcome, TestCommand};
use crate::support::data::Alpine;
use crate::support::exceptions::{
    BELOW_AN_ABSOLUTE_LINK, CACHE, DEVICES, EXEC, GENERATED_TIMES, INSTALLED, LOCK, PROC_MODE, REPOSITORIES,
    REPOSITORY_KEYS, SCRIPTS_ARCHIVE,
};
use crate::support::listing::{Exception, Kind, Listing, diff};
use crate::support::reference::{self, Reference, ReferenceTree};
use crate::support::{installed, need};

/// No difference.
const NONE: [String; 0] = [];
/// A second later than the time of any file that these builds see.
const LATE: &str = "1790000000";
/// `ifupdown-ng` excludes the first, which the second needs.
pub(crate) const NOT_WITH_THE_OTHERS: [&str; 2] = ["vlan", "network-extras"];

/// What differs from a tree made from nothing.
const FROM_SCRATCH: [Exception; 7] =
    [DEVICES, PROC_MODE, LOCK, CACHE, REPOSITORIES, SCRIPTS_ARCHIVE, GENERATED_TIMES];
/// What differs from a tree made over a base.
const OVER_A_BASE: [Exception; 3] = [REPOSITORIES, SCRIPTS_ARCHIVE, GENERATED_TIMES];

/// A profile in the making, and its build by apkcompose.
struct Ours {
    dir: Dir,
    profile: String,
    policy: &'static str,
}

/// What apkcompose made.
struct OurTree {
    listing: Listing,
    outcome: Outcome,
}

impl Ours {
    /// A profile with nothing but `alpine` in its table of that name, and `packages`.
    fn new<'a>(alpine: &str, packages: impl IntoIterator<Item = &'a str>) -> Self {
        let packages: Vec<&str> = packages.into_iter().collect();
        let profile =
            format!("[alpine]\n{alpine}\n[packages]\nruntime = {packages:?}\n\n[image]\nlock-root = false\n");
        Self { dir: Dir::new(), profile, policy: "skip" }
    }

    /// Packages of the repository `path` alone, for `arch`.
    fn scratch<'a>(
        alpine: &Alpine,
        path: &str,
        arch: &str,
        packages: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let repository = alpine.repository(path);
        let table =
            format!("base = \"scratch\"\narch = [\"{arch}\"]\nrepositories = ['{}']", repository.display());
        Self::new(&table, packages)
    }

    /// Packages over the minirootfs, with `more` in the table `alpine`.
    fn minirootfs<'a>(alpine: &Alpine, more: &str, packages: impl IntoIterator<Item = &'a str>) -> Self {
        let mirror = alpine.mirror();
        let table =
            format!("release = \"3.19\"\narch = [\"x86_64\"]\nmirror = ['{}']\n{more}", mirror.display());
        Self::new(&table, packages)
    }

    /// With lines at the end, of the table `image` or of others.
    fn with(mut self, lines: &str) -> Self {
        self.profile.push_str(lines);
        self
    }

    /// Without packages that the base's world has.
    fn without(mut self, names: &[&str]) -> Self {
        self.profile = self.profile.replace("[packages]\n", &format!("[packages]\nremove = {names:?}\n"));
        self
    }

    /// With scripts run, none of which may fail.
    fn with_scripts(mut self) -> Self {
        self.policy = "auto";
        self
    }

    /// With scripts run, which may fail.
    fn with_scripts_that_may_fail(mut self) -> Self {
        self.policy = "warn";
        self
    }

    fn run(&self) -> Outcome {
        self.command().run()
    }

    fn command(&self) -> TestCommand<'_> {
        self.dir.write("p.toml", &self.profile);
        self.dir
            .command()
            .args(["--profile", "p.toml", "--output", "type=tar,dest=tree.tar", "--epoch", LATE])
            .args(["--scripts", self.policy])
    }

    /// The report of a build that succeeds.
    fn report(&self) -> Value {
        let outcome = self.command().args(["--format", "json"]).success();
        serde_json::from_slice(outcome.stdout()).unwrap_or_else(|error| panic!("{error}: {outcome}"))
    }

    fn tree(&self) -> OurTree {
        let outcome = self.run();
        assert_eq!(outcome.code(), Some(0), "{outcome}");
        OurTree { listing: Listing::of_tar_file(&self.dir.join("tree.tar")), outcome }
    }
}

/// The real apk over the minirootfs with the repositories of 3.19, without scripts.
fn apk_over_minirootfs(alpine: &Alpine) -> Reference {
    reference::minirootfs(alpine).repository("v3.19/main").repository("v3.19/community").no_scripts()
}

/// Holds `ours` against the tree of the real apk, whose installed packages' files are in `packages`: everything in it, and
/// what the databases say.
fn assert_equal(reference: &ReferenceTree, ours: &OurTree, exceptions: &[Exception], packages: &[&Path]) {
    let listing = &ours.listing;
    let (expected, got) = (reference.installed_text(), listing.text(installed::PATH));
    // Of few packages the databases are the same to the byte, and nothing is to be excepted.
    let is_same = expected == got;
    let installed = (!is_same).then_some(INSTALLED);
    let exceptions: Vec<Exception> = exceptions.iter().copied().chain(installed).collect();
    assert_eq!(diff(&reference.listing, listing, &exceptions), NONE);

    let stray = (installed::diff(expected, got, &[]) != NONE).then_some(installed::STRAY_REPLACES);
    assert_eq!(installed::diff(expected, got, stray.as_slice()), NONE);
    assert_replaces_are_the_packages_own(got, packages);
    let names = installed::names(got);
    let mut sorted = names.clone();
    sorted.sort_by_key(|name| name.to_ascii_lowercase());
    assert_eq!(names, sorted);

    assert_eq!(scripts(listing), scripts(&reference.listing));
    let time_of = |entry: &String| {
        let packages = installed::parse(got);
        let package = packages.values().find(|package| entry.contains(package.fields[&'C'].as_str()));
        package.map(|package| package.fields[&'t'].clone())
    };
    for (entry, (mode, modified, _)) in scripts(listing) {
        assert_eq!((mode, time_of(&entry)), (0o755, Some(modified.to_string())), "{entry}");
    }
}

/// The entries of the archive of scripts by their names, which are brought to apk 2.14's form: mode, time and
/// text.
fn scripts(tree: &Listing) -> BTreeMap<String, (u32, i64, String)> {
    let archive = Listing::of_tar(&*tree.entry("lib/apk/db/scripts.tar").content);
    let entry = |entry: &crate::support::listing::Entry| {
        (name_with_q1(&entry.path), (entry.mode, entry.modified, entry.text().to_owned()))
    };
    archive.entries().map(entry).collect()
}

/// `name-version.X1hex.action` with the identity as the database writes it.
fn name_with_q1(name: &str) -> String {
    let Some((package, rest)) = name.rsplit_once(".X1") else { return name.to_owned() };
    let (hex, action) = rest.split_once('.').unwrap();
    let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap());
    let bytes: Vec<u8> = bytes.collect();
    format!("{package}.Q1{}.{action}", base64(&bytes))
}

/// `bytes` in base64, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let letter = char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]);
            text.push(if at <= group.len() { letter } else { '=' });
        }
    }
    text
}

/// What `r:` says of a package is what the package itself says, wherever its file is in one of `repositories`.
fn assert_replaces_are_the_packages_own(text: &str, repositories: &[&Path]) {
    for (name, package) in installed::parse(text) {
        let file = format!("{name}-{}.apk", package.fields[&'V']);
        let file = repositories.iter().map(|path| path.join(&file)).find(|path| path.is_file());
        let Some(file) = file else { continue };
        let mut info = package_info(&file);
        let own: BTreeSet<String> = info.remove("replaces").into_iter().flatten().collect();
        assert_eq!(installed::replaces(&package), own, "{name}");
        let priority = info.remove("replaces_priority").and_then(|values| values.into_iter().next());
        assert_eq!(package.fields.get(&'q'), priority.as_ref(), "{name}");
    }
}

/// The values in a package's `.PKGINFO` by key.
fn package_info(package: &Path) -> BTreeMap<String, Vec<String>> {
    let mut tar = tar::Archive::new(MultiGzDecoder::new(File::open(package).unwrap()));
    let mut control = tar.entries().unwrap().map(Result::unwrap);
    let mut info = control.find(|entry| &*entry.path_bytes() == b".PKGINFO").unwrap();
    let mut text = String::new();
    info.read_to_string(&mut text).unwrap();
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
        values.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    values
}

/// The names of all packages in the index of a repository.
pub(crate) fn indexed_names(repository: &Path, arch: &str) -> Vec<String> {
    let archive = Listing::of_tar_file(&repository.join(arch).join("APKINDEX.tar.gz"));
    installed::names(archive.text("APKINDEX"))
}

/// Holds `packages` from scratch, from the repository `path` alone, against the real apk.
fn from_scratch_equals(alpine: &Alpine, path: &str, arch: &str, packages: &[&str], more: &[Exception]) {
    let reference = reference::scratch(alpine, arch).repository(path).no_scripts().add(packages);

    let ours = Ours::scratch(alpine, path, arch, packages.iter().copied()).tree();

    assert_equal(&reference, &ours, &[&FROM_SCRATCH, more].concat(), &[&alpine.repository(path).join(arch)]);
    assert_eq!(ours.listing.text("etc/apk/repositories"), "");
}

/// Holds `packages` over the minirootfs against the real apk, both with `upgrade = false` and without: of the
/// minirootfs nothing is older than in the repositories.
fn over_minirootfs_equals(alpine: &Alpine, packages: &[&str]) {
    let reference = apk_over_minirootfs(alpine).add(packages);
    let repositories = ["v3.19/main/x86_64", "v3.19/community/x86_64"].map(|path| alpine.repository(path));

    let kept = Ours::minirootfs(alpine, "upgrade = false", packages.iter().copied()).tree();
    let upgraded = Ours::minirootfs(alpine, "", packages.iter().copied()).tree();

    assert_equal(&reference, &kept, &OVER_A_BASE, &repositories.each_ref().map(PathBuf::as_path));
    assert_eq!(diff(&kept.listing, &upgraded.listing, &[]), NONE);
    let own = reference.listing.text("etc/apk/repositories");
    assert_eq!(kept.listing.text("etc/apk/repositories"), own);
}

#[test]
fn alpine_base_with_openssh_from_scratch_equals_the_real_apks() {
    let Some(alpine) = need::apk("alpine_base_with_openssh_from_scratch_equals_the_real_apks") else {
        return;
    };
    from_scratch_equals(&alpine, "iso-3.19.1", "x86_64", &["alpine-base", "openssh", "openssl", "wget"], &[]);
}

#[test]
fn the_98_packages_that_agree_from_scratch_equal_the_real_apks() {
    let Some(alpine) = need::apk("the_98_packages_that_agree_from_scratch_equal_the_real_apks") else {
        return;
    };
    let names = indexed_names(&alpine.repository("iso-3.19.1"), "x86_64");
    assert_eq!(names.len(), 100);
    let packages: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !NOT_WITH_THE_OTHERS.contains(name)).collect();
    assert_eq!(packages.len(), 98);
    from_scratch_equals(&alpine, "iso-3.19.1", "x86_64", &packages, &[]);
}

#[test]
fn all_100_packages_are_refused_with_the_names_of_those_that_disagree() {
    let test = "all_100_packages_are_refused_with_the_names_of_those_that_disagree";
    let Some(alpine) = need::alpine(test) else { return };
    let names = indexed_names(&alpine.repository("iso-3.19.1"), "x86_64");

    let ours = Ours::scratch(&alpine, "iso-3.19.1", "x86_64", names.iter().map(String::as_str));
    let outcome = ours.run();

    assert_eq!(outcome.code(), Some(6), "{outcome}");
    let words = outcome.stderr_text();
    for culprit in ["vlan", "ifupdown-ng", "network-extras"] {
        assert!(words.contains(culprit), "{culprit} is not in: {words}");
    }
    assert_eq!(ours.dir.names(), ["p.toml"]);
}

#[test]
fn another_architecture_from_scratch_equals_the_real_apks() {
    let Some(alpine) = need::apk("another_architecture_from_scratch_equals_the_real_apks") else { return };
    let names = indexed_names(&alpine.repository("rpi-3.13.4"), "aarch64");
    let packages: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !NOT_WITH_THE_OTHERS.contains(name)).collect();
    assert_eq!(packages.len(), 63);
    from_scratch_equals(&alpine, "rpi-3.13.4", "aarch64", &packages, &[BELOW_AN_ABSOLUTE_LINK]);
}

#[test]
fn git_and_jq_over_the_minirootfs_equal_the_real_apks() {
    let Some(alpine) = need::apk("git_and_jq_over_the_minirootfs_equal_the_real_apks") else { return };
    over_minirootfs_equals(&alpine, &["git", "openssh", "jq"]);
}

#[test]
fn compilers_tools_over_the_minirootfs_equal_the_real_apks() {
    let Some(alpine) = need::apk("compilers_tools_over_the_minirootfs_equal_the_real_apks") else { return };
    let packages = ["wget", "make", "musl-dev", "linux-headers", "binutils", "coreutils"];
    over_minirootfs_equals(&alpine, &packages);
}

#[test]
fn services_over_the_minirootfs_equal_the_real_apks() {
    let Some(alpine) = need::apk("services_over_the_minirootfs_equal_the_real_apks") else { return };
    let packages = ["openrc", "eudev", "doas", "dhcpcd", "tiny-cloud-alpine", "usbutils"];
    over_minirootfs_equals(&alpine, &packages);
}

#[test]
fn libraries_over_the_minirootfs_equal_the_real_apks() {
    let Some(alpine) = need::apk("libraries_over_the_minirootfs_equal_the_real_apks") else { return };
    over_minirootfs_equals(&alpine, &["zstd-dev", "libffi-dev", "libusb-dev", "e2fsprogs-extra"]);
}

/// PHP 7 and a web server from the tagged repository.
const PHP: [&str; 17] = [
    "php7-fpm",
    "php7",
    "php7-json",
    "php7-opcache",
    "php7-session",
    "php7-ctype",
    "php7-phar",
    "php7-mbstring",
    "php7-iconv",
    "php7-pdo",
    "php7-xml",
    "php7-dom",
    "php7-zlib",
    "php7-bcmath",
    "php7-pcntl",
    "php7-sockets",
    "nginx",
];

#[test]
fn packages_of_a_tagged_repository_equal_the_real_apks() {
    let Some(alpine) = need::apk("packages_of_a_tagged_repository_equal_the_real_apks") else { return };
    let packages = PHP.map(|name| format!("{name}@php7"));
    let packages = packages.each_ref().map(String::as_str);
    let reference = apk_over_minirootfs(&alpine).tagged("php7", "php7").key(alpine.php7_key()).add(&packages);
    let php7 = alpine.repository("php7");
    let more = format!(
        "repositories = [\"main\", \"community\", \"@php7 {}\"]\nkeys = ['{}']",
        php7.display(),
        alpine.php7_key().display()
    );
    let repositories = ["v3.19/main/x86_64", "v3.19/community/x86_64", "php7/x86_64"];
    let repositories = repositories.map(|path| alpine.repository(path));

    let ours = Ours::minirootfs(&alpine, &more, packages);
    let with_tags = ours.with("repositories = [\"@php7 https://example.org/php7\"]\n").tree();
    let without_tags = Ours::minirootfs(&alpine, &more, packages).tree();

    let exceptions = [&OVER_A_BASE[..], &[REPOSITORY_KEYS]].concat();
    assert_equal(&reference, &with_tags, &exceptions, &repositories.each_ref().map(PathBuf::as_path));
    // A tag that the image's repositories do not have would stop every apk in it.
    let untagged = |tree: &OurTree| {
        let world = tree.listing.text("etc/apk/world").replace("@php7", "");
        (world, tree.listing.text(installed::PATH).replace("s:php7\n", ""))
    };
    let ours = (without_tags.listing.text("etc/apk/world"), without_tags.listing.text(installed::PATH));
    assert_eq!(untagged(&with_tags), (ours.0.to_owned(), ours.1.to_owned()));
}

/// The symbolic links of `tree` to `target`.
fn links_to<'a>(tree: &'a Listing, target: &str) -> BTreeSet<&'a str> {
    let links = tree.entries().filter(|entry| entry.link.as_deref() == Some(target));
    links.map(|entry| entry.path.as_str()).collect()
}

/// Holds `packages` from scratch against the real apk with scripts: all links that BusyBox's scripts make.
fn links_equal(alpine: &Alpine, packages: &[&str]) -> (ReferenceTree, OurTree) {
    let reference = reference::scratch(alpine, "x86_64").repository("iso-3.19.1").add(packages);
    let ours = Ours::scratch(alpine, "iso-3.19.1", "x86_64", packages.iter().copied()).with_scripts().tree();
    for target in ["/bin/busybox", "/bin/bbsuid"] {
        assert_eq!(links_to(&reference.listing, target), links_to(&ours.listing, target), "{target}");
    }
    (reference, ours)
}

#[test]
fn alpine_base_with_scripts_equals_the_real_apks() {
    let Some(alpine) = need::apk("alpine_base_with_scripts_equals_the_real_apks") else { return };

    let (reference, ours) = links_equal(&alpine, &["alpine-base"]);

    assert!(links_to(&ours.listing, "/bin/busybox").len() > 250);
    assert!(links_to(&ours.listing, "/bin/bbsuid").len() > 5);
    let exceptions = [DEVICES, EXEC, LOCK, CACHE, REPOSITORIES, SCRIPTS_ARCHIVE, GENERATED_TIMES];
    assert_equal(&reference, &ours, &exceptions, &[&alpine.repository("iso-3.19.1/x86_64")]);
}

#[test]
fn links_of_busybox_among_other_packages_equal_the_real_apks() {
    let Some(alpine) = need::apk("links_of_busybox_among_other_packages_equal_the_real_apks") else { return };
    // The last ones bring commands that BusyBox has too, before and after it is installed.
    links_equal(
        &alpine,
        &["busybox-suid", "busybox-openrc", "openssl", "wget", "doas", "mdev-conf", "e2fsprogs"],
    );
    links_equal(&alpine, &["busybox"]);
}

#[test]
fn links_of_busybox_over_the_minirootfs_equal_the_real_apks() {
    let Some(alpine) = need::apk("links_of_busybox_over_the_minirootfs_equal_the_real_apks") else { return };
    let packages = ["coreutils", "mount", "wget", "doas"];
    let apk = reference::minirootfs(&alpine).repository("v3.19/main").repository("v3.19/community");

    let reference = apk.add(&packages);
    let ours = Ours::minirootfs(&alpine, "", packages).with_scripts().tree();

    let links = links_to(&ours.listing, "/bin/busybox");
    assert_eq!(links_to(&reference.listing, "/bin/busybox"), links);
    assert!(!links.contains("bin/ls") && links.contains("bin/ash"));
}

/// What a build lists below a line with `heading`.
fn listed(outcome: &Outcome, heading: &str) -> Vec<String> {
    let words = outcome.stderr_text();
    let list = words.lines().skip_while(|line| !line.contains(heading)).skip(1);
    let list = list.map_while(|line| line.strip_prefix("  ")).flat_map(|line| line.split(','));
    list.map(str::trim).filter(|script| !script.is_empty()).map(str::to_owned).collect()
}

#[test]
fn other_versions_in_place_of_the_bases_equal_the_real_apks() {
    let Some(alpine) = need::apk("other_versions_in_place_of_the_bases_equal_the_real_apks") else { return };
    let packages = [
        "apk-tools=2.14.0-r5",
        "busybox=1.36.1-r15",
        "busybox-binsh=1.36.1-r15",
        "libcrypto3=3.1.4-r5",
        "libssl3=3.1.4-r5",
        "ssl_client=1.36.1-r15",
        "openssh",
    ];
    let reference = reference::minirootfs(&alpine).repository("iso-3.19.1").no_scripts().add(&packages);
    assert!(reference.apk_output.contains("Downgrading busybox (1.36.1-r19 -> 1.36.1-r15)"));

    let more = format!("repositories = ['{}']", alpine.repository("iso-3.19.1").display());
    let ours = Ours::minirootfs(&alpine, &more, packages).tree();

    assert_equal(&reference, &ours, &OVER_A_BASE, &[&alpine.repository("iso-3.19.1/x86_64")]);
}

#[test]
fn the_apk_in_the_image_finds_everything_in_order() {
    let Some(alpine) = need::apk("the_apk_in_the_image_finds_everything_in_order") else { return };
    let ours = Ours::minirootfs(&alpine, "", ["git"]).with_scripts();
    let tree = ours.tree();

    let apk = reference::inside_tar(&alpine, &ours.dir.join("tree.tar")).repository("v3.19/main");

    assert_eq!(apk.words("audit", &["--system"]), "");
    let expected: BTreeSet<String> = installed::parse(tree.listing.text(installed::PATH))
        .iter()
        .map(|(name, package)| format!("{name}-{}", package.fields[&'V']))
        .collect();
    assert_eq!(apk.words("info", &["-v"]).lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    let steps = ["Installing oniguruma (6.9.9-r0)", "Installing jq (1.7.1-r0)"].map(str::to_owned);
    assert_eq!(apk.simulate(&["jq"]), Ok(steps.to_vec()));
    let after = apk.no_scripts().add(&["jq"]);
    assert_eq!(after.listing.entry("usr/bin/jq").kind, Kind::File);
}

#[test]
fn the_apk_in_an_image_from_scratch_finds_everything_in_order() {
    let Some(alpine) = need::apk("the_apk_in_an_image_from_scratch_finds_everything_in_order") else {
        return;
    };
    let ours = Ours::scratch(&alpine, "iso-3.19.1", "x86_64", ["alpine-base"]).with_scripts();
    ours.tree();

    let apk = reference::inside_tar(&alpine, &ours.dir.join("tree.tar")).repository("iso-3.19.1");

    assert_eq!(apk.words("audit", &["--system"]), "");
    assert_eq!(apk.words("info", &["-v"]).lines().count(), 25);
    let after = apk.add(&["openssl"]);
    assert_eq!(after.listing.entry("usr/bin/openssl").kind, Kind::File);
}

#[test]
fn a_pruned_busybox_takes_its_links_scripts_and_trigger_with_it() {
    let Some(alpine) = need::alpine("a_pruned_busybox_takes_its_links_scripts_and_trigger_with_it") else {
        return;
    };
    let plain = Ours::minirootfs(&alpine, "", []).tree();
    assert!(links_to(&plain.listing, "/bin/busybox").len() > 250);
    let pruned = "\n[prune]\npackages = [\"busybox\"]\n";

    let tree = Ours::minirootfs(&alpine, "", []).with_scripts().with(pruned).tree();

    let packages = installed::parse(plain.listing.text(installed::PATH));
    let own: BTreeSet<&str> = packages["busybox"].files.keys().map(String::as_str).collect();
    let binsh: BTreeSet<&str> = packages["busybox-binsh"].files.keys().map(String::as_str).collect();
    let links = links_to(&plain.listing, "/bin/busybox");
    let expected: BTreeSet<&str> = own.union(&links).filter(|path| !binsh.contains(*path)).copied().collect();
    let gone = plain.listing.entries().filter(|entry| tree.listing.get(&entry.path).is_none());
    let gone = gone.filter(|entry| entry.kind != Kind::Directory).map(|entry| entry.path.as_str());
    assert_eq!(gone.collect::<BTreeSet<_>>(), expected);
    assert!(!installed::parse(tree.listing.text(installed::PATH)).contains_key("busybox"));
    assert_eq!(tree.listing.text("lib/apk/db/triggers"), "");
    assert!(scripts(&tree.listing).keys().all(|entry| !entry.starts_with("busybox-")));
    let words = tree.outcome.stderr_text();
    assert!(words.contains("busybox-binsh"), "{words}");
}
