//! Who sends a message, for the services behind the layer that asks.

use tonic::{Request, Status};

use super::Identity;
use crate::error::{Category, Failure};

/// The message of a request, and the user who sends it; `None`: nobody is asked who they are.
pub fn message_and_user<T>(request: Request<T>) -> Result<(T, Option<String>), Status> {
    let Some(identity) = request.extensions().get::<Identity>() else {
        // Without a user everything is allowed, so nobody gets here by a way that asks nobody.
        return Err(Failure::new(Category::Internal, "INTERNAL", "a call has not passed the authentication").into());
    };
    let user = identity.user.clone();
    Ok((request.into_inner(), user))
}
