//! Images and archives as the base: the tree is the one that Docker itself makes of the layers, whatever stored
//! them, and what is said of the base is in the image.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::command::{Dir, Outcome, TestCommand};
use crate::support::data::Alpine;
use crate::support::docker::Engine;
use crate::support::image::Image;
use crate::support::listing::{Exception, Listing, diff};
use crate::support::{files, need};

/// What the engine puts into every container that it makes, and into what it exports of it.
const ENGINES_OWN: Exception = Exception {
    name: "what the engine mounts over",
    reason: "docker export writes the places of what it mounts: .dockerenv, dev, etc/hosts, proc, sys",
    covers: |difference| {
        let made =
            [".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "dev", "proc", "sys"];
        made.contains(&difference.path) || difference.path.starts_with("dev/")
    },
};
/// What an image is always given, whatever the base has.
const RECORDS: Exception = Exception {
    name: "apk's records",
    reason: "they are written for every image: world, arch, repositories, the installed database",
    covers: |difference| difference.path.starts_with("lib/apk/db") || difference.path.starts_with("etc/apk/"),
};
/// A Dockerfile whose upper layers delete, replace and change what is below in every way that there is.
const DOCKERFILE: &str = r#"
FROM scratch
ADD rootfs.tar.gz /
ENV GREETING=hello
LABEL a=b
RUN mkdir -p /data/keep /data/empty /data/opaque/old && echo 1 >/data/a && echo 2 >/data/b && ln /data/b /data/hard \
    && ln -s a /data/link && echo 3 >/data/opaque/old/c && echo "with space" >"/data/ä b" && chmod 4755 /data/a \
    && adduser -D -u 1234 somebody && chown somebody /data/b && mkfifo /data/pipe
RUN rm /data/a && echo new >/data/b && rm -rf /data/opaque && mkdir /data/opaque && echo 4 >/data/opaque/new \
    && rm -r /data/empty && echo file >/data/empty && rm /data/link && mkdir /data/link && echo 5 >/data/link/in \
    && rm -rf /etc/apk/keys /var/cache /usr/share/apk /etc/motd && chmod 0700 /home && rmdir /media/usb
RUN echo back >/data/a && mkdir -p /var/cache/misc && mv /etc/profile.d /etc/moved.d
CMD ["/bin/sh"]
"#;

/// An image that Docker built of [`DOCKERFILE`]: in the engine, and saved by it.
struct Built {
    name: String,
    saved: PathBuf,
    exported: Listing,
}

fn built(dir: &Dir, docker: &Engine, alpine: &Alpine, name: &str) -> Built {
    let name = format!("apkcompose-test/{name}:1");
    dir.write("context/Dockerfile", DOCKERFILE);
    dir.write("context/rootfs.tar.gz", files::read(&alpine.minirootfs("x86_64")));
    docker.build(&dir.join("context"), &name);
    docker.export(&name, &dir.join("exported.tar"));
    let saved = dir.join("saved.tar");
    docker.save(&name, &saved);
    Built { name, saved, exported: Listing::of_tar_file(&dir.join("exported.tar")) }
}

/// A profile that is nothing but the base at `base`.
fn on(dir: &Dir, base: &str) -> PathBuf {
    let profile = "[alpine]\nrelease = \"3.19\"\nbase = \"BASE\"\nrepositories = []\nupgrade = false\n[image]\nlock-root = false\n";
    dir.write("on.toml", profile.replace("BASE", base))
}

fn compose<'a>(dir: &'a Dir, profile: &Path) -> TestCommand<'a> {
    // Late enough that no time is clamped.
    dir.command().args(["build", "--format", "json", "--epoch", "4102444800", "--profile"]).arg(profile)
}

/// Composes an image that is nothing but `base`, and says that its tree is `expected`.
fn is_composed(dir: &Dir, base: &str, expected: &Listing, exceptions: &[Exception]) -> Outcome {
    let outcome = compose(dir, &on(dir, base)).args(["-o", "type=tar,dest=composed.tar"]).success();
    let composed = Listing::of_tar_file(&dir.join("composed.tar"));
    assert!(composed.len() > 400, "{base}: {} entries", composed.len());
    assert_eq!(diff(expected, &composed, exceptions), [""; 0], "{base}");
    assert!(composed.entries().all(|entry| !entry.path.contains(".wh.")), "{base}");
    outcome
}

