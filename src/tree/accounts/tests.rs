use super::files::AccountFile;
use super::*;
use crate::tree::account_script::{AccountScript, Applied};
use crate::tree::made::{self, alpine, at, path};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/ash\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:root\nusers:x:100:games\nwww-data:x:82:\n";
const SHADOW: &str = "root:::0:::::\nnobody:!::0:::::\n";

fn tree() -> Tree {
    let mut tree = Tree::new();
    AccountFile::Passwd.write(&mut tree, PASSWD).unwrap();
    AccountFile::Group.write(&mut tree, GROUP).unwrap();
    AccountFile::Shadow.write(&mut tree, SHADOW).unwrap();
    tree
}

fn user(name: &str, uid: u32, group: Option<&str>) -> NewUser {
    NewUser {
        name: name.to_owned(),
        uid,
        group: group.map(|name| Account::Name(name.to_owned())),
        full_name: FULL_NAME.to_owned(),
        home: "/home/x".to_owned(),
        shell: "/bin/sh".to_owned(),
    }
}

fn text(file: AccountFile, tree: &Tree) -> String {
    file.text(tree).unwrap().unwrap()
}

#[test]
fn users_are_written_as_busybox_writes_them() {
    // Measured: addgroup -g 500 gg; adduser -D -H -u 500 -G gg -h /home/x -s /bin/sh uu; adduser -u 700 own;
    // addgroup uu users.
    let mut tree = tree();
    let groups = [
        NewGroup { name: "gg".to_owned(), gid: 500, members: vec![] },
        NewGroup { name: "users".to_owned(), gid: 100, members: vec!["uu".to_owned()] },
    ];
    add(&mut tree, &groups, &[user("uu", 500, Some("gg")), user("own", 700, None)], 20778).unwrap();
    assert_eq!(
        text(AccountFile::Passwd, &tree),
        format!(
            "{PASSWD}uu:x:500:500:Linux User,,,:/home/x:/bin/sh\nown:x:700:700:Linux User,,,:/home/x:/bin/sh\n"
        )
    );
    assert_eq!(
        text(AccountFile::Group, &tree),
        "root:x:0:root\nusers:x:100:games,uu\nwww-data:x:82:\ngg:x:500:uu\nown:x:700:\n"
    );
    assert_eq!(
        text(AccountFile::Shadow, &tree),
        format!("{SHADOW}uu:!:20778:0:99999:7:::\nown:!:20778:0:99999:7:::\n")
    );
}

#[test]
fn an_account_that_is_there_is_adopted_or_refused_by_its_number() {
    let mut tree = tree();
    add(&mut tree, &[], &[user("nobody", 65534, Some("users"))], 0).unwrap();
    assert_eq!(text(AccountFile::Passwd, &tree), PASSWD);
    let number = add(&mut tree, &[], &[user("nobody", 1, None)], 0);
    assert!(matches!(number, Err(AccountError::Number { there: 65534, wanted: 1, .. })));
    let taken = add(&mut tree, &[], &[user("other", 65534, None)], 0);
    assert!(matches!(taken, Err(AccountError::Taken { .. })));
    let group = add(&mut tree, &[NewGroup { name: "x".to_owned(), gid: 82, members: vec![] }], &[], 0);
    assert!(matches!(group, Err(AccountError::Taken { .. })));
}

#[test]
fn names_become_numbers_by_the_trees_own_files() {
    let accounts = Accounts::of(&tree()).unwrap();
    assert_eq!(accounts.user("nobody"), Some(65534));
    assert_eq!(accounts.group("www-data"), Some(82));
    assert_eq!(accounts.user("chrony"), None);
    assert_eq!(Accounts::of(&Tree::new()).unwrap(), Accounts::default());
}

#[test]
fn root_is_locked_whatever_its_password_was() {
    let mut tree = tree();
    lock_root(&mut tree).unwrap();
    assert_eq!(text(AccountFile::Shadow, &tree), "root:*::0:::::\nnobody:!::0:::::\n");
}

const CHRONY: &str = "#!/bin/sh
addgroup -S chrony 2>/dev/null
adduser -S -D -h /var/lib/chrony -s /sbin/nologin -G chrony -g chrony chrony 2>/dev/null
addgroup chrony audio
exit 0
";
const NGINX: &str = "#!/bin/sh
addgroup -S nginx 2>/dev/null
adduser -S -D -H -h /var/lib/nginx -s /sbin/nologin -G nginx -g nginx nginx 2>/dev/null
exit 0
";
const PERSON: &str = "#!/bin/sh\nadduser -D person || true\nadduser -S -h /home/person second || true\n";

/// Applies the script `text`, which is one of accounts alone, and returns what it added.
fn apply(text: &str, tree: &mut Tree) -> AddedAccounts {
    let before = AccountsBefore::of(tree).unwrap();
    let script = AccountScript::of(text.as_bytes()).unwrap();
    assert_eq!(script.apply(tree, 20778).unwrap(), Applied::Done, "{text}");
    before.added_in(tree).unwrap()
}

/// As [`apply`], after what was recorded of it.
fn apply_recorded(text: &str, recorded: &AddedAccounts, tree: &mut Tree) {
    recorded.make(tree, 20778).unwrap();
    assert_eq!(apply(text, tree), AddedAccounts::default(), "it finds all of it there");
}

fn is_same(one: &Tree, other: &Tree) -> bool {
    one.entries()
        .map(|(path, _, inode)| (path, inode))
        .eq(other.entries().map(|(path, _, inode)| (path, inode)))
}

