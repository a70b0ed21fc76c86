//! The service of clusters.

use steward_proto::replication::v1::cluster_service_server::ClusterService;
use steward_proto::replication::v1::get_cluster_request::Which;
use steward_proto::replication::v1::*;
use tonic::{Request, Response};

use super::{Service, not_found, page};
use crate::cli::testing::{Answer, not_here};

fn cluster(spec: ClusterSpec) -> Cluster {
    Cluster {
        id: format!("id of {}", spec.name),
        name: spec.name,
        url: spec.url,
        username: spec.username,
        certificate: spec.certificate,
        has_password: spec.password.is_some(),
        status: ClusterStatus::Healthy.into(),
        ..Cluster::default()
    }
}

#[tonic::async_trait]
impl ClusterService for Service {
    async fn create_cluster(&self, request: Request<CreateClusterRequest>) -> Answer<CreateClusterResponse> {
        let new = cluster(self.take(request).cluster.unwrap());
        self.state().clusters.push(new.clone());
        Ok(Response::new(CreateClusterResponse { cluster: Some(new) }))
    }

    async fn update_cluster(&self, request: Request<UpdateClusterRequest>) -> Answer<UpdateClusterResponse> {
        let changed = cluster(self.take(request).cluster.unwrap());
        Ok(Response::new(UpdateClusterResponse { cluster: Some(changed) }))
    }

    async fn get_cluster(&self, request: Request<GetClusterRequest>) -> Answer<GetClusterResponse> {
        let which = self.take(request).which.unwrap();
        let is_it = |cluster: &&Cluster| match &which {
            Which::Id(id) => cluster.id == *id,
            Which::Name(name) => cluster.name == *name,
            Which::Center(_) => false,
        };
        let found = self.state().clusters.iter().find(is_it).cloned();
        Ok(Response::new(GetClusterResponse { cluster: Some(found.ok_or_else(|| not_found("CLUSTER_NOT_FOUND"))?) }))
    }

    async fn list_clusters(&self, request: Request<ListClustersRequest>) -> Answer<ListClustersResponse> {
        let (clusters, next_page_token) = page(&self.state().clusters, &request.into_inner().page_token);
        Ok(Response::new(ListClustersResponse { clusters, next_page_token, total_size: 0 }))
    }

    async fn delete_cluster(&self, request: Request<DeleteClusterRequest>) -> Answer<DeleteClusterResponse> {
        self.take(request);
        Ok(Response::new(DeleteClusterResponse {}))
    }

    async fn try_connect(&self, request: Request<TryConnectRequest>) -> Answer<TryConnectResponse> {
        let name = self.take(request).name;
        let found = self.state().clusters.iter().find(|cluster| cluster.name == name).cloned();
        Ok(Response::new(TryConnectResponse { cluster: found }))
    }

    async fn cluster_exists(&self, _: Request<ClusterExistsRequest>) -> Answer<ClusterExistsResponse> {
        Err(not_here())
    }
}
