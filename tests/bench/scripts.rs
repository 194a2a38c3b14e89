//! With package scripts.
//!
//! Two things by turns, for each of three requests over the minirootfs:
//!
//! - *apk*: `apk add` of the real apk, scripts and triggers run, then `tar | gzip -6` of the result;
//! - *ours*: `apkcompose build` to an archive, with the store warm.
//!
//! Of the first request all scripts are applied without being run, so no file is written to be looked at by one; of the
//! others more and more have to run.

use crate::place::{Place, run};
use crate::table::{self, Row, together};

/// What is asked for: a name, and the packages.
const REQUESTS: [(&str, &[&str]); 3] = [
    ("nothing has to run", &["openssh", "nginx@php7", "php7-fpm@php7"]),
    ("a trigger has to run", &["openssh", "git", "nginx@php7", "php7-fpm@php7"]),
    ("scripts have to run", &["openssh", "git", "doas", "eudev", "openrc", "dhcpcd", "ca-certificates"]),
];

/// The repositories as apk reads them.
const REPOSITORIES: &str = "/.mirror/v3.19/main\n@php7 /.mirror/php7\n";

/// Gives the root `$1` what scripts need and the key `$2`, and writes its repositories `$3`.
const FURNISH: &str = r#"
set -eu
mknod -m 666 "$1/dev/null" c 1 3
mount -t proc proc "$1/proc"
cp "$2" "$1/etc/apk/keys/"
printf %s "$3" >"$1/.none"
"#;

/// Measures `rounds`.
pub(crate) fn measure(place: &Place, rounds: usize) -> Result<(), String> {
    let mirror = place.alpine().mirror();
    let key = place.alpine().root().join("test-php7.rsa.pub");
    let (root, key) = (place.join("root").to_string_lossy().into_owned(), key.to_string_lossy().into_owned());
    for (name, packages) in REQUESTS {
        let profile = profile_of(&mirror.to_string_lossy(), &key, packages);
        let (mut added, mut packed, mut warm) = (Vec::new(), Vec::new(), Vec::new());
        place.build_of(&profile, "archive", &["--quiet"])?;
        for _ in 0..rounds {
            place.unpack();
            run("sh", &["-c", FURNISH, "furnish", &root, &key, REPOSITORIES]);
            added.push(place.measure(place.apk_with("/.none", packages).arg("--no-network"))?);
            packed.push(place.pack()?);
            warm.push(place.build_of(&profile, "archive", &["--quiet"])?);
        }
        let (count, megabytes) = place.sizes();
        println!("{}: {name}", packages.join(" "));
        println!("{count} packages, {megabytes} MB of tar, rounds: {rounds}");
        println!("{}\n", counters(&place.report_of(&profile)));
        let apk = Row { name: "apk add, then tar | gzip -6", figures: &together(&added, &packed) };
        let ours = Row { name: "apkcompose, store warm", figures: &warm };
        table::print(&[&apk, &ours]);
        table::print_ratios(&[&ours], &apk);
        println!();
    }
    Ok(())
}

/// What the report says of scripts.
fn counters(report: &str) -> String {
    let report: serde_json::Value = serde_json::from_str(report).unwrap_or_default();
    let count = |name: &str| report[name].as_array().map_or(0, Vec::len);
    format!(
        "scripts run: {}, applied without being run: {}, written for them: {} entries, {} bytes",
        count("scripts_run"),
        count("scripts_applied"),
        report["materialised"]["pushed_entries"],
        report["materialised"]["pushed_bytes"],
    )
}

fn profile_of(mirror: &str, key: &str, packages: &[&str]) -> String {
    format!(
        "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nmirror = [{mirror:?}]\nbase-trust = \"checksum\"\n\
         repositories = [\"main\", {{ url = \"{mirror}/php7\", tag = \"php7\", keys = [{key:?}] }}]\nupgrade = false\n\n\
         [packages]\nruntime = {packages:?}\n"
    )
}
