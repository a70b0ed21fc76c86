//! What a gateway says, as a header: `1;MICROS;INSTANCE;NUMBER;ADDRESS;USER;SIGNATURE`.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::gateway_key::Keys;

/// What else is signed by the key must not pass for this.
const DOMAIN: &str = "steward identity 1";
const VERSION: &str = "1";
/// The longest header that is looked at.
const MAX_BYTES: usize = 1024;

/// Which gateway says something, since it was started.
pub(super) type Instance = [u8; 16];

/// Whose a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// When it was said, since 1970.
    pub(super) micros: u64,
    pub(super) instance: Instance,
    /// Which of the words of this instance it is.
    pub(super) number: u64,
    pub(super) address: Option<IpAddr>,
    /// Empty: nobody that the gateway knows.
    pub(super) user: String,
}

impl Word {
    /// The header, for a call of the method `path`.
    pub(super) fn sign(&self, keys: &Keys, path: &str) -> String {
        let Word { micros, instance, number, address, user } = self;
        let instance = URL_SAFE_NO_PAD.encode(instance);
        let address = address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let said = format!("{VERSION};{micros};{instance};{number};{address};{user}");
        let signature = URL_SAFE_NO_PAD.encode(keys.sign(&message(&said, path)));
        format!("{said};{signature}")
    }

    /// What the header says if it is signed for a call of the method `path`.
    pub(super) fn verify(text: &str, keys: &Keys, path: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (said, signature) = text.rsplit_once(';')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Nothing is read of what nobody signed.
        if !keys.verify(&message(said, path), &signature) {
            return None;
        }
        let fields: Vec<&str> = said.splitn(6, ';').collect();
        let [VERSION, micros, instance, number, address, user] = fields[..] else { return None };
        Some(Word {
            micros: micros.parse().ok()?,
            instance: URL_SAFE_NO_PAD.decode(instance).ok()?.try_into().ok()?,
            number: number.parse().ok()?,
            address: if address == "-" { None } else { Some(address.parse().ok()?) },
            user: user.to_owned(),
        })
    }
}

/// Neither a path nor a header has line ends in it, so the parts cannot be taken for each other.
fn message(said: &str, path: &str) -> Vec<u8> {
    format!("{DOMAIN}\n{path}\n{said}").into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATH: &str = "/steward.lock.v1.LockService/Acquire";

    fn keys() -> Keys {
        Keys::parse(&"k".repeat(32)).unwrap()
    }

    proptest! {
        #[test]
        fn a_word_reads_back_for_its_own_method_alone(
            micros: u64, instance: Instance, number: u64, address: Option<IpAddr>, user in "[A-Za-z0-9@._;-]{1,40}",
        ) {
            let word = Word { micros, instance, number, address, user };
            let said = word.sign(&keys(), PATH);
            prop_assert_eq!(Word::verify(&said, &keys(), PATH), Some(word));
            prop_assert_eq!(Word::verify(&said, &keys(), "/steward.lock.v1.LockService/Release"), None);
        }

        #[test]
        fn not_one_character_can_be_changed(at in 0..80_usize, to in "[ -~]") {
            let word = Word { micros: 1, instance: [7; 16], number: 1, address: None, user: "alice".to_owned() };
            let said = word.sign(&keys(), PATH);
            let at = at % said.len();
            prop_assume!(said[at..=at] != to);
            let changed = format!("{}{to}{}", &said[..at], &said[at + 1..]);
            prop_assert_eq!(Word::verify(&changed, &keys(), PATH), None);
        }

        #[test]
        fn garbage_does_no_harm(garbage in "[ -~]{0,200}") {
            prop_assert_eq!(Word::verify(&garbage, &keys(), PATH), None);
        }
    }
}
