//! Trees with scripts and triggers run, against the real apk's: real packages, and small made ones that write down when
//! they run, with which arguments and on which files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use apkcompose::apk::package::ScriptKind;

use super::{NOT_WITH_THE_OTHERS, Ours, assert_equal, indexed_names};
use crate::support::data::Alpine;
use crate::support::exceptions::{
    ACCOUNT_BACKUPS, CACHE, DEVICES, EXEC, GENERATED_TIMES, LOCK, REPOSITORIES, REPOSITORY_KEYS, SCRIPTS_ARCHIVE,
    SHADOW_DAY, WRITTEN_TIMES,
};
use crate::support::listing::Exception;
use crate::support::{need, reference};

/// What differs from a tree over a base.
const OVER_A_BASE: [Exception; 3] = [REPOSITORIES, SCRIPTS_ARCHIVE, GENERATED_TIMES];
/// What differs from a tree made from nothing.
const FROM_SCRATCH: [Exception; 7] = [DEVICES, EXEC, LOCK, CACHE, REPOSITORIES, SCRIPTS_ARCHIVE, GENERATED_TIMES];

/// What differs where scripts make accounts.
const WITH_ACCOUNTS: [Exception; 3] = [SHADOW_DAY, ACCOUNT_BACKUPS, WRITTEN_TIMES];

/// Holds `packages` with their scripts, over the minirootfs, against the real apk.
fn over_minirootfs_equals(alpine: &Alpine, packages: &[&str], more: &[Exception]) {
    let reference = reference::minirootfs(alpine).repository("v3.19/main").repository("v3.19/community");
    let reference = reference.add(packages);

    let ours = Ours::minirootfs(alpine, "", packages.iter().copied()).with_scripts().tree();

    let repositories = ["v3.19/main/x86_64", "v3.19/community/x86_64"].map(|path| alpine.repository(path));
    let repositories = repositories.each_ref().map(PathBuf::as_path);
    assert_equal(&reference, &ours, &[&OVER_A_BASE, more].concat(), &repositories);
}

/// Holds `packages` of the ISO's repository with their scripts against the real apk's, from nothing.
fn from_scratch_equals(alpine: &Alpine, packages: &[&str], more: &[Exception]) {
    let reference = reference::scratch(alpine, "x86_64").repository("iso-3.19.1").add(packages);

    let ours = Ours::scratch(alpine, "iso-3.19.1", "x86_64", packages.iter().copied()).with_scripts().tree();

    let repository = alpine.repository("iso-3.19.1/x86_64");
    assert_equal(&reference, &ours, &[&FROM_SCRATCH, more].concat(), &[&repository]);
}

#[test]
fn openssh_and_git_equal_the_real_apks() {
    let Some(alpine) = need::apk("openssh_and_git_equal_the_real_apks") else { return };
    over_minirootfs_equals(&alpine, &["openssh", "git"], &[WRITTEN_TIMES]);
}

#[test]
fn services_equal_the_real_apks() {
    let Some(alpine) = need::apk("services_equal_the_real_apks") else { return };
    over_minirootfs_equals(&alpine, &["doas", "eudev", "openrc", "dhcpcd"], &WITH_ACCOUNTS);
}

#[test]
fn certificates_equal_the_real_apks() {
    let Some(alpine) = need::apk("certificates_equal_the_real_apks") else { return };
    over_minirootfs_equals(&alpine, &["ca-certificates"], &[WRITTEN_TIMES]);
}

#[test]
fn a_web_server_and_php_of_a_tagged_repository_equal_the_real_apks() {
    let test = "a_web_server_and_php_of_a_tagged_repository_equal_the_real_apks";
    let Some(alpine) = need::apk(test) else { return };
    let packages = ["nginx@php7", "php7-fpm@php7"];
    let reference = reference::minirootfs(&alpine).repository("v3.19/main").repository("v3.19/community");
    let reference = reference.tagged("php7", "php7").key(alpine.php7_key()).add(&packages);
    let more = format!(
        "repositories = [\"main\", \"community\", \"@php7 {}\"]\nkeys = ['{}']",
        alpine.repository("php7").display(),
        alpine.php7_key().display()
    );

    let ours = Ours::minirootfs(&alpine, &more, packages).with_scripts();
    let ours = ours.with("repositories = [\"@php7 https://example.org/php7\"]\n").tree();

    let repositories = ["v3.19/main/x86_64", "v3.19/community/x86_64", "php7/x86_64"];
    let repositories = repositories.map(|path| alpine.repository(path));
    let exceptions = [&OVER_A_BASE[..], &WITH_ACCOUNTS, &[REPOSITORY_KEYS]].concat();
    assert_equal(&reference, &ours, &exceptions, &repositories.each_ref().map(PathBuf::as_path));
}

#[test]
fn an_account_that_a_script_makes_owns_what_comes_after_it() {
    let Some(alpine) = need::apk("an_account_that_a_script_makes_owns_what_comes_after_it") else { return };
    from_scratch_equals(&alpine, &["chrony", "tzdata", "alpine-base"], &WITH_ACCOUNTS);
}

#[test]
fn all_packages_of_an_iso_that_agree_equal_the_real_apks() {
    let Some(alpine) = need::apk("all_packages_of_an_iso_that_agree_equal_the_real_apks") else { return };
    let names = indexed_names(&alpine.repository("iso-3.19.1"), "x86_64");
    let packages: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !NOT_WITH_THE_OTHERS.contains(name)).collect();
    assert_eq!(packages.len(), 98);
    from_scratch_equals(&alpine, &packages, &WITH_ACCOUNTS);
}
