//! Archives and layouts in docker, podman, containerd, skopeo, umoci and buildah: each takes those that it should,
//! and reads back what the profile says.

use serde_json::{Value, json};

use crate::engines::{build, profile};
use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::image::Image;
use crate::support::listing::{Listing, diff};
use crate::support::need;

/// What `everything.toml` is called.
const NAME: &str = "apkcompose-test/everything:1";

/// What `everything.toml` says under `[image]`, as Docker has it.
fn expected(report: &Value) -> Value {
    json!({
        "User": "1200:1500",
        "ExposedPorts": { "53/udp": {}, "8080/tcp": {}, "9000/tcp": {} },
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "EMPTY=",
            "GREETING=hello plain world",
        ],
        "Entrypoint": ["/usr/local/bin/begin", "--"],
        "Cmd": ["/bin/sh", "-c", "echo a b"],
        "Healthcheck": {
            "Test": ["CMD", "/bin/true"],
            "Interval": 30_000_000_000_u64,
            "Timeout": 90_000_000_000_u64,
            "StartPeriod": 500_000_000,
            "Retries": 4,
        },
        "Volumes": { "/srv/shared": {}, "/var/www/html": {} },
        "WorkingDir": "/var/www/html",
        "Labels": {
            "apkcompose.base-trust": report["base"]["trust"],
            "com.example.word": "plain",
            "org.opencontainers.image.title": "everything",
        },
        "StopSignal": "SIGQUIT",
    })
}

/// Builds `everything.toml` into `outputs`; what is reported.
fn built(dir: &Dir, alpine: &Alpine, outputs: &[&str]) -> Value {
    let outputs = outputs.iter().flat_map(|output| ["-o", output]);
    build(dir, alpine, profile("everything.toml")).args(outputs).success().stdout_json()
}

/// Asserts that every field of `expected` is the same in `got`, and names the one that is not.
fn same_fields(who: &str, expected: &Value, got: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&got[field], value, "{who}: {field}");
    }
}

const FORMS: [&str; 7] = [
    "gzip.tar",
    "type=archive,dest=docker.tar,oci-mediatypes=false",
    "type=archive,dest=zstd.tar,compression=zstd,compression-level=9",
    "type=archive,dest=plain.tar,compression=uncompressed",
    "type=oci,dest=gzip",
    "type=oci,dest=zstd,compression=zstd",
    "type=oci,dest=plain,compression=uncompressed",
];

