//! An image as the base: that every blob is the one that is named, that nothing leads out of it, and that little
//! does not become much.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use apkcompose::arch::Arch;
use apkcompose::digest::Sha256;
use apkcompose::fetch::{self, FetchError};
use apkcompose::kind::Explain as _;
use apkcompose::report::Silent;
use apkcompose::store::Store;
use serde_json::{Value, json};

use super::Scene;
use super::hostile::{Said, gzip, tar};
use crate::fetching::fetcher;
use crate::made::flipped;
use crate::support::command::Dir;
use crate::support::files;

/// What is done to a document before it is stored under its digest.
type Change = Box<dyn Fn(&mut Value)>;

/// An image in the making.
struct Image {
    /// Tars, and what is stored of them.
    layers: Vec<(Vec<u8>, Vec<u8>)>,
    config: Change,
    manifest: Change,
    index: Change,
}

impl Image {
    /// An image of these layers, compressed with gzip.
    fn of<L: IntoIterator<Item = Said>>(layers: impl IntoIterator<Item = L>) -> Self {
        let layer = |entries: L| {
            let tar = tar(&entries.into_iter().collect::<Vec<_>>());
            let stored = gzip(&tar);
            (tar, stored)
        };
        Self {
            layers: layers.into_iter().map(layer).collect(),
            config: Box::new(|_| {}),
            manifest: Box::new(|_| {}),
            index: Box::new(|_| {}),
        }
    }

    /// One of two layers, with nothing wrong.
    fn sound() -> Self {
        Self::of([
            vec![Said::dir("etc"), Said::file("etc/a", "one"), Said::file("etc/b", "one")],
            vec![Said::file("etc/.wh.a", ""), Said::file("etc/b", "two")],
        ])
    }

    /// One whose second layer has this entry beside a sound first one.
    fn with(entry: Said) -> Self {
        Self::of([
            vec![Said::dir("etc"), Said::file("etc/a", "one"), Said::symlink("way", "etc")],
            vec![entry],
        ])
    }

    fn config(self, change: impl Fn(&mut Value) + 'static) -> Self {
        Self { config: Box::new(change), ..self }
    }

    fn manifest(self, change: impl Fn(&mut Value) + 'static) -> Self {
        Self { manifest: Box::new(change), ..self }
    }

    fn index(self, change: impl Fn(&mut Value) + 'static) -> Self {
        Self { index: Box::new(change), ..self }
    }

    /// Writes it as an OCI layout.
    fn layout(&self, dir: &Dir) {
        let digests: Vec<String> =
            self.layers.iter().map(|(tar, _)| format!("sha256:{}", Sha256::of(tar))).collect();
        let mut config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": digests }, "history": [],
        });
        (self.config)(&mut config);
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        let layers: Vec<Value> = self.layers.iter().map(|(_, stored)| blob(dir, layer, stored)).collect();
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": document(dir, "application/vnd.oci.image.config.v1+json", &config),
            "layers": layers,
        });
        (self.manifest)(&mut manifest);
        let mut top = document(dir, "application/vnd.oci.image.manifest.v1+json", &manifest);
        top["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
        let mut index = json!({ "schemaVersion": 2, "manifests": [top] });
        (self.index)(&mut index);
        dir.write("layout/index.json", index.to_string());
        dir.write("layout/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    }

    /// A scene whose base it is, as a layout.
    fn scene(&self) -> Scene {
        let scene = over("./layout");
        self.layout(&scene.dir);
        scene
    }

    /// Composing over it must fail with `code` and the message of the snapshot `name`.
    fn refused(&self, name: &str, code: i32) {
        self.scene().refused(name, code);
    }
}

/// A scene whose base is at `path`.
fn over(path: &str) -> Scene {
    Scene::with_profile(&format!("[alpine]\narch = [\"x86_64\"]\nbase = \"{path}\"\nrepositories = []\n"))
}

/// Writes a blob of a layout and gives its descriptor.
fn blob(dir: &Dir, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Sha256::of(bytes);
    dir.write(&format!("layout/blobs/sha256/{digest}"), bytes);
    json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() })
}

fn document(dir: &Dir, media_type: &str, document: &Value) -> Value {
    blob(dir, media_type, document.to_string().as_bytes())
}

