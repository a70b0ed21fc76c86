//! The keys of an issuer: a JSON Web Key Set.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// How many keys are kept of a set.
const MAX_KEYS: usize = 64;
/// How long the id of a key may be.
const MAX_ID_BYTES: usize = 512;

/// A set of keys. Its version tells it from those before and after it.
#[derive(Debug, Default)]
pub(super) struct Keys {
    version: u64,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    material: DecodingKey,
}

/// Which key is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup<'a> {
    /// The id that the token has.
    pub(super) id: Option<&'a str>,
    /// What the token is signed with.
    pub(super) algorithm: Algorithm,
}

/// What a file or an answer has to be.
#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Keys {
    /// Reads a set. Keys of other kinds, for other purposes and with private halves are left out.
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(content)
            .map_err(|error| format!("no JSON Web Key Set: line {}, column {}", error.line(), error.column()))?;
        let keys: Vec<_> = document.keys.into_iter().filter_map(Key::read).take(MAX_KEYS).collect();
        if keys.is_empty() {
            return Err("it has no key of RSA, P-256, P-384 or Ed25519 for signatures".to_owned());
        }
        Ok(Keys { version: 0, keys })
    }

    /// The same as the one after `before`.
    pub(super) fn after(self, before: &Keys) -> Self {
        Keys { version: before.version + 1, ..self }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that may have signed a token.
    pub(super) fn find<'a>(&'a self, lookup: &Lookup<'a>) -> impl Iterator<Item = &'a DecodingKey> {
        let (id, algorithm) = (lookup.id, lookup.algorithm);
        let is_it = move |key: &&Key| {
            key.algorithms.contains(&algorithm) && (id.is_none() || key.id.is_none() || key.id.as_deref() == id)
        };
        self.keys.iter().filter(is_it).map(|key| &key.material)
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let is_for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let id = jwk.common.key_id.clone();
        if !is_for_signatures || id.as_ref().is_some_and(|id| id.len() > MAX_ID_BYTES) {
            return None;
        }
        let mut algorithms = algorithms_of(&jwk.algorithm)?.to_vec();
        if let Some(only) = jwk.common.key_algorithm {
            let only = only.to_string();
            algorithms.retain(|algorithm| format!("{algorithm:?}") == only);
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        (!algorithms.is_empty()).then_some(Key { id, algorithms, material: key })
    }
}

/// What a key can have signed.
fn algorithms_of(parameters: &AlgorithmParameters) -> Option<&'static [Algorithm]> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match parameters {
        AlgorithmParameters::RSA(_) => Some(&[RS256, RS384, RS512, PS256, PS384, PS512]),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Some(&[ES256]),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => Some(&[ES384]),
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Some(&[EdDSA]),
        _ => None,
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}
