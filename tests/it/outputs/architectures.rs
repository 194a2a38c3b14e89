//! One image for several architectures: each tool finds the one for its machine, under the name that the
//! specification of OCI images has for it.

use serde_json::{Value, json};

use crate::support::command::{Dir, TestCommand};
use crate::support::image::{Image, platform_of};
use crate::support::{files, need};

/// Alpine's names and those of OCI images: spec/image, "Config".
const PLATFORMS: [(&str, &str); 10] = [
    ("x86_64", "linux/amd64"),
    ("aarch64", "linux/arm64/v8"),
    ("armhf", "linux/arm/v6"),
    ("armv7", "linux/arm/v7"),
    ("x86", "linux/386"),
    ("ppc64le", "linux/ppc64le"),
    ("s390x", "linux/s390x"),
    ("riscv64", "linux/riscv64"),
    ("loongarch64", "linux/loong64"),
    ("mips64", "linux/mips64"),
];
const NAME: &str = "apkcompose-test/architectures:1";

/// A profile for all architectures, whose only file says for which it is.
fn dir() -> Dir {
    let dir = Dir::new();
    let names = PLATFORMS.map(|(name, _)| name);
    let file = |name: &str| format!("[[arch.{name}.files]]\npath = \"/arch\"\ncontent = \"{name}\\n\"\n");
    let profile = format!(
        "[alpine]\nbase = \"scratch\"\nrepositories = []\narch = {names:?}\n[image]\ntags = [\"{NAME}\"]\n{}",
        names.map(file).concat()
    );
    dir.write("all.toml", profile);
    dir
}

fn build(dir: &Dir) -> TestCommand<'_> {
    dir.command().args(["--profile", "all.toml", "--epoch", "1700000000", "--format", "json"])
}

/// What the tree of the image for `platform` says for which architecture it is.
fn arch_of(image: &Image, platform: &str) -> String {
    let manifest = image.manifest_for(platform);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    let layer = image.files().entry(&format!("blobs/{layer}"));
    crate::support::listing::Listing::of_tar(&*layer.content).text("arch").trim().to_owned()
}

#[test]
fn all_architectures_go_into_one_image_under_their_own_names() {
    let dir = dir();

    let report = build(&dir)
        .args(["--arch", "all", "-o", "all.tar", "-o", "type=oci,dest=all"])
        .success()
        .stdout_json();

    for image in [Image::of_archive(&dir.join("all.tar")), Image::of_layout(&dir.join("all"))] {
        let top = image.index()["manifests"].clone();
        assert_eq!(top.as_array().unwrap().len(), 1);
        assert_eq!(top[0]["annotations"]["org.opencontainers.image.ref.name"], "1");
        let list = image.blob(top[0]["digest"].as_str().unwrap());
        let listed = list["manifests"].as_array().unwrap();
        let platforms: Vec<String> =
            listed.iter().map(|manifest| platform_of(&manifest["platform"])).collect();
        assert_eq!(platforms, PLATFORMS.map(|(_, platform)| platform));
        for (arch, platform) in PLATFORMS {
            let config = image.blob(image.manifest_for(platform)["config"]["digest"].as_str().unwrap());
            assert_eq!(platform_of(&config), platform);
            assert_eq!(arch_of(&image, platform), arch);
        }
    }
    let reported = report["architectures"].as_array().unwrap();
    let reported: Vec<(&str, &str)> = reported
        .iter()
        .map(|report| (report["arch"].as_str().unwrap(), report["image"]["platform"].as_str().unwrap()))
        .collect();
    assert_eq!(reported, PLATFORMS);
    let index = Image::of_layout(&dir.join("all")).index()["manifests"][0]["digest"].clone();
    for output in report["outputs"].as_array().unwrap() {
        assert_eq!(index, format!("sha256:{}", output["manifest"].as_str().unwrap()));
    }
}

