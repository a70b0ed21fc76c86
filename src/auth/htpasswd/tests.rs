use proptest::prelude::*;

use super::*;

// Made by libxcrypt and openssl: the hashes of "secret".
const BCRYPT_2A: &str = "$2a$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG";
const BCRYPT_2B: &str = "$2b$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG";
const BCRYPT_2Y: &str = "$2y$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG";
const SHA: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
/// Of 72 times `x`.
const BCRYPT_OF_72: &str = "$2y$04$CCCCCCCCCCCCCCCCCCCCC.ug0A3dTXhy5U.dFjx/qguZ8I4CB77BC";
/// Of "geheïm".
const BCRYPT_OF_UTF8: &str = "$2y$04$abcdefghijklmnopqrstuuk8kdInNIVQNtRelq6MzUsDhyEqvcwxC";

#[test]
fn passwords_are_compared_with_hashes_of_other_programs() {
    for text in [BCRYPT_2A, BCRYPT_2B, BCRYPT_2Y, SHA] {
        let hash = Hash::parse(text).unwrap();
        assert!(hash.is_of(b"secret"), "{text}");
        for wrong in ["", "Secret", "secret\0", "\0secret", "secret\0secret", "secre"] {
            assert!(!hash.is_of(wrong.as_bytes()), "{text} {wrong:?}");
        }
    }
    assert!(Hash::parse(BCRYPT_OF_UTF8).unwrap().is_of("geheïm".as_bytes()));
}

#[test]
fn bcrypt_looks_at_72_bytes_as_its_peers_do() {
    let hash = Hash::parse(BCRYPT_OF_72).unwrap();
    assert!(hash.is_of("x".repeat(72).as_bytes()));
    assert!(hash.is_of("x".repeat(1024).as_bytes()));
    assert!(!hash.is_of("x".repeat(71).as_bytes()));
}

#[test]
fn odd_lines_are_refused_by_number_and_the_others_count() {
    let file = format!(
        "# people\r\n\n  \nalice:{BCRYPT_2Y}\r\nbob:{SHA}\n..:{SHA}\nno colon\nmd5:$apr1$dkld/8a4$lzLRnrqKRCVjymtO.uUJ4/\n\
         plain:secret\na/b:{SHA}\nempty:\nshort:$2y$04$CCCC\nslow:$2y$31${}\nworse:$2x$04${}\nbob:{BCRYPT_2A}:more",
        &BCRYPT_2Y[7..],
        &BCRYPT_2Y[7..]
    );
    let (users, remarks) = Users::parse(file.as_bytes());
    assert_eq!(users.len(), 2);
    assert!(users.find("alice").unwrap().is_of(b"secret"));
    assert_eq!(**users.find("bob").unwrap(), Hash::parse(BCRYPT_2A).unwrap(), "the later line");
    let numbers: Vec<_> = remarks.iter().map(|remark| remark.number).collect();
    assert_eq!(numbers, [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert!(!format!("{users:?} {remarks:?}").contains("secret"));
    assert!(!format!("{users:?}").contains("$2y$"));
}

#[test]
fn a_line_that_is_not_utf8_is_one_refused_line() {
    let (users, remarks) = Users::parse(&[b"\xff:x\nbob:".as_slice(), SHA.as_bytes()].concat());
    assert_eq!((users.len(), remarks.len(), remarks[0].number), (1, 1, 1));
}

#[test]
fn every_failure_takes_as_long_as_the_slowest() {
    let (users, _) =
        Users::parse(format!("a:{SHA}\nb:{BCRYPT_2Y}\nc:{}", BCRYPT_2Y.replace("$04$", "$06$")).as_bytes());
    for user in ["a", "b", "c", "nobody"] {
        let hash = users.find(user);
        let nobodys = users.nobodys_hashes(hash);
        let all = hash.into_iter().map(|hash| &**hash).chain(&nobodys);
        let steps: u32 = all.filter_map(Hash::cost).map(|cost| 1 << cost).sum();
        assert_eq!(steps, 1 << 6, "{user}");
        assert!(!nobodys.iter().any(|hash| hash.is_of(b"")));
    }
    assert!(matches!(Hash::parse("$2b$05$....................................................."), Ok(hash)
        if hash == Hash::nobodys(Some(5))));
    let (users, _) = Users::parse(format!("a:{SHA}").as_bytes());
    assert!(users.nobodys_hashes(None).iter().all(|hash| hash.cost().is_none() && !hash.is_of(b"")));
}

proptest! {
    #[test]
    fn garbage_does_no_harm(garbage: Vec<u8>, text in "(a:)?[$2abyxSHA{}:./0-9é\n]{0,80}") {
        let _ = Users::parse(&garbage);
        let (users, remarks) = Users::parse(text.as_bytes());
        prop_assert!(users.len() + remarks.len() <= text.lines().count() + 1);
    }
}
