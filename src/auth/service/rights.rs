//! Who the caller is, and who may do what.

use steward_proto::auth::v1 as pb;
use steward_proto::auth::v1::rights_service_server::RightsService;
use tonic::{Request, Response, Status};

use super::{AuthServer, answer, open, user_or_caller};
use crate::auth::Identity;
use crate::auth::rights::{Area, Right};
use crate::error::Failure;

/// Groups that a question may name.
const MAX_GROUPS: usize = 100;
/// The longest text of a question, in bytes.
const MAX_TEXT: usize = 4096;

#[tonic::async_trait]
impl RightsService for AuthServer {
    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        let (grants, _) = open(request)?;
        let Identity { user, groups, scopes, address } = grants.caller().clone();
        Ok(Response::new(pb::GetCallerResponse {
            user: user.unwrap_or_default(),
            groups,
            is_scoped: scopes.is_some(),
            scopes: scopes.iter().flat_map(|scopes| scopes.iter()).map(ToString::to_string).collect(),
            address: address.map(|address| address.to_string()).unwrap_or_default(),
        }))
    }

    async fn check_right(
        &self,
        request: Request<pb::CheckRightRequest>,
    ) -> Result<Response<pb::CheckRightResponse>, Status> {
        let (grants, question) = open(request)?;
        let (area, right) = (question.area(), question.right());
        answer(
            async {
                check(&question, area, right)?;
                let caller = grants.caller();
                let is_own = question.user.is_empty() || caller.user.as_ref() == Some(&question.user);
                let asked = if is_own && question.groups.is_empty() {
                    grants
                } else {
                    let user = user_or_caller(question.user, caller.user.as_deref())?;
                    {
                        grants.require(Area::Admin, Right::Read, &format!("user/{user}"))?;
                    }
                    let user = Identity { user: Some(user), groups: question.groups, ..Identity::default() };
                    self.authenticator.grants(user).await
                };
                let explanation = asked.explain(area, right, &question.resource, &question.acting_as);
                Ok(pb::CheckRightResponse { allowed: explanation.is_allowed, explanation: explanation.text })
            }
            .await,
        )
    }
}

fn check(question: &pb::CheckRightRequest, area: Area, right: Right) -> Result<(), Failure> {
    let mut violations = Vec::new();
    if area == Area::Unspecified {
        violations.push(("area", "is missing, or not known".to_owned()));
    }
    if matches!(right, Right::Unspecified | Right::SignedIn) {
        violations.push(("right", "is missing, or not known".to_owned()));
    }
    if question.groups.len() > MAX_GROUPS {
        violations.push(("groups", format!("are more than {MAX_GROUPS}")));
    }
    for (field, text) in [("resource", &question.resource), ("acting_as", &question.acting_as)] {
        if text.len() > MAX_TEXT {
            violations.push((field, format!("is longer than {MAX_TEXT} bytes")));
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(Failure::invalid(violations)) }
}
