//! `why`, `why-not` and `resolve --profile --add`: what is said of an image's packages, names and paths; and the closure
//! behind it against a model that knows nothing of how it is computed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::made;
use crate::refusals::hostile::{Package, Said, plain};
use crate::support::command::{Dir, Outcome};
use crate::support::need;

/// A directory with a profile over a repository of a few packages: a server over two libraries, a tool over one of
/// them, documentation that comes by itself, and more that nobody asks for.
struct Scene {
    dir: Dir,
}

impl Scene {
    fn new(more: &str) -> Self {
        let dir = Dir::new();
        let library =
            |name: &str, provides: &str, size: u64| plain(name).says("provides", provides).size(size);
        let packages: Vec<Package> = vec![
            plain("web").says("depend", "so:libssl.so.3").says("depend", "web-data").size(5000),
            plain("web-data").size(700).has([
                Said::dir("usr"),
                Said::dir("usr/share"),
                Said::file("usr/share/index.html", "hello"),
                Said::symlink("usr/share/start", "index.html"),
            ]),
            library("libssl3", "so:libssl.so.3=3", 600).says("depend", "so:libcrypto.so.3"),
            library("libcrypto3", "so:libcrypto.so.3=3.1", 4000),
            plain("tool").says("depend", "libcrypto3").says("provides", "cmd:tool=1-r0").size(100),
            plain("docs").size(10),
            plain("web-doc").says("install_if", "web").says("install_if", "docs").size(50),
            plain("editor").says("depend", "editor-libs").says("depend", "so:libcrypto.so.3").size(900),
            plain("editor-libs").size(300),
            plain("rival").says("depend", "!web").size(1),
        ];
        let made: Vec<_> = packages.into_iter().map(Package::made).collect();
        made::repository(&dir.join("repo"), "test", &made.iter().collect::<Vec<_>>(), made::key());
        dir.write("test.rsa.pub", made::key().public_key().pem());
        dir.write(
            "p.toml",
            format!(
                "[alpine]\narch = [\"x86_64\"]\nbase = \"scratch\"\nrepositories = [\"./repo\"]\n\
                 keys = [\"test.rsa.pub\"]\n\n[packages]\nruntime = [\"web\", \"tool\"]\n{more}"
            ),
        );
        Self { dir }
    }

    fn ask(&self, command: &str, arguments: &[&str], code: i32) -> Outcome {
        let asked = self.dir.command().arg(command).args(["-q", "--profile", "p.toml"]);
        let outcome = asked.args(arguments).fails_with(code);
        assert_eq!(self.dir.names(), ["p.toml", "repo", "test.rsa.pub"], "something was written");
        outcome
    }

    fn json(&self, command: &str, arguments: &[&str]) -> Value {
        self.ask(command, &[arguments, &["--format", "json"]].concat(), 0).stdout_json()
    }
}

/// Holds `text` against the snapshot `name`. How long a package is as a file depends on how well the signature of today's
/// key compresses.
fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true, filters => [(r"[\d.]+ k?B to fetch", "[N] to fetch")] }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn a_package_is_explained_by_its_ways_what_keeps_it_and_what_it_costs() {
    let scene = Scene::new("");
    snapshot("package", &scene.ask("why", &["libcrypto3"], 0).stdout_text());
    snapshot("asked_for", &scene.ask("why", &["web"], 0).stdout_text());

    let why = scene.json("why", &["libssl3"]);
    let package = &why["packages"][0];
    assert_eq!(
        package["chains"],
        json!([[
            { "package": "web-1-r0", "how": "world", "by": [], "needs": ["web"], "at": "p.toml:8" },
            {
                "package": "libssl3-1-r0",
                "how": "depends",
                "by": ["web-1-r0"],
                "needs": ["so:libssl.so.3"],
                "at": null,
            },
        ]])
    );
    assert_eq!((&package["chain_count"], &package["kept_by"]), (&json!(1), &json!([])));
    // libcrypto3 stays for the tool.
    assert_eq!(package["exclusive"], json!([{ "name": "libssl3", "version": "1-r0", "size": 600 }]));
    let web = &scene.json("why", &["web"])["packages"][0];
    assert_eq!((&web["size"], &web["exclusive_size"]), (&json!(5000), &json!(5000 + 700 + 600)));
}

#[test]
fn a_name_is_explained_by_who_provides_it() {
    let scene = Scene::new("");
    snapshot("library", &scene.ask("why", &["so:libcrypto.so.3"], 0).stdout_text());
    let why = scene.json("why", &["cmd:tool"]);
    assert_eq!(why["packages"][0]["name"], "tool");
    assert_eq!(why["packages"][0]["provides"], "cmd:tool=1-r0");
    // In a version that it has, and not in another.
    scene.ask("why", &["so:libcrypto.so.3>3"], 0);
    let missing = scene.ask("why", &["so:libcrypto.so.3>4"], 3).stderr_text();
    assert!(missing.contains("is not in the image"), "{missing}");
}