/// The paths of the blobs: manifest, configuration, and the layers from the lowest.
fn blobs(dir: &Dir) -> Vec<String> {
    let json = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
    let path =
        |value: &Value| format!("layout/blobs/{}", value["digest"].as_str().unwrap().replace(':', "/"));
    let manifest = path(&json(dir.read("layout/index.json"))["manifests"][0]);
    let document = json(dir.read(&manifest));
    let layers = document["layers"].as_array().unwrap().iter().map(path);
    [manifest, path(&document["config"])].into_iter().chain(layers).collect()
}

#[test]
fn a_sound_image_is_a_base() {
    let scene = Image::sound().scene();
    scene.dir.command().args(["--profile", "p.toml", "--quiet", "-o", "type=tar,dest=root.tar"]).success();
    let tree = crate::support::listing::Listing::of_tar_file(&scene.dir.join("root.tar"));
    assert_eq!(tree.text("etc/b"), "two");
    assert!(tree.get("etc/a").is_none());
}

#[test]
fn a_blob_that_is_not_the_one_that_is_named_is_refused() {
    for (number, name) in ["manifest", "config", "layer"].into_iter().enumerate() {
        let scene = Image::sound().scene();
        let path = blobs(&scene.dir)[number].clone();
        let original = scene.dir.read(&path);
        scene.dir.write(&path, flipped(&original, original.len() / 2));
        scene.refused(&format!("base-image-{name}-flipped"), 5);
        scene.dir.write(&path, &original[..original.len() - 1]);
        scene.refused(&format!("base-image-{name}-cut"), 5);
        scene.dir.write(&path, [&original[..], b"\n"].concat());
        scene.refused(&format!("base-image-{name}-longer"), 5);
        fs::remove_file(scene.dir.join(&path)).unwrap();
        scene.refused(&format!("base-image-{name}-missing"), 4);
        // Nothing outside of the layout takes its place.
        let outside = scene.dir.write("outside", &original);
        symlink(outside, scene.dir.join(&path)).unwrap();
        scene.refused(&format!("base-image-{name}-missing"), 4);
    }
}

#[test]
fn sizes_that_are_not_true_are_refused() {
    let larger = |value: &mut Value| value["size"] = json!(value["size"].as_u64().unwrap() + 1);
    Image::sound()
        .manifest(move |manifest| larger(&mut manifest["layers"][1]))
        .refused("base-image-layer-size", 5);
    Image::sound()
        .manifest(move |manifest| larger(&mut manifest["config"]))
        .refused("base-image-config-size", 5);
    Image::sound()
        .index(move |index| larger(&mut index["manifests"][0]))
        .refused("base-image-manifest-size", 5);
    let negative = |manifest: &mut Value| manifest["layers"][0]["size"] = json!(-1);
    Image::sound().manifest(negative).refused("base-image-negative-size", 5);
    let huge = |manifest: &mut Value| manifest["layers"][0]["size"] = json!(u64::MAX);
    Image::sound().manifest(huge).refused("base-image-huge-size", 5);
}

#[test]
fn layers_that_are_not_those_of_the_configuration_are_refused() {
    let swapped = |manifest: &mut Value| manifest["layers"].as_array_mut().unwrap().swap(0, 1);
    Image::sound().manifest(swapped).refused("base-image-layers-swapped", 5);
    let repeated = |manifest: &mut Value| {
        let layers = manifest["layers"].as_array_mut().unwrap();
        layers.push(layers[0].clone());
    };
    Image::sound().manifest(repeated).refused("base-image-layer-repeated", 5);
    let fewer = |manifest: &mut Value| drop(manifest["layers"].as_array_mut().unwrap().pop());
    Image::sound().manifest(fewer).refused("base-image-layer-left-out", 5);
    let other = |config: &mut Value| {
        config["rootfs"]["diff_ids"][1] = json!(format!("sha256:{}", Sha256::of(b"other")));
    };
    Image::sound().config(other).refused("base-image-diff-id", 5);
    let mut many = Image::sound();
    many.layers = (0..600).map(|_| many.layers[0].clone()).collect();
    many.refused("base-image-very-many-layers", 8);
}

