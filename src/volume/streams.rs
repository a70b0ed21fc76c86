//! Reading and writing whole volumes as streams, for those who do not speak a block protocol.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use steward_proto::store::v1::VolumeSnapshotRecord;

use super::catalog::Catalog;
use super::device::{Device, ExtentKind, Wait, Zero};
use super::error::Error;
use super::namespace::{User, Which};
use super::open_volume::{Opener, Wish};
use super::operation::uuid_of;
use super::session::Session;
use super::snapshots::WhichSnapshot;

/// The most bytes of one piece.
const MAX_PIECE: usize = 1024 * 1024;
/// How many extents are looked at at a time.
const EXTENTS: usize = 1024;

/// What to read.
#[derive(Clone, Debug)]
pub struct ReadVolume {
    /// The volume.
    pub volume: Which,
    /// The UUID or name of one of its snapshots; nothing: the volume.
    pub snapshot: Option<String>,
    /// Where to start, in bytes.
    pub offset: u64,
    /// How much; 0: to the end.
    pub length: u64,
}

/// A part of what is read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes, and where they belong.
    Data(u64, Bytes),
    /// Zeros: where they start, and how many.
    Zeros(u64, u64),
}

/// What is open for a stream. Work on its bytes shares it, so that the session lasts until the last of that is done,
/// whoever gives up waiting for it.
struct Opened {
    /// Goes before the session, which leaves the last handle of the view to a thread that may block.
    device: Arc<dyn Device>,
    session: Session,
}

impl Opened {
    fn new(session: Session) -> Result<Arc<Self>, Error> {
        let device = session.device().ok_or(Error::ShuttingDown)?;
        Ok(Arc::new(Opened { device, session }))
    }
}

/// A volume or snapshot that is being read.
pub struct Reading {
    catalog: Catalog,
    /// Nothing only while this is dropped.
    opened: Option<Arc<Opened>>,
    /// The snapshot that was made for this.
    hidden: Option<VolumeSnapshotRecord>,
    at: u64,
    end: u64,
    /// How long the device is, in bytes.
    pub size: u64,
    /// How many bytes will come as data.
    pub data_bytes: u64,
}

impl Catalog {
    /// Begins to read. What is read is how it was at one moment: a snapshot is made of a volume that somebody has open.
    /// Only who opens the volume while it is read can still change what is not read yet.
    pub async fn read_volume(&self, user: &User, what: ReadVolume, peer: &str) -> Result<Reading, Error> {
        let (catalog, user, peer) = (self.clone(), user.clone(), peer.to_owned());
        // Whoever goes away in between leaves no snapshot behind: the answer is dropped where it was made.
        self.to_the_end(async move { catalog.begin_to_read(user, what, &peer).await }).await
    }

    async fn begin_to_read(&self, user: User, what: ReadVolume, peer: &str) -> Result<Reading, Error> {
        let volume = self.usable_volume(&what.volume, &user).await?;
        let opener = Opener { user, peer: peer.to_owned(), wish: Wish::Read, export: None };
        let mut reading = match &what.snapshot {
            Some(snapshot) => self.reading(self.open_snapshot(&what.volume, snapshot, opener).await?, None)?,
            None if self.open.sessions(volume.id) > 0 && !volume.read_only => {
                self.read_hidden(&Which::Id(volume.id), peer).await?
            }
            None => self.reading(self.open_volume(&what.volume, opener).await?, None)?,
        };
        (reading.at, reading.end) = (what.offset, part_of(reading.size, what.offset, what.length)?);
        reading.data_bytes = reading.count_data().await?;
        Ok(reading)
    }

    /// Begins to read a snapshot that is made for this alone.
    async fn read_hidden(&self, volume: &Which, peer: &str) -> Result<Reading, Error> {
        let hidden = self.hidden_snapshot(volume, "read").await?;
        match self.open_hidden(&hidden, peer).await {
            Ok(session) => self.reading(session, Some(hidden)),
            Err(error) => {
                self.drop_hidden(&hidden).await?;
                Err(error)
            }
        }
    }