#[test]
fn the_report_says_of_every_output_by_which_digest_it_is_known() {
    let test = "the_report_says_of_every_output_by_which_digest_it_is_known";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();

    let report = built(&dir, &alpine, &[&FORMS[..], &["type=tar,dest=rootfs.tar"]].concat());

    let outputs = report["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 8);
    for output in outputs {
        let place = dir.join(output["destination"].as_str().unwrap());
        let image = match output["type"].as_str().unwrap() {
            "archive" => Image::of_archive(&place),
            "oci" => Image::of_layout(&place),
            _ => continue,
        };
        let digest = format!("sha256:{}", output["manifest"].as_str().unwrap());
        assert_eq!(image.index()["manifests"][0]["digest"], digest, "{output}");
        let config = image.manifest_for("linux/amd64")["config"]["digest"].clone();
        // However it is stored, it is the same image.
        assert_eq!(config, format!("sha256:{}", report["image"]["id"].as_str().unwrap()), "{output}");
    }
    for (output, file) in outputs.iter().filter(|output| !output["sha256"].is_null()).zip([
        "gzip.tar",
        "docker.tar",
        "zstd.tar",
        "plain.tar",
        "rootfs.tar",
    ]) {
        let digest = apkcompose::digest::Sha256::of(&dir.read(file)).to_hex();
        assert_eq!(output["sha256"], digest, "{file}");
    }
    let rootfs = Listing::of_tar_file(&dir.join("rootfs.tar"));
    for file in ["gzip.tar", "docker.tar", "zstd.tar", "plain.tar"] {
        assert_eq!(diff(&rootfs, &Image::of_archive(&dir.join(file)).tree(), &[]), [""; 0], "{file}");
    }
}

#[test]
fn every_compression_is_done_once_whatever_the_number_of_outputs() {
    let dir = Dir::new();
    let outputs =
        ["a.tar", "b.tar", "type=oci,dest=c", FORMS[1], "type=oci,dest=d,compression=zstd", FORMS[2]];
    let command = dir.command().args(["--profile", "demo", "--progress", "json"]);
    let said = command.args(outputs.iter().flat_map(|output| ["-o", output])).success().stderr_text();
    let begun = said.lines().filter(|line| line.contains("\"begin\"") && line.contains("\"squash\"")).count();
    // gzip, zstd at its usual level, zstd at level 9.
    assert_eq!(begun, 3, "{said}");
    assert_eq!(dir.read("a.tar"), dir.read("b.tar"));
}

#[test]
fn skopeo_copies_every_form_and_reads_its_configuration() {
    let test = "skopeo_copies_every_form_and_reads_its_configuration";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(skopeo) = need::skopeo(test) else { return };
    let dir = Dir::new();
    let report = built(&dir, &alpine, &FORMS);
    let (expected, id) = (expected(&report), report["image"]["id"].as_str().unwrap());

    for (from, rest) in [
        ("docker-archive:gzip.tar", NAME),
        ("docker-archive:docker.tar", NAME),
        ("docker-archive:plain.tar", NAME),
        ("oci-archive:gzip.tar", "1"),
        ("oci-archive:gzip.tar", "plain"),
        ("oci-archive:zstd.tar", "1"),
        ("oci-archive:plain.tar", "1"),
        ("oci:gzip", "1"),
        ("oci:gzip", "plain"),
        ("oci:zstd", "1"),
        ("oci:plain", "1"),
    ] {
        let (kind, path) = from.split_once(':').unwrap();
        let from = format!("{kind}:{}:{rest}", dir.join(path).display());
        let config = skopeo.config(&from);
        same_fields(&from, &expected, &config["config"]);
        assert_eq!(config["author"], "A. Author <author@example.org>", "{from}");
        assert_eq!(config["created"], report["image"]["created"], "{from}");
        let to = dir.join("copy");
        // Preserving digests, so that nothing is said of another image than this one.
        skopeo.copy(&from, &format!("dir:{}", to.display()));
        let manifest: Value = serde_json::from_slice(&dir.read("copy/manifest.json")).unwrap();
        assert_eq!(manifest["config"]["digest"], format!("sha256:{id}"), "{from}");
        std::fs::remove_dir_all(to).unwrap();
    }
}

#[test]
fn docker_loads_every_archive_but_that_of_zstd() {
    let test = "docker_loads_every_archive_but_that_of_zstd";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let dir = Dir::new();
    // Another time makes it another image than other tests load.
    let build = build(&dir, &alpine, profile("everything.toml")).args(["--epoch", "1700000002"]);
    let outputs = FORMS.iter().filter(|form| form.contains(".tar")).flat_map(|form| ["-o", form]);
    let outcome = build.args(outputs).args(["-t", "apkcompose-test/forms:1"]).success();
    let report = outcome.stdout_json();

    // Docker reads zstd from version 23 on; this is 20.10, and the warning says so. A layer that it has already it
    // would not read.
    let refused = docker.refuses(&dir.join("zstd.tar"));
    assert!(refused.contains("invalid tar header"), "{refused}");
    let warning = "warning: docker before 23 cannot load zstd.tar, whose layers are compressed with zstd\n";
    assert!(outcome.stderr_text().contains(warning), "{outcome}");

    for file in ["gzip.tar", "docker.tar", "plain.tar"] {
        assert_eq!(docker.load(&dir.join(file)), ["apkcompose-test/forms:1"], "{file}");
        let known = docker.inspect("apkcompose-test/forms:1");
        assert_eq!(known["Id"], format!("sha256:{}", report["image"]["id"].as_str().unwrap()), "{file}");
        same_fields(file, &expected(&report), &known["Config"]);
    }
}

#[test]
fn podman_loads_and_pulls_every_form() {
    let test = "podman_loads_and_pulls_every_form";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    let report = built(&dir, &alpine, &FORMS);
    let mut expected = expected(&report);
    let healthcheck = expected.as_object_mut().unwrap().remove("Healthcheck").unwrap();

    for file in ["gzip.tar", "docker.tar", "zstd.tar", "plain.tar"] {
        let Some(podman) = need::podman(test) else { return };
        let names = podman.load(&dir.join(file));
        let known = podman.inspect(&names[0]);
        assert_eq!(known["Id"], report["image"]["id"], "{file}");
        same_fields(file, &expected, &known["Config"]);
        assert_eq!(known["Author"], "A. Author <author@example.org>", "{file}");
    }
    for layout in ["gzip", "zstd", "plain"] {
        let Some(podman) = need::podman(test) else { return };
        let id = podman.pull(&dir.path(), &format!("oci:{layout}:1"));
        assert_eq!(id, report["image"]["id"], "{layout}");
        same_fields(layout, &expected, &podman.inspect(&id)["Config"]);
    }
    let Some(podman) = need::podman(test) else { return };
    let names = podman.load(&dir.join("docker.tar"));
    assert_eq!(podman.inspect(&names[0])["Healthcheck"], healthcheck);
}

#[test]
fn podman_leaves_out_the_health_check_of_what_it_reads_as_oci_as_is_noted() {
    let test = "podman_leaves_out_the_health_check_of_what_it_reads_as_oci_as_is_noted";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    let outcome = build(&dir, &alpine, profile("everything.toml"))
        .args(["-t", "apkcompose-test/health:1", "-o", "oci.tar", "-o", FORMS[1]])
        .success();

    let healthcheck = |file: &str| {
        let podman = need::podman(test)?;
        let names = podman.load(&dir.join(file));
        Some(podman.inspect(&names[0])["Healthcheck"].clone())
    };
    let (Some(oci), Some(docker)) = (healthcheck("oci.tar"), healthcheck("docker.tar")) else { return };

    assert_eq!(oci, Value::Null);
    assert_eq!(docker["Test"], json!(["CMD", "/bin/true"]));
    let said = outcome.stderr_text();
    assert!(said.contains("note: podman may leave out the health check of oci.tar"), "{said}");
    assert!(!said.contains("health check of docker.tar"), "{said}");
}

#[test]
fn containerd_imports_and_unpacks_every_archive() {
    let test = "containerd_imports_and_unpacks_every_archive";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    let report = built(&dir, &alpine, &FORMS);

    for (number, file) in ["gzip.tar", "docker.tar", "zstd.tar", "plain.tar"].into_iter().enumerate() {
        let Some(containerd) = need::containerd(test) else { return };
        containerd.import(&dir.join(file));
        let images = containerd.images();
        let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
        assert_eq!(
            names,
            ["docker.io/apkcompose-test/everything:1", "docker.io/apkcompose-test/everything:plain"],
            "{file}"
        );
        for image in &images {
            let manifest = report["outputs"][number]["manifest"].as_str().unwrap();
            assert_eq!(image.digest, format!("sha256:{manifest}"), "{file}");
            assert_eq!(image.platforms, ["linux/amd64"], "{file}");
        }
        let config = containerd.blob(&format!("sha256:{}", report["image"]["id"].as_str().unwrap()));
        same_fields(file, &expected(&report), &config["config"]);
    }
}

#[test]
fn buildah_pulls_layouts_and_archives() {
    let test = "buildah_pulls_layouts_and_archives";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    let report = built(&dir, &alpine, &FORMS);

    for (from, rest) in [
        ("oci:gzip", ":1"),
        ("oci:zstd", ":plain"),
        ("oci-archive:gzip.tar", ":1"),
        ("oci-archive:zstd.tar", ":1"),
        ("docker-archive:docker.tar", ":apkcompose-test/everything:1"),
    ] {
        let Some(buildah) = need::buildah(test) else { return };
        let (kind, path) = from.split_once(':').unwrap();
        let id = buildah.pull(&dir.path(), &format!("{kind}:{path}{rest}"));
        assert_eq!(id, report["image"]["id"], "{from}");
        let known = buildah.inspect(&id);
        let mut of_oci = expected(&report);
        let healthcheck = of_oci.as_object_mut().unwrap().remove("Healthcheck").unwrap();
        same_fields(from, &of_oci, &known["OCIv1"]["config"]);
        if kind == "docker-archive" {
            assert_eq!(known["Docker"]["config"]["Healthcheck"], healthcheck, "{from}");
        }
        assert_eq!(known["OCIv1"]["author"], "A. Author <author@example.org>", "{from}");
    }
}

#[test]
fn umoci_unpacks_a_layout_to_the_tree_that_was_composed() {
    let test = "umoci_unpacks_a_layout_to_the_tree_that_was_composed";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(umoci) = need::umoci(test) else { return };
    let dir = Dir::new();
    built(&dir, &alpine, &["type=oci,dest=gzip", "type=oci,dest=plain,compression=uncompressed", "x.tar"]);
    let expected = Image::of_archive(&dir.join("x.tar")).tree();

    for layout in ["gzip", "plain"] {
        let bundle = dir.join(format!("bundle-{layout}"));
        let config = umoci.unpack(&dir.join(layout), "1", &bundle);
        let tree = Listing::of_directory(&bundle.join("rootfs"));
        assert_eq!(diff(&expected, &tree, &[]), [""; 0], "{layout}");
        let process = &config["process"];
        let args = ["/usr/local/bin/begin", "--", "/bin/sh", "-c", "echo a b"];
        assert_eq!(process["args"], json!(args), "{layout}");
        assert_eq!(process["cwd"], "/var/www/html", "{layout}");
        assert_eq!((&process["user"]["uid"], &process["user"]["gid"]), (&json!(1200), &json!(1500)));
        let env = process["env"].as_array().unwrap();
        assert!(env.contains(&json!("GREETING=hello plain world")), "{env:?}");
        assert_eq!(config["annotations"]["org.opencontainers.image.stopSignal"], "SIGQUIT", "{layout}");
        assert_eq!(config["annotations"]["com.example.word"], "plain", "{layout}");
    }
}