#[test]
fn what_is_no_image_for_containers_is_refused() {
    let of = |what: &'static str, media_type: &'static str| {
        move |manifest: &mut Value| match what {
            "config" => manifest["config"]["mediaType"] = json!(media_type),
            _ => manifest["layers"][1]["mediaType"] = json!(media_type),
        }
    };
    Image::sound()
        .manifest(of("layer", "application/vnd.oci.image.layer.v1.tar+encrypted"))
        .refused("base-image-layer-type", 3);
    Image::sound()
        .manifest(of("layer", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"))
        .refused("base-image-foreign-layer", 3);
    Image::sound().manifest(of("layer", "\x1b[31m")).refused("base-image-layer-type-escape", 3);
    Image::sound()
        .manifest(of("config", "application/vnd.cncf.helm.config.v1+json"))
        .refused("base-image-config-type", 3);
    let other = |index: &mut Value| index["manifests"][0]["mediaType"] = json!("application/vnd.x+json");
    Image::sound().index(other).refused("base-image-none", 3);
    let lying = |manifest: &mut Value| {
        manifest["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+zstd");
    };
    // What it really is counts.
    Image::sound().manifest(lying).scene().image();
    let mut text = Image::sound();
    text.layers[1] = (b"text".to_vec(), b"text".to_vec());
    text.refused("base-image-layer-is-text", 5);
}

#[test]
fn digests_that_are_none_are_refused() {
    let with = |digest: &'static str| {
        Image::sound().manifest(move |manifest| manifest["layers"][0]["digest"] = json!(digest))
    };
    with("sha256:../../../outside").refused("base-image-digest-path", 5);
    with("md5:d41d8cd98f00b204e9800998ecf8427e").refused("base-image-digest-algorithm", 5);
    with("").refused("base-image-digest-empty", 5);
}

#[test]
fn documents_that_are_malformed_are_refused() {
    for (name, text) in [
        ("html", "<html>404</html>".to_owned()),
        ("empty", String::new()),
        ("list", "[]".to_owned()),
        ("deep", "[".repeat(100_000)),
        ("twice", "{\"manifests\":[],\"manifests\":[]}".to_owned()),
    ] {
        let scene = Image::sound().scene();
        scene.dir.write("layout/index.json", text);
        scene.refused(&format!("base-image-index-{name}"), 5);
    }
    let scene = Image::sound().scene();
    scene.dir.write("layout/index.json", " ".repeat(5 << 20));
    scene.refused("base-image-index-huge", 8);
    fs::remove_file(scene.dir.join("layout/index.json")).unwrap();
    scene.refused("base-image-no-index", 4);
    Image::sound().index(|index| index["manifests"] = json!([])).refused("base-image-empty", 3);
    Image::sound()
        .config(|config| drop(config.as_object_mut().unwrap().remove("rootfs")))
        .refused("base-image-config-without-rootfs", 5);
    let scene = Image::sound().scene();
    scene.dir.write("layout/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
    scene.refused("base-image-version", 3);
    scene.dir.write("layout/oci-layout", "1.0.0");
    scene.refused("base-image-version-malformed", 5);
}

#[test]
fn an_image_for_another_machine_is_refused() {
    Image::sound()
        .config(|config| config["architecture"] = json!("arm64"))
        .refused("base-image-other-machine", 3);
    Image::sound().config(|config| config["os"] = json!("windows")).refused("base-image-other-system", 3);
    let scene = Image::sound().scene();
    let list = |dir: &Dir, platforms: &[Value]| {
        let manifest: Value = serde_json::from_slice(&dir.read("layout/index.json")).unwrap();
        let manifests = platforms.iter().map(|platform| {
            let mut manifest = manifest["manifests"][0].clone();
            manifest["platform"] = platform.clone();
            manifest
        });
        let list = json!({ "schemaVersion": 2, "manifests": manifests.collect::<Vec<_>>() });
        let top = document(dir, "application/vnd.oci.image.index.v1+json", &list);
        dir.write("layout/index.json", json!({ "schemaVersion": 2, "manifests": [top] }).to_string());
    };
    let platform = |architecture: &str| json!({ "architecture": architecture, "os": "linux" });
    list(
        &scene.dir,
        &[platform("arm64"), json!({ "architecture": "unknown", "os": "unknown" }), json!(null)],
    );
    scene.refused("base-image-no-platform", 3);
    // Said to be for this machine, and not.
    let scene = Image::sound().config(|config| config["architecture"] = json!("s390x")).scene();
    list(&scene.dir, &[platform("amd64")]);
    scene.refused("base-image-lying-platform", 3);
    // One more list around it each time.
    let scene = Image::sound().scene();
    (0..3).for_each(|_| list(&scene.dir, &[platform("amd64")]));
    scene.image();
    fs::remove_file(scene.dir.join(super::OUTPUT)).unwrap();
    (0..3).for_each(|_| list(&scene.dir, &[platform("amd64")]));
    scene.refused("base-image-list-of-lists", 8);
}

#[test]
fn a_name_that_is_not_there_is_answered_with_those_that_are() {
    let scene = over("./layout:2");
    Image::sound().layout(&scene.dir);
    scene.refused("base-image-no-such-name", 3);
    let other = |index: &mut Value| {
        let mut other = index["manifests"][0].clone();
        other["digest"] = json!(format!("sha256:{}", Sha256::of(b"other")));
        other["annotations"] = json!({ "org.opencontainers.image.ref.name": "2\x1b[31m" });
        index["manifests"].as_array_mut().unwrap().push(other);
    };
    Image::sound().index(other).refused("base-image-ambiguous", 3);
    let scene = over("./rootfs.tar:1");
    scene.dir.write("rootfs.tar", tar(&[Said::file("a", "x")]));
    scene.refused("base-image-name-of-no-image", 3);
    let scene = over("./nothing:1");
    scene.refused("base-image-name-in-nothing", 4);
    let scene = Image::sound().scene();
    let (digest, other) = (Sha256::of(b"other"), blobs(&scene.dir)[0].clone());
    scene.profile(&format!(
        "[alpine]\narch = [\"x86_64\"]\nbase = \"./layout\"\nbase-sha256 = \"{digest}\"\nrepositories = []\n"
    ));
    scene.refused("base-image-sha256-mismatch", 5);
    let right = other.rsplit('/').next().unwrap();
    scene.profile(&format!(
        "[alpine]\narch = [\"x86_64\"]\nbase = \"./layout\"\nbase-sha256 = \"{right}\"\nrepositories = []\n"
    ));
    scene.image();
}

#[test]
fn layers_that_leave_the_root_are_refused() {
    for (name, entry) in [
        ("dots", Said::file("../etc/passwd", "x")),
        ("absolute", Said::file("/etc/passwd", "x")),
        ("through-link", Said::file("way/new", "x")),
        ("hard-link-out", Said::hard_link("x", "../../etc/shadow")),
        ("hard-link-through", Said::hard_link("x", "way/a")),
        ("hard-link-to-nothing", Said::hard_link("x", "etc/nothing")),
        ("into-a-file", Said::file("etc/a/b", "x")),
        ("name-escape", Said::file("a\x1b[31m", "x")),
        ("xattr-overlay", Said::file("x", "x").record("SCHILY.xattr.trusted.overlay.opaque", "y")),
    ] {
        Image::with(entry).refused(&format!("base-layer-{name}"), 5);
    }
}

#[test]
fn whiteouts_that_delete_what_no_layer_may_are_refused() {
    for (name, entry) in [
        ("nothing", Said::file(".wh.", "")),
        ("root", Said::file(".wh..", "")),
        ("above-the-root", Said::file(".wh...", "")),
        ("directory-itself", Said::file("etc/.wh..", "")),
        ("outside", Said::file("../.wh.etc", "")),
        ("through-link", Said::file("way/.wh.a", "")),
        ("opaque-link", Said::file("way/.wh..wh..opq", "")),
        ("whiteout", Said::file("etc/.wh..wh.a", "")),
        ("aufs", Said::dir(".wh..wh.plnk")),
        ("directory", Said::dir("etc/.wh.a")),
        ("device", Said::device("etc/.wh.a", b'3', 0, 0)),
        ("link", Said::symlink("etc/.wh.a", "x")),
        ("below", Said::file(".wh.etc/a", "")),
    ] {
        Image::with(entry).refused(&format!("base-layer-whiteout-{name}"), 5);
    }
}

#[test]
fn no_whiteout_of_a_base_reaches_the_image() {
    let scene = Image::of([
        vec![Said::dir("etc"), Said::file("etc/a", "x"), Said::dir("gone"), Said::file("gone/b", "x")],
        vec![Said::file("etc/.wh..wh..opq", ""), Said::file(".wh.gone", ""), Said::file(".wh.never", "")],
    ])
    .scene();
    scene.dir.command().args(["--profile", "p.toml", "--quiet", "-o", "type=tar,dest=root.tar"]).success();
    let tree = crate::support::listing::Listing::of_tar_file(&scene.dir.join("root.tar"));
    let left: Vec<&str> =
        tree.order().iter().map(String::as_str).filter(|path| !path.contains("apk")).collect();
    assert_eq!(left, ["etc", "lib"]);
}

#[test]
fn a_device_by_which_other_file_systems_delete_is_refused() {
    Image::with(Said::device("etc/a", b'3', 0, 0)).refused("base-layer-device-that-deletes", 5);
}

#[test]
fn layers_that_inflate_without_end_are_refused() {
    let bomb = |tar: Vec<u8>| {
        let mut image = Image::sound();
        image.layers[1] = (tar.clone(), gzip(&tar));
        image
    };
    let mut zeros = tar(&[Said::of("x", b'0').size(300 << 20)]);
    zeros.resize(300 << 20, 0);
    bomb(zeros).refused("base-layer-bomb", 8);
    // Each one within what it may have, all together not.
    let mut part = super::hostile::open_tar(&[Said::of("x", b'0').size(100 << 20)]);
    part.resize(part.len() + (100 << 20) + 1024, 0);
    let mut image = Image::sound();
    image.layers = vec![(part.clone(), gzip(&part)); 4];
    // The same blob is inflated once, and counts each time.
    image.layers.iter_mut().enumerate().for_each(|(number, (tar, stored))| {
        tar[1000] = b'0' + u8::try_from(number).unwrap();
        *stored = gzip(tar);
    });
    image.refused("base-layers-bomb", 8);
}

/// An archive as `docker save` writes it.
fn docker_archive(list: &Value, rest: &[Said]) -> Vec<u8> {
    tar(&[&[Said::file("manifest.json", list.to_string())], rest].concat())
}

#[test]
fn archives_of_dockers_own_form_are_held_against_their_digests() {
    let layer = tar(&[Said::file("a", "x")]);
    let config = |diff_id: Sha256| {
        json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        })
        .to_string()
    };
    let good = config(Sha256::of(&layer));
    let name = |config: &str| format!("{}.json", Sha256::of(config.as_bytes()));
    let list =
        |config: &str, layer: &str| json!([{ "Config": config, "RepoTags": ["x:1"], "Layers": [layer] }]);
    let scene = over("./x.tar");
    let archive =
        |list: &Value, entries: &[Said]| drop(scene.dir.write("x.tar", docker_archive(list, entries)));

    let sound = [Said::file(&name(&good), &good), Said::dir("l"), Said::file("l/layer.tar", &layer)];
    archive(&list(&name(&good), "l/layer.tar"), &sound);
    scene.image();
    fs::remove_file(scene.dir.join(super::OUTPUT)).unwrap();
    archive(
        &list(&name(&good), "m/layer.tar"),
        &[&sound[..], &[Said::dir("m"), Said::symlink("m/layer.tar", "../l/layer.tar")]].concat(),
    );
    scene.image();
    fs::remove_file(scene.dir.join(super::OUTPUT)).unwrap();

    archive(
        &list(&name(&good), "l/layer.tar"),
        &[Said::file(&name(&good), good.replace("amd64", "amd65")), sound[2].clone()],
    );
    scene.refused("base-docker-config-changed", 5);
    let other = config(Sha256::of(b"other"));
    archive(&list(&name(&other), "l/layer.tar"), &[Said::file(&name(&other), &other), sound[2].clone()]);
    scene.refused("base-docker-layer-changed", 5);
    archive(&list(&name(&good), "gone/layer.tar"), &sound);
    scene.refused("base-docker-layer-missing", 4);
    archive(&list(&name(&good), "../../etc/passwd"), &sound);
    scene.refused("base-docker-layer-way-out", 4);
    archive(
        &list(&name(&good), "m"),
        &[&sound[..], &[Said::symlink("m", "n"), Said::symlink("n", "m")]].concat(),
    );
    scene.refused("base-docker-layer-circle", 4);
    archive(&list("/etc/passwd", "l/layer.tar"), &sound);
    scene.refused("base-docker-config-way-out", 4);
    let two = json!([list(&name(&good), "l/layer.tar")[0], list(&name(&good), "l/layer.tar")[0]]);
    archive(&two, &sound);
    scene.refused("base-docker-ambiguous", 3);
}

