//! Mirrors over the network, from a server of the tests' own that goes wrong as planned.
//!
//! Whatever goes wrong, it ends in the bytes that a directory gives, because it was tried again or because another
//! mirror had it, or in an error that names the place and the cause. In either case nothing that is no part of a
//! sound mirror is left in the store, and the next build, with everything mended, gives the right bytes.

/// Every download ends: by its length, by its speed, by the deadline of its answer.
mod bounds;
/// Who is told who asks, and who is not.
mod credentials;
/// Tables of faults, and what each of them must come to.
mod faults;
/// Somebody interrupts a build that waits.
mod interrupt;
/// How many things are fetched at a time, over how many connections.
mod load;
/// Several mirrors, and the forms in which one may be given.
mod mirrors;
/// A mirror that changes while it is read.
mod moving;
/// What needs no network.
mod offline;
/// Ways through proxies.
mod proxies;
/// The real mirror, over the network and from the disk.
mod real;
/// What is not fetched again.
mod refresh;
/// Who is believed to be the mirror, over TLS.
mod tls;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use apkcompose::digest::Sha256;

use crate::made::{self, Made};
use crate::refusals::hostile::{self, MINIROOTFS, Said, noise};
use crate::support::command::{Dir, Outcome, TestCommand};
use crate::support::files;
use crate::support::server::site::Site;
use crate::support::server::{Server, Setup};

/// What is written.
const OUTPUT: &str = "out.tar";
/// Where things are below a mirror.
const INDEX: &str = "v3.19/main/x86_64/APKINDEX.tar.gz";
const PACKAGE: &str = "v3.19/main/x86_64/app-1-r0.apk";
const LIST: &str = "v3.19/releases/x86_64/latest-releases.yaml";
const BASE: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.9-x86_64.tar.gz";
const SIDECAR: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.9-x86_64.tar.gz.sha256";

/// A profile over a mirror that has to be given.
const PROFILE: &str = "\
[alpine]
release = \"3.19\"
arch = [\"x86_64\"]
mirror = [\"./no-mirror\"]
repositories = [\"main\"]
mirror-keys = [\"test.rsa.pub\"]
base-trust = \"checksum\"

[packages]
runtime = [\"app\", \"other\"]
";

/// A mirror with nothing wrong, and what is built of it.
struct Sound {
    site: Site,
    /// The SHA-256 of what is built of it from a directory.
    image: Sha256,
}

/// The sound mirror that the tests here share.
fn sound() -> &'static Sound {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    SOUND.get_or_init(|| {
        let dir = dir();
        let app = made::package("app", &noise(60_000), made::key());
        let other = made::package("other", &noise(500), made::key());
        hostile::mirror(&dir, &base(), &[&app, &other]);
        dir.command().args(["--profile", "p.toml", "--quiet", "-o", OUTPUT, "--mirror", "mirror"]).success();
        Sound { site: Site::copy_of(&dir.join("mirror")), image: Sha256::of(&dir.read(OUTPUT)) }
    })
}

impl Sound {
    /// The content of the file at `path`.
    fn file(&self, path: &str) -> &[u8] {
        &self.site.files()[path]
    }
}

/// A root filesystem large enough to be cut in the middle.
fn base() -> Vec<u8> {
    hostile::rootfs([Said::file("./etc/noise", noise(40_000))])
}

/// A directory with the profile and the key.
fn dir() -> Dir {
    let dir = Dir::new();
    dir.write("p.toml", PROFILE);
    dir.write("test.rsa.pub", made::key().public_key().pem());
    dir
}

/// Somebody who builds over mirrors that are his own.
struct Scene {
    dir: Dir,
    mirrors: Vec<Server>,
    /// What may be kept in the store.
    keepable: BTreeSet<Sha256>,
    /// What is to be built.
    image: Sha256,
}

impl Scene {
    /// With `count` sound mirrors.
    fn new(count: usize) -> Self {
        Self::over((0..count).map(|_| Server::of(sound().site.clone())).collect())
    }

    /// With one sound mirror that is set up in another way.
    fn set_up(change: impl FnOnce(Setup) -> Setup) -> Self {
        Self::over(vec![change(Setup::of(sound().site.clone())).start()])
    }

    fn over(mirrors: Vec<Server>) -> Self {
        let keepable = sound().site.files().values().map(|bytes| Sha256::of(bytes)).collect();
        Self { dir: dir(), mirrors, keepable, image: sound().image }
    }

    /// The path of a sound mirror in a directory.
    fn directory(&self) -> String {
        let mirror = self.dir.home().join("mirror");
        for (path, bytes) in sound().site.files() {
            files::write(&mirror.join(path), bytes);
        }
        mirror.to_string_lossy().into_owned()
    }

    /// The first mirror.
    fn mirror(&self) -> &Server {
        &self.mirrors[0]
    }

    /// Building, without much patience, over the mirrors.
    fn build(&self) -> TestCommand<'_> {
        let urls = self.mirrors.iter().map(Server::url);
        self.build_from(urls)
    }

    /// Building over mirrors at `urls`.
    fn build_from(&self, urls: impl IntoIterator<Item = String>) -> TestCommand<'_> {
        let command = self.dir.command().args(["--profile", "p.toml", "--progress", "none", "-o", OUTPUT]);
        // By the environment, which options of a test go before.
        let command = command.env("APKCOMPOSE_RETRIES", "1").env("APKCOMPOSE_TIMEOUT", "20");
        urls.into_iter().fold(command, |command, url| command.args(["--mirror", &url]))
    }

    /// `command` builds what a directory gives.
    fn builds(&self, what: &str, command: TestCommand<'_>) -> Outcome {
        let outcome = command.success();
        assert_eq!(Sha256::of(&self.dir.read(OUTPUT)), self.image, "{what}: {outcome}");
        std::fs::remove_file(self.dir.join(OUTPUT)).unwrap();
        self.store_is_sound(what);
        outcome
    }

    /// `command` fails with `code` and leaves nothing behind.
    fn refused(&self, what: &str, code: i32, command: TestCommand<'_>) -> Outcome {
        let before = self.dir.names();
        let outcome = command.run();
        assert_eq!(outcome.code(), Some(code), "{what}: {outcome}");
        assert_eq!(self.dir.names(), before, "{what} left something behind: {outcome}");
        self.store_is_sound(what);
        outcome
    }

    /// Nothing is half done in the store, and nothing is in it that no sound mirror has.
    fn store_is_sound(&self, what: &str) {
        let names = |below: &str| {
            let directory = self.dir.cache().join(below);
            if directory.is_dir() { files::names(&directory) } else { Vec::new() }
        };
        assert_eq!(names("tmp"), [""; 0], "{what} left something in the store");
        for name in names("blobs/sha256") {
            let digest = Sha256::of(&files::read(&self.dir.cache().join("blobs/sha256").join(&name)));
            assert_eq!(digest.to_hex(), name, "{what} damaged the store");
            assert!(self.keepable.contains(&digest), "{what}: the store keeps {name}, which no mirror has");
        }
    }

    /// What `outcome` said, with the mirrors called by names instead of ports.
    fn said(&self, outcome: &Outcome) -> String {
        let names = ["first.mirror", "second.mirror", "third.mirror"];
        let named = self.mirrors.iter().zip(names).fold(outcome.stderr_text(), |text, (mirror, name)| {
            text.replace(&mirror.address().to_string(), name)
        });
        without_lengths(&named)
    }
}

