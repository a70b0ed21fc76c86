//! The calls about clusters.

use steward_proto::replication::v1 as api;

use super::ClusterServer;
use super::paging::{page_size, page_token, token_of};
use crate::auth::Grants;
use crate::replication::Replication;
use crate::replication::clusters::Which;
use crate::replication::error::Error;

impl ClusterServer {
    pub(super) async fn handle_create_cluster(
        &self,
        request: api::CreateClusterRequest,
        user: &str,
    ) -> Result<api::CreateClusterResponse, Error> {
        let spec = request.cluster.ok_or(Error::Missing("cluster"))?;
        let cluster = self.replication.create_cluster(spec, user).await?;
        Ok(api::CreateClusterResponse { cluster: Some(cluster) })
    }

    pub(super) async fn handle_update_cluster(
        &self,
        request: api::UpdateClusterRequest,
        user: &str,
    ) -> Result<api::UpdateClusterResponse, Error> {
        let spec = request.cluster.ok_or(Error::Missing("cluster"))?;
        let cluster = self.replication.update_cluster(spec, user).await?;
        Ok(api::UpdateClusterResponse { cluster: Some(cluster) })
    }

    pub(super) async fn handle_get_cluster(
        &self,
        request: api::GetClusterRequest,
        grants: &Grants,
    ) -> Result<api::GetClusterResponse, Error> {
        let (which, asked) = match &request.which {
            Some(api::get_cluster_request::Which::Id(id)) => (Which::Id(id), &**id),
            Some(api::get_cluster_request::Which::Name(name)) => (Which::Name(name), &**name),
            Some(api::get_cluster_request::Which::Center(true)) => (Which::Center, "center"),
            Some(api::get_cluster_request::Which::Center(false)) | None => return Err(Error::Missing("name")),
        };
        let cluster = Replication::seen_cluster(self.replication.get_cluster(which).await?, grants, asked)?;
        Ok(api::GetClusterResponse { cluster: Some(cluster) })
    }

    pub(super) async fn handle_list_clusters(
        &self,
        request: api::ListClustersRequest,
        grants: &Grants,
    ) -> Result<api::ListClustersResponse, Error> {
        let invalid = || Error::invalid("page_token", "is not one that this list gave");
        let after = token_of(&request.page_token)?.map(String::from_utf8).transpose().map_err(|_| invalid())?;
        let of_type = api::ClusterType::try_from(request.r#type)
            .map_err(|_| Error::invalid("type", "is not a type of clusters"))?;
        let limit = page_size(request.page_size)?;
        let listed = self.replication.list_clusters(&request.name_contains, of_type, after.as_deref(), limit, grants);
        let page = listed.await?;
        Ok(api::ListClustersResponse {
            clusters: page.clusters,
            next_page_token: page.next.map_or_else(String::new, |name| page_token(name.as_bytes())),
            total_size: i64::try_from(page.total).unwrap_or(i64::MAX),
        })
    }

    pub(super) async fn handle_cluster_exists(
        &self,
        request: api::ClusterExistsRequest,
        _user: &str,
    ) -> Result<api::ClusterExistsResponse, Error> {
        let exists = self.replication.cluster_exists(&request.name).await?;
        Ok(api::ClusterExistsResponse { exists })
    }

    pub(super) async fn handle_delete_cluster(
        &self,
        request: api::DeleteClusterRequest,
        grants: &Grants,
    ) -> Result<api::DeleteClusterResponse, Error> {
        self.replication.may_delete_cluster(&request.id, grants).await?;
        self.replication.delete_cluster(&request.id).await?;
        Ok(api::DeleteClusterResponse {})
    }

    pub(super) async fn handle_try_connect(
        &self,
        request: api::TryConnectRequest,
        _user: &str,
    ) -> Result<api::TryConnectResponse, Error> {
        let cluster = self.replication.try_connect(&request.name).await?;
        Ok(api::TryConnectResponse { cluster: Some(cluster) })
    }
}