#[test]
fn a_root_filesystem_with_a_file_manifest_json_is_one() {
    let scene = over("./x.tar");
    for text in ["{}", "[]", "[{\"name\":\"x\"}]", "<html>"] {
        scene.dir.write("x.tar", tar(&[Said::file("manifest.json", text), Said::file("a", "x")]));
        scene.image();
    }
}

#[test]
fn what_is_damaged_in_the_store_is_mended_from_the_image() {
    let scene = Image::sound().scene();
    let image = scene.image();
    let expanded = scene.dir.cache().join("expanded");
    let kept = scene.dir.cache().join("blobs/sha256");
    let ending = |directory: &Path, extension: &str| {
        let mut names = files::names(directory);
        names.retain(|name| name.ends_with(extension));
        assert_eq!(names.len(), 2);
        names
    };
    let damage = |directory: &Path, extension: &str| {
        let names = ending(directory, extension);
        for name in names {
            let bytes = files::read(&directory.join(&name));
            // Of a tar, the content of its file.
            let at = bytes.windows(3).position(|window| window == b"two" || window == b"one").unwrap_or(20);
            files::write(&directory.join(&name), &flipped(&bytes, at));
        }
    };
    let tables = || {
        for name in ending(&expanded, ".toc") {
            fs::remove_file(expanded.join(name)).unwrap();
        }
    };
    damage(&expanded, ".tar");
    assert!(scene.image() == image, "inflated copies");
    damage(&expanded, ".toc");
    assert!(scene.image() == image, "tables");
    damage(&kept, "");
    tables();
    assert!(scene.image() == image, "blobs");
    // What the store has whole needs no image any more.
    let layers = blobs(&scene.dir).split_off(2);
    for layer in layers {
        fs::remove_file(scene.dir.join(layer)).unwrap();
    }
    tables();
    assert!(scene.image() == image, "without the image");
}

