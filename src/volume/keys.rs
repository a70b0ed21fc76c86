//! The keys of the tables of volumes.

use uuid::Uuid;

use crate::store::key::{KeyBuilder, KeyReader, digest};
use crate::store::{Key, Table};

fn numbered(table: Table, number: u64) -> Key {
    KeyBuilder::new(table).number(number).build()
}

pub(super) fn volume(id: u64) -> Key {
    numbered(Table::Volume, id)
}

/// An entry of a directory.
pub(super) fn entry(directory: u64, name: &str) -> Key {
    KeyBuilder::new(Table::VolumeEntry).number(directory).text(name).build()
}

/// All entries of a directory, in the order of the bytes of their names.
pub(super) fn entries(directory: u64) -> Key {
    numbered(Table::VolumeEntry, directory)
}

pub(super) fn snapshot(uuid: Uuid) -> Key {
    KeyBuilder::new(Table::VolumeSnapshot).fixed(uuid.as_bytes()).build()
}

pub(super) fn snapshot_seq(volume: u64, seq: u64) -> Key {
    KeyBuilder::new(Table::VolumeSnapshotSeq).number(volume).number(seq).build()
}

/// All snapshots of a volume, by number.
pub(super) fn snapshots_of(volume: u64) -> Key {
    numbered(Table::VolumeSnapshotSeq, volume)
}

pub(super) fn snapshot_name(volume: u64, name: &str) -> Key {
    KeyBuilder::new(Table::VolumeSnapshotName).number(volume).fixed(&digest(&[name.as_bytes()])).build()
}

pub(super) fn clone(snapshot: Uuid, volume: u64) -> Key {
    KeyBuilder::new(Table::VolumeClone).fixed(snapshot.as_bytes()).number(volume).build()
}

/// All clones that need a snapshot.
pub(super) fn clones_of(snapshot: Uuid) -> Key {
    KeyBuilder::new(Table::VolumeClone).fixed(snapshot.as_bytes()).build()
}

/// The clone that a key of [`clone`] names.
pub(super) fn clone_id(key: &Key) -> Option<u64> {
    let mut reader = KeyReader::new(key);
    reader.fixed::<16>()?;
    reader.number()
}

pub(super) fn layer(id: u64) -> Key {
    numbered(Table::VolumeLayer, id)
}

pub(super) fn layer_child(parent: u64, child: u64) -> Key {
    KeyBuilder::new(Table::VolumeLayerChild).number(parent).number(child).build()
}

/// All layers that stand on one.
pub(super) fn layer_children(parent: u64) -> Key {
    numbered(Table::VolumeLayerChild, parent)
}

/// The second number of a key that has two: the child of a layer, the volume in the trash.
pub(super) fn second_number(key: &Key) -> Option<u64> {
    let mut reader = KeyReader::new(key);
    reader.number()?;
    reader.number()
}

/// The first number of a key.
pub(super) fn first_number(key: &Key) -> Option<u64> {
    KeyReader::new(key).number()
}

pub(super) fn operation(uuid: Uuid) -> Key {
    KeyBuilder::new(Table::VolumeOperation).fixed(uuid.as_bytes()).build()
}

pub(super) fn operation_time(create_us: u64, uuid: Uuid) -> Key {
    KeyBuilder::new(Table::VolumeOperationTime).number(create_us).fixed(uuid.as_bytes()).build()
}

pub(super) fn operation_active(uuid: Uuid) -> Key {
    KeyBuilder::new(Table::VolumeOperationActive).fixed(uuid.as_bytes()).build()
}

/// The UUID in a key of [`operation_active`].
pub(super) fn active_uuid(key: &Key) -> Option<Uuid> {
    KeyReader::new(key).fixed::<16>().map(Uuid::from_bytes)
}

pub(super) fn trash(purge_us: u64, volume: u64) -> Key {
    KeyBuilder::new(Table::VolumeTrash).number(purge_us).number(volume).build()
}

pub(super) fn expiry(expire_us: u64, snapshot: Uuid) -> Key {
    KeyBuilder::new(Table::VolumeSnapshotExpiry).number(expire_us).fixed(snapshot.as_bytes()).build()
}

/// The UUID behind the number in a key of [`operation_time`] or [`expiry`].
pub(super) fn timed_uuid(key: &Key) -> Option<Uuid> {
    let mut reader = KeyReader::new(key);
    reader.number()?;
    reader.fixed::<16>().map(Uuid::from_bytes)
}

pub(super) fn policy(name: &str) -> Key {
    KeyBuilder::new(Table::VolumePolicy).text(name).build()
}

pub(super) fn policy_member(policy: &str, volume: u64) -> Key {
    KeyBuilder::new(Table::VolumePolicyMember).text(policy).number(volume).build()
}

/// All volumes that follow a policy.
pub(super) fn policy_members(policy: &str) -> Key {
    KeyBuilder::new(Table::VolumePolicyMember).text(policy).build()
}

/// The volume that a key of [`policy_member`] names.
pub(super) fn member_id(key: &Key) -> Option<u64> {
    let mut reader = KeyReader::new(key);
    reader.text()?;
    reader.number()
}

pub(super) fn user(name: &str) -> Key {
    KeyBuilder::new(Table::VolumeUser).text(name).build()
}

pub(super) fn sequence() -> Key {
    Key::table(Table::VolumeSequence)
}

/// What is known of the directory of layers, and which numbers they may have been given.
pub(super) fn layers() -> Key {
    numbered(Table::VolumeSequence, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_the_order_of_the_bytes_of_their_names() {
        let names = ["RecycleBin", "a", "a.b", "ab", "clone", "test1", "\u{e9}"];
        let keys = names.map(|name| entry(1, name));
        assert!(keys.is_sorted());
        assert!(entry(1, "zzz") < entry(2, "a"));
    }

    #[test]
    fn keys_read_back() {
        let uuid = Uuid::from_u128(7);
        assert_eq!(clone_id(&clone(uuid, 9)), Some(9));
        assert_eq!(second_number(&layer_child(3, 4)), Some(4));
        assert_eq!(timed_uuid(&expiry(5, uuid)), Some(uuid));
        assert_eq!(active_uuid(&operation_active(uuid)), Some(uuid));
        assert_eq!(member_id(&policy_member("daily", 11)), Some(11));
        assert_eq!(first_number(&volume(12)), Some(12));
    }
}
