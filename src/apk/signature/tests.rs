use super::*;
use crate::apk::keys::{Keyring, MessageDigests, SignatureError};
use crate::apk::members::{SmallFile, TarEnd, small_tar};
use crate::apk::sign::SigningKey;
use crate::archive::gzip_write;

fn member(files: &[(&str, &[u8])]) -> Vec<u8> {
    let files: Vec<SmallFile<'_>> =
        files.iter().map(|(name, bytes)| SmallFile { name, mode: 0o644, mtime: 0, bytes }).collect();
    gzip_write::member(&small_tar(&files, TarEnd::Open).unwrap()).unwrap()
}

#[test]
fn the_first_signature_whose_key_is_accepted_decides() {
    let key = SigningKey::generate("ours.rsa.pub").unwrap();
    let keyring = Keyring::of([key.public_key().clone()]);
    let message = member(&[(".PKGINFO", b"pkgname = a\n")]);
    let good = key.sign(&message).unwrap().bytes;
    let bad = vec![1; good.len()];
    let verdict = |files: &[(&str, &[u8])]| {
        let file = [member(files), message.clone()].concat();
        let (signatures, rest) = split(&file).unwrap();
        assert_eq!(rest, message);
        keyring.verify(&signatures, &MessageDigests::of(rest)).map(|name| name.to_string())
    };
    let ours = ".SIGN.RSA.ours.rsa.pub";

    assert_eq!(verdict(&[(ours, &good)]), Ok("ours.rsa.pub".to_owned()));
    let strangers: [(&str, &[u8]); 3] =
        [(".SIGN.RSA.theirs.rsa.pub", &bad), (".SIGN.FUTURE.theirs.key", b""), (ours, &good)];
    assert_eq!(verdict(&strangers), Ok("ours.rsa.pub".to_owned()));
    let no_second_try = verdict(&[(ours, &bad), (ours, &good)]);
    assert_eq!(no_second_try, Err(SignatureError::Bad { key: "ours.rsa.pub".to_owned() }));
    let other_algorithm = verdict(&[(".SIGN.RSA256.ours.rsa.pub", &good)]);
    assert_eq!(other_algorithm, Err(SignatureError::Bad { key: "ours.rsa.pub".to_owned() }));
    let unsafe_algorithm = verdict(&[(".SIGN.DSA.ours.rsa.pub", &good), (ours, &good)]);
    assert!(
        matches!(unsafe_algorithm, Err(SignatureError::Algorithm { algorithm, .. }) if algorithm == "DSA")
    );
    assert!(matches!(
        verdict(&[(".SIGN.RSA.theirs.rsa.pub", &good)]),
        Err(SignatureError::UnknownKey { .. })
    ));
}

#[test]
fn a_file_that_begins_otherwise_is_unsigned() {
    let file = member(&[(".PKGINFO", b"pkgname = a\n")]);
    let (signatures, rest) = split(&file).unwrap();
    assert!(signatures.is_empty());
    assert_eq!(rest, file);
}

#[test]
fn nothing_stands_beside_signatures() {
    let refused = |files: &[(&str, &[u8])]| split(&member(files)).unwrap_err();
    let beside = refused(&[(".SIGN.RSA.x.rsa.pub", b""), (".PKGINFO", b"pkgname = a\n")]);
    assert!(matches!(beside, SignatureMemberError::Foreign(name) if name == ".PKGINFO"));
    let nameless = refused(&[(".SIGN.RSA", b"")]);
    assert!(matches!(nameless, SignatureMemberError::Foreign(name) if name == ".SIGN.RSA"));
    let long = refused(&[(".SIGN.RSA.x.rsa.pub", &vec![0; 65_537])]);
    assert!(matches!(long, SignatureMemberError::Tar(TarError::LongFile { .. })));
}