/// `text` with numbers of bytes named: what is signed with a key of today has another length tomorrow, and how much
/// came before something broke is chance. That nothing came is none.
fn without_lengths(text: &str) -> String {
    let is_number =
        |word: &str| word != "0" && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let words: Vec<&str> = text.split(' ').collect();
    let mut named = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let digits = word.trim_end_matches([',', ':', '\n']);
        let is_of_bytes = words.get(at + 1).is_some_and(|next| next.starts_with("bytes"))
            || at > 0 && matches!(words[at - 1], "byte" | "lists");
        if is_of_bytes && is_number(digits) {
            named.push(word.replace(digits, "[N]"));
        } else {
            named.push((*word).to_owned());
        }
    }
    named.join(" ")
}

/// A package like `made::package`, in another version.
fn package_of_version(name: &str, version: &str, content: &[u8]) -> Made {
    hostile::Package::new(name)
        .version(version)
        .has([Said::dir("usr"), Said::dir("usr/share"), Said::file(&format!("usr/share/{name}"), content)])
        .made()
}

/// Another digit of the first digest that `text` states.
fn other_digest(text: &[u8]) -> Vec<u8> {
    let at = text.windows(64).position(|word| word.iter().all(u8::is_ascii_hexdigit)).expect("a digest");
    let mut changed = text.to_vec();
    changed[at] = if text[at] == b'0' { b'1' } else { b'0' };
    changed
}

#[test]
fn a_mirror_over_http_gives_what_a_directory_gives() {
    let scene = Scene::new(1);

    scene.builds("a mirror", scene.build());

    let log = scene.mirror().log();
    assert_eq!(log.of("app-1-r0.apk").len(), 1, "{:?}", log.lines());
    assert_eq!(log.of(MINIROOTFS).len(), 1, "{:?}", log.lines());
    assert_eq!(log.of("APKINDEX.tar.gz").len(), 1, "{:?}", log.lines());
    let encodings: Vec<_> = log
        .requests()
        .iter()
        .filter_map(|logged| logged.request.header("Accept-Encoding").map(str::to_owned))
        .collect();
    assert!(encodings.iter().all(|encoding| encoding == "identity"), "{encodings:?}");
}