#[test]
fn what_comes_by_itself_says_with_what() {
    let scene = Scene::new("optional = [\"docs\"]\n");
    snapshot("by_itself", &scene.ask("why", &["web-doc"], 0).stdout_text());
    let docs = &scene.json("why", &["docs"])["packages"][0];
    let going: Vec<&str> =
        docs["exclusive"].as_array().unwrap().iter().map(|sized| sized["name"].as_str().unwrap()).collect();
    assert_eq!(going, ["docs", "web-doc"]);
}

#[test]
fn a_path_is_explained_by_whom_it_is_of() {
    let scene = Scene::new(
        "\n[[files]]\npath = \"/etc/motd\"\ncontent = \"hi\"\n\n[prune]\npaths = [\"/usr/share/start\"]\n",
    );
    snapshot("path", &scene.ask("why", &["/usr/share/index.html"], 0).stdout_text());
    let of = |path: &str| {
        let why = scene.json("why", &[path]);
        let names: Vec<String> =
            why["packages"].as_array().unwrap().iter().map(|package| package["name"].to_string()).collect();
        (why["path"]["origin"].as_str().unwrap().to_owned(), names.join(" "))
    };
    assert_eq!(of("/usr/share/index.html"), ("package".to_owned(), "\"web-data\"".to_owned()));
    // A directory is of everybody who has it.
    let all = "\"libcrypto3\" \"libssl3\" \"tool\" \"web\" \"web-data\"";
    assert_eq!(of("/usr/share"), ("package".to_owned(), all.to_owned()));
    assert_eq!(of("/etc/motd"), ("profile".to_owned(), String::new()));
    assert_eq!(of("/lib/apk/db/installed"), ("generated".to_owned(), String::new()));
    snapshot("path_of_profile", &scene.ask("why", &["/etc/motd"], 0).stdout_text());

    snapshot("path_pruned", &scene.ask("why", &["/usr/share/start"], 3).stderr_text());
    snapshot("path_missing", &scene.ask("why", &["/usr/share/index.htm"], 3).stderr_text());
    assert!(scene.ask("why", &["/usr/../etc"], 2).stderr_text().contains("/usr/../etc"));
}

#[test]
fn a_link_without_an_owner_is_explained_by_what_it_leads_to() {
    let test = "a_link_without_an_owner_is_explained_by_what_it_leads_to";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    dir.write("p.toml", "extends = [\"base\"]\nalpine.release = \"3.19\"\n");
    let why = |subject: &str| {
        let command =
            dir.command().args(["why", "-q", "--profile", "p.toml", "--arch", "x86_64", "--mirror"]);
        command.arg(alpine.mirror()).arg(subject).success().stdout_text()
    };

    let text = why("/bin/ls");
    assert!(text.starts_with("/bin/ls -> /bin/busybox: a link, made for busybox\nbusybox-1.36.1-"), "{text}");
    // Packages depend on this one by name.
    assert!(why("/bin/sh").contains("alpine-baselayout-3.4.3-r2 needs /bin/sh"));
    assert!(why("/etc/apk/world").contains("written when the image is composed"));
}

#[test]
fn what_is_pruned_is_said_to_be() {
    let scene = Scene::new("\n[prune]\npackages = [\"web-data\"]\n");
    let why = scene.ask("why", &["web-data"], 0).stdout_text();
    assert!(why.contains("\n  p.toml:11 takes it out of the image again\n"), "{why}");
    snapshot("not_for_pruning", &scene.ask("why-not", &["web-data"], 0).stdout_text());
}

#[test]
fn what_is_not_there_is_named_with_what_is_spelt_alike() {
    let scene = Scene::new("");
    snapshot("missing_near", &scene.ask("why", &["libcrypt3"], 3).stderr_text());
    snapshot("missing", &scene.ask("why", &["editor"], 3).stderr_text());
    assert!(scene.ask("why", &["!web"], 2).stderr_text().contains("ask about `web`"));
    assert!(scene.ask("why", &["web>"], 2).stderr_text().contains("`web>` is not a dependency"));
    let none = scene.dir.command().args(["why", "web"]).fails_with(2).stderr_text();
    assert!(none.contains("no profile is named") && none.contains("apkcompose why --profile"), "{none}");
}

