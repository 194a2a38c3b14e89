//! What cannot be had: every refusal names the package, who needs it, and what there is instead.

use super::hostile::{Package, plain};
use super::{SCRATCH, Scene};
use crate::support::need;

#[test]
fn an_unknown_package_is_named_with_those_that_are_spelt_alike() {
    let packages = ["nginx", "nginx-mod", "zlib"].map(|name| plain(name).made());
    Scene::wanting(&["ngnix"], &packages.each_ref()).refused("solve-unknown-package", 6);
    Scene::wanting(&["quite-another"], &packages.each_ref()).refused("solve-unknown-package-far", 6);
}

#[test]
fn a_need_deep_in_a_chain_is_named_with_who_led_there() {
    let a = plain("a").says("depend", "b").made();
    let b = plain("b").says("depend", "c").made();
    let c = plain("c").says("depend", "so:libz.so.9").made();
    let z = plain("zlib").says("provides", "so:libz.so.1=1.3").made();
    Scene::wanting(&["a"], &[&a, &b, &c, &z]).refused("solve-deep-chain", 6);
}

#[test]
fn a_version_that_there_is_not_is_named_with_the_one_there_is() {
    let a = plain("a").made();
    Scene::wanting(&["a>2"], &[&a]).refused("solve-version", 6);
}

#[test]
fn packages_that_exclude_each_other_are_named() {
    let a = plain("a").says("depend", "!b").made();
    let b = plain("b").made();
    Scene::wanting(&["a", "b"], &[&a, &b]).refused("solve-conflict", 6);
    Scene::wanting(&["c", "!b"], &[&plain("c").says("depend", "b").made(), &b])
        .refused("solve-conflict-world", 6);
}

#[test]
fn packages_that_hold_one_name_are_named() {
    let a = plain("a").says("provides", "mta=1").made();
    let b = plain("b").says("provides", "mta=1").made();
    Scene::wanting(&["a", "b"], &[&a, &b]).refused("solve-one-name", 6);
}

#[test]
fn a_name_that_is_only_provided_has_to_be_chosen() {
    let a = plain("exim").says("provides", "mta").made();
    let b = plain("postfix").says("provides", "mta").made();
    Scene::wanting(&["mta"], &[&a, &b]).refused("solve-choose", 6);
}

#[test]
fn a_package_only_under_a_tag_is_named_with_it() {
    let scene = Scene::new();
    scene.profile(
        "[alpine]\narch = [\"x86_64\"]\nbase = \"scratch\"\nrepositories = [\"@own ./repo\"]\n\
         keys = [\"test.rsa.pub\"]\n[packages]\nruntime = [\"a\"]\n",
    );
    scene.repository(&[&plain("a").made()]);
    scene.refused("solve-only-under-tag", 6);
}

#[test]
fn a_library_only_under_a_tag_is_named_with_who_needs_it() {
    let scene = Scene::new();
    scene.profile(
        "[alpine]\narch = [\"x86_64\"]\nbase = \"scratch\"\nrepositories = [\"./repo\", \"@own ./own\"]\n\
         keys = [\"test.rsa.pub\"]\n[packages]\nruntime = [\"a\"]\n",
    );
    scene.repository(&[&plain("a").says("depend", "so:libz.so.1").made()]);
    let zlib = plain("zlib").says("provides", "so:libz.so.1=1.3").made();
    crate::made::repository(&scene.dir.join("own"), "test", &[&zlib], crate::made::key());
    scene.refused("solve-library-under-tag", 6);
}

#[test]
fn needs_that_no_version_meets_together_are_named() {
    let one = plain("one").says("depend", "b<2").made();
    let two = plain("two").says("depend", "b>1-r0").made();
    let (old, new) = (plain("b").made(), plain("b").version("2-r0").made());
    Scene::wanting(&["one", "two"], &[&one, &two, &old, &new]).refused("solve-bounds", 6);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let a = plain("a").says("depend", "so:none.so.1").says("depend", "!b").made();
    Scene::wanting(&["a", "b", "c>3", "nosuch"], &[&a, &plain("b").made(), &plain("c").made()])
        .refused("solve-several", 6);
}

#[test]
fn more_tags_than_can_be_told_apart_are_refused() {
    let scene = Scene::new();
    let repositories: Vec<String> = (0..64).map(|number| format!("@t{number} ./repo")).collect();
    scene.profile(&format!(
        "[alpine]\narch = [\"x86_64\"]\nbase = \"scratch\"\nrepositories = {repositories:?}\n\
         keys = [\"test.rsa.pub\"]\n[packages]\nruntime = [\"a@t1\"]\n"
    ));
    scene.repository(&[&plain("a").made()]);
    scene.refused("solve-too-many-tags", 8);
}

#[test]
fn a_package_for_another_machine_is_named() {
    let a = plain("a").arch("aarch64").made();
    Scene::wanting(&["a"], &[&a]).refused("solve-arch", 6);
}

#[test]
fn a_package_with_a_malformed_entry_is_named() {
    let a = plain("a").says("depend", "b=1.1b1-r0").made();
    Scene::wanting(&["a"], &[&a, &plain("b").made()]).refused("solve-flawed", 6);
}

#[test]
fn a_variable_whose_package_is_not_to_be_had_is_refused() {
    let scene = Scene::new();
    scene.profile(&format!(
        "{SCRATCH}\n[packages]\nruntime = [\"php${{php}}\"]\n\
         [vars]\nphp = {{ provider-of = \"php-fpm\", pattern = \"php*-fpm\" }}\n"
    ));
    scene.repository(&[&plain("a").made()]);
    scene.refused("solve-variable-nobody", 6);
    scene.repository(&[&Package::new("zend").says("provides", "php-fpm=8").made()]);
    scene.refused("solve-variable-pattern", 3);
}

#[test]
fn dependencies_in_a_circle_are_no_trouble() {
    let a = plain("a").says("depend", "b").made();
    let b = plain("b").says("depend", "c").made();
    let c = plain("c").says("depend", "a b c").made();
    Scene::wanting(&["a"], &[&a, &b, &c]).image();
}

#[test]
fn the_refusal_of_the_real_mirror_reads_as_it_was_meant_to() {
    let test = "the_refusal_of_the_real_mirror_reads_as_it_was_meant_to";
    let Some(alpine) = need::alpine(test) else { return };
    let profile = |wanted: &str| {
        format!(
            "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nrepositories = [\"main\", \"community\", \
             {{ url = \"{mirror}/php7\", tag = \"php7\", keys = [\"{key}\"] }}]\n\
             [packages]\nruntime = [\"{wanted}\"]\n",
            mirror = alpine.mirror().display(),
            key = alpine.php7_key().display(),
        )
    };
    let scene = Scene::new();
    for (name, wanted) in
        [("real-openssl", "php7-openssl@php7"), ("real-unknown", "ngnix"), ("real-virtual", "cmd:vi")]
    {
        scene.profile(&profile(wanted));
        let mirror = alpine.mirror();
        scene.refused_command(name, 6, scene.build().arg("--mirror").arg(mirror));
    }
}
