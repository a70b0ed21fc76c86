//! Transactions: preconditions and operations, checked against the limits of the store.

use bytes::Bytes;

use super::{Error, Key, MAX_EMIT_BYTES, MAX_KEY_BYTES, MAX_TXN_BYTES, MAX_TXN_OPS, MAX_VALUE_BYTES, Revision};

/// What has to be true of a key for a commit to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It has no record.
    Absent,
    /// Its record was last changed at this revision.
    At(Revision),
}

/// One change of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Gives a key a value.
    Put(Key, Bytes),
    /// Removes a record; not an error when there is none.
    Delete(Key),
    /// Tells the watchers of a key that something happened, and keeps no record of it beside the journal.
    Emit(Key, Bytes),
}

impl Op {
    fn key(&self) -> &Key {
        match self {
            Op::Put(key, _) | Op::Delete(key) | Op::Emit(key, _) => key,
        }
    }

    fn value_len(&self) -> usize {
        match self {
            Op::Put(_, value) | Op::Emit(_, value) => value.len(),
            Op::Delete(_) => 0,
        }
    }

    /// The size of its key and value.
    pub(super) fn bytes(&self) -> usize {
        self.key().as_bytes().len() + self.value_len()
    }

    fn max_value_len(&self) -> usize {
        match self {
            Op::Put(..) | Op::Delete(_) => MAX_VALUE_BYTES,
            Op::Emit(..) => MAX_EMIT_BYTES,
        }
    }
}

/// Changes to be made together, if the preconditions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// What the decision was based on.
    pub preconditions: Vec<(Key, Expect)>,
    /// What it decided.
    pub ops: Vec<Op>,
}

impl Txn {
    /// Requires that `key` is still as it was when it was read.
    pub fn expect(&mut self, key: Key, revision: Option<Revision>) {
        self.preconditions.push((key, revision.map_or(Expect::Absent, Expect::At)));
    }

    /// Gives `key` a value.
    pub fn put(&mut self, key: Key, value: impl Into<Bytes>) {
        self.ops.push(Op::Put(key, value.into()));
    }

    /// Removes the record of `key`.
    pub fn delete(&mut self, key: Key) {
        self.ops.push(Op::Delete(key));
    }

    /// Tells the watchers of `key`.
    pub fn emit(&mut self, key: Key, value: impl Into<Bytes>) {
        self.ops.push(Op::Emit(key, value.into()));
    }

    /// Checks the limits that every implementation shares.
    pub(crate) fn check_limits(&self) -> Result<(), Error> {
        if self.ops.is_empty() {
            return Err(Error::Refused("it has no operation".to_owned()));
        }
        if self.ops.len() > MAX_TXN_OPS {
            return Err(Error::Refused(format!("{} operations; the limit is {MAX_TXN_OPS}", self.ops.len())));
        }
        let mut bytes = 0;
        for op in &self.ops {
            let (key, value) = (op.key().as_bytes().len(), op.value_len());
            if key == 0 || key > MAX_KEY_BYTES {
                return Err(Error::Refused(format!("a key of {key} bytes; the limit is {MAX_KEY_BYTES}")));
            }
            if value > op.max_value_len() {
                return Err(Error::Refused(format!(
                    "a value of {value} bytes under {}; the limit is {}",
                    op.key(),
                    op.max_value_len()
                )));
            }
            bytes += key + value;
        }
        if bytes > MAX_TXN_BYTES {
            return Err(Error::Refused(format!("{bytes} bytes; the limit is {MAX_TXN_BYTES}")));
        }
        Ok(())
    }
}