#[test]
fn the_layers_of_an_image_make_the_tree_that_docker_makes_of_them() {
    let test = "the_layers_of_an_image_make_the_tree_that_docker_makes_of_them";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let Some(skopeo) = need::skopeo(test) else { return };
    let dir = Dir::new();
    let built = built(&dir, docker, &alpine, "layers");
    let saved = format!("docker-archive:{}", built.saved.display());
    for (options, to) in [
        (&[][..], "oci:layout:1"),
        (&["--dest-compress-format", "zstd", "--dest-compress"][..], "oci:zstd:1"),
        (&[][..], "oci-archive:oci.tar:1"),
        (&[][..], "docker-archive:docker.tar"),
    ] {
        let (kind, path) = to.split_once(':').unwrap();
        skopeo.copy_with(options, &saved, &format!("{kind}:{}", dir.join(path).display()));
    }
    let layers = Image::of_archive(&built.saved).layers().len();
    assert_eq!(layers, 4);

    for base in ["./layout", "./layout:1", "./zstd:1", "./oci.tar", "./docker.tar", "./saved.tar"] {
        let outcome = is_composed(&dir, base, &built.exported, &[ENGINES_OWN, RECORDS]);
        let report = outcome.stdout_json();
        assert_eq!(report["base"]["trust"], "a local file", "{base}");
        let said = outcome.stderr_text();
        let note =
            "note: what the base image says of Cmd, Env, Labels is not taken over: say it under [image]\n";
        assert!(said.contains(note), "{base}: {said}");
    }
    let name = format!("./saved.tar:{}", built.name);
    is_composed(&dir, &name, &built.exported, &[ENGINES_OWN, RECORDS]);
}

#[test]
fn a_layer_that_umoci_made_deletes_what_was_deleted() {
    let test = "a_layer_that_umoci_made_deletes_what_was_deleted";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(umoci) = need::umoci(test) else { return };
    let dir = Dir::new();
    dir.write("x.toml", "extends = [\"base\"]\nalpine.release = \"3.19\"\n");
    let output = ["-o", "type=oci,dest=layout", "-t", "x/y:one"];
    dir.command().args(["--profile", "x.toml", "--mirror"]).arg(alpine.mirror()).args(output).success();
    let bundle = dir.join("bundle");
    umoci.unpack(&dir.join("layout"), "one", &bundle);
    let root = bundle.join("rootfs");
    std::fs::remove_file(root.join("etc/motd")).unwrap();
    std::fs::remove_dir_all(root.join("usr/share")).unwrap();
    std::fs::remove_file(root.join("bin/ls")).unwrap();
    write_at_a_whole_second(&root.join("bin/ls/is/a/directory"), b"now");
    write_at_a_whole_second(&root.join("etc/issue"), b"changed\n");
    umoci.repack(&dir.join("layout"), "two", &bundle);
    let expected = Listing::of_directory(&root);

    // Two images in one layout: which is meant must be said.
    let refused = compose(&dir, &on(&dir, "./layout")).args(["-o", "x.tar"]).fails_with(3);
    assert!(refused.stderr_text().contains("it has several images"), "{refused}");
    assert!(refused.stderr_text().contains("./layout:NAME with docker.io/x/y:one, one, two"), "{refused}");

    is_composed(&dir, "./layout:two", &expected, &[RECORDS]);
}

/// Writes a file whose time is a whole second, because umoci rounds any other to the nearest.
fn write_at_a_whole_second(path: &Path, content: &[u8]) {
    files::write(path, content);
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
}

