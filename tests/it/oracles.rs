//! The oracles themselves: what the comparison with the real apk, Docker and the others rests on.

use std::collections::BTreeSet;

use crate::support::command::Dir;
use crate::support::exceptions::{ACCOUNT_BACKUPS, DEVICES, EXEC, INSTALLED, PROC_MODE};
use crate::support::files;
use crate::support::image::Image;
use crate::support::listing::{Kind, Listing, diff};
use crate::support::{installed, need, reference};

/// No difference.
const NONE: [String; 0] = [];

#[test]
fn the_reference_before_anything_is_added_is_the_minirootfs() {
    let Some(alpine) = need::apk("the_reference_before_anything_is_added_is_the_minirootfs") else { return };
    let tar = Listing::of_tar_file(&alpine.minirootfs("x86_64"));

    let tree = reference::minirootfs(&alpine).untouched();

    assert_eq!(diff(&tar, &tree.listing, &[]), NONE);
    assert!(tree.listing.len() > 500, "{} entries", tree.listing.len());
}

#[test]
fn the_reference_installs_over_the_minirootfs_and_leaves_nothing_of_its_own() {
    let Some(alpine) = need::apk("the_reference_installs_over_the_minirootfs_and_leaves_nothing_of_its_own")
    else {
        return;
    };
    let reference = reference::minirootfs(&alpine)
        .repository("v3.19/main")
        .repository("v3.19/community")
        .tagged("php7", "php7")
        .key(alpine.php7_key())
        .no_scripts();

    let before = reference.untouched();
    let after = reference.add(&["jq", "php7-json@php7"]);

    let steps = reference::steps(&after.apk_output);
    assert_eq!(
        steps.last().map(String::as_str),
        Some("Installing php7-json@php7 (7.1.2-r0)"),
        "{}",
        after.apk_output
    );
    assert_eq!(after.listing.entry("usr/bin/jq").mode, 0o755);
    assert!(after.listing.text("etc/apk/world").contains("php7-json@php7\n"));
    let packages = installed::parse(after.installed_text());
    assert_eq!(packages["jq"].fields[&'V'], "1.7.1-r0");
    assert_eq!(packages["php7-json"].fields[&'s'], "php7");
    let top = |listing: &Listing| -> Vec<String> {
        listing.entries().map(|entry| entry.path.clone()).filter(|path| !path.contains('/')).collect()
    };
    assert_eq!(top(&before.listing), top(&after.listing));
    assert!(!diff(&before.listing, &after.listing, &[]).is_empty());
}

#[test]
fn the_reference_installs_another_architecture_from_scratch() {
    let Some(alpine) = need::apk("the_reference_installs_another_architecture_from_scratch") else { return };

    let tree =
        reference::scratch(&alpine, "aarch64").repository("rpi-3.13.4").no_scripts().add(&["alpine-base"]);

    assert_eq!(tree.listing.text("etc/apk/arch"), "aarch64\n");
    assert_eq!(tree.listing.entry("bin/busybox").kind, Kind::File);
    assert_eq!(tree.listing.entry("bin/bbsuid").mode, 0o4111);
    assert!(tree.listing.get("target").is_none() && tree.listing.get("none").is_none());
}

#[test]
fn the_reference_runs_scripts_from_scratch() {
    let Some(alpine) = need::apk("the_reference_runs_scripts_from_scratch") else { return };
    let reference = reference::scratch(&alpine, "x86_64").repository("iso-3.19.1");

    let tree = reference.add(&["alpine-base", "chrony"]);

    assert_eq!(tree.listing.entry("bin/ls").link.as_deref(), Some("/bin/busybox"));
    assert!(tree.listing.text("etc/passwd").contains("\nchrony:"), "{}", tree.apk_output);
    assert!(tree.listing.get("dev/null").is_none());
}

#[test]
fn two_runs_of_the_reference_differ_only_where_time_shows() {
    let Some(alpine) = need::apk("two_runs_of_the_reference_differ_only_where_time_shows") else { return };
    let reference = reference::minirootfs(&alpine).repository("v3.19/main");

    let [first, second] = [(); 2].map(|()| reference.add(&["jq"]));

    let lines = diff(&first.listing, &second.listing, &[]);
    assert_eq!(lines.into_iter().filter(|line| !line.contains(": time: ")).collect::<Vec<_>>(), NONE);
    assert_eq!(installed::diff(first.installed_text(), second.installed_text(), &[]), NONE);
}

#[test]
fn the_reference_refuses_what_it_cannot_select() {
    let Some(alpine) = need::apk("the_reference_refuses_what_it_cannot_select") else { return };
    let reference = reference::scratch(&alpine, "x86_64").repository("iso-3.19.1").no_scripts();

    let refusal = reference.simulate(&["vlan", "ifupdown-ng"]).unwrap_err();

    assert!(refusal.contains("unable to select packages"), "{refusal}");
}