#[test]
fn why_not_says_what_stands_against_it_or_what_it_would_add() {
    let scene = Scene::new("");
    snapshot("not_unasked", &scene.ask("why-not", &["editor"], 0).stdout_text());
    snapshot("not_excluded", &scene.ask("why-not", &["rival"], 0).stdout_text());
    snapshot("not_by_itself", &scene.ask("why-not", &["web-doc"], 0).stdout_text());
    snapshot("not_this_version", &scene.ask("why-not", &["web>2"], 0).stdout_text());
    snapshot("not_unknown", &scene.ask("why-not", &["nosuch"], 0).stdout_text());
    snapshot("not_but_there", &scene.ask("why-not", &["so:libssl.so.3"], 0).stdout_text());

    let verdict = |subject: &str| scene.json("why-not", &[subject])["verdict"].clone();
    assert_eq!(verdict("editor"), "unasked");
    assert_eq!(verdict("rival"), "refused");
    assert_eq!(verdict("web"), "there");
    let rival = scene.json("why-not", &["rival"]);
    assert_eq!(rival["kind"], "unsat");
    for culprit in ["rival-1-r0", "web-1-r0"] {
        assert!(rival["mentions"].as_array().unwrap().contains(&json!(culprit)), "{rival}");
    }
    assert_eq!(scene.json("why-not", &["web@edge"])["kind"], "tag");
}

#[test]
fn why_not_says_what_the_profile_says() {
    let scene = Scene::new("optional = [\"nosuch\"]\n");
    let text = scene.ask("why-not", &["nosuch"], 0).stdout_text();
    assert!(text.contains("p.toml:9 asks for it if there is one, and no repository has it"), "{text}");
    let scene = Scene::new("");
    scene.dir.write("p.toml", scene.read().replace("\"tool\"]", "\"tool\", \"!editor\"]"));
    snapshot("not_by_the_profile", &scene.ask("why-not", &["editor"], 0).stdout_text());
}

impl Scene {
    fn read(&self) -> String {
        String::from_utf8(self.dir.read("p.toml")).unwrap()
    }
}

#[test]
fn adding_says_what_the_image_would_have_more() {
    let scene = Scene::new("");
    let whole = scene.json("resolve", &[]);
    let more = scene.json("resolve", &["--add", "editor", "--add", "docs"]);

    let names = |answer: &Value| -> Vec<String> {
        let steps = answer["steps"].as_array().unwrap().iter();
        steps.map(|step| format!("{} {}", step["op"], step["name"]).replace('"', "")).collect()
    };
    assert_eq!(
        names(&whole),
        ["install libcrypto3", "install tool", "install libssl3", "install web-data", "install web"]
    );
    // What comes by itself with it comes too; what is there already does not come again.
    assert_eq!(names(&more), ["install docs", "install editor-libs", "install editor", "install web-doc"]);
    assert_eq!((&whole["packages"], &more["packages"]), (&json!(5), &json!(9)));
    assert_eq!((&whole["growth"], &more["growth"]), (&json!(10400), &json!(10 + 300 + 900 + 50)));
    // What is there adds nothing.
    let nothing = scene.json("resolve", &["--add", "web"]);
    assert_eq!((&nothing["steps"], &nothing["growth"]), (&json!([]), &json!(0)));

    let refused = scene.ask("resolve", &["--add", "rival", "--format", "json"], 6);
    assert_eq!(
        (&refused.stdout_json()["ok"], &refused.stdout_json()["kind"]),
        (&json!(false), &json!("unsat"))
    );
    assert_eq!(scene.ask("resolve", &["--add", "a>", "--format", "json"], 2).stdout_json()["kind"], "spec");
    snapshot("adding", &scene.ask("resolve", &["--add", "editor"], 0).stdout_text());
}

#[test]
fn a_drawing_has_a_box_for_each_package_and_an_arrow_for_each_need() {
    let scene = Scene::new("optional = [\"docs\"]\n");
    snapshot("drawing_why", &scene.ask("why", &["web-doc", "--format", "dot"], 0).stdout_text());
    let drawing = scene.ask("resolve", &["--add", "editor", "--format", "dot"], 0).stdout_text();
    snapshot("drawing_adding", &drawing);
    if let Some(program) =
        need::program("a_drawing_has_a_box_for_each_package_and_an_arrow_for_each_need", "dot")
    {
        let drawn = scene.dir.command().args(["resolve", "-q", "-p", "p.toml", "--format", "dot"]).success();
        scene.dir.write("x.dot", drawn.stdout());
        let mut command = std::process::Command::new(program);
        let status =
            command.args(["-Tsvg", "-o", "/dev/null"]).arg(scene.dir.join("x.dot")).status().unwrap();
        assert!(status.success());
    }
}

/// A package of an index, as the model sees it.
#[derive(Default)]
struct Modelled {
    size: u64,
    depends: Vec<String>,
    provides: Vec<String>,
    install_if: Vec<String>,
}