    fn reading(&self, session: Session, hidden: Option<VolumeSnapshotRecord>) -> Result<Reading, Error> {
        let opened = Opened::new(session)?;
        let size = opened.device.size();
        Ok(Reading { catalog: self.clone(), opened: Some(opened), hidden, at: 0, end: size, size, data_bytes: 0 })
    }
}

/// Where a part of a device ends that was asked for.
fn part_of(size: u64, offset: u64, length: u64) -> Result<u64, Error> {
    let wrong = |field, problem: String| Err(Error::Invalid { field, problem });
    if offset > size {
        return wrong("offset", format!("{offset} is beyond the end, which is at {size}"));
    }
    let end = if length == 0 { Some(size) } else { offset.checked_add(length).filter(|end| *end <= size) };
    match end {
        Some(end) => Ok(end),
        None => wrong("length", format!("{length} bytes from {offset} on are beyond the end, which is at {size}")),
    }
}

impl Reading {
    fn opened(&self) -> Result<Arc<Opened>, Error> {
        let opened = self.opened.as_ref().filter(|opened| !opened.session.stop().is_cancelled());
        opened.map(Arc::clone).ok_or(Error::ShuttingDown)
    }

    async fn count_data(&self) -> Result<u64, Error> {
        let (opened, at, end) = (self.opened()?, self.at, self.end);
        let stop = self.catalog.shutdown.clone();
        let counted = self.catalog.blocking(move |_| {
            let (mut at, mut data) = (at, 0);
            while at < end && !stop.is_cancelled() {
                for extent in opened.device.extents(at, end - at, EXTENTS)? {
                    at += extent.length;
                    data += if extent.kind == ExtentKind::Data { extent.length } else { 0 };
                }
            }
            Ok(data)
        });
        counted.await
    }

    /// The next part; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<Part>, Error> {
        if self.at >= self.end {
            return Ok(None);
        }
        let (opened, at, end) = (self.opened()?, self.at, self.end);
        let read = tokio::task::spawn_blocking(move || next_part(&*opened.device, at, end)).await;
        let read = read.map_err(|error| Error::Internal(format!("reading a volume broke off: {error}")))?;
        let part = read.map_err(|error| unreadable(at, &error))?;
        self.at = match &part {
            Part::Data(offset, data) => offset + u64::try_from(data.len()).unwrap_or(u64::MAX),
            Part::Zeros(offset, length) => offset + length,
        };
        Ok(Some(part))
    }
}

fn unreadable(at: u64, error: &io::Error) -> Error {
    Error::DataDamaged(format!("what is at byte {at} cannot be read: {error}"))
}

fn next_part(device: &dyn Device, at: u64, end: u64) -> io::Result<Part> {
    let extents = device.extents(at, end - at, EXTENTS)?;
    let is_data = |kind| kind == ExtentKind::Data;
    let first = extents.first().map(|extent| is_data(extent.kind)).ok_or(io::ErrorKind::UnexpectedEof)?;
    let length: u64 =
        extents.iter().take_while(|extent| is_data(extent.kind) == first).map(|extent| extent.length).sum();
    if !first {
        return Ok(Part::Zeros(at, length));
    }
    let length = usize::try_from(length).map_or(MAX_PIECE, |length| length.min(MAX_PIECE));
    let mut data = vec![0; length];
    device.read_at(&mut data, at, Wait::Allowed)?;
    Ok(Part::Data(at, Bytes::from(data)))
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Some(hidden) = self.hidden.take() else { return };
        let (catalog, opened) = (self.catalog.clone(), self.opened.take());
        // Readers live and die within the runtime.
        self.catalog.tasks.spawn(async move {
            drop(opened);
            if let Err(error) = catalog.forget_reading(&hidden).await {
                tracing::warn!(snapshot = %hidden.uuid, %error, "a snapshot is left over until the next start");
            }
        });
    }
}

