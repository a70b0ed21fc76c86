//! The gRPC face of these tokens: what is asked for, and how much of it is granted.

use steward_proto::auth::v1 as api;
use steward_proto::auth::v1::registry_token_service_server::RegistryTokenService;
use tonic::{Request, Response, Status};

use super::RegistryTokens;
use crate::auth::Grants;
use crate::auth::rights::{Area, Right, Scopes};
use crate::clock::Timestamp;
use crate::error::{Category, Failure};

/// How many scopes one token is for at most.
const MAX_SCOPES: usize = 16;
/// The longest name of an image with what is around it, in bytes.
const MAX_NAME_BYTES: usize = 440;
/// How many actions one scope names.
const MAX_ACTIONS: usize = 16;
/// How many scopes of a caller's own token one of these takes over.
const MAX_TAKEN_OVER: usize = 40;

/// The service of tokens for registries.
#[derive(Clone, Debug)]
pub struct RegistryTokenServer {
    tokens: RegistryTokens,
}

impl RegistryTokenServer {
    /// A service that issues these.
    pub fn new(tokens: RegistryTokens) -> Self {
        RegistryTokenServer { tokens }
    }
}

#[tonic::async_trait]
impl RegistryTokenService for RegistryTokenServer {
    async fn issue_registry_token(
        &self,
        request: Request<api::IssueRegistryTokenRequest>,
    ) -> Result<Response<api::IssueRegistryTokenResponse>, Status> {
        let grants = Grants::of(&request)?;
        if grants.caller().scopes.as_ref().is_some_and(|scopes| scopes.are_derived()) {
            let problem = "a token is not given for another one of its kind: sign in again";
            return Err(Failure::new(Category::PermissionDenied, "PERMISSION_DENIED", problem).into());
        }
        let request = request.into_inner();
        check(&request)?;
        let granted: Vec<Granted> = request.scopes.into_iter().filter_map(|scope| grant(scope, &grants)).collect();
        let mut scopes: Vec<String> = granted.iter().flat_map(|granted| granted.rights.clone()).collect();
        scopes.sort();
        scopes.dedup();
        if scopes.len() > Scopes::MAX {
            let problem = format!(
                "are {} different ones with those of the caller's token, and {} fit",
                scopes.len(),
                Scopes::MAX
            );
            return Err(Failure::invalid([("scopes", problem)]).into());
        }
        let issued = self.tokens.issue(grants.caller(), scopes);
        Ok(Response::new(api::IssueRegistryTokenResponse {
            token: issued.token,
            issue_time: Some(time(issued.from)),
            expire_time: Some(time(issued.until)),
            granted: granted.into_iter().map(|granted| granted.scope).collect(),
        }))
    }
}

/// A scope as far as it is granted, and the rights that this is.
struct Granted {
    scope: api::RegistryScope,
    rights: Vec<String>,
}

fn check(request: &api::IssueRegistryTokenRequest) -> Result<(), Failure> {
    let mut violations = Vec::new();
    if request.scopes.len() > MAX_SCOPES {
        violations.push(("scopes".to_owned(), format!("are more than {MAX_SCOPES}")));
    }
    for (index, scope) in request.scopes.iter().take(MAX_SCOPES).enumerate() {
        if scope.name.len() > MAX_NAME_BYTES {
            violations.push((format!("scopes[{index}].name"), format!("is longer than {MAX_NAME_BYTES} bytes")));
        }
        if scope.actions.len() > MAX_ACTIONS {
            violations.push((format!("scopes[{index}].actions"), format!("are more than {MAX_ACTIONS}")));
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(Failure::invalid(violations)) }
}

/// As much of a scope as the caller may do; nothing of one that makes no sense.
fn grant(scope: api::RegistryScope, grants: &Grants) -> Option<Granted> {
    let wants = |action: &str| scope.actions.iter().any(|wanted| wanted == action || wanted == "*");
    if scope.r#type == "registry" && scope.name == "catalog" && wants("*") {
        return Some(Granted { rights: everything_readable(grants), scope });
    }
    if scope.r#type != "repository" || !is_name(&scope.name) {
        return None;
    }
    let may = |right| grants.allow(Area::Artifact, right, &scope.name);
    let (may_read, may_write) = (may(Right::Read), may(Right::Write));
    let actions = [("pull", may_read), ("push", may_write), ("delete", may_write)];
    let actions: Vec<String> =
        actions.iter().filter(|(action, may)| *may && wants(action)).map(|(action, _)| (*action).to_owned()).collect();
    let has = |action: &str| actions.iter().any(|granted| granted == action);
    let (reads, writes) = (has("pull"), has("push") || has("delete"));
    let rights = match (reads, writes) {
        (true, true) => "read,write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => return None,
    };
    let rights = vec![format!("artifact:{}:{rights}", scope.name)];
    Some(Granted { scope: api::RegistryScope { actions, ..scope }, rights })
}

/// The rights of whoever wants to see the names of all images that it may read: no more than its own token gives.
fn everything_readable(grants: &Grants) -> Vec<String> {
    match &grants.caller().scopes {
        None => vec!["artifact:/:read".to_owned()],
        Some(own) => {
            own.narrowed_to(Area::Artifact, Right::Read).take(MAX_TAKEN_OVER).map(|scope| scope.to_string()).collect()
        }
    }
}

/// Whether it can be the name of an image: what is a pattern is none.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    name.split('/').all(is_part)
}

fn time(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.micros();
    let seconds = i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(micros % 1_000_000 * 1000).unwrap_or_default();
    prost_types::Timestamp { seconds, nanos }
}
