//! Clusters: other Stewards, and what clients of the older API keep beside them.

use steward_proto::replication::v1::{Cluster, ClusterSpec, ClusterStatus, ClusterType, DetectType};
use steward_proto::store::v1::ClusterRecord;

use super::access::is_cluster_seen;
use super::error::Error;
use super::parts::Replication;
use super::passwords::Owner;
use super::reach::Peer;
use super::target::ClusterAddress;
use super::task_check::Answered;
use super::task_validate::{self as validate, MAX_USERNAME_BYTES};
use super::tasks::when;
use super::url::TargetUrl;
use super::{keys, pieces};
use crate::auth::Grants;
use crate::secrets::expect_generation;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// How many clusters there may be.
const MAX_CLUSTERS: usize = 1000;
const MAX_NAME_BYTES: usize = 256;
const MAX_WORD_BYTES: usize = 256;
const MAX_PASSWORD_BYTES: usize = 1024;
/// How much is kept of why a cluster is not there.
const MAX_REASON_BYTES: usize = 300;
/// What the key that is kept for clients is sealed for.
const SECRET_KEY: &str = "secret key of cluster";

/// Which cluster.
pub(super) enum Which<'a> {
    Id(&'a str),
    Name(&'a str),
    Center,
}

/// A page of clusters.
pub(super) struct ClusterPage {
    pub(super) clusters: Vec<Cluster>,
    pub(super) total: usize,
    /// Behind which name the next page starts.
    pub(super) next: Option<String>,
}

/// A cluster that is as it has to be.
struct Checked {
    spec: ClusterSpec,
    url: TargetUrl,
    /// It was asked, and was there.
    is_healthy: bool,
}

impl Replication {
    /// Makes a cluster known.
    pub(super) async fn create_cluster(&self, spec: ClusterSpec, user: &str) -> Result<Cluster, Error> {
        let (spec, url) = self.check_cluster(spec)?;
        if self.cluster_id(&spec.name).await?.is_some() {
            return Err(Error::ClusterExists(spec.name));
        }
        if spec.r#type() == ClusterType::Center && self.center().await?.is_some() {
            return Err(Error::CenterExists);
        }
        let checked = self.ping_if_wanted(spec, url).await?;
        let (checked, id) = (&checked, &self.new_execution_id());
        let decided = self.decide("a cluster", |mut tx| async move {
            expect_generation(&mut tx).await?;
            let name = &checked.spec.name;
            if tx.bytes(&keys::cluster_name(name)).await?.is_some() {
                return Err(Error::ClusterExists(name.clone()));
            }
            if tx.scan(all_names(), MAX_CLUSTERS + 1).await?.len() > MAX_CLUSTERS {
                return Err(Error::TooManyClusters(MAX_CLUSTERS));
            }
            let now_us = self.now_us();
            let record = ClusterRecord {
                id: id.clone(),
                name: name.clone(),
                created_by: user.to_owned(),
                create_us: now_us,
                ..ClusterRecord::default()
            };
            let record = self.changed(record, checked, user, now_us)?;
            tx.put_bytes(keys::cluster_name(name), id.clone().into_bytes());
            tx.put_cluster(&record, ClusterType::Unspecified, &checked.spec.certificate).await?;
            Ok(tx.answer(record))
        });
        let (record, _) = decided.await?;
        Ok(shown(record, checked.spec.certificate.clone()))
    }

    /// Changes the cluster of that name.
    pub(super) async fn update_cluster(&self, spec: ClusterSpec, user: &str) -> Result<Cluster, Error> {
        if self.cluster_id(&spec.name).await?.is_none() {
            return Err(Error::ClusterNotFound(spec.name));
        }
        let (spec, url) = self.check_cluster(spec)?;
        let checked = &self.ping_if_wanted(spec, url).await?;
        let decided = self.decide("a cluster", |mut tx| async move {
            expect_generation(&mut tx).await?;
            let name = &checked.spec.name;
            let missing = || Error::ClusterNotFound(name.clone());
            let id = tx.bytes(&keys::cluster_name(name)).await?.ok_or_else(missing)?;
            let id = String::from_utf8_lossy(&id).into_owned();
            let before: ClusterRecord = tx.get(&keys::cluster(&id)).await?.ok_or_else(missing)?;
            let former_type = type_of(&before);
            let record = self.changed(before, checked, user, self.now_us())?;
            tx.put_cluster(&record, former_type, &checked.spec.certificate).await?;
            Ok(tx.answer(record))
        });
        let (record, _) = decided.await?;
        Ok(shown(record, checked.spec.certificate.clone()))
    }

    /// Forgets a cluster.
    pub(super) async fn delete_cluster(&self, id: &str) -> Result<(), Error> {
        let decided = self.decide("a cluster", |mut tx| async move {
            let record: Option<ClusterRecord> = tx.get(&keys::cluster(id)).await?;
            let record = record.ok_or_else(|| Error::ClusterNotFound(id.to_owned()))?;
            tx.delete(keys::cluster_name(&record.name));
            tx.delete(keys::cluster(id));
            if type_of(&record) == ClusterType::Center {
                tx.delete(keys::cluster_center());
            }
            pieces::remove(&mut tx, &keys::cluster_certificate(id)).await?;
            Ok(tx.answer(()))
        });
        decided.await.map(|_| ())
    }

    /// Reads a cluster.
    pub(super) async fn get_cluster(&self, which: Which<'_>) -> Result<Cluster, Error> {
        let (id, shown_as) = match which {
            Which::Id(id) => (Some(id.to_owned()), id),
            Which::Name(name) => (self.cluster_id(name).await?, name),
            Which::Center => (self.center().await?, "center"),
        };
        let id = id.ok_or_else(|| Error::ClusterNotFound(shown_as.to_owned()))?;
        let (record, certificate) = self.cluster(&id).await?;
        self.store.settled().await?;
        Ok(shown(record, certificate))
    }

    /// The clusters that may be seen in the order of their names.
    pub(super) async fn list_clusters(
        &self,
        contains: &str,
        of_type: ClusterType,
        after: Option<&str>,
        limit: usize,
        grants: &Grants,
    ) -> Result<ClusterPage, Error> {
        let mut page = ClusterPage { clusters: Vec::new(), total: 0, next: None };
        let mut last = None;
        for (_, id) in tx::scan(&*self.store, all_names(), MAX_CLUSTERS + 1).await? {
            let id = String::from_utf8_lossy(&id).into_owned();
            let record: Option<ClusterRecord> = tx::read(&*self.store, &keys::cluster(&id)).await?;
            let is_wanted = |record: &ClusterRecord| {
                let is_of_type = of_type == ClusterType::Unspecified || type_of(record) == of_type;
                is_of_type && record.name.contains(contains) && is_cluster_seen(grants, &record.name)
            };
            let Some(record) = record.filter(is_wanted) else { continue };
            page.total += 1;
            if after.is_some_and(|after| *record.name <= *after) {
                continue;
            }
            if page.clusters.len() < limit {
                last = Some(record.name.clone());
                let certificate = self.cluster_certificate(&id).await?;
                page.clusters.push(shown(record, certificate));
            } else {
                page.next.clone_from(&last);
            }
        }
        self.store.settled().await?;
        Ok(page)
    }

    /// Whether there is a cluster of a name.
    pub(super) async fn cluster_exists(&self, name: &str) -> Result<bool, Error> {
        let id = self.cluster_id(name).await?;
        self.store.settled().await?;
        Ok(id.is_some())
    }

    /// Asks a cluster whether it is there, and notes the answer.
    pub(super) async fn try_connect(&self, name: &str) -> Result<Cluster, Error> {
        let missing = || Error::ClusterNotFound(name.to_owned());
        let id = self.cluster_id(name).await?.ok_or_else(missing)?;
        let (record, _) = self.cluster(&id).await?;
        self.check_health(record).await?;
        let (record, certificate) = self.cluster(&id).await?;
        Ok(shown(record, certificate))
    }

    /// The same for a cluster that was read.
    pub(super) async fn check_health(&self, cluster: ClusterRecord) -> Result<(), Error> {
        let certificate = self.cluster_certificate(&cluster.id).await?;
        let asked = match self.target_url(&cluster.url) {
            Ok(url) => self.ask_cluster(type_of(&cluster), &url, &certificate, &cluster.name).await,
            Err(error) => Err(error),
        };
        let (status, reason) = match &asked {
            Ok(()) => (ClusterStatus::Healthy, String::new()),
            Err(Error::ShuttingDown) => return Err(Error::ShuttingDown),
            Err(error) => (ClusterStatus::Unhealthy, shortened(error.to_string())),
        };
        let (cluster, reason) = (&cluster, &reason);
        let decided = self.decide("a cluster", |mut tx| async move {
            let Some(mut record) = tx.get::<ClusterRecord>(&keys::cluster(&cluster.id)).await? else {
                return Ok(tx.answer(()));
            };
            if record.url == cluster.url {
                record.status = status.into();
                record.error_reason.clone_from(reason);
                record.report_us = self.now_us();
                tx.put(keys::cluster(&cluster.id), &record);
            }
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await?;
        asked
    }

    /// A cluster and its certificate.
    pub(super) async fn cluster(&self, id: &str) -> Result<(ClusterRecord, String), Error> {
        let record = tx::read(&*self.store, &keys::cluster(id)).await?;
        let record = record.ok_or_else(|| Error::ClusterNotFound(id.to_owned()))?;
        Ok((record, self.cluster_certificate(id).await?))
    }

    /// How to speak to the cluster of an id.
    pub(super) async fn cluster_address(&self, id: &str) -> Result<ClusterAddress, Error> {
        let (record, certificate) = self.cluster(id).await?;
        self.address_of(&record, certificate)
    }

    async fn cluster_certificate(&self, id: &str) -> Result<String, Error> {
        let pem = pieces::read(&*self.store, &keys::cluster_certificate(id)).await?;
        Ok(String::from_utf8_lossy(&pem).into_owned())
    }

    async fn cluster_id(&self, name: &str) -> Result<Option<String>, Error> {
        let is_name = (2..=MAX_NAME_BYTES).contains(&name.len());
        if is_name { self.id_under(&keys::cluster_name(name)).await } else { Ok(None) }
    }

    async fn center(&self) -> Result<Option<String>, Error> {
        self.id_under(&keys::cluster_center()).await
    }

    async fn id_under(&self, key: &Key) -> Result<Option<String>, Error> {
        let record = self.store.get(key).await?;
        Ok(record.map(|record| String::from_utf8_lossy(&record.value).into_owned()))
    }

    fn check_cluster(&self, mut spec: ClusterSpec) -> Result<(ClusterSpec, TargetUrl), Error> {
        if !(2..=MAX_NAME_BYTES).contains(&spec.name.len()) {
            return Err(Error::invalid("name", format!("has to have 2 to {MAX_NAME_BYTES} bytes")));
        }
        validate::line("name", &spec.name, MAX_NAME_BYTES)?;
        if ClusterType::try_from(spec.r#type).is_err() {
            return Err(Error::invalid("type", "is not a type of clusters"));
        }
        if spec.r#type() == ClusterType::Unspecified {
            spec.set_type(ClusterType::Standalone);
        }
        let detect = DetectType::try_from(spec.detect_type);
        spec.set_detect_type(match detect.map_err(|_| Error::invalid("detectType", "is not a way to find out"))? {
            DetectType::Unspecified | DetectType::Ping => DetectType::Ping,
            DetectType::Report => DetectType::Report,
        });
        let url = self.target_url(&spec.url)?;
        validate::line("username", &spec.username, MAX_USERNAME_BYTES)?;
        validate::line("password", spec.password.as_deref().unwrap_or_default(), MAX_PASSWORD_BYTES)?;
        validate::line("appId", &spec.app_id, MAX_WORD_BYTES)?;
        validate::line("accessKey", &spec.access_key, MAX_WORD_BYTES)?;
        validate::line("secretKey", spec.secret_key.as_deref().unwrap_or_default(), MAX_WORD_BYTES)?;
        validate::certificate(&spec.certificate)?;
        Ok((spec, url))
    }

    async fn ping_if_wanted(&self, spec: ClusterSpec, url: TargetUrl) -> Result<Checked, Error> {
        let is_healthy = spec.ping.unwrap_or(true);
        if is_healthy {
            self.ask_cluster(spec.r#type(), &url, &spec.certificate, &spec.name).await?;
        }
        Ok(Checked { spec, url, is_healthy })
    }

    async fn ask_cluster(
        &self,
        kind: ClusterType,
        url: &TargetUrl,
        certificate: &str,
        name: &str,
    ) -> Result<(), Error> {
        let (peer, url) = match kind {
            ClusterType::Remote => (Peer::Registry, url.to_string()),
            ClusterType::Unspecified | ClusterType::Center | ClusterType::Edge | ClusterType::Standalone => {
                (Peer::Steward, url.origin())
            }
        };
        self.ask(&mut Answered::default(), peer, &url, certificate, name).await
    }

    fn changed(
        &self,
        before: ClusterRecord,
        checked: &Checked,
        user: &str,
        now_us: u64,
    ) -> Result<ClusterRecord, Error> {
        let Checked { spec, url, is_healthy } = checked;
        let wanted = spec.password.as_deref();
        let sealed_password = self.next_password(Owner::Cluster(&before.id), url, wanted, &before.sealed_password)?;
        let sealed_secret_key = match spec.secret_key.as_deref() {
            None => before.sealed_secret_key.clone(),
            Some("") => bytes::Bytes::new(),
            Some(secret) => {
                let sealed = self.secrets.seal(&secret_key_context(&before.id), secret);
                sealed.map_err(|error| Error::Internal(format!("a key cannot be encrypted: {error}")))?.into()
            }
        };
        let status = if *is_healthy { ClusterStatus::Healthy } else { ClusterStatus::Unspecified };
        Ok(ClusterRecord {
            r#type: spec.r#type,
            url: spec.url.clone(),
            username: spec.username.clone(),
            sealed_password: sealed_password.into(),
            app_id: spec.app_id.clone(),
            access_key: spec.access_key.clone(),
            sealed_secret_key,
            detect_type: spec.detect_type,
            status: status.into(),
            error_reason: String::new(),
            report_us: if *is_healthy { now_us } else { 0 },
            modified_by: user.to_owned(),
            modify_us: now_us,
            udp_port: spec.udp_port,
            ..before
        })
    }
}

impl Tx<'_> {
    /// Writes a cluster and its certificate, and who is the center.
    async fn put_cluster(
        &mut self,
        record: &ClusterRecord,
        former_type: ClusterType,
        certificate: &str,
    ) -> Result<(), Error> {
        if type_of(record) == ClusterType::Center {
            let center = self.bytes(&keys::cluster_center()).await?;
            if center.is_some_and(|id| id != record.id) {
                return Err(Error::CenterExists);
            }
            self.put_bytes(keys::cluster_center(), record.id.clone().into_bytes());
        } else if former_type == ClusterType::Center {
            self.delete(keys::cluster_center());
        }
        pieces::write(self, &keys::cluster_certificate(&record.id), certificate.as_bytes()).await?;
        self.put(keys::cluster(&record.id), record);
        Ok(())
    }
}

/// All names: the center has the first key, beside its name.
fn all_names() -> KeyRange {
    KeyRange::prefix(&Key::table(Table::ClusterName)).after(&keys::cluster_center())
}

/// Whose the key is that is kept for clients.
pub(super) fn secret_key_context(id: &str) -> String {
    format!("{SECRET_KEY} {id}")
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_REASON_BYTES));
    text
}

pub(super) fn type_of(record: &ClusterRecord) -> ClusterType {
    ClusterType::try_from(record.r#type).unwrap_or_default()
}

/// A cluster as an answer.
fn shown(record: ClusterRecord, certificate: String) -> Cluster {
    Cluster {
        id: record.id,
        name: record.name,
        r#type: record.r#type,
        url: record.url,
        username: record.username,
        certificate,
        app_id: record.app_id,
        access_key: record.access_key,
        detect_type: record.detect_type,
        status: record.status,
        error_reason: record.error_reason,
        last_report_time: when(record.report_us),
        created_by: record.created_by,
        create_time: when(record.create_us),
        modified_by: record.modified_by,
        modify_time: when(record.modify_us),
        has_password: !record.sealed_password.is_empty(),
        udp_port: record.udp_port,
    }
}