impl Catalog {
    async fn forget_reading(&self, hidden: &VolumeSnapshotRecord) -> Result<(), Error> {
        let target = super::open::Target::Snapshot(uuid_of(&hidden.uuid)?);
        self.close_idle(target, hidden.volume_id).await;
        self.drop_hidden(hidden).await
    }

    /// Lets the snapshots go that were made for something that a crash has ended. Called before anybody is served.
    pub async fn drop_left_snapshots(&self) -> Result<(), Error> {
        let root = User(super::namespace::ROOT_USER.to_owned());
        let filter = super::snapshots::SnapshotFilter {
            with_hidden: true,
            is_deleting: Some(false),
            ..super::snapshots::SnapshotFilter::default()
        };
        let (snapshots, _) = self.list_snapshots(&root, &filter, 0, usize::MAX).await?;
        for shown in snapshots.into_iter().filter(|shown| shown.record.hidden && shown.record.child_count == 0) {
            let which = WhichSnapshot::Uuid(uuid_of(&shown.record.uuid)?);
            tracing::info!(snapshot = %which, "a snapshot that was made for something that has ended is let go");
            self.drop_hidden(&shown.record).await?;
        }
        Ok(())
    }
}

/// A volume that is being written.
pub struct Writing {
    catalog: Catalog,
    opened: Arc<Opened>,
    data_bytes: u64,
}

impl Catalog {
    /// Begins to write a volume that nobody has open. Until this ends, others may only read it.
    pub async fn write_volume(&self, user: &User, volume: &Which, peer: &str) -> Result<Writing, Error> {
        let opener = Opener { user: user.clone(), peer: peer.to_owned(), wish: Wish::WriteAlone, export: None };
        let session = self.open_volume(volume, opener).await?;
        Ok(Writing { catalog: self.clone(), opened: Opened::new(session)?, data_bytes: 0 })
    }
}

impl Writing {
    /// Writes a part.
    pub async fn write(&mut self, part: Part) -> Result<(), Error> {
        if self.opened.session.stop().is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        let (offset, length) = match &part {
            Part::Data(_, data) if data.len() > MAX_PIECE => {
                let problem = format!("has {} bytes; the limit is {MAX_PIECE}", data.len());
                return Err(Error::Invalid { field: "data.data", problem });
            }
            Part::Data(offset, data) => (*offset, u64::try_from(data.len()).unwrap_or(u64::MAX)),
            Part::Zeros(offset, length) => (*offset, *length),
        };
        let size = self.opened.device.size();
        if offset.checked_add(length).is_none_or(|end| end > size) {
            let problem = format!("{length} bytes at {offset} are beyond the end of the volume, which is at {size}");
            return Err(Error::SizeOutOfRange(problem));
        }
        let opened = Arc::clone(&self.opened);
        let is_data = matches!(part, Part::Data(..));
        let write = self.catalog.blocking(move |_| match part {
            _ if length == 0 => Ok(()),
            Part::Data(offset, data) => opened.device.write_at(&data, offset),
            Part::Zeros(offset, length) => opened.device.zero(offset, length, Zero::Deallocate),
        });
        write.await?;
        self.data_bytes += if is_data { length } else { 0 };
        Ok(())
    }

    /// Returns once everything that was written survives a power loss: how many bytes came as data.
    pub async fn finish(self) -> Result<u64, Error> {
        let opened = Arc::clone(&self.opened);
        self.catalog.blocking(move |_| opened.device.flush()).await?;
        Ok(self.data_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_within_the_device() {
        assert_eq!(part_of(10, 3, 0).expect("the rest"), 10);
        assert_eq!(part_of(10, 3, 7).expect("the rest"), 10);
        assert_eq!(part_of(10, 10, 0).expect("nothing"), 10);
        for (offset, length) in [(11, 0), (3, 8), (3, u64::MAX)] {
            assert!(matches!(part_of(10, offset, length), Err(Error::Invalid { .. })), "{offset} {length}");
        }
    }
}
