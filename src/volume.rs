//! Block volumes: snapshots, clones and flatten of devices that hold real bytes.
//!
//! A volume is a **chain of layers** (`driver`): the top takes writes, those below are frozen and may be shared by
//! snapshots and clones. The records say which layer stands on which and what has a name; the layered store (`layers`)
//! keeps the bytes; an NBD server (`nbd`) serves an open chain as a [`device::Device`].

pub mod device;
pub mod driver;
pub mod nbd;