#[test]
fn a_root_filesystem_may_be_stored_in_any_way() {
    let test = "a_root_filesystem_may_be_stored_in_any_way";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    let original = alpine.minirootfs("x86_64");
    let expected = Listing::of_tar_file(&original);
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&*files::read(&original)), &mut tar)
        .unwrap();
    let gzip = |part: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut encoder, part).unwrap();
        encoder.finish().unwrap()
    };
    let (one, two) = tar.split_at(1_234_567);
    dir.write("plain.tar", &tar);
    dir.write("members.tar.gz", [gzip(one), gzip(two)].concat());
    dir.write(
        "frames.tar.zst",
        [zstd::encode_all(one, 3).unwrap(), zstd::encode_all(two, 19).unwrap()].concat(),
    );
    dir.write("original.tgz", files::read(&original));

    let trees = ["plain.tar", "members.tar.gz", "frames.tar.zst", "original.tgz"].map(|base| {
        // One of the records: an image without repositories.
        is_composed(&dir, base, &expected, &[RECORDS]);
        dir.read("composed.tar")
    });
    assert!(trees.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn packages_are_installed_over_an_image() {
    let test = "packages_are_installed_over_an_image";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let Some(skopeo) = need::skopeo(test) else { return };
    let dir = Dir::new();
    let built = built(&dir, docker, &alpine, "over");
    let layout = format!("oci:{}:docker.io/example/base:7", dir.join("layout").display());
    skopeo.copy(&format!("docker-archive:{}", built.saved.display()), &layout);
    let index: Value = serde_json::from_slice(&dir.read("layout/index.json")).unwrap();
    let manifest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let profile = format!(
        "[alpine]\nrelease = \"3.19\"\nbase = \"./layout:docker.io/example/base:7\"\nbase-sha256 = \"{}\"\n\
         [packages]\nruntime = [\"jq\"]\n[image]\ntags = [\"apkcompose-test/jq:1\"]\ncmd = [\"jq\", \"--version\"]\n",
        manifest.strip_prefix("sha256:").unwrap()
    );
    let profile = dir.write("jq.toml", profile);

    let report = compose(&dir, &profile)
        .arg("--mirror")
        .arg(alpine.mirror())
        .args(["-o", "x.tar"])
        .success()
        .stdout_json();

    assert_eq!(report["base"]["trust"], "base-sha256 of the profile");
    assert_eq!(report["base"]["file"], "layout:docker.io/example/base:7");
    assert_eq!(manifest, format!("sha256:{}", report["base"]["sha256"].as_str().unwrap()));
    docker.load(&dir.join("x.tar"));
    assert_eq!(docker.run_text("apkcompose-test/jq:1", &[]), "jq-1.7.1\n");
    assert_eq!(docker.run_text("apkcompose-test/jq:1", &["cat", "/data/a", "/data/link/in"]), "back\n5\n");
    let config = docker.inspect("apkcompose-test/jq:1")["Config"].clone();
    assert_eq!(config["Labels"]["org.opencontainers.image.base.digest"], manifest);
    // None of the base's own: its variables, its labels.
    assert_eq!(config["Labels"].get("a"), None);
    assert_eq!(config["Env"], json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]));
    let annotations =
        Image::of_archive(&dir.join("x.tar")).manifest_for("linux/amd64")["annotations"].clone();
    assert_eq!(annotations["org.opencontainers.image.base.digest"], manifest);
}

#[test]
fn an_image_of_ours_is_a_base_like_any_other() {
    let test = "an_image_of_ours_is_a_base_like_any_other";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    dir.write(
        "both.toml",
        "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\", \"aarch64\"]\nrepositories = []\n\
         [image]\ntags = [\"example/two:1\", \"example/two:2\"]\n",
    );
    let outputs = ["-o", "both.tar", "-o", "type=oci,dest=both,compression=zstd"];
    let command = compose(&dir, Path::new("both.toml")).args(["--arch", "all"]).args(outputs);
    command.arg("--mirror").arg(alpine.mirror()).success();
    for arch in ["x86_64", "aarch64"] {
        let expected = Listing::of_tar_file(&alpine.minirootfs(arch));
        // Two names of one image are no two images.
        for base in ["./both", "./both:1", "./both:docker.io/example/two:2", "./both.tar", "./both.tar:1"] {
            let profile = on(&dir, base);
            let command = compose(&dir, &profile).args(["--arch", arch]);
            let report = command.args(["-o", "x.tar"]).success().stdout_json();
            let tree = Image::of_archive(&dir.join("x.tar")).tree();
            assert_eq!(diff(&expected, &tree, &[RECORDS]), [""; 0], "{base}");
            assert_eq!(report["base"]["file"], base.trim_start_matches("./"));
            let labels = Image::of_archive(&dir.join("x.tar")).config()["config"]["Labels"].clone();
            // The name it was asked for by; without one, its first.
            let name =
                if base.ends_with(":2") { "docker.io/example/two:2" } else { "docker.io/example/two:1" };
            assert_eq!(labels["org.opencontainers.image.base.name"], name, "{base}");
        }
    }
    let refused = compose(&dir, &on(&dir, "./both")).args(["--arch", "riscv64", "-o", "x.tar"]).fails_with(3);
    insta::assert_snapshot!(refused.stderr_text());
}
