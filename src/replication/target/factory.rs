//! Makes targets of what tasks say, and tells whether something is there at all.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use steward_proto::artifact::v1::RepositoryType;
use steward_proto::replication::v1::{Config, target};

use super::super::settings::Settings;
use super::address::Addresses;
use super::cluster::{Cluster, ClusterAddress, RemoteRepository};
use super::connect::Connector;
use super::http::{Http, Request};
use super::limits::Limits;
use super::locks::Locks;
use super::registry::Registry;
use super::tls::SystemRoots;
use super::url::Url;
use super::{Target, TargetError};

/// How often something is looked for before it is not there.
const LOOKS: u32 = 3;
/// How long to wait in between.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// What HTTP may be spoken in.
const HTTP: [&str; 2] = ["h2", "http/1.1"];
/// What gRPC is spoken in.
const GRPC: [&str; 1] = ["h2"];

/// Makes targets. One for the whole server: what targets have to do one at a time, they do by this.
pub(in crate::replication) struct TargetFactory {
    limits: Limits,
    roots: SystemRoots,
    locks: Arc<Locks>,
    between_looks: Duration,
}

impl TargetFactory {
    /// A factory of targets at addresses that `addresses` allows.
    pub(in crate::replication) fn new(settings: &Settings, addresses: Arc<dyn Addresses>) -> Self {
        Self::with_limits(Limits::new(settings, addresses), BETWEEN_LOOKS)
    }

    pub(super) fn with_limits(limits: Limits, between_looks: Duration) -> Self {
        TargetFactory { limits, roots: SystemRoots::default(), locks: Arc::default(), between_looks }
    }

    /// The target of a task: `password` is that of its registry, `cluster` where its Steward is; `kind` is what the
    /// repository holds that is copied.
    pub(in crate::replication) async fn target(
        &self,
        config: &Config,
        password: Option<String>,
        cluster: Option<ClusterAddress>,
        kind: RepositoryType,
    ) -> Result<Arc<dyn Target>, TargetError> {
        let nowhere = || TargetError::Refused("the task has no target".to_owned());
        match config.target.as_ref().and_then(|target| target.target.as_ref()).ok_or_else(nowhere)? {
            target::Target::Registry(target) => {
                let url = self.with_scheme(&target.registry, &target.certificate).await?;
                let http = self.http(&target.certificate).await?;
                let (limits, locks) = (self.limits.for_one_run(), Arc::clone(&self.locks));
                let password = password.unwrap_or_default();
                Ok(Arc::new(Registry::new(&Url::parse(&url)?, target.username.clone(), password, http, limits, locks)?))
            }
            target::Target::Cluster(target) => {
                let address = cluster.ok_or_else(nowhere)?;
                let settings = config.settings.as_ref();
                let create = settings.and_then(|settings| settings.automatic_create_remote_repo).unwrap_or(true);
                let repository = RemoteRepository {
                    project: target.remote_project_id.clone(),
                    name: target.remote_repo_name.clone(),
                    kind,
                    create,
                };
                Ok(Arc::new(self.cluster(&address, repository).await?))
            }
        }
    }

    /// Whether somebody answers to HTTP at a URL, whatever the answer is. It is tried three times.
    pub(in crate::replication) async fn reach(&self, url: &str, certificate: &str) -> Result<(), TargetError> {
        let url = Url::parse(url)?;
        let http = self.http(certificate).await?;
        self.look(|| self.ask(&http, &url)).await
    }

    /// Whether a Steward answers at an address, and takes the credentials. It is tried three times.
    pub(in crate::replication) async fn reach_cluster(&self, address: &ClusterAddress) -> Result<(), TargetError> {
        let cluster = self.cluster(address, RemoteRepository::default()).await?;
        self.look(|| cluster.ping()).await
    }

    /// The URL of a registry that may have no scheme: `https` if TLS is spoken there, by whatever certificate, else
    /// `http`.
    pub(in crate::replication) async fn with_scheme(
        &self,
        registry: &str,
        certificate: &str,
    ) -> Result<String, TargetError> {
        if registry.contains("://") {
            return Ok(registry.to_owned());
        }
        let secure = format!("https://{registry}");
        let plain = format!("http://{registry}");
        let http = self.http(certificate).await?;
        match self.ask(&http, &Url::parse(&secure)?).await {
            Ok(()) | Err(TargetError::Tls(_) | TargetError::Forbidden(_)) => return Ok(secure),
            Err(_) => {}
        }
        let url = Url::parse(&plain)?;
        self.look(|| self.ask(&http, &url)).await?;
        Ok(plain)
    }

    async fn ask(&self, http: &Http, url: &Url) -> Result<(), TargetError> {
        let asked = http.send(Request::new(Method::HEAD, url.clone()));
        let late =
            || TargetError::Unreachable(format!("{url} does not answer within {:?}", self.limits.connect_timeout));
        tokio::time::timeout(self.limits.connect_timeout * 2, asked).await.map_err(|_| late())??;
        Ok(())
    }

    async fn look<W, F>(&self, mut work: W) -> Result<(), TargetError>
    where
        W: FnMut() -> F,
        F: Future<Output = Result<(), TargetError>>,
    {
        let mut looks = 1;
        loop {
            match work().await {
                Err(error) if error.is_passing() && looks < LOOKS => looks += 1,
                end => return end,
            }
            tokio::time::sleep(self.between_looks).await;
        }
    }

    async fn http(&self, certificate: &str) -> Result<Http, TargetError> {
        Ok(Http::new(self.connector(certificate, &HTTP).await?, self.limits.idle_timeout))
    }

    async fn cluster(&self, address: &ClusterAddress, repository: RemoteRepository) -> Result<Cluster, TargetError> {
        let connector = self.connector(&address.certificate, &GRPC).await?;
        Cluster::new(address, repository, connector, self.limits.for_one_run())
    }

    async fn connector(&self, certificate: &str, protocols: &[&str]) -> Result<Connector, TargetError> {
        let tls = self.roots.config(certificate, protocols).await?;
        Ok(Connector::new(Arc::clone(&self.limits.addresses), tls, self.limits.connect_timeout))
    }
}
