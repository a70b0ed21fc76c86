//! Where the bytes of volumes are: the seam between the catalogue, which knows names and which layer stands on which,
//! and what keeps the bytes of layers.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::device::Device;

/// The number of a layer. It is never given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerId(pub u64);

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a driver has to know of a layer to open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// Which one.
    pub id: LayerId,
    /// How long it is, in bytes: a multiple of the block size, never less than the layers below it.
    pub size: u64,
    /// Whether its blocks have checksums that are verified when they are read.
    pub checksums: bool,
}

/// Whether a view may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The top layer takes writes. There is at most one such view of a layer at a time.
    ReadWrite,
    /// Every layer stays as it is.
    ReadOnly,
}

/// Keeps the bytes of layers, in chains: a block is read from the uppermost layer that has it.
///
/// A driver remembers nothing about which layer stands on which; the catalogue tells it when it opens a chain. All
/// calls block.
pub trait Driver: Send + Sync + 'static {
    /// Makes an empty layer. When it returns, the layer survives a power loss. Not an error if it is there, as long as
    /// nothing was written to it.
    fn create_layer(&self, layer: LayerSpec) -> io::Result<()>;

    /// Removes a layer and its bytes; not an error if there is none. No view may use it.
    fn remove_layer(&self, id: LayerId) -> io::Result<()>;

    /// Every layer that there is, in order, also those that nobody knows of.
    fn layers(&self) -> io::Result<Vec<LayerId>>;

    /// Bytes of disk that a layer takes, its map and checksums included.
    fn used_bytes(&self, id: LayerId) -> io::Result<u64>;

    /// Bytes of disk that are free for more.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Opens a chain, the bottom first.
    fn open(&self, chain: &[LayerSpec], access: Access) -> io::Result<Arc<dyn View>>;

    /// Puts a new top on each of several open views at one point in time: no write is in both, and what was
    /// acknowledged before this was called is below the new tops. The new layers were made by [`Driver::create_layer`].
    /// Until the answer is dropped, flushes of these views wait: what they promise now rests on the caller's record of the
    /// new tops.
    fn freeze(&self, tops: Vec<(Arc<dyn View>, LayerSpec)>) -> io::Result<Box<dyn Frozen>>;

    /// Brings into `into`, a layer of its own, every block that `source` (the chain of the parent, the bottom first)
    /// shows and that `above` (the lowest layer of the child, which is to stand on `into` from then on) does not have.
    /// What is there already from an earlier attempt stays. When it returns `Ok(Done::All)`, it survives a power loss.
    fn flatten(
        &self,
        source: &[LayerSpec],
        above: LayerSpec,
        into: LayerSpec,
        control: &dyn Control,
    ) -> io::Result<Done>;

    /// Makes one of two layers hold what both show together, so that the other is not needed any more. `lower` is
    /// frozen, has no name and no other layer on it than `upper`; `upper` is frozen too. Nothing that anybody can see
    /// changes, at any moment. When it returns `Ok(Done::All)`, it survives a power loss.
    fn merge(&self, lower: LayerSpec, upper: LayerSpec, into: MergeInto, control: &dyn Control) -> io::Result<Done>;

    /// How many bytes a merge would have to move into the lower and into the upper layer.
    fn merge_cost(&self, lower: LayerSpec, upper: LayerSpec) -> io::Result<MergeCost>;

    /// Gives back what `lower` has of blocks that `upper` has too. `lower` is frozen, has no name and no other layer on
    /// it; `upper` may be the top of an open view, and may get a new top on it meanwhile. Returns also how many bytes
    /// became free, by then if it was told to stop. It may take minutes: nobody should wait for a lock of the caller.
    fn discard_hidden(&self, lower: LayerSpec, upper: LayerSpec, control: &dyn Control) -> io::Result<(Done, u64)>;

    /// Tells open views which chain they have from now on: in the place of the layers `from` (neighbours, the bottom
    /// first) stands `to`, which shows the same to all that is above. `to` may be one of `from`: of merged layers both
    /// are given. It is in no chain twice afterwards. With `under`, only views in which that layer is directly above
    /// `from` are concerned. Afterwards none of them reads a layer of `from` any more, unless that is `to`.
    fn replace(&self, from: &[LayerId], to: LayerSpec, under: Option<LayerId>) -> io::Result<()>;

    /// What differs between what two chains show, in order from `offset` on, joined, at most `limit` extents. Without
    /// an older one: everything that was ever written. Empty at the end.
    fn diff(
        &self,
        older: Option<&[LayerSpec]>,
        newer: &[LayerSpec],
        offset: u64,
        limit: usize,
    ) -> io::Result<Vec<DiffExtent>>;

    /// Checks the files of a layer: that its map can be read, that what the map says is there, that nothing else takes
    /// space, and its checksums. With `repair`, mends what can be mended without a guess about content. A layer that is
    /// the top of an open view is flushed first.
    fn scrub(&self, layer: LayerSpec, repair: Repair, control: &dyn Control) -> io::Result<ScrubReport>;
}

