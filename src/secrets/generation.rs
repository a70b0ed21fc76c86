//! How often the key of stored secrets was changed, as a record. Whoever stores a secret expects it to be what it was,
//! so that nothing sealed with a former key is stored behind the back of a rotation that has passed it by.

use crate::store::key::KeyBuilder;
use crate::store::tx::Tx;
use crate::store::{Error, Key, Store, Table, update};

fn key() -> Key {
    KeyBuilder::new(Table::SecretGeneration).build()
}

/// Makes it a precondition of this transaction that the keys are not changed. Comes before what the transaction seals:
/// then it is sealed with the new key, or not committed.
pub(crate) async fn expect_generation(tx: &mut Tx<'_>) -> Result<(), Error> {
    tx.bytes(&key()).await.map(drop)
}

/// Refuses all transactions under way that expect the generation. Returns once that survives a power loss.
pub(super) async fn begin_next(store: &dyn Store) -> Result<(), Error> {
    let attempt = || async {
        let mut tx = Tx::new(store);
        let before = tx.bytes(&key()).await?;
        let count = before.and_then(|bytes| Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?)));
        tx.put_bytes(key(), (count.unwrap_or(0) + 1).to_be_bytes().to_vec());
        Ok::<_, Error>(tx.answer(()))
    };
    update(store, "the generation of secrets", attempt).await.map(drop)
}