/// The base at `path`, with an empty store.
fn taken(path: &Path) -> Result<Vec<apkcompose::archive::table::Table>, FetchError> {
    let cache = tempfile::tempdir().unwrap();
    let store = Store::open(&cache.path().join("store")).unwrap();
    let base = fetch::local_base(&fetcher(&store, 1, &Silent), path, None, Arch::X86_64)?;
    Ok(base.layers.iter().map(|layer| layer.table().clone()).collect())
}

#[test]
fn every_byte_of_a_layout_is_damaged_and_none_makes_another_tree() {
    let dir = Dir::new();
    Image::sound().layout(&dir);
    let layout = dir.join("layout");
    let sound = taken(&layout).unwrap();
    let mut paths = blobs(&dir);
    paths.extend(["layout/index.json".to_owned(), "layout/oci-layout".to_owned()]);
    for path in paths {
        let original = dir.read(&path);
        let named = path.contains("blobs");
        let check = |damage: &str, at: usize| match taken(&layout) {
            Ok(tables) => {
                assert!(!named, "{path}: {damage} at {at} was not noticed");
                assert_eq!(tables, sound, "{path}: {damage} at {at}");
            }
            Err(error) => assert!(error.kind().exit_code() != 1, "{path}: {damage} at {at}: {error}"),
        };
        for at in 0..original.len() {
            dir.write(&path, flipped(&original, at));
            check("a flipped bit", at);
            if at % 7 == 1 {
                dir.write(&path, &original[..at]);
                check("a cut", at);
                dir.write(&path, [&original[..at], &original[..]].concat());
                check("a repetition", at);
            }
        }
        dir.write(&path, original);
    }
    assert_eq!(taken(&layout).unwrap(), sound);
    assert_eq!(files::names(&layout), ["blobs", "index.json", "oci-layout"]);
}
