//! Where a call is let through or not: what its method needs is asked of what its caller may do.

mod layer;
mod peek;

use std::borrow::Cow;

use steward_proto::access::{self, Access, Need, Part};
use tonic::Status;

use super::authenticator::is_open;
use super::fields::{Malformed, Texts};
use super::rights::{Area, Grants, Right, right_name, without_slashes};
use crate::error::{Category, Failure};

pub use self::layer::{GateLayer, Gated};

/// The longest name of a resource or of somebody to act as, in bytes: no service takes a longer one.
const MAX_NAME_BYTES: usize = 4096;
/// How long names mostly are at most: a type of locks and a digest.
const USUAL_NAME_BYTES: usize = 128;
/// The longest first message of a method, in bytes: a chunk of 1 MiB and what is around it.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024 + 1024;
/// In the area of artifacts it may be a manifest of 4 MiB.
const MAX_ARTIFACT_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;

/// What the method of a call needs; `None` for one that everybody may call.
fn declared(path: &str) -> Result<Option<&'static Access>, Status> {
    if is_open(path) {
        return Ok(None);
    }
    // Were there such a method, nobody would know who may call it.
    access::find(path).map(Some).ok_or_else(|| Status::unimplemented("there is no such method"))
}

fn longest_message(access: &Access) -> usize {
    if access.needs.iter().any(|need| need.area == Area::Artifact) { MAX_ARTIFACT_BYTES } else { MAX_MESSAGE_BYTES }
}

/// Refuses what the method does not allow the caller.
fn check(access: &Access, message: &[u8], grants: &Grants) -> Result<(), Status> {
    let mut message = Texts::new(message);
    let name = text(access.identity, &mut message)?;
    for need in access.needs {
        let resource = without_empty_parts(text(need.resource, &mut message)?, need.area);
        let resource = without_slashes(&resource);
        let Need { area, right, .. } = *need;
        let is_for_service = access.by_service && need.resource.is_empty();
        let is_allowed = if is_for_service {
            grants.allow_any(area, right, &name)
        } else {
            grants.allow_as(area, right, resource, &name)
        };
        if !is_allowed {
            return Err(grants.refusal(area, right, resource, &name).into());
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
fn text<'a>(parts: &[Part], message: &mut Texts<'a>) -> Result<Cow<'a, str>, Status> {
    let mut value = |part: &Part| match *part {
        Part::Text(text) => Ok(text),
        Part::Field(numbers) => message.find(numbers),
    };
    let made = match parts {
        [] => Ok(Cow::Borrowed("")),
        [part] => value(part).map(Cow::Borrowed),
        parts => joined(parts.iter().map(value)).map(Cow::Owned),
    };
    let made = made.map_err(|Malformed| Status::invalid_argument(Malformed.to_string()))?;
    if made.len() > MAX_NAME_BYTES {
        let problem =
            format!("what the call is about has {} bytes, and at most {MAX_NAME_BYTES} are taken", made.len());
        return Err(Status::invalid_argument(problem));
    }
    Ok(made)
}

fn joined<'a>(parts: impl Iterator<Item = Result<&'a str, Malformed>>) -> Result<String, Malformed> {
    let mut joined = String::with_capacity(USUAL_NAME_BYTES);
    for part in parts {
        joined.push_str(part?);
    }
    Ok(joined)
}

/// Holds back the answer of a service that should have asked what its caller may do, and has not.
fn hold_back(access: Option<&Access>, grants: &Grants) -> Result<(), Status> {
    let Some(access) = access.filter(|access| access.by_service && !grants.are_taken()) else { return Ok(()) };
    let right = access.needs.first().map_or(Right::SignedIn, |need| need.right);
    let (path, right) = (access.path, right_name(right));
    let problem = format!("{path} was answered although nobody asked whether its caller may {right}");
    Err(Failure::new(Category::Internal, "INTERNAL", problem).into())
}

#[cfg(test)]
mod tests;