/// A chain that is open.
pub trait View: Device {
    /// Its layers, the bottom first.
    fn chain(&self) -> Vec<LayerSpec>;

    /// Makes it longer. Returns once that survives a power loss.
    fn grow(&self, size: u64) -> io::Result<()>;

    /// Itself, as what a protocol serves.
    fn as_device(self: Arc<Self>) -> Arc<dyn Device>;
}

/// Views with new tops that nobody has recorded yet.
pub trait Frozen: Send {
    /// Returns once everything below the new tops survives a power loss.
    fn settle(&self) -> io::Result<()>;

    /// For how long writes had to wait, at most.
    fn pause(&self) -> std::time::Duration;
}

/// Says how work in the background is to go on. Asked before every piece of work, with what was done since the last
/// time; it may take its time to answer, which is how work is slowed down or paused.
pub trait Control: Send + Sync {
    /// Called once, when it is known how much there is to do.
    fn total(&self, bytes: u64);

    /// `bytes` more were done. Says whether to go on.
    fn proceed(&self, bytes: u64) -> Proceed;
}

/// Whether to go on with work in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proceed {
    /// With the next piece.
    Go,
    /// Stop here; what was done so far may be needed again.
    Stop,
}

/// How far work in the background came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// To its end.
    All,
    /// It was told to stop.
    Stopped,
}

/// Which of two layers is to hold both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeInto {
    /// The lower one; the upper is to be removed.
    Lower,
    /// The upper one; the lower is to be removed.
    Upper,
}

/// What a merge would have to move, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeCost {
    /// Into the lower layer.
    pub into_lower: u64,
    /// Into the upper layer.
    pub into_upper: u64,
}

/// Whether to mend what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Only say what is wrong.
    No,
    /// Mend what can be mended.
    Yes,
}

/// A part of a device that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffExtent {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
    /// Whether the newer one reads as zeros here.
    pub is_zero: bool,
}

/// What a scrub of one layer came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Blocks that the map says are there.
    pub blocks: u64,
    /// Blocks whose checksum was verified.
    pub verified: u64,
    /// What was found. At most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more_findings: u64,
}

/// How many findings a report names.
pub const MAX_FINDINGS: usize = 1000;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// Where, in bytes from the start of the volume; 0 for what concerns a whole layer.
    pub offset: u64,
    /// How many bytes are concerned.
    pub length: u64,
    /// Whether it is mended now.
    pub is_repaired: bool,
}

/// The kinds of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// A file of the layer is missing.
    MissingFile,
    /// Neither copy of a part of the map can be read: its blocks are lost.
    MapLost,
    /// One of the two copies of a part of the map cannot be read; the other one can.
    MapCopyDamaged,
    /// The map names blocks beyond the end.
    BeyondEnd,
    /// Space is taken by blocks that the map does not know. A crash leaves these; they are harmless.
    UnmappedData,
    /// A block is not what its checksum says.
    ChecksumMismatch,
}
