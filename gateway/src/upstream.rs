//! The way to the gRPC services: the channel, one call, and what its failure means.

mod call;
mod caller;
mod channel;
mod failure;

pub(crate) use call::Call;
pub(crate) use caller::{Caller, RequestId, UserHeader};
pub(crate) use channel::{Channel, erase};
pub(crate) use failure::{Failure, Reason};
