use super::files::AccountFile;
use super::*;

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