#[test]
fn each_architectures_image_is_the_same_built_alone() {
    let dir = dir();
    let three = ["--arch", "aarch64", "--arch", "amd64,armv7", "--arch", "x86_64"];
    let together = build(&dir).args(three).args(["-o", "three.tar"]).success().stdout_json();

    let manifests: Vec<(&Value, &Value)> = together["architectures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|report| (&report["arch"], &report["image"]["manifest"]))
        .collect();

    for (arch, manifest) in &manifests {
        let alone = build(&dir).args(["--arch", arch.as_str().unwrap(), "-o", "alone.tar"]).success();
        assert_eq!(&alone.stdout_json()["image"]["manifest"], *manifest, "{arch}");
    }
    let names: Vec<&Value> = manifests.iter().map(|(arch, _)| *arch).collect();
    assert_eq!(json!(names), json!(["aarch64", "x86_64", "armv7"]));
}

#[test]
fn docker_and_podman_load_this_machines() {
    let test = "docker_and_podman_load_this_machines";
    let Some(docker) = need::docker(test) else { return };
    let Some(podman) = need::podman(test) else { return };
    let dir = dir();
    let report = build(&dir).args(["--arch", "s390x,amd64,arm64", "-o", "x.tar"]).success().stdout_json();
    let ours = &report["architectures"][1];
    assert_eq!(ours["arch"], "x86_64");

    assert_eq!(docker.load(&dir.join("x.tar")), [NAME]);
    let known = docker.inspect(NAME);
    assert_eq!(known["Id"], format!("sha256:{}", ours["image"]["id"].as_str().unwrap()));
    assert_eq!(known["Architecture"], "amd64");
    let names = podman.load(&dir.join("x.tar"));
    assert_eq!(podman.inspect(&names[0])["Id"], ours["image"]["id"]);
}

#[test]
fn without_this_machines_docker_loads_the_first() {
    let test = "without_this_machines_docker_loads_the_first";
    let Some(docker) = need::docker(test) else { return };
    let dir = dir();
    let name = "apkcompose-test/foreign:1";
    build(&dir).args(["--arch", "s390x,arm64", "-t", name, "-o", "x.tar"]).success();
    assert_eq!(docker.load(&dir.join("x.tar")), [name]);
    assert_eq!(docker.inspect(name)["Architecture"], "s390x");
}

#[test]
fn skopeo_finds_the_image_of_every_platform() {
    let test = "skopeo_finds_the_image_of_every_platform";
    let Some(skopeo) = need::skopeo(test) else { return };
    let dir = dir();
    build(&dir).args(["--arch", "all", "-o", "all.tar", "-o", "type=oci,dest=all"]).success();

    for from in ["oci-archive:all.tar", "oci:all"] {
        let (kind, path) = from.split_once(':').unwrap();
        let from = format!("{kind}:{}:1", dir.join(path).display());
        for (_, platform) in PLATFORMS {
            assert_eq!(platform_of(&skopeo.config_for(platform, &from)), platform, "{from}");
        }
    }
    // All of them at once, every digest checked.
    let to = dir.join("copy");
    let from = format!("oci:{}:1", dir.join("all").display());
    skopeo.copy_with(&["--all"], &from, &format!("dir:{}", to.display()));
    let list: Value = serde_json::from_slice(&files::read(&to.join("manifest.json"))).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), PLATFORMS.len());
}

#[test]
fn containerd_imports_every_platform() {
    let test = "containerd_imports_every_platform";
    let dir = dir();
    for (file, options) in [("oci.tar", ""), ("docker.tar", ",oci-mediatypes=false")] {
        let Some(containerd) = need::containerd(test) else { return };
        build(&dir).args(["--arch", "all", "-o", &format!("type=archive,dest={file}{options}")]).success();

        containerd.import_all(&dir.join(file));

        let images = containerd.images();
        assert_eq!(images.len(), 1, "{images:?}");
        assert_eq!(images[0].name, format!("docker.io/{NAME}"));
        let mut platforms = images[0].platforms.clone();
        platforms.sort();
        let mut expected = PLATFORMS.map(|(_, platform)| platform.to_owned());
        expected.sort();
        assert_eq!(platforms, expected, "{file}");
        let archive = Image::of_archive(&dir.join(file));
        for (_, platform) in PLATFORMS {
            let config = archive.manifest_for(platform)["config"]["digest"].as_str().unwrap().to_owned();
            assert_eq!(platform_of(&containerd.blob(&config)), platform, "{file}");
        }
    }
}

#[test]
fn buildah_takes_this_machines_of_several() {
    let test = "buildah_takes_this_machines_of_several";
    let Some(buildah) = need::buildah(test) else { return };
    let dir = dir();
    let report = build(&dir).args(["--arch", "all", "-o", "type=oci,dest=all"]).success().stdout_json();
    let id = buildah.pull(&dir.path(), "oci:all:1");
    assert_eq!(id, report["architectures"][0]["image"]["id"]);
}

#[test]
fn what_holds_one_root_filesystem_is_refused_for_several() {
    let dir = dir();
    let refused = |output: &str| {
        let command = dir.command().args(["--profile", "all.toml", "--arch", "all", "-o", output]);
        let outcome = command.fails_with(2);
        assert_eq!(dir.names(), ["all.toml"]);
        outcome.stderr_text()
    };
    let outputs = ["type=tar,dest=x.tar", "type=tar,dest=-", "type=local,dest=x", "type=dockerfile,dest=x"];
    insta::assert_snapshot!(outputs.map(refused).concat());
}

#[test]
fn this_machines_is_built_unless_others_are_named() {
    let dir = dir();
    let outcome = build(&dir).args(["-o", "x.tar"]).success();
    assert_eq!(outcome.stdout_json()["arch"], "x86_64");
    let said = outcome.stderr_text();
    assert!(said.contains("note: building for x86_64; --arch chooses others"), "{said}");
    let plan = build(&dir).args(["--arch", "all", "--dry-run"]).success().stdout_json();
    assert_eq!(plan["architectures"].as_array().unwrap().len(), PLATFORMS.len());
    let words = dir.command().args(["--profile", "all.toml", "--arch", "s390x,armhf", "--dry-run"]).success();
    assert!(words.stdout_text().starts_with("s390x:\n0 packages in the image"), "{words}");
}
