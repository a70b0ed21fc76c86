//! Asks other Stewards now and then whether they are there.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use steward_proto::replication::v1::{ClusterType, DetectType};
use steward_proto::store::v1::ClusterRecord;

use super::clusters::type_of;
use super::error::Error;
use super::parts::Replication;
use super::schedule_engine::time_of;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::tx;
use crate::store::{Key, KeyRange, Table};

/// How often one is asked, and how much later at most, so that not all are asked at the same moment.
const PERIOD: Duration = Duration::from_mins(1);
const JITTER: Duration = Duration::from_secs(10);
/// How many are asked at a time.
const AT_A_TIME: usize = 8;

/// Asks other Stewards now and then whether they are there.
pub(super) struct HealthEngine {
    replication: Replication,
}

impl HealthEngine {
    pub(super) fn new(replication: Replication) -> Self {
        HealthEngine { replication }
    }
}

#[async_trait]
impl Engine for HealthEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "replication_health"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::Cluster)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let replication = &self.replication;
        let all = KeyRange::prefix(&Key::table(Table::Cluster));
        let now_us = replication.now_us();
        let (mut due, mut next): (Vec<ClusterRecord>, Option<u64>) = (Vec::new(), None);
        for (key, value) in tx::scan(&*replication.store, all, usize::MAX).await? {
            let record: ClusterRecord = tx::decode(&key, &value)?;
            if type_of(&record) != ClusterType::Standalone || record.detect_type != i32::from(DetectType::Ping) {
                continue;
            }
            let mut due_us = due_us(&record);
            if due_us <= now_us {
                due_us = now_us + micros(PERIOD + JITTER);
                due.push(record);
            }
            next = Some(next.map_or(due_us, |next| next.min(due_us)));
        }
        let asked = futures::stream::iter(due).map(|cluster| async move {
            let name = cluster.name.clone();
            if let Err(error) = replication.check_health(cluster).await {
                tracing::debug!(cluster = name, %error, "a cluster is not there");
            }
        });
        asked.buffer_unordered(AT_A_TIME).collect::<()>().await;
        Ok(next.map(time_of))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// When one is asked next: the same for whoever computes it, and another time for each.
fn due_us(record: &ClusterRecord) -> u64 {
    if record.report_us == 0 {
        return 0;
    }
    let [a, b, ..] = crate::store::key::digest(&[record.id.as_bytes(), &record.report_us.to_be_bytes()]);
    let jitter = micros(JITTER) * u64::from(u16::from_be_bytes([a, b])) / u64::from(u16::MAX);
    record.report_us.saturating_add(micros(PERIOD)).saturating_add(jitter)
}