#[test]
fn what_a_script_added_is_recorded() {
    let added = apply(CHRONY, &mut alpine());
    let expected = AddedAccounts {
        groups: vec![AddedGroup { name: "chrony".to_owned(), gid: 101 }],
        users: vec![AddedUser {
            name: "chrony".to_owned(),
            uid: 100,
            gid: 101,
            group: Some("chrony".to_owned()),
            full_name: "chrony".to_owned(),
            home: "/var/lib/chrony".to_owned(),
            has_home: true,
            shell: "/sbin/nologin".to_owned(),
        }],
        members: [("audio", "chrony"), ("chrony", "chrony")]
            .map(|(group, user)| AddedMember { group: group.to_owned(), user: user.to_owned() })
            .to_vec(),
    };
    assert_eq!(added, expected);
    assert!(!apply(NGINX, &mut alpine()).users[0].has_home);
    let text = serde_json::to_string(&added).unwrap();
    assert_eq!(serde_json::from_str::<AddedAccounts>(&text).unwrap(), added, "{text}");
}

#[test]
fn recorded_accounts_are_made_as_the_script_makes_them() {
    let (mut run, mut made) = (alpine(), alpine());
    for script in [CHRONY, NGINX, PERSON] {
        let recorded = apply(script, &mut run);
        apply_recorded(script, &recorded, &mut made);
        assert!(
            is_same(&run, &made),
            "{script}: {:?}",
            [AccountFile::Passwd, AccountFile::Group].map(|file| text(file, &made))
        );
    }
}

#[test]
fn numbers_stay_when_the_order_changes_or_another_package_comes_before() {
    let mut tree = alpine();
    let chrony = apply(CHRONY, &mut tree);
    let nginx = apply(NGINX, &mut tree);
    let numbers = |tree: &Tree| {
        let accounts = Accounts::of(tree).unwrap();
        ["chrony", "nginx"].map(|name| (accounts.user(name), accounts.group(name)))
    };
    let expected = [(Some(100), Some(101)), (Some(101), Some(102))];
    assert_eq!(numbers(&tree), expected);

    let mut other_order = alpine();
    apply_recorded(NGINX, &nginx, &mut other_order);
    apply_recorded(CHRONY, &chrony, &mut other_order);
    assert_eq!(numbers(&other_order), expected);

    let mut with_another = alpine();
    let held = HeldNumbers::hold(&mut with_another, [&chrony, &nginx]).unwrap();
    let another = apply(PERSON.replace("second", "third").as_str(), &mut with_another);
    held.release(&mut with_another).unwrap();
    assert_eq!((another.users[1].uid, another.groups[0].gid), (102, 1000));
    apply_recorded(CHRONY, &chrony, &mut with_another);
    apply_recorded(NGINX, &nginx, &mut with_another);
    assert_eq!(numbers(&with_another), expected);
    let names: Vec<String> = ["passwd", "group"]
        .iter()
        .flat_map(|file| {
            made::text(&with_another, &format!("etc/{file}")).lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|line| line.contains("held"))
        .collect();
    assert_eq!(names, [""; 0]);
}

#[test]
fn a_number_that_something_else_took_is_an_error_that_says_so() {
    let chrony = apply(CHRONY, &mut alpine());
    let mut tree = alpine();
    apply(NGINX, &mut tree);
    let before = tree.clone();
    let error = chrony.make(&mut tree, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the accounts recorded of a package's script cannot be made: the group `chrony` should have number 101, which is `nginx`'s"
    );
    assert_eq!(error.kind(), Kind::Profile);
    assert!(is_same(&tree, &before));

    let mut tree = alpine();
    add(&mut tree, &[NewGroup { name: "chrony".to_owned(), gid: 7, members: vec![] }], &[], 0).unwrap();
    let error = chrony.make(&mut tree, 0).unwrap_err();
    assert!(
        matches!(error, AccountError::Recorded(inner) if matches!(*inner, AccountError::Number { there: 7, .. }))
    );

    let mut tree = alpine();
    let without_group = AddedAccounts { groups: vec![], ..chrony.clone() };
    let error = without_group.make(&mut tree, 0).unwrap_err();
    assert!(matches!(error, AccountError::Recorded(inner) if matches!(*inner, AccountError::NoGroup { .. })));

    let mut tree = alpine();
    tree.insert(path("var/lib/chrony"), at(&tree, "bin/busybox").clone()).unwrap();
    let error = chrony.make(&mut tree, 0).unwrap_err();
    assert!(matches!(error, AccountError::Recorded(inner) if matches!(*inner, AccountError::Home { .. })));
}

#[test]
fn numbers_that_were_held_for_nothing_leave_the_files_as_they_were() {
    let chrony = apply(CHRONY, &mut alpine());
    let before = alpine();
    let mut tree = before.clone();
    let held = HeldNumbers::hold(&mut tree, [&chrony]).unwrap();
    let held_line = "apkcompose-held-100:!:100:100::/:/sbin/nologin\n";
    assert_eq!(text(AccountFile::Passwd, &tree), format!("{}{held_line}", made::PASSWD));
    held.release(&mut tree).unwrap();
    assert!(is_same(&tree, &before));

    let mut empty = Tree::new();
    HeldNumbers::hold(&mut empty, [&chrony]).unwrap().release(&mut empty).unwrap();
    chrony.make(&mut empty, 0).unwrap();
    assert!(empty.is_empty());
}
