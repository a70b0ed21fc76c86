//! Who sends a message, for the services behind the layer that asks.

use tonic::{Request, Status};

use super::Grants;
use crate::error::{Category, Failure};

/// The message of a request, and the user who sends it; `None`: nobody is asked who they are.
pub fn message_and_user<T>(request: Request<T>) -> Result<(T, Option<String>), Status> {
    let Some(grants) = request.extensions().get::<Grants>() else {
        // Without a user everything is allowed, so nobody gets here by a way that asks nobody.
        return Err(Failure::new(Category::Internal, "INTERNAL", "a call has not passed the authentication").into());
    };
    let user = grants.caller().user.clone();
    Ok((request.into_inner(), user))
}
