//! Where a call is let through or not: what its method needs is asked of what its caller may do.

use std::borrow::Cow;

use steward_proto::access::{self, Access, Need, Part};
use tonic::Status;
use tonic::body::Body;

use super::authenticator::is_open;
use super::fields::{self, Malformed};
use super::first_message;
use super::rights::{Area, Grants, Right, right_name};
use crate::error::{Category, Failure};

/// What a call was found to be about: an extension of its answer, for those who write it down.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// What its method needs; `None` for one that everybody may call.
    pub access: Option<&'static Access>,
    /// What it is about, as far as the request says so.
    pub resource: String,
    /// As whom the caller acts, if it said so.
    pub acting_as: String,
}

/// Lets a request through that its caller may make. Fills in `passage` as far as it comes.
pub(super) async fn pass(
    request: http::Request<Body>,
    grants: &Grants,
    passage: &mut Passage,
) -> Result<http::Request<Body>, Status> {
    let path = request.uri().path();
    if is_open(path) {
        return Ok(request);
    }
    let Some(access) = access::find(path) else {
        // Were there such a method, nobody would know who may call it.
        return Err(Status::unimplemented("there is no such method"));
    };
    passage.access = Some(access);
    if !needs_message(access) {
        check(access, &[], grants, passage)?;
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let (message, body) = first_message::read(body).await?;
    check(access, &message, grants, passage)?;
    Ok(http::Request::from_parts(parts, body))
}

/// Refuses what the method does not allow the caller. The resource of the passage is known afterwards in any case.
fn check(access: &Access, message: &[u8], grants: &Grants, passage: &mut Passage) -> Result<(), Status> {
    passage.acting_as = text(access.identity, message)?.into_owned();
    let name = &passage.acting_as;
    for (index, need) in access.needs.iter().enumerate() {
        let resource = without_empty_parts(text(need.resource, message)?, need.area);
        let resource = resource.trim_matches('/');
        if index == 0 {
            resource.clone_into(&mut passage.resource);
        }
        let Need { area, right, .. } = *need;
        let is_for_service = access.by_service && need.resource.is_empty();
        let is_allowed = if is_for_service {
            grants.allow_any(area, right, name)
        } else {
            grants.allow_as(area, right, resource, name)
        };
        if !is_allowed {
            return Err(grants.refusal(area, right, resource, name).into());
        }
    }
    Ok(())
}

/// Paths of files may begin with a slash, and have no empty parts. In other areas a name may have two slashes.
fn without_empty_parts(resource: Cow<'_, str>, area: Area) -> Cow<'_, str> {
    if area != Area::Artifact || !resource.contains("//") {
        return resource;
    }
    let parts: Vec<&str> = resource.split('/').filter(|part| !part.is_empty()).collect();
    Cow::Owned(parts.join("/"))
}

/// Whether anything of the request says what it is about.
fn needs_message(access: &Access) -> bool {
    let has_field = |parts: &[Part]| parts.iter().any(|part| matches!(part, Part::Field(_)));
    has_field(access.identity) || access.needs.iter().any(|need| has_field(need.resource))
}

/// A text that is made of the fields of a message.
fn text<'a>(parts: &[Part], message: &'a [u8]) -> Result<Cow<'a, str>, Status> {
    let value = |part: &Part| match *part {
        Part::Text(text) => Ok(Cow::Borrowed(text)),
        Part::Field(numbers) => fields::text(message, numbers).map(Cow::Borrowed),
    };
    let made = match parts {
        [] => Ok(Cow::Borrowed("")),
        [part] => value(part),
        parts => parts.iter().map(value).collect::<Result<String, Malformed>>().map(Cow::Owned),
    };
    made.map_err(|Malformed| Status::invalid_argument(Malformed.to_string()))
}

/// Holds back the answer of a service that should have asked what its caller may do, and has not.
pub(super) fn hold_back(passage: &Passage, grants: &Grants) -> Result<(), Status> {
    let asks_itself = passage.access.is_some_and(|access| access.by_service);
    if !asks_itself || grants.are_taken() {
        return Ok(());
    }
    let path = passage.access.map_or("", |access| access.path);
    let right = passage.access.and_then(|access| access.needs.first()).map_or(Right::Unspecified, |need| need.right);
    let problem = format!("{path} was answered although nobody asked whether its caller may {}", right_name(right));
    Err(Failure::new(Category::Internal, "INTERNAL", problem).into())
}

#[cfg(test)]
mod tests;
