//! The calls about clusters.

use steward_proto::replication::v1 as api;

use super::ClusterServer;
use crate::replication::error::Error;

impl ClusterServer {
    pub(super) async fn handle_create_cluster(
        &self,
        _request: api::CreateClusterRequest,
        _user: &str,
    ) -> Result<api::CreateClusterResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_update_cluster(
        &self,
        _request: api::UpdateClusterRequest,
        _user: &str,
    ) -> Result<api::UpdateClusterResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_cluster(
        &self,
        _request: api::GetClusterRequest,
        _user: &str,
    ) -> Result<api::GetClusterResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_clusters(
        &self,
        _request: api::ListClustersRequest,
        _user: &str,
    ) -> Result<api::ListClustersResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_cluster_exists(
        &self,
        _request: api::ClusterExistsRequest,
        _user: &str,
    ) -> Result<api::ClusterExistsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_cluster(
        &self,
        _request: api::DeleteClusterRequest,
        _user: &str,
    ) -> Result<api::DeleteClusterResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_try_connect(
        &self,
        _request: api::TryConnectRequest,
        _user: &str,
    ) -> Result<api::TryConnectResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}