#[test]
fn the_reference_simulates_the_recorded_steps() {
    let Some(alpine) = need::apk("the_reference_simulates_the_recorded_steps") else { return };
    let reference = reference::minirootfs(&alpine).repository("v3.19/main").repository("v3.19/community");

    let steps = reference.simulate(&["nginx"]).unwrap();

    assert_eq!(steps, ["Installing pcre (8.45-r3)", "Installing nginx (1.24.0-r16)"]);
    let recorded = alpine
        .oracle()
        .join(files::names(&alpine.oracle()).into_iter().find(|name| name.starts_with("nginx")).unwrap());
    assert_eq!(reference::steps(&files::read_text(&recorded)), steps);
}

#[test]
fn the_reference_verifies_a_package_only_with_its_key() {
    let Some(alpine) = need::apk("the_reference_verifies_a_package_only_with_its_key") else { return };
    let dir = Dir::new();
    let package = alpine.repository("php7/x86_64").join("php7-json-7.1.2-r0.apk");
    let mut flipped = files::read(&package);
    *flipped.last_mut().unwrap() ^= 1;
    let broken = dir.write("php7-json-7.1.2-r0.apk", flipped);
    let official = alpine.keys().join(files::names(&alpine.keys()).remove(0));

    assert_eq!(reference::verify_package(&alpine, &package, &alpine.php7_key()), Ok(()));
    assert!(reference::verify_package(&alpine, &package, &official).is_err());
    assert!(reference::verify_package(&alpine, &broken, &alpine.php7_key()).is_err());
}

