//! The calls about packages and versions.

use super::ArtifactServer;
use super::image_convert::{self as convert, both, package_name, page};
use crate::artifact::error::Error;
use crate::artifact::packages::PackageName;
use crate::artifact::sight::Sight;
use steward_proto::artifact::v1 as api;

impl ArtifactServer {
    pub(super) async fn handle_list_packages(
        &self,
        request: api::ListPackagesRequest,
        sight: &Sight,
    ) -> Result<api::ListPackagesResponse, Error> {
        let page = page(request.page_size, request.page_token)?;
        let (project, repository) = (request.project, request.repository);
        let view = sight.repository(&project, &repository)?;
        let listed = self.artifacts.list_packages((&project, &repository), &request.name_contains, &page, &view);
        let listed = listed.await?;
        let (next_page_token, total_size) = convert::totals(&listed);
        let packages = listed.items.into_iter();
        let packages = packages.map(|package| convert::package(&project, &repository, package)).collect();
        Ok(api::ListPackagesResponse { packages, next_page_token, total_size })
    }

    pub(super) async fn handle_get_package(
        &self,
        request: api::GetPackageRequest,
        sight: &Sight,
    ) -> Result<api::GetPackageResponse, Error> {
        let name = package_name(request.project, request.repository, request.key)?;
        may_see(sight, &name)?;
        let package = self.artifacts.look_up_package(&name).await?;
        let package = convert::package(&name.project, &name.repository, package);
        Ok(api::GetPackageResponse { package: Some(package) })
    }

    pub(super) async fn handle_delete_package(
        &self,
        request: api::DeletePackageRequest,
        _user: &str,
    ) -> Result<api::DeletePackageResponse, Error> {
        let name = package_name(request.project, request.repository, request.key)?;
        self.artifacts.delete_package(name).await?;
        Ok(api::DeletePackageResponse {})
    }

    pub(super) async fn handle_list_versions(
        &self,
        request: api::ListVersionsRequest,
        sight: &Sight,
    ) -> Result<api::ListVersionsResponse, Error> {
        let name = package_name(request.project, request.repository, request.key);
        let (name, page) = both(name, page(request.page_size, request.page_token))?;
        may_see(sight, &name)?;
        let listed = self.artifacts.list_versions(&name, &request.name_contains, &page).await?;
        let (next_page_token, total_size) = convert::totals(&listed);
        let versions = listed.items.into_iter().map(convert::version).collect();
        Ok(api::ListVersionsResponse { versions, next_page_token, total_size })
    }

    pub(super) async fn handle_get_version(
        &self,
        request: api::GetVersionRequest,
        sight: &Sight,
    ) -> Result<api::GetVersionResponse, Error> {
        let name = package_name(request.project, request.repository, request.key);
        let (name, version) = both(name, version_name(request.version))?;
        may_see(sight, &name)?;
        let version = self.artifacts.look_up_version(&name, &version).await?;
        Ok(api::GetVersionResponse { version: Some(convert::version(version)) })
    }

    pub(super) async fn handle_update_version_metadata(
        &self,
        request: api::UpdateVersionMetadataRequest,
        _user: &str,
    ) -> Result<api::UpdateVersionMetadataResponse, Error> {
        let name = package_name(request.project, request.repository, request.key);
        let (name, version) = both(name, version_name(request.version))?;
        let (written, taken) = (request.metadata, request.delete_keys);
        let version = self.artifacts.update_version(name, version, written, taken).await?;
        Ok(api::UpdateVersionMetadataResponse { version: Some(convert::version(version)) })
    }

    pub(super) async fn handle_delete_version(
        &self,
        request: api::DeleteVersionRequest,
        _user: &str,
    ) -> Result<api::DeleteVersionResponse, Error> {
        let name = package_name(request.project, request.repository, request.key);
        let (name, version) = both(name, version_name(request.version))?;
        self.artifacts.delete_version(name, version).await?;
        Ok(api::DeleteVersionResponse {})
    }
}

/// Refuses the package of an image that may not be seen, whether it is there or not.
fn may_see(sight: &Sight, name: &PackageName) -> Result<(), Error> {
    let image = name.key.split_once("://").map_or(&*name.key, |(_, image)| image);
    Ok(sight.on(&name.project, &name.repository).require(image)?)
}

/// Reads the name of a version. One that is no tag is not found.
fn version_name(version: String) -> Result<String, Error> {
    if version.is_empty() {
        return Err(Error::invalid("version", "is required"));
    }
    Ok(version)
}