/// The packages that there would be if none of `without` were, by nothing but names.
fn left(packages: &BTreeMap<String, Modelled>, world: &[&str], without: &str) -> BTreeSet<String> {
    let name = |text: &str| text.split(['<', '>', '=', '~']).next().unwrap().to_owned();
    let mut there: BTreeSet<String> = BTreeSet::new();
    loop {
        let held: BTreeSet<String> = there.iter().flat_map(|name| packages[name].provides.clone()).collect();
        let wanted: BTreeSet<String> = there
            .iter()
            .flat_map(|name| packages[name].depends.iter().map(|text| name_of(text)))
            .chain(world.iter().map(|text| name(text)))
            .collect();
        let comes = |package: &Modelled| {
            !package.install_if.is_empty() && package.install_if.iter().all(|text| held.contains(&name(text)))
        };
        let next = packages.iter().find(|(own, package)| {
            own.as_str() != without
                && !there.contains(own.as_str())
                && (package.provides.iter().any(|provided| wanted.contains(provided)) || comes(package))
        });
        match next {
            Some((own, _)) => there.insert(own.clone()),
            None => return there,
        };
    }
}

fn name_of(text: &str) -> String {
    text.split(['<', '>', '=', '~']).next().unwrap().to_owned()
}

#[test]
fn what_only_a_package_leads_to_is_what_a_model_finds() {
    let test = "what_only_a_package_leads_to_is_what_a_model_finds";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    dir.write(
        "p.toml",
        "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nbase = \"scratch\"\n\
         repositories = [\"main\", \"community\"]\n[packages]\nruntime = [\"chromium\", \"git\", \"docs\"]\n",
    );
    let ask = |command: &str, arguments: &[&str]| {
        let command = dir.command().arg(command).args(["-q", "-p", "p.toml", "--format", "json", "--mirror"]);
        command.arg(alpine.mirror()).args(arguments).success().stdout_json()
    };
    let steps = ask("resolve", &[]);
    let chosen: BTreeSet<String> = steps["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap().to_owned())
        .collect();
    let mut packages: BTreeMap<String, Modelled> = BTreeMap::new();
    for repository in ["v3.19/main", "v3.19/community"] {
        let archive = alpine.repository(repository).join("x86_64/APKINDEX.tar.gz");
        let text = String::from_utf8(crate::oracle::file_in_tar(&archive, "APKINDEX")).unwrap();
        for stanza in text.split("\n\n") {
            let field =
                |letter: &str| stanza.lines().find_map(|line| line.strip_prefix(letter)).unwrap_or_default();
            let words = |letter: &str| -> Vec<String> {
                field(letter)
                    .split(' ')
                    .filter(|word| !word.is_empty() && !word.starts_with('!'))
                    .map(str::to_owned)
                    .collect()
            };
            let name = field("P:").to_owned();
            if chosen.contains(&name) {
                let mut provides: Vec<String> = words("p:").iter().map(|text| name_of(text)).collect();
                provides.push(name.clone());
                let modelled = Modelled {
                    size: field("I:").parse().unwrap(),
                    depends: words("D:"),
                    provides,
                    install_if: words("i:"),
                };
                packages.insert(name, modelled);
            }
        }
    }
    assert_eq!(packages.len(), chosen.len());
    let all = left(&packages, &["chromium", "git", "docs"], "");
    assert_eq!(all, chosen);

    let asked = [
        "chromium",
        "git",
        "docs",
        "pcre2",
        "zlib",
        "mesa",
        "libx11",
        "ffmpeg-libavcodec",
        "musl",
        "git-doc",
    ];
    for subject in asked.into_iter().filter(|name| chosen.contains(*name)) {
        let why = &ask("why", &[subject])["packages"][0];
        let going: BTreeSet<String> = why["exclusive"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sized| sized["name"].as_str().unwrap().to_owned())
            .collect();
        let expected: BTreeSet<String> =
            all.difference(&left(&packages, &["chromium", "git", "docs"], subject)).cloned().collect();
        assert_eq!(going, expected, "{subject}");
        let size: u64 = expected.iter().map(|name| packages[name].size).sum();
        assert_eq!(why["exclusive_size"], json!(size), "{subject}");
        // Each way is one of dependencies, as long as the others.
        let chains = why["chains"].as_array().unwrap();
        assert!(
            !chains.is_empty()
                && u64::try_from(chains.len()).unwrap() <= why["chain_count"].as_u64().unwrap()
        );
        let length = chains[0].as_array().unwrap().len();
        for chain in chains {
            let links = chain.as_array().unwrap();
            assert_eq!((links.len(), &links[0]["how"]), (length, &json!("world")));
            assert!(links.last().unwrap()["package"].as_str().unwrap().starts_with(&format!("{subject}-")));
        }
    }
}