#[test]
fn a_directory_and_its_tar_have_the_same_listing() {
    let Some(()) = need::root("a_directory_and_its_tar_have_the_same_listing") else { return };
    let dir = Dir::new();
    let long =
        format!("{}/{}", "a-directory-with-a-long-name".repeat(4), "and-a-file-with-a-long-name".repeat(4));
    let script = format!(
        "umask 022; cd tree; mkdir -p sub $(dirname {long}); echo text >sub/file; ln sub/file sub/again; ln sub/file first
        echo long >{long}; ln -s {long} link; mkfifo pipe; mknod device c 1 3; chmod 4755 sub/file; chown 5:70000 device
        chmod 1777 sub; printf 'a\\nb\\0c' | python3 -c 'import os,sys; os.setxattr(\"sub/file\", \"user.note\", sys.stdin.buffer.read())'
        tar --numeric-owner --xattrs --xattrs-include='*' -cf ../plain.tar .
        split -b 3000 ../plain.tar ../part. && for part in ../part.*; do gzip -c $part; done >../members.tar.gz"
    );
    files::create_dir(&dir.join("tree"));
    let made =
        std::process::Command::new("sh").args(["-euc", &script]).current_dir(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let disk = Listing::of_directory(&dir.join("tree"));

    assert_eq!(disk.entry("sub/file").hard_links.as_deref(), Some("first"));
    assert_eq!(disk.entry("sub/file").xattrs["user.note"], b"a\nb\0c");
    assert_eq!(disk.entry("device").device, Some((1, 3)));
    assert_eq!(disk.entry("device").gid, 70000);
    assert_eq!(disk.entry("link").link.as_deref(), Some(long.as_str()));
    assert_eq!(diff(&disk, &Listing::of_tar_file(&dir.join("plain.tar")), &[]), NONE);
    assert_eq!(diff(&disk, &Listing::of_tar_file(&dir.join("members.tar.gz")), &[]), NONE);
}

#[test]
fn every_kind_of_difference_is_named_with_both_sides() {
    let Some(()) = need::root("every_kind_of_difference_is_named_with_both_sides") else { return };
    let dir = Dir::new();
    let script = "umask 022; mkdir one two; for tree in one two; do cd $tree
        echo same >same; echo one >content; echo two >mode; echo three >owner; ln -s one link; touch kind linked apart; cd ..; done
        cd two; echo two >content; chmod 600 mode; chown 7 owner; ln -sf two link; rm kind; mkdir kind; touch extra
        rm apart; ln linked apart; cd ..; touch one/missing; touch -hd @1 one/* two/*; touch -d @2 two/same";
    let made =
        std::process::Command::new("sh").args(["-euc", script]).current_dir(dir.path()).status().unwrap();
    assert!(made.success());
    let [one, two] = ["one", "two"].map(|tree| Listing::of_directory(&dir.join(tree)));

    let lines = diff(&one, &two, &[PROC_MODE]);

    insta::assert_snapshot!(lines.join("\n"), @r#"
    apart: first hard link: expected none, got "apart"
    content: content: expected 4 bytes, SHA-256 2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806, got 4 bytes, SHA-256 27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a; line 1: expected "one", got "two"
    extra: unexpected, got a file 644 0:0 of 0 bytes
    kind: kind: expected a file 644 0:0 of 0 bytes, got a directory 755 0:0
    link: link target: expected "one", got "two"
    linked: first hard link: expected none, got "apart"
    missing: missing, expected a file 644 0:0 of 0 bytes
    mode: mode: expected 644, got 600
    owner: owner: expected 0:0, got 7:0
    same: time: expected 1, got 2
    the exception `mode of proc` (the reference mounts on it before it is installed) covered nothing
    "#);
}

#[test]
fn every_kind_of_difference_between_databases_is_named() {
    let expected = "C:Q1a=\nP:one\nV:1\nr:stray\no:x\nF:\nF:etc\nM:0:0:700\nR:file\na:0:0:600\nZ:Q1b=\nR:gone\n\nP:two\nV:1\n\n";
    let got = "C:Q1c=\nP:one\nV:1\no:x\nF:etc\nR:file\nZ:Q1d=\nR:new\n\nP:three\nV:3\n\n";

    let lines = installed::diff(expected, got, &[installed::STRAY_REPLACES]);

    insta::assert_snapshot!(lines.join("\n"), @r"
    one: field C: expected `Q1a=`, got `Q1c=`
    one: field F of ``: expected ``, got none
    one: field M of `etc`: expected `0:0:700`, got none
    one: field a of `etc/file`: expected `0:0:600`, got none
    one: field Z of `etc/file`: expected `Q1b=`, got `Q1d=`
    one: field R of `etc/gone`: expected `etc/gone`, got none
    one: field R of `etc/new`: expected none, got `etc/new`
    three: field P: expected none, got `3`
    two: field P: expected `1`, got none
    ");
    assert_eq!(installed::diff(got, got, &[]), NONE);
    assert_eq!(
        installed::diff("P:a\nV:1\nA:x", "P:a\nA:x\nV:1", &[]),
        ["a: order of fields: expected PVA, got PAV"]
    );
}

#[test]
fn scripts_change_what_the_named_exceptions_say_and_little_else() {
    let Some(alpine) = need::apk("scripts_change_what_the_named_exceptions_say_and_little_else") else {
        return;
    };
    let reference = reference::scratch(&alpine, "x86_64").repository("iso-3.19.1");

    let with = reference.add(&["alpine-base", "chrony"]);
    let without = reference.no_scripts().add(&["alpine-base", "chrony"]);

    let is_applet = |line: &String| line.ends_with("-> /bin/busybox") || line.ends_with("-> /bin/bbsuid");
    let exceptions = [DEVICES, PROC_MODE, EXEC, INSTALLED, ACCOUNT_BACKUPS];
    // Whether times differ depends on whether a second has passed.
    let lines = diff(&without.listing, &with.listing, &exceptions)
        .into_iter()
        .filter(|line| !line.contains(": time: "));
    let (applets, others): (Vec<_>, Vec<_>) = lines.partition(is_applet);
    assert!(applets.len() > 250, "{} applets", applets.len());
    let paths: BTreeSet<_> = others.iter().filter_map(|line| line.split(": ").next()).collect();
    let accounts = ["etc/group", "etc/passwd", "etc/shadow"];
    let owned_by_name = ["etc/chrony", "var/lib/chrony", "var/log/chrony"];
    assert_eq!(paths, accounts.into_iter().chain(owned_by_name).collect(), "{others:#?}");
}

#[test]
fn docker_runs_an_imported_root_filesystem_and_saves_what_podman_and_skopeo_read() {
    let test = "docker_runs_an_imported_root_filesystem_and_saves_what_podman_and_skopeo_read";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let Some(podman) = need::podman(test) else { return };
    let Some(skopeo) = need::skopeo(test) else { return };
    let dir = Dir::new();
    let archive = dir.join("saved.tar");

    let identity = docker.import(&alpine.minirootfs("x86_64"), "oracles/minirootfs:1");
    docker.save("oracles/minirootfs:1", &archive);

    assert_eq!(docker.run_text("oracles/minirootfs:1", &["cat", "/etc/alpine-release"]), "3.19.4\n");
    assert_eq!(docker.run("oracles/minirootfs:1", &["sh", "-c", "exit 7"], &[]).status.code(), Some(7));
    assert_eq!(docker.inspect("oracles/minirootfs:1")["Id"], identity.as_str());
    assert!(docker.size("oracles/minirootfs:1") > 7_000_000);
    assert_eq!(docker.history("oracles/minirootfs:1").len(), 1);
    assert_eq!(docker.load(&archive), ["oracles/minirootfs:1"]);
    assert_eq!(podman.load(&archive), ["localhost/oracles/minirootfs:1"]);
    assert_eq!(podman.inspect("oracles/minirootfs:1")["Os"], "linux");
    let image = format!("docker-archive:{}", archive.display());
    assert_eq!(skopeo.inspect(&image)["Architecture"], "amd64");
    assert_eq!(skopeo.config(&image)["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);
    let saved = Image::of_archive(&archive);
    assert_eq!(saved.manifest()["RepoTags"][0], "oracles/minirootfs:1");
    assert_eq!(saved.config()["os"], "linux");
    assert_eq!(diff(&Listing::of_tar_file(&alpine.minirootfs("x86_64")), &saved.tree(), &[]), NONE);
    skopeo.copy(&image, &format!("oci:{}:1", dir.join("layout").display()));
    assert!(dir.join("layout/index.json").is_file());
}
